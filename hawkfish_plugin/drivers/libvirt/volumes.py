# SPDX-License-Identifier: Apache-2.0
"""
A volume: one file of the host, as libvirt's storage API sees it.

Owns the look-up of a volume, what libvirt knows about one, and the XML of new
ones.  A volume whose name, or whose backing file's, is not UTF-8 cannot be
read by the binding: it is minded no more than one that is gone.
"""

import contextlib
import errno
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import cast
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin.drivers.libvirt import xml

# What is no path, such as nbd://host and json:{...}.
_WORDS = re.compile(r'\w+:')
# Of a qcow2 file, unless somebody asks for others.
_CLUSTER_BYTES = 64 * 2**10
_COMPAT = '1.1'
# Header, reference table and block, and what is rounded up to a cluster.
_PARTS, _ENTRY = 5, 8


def find(
    connection: libvirt.virConnect, path: str
) -> libvirt.virStorageVol | None:
    """The file at *path*; None where no active pool has it, or it is gone."""
    return _find(lambda: connection.storageVolLookupByPath(path))


def find_in(
    pool: libvirt.virStoragePool, name: str
) -> libvirt.virStorageVol | None:
    """The file *name* in the folder of *pool*, or None."""
    return _find(lambda: pool.storageVolLookupByName(name))


def _find(
    look: Callable[[], libvirt.virStorageVol],
) -> libvirt.virStorageVol | None:
    try:
        volume = look()
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


def usage_in(described: xml.Element) -> tuple[int, int]:
    """The same, as its XML says."""
    capacity = int(described.findtext('capacity') or 0)
    return capacity, int(described.findtext('allocation') or 0)


# libvirt-python's annotations of both are wrong.
def _info(volume: libvirt.virStorageVol) -> list[int]:
    return cast(list[int], volume.info())


def file_size(volume: libvirt.virStorageVol) -> int:
    """The bytes of the file itself, of whatever format its content is."""
    flag = libvirt.VIR_STORAGE_VOL_GET_PHYSICAL
    return int(cast(list[int], volume.infoFlags(flag))[2])


def text(volume: libvirt.virStorageVol) -> str | None:
    """
    Its XML, as libvirt finds the file now; None where it cannot be read.

    Raises where it is gone.
    """
    with contextlib.suppress(UnicodeDecodeError):
        return volume.XMLDesc()
    return None


def describe(volume: libvirt.virStorageVol) -> xml.Element | None:
    """The same, parsed."""
    found = text(volume)
    return None if found is None else xml.parse(found)


def path(described: xml.Element) -> str:
    return tidy(described.findtext('target/path', ''))


def backing_file(described: xml.Element) -> str | None:
    """
    The path of the backing file; None without one, or where it is no file.

    libvirt repeats what the header says, in whatever words of QEMU's.
    """
    return _file_in(described.findtext('backingStore/path', ''))


def backing_format(described: xml.Element) -> str | None:
    """The format that it is read in; None where libvirt does not know."""
    said = described.find('backingStore/format')
    # It says raw of all that is in other words than a path.
    if said is None or _WORDS.match(
        described.findtext('backingStore/path', '')
    ):
        return None
    return said.get('type')


def _file_in(said: str) -> str | None:
    """The path in *said*, which is a path, file:path, json:{...} or a URL."""
    if not _WORDS.match(said):
        return tidy(said) if said else None
    kind, _, rest = said.partition(':')
    if kind == 'json':
        return _file_in(_in_json(rest))
    if kind != 'file':
        # Of a filter, such as blkdebug:config:path.
        rest = '' if '://' in said else rest.rpartition(':')[2]
        rest = rest if posixpath.isabs(rest) else ''
    return tidy(rest) if rest else None


def _in_json(text: str) -> str:
    """What the options of a block node in *text* say of its file, or ''."""
    try:
        found = dict(_flat('', json.loads(text)))
    except (ValueError, RecursionError):
        return ''
    names = [n.split('.') for n, v in found.items() if isinstance(v, str)]
    files = [name for name in names if name[-1] == 'filename']
    # Not what is beside it, as its own backing file.
    own = min(
        files, key=lambda n: (bool({*n[:-1]} - {'file'}), len(n)), default=''
    )
    return str(found['.'.join(own)]) if own else ''


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Nested options as QEMU also writes them: file.filename."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from _flat(f'{name}.{key}' if name else str(key), inner)


def tidy(path: str) -> str:
    """*path* without what a pool may have put into it; see ``pools.over``."""
    return path.replace('/./', '/').removesuffix('/.')


def all_in(pool: libvirt.virStoragePool) -> dict[str, libvirt.virStorageVol]:
    """The volumes of *pool* that can be read, by name."""
    found = {}
    for volume in pool.listAllVolumes():
        with contextlib.suppress(UnicodeDecodeError):
            found[volume.name()] = volume
    return found


def raw_xml(path: str, size: int, like: xml.Element | None) -> str:
    """A raw file of *size* bytes, of the owner of the volume *like*."""
    root = _new(path, 'raw', str(size), like)
    return xml.render(root)


def copy_xml(name: str, kind: str, capacity: int) -> str:
    """A copy of the format *kind* of a disk of *capacity* bytes."""
    root = _new(name, kind, str(capacity), None)
    if kind == 'raw':
        # As the source is; to copy is else to write every byte.
        ElementTree.SubElement(root, 'allocation').text = '0'
    return xml.render(root)


def disk_xml(path: str, capacity: int, base: str | None) -> str:
    """A qcow2 file of *capacity* bytes, over *base* of its folder if given."""
    root = _new(path, 'qcow2', str(capacity), None)
    if base is not None:
        _back(root, posixpath.basename(base), 'qcow2')
    return xml.render(root)


def overlay_xml(
    path: str, base: str, base_format: str, like: xml.Element | None
) -> str:
    """
    An empty overlay over *base*, which the volume *like* describes.

    Without it libvirt looks how big it is.
    """
    size = None if like is None else like.findtext('capacity')
    root = _new(path, 'qcow2', size, like)
    _back(root, base, base_format)
    return xml.render(root)


def _back(root: xml.Element, base: str, base_format: str) -> None:
    backing = ElementTree.SubElement(root, 'backingStore')
    ElementTree.SubElement(backing, 'path').text = base
    ElementTree.SubElement(backing, 'format', type=base_format)


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
    if capacity is not None:
        size = ElementTree.SubElement(root, 'capacity', unit='bytes')
        size.text = capacity
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'format', type=kind)
    if kind == 'qcow2':
        # Older ones make it of a version that can have no bitmaps.
        ElementTree.SubElement(target, 'compat').text = _COMPAT
    permissions = ElementTree.SubElement(target, 'permissions')
    ElementTree.SubElement(permissions, 'mode').text = '0600'
    if like is not None:
        for element in like.findall('target/permissions/*'):
            if element.tag in ('owner', 'group'):
                permissions.append(element)
    return root
