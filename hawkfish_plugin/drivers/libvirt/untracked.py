# SPDX-License-Identifier: Apache-2.0
"""
Untracked overlays: those of a snapshot that does not exist.

libvirtd makes QEMU switch to the overlays of a snapshot before it records them
anywhere, and records the snapshot itself last.  After a crash in between it
assumes other disks than those that the guest writes to: all that was written
since would be lost when QEMU ends.  So the overlays
are committed into their backing files, by libvirt where it knows of them and
by QEMU where not.
"""

import posixpath
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers.libvirt import commits, qmp, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain

_POLL_SECONDS = 0.1
# How long a commit may make no progress, and how long it may take.
_PATIENCE_SECONDS, _MOST_SECONDS = 60.0, 3600.0


class UntrackedError(Exception):
    """Why an overlay is not committed."""


def commit(domain: Domain, overlays: Collection[str]) -> set[str]:
    """
    Let *domain*, while it runs, write to none of *overlays* any more.

    Returns those that were committed into their backing files.  Raises
    UntrackedError where one cannot be.
    """
    if not domain.is_active:
        return set()
    committed = set()
    for disk in xml.disks(domain.definition()):
        if disk.path and disk.path in overlays:
            _commit_by_libvirt(domain, disk.target)
            committed.add(disk.path)
    nodes = qmp.listed(domain, 'query-named-block-nodes')
    for inserted in _written(domain, overlays):
        _commit_by_qemu(domain, inserted, nodes)
        committed.add(qmp.plain(inserted['file']))
    if _written(domain, overlays):
        raise UntrackedError('QEMU still writes to it')
    return committed


def _written(
    domain: Domain, overlays: Collection[str]
) -> list[dict[str, Any]]:
    """Those of *overlays* that the guest writes to, as QEMU describes them."""
    inserted = [
        drive.get('inserted', {})
        for drive in qmp.listed(domain, 'query-block')
    ]
    return [i for i in inserted if qmp.plain(i.get('file', '')) in overlays]


def _commit_by_libvirt(domain: Domain, target: str) -> None:
    job = domain.block_job(target)
    if job:
        below = xml.chains(domain.definition())[target][1:2]
        base = domain.host.storage.file_of(below[0]) if below else None
        try:
            commits.check_job(domain, target, job, base or '')
        except exceptions.BlockJobActive as exc:
            raise UntrackedError(messages.text(exc)) from exc
    else:
        domain.block_commit(target)

    def look() -> tuple[int, bool]:
        job = domain.block_job(target)
        if not job:
            raise UntrackedError(f'libvirt no longer merges {target!r}')
        return job['cur'], domain.may_pivot(target, job)

    _wait(domain, look)
    domain.block_job_pivot(target)


def _commit_by_qemu(
    domain: Domain,
    inserted: dict[str, Any],
    nodes: Sequence[dict[str, Any]],
) -> None:
    name = posixpath.basename(qmp.plain(inserted['file']))
    if not _job(domain, name):
        arguments = {
            'job-id': name,
            'device': inserted['node-name'],
            'base-node': _base_node(inserted, nodes),
        }
        _order(domain, 'block-commit', arguments)

    def ready() -> tuple[int, bool]:
        seen = _job(domain, name)
        if not seen:
            raise UntrackedError('QEMU no longer merges it')
        return seen['offset'], seen['ready']

    def over() -> tuple[int, bool]:
        return 0, not _job(domain, name)

    _wait(domain, ready)
    _order(domain, 'job-complete', {'id': name})
    _wait(domain, over)


def _base_node(
    inserted: dict[str, Any], nodes: Sequence[dict[str, Any]]
) -> str:
    """What QEMU calls the backing file of what is *inserted*."""
    base = qmp.plain(inserted.get('backing_file', ''))
    # Both the file and what reads its format have its name; a raw one may
    # have no node but that of the file.
    found = sorted(
        (node for node in nodes if qmp.plain(node['file']) == base),
        key=lambda node: node['drv'] == 'file',
    )
    if not found:
        raise UntrackedError(f'QEMU has no {base!r} below it')
    return str(found[0]['node-name'])


def _job(domain: Domain, name: str) -> dict[str, Any] | None:
    jobs = qmp.listed(domain, 'query-block-jobs')
    return next((job for job in jobs if job['device'] == name), None)


def _order(
    domain: Domain, command: str, arguments: Mapping[str, object]
) -> None:
    domain.host.check_active()
    answer = qmp.ask(domain, command, arguments)
    if 'error' in answer:
        raise UntrackedError(answer['error'].get('desc'))


def _wait(domain: Domain, look: Callable[[], tuple[int, bool]]) -> None:
    """Wait until *look* says that it is done; its count has to progress."""
    # A create that is cancelled waits too: nothing else keeps what is written.
    count, since = -1, time.monotonic()
    deadline = since + _MOST_SECONDS
    while time.monotonic() < deadline:
        domain.host.check_active()
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
