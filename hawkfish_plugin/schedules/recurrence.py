# SPDX-License-Identifier: Apache-2.0
"""
When a schedule is due.

Pure arithmetic on seconds since the epoch.  An interval is a number of
seconds, so the occurrences are those of a straight line, and no zone changes
them; the days are those of one fixed offset from UTC, and none of them is
longer than another.  All that is ever looked for is the next one.
"""

import dataclasses
import datetime
from collections.abc import Iterator

from hawkfish_plugin.records import Record

DAY_SECONDS = 86_400
# Between two leap days on one day of the week there can be forty years.
_HORIZON_DAYS = 41 * 366
# The calendar has no later one.
_LAST = int(
    datetime.datetime(
        9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC
    ).timestamp()
)

WEEKDAYS = (
    *('Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'),
    'Sunday',
)
MONTHS = (
    *('January', 'February', 'March', 'April', 'May', 'June', 'July'),
    *('August', 'September', 'October', 'November', 'December'),
)


@dataclasses.dataclass(frozen=True)
class Recurrence(Record):
    """
    The first occurrence at *start*, and then each *interval* seconds.

    None: just the first one.  *weekdays* (0 is Monday), *days* of the month
    and *months* (1 is January) are those on which an occurrence counts, as
    many as are *offset* seconds ahead of UTC; empty: all.  *most* occurrences
    at the most, and none after *ends*.
    """

    start: int
    interval: int | None = None
    offset: int = 0
    weekdays: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    most: int | None = None
    ends: int | None = None

    def after(self, moment: float, runs: int = 0) -> int | None:
        """
        The first occurrence later than *moment*, of which *runs* have been.

        None where there is none.
        """
        if self.most is not None and runs >= self.most:
            return None
        found = self._after(moment)
        last = _LAST if self.ends is None else min(self.ends, _LAST)
        return None if found is None or found > last else found

    def _after(self, moment: float) -> int | None:
        if moment < self.start:
            coming = self.start
        elif self.interval is None:
            return None
        else:
            passed = int((moment - self.start) // self.interval)
            coming = self.start + (passed + 1) * self.interval
        for day in self._enabled_days(coming):
            if day > coming:
                if self.interval is None:
                    return None
                # Rounded up to the line of the occurrences.
                steps = -((self.start - day) // self.interval)
                coming = self.start + steps * self.interval
            if coming < day + DAY_SECONDS:
                return coming
        return None

    def _enabled_days(self, moment: int) -> Iterator[int]:
        """When each enabled day begins, from that of *moment* on."""
        local = moment + self.offset
        first = local - local % DAY_SECONDS
        for number in range(_HORIZON_DAYS):
            begins = first + number * DAY_SECONDS
            if begins > _LAST:
                return
            if self._is_enabled(day_of(begins)):
                yield begins - self.offset

    def _is_enabled(self, day: datetime.date) -> bool:
        return (
            (not self.weekdays or day.weekday() in self.weekdays)
            and (not self.days or day.day in self.days)
            and (not self.months or day.month in self.months)
        )


def day_of(seconds: float) -> datetime.date:
    """The day of *seconds* since the epoch, in UTC."""
    return datetime.date(1970, 1, 1) + datetime.timedelta(
        days=int(seconds // DAY_SECONDS)
    )
