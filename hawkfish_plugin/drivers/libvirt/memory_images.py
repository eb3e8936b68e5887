# SPDX-License-Identifier: Apache-2.0
"""
The memory images of snapshots.

Owns the look at the header that libvirt gives them: an image that libvirt has
not finished, or that is another system's, would otherwise be found out only
when the guest is stopped already.
"""

import struct

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import xml
from hawkfish_plugin.drivers.libvirt.storage import Storage

# virQEMUSaveHeader: magic, version, length of what follows, whether the guest
# ran, compression, offset of the cookie; unused space. The definition of the
# system follows, ended by a zero.
_HEADER = struct.Struct('16s5I56x')
_BEGUN, _COMPLETE = b'LibvirtQemudPart', b'LibvirtQemudSave'
_FIRST_BYTES, _MOST_BYTES = 2**15, 2**20


def check(
    storage: Storage, name: str, path: str, uuid: str, size: int | None
) -> None:
    """
    Raise what keeps the memory of the snapshot *name* from being loaded.

    *size* is what it was when it was made, in bytes, where that is known.
    """
    begin = _beginning(storage, path)
    if begin is None:
        raise exceptions.SnapshotFileMissing(name, path)
    wrong = _flaw(begin, uuid)
    now = storage.size(path)[0]
    if not wrong and size not in (None, now):
        wrong = f'it has {now} bytes and had {size}'
    if wrong:
        raise exceptions.SnapshotFileDamaged(name, path, wrong)


def is_unfinished(storage: Storage, path: str) -> bool:
    """Whether libvirt was interrupted while it saved memory to a file."""
    return storage.read(path, len(_BEGUN)) == _BEGUN


def _beginning(storage: Storage, path: str) -> bytes | None:
    """The header and the definition of the system, or as much as is there."""
    begin = storage.read(path, _FIRST_BYTES)
    if begin and len(begin) == _FIRST_BYTES:
        wanted = _HEADER.size + _HEADER.unpack_from(begin)[2]
        if wanted > _FIRST_BYTES:
            return storage.read(path, min(wanted, _MOST_BYTES))
    return begin


def _flaw(begin: bytes, uuid: str) -> str | None:
    if len(begin) < _HEADER.size:
        return 'it is too short'
    magic, _version, length, *_ = _HEADER.unpack_from(begin)
    if magic != _COMPLETE:
        return 'it is no complete memory image of libvirt'
    text = begin[_HEADER.size : _HEADER.size + length].partition(b'\0')[0]
    try:
        found = xml.parse(text.decode()).findtext('uuid')
    except (ValueError, xml.ParseError):
        return 'the definition of its system cannot be read'
    return None if found == uuid else f'it is of the system {found}'
