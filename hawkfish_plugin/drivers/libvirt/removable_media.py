# SPDX-License-Identifier: Apache-2.0
"""
The media in the drives of a domain, across a revert.

They are taken out of an external snapshot before a revert to it, and put back
into both the snapshot and the domain afterwards.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import libvirt

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import qmp, snapshots, storage, xml


def of(root: xml.Element) -> dict[str, str]:
    """What to insert after a revert to the snapshot *root*, by its drive."""
    captured = root.find('domain')
    if captured is None or not xml.snapshot(root, None).external:
        return {}
    return xml.media(captured)


def give_back(domain: Any, name: str, journal: Mapping[str, Any]) -> None:
    """Let the snapshot have its media again, for the next revert to it."""
    # What libvirt has noted in it since is kept, such as the new overlays.
    root = snapshots.describe(domain, name)
    if xml.insert_media(root, xml.parse(journal['snapshot_xml'])):
        snapshots.redefine(domain, root)


def insert(
    connection: Any,
    domain: Any,
    drive: str,
    element: str,
    context: contract.TaskContext,
) -> None:
    """Insert a medium; *job* is told where that cannot be."""
    path = xml.source_file(element)
    try:
        if path and not storage.exists(connection, path):
            context.tell(
                'HawkFish.1.0.MediaEjected', path, drive, 'it is gone'
            )
            return
        _change_media(domain, drive, element)
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        context.tell(
            'HawkFish.1.0.MediaEjected',
            path or 'of the network',
            drive,
            exc.get_error_message(),
        )


def _change_media(domain: Any, drive: str, element: str) -> None:
    # By force: the guest may have locked the door of the drive.
    flags = libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
    domain.updateDeviceFlags(element, flags | libvirt.VIR_DOMAIN_AFFECT_CONFIG)
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
    alias = xml.alias(xml.parse(domain.XMLDesc(0)), drive)
    qmp.ask(domain, 'blockdev-open-tray', {'id': alias, 'force': True})
    try:
        yield
    finally:
        qmp.ask(domain, 'blockdev-close-tray', {'id': alias})
