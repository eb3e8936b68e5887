# SPDX-License-Identifier: Apache-2.0
"""
What a backup of a domain would be, and what prevents one.

Looks and decides; changes nothing.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles.manifest import LeftOut
from hawkfish_plugin.drivers.backups import BackupRequest
from hawkfish_plugin.drivers.libvirt import (
    backup_jobs,
    export,
    filenames,
    firmware,
    qcow2,
    snapshots,
    space,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.repository import Repository


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    What is to be written to *repository*.

    *capacities* of the disks in bytes, by target; *noting* are those of them
    whose images may have bitmaps.  *copies* are the names of those of the
    firmware's state, by kind.
    """

    repository: Repository
    root: xml.Element
    power_state: str
    capacities: Mapping[str, int]
    noting: Collection[str]
    copies: Mapping[str, str]
    left_out: Sequence[LeftOut]
    quiesce: str
    memory: bool = False

    def files(self, token: str) -> list[str]:
        disks = [self.repository.disk(token, t) for t in self.capacities]
        return [
            *disks,
            *self.copies.values(),
            f'{filenames.backup(token)}.xml',
            filenames.manifest(token),
        ]


def make(domain: Domain, request: BackupRequest, conf: cfg.ConfigOpts) -> Plan:
    """
    What is to be done; raises what stands in the way.

    That is BackupNotConfigured, PoolNotUsable, BackupJobActive and others of
    the domain, or InsufficientSpace.
    """
    pool: str | None = conf.backup.repository
    if not pool:
        raise exceptions.BackupNotConfigured()
    repository = Repository(domain.host, pool)
    root = domain.definition()
    disks = [disk for disk in xml.disks(root) if disk.is_captured]
    exceptions.check([*_refusals(domain, disks)])
    capacities = {disk.target: _capacity(domain, disk) for disk in disks}
    if request.parent is None:
        _check_space(domain, disks, capacities, repository.folder)
    storage = domain.host.storage
    state = firmware.files(storage, root, domain.is_active)
    kinds = [kind for kind, path in state.items() if storage.exists(path)]
    return Plan(
        repository,
        root,
        domain.power_state,
        capacities,
        _noting(domain, disks, conf),
        repository.copies(request.token, kinds),
        _left_out(root),
        request.quiesce or conf.snapshots.quiesce.capitalize(),
    )


def _refusals(
    domain: Domain, disks: Sequence[xml.Disk]
) -> Iterator[exceptions.HawkFishError]:
    if domain.has_managed_save:
        yield exceptions.ManagedSavePresent(domain.name)
    if not disks:
        yield exceptions.NoDisks(domain.name)
    for disk in disks:
        if disk.encrypted:
            # A copy would have in plain text what is in it.
            yield exceptions.DiskEncrypted(disk.target)
        if disk.transient:
            yield exceptions.DiskTransient(disk.target)
    if not domain.is_active:
        return
    try:
        backup_jobs.check_free(domain)
    except exceptions.BackupJobActive as exc:
        yield exc
        return
    for disk in disks:
        if domain.block_job(disk.target):
            yield exceptions.BlockJobActive(disk.target)


def _capacity(domain: Domain, disk: xml.Disk) -> int:
    info = domain.asked(lambda: domain.handle.blockInfo(disk.target))
    return int(info[0])


def _check_space(
    domain: Domain,
    disks: Sequence[xml.Disk],
    capacities: Mapping[str, int],
    folder: str,
) -> None:
    storage = domain.host.storage
    files = [
        (path, capacities[disk.target])
        for disk in disks
        if (path := storage.path_of(disk))
    ]
    space.check(space.for_export(storage, folder, files, ()))


def _left_out(root: xml.Element) -> list[LeftOut]:
    return [
        LeftOut(disk.target, export.why_not(disk))
        for disk in xml.disks(root)
        if not disk.is_captured
    ]


def _noting(
    domain: Domain, disks: Sequence[xml.Disk], conf: cfg.ConfigOpts
) -> list[str]:
    # QEMU goes back to no internal snapshot of an image that has bitmaps.
    if conf.snapshots.type == 'internal' or any(
        not seen.record.external for seen in snapshots.read_all(domain)
    ):
        return []
    return [disk.target for disk in disks if _can_note(domain, disk)]


def _can_note(domain: Domain, disk: xml.Disk) -> bool:
    storage = domain.host.storage
    path = storage.path_of(disk)
    if disk.format != 'qcow2' or path is None:
        return False
    header = storage.read(path, qcow2.HEADER_BYTES) or b''
    return qcow2.can_note(header)
