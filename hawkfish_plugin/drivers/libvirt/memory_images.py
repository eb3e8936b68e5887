# SPDX-License-Identifier: Apache-2.0
"""
The memory images of snapshots.

Owns the look at one before it is loaded: an image that libvirt has not
finished, or that is another system's, would otherwise be found out only when
the guest is stopped already.
"""

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import errors, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain


def check(domain: Domain, name: str, path: str, size: int | None) -> None:
    """
    Raise what keeps the memory of the snapshot *name* from being loaded.

    *size* is what it was when it was made, in bytes, where that is known.
    Raises SnapshotFileMissing, SnapshotFileDamaged or MemoryNotLoadable.
    """
    storage = domain.host.storage
    if not storage.exists(path):
        raise exceptions.SnapshotFileMissing(name, path)
    try:
        found = definition(domain, path)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        raise exceptions.SnapshotFileDamaged(
            name, path, errors.text(exc)
        ) from exc
    now, theirs = storage.size(path)[0], found.findtext('uuid')
    if theirs != domain.uuid:
        wrong = f'it is of the system {theirs}'
        raise exceptions.SnapshotFileDamaged(name, path, wrong)
    # Of a file in a folder that cannot be read the size is not known.
    if now and size not in (None, now):
        wrong = f'it has {now} bytes and had {size}'
        raise exceptions.SnapshotFileDamaged(name, path, wrong)
    called = found.findtext('name')
    if called != domain.name:
        # libvirt compares them, and does not let them be changed.
        raise exceptions.MemoryNotLoadable(
            name, f'it was captured when the system was called {called!r}'
        )


def definition(domain: Domain, path: str) -> xml.Element:
    """The definition of the running system in the image at *path*."""
    secure = libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
    connection = domain.host.connection
    text = domain.once(
        'memory image',
        lambda: connection.saveImageGetXMLDesc(path, secure),
        path,
    )
    return xml.parse(text)
