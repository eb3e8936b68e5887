# SPDX-License-Identifier: Apache-2.0
"""
The retention classes of a schedule: which of what it has made stay.

The rules, and their order, are those of Proxmox's prune: each class looks at
what those before it have not kept, from the newest on, and keeps the newest of
each day, week or month, for as many of them as it says.  A day of which one is
kept already is not its concern.  Pure; ``rules`` and ``chains`` make something
of it.
"""

import dataclasses
import datetime
from collections.abc import Callable, Hashable, Sequence

from hawkfish_plugin.records import Record
from hawkfish_plugin.schedules import recurrence

# Why one that is kept by a class stays.
KEEP_LAST, KEEP_DAILY = 'KeepLast', 'KeepDaily'
KEEP_WEEKLY, KEEP_MONTHLY = 'KeepWeekly', 'KeepMonthly'
REASONS = (KEEP_LAST, KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY)

Period = Callable[[float], Hashable] | None
"""What is the same for all of one day, and so on; None: each is its own"""


@dataclasses.dataclass(frozen=True)
class Classes(Record):
    """
    How many are kept: of the last ones, and one of each day, week and month.

    Days begin as in ``Recurrence``, *offset* seconds ahead of UTC; a week
    begins on Monday.  Where all are 0, everything is kept.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    offset: int = 0

    def __bool__(self) -> bool:
        return bool(self.last or self.daily or self.weekly or self.monthly)

    def kept(self, moments: Sequence[float]) -> list[str | None]:
        """Why each of *moments*, in seconds, stays; None: it does not."""
        newest = sorted(
            range(len(moments)), key=lambda i: moments[i], reverse=True
        )
        marks: dict[int, str | None] = {}
        for reason, most, period in self._rules():
            of = {i: period(moments[i]) if period else i for i in newest}
            covered = {of[i] for i, mark in marks.items() if mark}
            taken: set[Hashable] = set()
            for i in newest:
                if i in marks or of[i] in covered:
                    continue
                if of[i] in taken:
                    # No later class is asked for it.
                    marks[i] = None
                elif len(taken) < most:
                    taken.add(of[i])
                    marks[i] = reason
                else:
                    break
        return [marks.get(i) for i in range(len(moments))]

    def _rules(self) -> Sequence[tuple[str, int, Period]]:
        return (
            (KEEP_LAST, self.last, None),
            (KEEP_DAILY, self.daily, self._day),
            (
                KEEP_WEEKLY,
                self.weekly,
                lambda moment: self._day(moment).isocalendar()[:2],
            ),
            (
                KEEP_MONTHLY,
                self.monthly,
                lambda moment: self._day(moment).replace(day=1),
            ),
        )

    def _day(self, moment: float) -> datetime.date:
        return recurrence.day_of(moment + self.offset)
