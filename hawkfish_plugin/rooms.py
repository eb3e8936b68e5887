# SPDX-License-Identifier: Apache-2.0
"""
Requests that wait, and so occupy a thread of the web server.

Owns how many of each kind there may be in one process: a server with few
threads, such as gunicorn, must have some left for everybody else.
"""

import threading

# Of eight threads, six at most.
_SHARES = {'streams': 3, 'locks': 2, 'downloads': 1}
_OF = 8


class Room:
    """
    Where requests of one kind wait; *most* of them where it is bounded.

    A server with a thread for each connection bounds those instead.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.is_bounded = False
        self._lock = threading.Lock()
        self._waiting = 0

    def enter(self) -> bool:
        """Whether there is a place, which is then taken."""
        with self._lock:
            if self.is_bounded and self._waiting >= self.most:
                return False
            self._waiting += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._waiting -= 1


class Rooms:
    """The rooms of a process whose web server has so many *threads*."""

    def __init__(self, threads: int) -> None:
        self.streams, self.locks, self.downloads = (
            Room(max(1, threads * share // _OF)) for share in _SHARES.values()
        )

    def bound(self, is_bounded: bool) -> None:
        """Whether the threads of the web server are few."""
        for room in (self.streams, self.locks, self.downloads):
            room.is_bounded = is_bounded
