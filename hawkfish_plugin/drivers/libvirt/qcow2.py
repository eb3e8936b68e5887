# SPDX-License-Identifier: Apache-2.0
"""
The tables of a qcow2 file, which say whether it holds anything.

How many bytes a file takes is no answer: clusters may be small, and file
systems compress.  The format is that of ``docs/interop/qcow2.txt`` of QEMU.
"""

import struct
from typing import NamedTuple

HEADER_BYTES = 104
"""As many bytes of a file as ``first_table`` reads."""

# Magic to the number of snapshots, then the incompatible features.
_FIELDS = struct.Struct('>4sIQIIQIIQQIIQ')
_FEATURES = struct.Struct('>72xQ')
_MAGIC = b'QFI\xfb'
# Dirty, another compression, extended second tables: of no matter here.
_KNOWN_FEATURES = 1 << 0 | 1 << 3 | 1 << 4
_ENTRY_BYTES = 8
# Of an entry of a first table.
_OFFSET = 0x00FFFFFFFFFFFE00


class Table(NamedTuple):
    """Where the first table is in a file, and how long, in bytes."""

    offset: int
    length: int


def first_table(header: bytes) -> Table | None:
    """
    The table from which all clusters of the disk can be reached.

    None where *header* is not that of a file that has all of its data there.
    """
    if len(header) < _FEATURES.size:
        return None
    fields = _FIELDS.unpack_from(header)
    magic, version, entries, offset = *fields[:2], fields[7], fields[8]
    snapshots = fields[11]
    if magic != _MAGIC or version not in (2, 3) or snapshots:
        return None
    (features,) = _FEATURES.unpack_from(header)
    if version > 2 and features & ~_KNOWN_FEATURES:
        return None
    return Table(offset, entries * _ENTRY_BYTES)


def can_note(header: bytes) -> bool:
    """Whether the image with *header* can have bitmaps."""
    if len(header) < _FIELDS.size:
        return False
    magic, version = _FIELDS.unpack_from(header)[:2]
    return bool(magic == _MAGIC and version > 2)


def stands_alone(header: bytes, capacity: int) -> bool:
    """
    Whether *header* is that of a disk of *capacity* that names no other file.

    And that is neither encrypted nor has snapshots.
    """
    if first_table(header) is None:
        return False
    fields = _FIELDS.unpack_from(header)
    backing, size, encryption = fields[2], fields[5], fields[6]
    return not backing and not encryption and size == capacity


def flaw(header: bytes, size: int) -> str | None:
    """
    What is wrong with a file of *size* bytes that begins with *header*.

    As far as the header tells.
    """
    if len(header) < _FEATURES.size:
        return 'it is too short for a header of qcow2'
    fields = _FIELDS.unpack_from(header)
    magic, version, entries, offset = *fields[:2], fields[7], fields[8]
    if magic != _MAGIC or version not in (2, 3):
        return 'it has no header of qcow2'
    refcounts = fields[9]
    if max(offset + entries * _ENTRY_BYTES, refcounts) > size:
        return f'it was cut off: it has {size} bytes, and its tables are after'
    return None


def is_one(header: bytes) -> bool:
    """Whether *header* is that of a qcow2 file."""
    return header.startswith(_MAGIC)


def has_backing_file(header: bytes) -> bool:
    """Whether *header* names a file that this one is backed by."""
    return bool(_FIELDS.unpack_from(header)[2])


def reaches(table: bytes) -> int:
    """The end of the farthest thing that a first *table* leads to."""
    entries = struct.unpack(f'>{len(table) // _ENTRY_BYTES}Q', table)
    return max((entry & _OFFSET for entry in entries), default=0)


def is_empty(table: bytes, length: int) -> bool:
    """Whether a first table of *length* bytes leads to no cluster."""
    return len(table) == length and not any(table)
