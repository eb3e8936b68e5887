# SPDX-License-Identifier: Apache-2.0
"""
The way back from a revert that went wrong.

A revert that fails leaves the definition pointing at the base image, where
the next start would destroy every snapshot.  What the revert had noted in its
journal is defined again, the new overlays go, and the power state comes back.
"""

from collections.abc import Mapping
from typing import Any

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    connections,
    firmware,
    leftovers,
    plan,
    removable_media,
    snapshots,
    storage,
    xml,
)

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE | _SECURE

# What was found after a call of which nobody knows how it ended.
_BEFORE, _BASE, _REVERTED, _OTHER = 'before', 'base', 'reverted', 'other'

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


def run(
    connection: Any,
    uuid: str,
    name: str,
    reason: str,
    context: contract.TaskContext,
) -> None:
    """
    Bring the domain back to where it was before the call, and raise.

    Returns only where the revert did take place. Never starts anything
    before the definition is right again.
    """
    journal = context.journal
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
        forget_firmware(connection, domain, context)
        raise exceptions.OperationFailed('revert', reason)
    if not _is_external(journal):
        raise exceptions.RevertUnknown(name, reason, plan.power_state(domain))
    if found == _OTHER:
        raise exceptions.RevertNotUndone(
            name, reason, 'the system has been changed by others meanwhile'
        )
    try:
        now = _restore(connection, domain, name, found, context)
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        raise exceptions.RevertNotUndone(
            name, reason, exc.get_error_message()
        ) from exc
    except (
        exceptions.SnapshotNotFound,
        exceptions.SnapshotFileMissing,
        exceptions.SnapshotFileDamaged,
        exceptions.FolderMissing,
    ) as exc:
        # Of the snapshot itself, or of the present state of the firmware.
        raise exceptions.RevertNotUndone(
            name, reason, messages.text(exc).rstrip('.')
        ) from exc
    raise exceptions.RevertUndone(name, reason, now)


def check_moved(domain: Any, name: str, journal: Mapping[str, Any]) -> None:
    """Raise where it is not known that an internal revert took place."""
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
    connection: Any,
    domain: Any,
    name: str,
    found: str,
    context: contract.TaskContext,
) -> str:
    """Define what was before; returns what became of the system."""
    journal, stopped = context.journal, False
    if found == _BASE:
        _check_whole(connection, name, journal)
        stopped = bool(domain.isActive())
        if stopped:
            domain.destroy()
        domain = connection.defineXML(journal['domain_xml'])
    _restore_snapshots(domain, name, journal)
    leftovers.remove_new_overlays(
        connection, domain, journal['bases'], journal['overlays'], context
    )
    if not domain.isActive():
        # QEMU has those of the snapshot written when it loaded the memory.
        definition = xml.parse(domain.XMLDesc(_INACTIVE))
        firmware.restore(connection, name, definition, journal['firmware'])
    now = _restore_power(domain, journal['power_state'], stopped)
    forget_firmware(connection, domain, context)
    return now


def _restore_present_firmware(
    connection: Any, domain: Any, name: str, journal: Mapping[str, Any]
) -> None:
    definition = xml.parse(domain.XMLDesc(_INACTIVE))
    copies = {
        kind: path
        for kind, path in journal['firmware'].items()
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
    removable_media.give_back(domain, name, journal)
    if journal['current'] and snapshots.current(domain) is None:
        snapshots.make_current(domain, journal['current'])


def _restore_power(domain: Any, power_state: str, stopped: bool) -> str:
    """*stopped* says that it was us who has just stopped it."""
    if domain.isActive():
        return 'running'
    if power_state == contract.OFF:
        return 'off'
    if not stopped and domain.state()[1] not in _STOPPED_BY_REVERT:
        return 'off, as somebody has stopped it since'
    paused = libvirt.VIR_DOMAIN_START_PAUSED
    domain.createWithFlags(paused if power_state == contract.PAUSED else 0)
    return 'started anew, as its memory was lost'


def forget_firmware(
    connection: Any, domain: Any, context: contract.TaskContext
) -> None:
    """Remove what would have brought the present firmware back."""
    paths = context.journal['firmware'].values()
    leftovers.remove(connection, domain, paths, context)
