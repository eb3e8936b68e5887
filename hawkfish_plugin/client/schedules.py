# SPDX-License-Identifier: Apache-2.0
"""Schedules, which are Redfish's Jobs."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypedDict, Unpack

from sushy.resources import base

from hawkfish_plugin.client import common, typed

JOBS = '/redfish/v1/JobService/Jobs'


def _duration(seconds: common.Seconds | None) -> str | None:
    if seconds is None:
        return None
    # Lists of other things load this module as well.
    import isodate

    span = datetime.timedelta(seconds=common.seconds(seconds))
    return str(isodate.duration_isoformat(span))


def _span(text: str) -> datetime.timedelta:
    import isodate

    found: datetime.timedelta = isodate.parse_duration(text)
    return found


def _start(when: common.When | None) -> str | None:
    """The text of a start, whose offset from UTC tells its days."""
    if isinstance(when, datetime.datetime) and when.tzinfo is not None:
        return when.isoformat(timespec='seconds')
    return common.stamp(when)


class Rules(TypedDict, total=False):
    """When a schedule runs, and how much of what it makes is kept."""

    start: common.When | None
    """The first run; by default now. Its offset from UTC says what a day is"""

    every: common.Seconds | None
    """From one run to the next; without it there is one"""

    weekdays: Sequence[str] | None
    """Days of the week, such as ``Monday``; by default all"""

    days: Sequence[int] | None
    """Days of the month; by default all"""

    months: Sequence[str] | None
    """Months, such as ``January``; by default all"""

    most: int | None
    """How many runs there are at the most"""

    lifetime: common.Seconds | None
    """After how long there are no more"""

    keep_last: int | None
    """How many of the newest are kept"""

    keep_daily: int | None
    """For how many days the newest of each day is kept; and so on"""

    keep_weekly: int | None
    keep_monthly: int | None


_SCHEDULE: common.Properties = {
    'start': ('InitialStartTime', _start),
    'every': ('RecurrenceInterval', _duration),
    'weekdays': ('EnabledDaysOfWeek', common.as_given),
    'days': ('EnabledDaysOfMonth', common.as_given),
    'months': ('EnabledMonthsOfYear', common.as_given),
    'most': ('MaxOccurrences', common.as_given),
    'lifetime': ('Lifetime', _duration),
}
_RETENTION: common.Properties = {
    'keep_last': ('KeepLast', common.as_given),
    'keep_daily': ('KeepDaily', common.as_given),
    'keep_weekly': ('KeepWeekly', common.as_given),
    'keep_monthly': ('KeepMonthly', common.as_given),
}


def _body_of(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a job that *rules* give."""
    keep = {k: v for k, v in rules.items() if k in _RETENTION}
    rest = {k: v for k, v in rules.items() if k not in _RETENTION}
    found: dict[str, Any] = {}
    if rest:
        found['Schedule'] = common.body_of(_SCHEDULE, rest)
    if keep:
        retention = common.body_of(_RETENTION, keep)
        found['Oem'] = {'HawkFish': {'Retention': retention}}
    return found


class Schedule(typed.Resource):
    """One schedule, at the time it was read."""

    identity: str = base.Field('Id', required=True)
    name: str = base.Field('Name')
    state: str = base.Field('JobState')
    """``Pending``, ``Running``, ``Suspended``, or ``Completed``: no more"""

    health: str = base.Field('JobStatus')
    """``OK``, or ``Warning`` if the last run did not do what it should"""

    target: str = base.Field(['Payload', 'TargetUri'])
    """Path of what each run requests"""

    start_time: datetime.datetime | None = base.Field(
        ['Schedule', 'InitialStartTime'], adapter=common.moment
    )
    interval: datetime.timedelta | None = base.Field(
        ['Schedule', 'RecurrenceInterval'], adapter=_span
    )
    """Time from one run to the next, or None if there is one only"""

    next_run_time: datetime.datetime | None = base.Field(
        ['Oem', 'HawkFish', 'NextRunTime'], adapter=common.moment
    )
    occurrences: int = base.Field(['Oem', 'HawkFish', 'OccurrenceCount'])
    """How often it has been due, a made-up run counting as one"""

    last_run: dict[str, Any] | None = base.Field(
        ['Oem', 'HawkFish', 'LastRun']
    )
    """``DueTime``, ``Time``, ``Outcome`` and ``Task``, or None"""

    retention: dict[str, int] = base.Field(['Oem', 'HawkFish', 'Retention'])
    """``KeepLast``, ``KeepDaily``, ``KeepWeekly`` and ``KeepMonthly``"""

    messages: list[dict[str, Any]] = base.Field('Messages')
    """Why the last run did not do what it should"""

    def __repr__(self) -> str:
        return f'<Schedule {self.name!r}: {self.state}>'

    def suspend(self) -> Self:
        """Let it not run until it is resumed."""
        return self._changed(JobState='Suspended')

    def resume(self) -> Self:
        """Let it run again; what was missed is not made up for."""
        return self._changed(JobState='Continue')

    def update(self, **rules: Unpack[Rules]) -> Self:
        """
        Change *rules*, those of ``Rules``; the others stay.

        None takes one away. Fails if the schedule has changed since it was
        read.
        """
        return self._changed(**_body_of(rules))

    def _changed(self, **changes: Any) -> Self:
        content = common.patch(self, changes)
        return type(self)(self._conn, self.path, json_doc=content)

    def delete(self) -> None:
        """Delete the schedule; what it has made stays."""
        self._conn.delete(self.path)


class ScheduleCollection(common.Collection[Schedule]):
    """The schedules; nothing is read before it is needed."""

    _kind = Schedule

    def create(
        self,
        target: str | common.Collection[Any],
        body: dict[str, Any] | None = None,
        name: str | None = None,
        **rules: Unpack[Rules],
    ) -> Schedule:
        """
        Have a create of *target* done again and again.

        *target* are the snapshots of a system or of a group, or the backups
        of a system, or the path of an action that verifies. *body* is what
        the request has, by the names of Redfish. The service chooses a *name*
        that is None. *rules* are those of ``Rules``.
        """
        uri = target if isinstance(target, str) else target.path
        request = {
            **common.given(Name=name),
            **_body_of(rules),
            'Payload': {
                'TargetUri': uri,
                'HttpOperation': 'POST',
                'JsonBody': json.dumps(body or {}),
            },
        }
        response = self._conn.post(self.path, data=request)
        path = response.headers['Location']
        return Schedule(self._conn, path, json_doc=response.json())
