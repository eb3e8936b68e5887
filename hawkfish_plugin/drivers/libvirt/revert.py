# SPDX-License-Identifier: Apache-2.0
"""
Revert: the dangerous one.

libvirt stops the guest first and checks later, and a revert that fails leaves
the definition pointing at the base image, where the next start would destroy
every snapshot.  So what can be checked is checked and noted before
(``prepare``), one call is made (``revert``), and whatever goes wrong in it is
undone at once: destroy, define what was, restore the power state.  ``finish``
puts media and firmware back, ``start`` starts the system.  Nothing is ever
done on an old note alone: what is found decides.
"""

import contextlib
import posixpath
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import drivers, exceptions, messages
from hawkfish_plugin.drivers.libvirt import (
    agent, connections, discards, firmware, images, leftovers, plan, qmp,
    snapshots, space, storage, waiting, xml,
)  # fmt: skip

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE | _SECURE

# What was found after a call of which nobody knows how it ended.
_BEFORE, _BASE, _REVERTED, _OTHER = 'before', 'base', 'reverted', 'other'

# A domain that libvirt's revert, or its end, has stopped; and no operator.
_STOPPED_BY_REVERT = frozenset((
    libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN,
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED,
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED,
    libvirt.VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT,
    libvirt.VIR_DOMAIN_SHUTOFF_DAEMON,
))  # fmt: skip

_STATES = {'nvram': 'UEFI variables', 'tpm': 'state of a virtual TPM'}

# libvirt names the new overlays by the second of the clock, and stops the
# guest before it finds out that the name is taken.
_SECONDS_BETWEEN = 1.1
_last: dict[str, float] = {}
_last_lock = threading.Lock()


def check(
    connection: Any, domain: Any, request: drivers.RevertRequest
) -> xml.Element:
    """
    Raise what stands in the way of a revert.

    Returns the XML of the snapshot.
    """
    name = request.name
    root = snapshots.describe(domain, name)
    snapshot = xml.snapshot(root, None)
    if snapshot.external and not plan.supports_external(connection):
        raise exceptions.ExternalRevertNotSupported(
            name, plan.version(connection)
        )
    plan.check_unsaved(domain)
    # libvirtd would crash.
    if snapshot.external and snapshots.current(domain) is None:
        raise exceptions.CurrentUnknown(domain.name())
    if not request.force:
        exceptions.check(_not_captured(root))
    _check_names(connection, root)
    missing = storage.missing(connection, _disk_files(connection, root))
    if missing:
        raise exceptions.SnapshotFileMissing(name, missing)
    memory = xml.memory_file(root)
    if memory:
        images.check(
            connection, name, memory, domain.UUIDString(), request.memory_size
        )
    if request.ours and not request.force:
        firmware.check(connection, name, _firmware_copies(root, request))
    space.check(space.for_revert(connection, _bases(connection, root)))
    return root


def run(
    hypervisor: connections.Hypervisor, uuid: str,
    request: drivers.RevertRequest, conf: cfg.ConfigOpts, job: drivers.Job,
) -> None:
    with hypervisor.domain(uuid, 'revert') as (connection, domain):
        check(connection, domain, request)
        discards.straighten(domain)
        name = request.name
        root = snapshots.describe(domain, name)
        captured = xml.snapshot(root, None)
        _note(connection, uuid, root, job)
        try:
            firmware.capture(
                connection, xml.parse(job.journal['live_xml']),
                job.journal['firmware'],
            )  # fmt: skip
            if captured.external and xml.eject_media(root):
                snapshots.redefine(domain, root)
        except (libvirt.libvirtError, exceptions.FolderMissing):
            if connection.isAlive():
                _forget_firmware(connection, domain, job)
            raise
        since = job.journal['current'] or 'the first one'
        job.tell('HawkFish.1.0.StateDiscarded', domain.name(), since)
        for warning in _not_captured(root):
            job.tell(warning.message_id, *warning.args)
        _wait_a_second(uuid)
        job.step('revert')
        try:
            _call(domain, captured, _target(captured, request), job.journal)
        except libvirt.libvirtError as exc:
            if not connection.isAlive():
                raise
            _undo(connection, uuid, name, exc.get_error_message(), job)
        # Found out anew where it is not known.
        job.step('finish', durable=False)
        _finish(connection, uuid, request, job)
        _set_clock(connection, uuid, captured, conf, job)


