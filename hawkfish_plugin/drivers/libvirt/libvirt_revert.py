# SPDX-License-Identifier: Apache-2.0
"""
Reverts by libvirt's own call.

These are the ones to internal snapshots, and those to external ones that
release 1.0 has begun and that are settled by this one.  Such a revert that
failed left the definition on the files of the snapshot, where the next start
would destroy it: what the journal had noted is defined again.
"""

from collections.abc import Iterable

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    domains,
    errors,
    firmware,
    leftovers,
    removable_media,
    reverting,
    snapshots,
    undo,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.reverting import Reverting

# What was found after a call of which nobody knows how it ended.
_BEFORE, _BASE, _REVERTED, _OTHER = 'before', 'base', 'reverted', 'other'

_UNSEEN = 'the process ended during the call'

# A domain that libvirt's revert, or its end, has stopped; and no operator.
_STOPPED_BY_REVERT = frozenset(
    (
        libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN,
        libvirt.VIR_DOMAIN_SHUTOFF_CRASHED,
        libvirt.VIR_DOMAIN_SHUTOFF_FAILED,
        libvirt.VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT,
        libvirt.VIR_DOMAIN_SHUTOFF_DAEMON,
    )
)


def call(revert: Reverting) -> None:
    """Let libvirt revert the domain to an internal snapshot."""
    # Without FORCE libvirt refuses what needs a new QEMU process.
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE
    if revert.memory and revert.power_state == contract.ON:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
    elif revert.memory:
        # It stays so, or until it is stopped.
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED
    snapshot = snapshots.find(revert.domain, revert.name)
    domain = revert.domain
    domain.changed(lambda: domain.handle.revertToSnapshot(snapshot, flags))


def failure(revert: Reverting, reason: str) -> exceptions.HawkFishError | None:
    """
    What became of the domain in a call that failed, because of *reason*.

    None where the revert did take place after all.
    """
    return _run(
        revert, reason, exceptions.OperationFailed(contract.REVERT, reason)
    )


def _run(
    revert: Reverting, reason: str, refused: exceptions.HawkFishError
) -> exceptions.HawkFishError | None:
    """As ``run``; *refused* is the error where nothing has changed."""
    domain, name = revert.domain.again(), revert.name
    found = _found(domain, revert)
    if found == _REVERTED:
        return None
    if found == _BEFORE and domain.id == revert.journal.domain_id:
        return _refused(domain, revert, refused)
    if not revert.external:
        return exceptions.RevertUnknown(name, reason, domain.power_state)
    if found == _OTHER:
        return exceptions.RevertNotUndone(
            name, reason, 'the system has been changed by others meanwhile'
        )
    try:
        return _undo(domain, revert, found, reason)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        return exceptions.RevertNotUndone(name, reason, errors.text(exc))
    except (
        exceptions.SnapshotNotFound,
        exceptions.SnapshotFileMissing,
        exceptions.SnapshotFileDamaged,
        exceptions.FolderUnusable,
    ) as exc:
        # Of the snapshot itself, or of the present state of the firmware.
        said = messages.text(exc).rstrip('.')
        return exceptions.RevertNotUndone(name, reason, said)


def end_older(revert: Reverting) -> None:
    """
    Tidy up after a revert of release 1.0, wherever it was interrupted.

    It took the media out of the snapshot, and put them back at its end.
    """
    journal, context = revert.journal, revert.context
    removable_media.restore(revert.domain, revert.root)
    leftovers.remove_new_overlays(
        revert.domain.host, journal.bases, journal.overlays, context
    )
    now = xml.media(revert.domain.definition(inactive=True))
    for drive, medium in journal.media.items():
        if drive not in now:
            context.add_message(
                messages.MEDIA_EJECTED,
                xml.source_file(medium) or 'of the network',
                drive,
                'the revert was interrupted',
            )


def check_target(revert: Reverting) -> None:
    """Raise where the snapshot is gone: nobody goes on with its revert."""
    try:
        reverting.describe_target(revert)
    except (exceptions.SnapshotNotFound, exceptions.SnapshotReplaced) as exc:
        raise exceptions.RevertNotUndone(
            revert.name,
            _UNSEEN,
            messages.text(exc).rstrip('.'),
        ) from exc


