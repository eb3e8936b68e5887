# SPDX-License-Identifier: Apache-2.0
"""
Revert: the dangerous one.

libvirt stops the guest first and checks later, and a revert that fails leaves
the definition pointing at the base image, where the next start would destroy
every snapshot.  So what can be checked is checked and noted before
(``prepare``), one call is made (``revert``), and whatever goes wrong in it is
undone at once (see ``undo``).  ``finish`` puts media and firmware back,
``start`` starts the system.  Nothing is ever done on an old note alone: what
is found decides.
"""

import posixpath
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    agent,
    connections,
    domain_jobs,
    firmware,
    leftovers,
    memory_images,
    plan,
    removable_media,
    revert_disks,
    snapshots,
    space,
    storage,
    undo,
    xml,
)

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE | _SECURE

_STATES = {'nvram': 'UEFI variables', 'tpm': 'state of a virtual TPM'}

# libvirt names the new overlays by the second of the clock, and stops the
# guest before it finds out that the name is taken.
_SECONDS_BETWEEN = 1.1
_last: dict[str, float] = {}
_last_lock = threading.Lock()


def check(
    connection: Any, domain: Any, request: contract.RevertRequest
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
        memory_images.check(
            connection, name, memory, domain.UUIDString(), request.memory_size
        )
    if request.ours and not request.force:
        firmware.check(connection, name, _firmware_copies(root, request))
    space.check(space.for_revert(connection, _bases(connection, root)))
    return root


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.RevertRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> None:
    with hypervisor.domain(uuid, 'revert') as (connection, domain):
        check(connection, domain, request)
        revert_disks.correct(domain)
        name = request.name
        root = snapshots.describe(domain, name)
        captured = xml.snapshot(root, None)
        _note(connection, uuid, root, context)
        try:
            firmware.capture(
                connection,
                xml.parse(context.journal['live_xml']),
                context.journal['firmware'],
            )
            if captured.external and xml.eject_media(root):
                snapshots.redefine(domain, root)
        except (libvirt.libvirtError, exceptions.FolderMissing):
            if connection.isAlive():
                undo.forget_firmware(connection, domain, context)
            raise
        since = context.journal['current'] or 'the first one'
        context.tell('HawkFish.1.0.StateDiscarded', domain.name(), since)
        for warning in _not_captured(root):
            context.tell(warning.message_id, *warning.args)
        _wait_a_second(uuid)
        context.step('revert')
        try:
            _call(
                domain, captured, _target(captured, request), context.journal
            )
        except libvirt.libvirtError as exc:
            if not connection.isAlive():
                raise
            undo.run(connection, uuid, name, exc.get_error_message(), context)
        # Found out anew where it is not known.
        context.step('finish', durable=False)
        _finish(connection, uuid, request, context)
        _set_clock(connection, uuid, captured, conf, context)


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.RevertRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> None:
    domain_jobs.until_idle(hypervisor, uuid)
    with hypervisor.domain(uuid, 'revert') as (connection, domain):
        journal, name = context.journal, request.name
        root = xml.parse(journal['snapshot_xml'])
        captured = xml.snapshot(root, None)
        if journal['step'] == 'prepare':
            removable_media.give_back(domain, name, journal)
            undo.forget_firmware(connection, domain, context)
            raise exceptions.OperationInterrupted(
                'revert', 'the system is as it was'
            )
        if journal['step'] == 'revert':
            if not captured.external:
                undo.check_moved(domain, name, journal)
            undo.run(connection, uuid, name, 'it was broken off', context)
        _finish(connection, uuid, request, context)
        leftovers.remove_new_overlays(
            connection, domain, journal['bases'], journal['overlays'], context
        )
        _set_clock(connection, uuid, captured, conf, context)


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
    ]


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
    root: xml.Element, request: contract.RevertRequest
) -> dict[str, str]:
    """
    The copies that a revert has to put back, by their kind.

    QEMU does so itself where it lets the guest go on with its memory.
    """
    captured = xml.snapshot(root, None)
    off = _target(captured, request) == contract.OFF
    return firmware.copies(root) if off or not captured.memory else {}


def _bases(connection: Any, root: xml.Element) -> list[str]:
    """The files that a revert puts new overlays over."""
    external = xml.external_disks(root)
    disks = [d for d in xml.captured_disks(root) if d.target in external]
    return [path for d in disks if (path := plan.file_of(connection, d))]


def _note(
    connection: Any,
    uuid: str,
    root: xml.Element,
    context: contract.TaskContext,
) -> None:
    # The id of a domain is that of the handle's look-up: looked up anew.
    domain = connections.find(connection, uuid)
    bases = _bases(connection, root)
    context.step(
        'prepare',
        snapshot_xml=xml.render(root),
        domain_xml=domain.XMLDesc(_INACTIVE),
        live_xml=domain.XMLDesc(_SECURE),
        power_state=plan.power_state(domain),
        domain_id=domain.ID(),
        current=snapshots.current(domain),
        media=removable_media.of(root),
        bases=bases,
        overlays=leftovers.revert_overlays(connection, bases),
        firmware=_new_copies(domain, bases),
    )