def settle(
    hypervisor: connections.Hypervisor, uuid: str,
    request: drivers.RevertRequest, conf: cfg.ConfigOpts, job: drivers.Job,
) -> None:
    waiting.until_idle(hypervisor, uuid)
    with hypervisor.domain(uuid, 'revert') as (connection, domain):
        journal, name = job.journal, request.name
        root = xml.parse(journal['snapshot_xml'])
        captured = xml.snapshot(root, None)
        if journal['step'] == 'prepare':
            _restore_media(domain, name, journal)
            _forget_firmware(connection, domain, job)
            raise exceptions.OperationInterrupted(
                'revert', 'the system is as it was'
            )
        if journal['step'] == 'revert':
            if not captured.external:
                _check_moved(domain, name, journal)
            _undo(connection, uuid, name, 'it was broken off', job)
        _finish(connection, uuid, request, job)
        leftovers.remove_new_overlays(
            connection, domain, journal['bases'], journal['overlays'], job
        )
        _set_clock(connection, uuid, captured, conf, job)


# Before --------------------------------------------------------------------


def _not_captured(root: xml.Element) -> list[exceptions.HawkFishError]:
    """The disks that a revert to an external snapshot would leave alone."""
    external = xml.external_disks(root)
    if not external:
        return []
    return [
        exceptions.DiskNotCaptured(disk.target, root.findtext('name', ''))
        for disk in xml.captured_disks(root)
        if disk.target not in external and plan.is_captured(disk)
    ]  # fmt: skip


def _check_names(connection: Any, root: xml.Element) -> None:
    """
    Raise where two disks would get one overlay.

    libvirt names it after the file, with the time in the place of the ending,
    and stops the guest before it looks.
    """
    external, taken = xml.external_disks(root), dict[str, str]()
    for disk in xml.captured_disks(root):
        path = plan.file_of(connection, disk)
        if disk.target not in external or not path:
            continue
        folder, name = posixpath.split(path)
        stem = posixpath.join(folder, posixpath.splitext(name)[0])
        if stem in taken:
            raise exceptions.DiskNamesCollide(
                disk.target, taken[stem], f'{stem}.'
            )
        taken[stem] = disk.target


def _disk_files(connection: Any, root: xml.Element) -> list[str]:
    """The disks without which the snapshot cannot be reverted to."""
    external = xml.external_disks(root)
    disks = [
        plan.file_of(connection, disk)
        for disk in xml.captured_disks(root)
        # Media are taken out of an external snapshot before a revert.
        if disk.target in external or not external
    ]
    return [path for path in disks if path]


def _firmware_copies(
    root: xml.Element, request: drivers.RevertRequest
) -> dict[str, str]:
    """
    The copies that a revert has to put back, by their kind.

    QEMU does so itself where it lets the guest go on with its memory.
    """
    captured = xml.snapshot(root, None)
    off = _target(captured, request) == drivers.OFF
    return firmware.copies(root) if off or not captured.memory else {}


def _forget_firmware(
    connection: Any, domain: Any, job: drivers.Job
) -> None:
    """Remove what would have brought the present firmware back."""
    paths = job.journal['firmware'].values()
    leftovers.remove(connection, domain, paths, job)


def _bases(connection: Any, root: xml.Element) -> list[str]:
    """The files that a revert puts new overlays over."""
    external = xml.external_disks(root)
    disks = [d for d in xml.captured_disks(root) if d.target in external]
    return [path for d in disks if (path := plan.file_of(connection, d))]


def _note(
    connection: Any, uuid: str, root: xml.Element, job: drivers.Job
) -> None:
    # The id of a domain is that of the handle's look-up: looked up anew.
    domain = connections.find(connection, uuid)
    bases = _bases(connection, root)
    job.step(
        'prepare',
        snapshot_xml=xml.render(root),
        domain_xml=domain.XMLDesc(_INACTIVE),
        live_xml=domain.XMLDesc(_SECURE),
        power_state=plan.power_state(domain),
        domain_id=domain.ID(),
        current=snapshots.current(domain),
        media=_media(root),
        bases=bases,
        overlays=leftovers.revert_overlays(connection, bases),
        firmware=_new_copies(domain, bases),
    )


def _new_copies(domain: Any, bases: Sequence[str]) -> dict[str, str]:
    """Where the present state of the firmware is kept meanwhile."""
    if not bases:
        return {}
    return firmware.files(
        xml.parse(domain.XMLDesc(_SECURE)), posixpath.dirname(bases[0]),
        secrets.token_hex(6), not domain.isActive(),
    )  # fmt: skip


