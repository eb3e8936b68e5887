# SPDX-License-Identifier: Apache-2.0
"""
What a revert will do, and what stands in its way.

All that can be known is looked at here, while the guest still runs.  Changes
nothing.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backup_jobs,
    firmware,
    memory_images,
    new_files,
    parsed,
    revert_disks,
    reverting,
    snapshot_xml,
    snapshots,
    space,
    startable,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.ledger import Ledger
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot
from hawkfish_plugin.drivers.libvirt.storage import Storage


@dataclasses.dataclass(frozen=True)
class Base:
    """A file that gets a new overlay, and its format."""

    path: str
    format: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    A revert that can be done.

    *root* is the XML of the snapshot and *target* what it says; *bases* are
    the files that get overlays, by the target of their disk.  *image* is the
    definition in the memory image, where that is loaded, and *gone* the media
    that are not there any more.  The overlays go to *overlay_dir*, where it
    is given, or else beside their bases.  *discarded* are the overlays that
    nobody needs afterwards, and *warnings* is what the user should know.
    *needs* is the space that the overlays take.
    """

    root: xml.Element
    target: ParsedSnapshot
    bases: Mapping[str, Base] = dataclasses.field(default_factory=dict)
    overlay_dir: str | None = None
    image: xml.Element | None = None
    gone: Sequence[str] = ()
    discarded: Sequence[str] = ()
    warnings: Sequence[exceptions.HawkFishError] = ()
    needs: Sequence[space.Need] = ()

    @property
    def memory(self) -> bool:
        """Whether the guest goes on with its memory."""
        if self.target.record.external:
            return self.image is not None
        return self.target.record.memory

    def forecast(
        self, request: contract.RevertRequest
    ) -> contract.RevertForecast:
        """What this leaves."""
        return contract.RevertForecast(
            reverting.wanted_power_state(self.target, request),
            self.memory,
            tuple((n.folder, n.needed, n.available) for n in self.needs),
            tuple(self.warnings),
        )


def make(
    domain: Domain,
    request: contract.RevertRequest,
    conf: cfg.ConfigOpts,
    ledger: Ledger,
) -> Plan:
    """The revert that *request* asks for; raises what prevents it."""
    root = snapshots.describe(domain, request.name)
    target = parsed.parse(root)
    domain.check_no_managed_save()
    if target.record.external:
        planned = _external(domain, request, conf, root, target, ledger)
    else:
        planned = Plan(root, target, discarded=revert_disks.unneeded(domain))
        _check_files(domain, request.name, _paths(domain, target))
    if request.created_here and not request.force:
        wanted = reverting.wanted_power_state(target, request)
        copies = reverting.copies_to_restore(target, wanted, planned.memory)
        firmware.check(domain.host.storage, request.name, copies)
    return planned


def check_removed(
    domain: Domain,
    planned: Plan,
    ledger: Ledger,
    freshness: contract.Freshness,
) -> None:
    """Raise SystemCloned where others are backed by what would be removed."""
    files = {*planned.discarded}
    found = files and ledger.on(domain, files, freshness)
    if found:
        names = ', '.join(dependent.name for dependent in found)
        raise exceptions.SystemCloned(domain.name, names)


def _paths(domain: Domain, target: ParsedSnapshot) -> list[str]:
    return _paths_of(domain, target.captured)


def _paths_of(domain: Domain, disks: Sequence[xml.Disk]) -> list[str]:
    storage = domain.host.storage
    return [path for disk in disks if (path := storage.path_of(disk))]


def _check_files(domain: Domain, name: str, paths: Sequence[str]) -> None:
    missing = domain.host.storage.missing(paths)
    if missing:
        raise exceptions.SnapshotFileMissing(name, missing)


