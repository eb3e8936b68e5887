# SPDX-License-Identifier: Apache-2.0
"""
Revert: the dangerous one.

libvirt stops the guest first and checks later, and a revert that fails leaves
the definition pointing at the base image, where the next start would destroy
every snapshot.  So all is checked and noted before (``prepare``), one call is
made (``revert``), and whatever goes wrong in it is undone at once: destroy,
define what was, restore the power state.  ``finish`` puts media back.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import libvirt
import libvirt_qemu

from hawkfish_plugin import drivers, exceptions
from hawkfish_plugin.drivers.libvirt import (
    connections, delete, plan, storage, waiting, xml,
)  # fmt: skip

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE | _SECURE
_REDEFINE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
_CURRENT = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT

# libvirt names the new overlays by the second of the clock, and stops the
# guest before it finds out that the name is taken.
_SECONDS_BETWEEN = 1.1
_last: dict[str, float] = {}
_last_lock = threading.Lock()


def check(connection: Any, domain: Any, name: str) -> None:
    """Raise what stands in the way of a revert to *name*."""
    root = _describe(domain, name)
    snapshot = xml.snapshot(root, None)
    if snapshot.external and not plan.supports_external(connection):
        raise exceptions.ExternalRevertNotSupported(
            name, plan.version(connection)
        )
    plan.check_unsaved(domain)
    for path in _files(connection, root):
        if not storage.exists(connection, path):
            raise exceptions.SnapshotFileMissing(name, path)


def run(
    hypervisor: connections.Hypervisor, uuid: str, name: str,
    power_state: str, job: drivers.Job,
) -> None:
    with hypervisor.domain(uuid, 'revert') as (connection, domain):
        check(connection, domain, name)
        root = _describe(domain, name)
        _note(domain, root, job)
        _tell_loss(domain, job)
        if xml.snapshot(root, None).external and xml.eject_media(root):
            _redefine(domain, name, xml.render(root))
        _wait_a_second(uuid)
        job.step('revert')
        target = _target_state(root, power_state)
        try:
            _revert(domain, name, target, job)
        except libvirt.libvirtError as exc:
            if not connection.isAlive():
                raise
            _undo(connection, uuid, name, exc.get_error_message(), job)
        job.step('finish')
        _finish(connection, uuid, name, target, job)


def settle(
    hypervisor: connections.Hypervisor, uuid: str, name: str,
    power_state: str, job: drivers.Job,
) -> None:
    waiting.until_idle(hypervisor, uuid, job)
    with hypervisor.domain(uuid, 'revert') as (connection, domain):
        root = xml.parse(job.journal['snapshot_xml'])
        if _took_place(domain, name, job.journal):
            target = _target_state(root, power_state)
            _finish(connection, uuid, name, target, job)
            return
        _undo(connection, uuid, name, 'it was broken off', job)


def _describe(domain: Any, name: str) -> xml.Element:
    found = delete.find(domain, name)
    return xml.parse(
        found.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    )


def _files(connection: Any, root: xml.Element) -> list[str]:
    """The files without which the snapshot cannot be reverted to."""
    memory, external = xml.memory_file(root), xml.external_disks(root)
    disks = [
        plan.file_of(connection, disk)
        for disk in xml.captured_disks(root)
        # Media are taken out of an external snapshot before a revert.
        if disk.target in external or not external
    ]
    return [path for path in [memory, *disks] if path]


def _note(domain: Any, root: xml.Element, job: drivers.Job) -> None:
    current = None
    if domain.hasCurrentSnapshot():
        current = domain.snapshotCurrent().getName()
    job.step(
        'prepare',
        snapshot_xml=xml.render(root),
        domain_xml=domain.XMLDesc(_INACTIVE),
        power_state=power_state_of(domain),
        domain_id=domain.ID(),
        current=current,
        media=_media(root),
    )


def _media(root: xml.Element) -> dict[str, str]:
    captured = root.find('domain')
    if captured is None or not xml.snapshot(root, None).external:
        return {}
    return xml.media(captured)


def _tell_loss(domain: Any, job: drivers.Job) -> None:
    since = job.journal['current'] or 'the first one'
    job.tell('HawkFish.1.0.StateDiscarded', domain.name(), since)


def _target_state(root: xml.Element, power_state: str) -> str:
    if power_state != drivers.AS_CAPTURED:
        return power_state
    return xml.snapshot(root, None).power_state or drivers.OFF


def _wait_a_second(uuid: str) -> None:
    with _last_lock:
        ready = _last.get(uuid, 0.0) + _SECONDS_BETWEEN
    time.sleep(max(0.0, ready - time.monotonic()))


def _revert(domain: Any, name: str, target: str, job: drivers.Job) -> None:
    captured = xml.snapshot(xml.parse(job.journal['snapshot_xml']), None)
    # Without it libvirt refuses what needs a new QEMU process.
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE
    # A guest whose media were taken out waits until they are back; and one
    # with memory is never off, so it is stopped afterwards.
    waits = target == drivers.ON and job.journal['media']
    stops = target == drivers.OFF and captured.memory
    if target == drivers.PAUSED or waits or stops:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED
    elif target == drivers.ON:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
    try:
        domain.revertToSnapshot(delete.find(domain, name), flags)
    finally:
        with _last_lock:
            _last[domain.UUIDString()] = time.monotonic()


def _finish(
    connection: Any, uuid: str, name: str, target: str, job: drivers.Job
) -> None:
    """Put back what was taken out for the call; may be called again."""
    domain = connections.find(connection, uuid)
    _restore_media(domain, name, job.journal)
    for drive, element in job.journal['media'].items():
        _insert(connection, domain, drive, element, job)
    if target == drivers.OFF and domain.isActive():
        domain.destroy()
    if target == drivers.ON and plan.is_paused(domain):
        domain.resume()


def _insert(
    connection: Any, domain: Any, drive: str, element: str, job: drivers.Job
) -> None:
    path = xml.source_file(element)
    if not storage.exists(connection, path):
        job.tell('HawkFish.1.0.MediaEjected', path, drive)
        return
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
    _ask_qemu(domain, 'blockdev-open-tray', id=alias, force=True)
    try:
        yield
    finally:
        _ask_qemu(domain, 'blockdev-close-tray', id=alias)


def _ask_qemu(domain: Any, command: str, **arguments: object) -> None:
    text = json.dumps({'execute': command, 'arguments': arguments})
    libvirt_qemu.qemuMonitorCommand(domain, text, 0)


def _restore_media(
    domain: Any, name: str, journal: Mapping[str, Any]
) -> None:
    """Let the snapshot have its media again, for the next revert to it."""
    # What libvirt has noted in it since is kept, such as the new overlays.
    root = _describe(domain, name)
    if xml.insert_media(root, xml.parse(journal['snapshot_xml'])):
        _redefine(domain, name, xml.render(root))


def _redefine(domain: Any, name: str, text: str) -> None:
    found = delete.find(domain, name)
    flags = _REDEFINE | (_CURRENT if found.isCurrent() else 0)
    domain.snapshotCreateXML(text, flags)


def _took_place(domain: Any, name: str, journal: Mapping[str, Any]) -> bool:
    """
    Whether the domain now stands on the snapshot.

    An external revert gives every disk a new overlay: the disks are neither
    what they were before, nor the snapshot's own files.
    """
    if not domain.hasCurrentSnapshot():
        return False
    if domain.snapshotCurrent().getName() != name:
        return False
    root = xml.parse(journal['snapshot_xml'])
    if not xml.snapshot(root, None).external:
        return bool(journal['current'] != name)
    now = _sources(xml.parse(domain.XMLDesc(_SECURE)), root)
    before = _sources(xml.parse(journal['domain_xml']), root)
    return now.isdisjoint(before | _sources(root.find('domain'), root))


def _sources(domain: xml.Element | None, root: xml.Element) -> set[Any]:
    captured = xml.external_disks(root)
    listed = [] if domain is None else xml.disks(domain)
    return {d.path or d.volume for d in listed if d.target in captured}


def _undo(
    connection: Any, uuid: str, name: str, reason: str, job: drivers.Job
) -> None:
    """
    Bring the domain back to where it was before the call; always raises.

    Never starts anything before the definition is right again.
    """
    journal = job.journal
    try:
        domain = connections.find(connection, uuid)
        if domain.isActive() and domain.ID() == journal['domain_id']:
            # Refused before the guest was stopped: it must not suffer.
            _restore_snapshots(domain, name, journal)
            raise exceptions.OperationFailed('revert', reason)
        if domain.isActive():
            domain.destroy()
        domain = connection.defineXML(journal['domain_xml'])
        _restore_snapshots(domain, name, journal)
        now = _restore_power(domain, journal['power_state'])
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        raise exceptions.RevertNotUndone(
            name, reason, exc.get_error_message()
        ) from exc
    raise exceptions.RevertUndone(name, reason, now)


def _restore_snapshots(
    domain: Any, name: str, journal: Mapping[str, Any]
) -> None:
    _restore_media(domain, name, journal)
    current = journal['current']
    if current is None or domain.snapshotLookupByName(current).isCurrent():
        return
    text = domain.snapshotLookupByName(current).getXMLDesc(
        libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE
    )
    domain.snapshotCreateXML(text, _REDEFINE | _CURRENT)


def _restore_power(domain: Any, power_state: str) -> str:
    if power_state == drivers.OFF:
        return 'off'
    flags = 0
    if power_state == drivers.PAUSED:
        flags = libvirt.VIR_DOMAIN_START_PAUSED
    domain.createWithFlags(flags)
    return 'started anew, as its memory was lost'


def power_state_of(domain: Any) -> str:
    if not domain.isActive():
        return drivers.OFF
    return drivers.PAUSED if plan.is_paused(domain) else drivers.ON
