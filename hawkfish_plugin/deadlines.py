# SPDX-License-Identifier: Apache-2.0
"""
How long the other end of a socket may take for all that it has to say.

Owns the one watch over such sockets.  A time-out of a socket begins anew with
each byte, so who sends one every few seconds is never timed out; here the
socket is shut down when the time is up, or when somebody says that it is.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from hawkfish_plugin.supervision import Supervisor

_POLL_SECONDS = 0.25


class Limited:
    """A *socket* that is shut down at *deadline*, of ``time.monotonic``."""

    def __init__(self, limited: socket.socket, deadline: float) -> None:
        self.deadline = deadline
        self.is_over = False
        self._socket = limited

    def end(self) -> None:
        """Shut it down now; who waits for it goes on with an error."""
        self.is_over = True
        # Not the method of a TLS socket, which would first change what
        # another thread is reading with.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Deadlines:
    """The sockets of this process that have a deadline."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._limited: set[Limited] = set()
        self._some = threading.Event()

    @contextlib.contextmanager
    def limit(
        self, limited: socket.socket, seconds: float
    ) -> Iterator[Limited]:
        """In the block, *limited* is shut down after *seconds*."""
        entry = Limited(limited, time.monotonic() + seconds)
        self._supervisor.repeat('deadlines', self._watch)
        with self._lock:
            self._limited.add(entry)
            self._some.set()
        try:
            yield entry
        finally:
            # Under the lock: afterwards its descriptor may be another's.
            with self._lock:
                self._limited.discard(entry)

    def _watch(self) -> None:
        self._some.wait()
        with self._lock:
            now = time.monotonic()
            for entry in self._limited:
                if now >= entry.deadline and not entry.is_over:
                    entry.end()
            if not self._limited:
                self._some.clear()
                return
        time.sleep(_POLL_SECONDS)
