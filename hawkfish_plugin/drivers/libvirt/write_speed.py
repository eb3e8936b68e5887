# SPDX-License-Identifier: Apache-2.0
"""
How fast the memory of paused systems was written.

Owns what was measured, and what the next pause will be at the most.  It is
forgotten with the process: what a host could do last month says little.
"""

import collections
import threading

_MIB = 2**20
# What is taken for granted before anything was measured: a disk, no flash.
_UNMEASURED = 100 * _MIB
_MOST_REMEMBERED = 8
# What a pause takes beside the memory: the calls, and the new overlays.
_CALL_SECONDS = 1.0
# Less memory says more of the calls than of the storage.
_LEAST_BYTES = 16 * _MIB


class WriteSpeed:
    """The bytes that were written in a second, in each of the last pauses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: collections.deque[float] = collections.deque(
            maxlen=_MOST_REMEMBERED
        )

    def note(self, size: int, seconds: float) -> None:
        """*size* bytes were written in a pause of *seconds*."""
        if size >= _LEAST_BYTES and seconds > 0:
            with self._lock:
                self._seen.append(size / seconds)

    def pause(self, size: int) -> float:
        """How many seconds it takes at the most to write *size* bytes."""
        with self._lock:
            slowest = min(self._seen, default=_UNMEASURED)
        return _CALL_SECONDS + size / slowest
