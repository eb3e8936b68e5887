# SPDX-License-Identifier: Apache-2.0
"""
Requests that wait, and so occupy a thread of the web server.

Owns how many of each kind there may be in one process: a server with few
threads, such as gunicorn, must have some left for everybody else.
"""

import threading

# Of eight threads; not all of them can be full at the same time.
_SHARES = {'streams': 3, 'locks': 2, 'downloads': 1, 'decisions': 4}
_ALL = 7
_OF = 8


class _House:
    """All rooms together, where *most* requests can wait."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.waiting = 0


class Room:
    """
    Where requests of one kind wait; *most* of them where it is bounded.

    A server with a thread for each connection bounds those instead.
    """

    def __init__(self, most: int, house: _House) -> None:
        self.most = most
        self.is_bounded = False
        self._house = house
        self._waiting = 0

    def enter(self) -> bool:
        """Whether there is a place, which is then taken."""
        with self._house.lock:
            if self.is_bounded and (
                self._waiting >= self.most
                or self._house.waiting >= self._house.most
            ):
                return False
            self._waiting += 1
            self._house.waiting += 1
            return True

    def leave(self) -> None:
        with self._house.lock:
            self._waiting -= 1
            self._house.waiting -= 1


class Rooms:
    """The rooms of a process whose web server has so many *threads*."""

    def __init__(self, threads: int) -> None:
        house = _House(max(1, threads * _ALL // _OF))
        self.streams, self.locks, self.downloads, self.decisions = (
            Room(max(1, threads * share // _OF), house)
            for share in _SHARES.values()
        )

    def bound(self, is_bounded: bool) -> None:
        """Whether the threads of the web server are few."""
        for room in (self.streams, self.locks, self.downloads, self.decisions):
            room.is_bounded = is_bounded
