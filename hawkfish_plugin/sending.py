# SPDX-License-Identifier: Apache-2.0
"""
A bundle, or a range of it, on its way to a client.

Each byte is read once: while one window of it is sent, the checksum of the
next is made, and the one after that is read.  What of the checksums at the end
is not known by then, as a range was fetched without what comes before it, is
read for their sake.
"""

import concurrent.futures
import contextlib
import hashlib
from collections.abc import Generator, Iterator
from typing import TypeVar

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import checksums, manifest
from hawkfish_plugin.bundles.archive import Archive, Piece
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers.exporting import Exports as Driver
from hawkfish_plugin.exports import Export, Exports

T = TypeVar('T')

# What is read at once; some of them are in memory while the client takes one.
# A part of a checksum has a whole number of them.
_WINDOW_BYTES = 4 * 2**20

# Where it is from, and its bytes; none are read of the checksums at the end.
_Window = tuple[Piece, bytes | None]


class Sending:
    """One way of *export* to a client; its files are those of *driver*."""

    def __init__(self, driver: Driver, table: Exports, export: Export) -> None:
        self._driver = driver
        self._table = table
        self._export = export
        self._found = dict[tuple[str, int], bytes]()

    def parts(self, begin: int, end: int) -> Iterator[bytes]:
        """
        The bytes from *begin* to before *end*.

        Nothing of the hypervisor is held for longer than a window is read.
        """
        pieces = Archive(self._export.bundle).pieces(begin, end)
        return _ahead(self._summed(_ahead(self._read(pieces))))

    def _read(self, pieces: Iterator[Piece]) -> Generator[_Window]:
        for piece in pieces:
            last = piece.offset + piece.length
            if piece.member is not None:
                yield from self._windows(piece.member, piece.offset, last)
            else:
                data = piece.data
                yield piece, data and data[piece.offset : last]

    def _windows(
        self, member: Member, offset: int, last: int
    ) -> Generator[_Window]:
        """The content of *member* from *offset* to before *last*."""
        folder = self._export.folders[self._export.bundle.owner(member)]
        name = member.name.rpartition('/')[2]
        while offset < last:
            length = min(_WINDOW_BYTES - offset % _WINDOW_BYTES, last - offset)
            data = self._driver.read_staged(folder, name, offset, length)
            yield Piece(offset, length, member=member), data
            offset += length

    # The checksums ---------------------------------------------------------

    def _summed(self, windows: Generator[_Window]) -> Generator[bytes]:
        """The data of *windows*, whose digests are found on the way."""
        digest, expected = hashlib.sha256(), -1
        for piece, data in windows:
            member, offset = piece.member, piece.offset
            if data is None:
                yield self._checksums()[offset : offset + piece.length]
                continue
            if member is not None and member.sha256 is None:
                if offset % checksums.PART_BYTES == 0:
                    digest, expected = hashlib.sha256(), offset
                if offset == expected:
                    digest.update(data)
                    expected += len(data)
                    if _is_end(member, expected):
                        self._find(member, offset, digest.digest())
            yield data

    def _checksums(self) -> bytes:
        """Those that are late, as the bundle has them."""
        known = {**self._table.digests(self._export.id), **self._found}
        return checksums.render(
            self._export.bundle,
            {
                member.name: checksums.combined(
                    known.get((member.name, begin))
                    or self._digest(member, begin)
                    for begin in checksums.parts(member)
                )
                for member in manifest.late(self._export.bundle.members)
            },
        )

    def _digest(self, member: Member, begin: int) -> bytes:
        """That of a part that nobody has fetched from its begin to its end."""
        end = min(begin + checksums.PART_BYTES, member.size)
        digest = hashlib.sha256()
        for _, data in self._windows(member, begin, end):
            digest.update(data or b'')
        self._find(member, begin, digest.digest())
        return digest.digest()

    def _find(self, member: Member, offset: int, digest: bytes) -> None:
        """The part in which *offset* is has this *digest*."""
        part = member.name, offset - offset % checksums.PART_BYTES
        self._found[part] = digest
        # Whoever goes on with the export need not read it again.
        with contextlib.suppress(exceptions.StateUnavailable):
            self._table.note_digest(self._export.id, part, digest)


def _is_end(member: Member, offset: int) -> bool:
    """Whether a part of *member* ends there."""
    return offset == member.size or offset % checksums.PART_BYTES == 0


def _ahead(items: Generator[T]) -> Generator[T]:
    """*items*; another thread makes the next one while one is used."""
    with concurrent.futures.ThreadPoolExecutor(1, 'hawkfish-send') as thread:
        coming = thread.submit(next, items, None)
        try:
            while (item := coming.result()) is not None:
                coming = thread.submit(next, items, None)
                yield item
        finally:
            # What is being made is waited for.
            thread.submit(items.close)
