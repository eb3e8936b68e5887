# SPDX-License-Identifier: Apache-2.0
"""
The head of a memory image: the definition that libvirt loads it with.

libvirt lets nobody load one under another name, so the head of a copy is
written anew.  The format is that of ``qemu_saveimage.h`` of libvirt: a header,
the definition, a cookie, and zeros that leave room for a longer definition.
"""

import dataclasses
import struct

from hawkfish_plugin.drivers.libvirt import xml

HEADER_BYTES = 92
"""As many bytes of a file as ``length`` reads."""

# Magic, version, the length of what follows, whether it ran, the format of
# the memory, where the cookie begins.
_FIELDS = ('16s', *(5 * 'I'))
_MAGIC, _PARTIAL = b'LibvirtQemudSave', b'LibvirtQemudPart'
_COOKIE_AT = 4
# A definition has some KiB, and libvirt adds 64.
_MOST_BYTES = 16 * 2**20


class Damaged(Exception):
    """Says what is wrong with an image."""


@dataclasses.dataclass(frozen=True)
class Head:
    """What is before the memory: a *header*, the *definition*, a *cookie*."""

    header: bytes
    definition: xml.Element
    cookie: bytes
    length: int

    def replaced(self, definition: xml.Element) -> bytes:
        """
        The head with another *definition*, and of the same size.

        Raises Damaged where it has no room for that.
        """
        text = xml.render(definition).encode() + b'\0'
        rest = self.length - len(text) - len(self.cookie)
        if rest < 0:
            raise Damaged('it has no room for the definition of a clone')
        order = _order(self.header)
        fields = list(order.unpack_from(self.header))
        if fields[1 + _COOKIE_AT]:
            fields[1 + _COOKIE_AT] = len(text)
        header = order.pack(*fields) + self.header[order.size :]
        return header + text + self.cookie + bytes(rest)


def _order(header: bytes) -> struct.Struct:
    """How the numbers of *header* are written: as its host does."""
    little, big = (struct.Struct(o + ''.join(_FIELDS)) for o in '<>')
    version = little.unpack_from(header)[1]
    return little if version < 2**16 else big


def length(header: bytes) -> int:
    """How many bytes the head has after *header*; raises Damaged."""
    if len(header) < HEADER_BYTES:
        raise Damaged('it is too short for a header')
    fields = _order(header).unpack_from(header)
    if fields[0] == _PARTIAL:
        raise Damaged('libvirt has not finished it')
    if fields[0] != _MAGIC:
        raise Damaged('it has no header of a memory image')
    if not 0 < fields[2] <= _MOST_BYTES:
        raise Damaged('its header is damaged')
    return int(fields[2])


def parse(header: bytes, rest: bytes) -> Head:
    """The head that *header* begins, and *rest* goes on; raises Damaged."""
    size = length(header)
    if len(rest) < size:
        raise Damaged('it is cut off within its definition')
    at = _order(header).unpack_from(header)[1 + _COOKIE_AT]
    text, cookie = (rest[:at], rest[at:size]) if at else (rest[:size], b'')
    try:
        definition = xml.parse(_text(text).decode())
    except (UnicodeDecodeError, xml.ParseError) as exc:
        raise Damaged(f'its definition is damaged: {exc}') from exc
    kept = _text(cookie) + b'\0' if _text(cookie) else b''
    return Head(header[:HEADER_BYTES], definition, kept, size)


def _text(data: bytes) -> bytes:
    return data.partition(b'\0')[0]
