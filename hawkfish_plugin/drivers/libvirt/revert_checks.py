# SPDX-License-Identifier: Apache-2.0
"""
What prevents a revert.

libvirt stops the guest first and checks later, so all that can be known is
looked at here before.  Changes nothing.
"""

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    filenames,
    firmware,
    memory_images,
    parsed,
    reverting,
    snapshots,
    space,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot
from hawkfish_plugin.drivers.libvirt.storage import Storage


def check(domain: Domain, request: contract.RevertRequest) -> None:
    """Raise what prevents the revert."""
    host = domain.host
    target = parsed.parse(snapshots.describe(domain, request.name))
    if target.record.external and not host.supports_external:
        raise exceptions.ExternalRevertNotSupported(request.name, host.version)
    domain.check_no_managed_save()
    # libvirtd would crash.
    if target.record.external and snapshots.current(domain) is None:
        raise exceptions.CurrentUnknown(domain.name)
    if not request.force:
        exceptions.check(not_captured(target))
    _check_names(host.storage, target)
    _check_files(domain, target, request)
    bases = reverting.bases(host.storage, target)
    space.check(space.for_revert(host.storage, bases))


def not_captured(target: ParsedSnapshot) -> list[exceptions.HawkFishError]:
    """The disks that a revert to an external snapshot would leave alone."""
    if not target.external:
        return []
    return [
        exceptions.DiskNotCaptured(disk.target, target.record.name)
        for disk in target.captured
        if disk.target not in target.external and disk.is_captured
    ]


def _check_names(storage: Storage, target: ParsedSnapshot) -> None:
    """
    Raise where two disks would get one overlay.

    libvirt names it after the file, with the time in the place of the ending,
    and stops the guest before it looks.
    """
    taken: dict[str, str] = {}
    for disk in target.captured:
        path = storage.path_of(disk)
        if disk.target not in target.external or not path:
            continue
        stem = filenames.revert_stem(path)
        if stem in taken:
            raise exceptions.DiskNamesCollide(
                disk.target, taken[stem], f'{stem}.'
            )
        taken[stem] = disk.target


def _check_files(
    domain: Domain, target: ParsedSnapshot, request: contract.RevertRequest
) -> None:
    """Raise where a file that the revert needs is gone or damaged."""
    storage, name = domain.host.storage, request.name
    missing = storage.missing(_disk_files(storage, target))
    if missing:
        raise exceptions.SnapshotFileMissing(name, missing)
    if target.memory_file:
        memory_images.check(
            storage, name, target.memory_file, domain.uuid, request.memory_size
        )
    if request.created_here and not request.force:
        copies = reverting.copies_to_restore(target, request)
        firmware.check(storage, name, copies)


def _disk_files(storage: Storage, target: ParsedSnapshot) -> list[str]:
    """The disks without which the snapshot cannot be reverted to."""
    # Media are ejected from an external snapshot before a revert.
    disks = target.disks if target.external else target.captured
    return [path for disk in disks if (path := storage.path_of(disk))]