def _external(
    domain: Domain,
    request: contract.RevertRequest,
    conf: cfg.ConfigOpts,
    root: xml.Element,
    target: ParsedSnapshot,
    ledger: Ledger,
) -> Plan:
    host, name = domain.host, request.name
    if not host.supports_external:
        raise exceptions.ExternalRevertNotSupported(name, host.version)
    present = domain.definition(inactive=True)
    left_out = _not_captured(target)
    # What holds no disk at all is of no use even to who insists.
    if not request.force or not target.external:
        exceptions.check(left_out)
    if reverting.wanted_power_state(target, request) != contract.OFF:
        _check_startable(domain, name, root)
    image, unusable = _image(domain, request, target, left_out)
    lost = [] if image is not None else _of_the_run(root, target)
    bases = _bases(domain, target, present, lost, ledger)
    by_target = {target: base.path for target, base in bases.items()}
    exceptions.check(
        [*new_files.refusals(host.storage, by_target, False, conf)]
    )
    paths = [*by_target.values()]
    _check_files(domain, name, paths)
    overlay_dir = conf.snapshots.overlay_dir
    needs = space.for_revert(host.storage, paths, overlay_dir)
    space.check(needs)
    going = {*bases, *lost}
    others = revert_disks.others(domain, going)
    return Plan(
        root=root,
        target=target,
        bases=bases,
        overlay_dir=overlay_dir,
        image=image,
        gone=_gone_media(host.storage, target, bases),
        discarded=revert_disks.unneeded(domain, going - others.keys()),
        warnings=[
            *left_out,
            *unusable,
            *_not_attached(target, lost),
            *_written_since(domain, target, by_target, ledger),
            *_moved(domain, target, bases, others),
            *_lost_checkpoints(domain),
        ],
        needs=needs,
    )


def _lost_checkpoints(domain: Domain) -> list[exceptions.HawkFishError]:
    """A new overlay has no bitmaps: what others know of changes is lost."""
    names = backup_jobs.foreign_checkpoints(domain)
    if not names:
        return []
    return [exceptions.CheckpointsLost(domain.name, ', '.join(names))]


# Disks -----------------------------------------------------------------------


def _of_the_run(root: xml.Element, target: ParsedSnapshot) -> list[str]:
    """The targets of the disks that only the system that ran then had."""
    if root.find('inactiveDomain') is None:
        return []
    kept = {disk.target for disk in snapshot_xml.configured_disks(root)}
    return [
        disk.target
        for disk in target.captured
        if disk.is_captured and disk.target not in kept
    ]


def _written_since(
    domain: Domain,
    target: ParsedSnapshot,
    paths: Mapping[str, str],
    ledger: Ledger,
) -> list[exceptions.HawkFishError]:
    """What puts in doubt that the snapshot reads what it did."""
    name = target.record.name
    return [
        exceptions.SnapshotFileWritten(name, path, exceptions.moment(written))
        for path, written in ledger.written(
            domain, {disk: [path] for disk, path in paths.items()}
        ).values()
    ]


def _not_attached(
    target: ParsedSnapshot, lost: Collection[str]
) -> list[exceptions.HawkFishError]:
    """What the system does not have after it, as it is started anew."""
    return [
        exceptions.DiskOfRunningSystem(
            disk.target, target.record.name, disk.path or disk.kind
        )
        for disk in target.captured
        if disk.target in lost
    ]


def _not_captured(target: ParsedSnapshot) -> list[exceptions.HawkFishError]:
    """The disks that stay as they are now."""
    return [
        exceptions.DiskNotCaptured(disk.target, target.record.name)
        for disk in target.captured
        if disk.target not in target.external and disk.is_captured
    ]


