# SPDX-License-Identifier: Apache-2.0
"""
A system that stands on overlays of a snapshot that there is not.

libvirtd lets QEMU change over to the overlays of a snapshot before it notes
them anywhere, and the snapshot itself at last.  One that dies in between finds
the system on other disks, when it comes back, than those that the guest writes
to: all that was written since would be gone with the QEMU.  So the overlays
are merged back, by libvirt where it knows of them and by QEMU where not.
"""

import posixpath
import time
from collections.abc import Callable, Collection
from typing import Any

import libvirt

from hawkfish_plugin.drivers.libvirt import qmp, xml

_POLL_SECONDS = 0.1
# How long a merge may stand still, and how long it may take.
_PATIENCE_SECONDS, _MOST_SECONDS = 60.0, 3600.0


class UntrackedError(Exception):
    """Why an overlay is not merged back."""


def merge_back(domain: Any, overlays: Collection[str]) -> set[str]:
    """
    Let no disk of *domain* stand on any of *overlays* while it runs.

    Returns those that were merged into what lies below them.  Raises
    UntrackedError where one cannot be.
    """
    if not domain.isActive():
        return set()
    merged = set()
    for disk in xml.disks(xml.parse(domain.XMLDesc(0))):
        if disk.path and disk.path in overlays:
            _commit(domain, disk.target)
            merged.add(disk.path)
    nodes = qmp.listed(domain, 'query-named-block-nodes')
    for medium in _used(domain, overlays):
        _commit_unknown(domain, medium, nodes)
        merged.add(qmp.plain(medium['file']))
    if _used(domain, overlays):
        raise UntrackedError('QEMU still writes to it')
    return merged


def _used(domain: Any, overlays: Collection[str]) -> list[dict[str, Any]]:
    """Those of *overlays* that the guest writes to, as QEMU tells of them."""
    media = [
        drive.get('inserted', {})
        for drive in qmp.listed(domain, 'query-block')
    ]
    return [m for m in media if qmp.plain(m.get('file', '')) in overlays]


def _commit(domain: Any, target: str) -> None:
    """Merge an overlay that libvirt knows of."""
    if not domain.blockJobInfo(target):
        domain.blockCommit(
            target,
            None,
            None,
            0,
            libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
            | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW,
        )

    def look() -> tuple[int, bool]:
        job = domain.blockJobInfo(target)
        if not job:
            raise UntrackedError(f'libvirt no longer merges {target!r}')
        # libvirt keeps the two apart until the job is ready.
        return job['cur'], job['cur'] == job['end']

    _wait(look)
    domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)


def _commit_unknown(
    domain: Any, medium: dict[str, Any], nodes: list[dict[str, Any]]
) -> None:
    """Merge the overlay *medium*, of which only QEMU knows."""
    name = posixpath.basename(qmp.plain(medium['file']))
    job = {'job-id': name}
    if not _job(domain, job['job-id']):
        base = qmp.plain(medium.get('backing_file', ''))
        # Both the file and what reads its format have its name; a raw one
        # may have no node but that of the file.
        found = sorted(
            (n for n in nodes if qmp.plain(n['file']) == base),
            key=lambda node: node['drv'] == 'file',
        )
        if not found:
            raise UntrackedError(f'QEMU has no {base!r} below it')
        _order(
            domain,
            'block-commit',
            {
                **job,
                'device': medium['node-name'],
                'base-node': found[0]['node-name'],
            },
        )

    def ready() -> tuple[int, bool]:
        seen = _job(domain, job['job-id'])
        if not seen:
            raise UntrackedError('QEMU no longer merges it')
        return seen['offset'], seen['ready']

    def over() -> tuple[int, bool]:
        return 0, not _job(domain, job['job-id'])

    _wait(ready)
    _order(domain, 'job-complete', {'id': job['job-id']})
    _wait(over)


def _job(domain: Any, name: str) -> dict[str, Any] | None:
    jobs = qmp.listed(domain, 'query-block-jobs')
    return next((job for job in jobs if job['device'] == name), None)


def _order(domain: Any, command: str, arguments: dict[str, object]) -> None:
    answer = qmp.ask(domain, command, arguments)
    if 'error' in answer:
        raise UntrackedError(answer['error'].get('desc'))


def _wait(look: Callable[[], tuple[int, bool]]) -> None:
    """Until *look* says so, or its count stands still for too long."""
    count, since = -1, time.monotonic()
    deadline = since + _MOST_SECONDS
    while time.monotonic() < deadline:
        now, done = look()
        if done:
            return
        if now != count:
            count, since = now, time.monotonic()
        if time.monotonic() - since > _PATIENCE_SECONDS:
            raise UntrackedError(
                f'the merge has stood still for {_PATIENCE_SECONDS:.0f} s'
            )
        time.sleep(_POLL_SECONDS)
    raise UntrackedError(f'the merge has not ended in {_MOST_SECONDS:.0f} s')
