# SPDX-License-Identifier: Apache-2.0
"""
Where the sub-tasks of one parent wait for each other.

Owns who has come how far.  All pass a point, or none does: one that has ended,
or gives up, before all are there makes every other one give up, and one that
has passed is held up by nobody.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.contract import Meeting

# How often who waits looks whether it still should.
_POLL_SECONDS = 0.2
_NOWHERE = 0


class Rendezvous:
    """That of *members*: the ids of tasks, and the names of their systems."""

    def __init__(self, members: Mapping[int, str]) -> None:
        self._names = members
        self._changed = threading.Condition()
        self._reached = dict.fromkeys(members, _NOWHERE)
        self._gone: set[int] = set()
        # Of those, who has left because of another one.
        self._followers: set[int] = set()

    @property
    def members(self) -> Collection[int]:
        return self._names.keys()

    def meet(
        self,
        member: int,
        point: Meeting,
        seconds: float,
        watch: Callable[[], None],
    ) -> None:
        """
        Wait for *seconds* at most until every member has come to *point*.

        *watch* is called now and then, and ends the wait by raising.  Raises
        MeetingMissed where another member does not come.  Whoever gives up
        has left.
        """
        deadline = time.monotonic() + seconds
        self._arrive(member, point)
        try:
            while self._waits(member, point, deadline, seconds):
                watch()
        except exceptions.HawkFishError:
            if self._withdraw(member, point):
                raise

    def leave(self, member: int) -> None:
        """Let nobody wait for *member* at a point that it is not at yet."""
        with self._changed:
            self._gone.add(member)
            self._changed.notify_all()

    def _arrive(self, member: int, point: Meeting) -> None:
        with self._changed:
            self._reached[member] = point.value
            self._changed.notify_all()

    def _waits(
        self, member: int, point: Meeting, deadline: float, seconds: float
    ) -> bool:
        """Wait for a moment, where there is still something to wait for."""
        with self._changed:
            pause = min(max(0.0, deadline - time.monotonic()), _POLL_SECONDS)
            # Each arrival wakes all who wait; they look at more only then.
            self._changed.wait_for(lambda: self._is_decided(point), pause)
            missing = self._missing(point)
            if not missing:
                return False
            if gone := missing & self._gone:
                first = gone - self._followers or gone
                self._followers.add(member)
                raise self._missed(point, first, 'ended before that')
            if time.monotonic() >= deadline:
                why = f'not within {seconds:.0f} seconds'
                raise self._missed(point, missing, why)
        return True

    def _withdraw(self, member: int, point: Meeting) -> bool:
        """Be nowhere; False where all have met at *point* meanwhile."""
        with self._changed:
            if not self._missing(point):
                return False
            self._reached[member] = _NOWHERE
            self._gone.add(member)
            self._changed.notify_all()
        return True

    def _is_decided(self, point: Meeting) -> bool:
        """Whether all are there, or one does not come."""
        missing = self._missing(point)
        return not missing or not missing.isdisjoint(self._gone)

    def _missing(self, point: Meeting) -> set[int]:
        wanted = point.value
        return {m for m, place in self._reached.items() if place < wanted}

    def _missed(
        self, point: Meeting, missing: Collection[int], why: str
    ) -> exceptions.MeetingMissed:
        names = ', '.join(sorted(self._names[m] for m in missing))
        return exceptions.MeetingMissed(names, point.words, why)