def _media(root: xml.Element) -> dict[str, str]:
    captured = root.find('domain')
    if captured is None or not xml.snapshot(root, None).external:
        return {}
    return xml.media(captured)


def _target(
    captured: drivers.Snapshot, request: drivers.RevertRequest
) -> str:
    if request.power_state != drivers.AS_CAPTURED:
        return request.power_state
    return captured.power_state or drivers.OFF


def _wait_a_second(uuid: str) -> None:
    with _last_lock:
        ready = _last.get(uuid, 0.0) + _SECONDS_BETWEEN
    time.sleep(max(0.0, ready - time.monotonic()))


def _call(
    domain: Any, captured: drivers.Snapshot, target: str,
    journal: Mapping[str, Any],
) -> None:
    # Without FORCE libvirt refuses what needs a new QEMU process.
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE
    if captured.memory and target == drivers.ON and not journal['media']:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
    elif captured.memory:
        # It waits for its media, or until it is stopped.
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED
    # One without memory is left off, and started afterwards: libvirt deletes
    # the old overlays before it starts it, so there is no way back from a
    # start that fails in this call.
    try:
        domain.revertToSnapshot(
            snapshots.find(domain, captured.name), flags
        )
    finally:
        with _last_lock:
            _last[domain.UUIDString()] = time.monotonic()


# After ---------------------------------------------------------------------


def _finish(
    connection: Any, uuid: str, request: drivers.RevertRequest,
    job: drivers.Job,
) -> None:
    """Put back what was taken out for the call; may be called again."""
    try:
        _put_back(connection, uuid, request, job)
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        raise exceptions.RevertUnfinished(
            request.name, exc.get_error_message()
        ) from exc


def _put_back(
    connection: Any, uuid: str, request: drivers.RevertRequest,
    job: drivers.Job,
) -> None:
    domain = connections.find(connection, uuid)
    root = xml.parse(job.journal['snapshot_xml'])
    try:
        _restore_media(domain, request.name, job.journal)
        for drive, element in job.journal['media'].items():
            _insert(connection, domain, drive, element, job)
    finally:
        captured = xml.snapshot(root, None)
        target = _target(captured, request)
        if job.journal['step'] != 'start':
            _stop(domain, captured, target)
            _restore_firmware(connection, domain, root, request, job)
            job.step('start')
        _set_power(domain, captured, target, job.journal)
    _forget_firmware(connection, domain, job)
    if captured.external:
        before = xml.files(xml.parse(job.journal['live_xml']))
        leftovers.remove_discarded(connection, domain, before, job)


def _is_paused(domain: Any) -> bool:
    return bool(domain.isActive()) and plan.is_paused(domain)


def _stop(domain: Any, captured: drivers.Snapshot, target: str) -> None:
    if captured.memory and target == drivers.OFF and _is_paused(domain):
        domain.destroy()


def _set_power(
    domain: Any, captured: drivers.Snapshot, target: str,
    journal: Mapping[str, Any],
) -> None:
    # Only what the call has left to do: whoever was here since then may
    # have had reasons.
    if captured.memory:
        if target == drivers.ON and journal['media'] and _is_paused(domain):
            domain.resume()
    elif target != drivers.OFF and not domain.isActive():
        _start(domain, captured.name, target)


def _restore_firmware(
    connection: Any, domain: Any, root: xml.Element,
    request: drivers.RevertRequest, job: drivers.Job,
) -> None:
    if domain.isActive():
        return
    definition = xml.parse(domain.XMLDesc(_INACTIVE))
    for kind, path in _firmware_copies(root, request).items():
        try:
            firmware.restore(
                connection, request.name, definition, {kind: path}
            )
        except (
            exceptions.SnapshotFileMissing, exceptions.SnapshotFileDamaged,
            exceptions.FolderMissing,
        ) as exc:  # fmt: skip
            job.tell(
                'HawkFish.1.0.FirmwareNotRestored', request.name,
                messages.text(exc).removesuffix('.'),
            )  # fmt: skip
    for words in _without_copy(root):
        job.tell(
            'HawkFish.1.0.FirmwareNotRestored', request.name,
            f'It holds no {words}',
        )  # fmt: skip


def _without_copy(root: xml.Element) -> list[str]:
    """What of the firmware only a copy would bring back, and has none."""
    captured, domain = xml.snapshot(root, None), root.find('domain')
    if captured.memory or domain is None:
        return []
    kinds = xml.firmware(domain, off=True).keys() - firmware.copies(root)
    # Variables in a raw file forbid an internal snapshot, and those in a
    # qcow2 file are part of it.
    if not captured.external:
        kinds -= {'nvram'}
    return [words for kind, words in _STATES.items() if kind in kinds]


