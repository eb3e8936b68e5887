# SPDX-License-Identifier: Apache-2.0
"""
Requests that wait, and so occupy a thread of the web server.

Owns how many of each kind there may be in one process: a server with few
threads, such as gunicorn, must have some left for everybody else.
"""

import threading

from hawkfish_plugin import bounds

# Of eight threads; not all of them can be full at the same time.
_SHARES = {
    'streams': 3,
    'locks': 2,
    'downloads': 1,
    'transfers': 1,
    'answers': 1,
    'decisions': 4,
}
_ALL = 7
_OF = 8


class _House:
    """All rooms together, where *most* requests can wait."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.change = threading.Condition()
        self.waiting = 0


class Room:
    """
    Where requests of one kind wait; *share* of them where it is bounded.

    A server with a thread for each connection bounds those instead; *always*
    is how many there may be on such a one, too.
    """

    def __init__(
        self, share: int, house: _House, always: int | None = None
    ) -> None:
        self._share = share
        self._always = always
        self.is_bounded = False
        self._house = house
        self._waiting = 0

    @property
    def most(self) -> int:
        """How many there may be, where there is a bound."""
        found = [self._share] if self.is_bounded else []
        found += [] if self._always is None else [self._always]
        return min(found, default=self._share)

    def enter(self, patience: float = 0.0) -> bool:
        """
        Whether there is a place, which is then taken.

        One may become free for *patience* seconds, where threads are many.
        """
        with self._house.change:
            seconds = 0.0 if self.is_bounded else patience
            if not self._house.change.wait_for(self._has_place, seconds):
                return False
            self._waiting += 1
            self._house.waiting += 1
            return True

    def _has_place(self) -> bool:
        has_bound = self.is_bounded or self._always is not None
        if has_bound and self._waiting >= self.most:
            return False
        return not self.is_bounded or self._house.waiting < self._house.most

    def leave(self) -> None:
        with self._house.change:
            self._waiting -= 1
            self._house.waiting -= 1
            self._house.change.notify_all()


class Rooms:
    """
    The rooms of a process whose web server has so many *threads*.

    *transfers* of bundles there may be on any server.
    """

    def __init__(self, threads: int, transfers: int = 1) -> None:
        house = _House(max(1, threads * _ALL // _OF))
        shares = {
            name: max(1, threads * share // _OF)
            for name, share in _SHARES.items()
        }
        # Nobody has to be waited with: of few threads none does it.
        if threads < _OF:
            shares['answers'] = 0
        self.streams = Room(shares['streams'], house)
        self.locks = Room(shares['locks'], house)
        self.downloads = Room(shares['downloads'], house)
        self.transfers = Room(shares['transfers'], house, transfers)
        self.answers = Room(
            shares['answers'], house, bounds.PREFERRING_REQUESTS
        )
        self.decisions = Room(shares['decisions'], house)

    def bound(self, is_bounded: bool) -> None:
        """Whether the threads of the web server are few."""
        for room in (
            self.streams,
            self.locks,
            self.downloads,
            self.transfers,
            self.answers,
            self.decisions,
        ):
            room.is_bounded = is_bounded
