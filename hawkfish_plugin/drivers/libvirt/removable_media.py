# SPDX-License-Identifier: Apache-2.0
"""
The media in the drives of a domain, across a revert.

They are ejected from an external snapshot before a revert to it, and put back
into both the snapshot and the domain afterwards.
"""

import contextlib
from collections.abc import Iterator

import libvirt

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    errors,
    qmp,
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain


def to_insert(root: xml.Element, external: bool) -> dict[str, str]:
    """
    What to insert after a revert to the snapshot *root*, by its drive.

    Nothing where it is not *external*, as then it keeps its media.
    """
    captured = root.find('domain')
    return {} if captured is None or not external else xml.media(captured)


def eject(domain: Domain, root: xml.Element) -> None:
    """Take the media out of the snapshot *root*."""
    if snapshot_xml.eject_media(root):
        snapshots.redefine(domain, root)


def restore(domain: Domain, before: xml.Element) -> None:
    """Let the snapshot *before* have its media again."""
    # What libvirt has noted in it since is kept, such as the new overlays.
    root = snapshots.describe(domain, before.findtext('name', ''))
    if snapshot_xml.insert_media(root, before):
        snapshots.redefine(domain, root)


def insert(
    domain: Domain, drive: str, element: str, context: contract.TaskContext
) -> None:
    """Insert a medium, or report why that is not possible."""
    path = xml.source_file(element)
    try:
        if path and not domain.host.storage.exists(path):
            context.add_message(
                'HawkFish.1.0.MediaEjected', path, drive, 'it is gone'
            )
            return
        _change_media(domain, drive, element)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        context.add_message(
            'HawkFish.1.0.MediaEjected',
            path or 'of the network',
            drive,
            errors.text(exc),
        )


def _change_media(domain: Domain, drive: str, element: str) -> None:
    # By force: the guest may have locked the door of the drive.
    flags = libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
    domain.update_device(element, flags | libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    if domain.is_active:
        with _tray_open(domain, drive):
            domain.update_device(
                element, flags | libvirt.VIR_DOMAIN_AFFECT_LIVE
            )


@contextlib.contextmanager
def _tray_open(domain: Domain, drive: str) -> Iterator[None]:
    """
    Keep the tray of *drive* open meanwhile.

    libvirt does not know the tray of a QEMU that it started from a memory
    image, and would not open it by itself (seen with 11.3).
    """
    alias = xml.alias(domain.definition(), drive)
    qmp.ask(domain, 'blockdev-open-tray', {'id': alias, 'force': True})
    try:
        yield
    finally:
        qmp.ask(domain, 'blockdev-close-tray', {'id': alias})