def _set_clock(
    connection: Any, uuid: str, captured: drivers.Snapshot,
    conf: cfg.ConfigOpts, job: drivers.Job,
) -> None:
    domain = connections.find(connection, uuid)
    running = plan.power_state(domain) == drivers.ON
    if captured.memory and running and conf.revert.sync_guest_time:
        agent.set_clock(domain, conf.snapshots.quiesce_timeout, job)


def _start(domain: Any, name: str, target: str) -> None:
    paused = libvirt.VIR_DOMAIN_START_PAUSED
    try:
        domain.createWithFlags(paused if target == drivers.PAUSED else 0)
    except libvirt.libvirtError as exc:
        if not domain.connect().isAlive():
            raise
        raise exceptions.RevertNotStarted(
            name, exc.get_error_message()
        ) from exc


def _restore_media(
    domain: Any, name: str, journal: Mapping[str, Any]
) -> None:
    """Let the snapshot have its media again, for the next revert to it."""
    # What libvirt has noted in it since is kept, such as the new overlays.
    root = snapshots.describe(domain, name)
    if xml.insert_media(root, xml.parse(journal['snapshot_xml'])):
        snapshots.redefine(domain, root)


def _insert(
    connection: Any, domain: Any, drive: str, element: str, job: drivers.Job
) -> None:
    path = xml.source_file(element)
    try:
        if path and not storage.exists(connection, path):
            job.tell('HawkFish.1.0.MediaEjected', path, drive, 'it is gone')
            return
        _change_media(domain, drive, element)
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        job.tell(
            'HawkFish.1.0.MediaEjected', path or 'of the network', drive,
            exc.get_error_message(),
        )  # fmt: skip


def _change_media(domain: Any, drive: str, element: str) -> None:
    # By force: the guest may have locked the door of the drive.
    flags = libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
    domain.updateDeviceFlags(
        element, flags | libvirt.VIR_DOMAIN_AFFECT_CONFIG
    )
    if domain.isActive():
        with _tray_open(domain, drive):
            domain.updateDeviceFlags(
                element, flags | libvirt.VIR_DOMAIN_AFFECT_LIVE
            )


@contextlib.contextmanager
def _tray_open(domain: Any, drive: str) -> Iterator[None]:
    """
    Keep the tray of *drive* open meanwhile.

    libvirt does not know the tray of a QEMU that it started from a memory
    file, and would not open it by itself (seen with 11.3).
    """
    alias = xml.alias(xml.parse(domain.XMLDesc(_SECURE)), drive)
    qmp.ask(domain, 'blockdev-open-tray', {'id': alias, 'force': True})
    try:
        yield
    finally:
        qmp.ask(domain, 'blockdev-close-tray', {'id': alias})


# When it went wrong --------------------------------------------------------


def _undo(
    connection: Any, uuid: str, name: str, reason: str, job: drivers.Job
) -> None:
    """
    Bring the domain back to where it was before the call, and raise.

    Returns only where the revert did take place. Never starts anything
    before the definition is right again.
    """
    journal = job.journal
    domain = connections.find(connection, uuid)
    found = _found(domain, name, journal)
    if found == _REVERTED:
        return
    if found == _BEFORE and domain.ID() == journal['domain_id']:
        # Refused before the guest was stopped: it must not suffer.
        _restore_snapshots(domain, name, journal)
        if not domain.isActive():
            # Or undone but for that, by a process that died.
            _restore_present_firmware(connection, domain, name, journal)
            _check_whole(connection, name, journal)
        _forget_firmware(connection, domain, job)
        raise exceptions.OperationFailed('revert', reason)
    if not _is_external(journal):
        raise exceptions.RevertUnknown(name, reason, plan.power_state(domain))
    if found == _OTHER:
        raise exceptions.RevertNotUndone(
            name, reason, 'the system has been changed by others meanwhile'
        )
    try:
        now = _restore(connection, domain, name, found, job)
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        raise exceptions.RevertNotUndone(
            name, reason, exc.get_error_message()
        ) from exc
    except (
        exceptions.SnapshotNotFound, exceptions.SnapshotFileMissing,
        exceptions.SnapshotFileDamaged, exceptions.FolderMissing,
    ) as exc:  # fmt: skip
        # Of the snapshot itself, or of the present state of the firmware.
        raise exceptions.RevertNotUndone(
            name, reason, messages.text(exc).rstrip('.')
        ) from exc
    raise exceptions.RevertUndone(name, reason, now)