def _bases(
    domain: Domain,
    target: ParsedSnapshot,
    present: xml.Element,
    lost: Collection[str],
    ledger: Ledger,
) -> dict[str, Base]:
    """
    The files that get overlays; those of *lost* disks do not.

    Those are what the snapshot holds, and what any other snapshot does of the
    disks that it left out and that the domain has no more: nobody may write
    to such a file.
    """
    now = {disk.target for disk in xml.disks(present)}
    found = {}
    for disk in (*target.captured, *target.configured):
        if disk.device == 'cdrom' or disk.target in lost:
            continue
        wanted = disk.target in target.external
        if not wanted and (not disk.is_captured or disk.target in now):
            continue
        if disk.encrypted:
            # One that virsh has made; an overlay would be in plain text.
            raise exceptions.DiskEncrypted(disk.target)
        if disk.remapped:
            raise exceptions.DiskRemapped(disk.target, disk.remapped)
        path = domain.host.storage.path_of(disk)
        if wanted and not path:
            raise exceptions.DiskNotRevertable(disk.target, disk.kind)
        if path and (wanted or _is_held(domain, path, ledger)):
            found[disk.target] = Base(path, disk.format)
    return found


def _is_held(domain: Domain, path: str, ledger: Ledger) -> bool:
    """Whether a snapshot may hold the file at *path*, by whatever path."""
    held = {
        path
        for s in snapshots.read_all(domain)
        for path in _paths_of(domain, s.disks)
    }
    listed = contract.Freshness.LISTED
    files = ledger.files(domain.host, held | {path}, listed).identities
    return files.of(path) in files.of_all(held)


def _gone_media(
    storage: Storage, target: ParsedSnapshot, bases: Mapping[str, Base]
) -> list[str]:
    return [
        disk.path
        for disk in target.captured
        if disk.is_removable
        and disk.target not in bases
        and disk.path
        and not storage.exists(disk.path)
    ]


def _moved(
    domain: Domain,
    target: ParsedSnapshot,
    bases: Mapping[str, Base],
    others: Mapping[str, str],
) -> list[exceptions.HawkFishError]:
    """What was attached or detached since, with where its data stays."""
    name = target.record.name
    captured = {d.target for d in (*target.captured, *target.configured)}
    now = {
        disk.target: domain.host.storage.path_of(disk) or disk.kind
        for disk in xml.disks(domain.definition(inactive=True))
        if disk.is_captured
    }
    return [
        exceptions.DiskAttachedSince(disk, name, where)
        for disk, where in now.items()
        if disk not in captured or disk in others
    ] + [
        exceptions.DiskDetachedSince(
            disk, name, target.external.get(disk) or base.path
        )
        for disk, base in bases.items()
        if disk not in now
    ]


# Memory ----------------------------------------------------------------------


def _image(
    domain: Domain,
    request: contract.RevertRequest,
    target: ParsedSnapshot,
    left_out: Sequence[exceptions.HawkFishError],
) -> tuple[xml.Element | None, list[exceptions.HawkFishError]]:
    """
    The definition in the memory image that is to be loaded, if any.

    Memory that cannot be loaded does not keep the disks from whoever asks for
    a system that is on, or off.  Beside disks that were *left_out*, and so are
    of another time, it would ruin them.
    """
    path = target.memory_file
    if not path or request.power_state == contract.OFF:
        return None, []
    if left_out:
        why = _words(left_out[0])
        return None, [exceptions.MemoryNotRestored(request.name, why)]
    try:
        memory_images.check(domain, request.name, path, request.memory_size)
    except exceptions.Conflict as exc:
        if request.power_state != contract.ON:
            raise
        return None, [exceptions.MemoryNotRestored(request.name, _words(exc))]
    return memory_images.definition(domain, path), []


def _words(error: exceptions.HawkFishError) -> str:
    return messages.text(error).removesuffix('.')


def _check_startable(domain: Domain, name: str, root: xml.Element) -> None:
    """Raise where a system that is to run cannot be started here."""
    # As it ran, with a CPU that is spelled out.
    captured = root.find('domain')
    if captured is not None:
        exceptions.check(
            [
                exceptions.SnapshotNotStartable(name, obstacle)
                for obstacle in startable.obstacles(domain.host, captured)
            ]
        )
