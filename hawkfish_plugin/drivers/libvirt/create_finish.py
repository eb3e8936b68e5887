# SPDX-License-Identifier: Apache-2.0
"""
The end of a create, whether libvirt has created the snapshot or not.

Owns the step ``finish``, which prepares a new snapshot for reverts, and the
removal of the files of a create that failed.
"""

from collections.abc import Collection

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    common_pause,
    filenames,
    firmware,
    leftovers,
    parsed,
    snapshot_xml,
    snapshots,
    untracked,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import CreateJournal


def is_made(domain: Domain, name: str, files: Collection[str]) -> bool:
    """Whether *name* is there, and is not another one of that name."""
    if not snapshots.exists(domain, name):
        return False
    overlays = snapshot_xml.external_disks(snapshots.describe(domain, name))
    return set(overlays.values()) <= set(files)


def made_with(domain: Domain, name: str, files: Collection[str]) -> int | None:
    """
    When *name* was created, where its own files are of those to come, *files*.

    An internal one has none, and may be anybody's.
    """
    if not snapshots.exists(domain, name):
        return None
    made = parsed.parse(snapshots.describe(domain, name))
    own = {*made.overlays, *made.own_files}
    return made.record.created if own and own <= {*files} else None


def run(
    domain: Domain,
    request: contract.CreateRequest,
    journal: CreateJournal,
    quiesced: contract.Quiesce,
    context: contract.TaskContext,
) -> contract.Created:
    """Complete what libvirt has made."""
    root = snapshots.describe(domain, request.name)
    changed = snapshot_xml.resolve_volumes(root, journal.volumes)
    # It was suspended for the snapshot alone, and is to run after a revert.
    if request.is_common and journal.power_state == contract.ON:
        changed |= snapshot_xml.let_run(root)
    if changed:
        snapshots.redefine(domain, root)
    made = parsed.parse(root)
    if journal.firmware:
        _keep_firmware(domain, made, journal, context)
    size = None
    if made.memory_file:
        size = domain.host.storage.size(made.memory_file)[0] or None
    return contract.Created(made.record.created, quiesced, size)


def _keep_firmware(
    domain: Domain,
    made: parsed.ParsedSnapshot,
    journal: CreateJournal,
    context: contract.TaskContext,
) -> None:
    # The snapshot is there and whole but for this; without its note of who
    # has made it, a revert would take it for one of others.
    host = domain.host
    try:
        firmware.keep(host.storage, made.copies, journal.firmware)
    except (libvirt.libvirtError, exceptions.FolderUnusable) as exc:
        if isinstance(exc, libvirt.libvirtError):
            host.raise_if_lost(exc)
        context.add_message(
            messages.FIRMWARE_NOT_CAPTURED, made.record.name, exc
        )
        firmware.forget(host, journal.firmware, context)


def remove_files(
    domain: Domain, files: Collection[str], context: contract.TaskContext
) -> list[str]:
    """
    Remove *files* of a create that failed; returns what has to be left.

    A libvirtd that died may have let QEMU open the overlays already, and
    write to them; one that could not end a create leaves the system on them.
    """
    overlays = filenames.overlays(files)
    reason = 'only that file would have it'
    try:
        committed = untracked.commit(domain, overlays)
        left = _written(domain, [p for p in overlays if p not in committed])
    except untracked.UntrackedError as exc:
        left, reason = overlays, str(exc)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        left, reason = overlays, str(exc)
    left = [path for path in left if _may_exist(domain, path)]
    for path in left:
        context.add_message(messages.OVERLAY_LEFT, path, domain.name, reason)
    files = [path for path in files if path not in left]
    leftovers.close(domain, files, context)
    leftovers.remove(domain.host, files, context)
    return left


def _may_exist(domain: Domain, path: str) -> bool:
    """Whether a file is there, or cannot be looked for."""
    try:
        return domain.host.storage.exists(path)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        return True


def _written(domain: Domain, overlays: Collection[str]) -> list[str]:
    """Those of *overlays* that hold what nothing else does."""
    written = domain.host.storage.is_written
    return [path for path in overlays if written(path)]


def resume(domain: Domain, journal: CreateJournal) -> None:
    """Resume a guest that an interrupted create has left paused."""
    # A libvirtd that died while it saved the memory left the guest paused.
    stopped = libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_SAVE
    saved = journal.power_state == contract.ON and domain.state() == stopped
    if saved or (journal.suspended and domain.is_paused):
        common_pause.resume(domain)
