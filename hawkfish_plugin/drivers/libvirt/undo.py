# SPDX-License-Identifier: Apache-2.0
"""
The way back from a revert.

Until a revert has ended, the files that the system was on are still there.
The way back is to define again what the journal has noted; then the new
overlays go, and the system has the power state that it had.
"""

import dataclasses
import enum
from collections.abc import Container, Iterable, Mapping

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    domains,
    errors,
    firmware,
    leftovers,
    parsed,
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.reverting import Reverting

# By target, the path of a disk, or its pool and volume.
Sources = Mapping[str, str | tuple[str, str] | None]

BY_OTHERS = 'the system has been changed by others meanwhile'


class Place(enum.Enum):
    """
    Where a system is whose revert has failed or was interrupted.

    UNTOUCHED: it was never stopped.  BEFORE: it was stopped, and is on the
    files of before.  AFTER: on the new overlays, which are empty.  USED: on
    them, and somebody has let it run there.  OTHER: on neither.
    """

    UNTOUCHED, BEFORE, AFTER, USED, OTHER = range(5)


def find(revert: Reverting) -> Place:
    """Where the domain is, by the files of the definition that is in use."""
    domain, journal = revert.domain.again(), revert.journal
    targets = journal.created
    now = _sources(domain.definition(secure=True), targets)
    live, stopped = (
        _sources(xml.parse(text), targets)
        for text in (journal.live_xml, journal.domain_xml)
    )
    if now == live or (now == stopped and not domain.is_active):
        # On other files its number says nothing: it comes again when the host
        # has restarted.
        same = domain.id == journal.domain_id and not journal.undoing
        return Place.UNTOUCHED if same else Place.BEFORE
    if now not in _after(revert):
        return Place.OTHER
    return Place.USED if _is_used(domain, targets.values()) else Place.AFTER


def _after(revert: Reverting) -> list[Sources]:
    """Where the disks may be that are on the new overlays."""
    journal = revert.journal
    definitions = [xml.parse(journal.next_xml)]
    captured = revert.root.find('domain')
    # Some disks may be of the running system alone, or of its next start.
    if journal.loads_memory and captured is not None:
        definitions.append(captured)
    return [
        {
            disk.target: journal.created[disk.target]
            for disk in xml.disks(definition)
            if disk.target in journal.created
        }
        for definition in definitions
    ]


def _is_used(domain: Domain, overlays: Iterable[str]) -> bool:
    """
    Whether somebody has let *domain* run on its new *overlays*.

    A revert that has not ended only loads the memory, and leaves it paused.
    """
    if domain.is_active and not domain.is_paused:
        return True
    written = domain.host.storage.is_written
    return domain.has_managed_save or any(written(path) for path in overlays)


def can_be_undone(revert: Reverting) -> bool:
    """Whether the way back loses nothing, and is still there."""
    return (
        revert.is_ours
        and find(revert) == Place.AFTER
        and not missing_file(revert)
    )


def _sources(definition: xml.Element, targets: Container[str]) -> Sources:
    """What those of the disks that have one of *targets* are kept in."""
    return {
        disk.target: disk.path or disk.volume
        for disk in xml.disks(definition)
        if disk.target in targets
    }


def run(revert: Reverting, reason: str) -> exceptions.HawkFishError:
    """
    Bring the domain back to where it was before the change.

    *reason* is why the change failed.  Returns the error that says what
    became of the system.
    """
    domain, name = revert.domain.again(), revert.name
    try:
        place = find(revert)
        if place in (Place.USED, Place.OTHER):
            return exceptions.RevertNotUndone(name, reason, BY_OTHERS)
        if place == Place.UNTOUCHED:
            take_back(revert)
            return exceptions.OperationFailed(contract.REVERT, reason)
        return _undo(domain, revert, place, reason)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        return exceptions.RevertNotUndone(name, reason, errors.text(exc))
    except (exceptions.Conflict, exceptions.NotFound) as exc:
        # Of the present state of the firmware, for example.
        said = messages.text(exc).rstrip('.')
        return exceptions.RevertNotUndone(name, reason, said)


def _undo(
    domain: Domain, revert: Reverting, place: Place, reason: str
) -> exceptions.HawkFishError:
    journal, context = revert.journal, revert.context
    missing = missing_file(revert)
    if missing:
        return exceptions.RevertNotUndone(
            revert.name, reason, f'{missing} is deleted already'
        )
    # Whoever finds it stopped knows that it was not stopped by others.
    context.step(context.last_step, dataclasses.replace(journal, undoing=True))
    if domain.is_active and place == Place.AFTER:
        domain.destroy()
    _define_old(revert)
    domain = domain.again()
    if not domain.is_active:
        # QEMU has written those of the snapshot when it loaded the memory.
        definition = domain.definition(inactive=True, secure=True)
        storage = domain.host.storage
        firmware.restore(storage, revert.name, definition, journal.firmware)
    now = _restore_power(domain, journal.power_state)
    clean_up(revert)
    return exceptions.RevertUndone(revert.name, reason, now)


def take_back(revert: Reverting) -> None:
    """Define again what a system that was not stopped has next."""
    _define_old(revert)
    clean_up(revert)


def clean_up(revert: Reverting) -> None:
    """Remove what was made for a revert that does not take place."""
    journal, host = revert.journal, revert.domain.host
    made = [*journal.created.values(), *journal.firmware.values()]
    leftovers.remove(host, made, revert.context)


def _define_old(revert: Reverting) -> None:
    journal, domain = revert.journal, revert.domain.again()
    now = domain.definition(inactive=True, secure=True)
    targets = journal.created
    if targets.items() & _sources(now, targets).items():
        domains.define(domain.host, journal.domain_xml)
    # It may have noted already that the system grows from its target.
    _restore_snapshot(domain, revert.root, current=False)
    if journal.current and journal.current_xml:
        before = xml.parse(journal.current_xml)
        _restore_snapshot(domain, before, current=True)


def _restore_snapshot(
    domain: Domain, before: xml.Element, current: bool
) -> None:
    """
    Let a snapshot name the files of *before* as what a revert removes.

    And let it be the *current* one, where it was.
    """
    name = before.findtext('name', '')
    if not snapshots.exists(domain, name):
        return
    # Its parent may be another one by now.
    root = snapshots.describe(domain, name)
    # One that somebody has deleted meanwhile must not come back, nor stand for
    # a later one of its name.
    if _created(root) != _created(before):
        return
    removed = snapshot_xml.revert_disks(before)
    restored = snapshot_xml.revert_disks(root) == removed
    if not restored:
        snapshot_xml.set_revert_disks(root, removed)
    if current and not (restored and snapshots.current(domain) == name):
        snapshots.make_current(domain, root)
    elif not restored:
        snapshots.redefine(domain, root)


def _created(snapshot: xml.Element) -> int:
    return parsed.parse(snapshot).record.created


def missing_file(revert: Reverting) -> str | None:
    """The first file of the definition to restore that is gone."""
    for disk in xml.disks(xml.parse(revert.journal.domain_xml)):
        path = None if disk.is_removable else disk.path
        if path and not revert.domain.host.storage.exists(path):
            return path
    return None


def _restore_power(domain: Domain, power_state: str) -> str:
    if domain.is_active:
        return 'running'
    if power_state == contract.OFF:
        return 'off'
    try:
        domain.start(power_state)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        return f'off, as it cannot be started: {errors.text(exc)}'
    return 'started anew, as its memory was lost'
