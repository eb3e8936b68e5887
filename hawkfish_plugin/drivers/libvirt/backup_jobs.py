# SPDX-License-Identifier: Apache-2.0
"""
libvirt's backup job of a domain, and the checkpoints that it goes by.

A checkpoint is a bitmap in the uppermost image of each disk, in which QEMU
notes what is written, and what libvirt remembers of it.  Ours are remembered
by libvirt for no longer than a backup takes, and are made known to it again
for the next one: libvirt refuses to snapshot or undefine a system that is off
and has checkpoints.  Snapshots and merges carry the bitmaps along, whether
libvirt knows them or not; a revert leaves them behind, and libvirt finds that
out when it is told of the checkpoint.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import errors, filenames, qmp, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain

_NAME = contract.BACKUP
_POLL_SECONDS = 0.1
# A repository that takes nothing for so long is gone.
_STALLED_SECONDS = 300.0
# To end a job is to wait for what is being written.
_ABORT_SECONDS = 30.0

_REUSE = libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL
_FULL, _INCREMENTAL = 'full', 'incremental'


@dataclasses.dataclass(frozen=True)
class Target:
    """
    The *file* that a disk goes to; *since* is the token of a checkpoint.

    With that, only what has changed since it.
    """

    file: str
    since: str | None = None


# Whose job it is -----------------------------------------------------------


def files_of_job(domain: Domain) -> list[str] | None:
    """The files of the backup job that goes on; None where none does."""
    try:
        # Asks no QEMU, so it does not wait for one.
        text = domain.handle.backupGetXMLDesc()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_BACKUP:
            return None
        raise
    root = xml.parse(text)
    return [
        element.get('file') or element.get('dev') or ''
        for tag in ('target', 'scratch')
        for element in root.findall(f'disks/disk/{tag}')
    ]


def check_free(domain: Domain) -> None:
    """Raise BackupJobActive, for which libvirt would wait half a minute."""
    if domain.was_active:
        files = files_of_job(domain)
        if files is not None:
            raise exceptions.BackupJobActive(
                domain.name, ', '.join(files) or 'an NBD server'
            )


# Checkpoints ---------------------------------------------------------------


def checkpoints(domain: Domain) -> list[str]:
    """The names of all checkpoints that libvirt knows."""
    return [each.getName() for each in domain.handle.listAllCheckpoints()]


def foreign_checkpoints(domain: Domain) -> list[str]:
    """The names of those that are not ours."""
    names = checkpoints(domain)
    return [name for name in names if not filenames.is_checkpoint(name)]


def recall(domain: Domain, token: str, targets: Collection[str]) -> str:
    """
    Let libvirt know the checkpoint of *token* on the disks *targets*.

    Returns why that cannot be used; empty where it can.
    """
    root = _checkpoint(domain, token, targets)
    # Of no matter, but there has to be one.
    ElementTree.SubElement(root, 'creationTime').text = '1'
    flags = (
        libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
        | libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE
    )
    try:
        domain.changed(
            lambda: domain.handle.checkpointCreateXML(xml.render(root), flags)
        )
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        return errors.text(exc)
    return ''


def forget(domain: Domain) -> None:
    """Let libvirt forget our checkpoints; their bitmaps stay."""
    flags = libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY
    for checkpoint in domain.handle.listAllCheckpoints():
        if filenames.is_checkpoint(checkpoint.getName()):
            domain.asked(functools.partial(checkpoint.delete, flags))


def drop_bitmaps(domain: Domain, token: str, others: bool) -> None:
    """
    Let QEMU remove the bitmaps of *token*, or of all *others* of ours.

    From what it writes to: what a snapshot holds is left alone, and nothing
    is noted there.
    """
    mine = filenames.checkpoint(token)
    for node, name in _bitmaps(domain):
        if filenames.is_checkpoint(name) and (name != mine) == others:
            _remove_bitmap(domain, node, name)


# The job -------------------------------------------------------------------


def begin(
    domain: Domain,
    token: str,
    targets: Mapping[str, Target],
    noting: Collection[str],
) -> None:
    """
    Begin the backup *token* of *domain*, of this moment.

    *targets* are by the targets of the disks; of those in *noting*, what is
    written from now on is noted for the next one.
    """
    _drop_leftovers(domain, targets)
    backup = xml.render(_backup(domain, targets))
    checkpoint: str | None = None
    if noting:
        checkpoint = xml.render(_checkpoint(domain, token, noting))
    # A moment, in which the guest may be frozen: not as long as other changes.
    domain.host.check_active()
    domain.asked(
        lambda: domain.handle.backupBegin(
            backup, cast(str, checkpoint), _REUSE
        )
    )


def _drop_leftovers(domain: Domain, targets: Collection[str]) -> None:
    """
    Let QEMU remove what libvirt has left there of a job.

    It has a bitmap for each disk while a job goes on, and none goes on; one
    that had died in between does not know it any more.
    """
    names = {f'backup-{target}' for target in targets}
    for node, name in _bitmaps(domain):
        if name in names:
            _remove_bitmap(domain, node, name)


def _bitmaps(domain: Domain) -> Iterator[tuple[str, str]]:
    """The bitmaps of what QEMU writes to: the name of a node, and of one."""
    for node in qmp.listed(domain, 'query-named-block-nodes'):
        for bitmap in () if node['ro'] else node.get('dirty-bitmaps', ()):
            yield node['node-name'], bitmap.get('name', '')


def _remove_bitmap(domain: Domain, node: str, name: str) -> None:
    where = {'node': node, 'name': name}
    qmp.ask(domain, 'block-dirty-bitmap-remove', where)


def _backup(domain: Domain, targets: Mapping[str, Target]) -> xml.Element:
    root = ElementTree.Element('domainbackup', mode='push')
    disks = ElementTree.SubElement(root, 'disks')
    for name in _targets(domain):
        target = targets.get(name)
        chosen = 'no' if target is None else 'yes'
        disk = ElementTree.SubElement(disks, 'disk', name=name, backup=chosen)
        if target is not None:
            disk.set('type', 'file')
            disk.set('backupmode', _INCREMENTAL if target.since else _FULL)
            if target.since:
                disk.set('incremental', filenames.checkpoint(target.since))
            ElementTree.SubElement(disk, 'target', file=target.file)
            ElementTree.SubElement(disk, 'driver', type='qcow2')
    return root


def _checkpoint(
    domain: Domain, token: str, targets: Collection[str]
) -> xml.Element:
    root = ElementTree.Element('domaincheckpoint')
    name = filenames.checkpoint(token)
    ElementTree.SubElement(root, 'name').text = name
    disks = ElementTree.SubElement(root, 'disks')
    for target in _targets(domain):
        disk = ElementTree.SubElement(
            disks, 'disk', name=target, checkpoint='no'
        )
        if target in targets:
            disk.attrib |= {'checkpoint': 'bitmap', 'bitmap': name}
    return root


def _targets(domain: Domain) -> Sequence[str]:
    return [disk.target for disk in xml.disks(domain.definition())]


def wait(domain: Domain, context: contract.TaskContext, deadline: int) -> None:
    """
    Wait until the job of *domain* has ended, and see that it went well.

    Raises OperationCancelled and OperationTimedOut, after it was aborted, and
    OperationFailed.  *deadline* is that of the task, in seconds.
    """
    stalled = _Stalled()
    while _goes_on(domain):
        if context.cancelled:
            abort(domain)
            raise exceptions.OperationCancelled(_NAME)
        if context.overdue:
            abort(domain)
            raise exceptions.OperationTimedOut(_NAME, deadline)
        statistics = domain.job_statistics()
        done = int(statistics.get('disk_processed', 0))
        if stalled.since(done) > _STALLED_SECONDS:
            abort(domain)
            raise exceptions.OperationFailed(
                _NAME, 'the repository takes no more data'
            )
        if total := int(statistics.get('disk_total', 0)):
            context.progress(min(99, 100 * done // total))
        time.sleep(_POLL_SECONDS)
    _check_success(domain)


class _Stalled:
    """How long nothing was written."""

    def __init__(self) -> None:
        self._done, self._since = -1, time.monotonic()

    def since(self, done: int) -> float:
        if done != self._done:
            self._done, self._since = done, time.monotonic()
        return time.monotonic() - self._since


def _goes_on(domain: Domain) -> bool:
    return domain.is_active and files_of_job(domain) is not None


def _check_success(domain: Domain) -> None:
    if not domain.is_active:
        raise exceptions.OperationFailed(
            _NAME, 'the system was switched off meanwhile'
        )
    completed = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED
    # libvirt-python's annotation is wrong.
    found = cast(
        Mapping[str, Any],
        domain.asked(lambda: domain.handle.jobStats(completed)),
    )
    if found.get('operation') != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
        raise exceptions.OperationFailed(
            _NAME, 'libvirt does not know how its job has ended'
        )
    if not found.get('success'):
        reason = str(found.get('errmsg') or 'its job was aborted')
        raise exceptions.OperationFailed(_NAME, reason)


def abort(domain: Domain) -> None:
    """
    End the backup job of *domain*, if there is one.

    Raises NotAnswering where it does not end: it is tried again later.
    """
    until = time.monotonic() + _ABORT_SECONDS
    while _goes_on(domain):
        # It may be over, or being ended, by then.
        with contextlib.suppress(libvirt.libvirtError):
            domain.abort_job()
        if time.monotonic() > until:
            raise exceptions.NotAnswering(domain.name, int(_ABORT_SECONDS))
        time.sleep(_POLL_SECONDS)
