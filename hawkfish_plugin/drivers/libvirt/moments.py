# SPDX-License-Identifier: Apache-2.0
"""
What may be decided by one look.

A decision asks many questions about the files of a host, one after the other,
and each look at these takes as long as the host is big.  Owns since when a
look will do for who decides: the begin of the decision, or what the same
thread has changed last.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

# Who waits in the middle of a decision looks again.
_MOST_SECONDS = 5.0


class Moments(threading.local):
    """The decisions of each thread."""

    _began: float | None = None
    _changed = 0.0

    @contextlib.contextmanager
    def at_one_time(self) -> Iterator[None]:
        """What is asked in the block is one decision, or part of one."""
        outer, self._began = self._began, time.monotonic()
        try:
            yield
        finally:
            self._began = outer

    def changing(self) -> None:
        """Something is about to be changed, or was: no look of before does."""
        self._changed = time.monotonic()

    @property
    def since(self) -> float:
        """When a look that will do for what is asked now may have begun."""
        now = time.monotonic()
        if self._began is None:
            return now
        return max(self._began, self._changed, now - _MOST_SECONDS)