def settle(revert: Reverting) -> exceptions.HawkFishError | None:
    """
    The same, where the process died during the call.

    Brings the domain back to where it was before a call that failed. Never
    starts anything before the definition is right again.
    """
    domain = revert.domain
    # QEMU may have gone back to an internal snapshot in the same process,
    # without a trace, unless another snapshot became current.
    if not revert.external and _found(domain, revert) != _REVERTED:
        return exceptions.RevertUnknown(
            revert.name, 'nobody saw its end', domain.power_state
        )
    untouched = exceptions.OperationInterrupted(
        contract.REVERT, 'the system is as it was'
    )
    return _run(revert, _UNSEEN, untouched)


def _refused(
    domain: Domain, revert: Reverting, error: exceptions.HawkFishError
) -> exceptions.HawkFishError:
    """libvirt refused before it stopped the guest, which must not suffer."""
    _restore_snapshots(domain, revert)
    if not domain.is_active:
        # Or undone but for that, by a process that died.
        _restore_present_firmware(domain, revert)
        missing = undo.missing_file(revert)
        if missing:
            return _not_undone(revert, missing)
    firmware.forget(domain.host, revert.journal.firmware, revert.context)
    return error


def _undo(
    domain: Domain, revert: Reverting, found: str, reason: str
) -> exceptions.HawkFishError:
    """Define what was before, and start it where it ran."""
    journal, context, stopped = revert.journal, revert.context, False
    if found == _BASE:
        missing = undo.missing_file(revert)
        if missing:
            return _not_undone(revert, missing)
        stopped = domain.is_active
        if stopped:
            domain.destroy()
        domain = domains.define(domain.host, journal.domain_xml)
    _restore_snapshots(domain, revert)
    leftovers.remove_new_overlays(
        domain.host, journal.bases, journal.overlays, context
    )
    if not domain.is_active:
        # QEMU has those of the snapshot written when it loaded the memory.
        definition = domain.definition(inactive=True, secure=True)
        storage = domain.host.storage
        firmware.restore(storage, revert.name, definition, journal.firmware)
    now = _restore_power(domain, journal.power_state, stopped)
    firmware.forget(domain.host, journal.firmware, context)
    return exceptions.RevertUndone(revert.name, reason, now)


def _not_undone(revert: Reverting, missing: str) -> exceptions.RevertNotUndone:
    return exceptions.RevertNotUndone(
        revert.name, 'it was interrupted', f'{missing} is deleted already'
    )


# What is found ---------------------------------------------------------------


def _found(domain: Domain, revert: Reverting) -> str:
    """
    Where the domain is after the call.

    An external revert gives every disk a new overlay: then the disks are
    neither what they were before, nor the snapshot's own files, which an
    interrupted revert leaves in the definition. An internal one leaves no
    trace but the snapshot that is current.
    """
    journal = revert.journal
    is_current = snapshots.current(domain) == revert.name
    if not revert.external:
        if domain.is_active and domain.id == journal.domain_id:
            return _BEFORE
        moved = is_current and journal.current != revert.name
        return _REVERTED if moved else _OTHER
    targets = revert.target.external
    now = _sources(xml.disks(domain.definition(secure=True)), targets)
    before = _sources(xml.disks(xml.parse(journal.live_xml)), targets)
    if now == before:
        return _BEFORE
    if now & _sources(revert.target.captured, targets):
        return _BASE
    return _REVERTED if is_current and not now & before else _OTHER


def _sources(
    disks: Iterable[xml.Disk], targets: Iterable[str]
) -> set[str | tuple[str, str] | None]:
    """What those of *disks* that have one of *targets* are kept in."""
    return {d.path or d.volume for d in disks if d.target in targets}


# What is restored ------------------------------------------------------------


def _restore_snapshots(domain: Domain, revert: Reverting) -> None:
    current = revert.journal.current
    removable_media.restore(domain, revert.root)
    if not current or not snapshots.exists(domain, current):
        return
    if snapshots.current(domain) is None:
        snapshots.make_current(domain, snapshots.describe(domain, current))


def _restore_present_firmware(domain: Domain, revert: Reverting) -> None:
    definition = domain.definition(inactive=True, secure=True)
    storage = domain.host.storage
    copies = {
        kind: path
        for kind, path in revert.journal.firmware.items()
        if storage.exists(path)
    }
    firmware.restore(storage, revert.name, definition, copies)


def _restore_power(domain: Domain, power_state: str, stopped: bool) -> str:
    """*stopped* says that it was us who have just stopped it."""
    if domain.is_active:
        return 'running'
    if power_state == contract.OFF:
        return 'off'
    if not stopped and domain.state()[1] not in _STOPPED_BY_REVERT:
        return 'off, as somebody has stopped it since'
    domain.start(power_state)
    return 'started anew, as its memory was lost'