def _new_copies(domain: Any, bases: Sequence[str]) -> dict[str, str]:
    """Where the present state of the firmware is kept meanwhile."""
    if not bases:
        return {}
    return firmware.files(
        xml.parse(domain.XMLDesc(_SECURE)),
        posixpath.dirname(bases[0]),
        secrets.token_hex(6),
        not domain.isActive(),
    )


def _target(
    captured: contract.Snapshot, request: contract.RevertRequest
) -> str:
    if request.power_state != contract.AS_CAPTURED:
        return request.power_state
    return captured.power_state or contract.OFF


def _wait_a_second(uuid: str) -> None:
    with _last_lock:
        ready = _last.get(uuid, 0.0) + _SECONDS_BETWEEN
    time.sleep(max(0.0, ready - time.monotonic()))


def _call(
    domain: Any,
    captured: contract.Snapshot,
    target: str,
    journal: Mapping[str, Any],
) -> None:
    # Without FORCE libvirt refuses what needs a new QEMU process.
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE
    if captured.memory and target == contract.ON and not journal['media']:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
    elif captured.memory:
        # It waits for its media, or until it is stopped.
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED
    # One without memory is left off, and started afterwards: libvirt deletes
    # the old overlays before it starts it, so there is no way back from a
    # start that fails in this call.
    try:
        domain.revertToSnapshot(snapshots.find(domain, captured.name), flags)
    finally:
        with _last_lock:
            _last[domain.UUIDString()] = time.monotonic()


# After ---------------------------------------------------------------------


def _finish(
    connection: Any,
    uuid: str,
    request: contract.RevertRequest,
    context: contract.TaskContext,
) -> None:
    """Put back what was taken out for the call; may be called again."""
    try:
        _put_back(connection, uuid, request, context)
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        raise exceptions.RevertUnfinished(
            request.name, exc.get_error_message()
        ) from exc


def _put_back(
    connection: Any,
    uuid: str,
    request: contract.RevertRequest,
    context: contract.TaskContext,
) -> None:
    domain = connections.find(connection, uuid)
    root = xml.parse(context.journal['snapshot_xml'])
    try:
        removable_media.give_back(domain, request.name, context.journal)
        for drive, element in context.journal['media'].items():
            removable_media.insert(connection, domain, drive, element, context)
    finally:
        captured = xml.snapshot(root, None)
        target = _target(captured, request)
        if context.journal['step'] != 'start':
            _stop(domain, captured, target)
            _restore_firmware(connection, domain, root, request, context)
            context.step('start')
        _set_power(domain, captured, target, context.journal)
    undo.forget_firmware(connection, domain, context)
    if captured.external:
        before = xml.files(xml.parse(context.journal['live_xml']))
        leftovers.remove_discarded(connection, domain, before, context)


def _is_paused(domain: Any) -> bool:
    return bool(domain.isActive()) and plan.is_paused(domain)


def _stop(domain: Any, captured: contract.Snapshot, target: str) -> None:
    if captured.memory and target == contract.OFF and _is_paused(domain):
        domain.destroy()


def _set_power(
    domain: Any,
    captured: contract.Snapshot,
    target: str,
    journal: Mapping[str, Any],
) -> None:
    # Only what the call has left to do: whoever was here since then may
    # have had reasons.
    if captured.memory:
        if target == contract.ON and journal['media'] and _is_paused(domain):
            domain.resume()
    elif target != contract.OFF and not domain.isActive():
        _start(domain, captured.name, target)


def _restore_firmware(
    connection: Any,
    domain: Any,
    root: xml.Element,
    request: contract.RevertRequest,
    context: contract.TaskContext,
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
            exceptions.SnapshotFileMissing,
            exceptions.SnapshotFileDamaged,
            exceptions.FolderMissing,
        ) as exc:
            context.tell(
                'HawkFish.1.0.FirmwareNotRestored',
                request.name,
                messages.text(exc).removesuffix('.'),
            )
    for words in _without_copy(root):
        context.tell(
            'HawkFish.1.0.FirmwareNotRestored',
            request.name,
            f'It holds no {words}',
        )


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
    connection: Any,
    uuid: str,
    captured: contract.Snapshot,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> None:
    domain = connections.find(connection, uuid)
    running = plan.power_state(domain) == contract.ON
    if captured.memory and running and conf.revert.sync_guest_time:
        agent.set_clock(domain, conf.snapshots.quiesce_timeout, context)


def _start(domain: Any, name: str, target: str) -> None:
    paused = libvirt.VIR_DOMAIN_START_PAUSED
    try:
        domain.createWithFlags(paused if target == contract.PAUSED else 0)
    except libvirt.libvirtError as exc:
        if not domain.connect().isAlive():
            raise
        raise exceptions.RevertNotStarted(
            name, exc.get_error_message()
        ) from exc
