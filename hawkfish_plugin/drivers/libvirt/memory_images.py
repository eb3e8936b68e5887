# SPDX-License-Identifier: Apache-2.0
"""
The memory files of snapshots.

Owns the look at the header that libvirt gives them: a file that libvirt has
not finished, or that holds another system's memory, would only be found out
when the guest is stopped already.
"""

import struct
from typing import Any

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import storage, xml

# virQEMUSaveHeader: magic, version, length of what follows, whether the guest
# ran, compression, offset of the cookie; unused space. The definition of the
# system follows, ended by a zero.
_HEADER = struct.Struct('16s5I56x')
_BEGUN, _COMPLETE = b'LibvirtQemudPart', b'LibvirtQemudSave'
_FIRST_BYTES, _MOST_BYTES = 2**15, 2**20


def check(
    connection: Any, name: str, path: str, uuid: str, size: int | None
) -> None:
    """
    Raise what keeps the memory of the snapshot *name* from being loaded.

    *size* is what it was when it was made, in bytes, where that is known.
    """
    begin = _beginning(connection, path)
    if begin is None:
        raise exceptions.SnapshotFileMissing(name, path)
    wrong = _flaw(begin, uuid)
    now = storage.size(connection, path)[0]
    if not wrong and size not in (None, now):
        wrong = f'it has {now} bytes and had {size}'
    if wrong:
        raise exceptions.SnapshotFileDamaged(name, path, wrong)


def is_unfinished(connection: Any, path: str) -> bool:
    """Whether libvirt has begun to save memory to a file, and broke off."""
    return storage.read(connection, path, len(_BEGUN)) == _BEGUN


def _beginning(connection: Any, path: str) -> bytes | None:
    """The header and the definition of the system, or as much as is there."""
    begin = storage.read(connection, path, _FIRST_BYTES)
    if begin and len(begin) == _FIRST_BYTES:
        wanted = _HEADER.size + _HEADER.unpack_from(begin)[2]
        if wanted > _FIRST_BYTES:
            return storage.read(connection, path, min(wanted, _MOST_BYTES))
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
