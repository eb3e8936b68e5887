# SPDX-License-Identifier: Apache-2.0
"""
The tar of a bundle.

Owns where each byte of it comes from, so that any range of it can be made
without the ones before: the headers depend on names and sizes alone, and a
bundle is the same byte for byte each time.  Only the checksums at its end
follow from what its files hold.
"""

import dataclasses
import tarfile
from collections.abc import Iterator

from hawkfish_plugin.bundles import checksums, manifest
from hawkfish_plugin.bundles.manifest import Bundle, Member

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


@dataclasses.dataclass(frozen=True)
class Piece:
    """
    *length* bytes of a bundle, from *offset* on of what they are of.

    That is the content of *member*, or *data*, or if neither is given, what
    ``checksums.render`` makes of those that are late.
    """

    offset: int
    length: int
    data: bytes | None = None
    member: Member | None = None

    def cut(self, begin: int, end: int) -> 'Piece':
        """The part of it between the two, as counted within it."""
        return dataclasses.replace(
            self, offset=self.offset + begin, length=end - begin
        )


class Archive:
    """The tar of the bundle that *described* describes."""

    def __init__(self, described: Bundle) -> None:
        self._pieces = list(_pieces(described))
        self.size = sum(piece.length for piece in self._pieces)

    def pieces(self, begin: int, end: int) -> Iterator[Piece]:
        """What the bytes from *begin* to before *end* are made of."""
        position = 0
        for piece in self._pieces:
            first = max(begin, position)
            last = min(end, position + piece.length)
            if first < last:
                yield piece.cut(first - position, last - position)
            position += piece.length


def _pieces(described: Bundle) -> Iterator[Piece]:
    content = described.render()
    head = _header(manifest.NAME, len(content), described.created)
    yield _data(head + content + _padding(len(content)))
    for member in described.members:
        yield _data(_header(member.name, member.size, described.created))
        yield Piece(0, member.size, member=member)
        yield _data(_padding(member.size))
    size = checksums.size(described)
    yield _data(_header(checksums.NAME, size, described.created))
    yield Piece(0, size)
    yield _data(_padding(size))
    yield _data(END)


def _data(data: bytes) -> Piece:
    return Piece(0, len(data), data)


def _header(name: str, size: int, time: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, time, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)