def _check_moved(
    domain: Any, name: str, journal: Mapping[str, Any]
) -> None:
    # QEMU may have gone back to an internal snapshot in the same process,
    # without a trace: only another current snapshot tells.
    if _found(domain, name, journal) != _REVERTED:
        raise exceptions.RevertUnknown(
            name, 'nobody saw its end', plan.power_state(domain)
        )


def _is_external(journal: Mapping[str, Any]) -> bool:
    root = xml.parse(journal['snapshot_xml'])
    return xml.snapshot(root, None).external


def _found(domain: Any, name: str, journal: Mapping[str, Any]) -> str:
    """
    Where the domain stands after the call.

    An external revert gives every disk a new overlay: then the disks are
    neither what they were before, nor the snapshot's own files, which a
    revert that broke off leaves in the definition. An internal one leaves no
    trace but the snapshot that is current.
    """
    stands_on = snapshots.current(domain) == name
    if not _is_external(journal):
        if domain.isActive() and domain.ID() == journal['domain_id']:
            return _BEFORE
        moved = stands_on and journal['current'] != name
        return _REVERTED if moved else _OTHER
    root = xml.parse(journal['snapshot_xml'])
    now = _sources(xml.parse(domain.XMLDesc(_SECURE)), root)
    before = _sources(xml.parse(journal['live_xml']), root)
    if now == before:
        return _BEFORE
    if now & _sources(root.find('domain'), root):
        return _BASE
    return _REVERTED if stands_on and not now & before else _OTHER


def _sources(domain: xml.Element | None, root: xml.Element) -> set[Any]:
    captured = xml.external_disks(root)
    listed = [] if domain is None else xml.disks(domain)
    return {d.path or d.volume for d in listed if d.target in captured}


def _restore(
    connection: Any, domain: Any, name: str, found: str, job: drivers.Job
) -> str:
    """Define what was before; returns what became of the system."""
    journal, stopped = job.journal, False
    if found == _BASE:
        _check_whole(connection, name, journal)
        stopped = bool(domain.isActive())
        if stopped:
            domain.destroy()
        domain = connection.defineXML(journal['domain_xml'])
    _restore_snapshots(domain, name, journal)
    leftovers.remove_new_overlays(
        connection, domain, journal['bases'], journal['overlays'], job
    )
    if not domain.isActive():
        # QEMU has those of the snapshot written when it loaded the memory.
        definition = xml.parse(domain.XMLDesc(_INACTIVE))
        firmware.restore(connection, name, definition, journal['firmware'])
    now = _restore_power(domain, journal['power_state'], stopped)
    _forget_firmware(connection, domain, job)
    return now


def _restore_present_firmware(
    connection: Any, domain: Any, name: str, journal: Mapping[str, Any]
) -> None:
    definition = xml.parse(domain.XMLDesc(_INACTIVE))
    copies = {
        kind: path for kind, path in journal['firmware'].items()
        if storage.exists(connection, path)
    }
    firmware.restore(connection, name, definition, copies)


def _check_whole(
    connection: Any, name: str, journal: Mapping[str, Any]
) -> None:
    """Raise where a file of the definition to restore is gone."""
    root = xml.parse(journal['domain_xml'])
    for disk in xml.disks(root):
        path = None if disk.is_media else disk.path
        if path and not storage.exists(connection, path):
            raise exceptions.RevertNotUndone(
                name, 'it broke off', f'{path} is deleted already'
            )


def _restore_snapshots(
    domain: Any, name: str, journal: Mapping[str, Any]
) -> None:
    _restore_media(domain, name, journal)
    if journal['current'] and snapshots.current(domain) is None:
        snapshots.make_current(domain, journal['current'])


def _restore_power(domain: Any, power_state: str, stopped: bool) -> str:
    """*stopped* says that it was us who has just stopped it."""
    if domain.isActive():
        return 'running'
    if power_state == drivers.OFF:
        return 'off'
    if not stopped and domain.state()[1] not in _STOPPED_BY_REVERT:
        return 'off, as somebody has stopped it since'
    paused = libvirt.VIR_DOMAIN_START_PAUSED
    domain.createWithFlags(paused if power_state == drivers.PAUSED else 0)
    return 'started anew, as its memory was lost'
