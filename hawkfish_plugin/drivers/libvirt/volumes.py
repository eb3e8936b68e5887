# SPDX-License-Identifier: Apache-2.0
"""
A volume: one file of the host, as libvirt's storage API sees it.

Owns the look-up of a volume by its path, what libvirt knows about one, and
the XML of new ones.
"""

import errno
import posixpath
from typing import cast
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin.drivers.libvirt import xml

# Of a qcow2 file, unless somebody asks for others.
_CLUSTER_BYTES = 64 * 2**10
# Header, reference table and block, and what is rounded up to a cluster.
_PARTS, _ENTRY = 5, 8


def find(
    connection: libvirt.virConnect, path: str
) -> libvirt.virStorageVol | None:
    """The file at *path*; None where no active pool has it, or it is gone."""
    try:
        volume = connection.storageVolLookupByPath(path)
        # Pools remember files that are gone; this looks at the file itself.
        volume.info()
    except libvirt.libvirtError as exc:
        if not is_gone(exc):
            raise
        return None
    return volume


def is_gone(error: libvirt.libvirtError) -> bool:
    """Whether libvirt says that there is no such file or folder."""
    code = error.get_error_code()
    return code == libvirt.VIR_ERR_NO_STORAGE_VOL or (
        code == libvirt.VIR_ERR_SYSTEM_ERROR
        and error.get_int1() in (errno.ENOENT, errno.ENOTDIR)
    )


def is_file(volume: libvirt.virStorageVol) -> bool:
    """Whether it is a plain file."""
    return _info(volume)[0] == libvirt.VIR_STORAGE_VOL_FILE


def usage(volume: libvirt.virStorageVol) -> tuple[int, int]:
    """Capacity and allocation of the disk in it, in bytes."""
    _, capacity, allocation = _info(volume)
    return int(capacity), int(allocation)


# libvirt-python's annotations of both are wrong.
def _info(volume: libvirt.virStorageVol) -> list[int]:
    return cast(list[int], volume.info())


def file_size(volume: libvirt.virStorageVol) -> int:
    """The bytes of the file itself, of whatever format its content is."""
    flag = libvirt.VIR_STORAGE_VOL_GET_PHYSICAL
    return int(cast(list[int], volume.infoFlags(flag))[2])


def describe(volume: libvirt.virStorageVol) -> xml.Element:
    """Its XML; libvirt has looked into the file at the pool's refresh."""
    return xml.parse(volume.XMLDesc())


def backing_file(volume: libvirt.virStorageVol) -> str | None:
    return describe(volume).findtext('backingStore/path')


def all_in(pool: libvirt.virStoragePool) -> dict[str, libvirt.virStorageVol]:
    """The volumes of *pool*, by name."""
    return {volume.name(): volume for volume in pool.listAllVolumes()}


def raw_xml(path: str, size: int, like: xml.Element | None) -> str:
    """A raw file of *size* bytes, of the owner of the volume *like*."""
    root = _new(path, 'raw', str(size), like)
    return xml.render(root)


def overlay_xml(
    path: str, base: str, base_format: str, like: xml.Element
) -> str:
    """An empty overlay over *base*, which the volume *like* describes."""
    root = _new(path, 'qcow2', like.findtext('capacity'), like)
    backing = ElementTree.SubElement(root, 'backingStore')
    ElementTree.SubElement(backing, 'path').text = base
    ElementTree.SubElement(backing, 'format', type=base_format)
    return xml.render(root)


def overlay_size(capacity: int, cluster: int = 0) -> int:
    """
    The most bytes that an empty overlay of *capacity* bytes takes.

    QEMU may give it the *cluster* size of its base: small ones make the first
    table big, big ones each of the four other parts.
    """
    sizes = {_CLUSTER_BYTES, cluster or _CLUSTER_BYTES}
    # Eight bytes for each cluster of tables, in which each entry has eight.
    return max(
        _PARTS * size + _ENTRY * -(-capacity // (size * size // _ENTRY))
        for size in sizes
    )


def _new(
    path: str, kind: str, capacity: str | None, like: xml.Element | None
) -> xml.Element:
    """A new file that only its owner can read."""
    root = ElementTree.Element('volume')
    ElementTree.SubElement(root, 'name').text = posixpath.basename(path)
    size = ElementTree.SubElement(root, 'capacity', unit='bytes')
    size.text = capacity
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'format', type=kind)
    permissions = ElementTree.SubElement(target, 'permissions')
    ElementTree.SubElement(permissions, 'mode').text = '0600'
    if like is not None:
        for element in like.findall('target/permissions/*'):
            if element.tag in ('owner', 'group'):
                permissions.append(element)
    return root
