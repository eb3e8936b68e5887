# SPDX-License-Identifier: Apache-2.0
"""
Bundles that a client keeps compressed by zstd.

Only here: what the service sends and takes is the bundle itself, so each range
of it can be fetched, and its size is known.
"""

import contextlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

import zstandard

_MAGIC = b'\x28\xb5\x2f\xfd'
# A frame begins with at most so many bytes that say what it is.
_HEADER_BYTES = 18
# On one core the next ones take twice as long, and save a tenth.
_LEVEL = 1


class Damaged(ValueError):
    """A file that is damaged, or does not say how much it holds."""


@contextlib.contextmanager
def compressed(file: BinaryIO, size: int) -> Iterator[BinaryIO]:
    """
    What compresses all that is written to it, *size* bytes, into *file*.

    Raises ZstdError where it is not as much.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    writer = cast(
        'BinaryIO', compressor.stream_writer(file, size=size, closefd=False)
    )
    yield writer
    # What has failed is not made whole.
    writer.close()


class Decompressed:
    """
    The content of *file*, compressed or not, which is *size* bytes long.

    Of a compressed one no more is in memory than its window, which zstd
    bounds.  Raises Damaged where that does not say how much it holds; no pipe
    does.
    """

    def __init__(self, file: BinaryIO) -> None:
        if not file.seekable():
            raise Damaged('it is a pipe, so nobody knows how long it is')
        self._done = 0
        head = file.read(_HEADER_BYTES)
        self.size, self._file = file.seek(0, 2), cast('IO[bytes]', file)
        file.seek(0)
        if not head.startswith(_MAGIC):
            return
        try:
            self.size = zstandard.frame_content_size(head)
        except zstandard.ZstdError as error:
            raise Damaged(f'it is damaged: {error}') from error
        if self.size < 0:
            raise Damaged(
                'it was compressed without its size, as of a pipe; '
                'decompress it first'
            )
        reader = zstandard.ZstdDecompressor().stream_reader(
            file, closefd=False
        )
        self._file = cast('IO[bytes]', reader)

    def read(self, count: int) -> bytes:
        """
        At most *count* bytes of what is left; none at the end.

        Raises Damaged where it is damaged, or ends too early.
        """
        wanted = min(count, self.size - self._done)
        try:
            data = self._file.read(wanted)
        except zstandard.ZstdError as error:
            raise Damaged(f'it is damaged: {error}') from error
        if wanted and not data:
            raise Damaged('it is damaged: it ends too early')
        self._done += len(data)
        return data
