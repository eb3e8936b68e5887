# SPDX-License-Identifier: Apache-2.0
"""
The schedules, and how far each of them is.

Owns the table ``schedules`` and its SQL.  When one is due is stored, and moved
on by one statement, which does nothing where another process was there before:
with the task that is queued in the same transaction, no run is lost and none
is made twice.
"""

import dataclasses
import itertools
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from hawkfish_plugin import allowed, bounds, db, exceptions
from hawkfish_plugin.drivers.contract import System
from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.schedules.recurrence import Recurrence

# What became of the last occurrence.  A run that waits is still due.
STARTED, SKIPPED = 'Started', 'Skipped'
REFUSED, WAITING = 'Refused', 'Waiting'

# By how much the clock may be changed without a look at what is due.
_SLACK_SECONDS = 60.0


class Claimed(Exception):
    """Somebody else has taken the run, or has changed the schedule."""


@dataclasses.dataclass(frozen=True)
class Draft:
    """
    What a client asks for.

    *kind* is one of ``operations.scheduling``, which knows its *options*;
    *systems* are those that it is for, of a group those of now.  *payload* is
    the request as it is shown.  *allowed* are the UUIDs and names of the
    systems that its maker may reach; None: all.
    """

    kind: str
    systems: tuple[System, ...]
    group: str | None
    options: Mapping[str, Any]
    payload: Mapping[str, Any]
    recurrence: Recurrence
    classes: Classes
    allowed: allowed.Allowed


@dataclasses.dataclass(frozen=True)
class Schedule(Draft):
    """
    One row.  Times are seconds since the epoch.

    *due* is when it runs next; None: no more.  *runs* are all occurrences so
    far, also those that were skipped or refused.  *last_due* is when the last
    one should have been, *last_run* when it was, *outcome* what became of it,
    *task* its task, and *messages* pairs of a MessageId and its arguments.
    """

    id: int
    name: str
    created: float
    suspended: bool
    runs: int
    due: float | None
    last_due: float | None
    last_run: float | None
    outcome: str | None
    task: int | None
    messages: Sequence[tuple[str, list[str]]]


# The class below has a method of that name.
Found = list[Schedule]


class Schedules:
    """The schedules in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def create(self, name: str | None, draft: Draft, now: float) -> Schedule:
        """
        A new one, called ``schedule-1`` and so on where *name* is None.

        Raises ScheduleExists, CreateLimitReachedForResource, and
        ScheduleNeverRuns.
        """
        # One that begins now is not over.
        due = draft.recurrence.after(now - 1)
        if due is None:
            raise exceptions.ScheduleNeverRuns()
        with self._db.transaction() as connection:
            taken = {
                row['name']
                for row in connection.execute('SELECT name FROM schedules')
            }
            if name is not None and name in taken:
                raise exceptions.ScheduleExists(name)
            if len(taken) >= bounds.SCHEDULES:
                raise exceptions.CreateLimitReachedForResource()
            chosen = name or next(
                f'schedule-{number}'
                for number in itertools.count(1)
                if f'schedule-{number}' not in taken
            )
            connection.execute(
                'INSERT INTO schedules (name, kind, systems, aggregate, '
                'options, payload, recurrence, classes, allowed, created, '
                'due, due_steady) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
                (
                    chosen,
                    draft.kind,
                    allowed.text_of(draft.systems),
                    draft.group,
                    json.dumps(draft.options),
                    json.dumps(draft.payload),
                    json.dumps(draft.recurrence.dump()),
                    json.dumps(draft.classes.dump()),
                    json.dumps(draft.allowed),
                    now,
                    due,
                    self._steady_at(due, now),
                ),
            )
            return self.get(chosen)

    def list(self) -> Found:
        """Every one, by name; without those whose row is damaged."""
        return _read(self._db.query('SELECT * FROM schedules ORDER BY name'))

    def get(self, name: str) -> Schedule:
        """Raises ScheduleNotFound."""
        rows = self._db.query('SELECT * FROM schedules WHERE name = ?', name)
        for found in _read(rows):
            return found
        raise exceptions.ScheduleNotFound(name)

    def classes(self) -> dict[int, Classes]:
        """The retention classes of those that have any, by their ids."""
        found = {
            row['id']: _classes(row)
            for row in self._db.query('SELECT id, classes FROM schedules')
        }
        return {number: kept for number, kept in found.items() if kept}

    # Changes --------------------------------------------------------------

    def change(
        self,
        name: str,
        check: Callable[[Schedule], None],
        now: float,
        recurrence: Recurrence | None = None,
        classes: Classes | None = None,
        suspended: bool | None = None,
    ) -> Schedule:
        """
        Change what is given; *check* may refuse by what nobody changes more.

        What was due while it was suspended is not made up for.  Raises
        ScheduleNotFound and ScheduleNeverRuns.
        """
        with self._db.transaction() as connection:
            found = self.get(name)
            check(found)
            rule = recurrence or found.recurrence
            stopped = found.suspended if suspended is None else suspended
            due = found.due
            if recurrence or (found.suspended and not stopped):
                due = rule.after(now, found.runs)
            if recurrence and due is None:
                raise exceptions.ScheduleNeverRuns()
            kept = found.classes if classes is None else classes
            connection.execute(
                'UPDATE schedules SET recurrence = ?, classes = ?, '
                'suspended = ?, due = ?, due_steady = ? WHERE id = ?',
                (
                    json.dumps(rule.dump()),
                    json.dumps(kept.dump()),
                    stopped,
                    due,
                    self._steady_at(due, now),
                    found.id,
                ),
            )
            return self.get(name)

    def delete(self, name: str, check: Callable[[Schedule], None]) -> None:
        """
        Delete one; what it has made stays.

        *check* may refuse, as above.  Raises ScheduleNotFound.
        """
        with self._db.transaction() as connection:
            found = self.get(name)
            check(found)
            connection.execute(
                'DELETE FROM schedules WHERE id = ?', (found.id,)
            )

    # Runs -----------------------------------------------------------------

    def together(self) -> AbstractContextManager[sqlite3.Connection]:
        """What is written in the block is written at once, or not at all."""
        return self._db.transaction()

    def due(self, now: float) -> Found:
        """Those that are due, those that have been so longest first."""
        self._follow_clock(now)
        return _read(
            self._db.query(
                'SELECT * FROM schedules WHERE due <= ? AND NOT suspended '
                'ORDER BY due, id',
                now,
            )
        )

    def claim(
        self,
        schedule: Schedule,
        now: float,
        outcome: str,
        task: int | None = None,
        messages: Sequence[tuple[str, Sequence[str]]] = (),
    ) -> None:
        """
        Take the run that is due, with all that were missed before it.

        Raises Claimed where it is not there any more to be taken.
        """
        following = schedule.recurrence.after(now, schedule.runs + 1)
        with self._db.transaction() as connection:
            taken = connection.execute(
                'UPDATE schedules SET due = ?, due_steady = ?, '
                'runs = runs + 1, last_due = due, last_run = ?, outcome = ?, '
                'task = COALESCE(?, task), messages = ? '
                'WHERE id = ? AND due = ? AND runs = ? AND NOT suspended',
                (
                    following,
                    self._steady_at(following, now),
                    now,
                    outcome,
                    task,
                    json.dumps(messages),
                    schedule.id,
                    schedule.due,
                    schedule.runs,
                ),
            )
            if taken.rowcount != 1:
                raise Claimed

    def wait(
        self,
        schedule: Schedule,
        messages: Sequence[tuple[str, Sequence[str]]],
    ) -> None:
        """Note why a run that is due, and stays so, cannot begin."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE schedules SET outcome = ?, messages = ? '
                'WHERE id = ? AND due = ?',
                (WAITING, json.dumps(messages), schedule.id, schedule.due),
            )

    def _follow_clock(self, now: float) -> None:
        """
        Have those run again whose time a wrong clock has moved far away.

        One is looked at when as much time has passed as was left: until then
        a clock that was set back makes nothing run a second time.  One whose
        last occurrence was long ago by a clock that was ahead goes on as soon
        as the clock is right; none has a second time what it had.
        """
        steady = self._db.steady()
        late = self._db.query(
            'SELECT * FROM schedules WHERE due > ? AND due_steady < ? '
            'AND NOT suspended',
            now + _SLACK_SECONDS,
            steady - _SLACK_SECONDS,
        )
        for found in _read(late):
            coming = found.recurrence.after(now, found.runs)
            self._move(found, min(filter(None, (found.due, coming))), now)
        over = self._db.query(
            'SELECT * FROM schedules WHERE due IS NULL AND NOT suspended'
        )
        for found in _read(over):
            begun = max(now, found.last_due or 0)
            coming = found.recurrence.after(begun, found.runs)
            if coming is not None:
                self._move(found, coming, now)

    def _move(self, schedule: Schedule, due: float, now: float) -> None:
        """Let it be *due* then, unless something has changed meanwhile."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE schedules SET due = ?, due_steady = ? '
                'WHERE id = ? AND due IS ? AND runs = ?',
                (
                    due,
                    self._steady_at(due, now),
                    schedule.id,
                    schedule.due,
                    schedule.runs,
                ),
            )

    def _steady_at(self, moment: float | None, now: float) -> float | None:
        """*moment*, by the time that no change of the clock changes."""
        if moment is None:
            return None
        return self._db.steady() + moment - now


def _read(rows: Sequence[sqlite3.Row]) -> Found:
    found = []
    for row in rows:
        nothing: dict[str, Any] = {}
        rule, _ = db.decoded(row['recurrence'], nothing)
        # Of what cannot be read, nothing is done.
        if _is_sound(row) and _is_rule(rule):
            found.append(_schedule(row, Recurrence.load(rule)))
    return found


def _is_sound(row: sqlite3.Row) -> bool:
    """Whether it can be read who asks for what, and with which options."""
    nothing: dict[str, Any] = {}
    no_list: list[Any] = []
    return (
        bool(db.decoded(row['payload'], nothing)[0])
        and db.decoded(row['options'], nothing)[1]
        and db.decoded(row['systems'], no_list)[1]
        and (
            row['allowed'] == 'null' or db.decoded(row['allowed'], no_list)[1]
        )
    )


def _is_rule(stored: Mapping[str, Any]) -> bool:
    """Whether *stored* has numbers, and lists of them, where they belong."""
    numbers = ('interval', 'offset', 'most', 'ends')
    lists = ('weekdays', 'days', 'months')
    return (
        isinstance(stored.get('start'), int)
        and all(isinstance(stored.get(n), int | None) for n in numbers)
        and all(
            isinstance(found := stored.get(n, []), list)
            and all(isinstance(one, int) for one in found)
            for n in lists
        )
    )


def _classes(row: sqlite3.Row) -> Classes:
    """Where they cannot be read, none: what there is stays."""
    nothing: dict[str, Any] = {}
    found, _ = db.decoded(row['classes'], nothing)
    sound = all(isinstance(value, int) for value in found.values())
    return Classes.load(found) if sound else Classes()


def _schedule(row: sqlite3.Row, rule: Recurrence) -> Schedule:
    nothing: dict[str, Any] = {}
    no_list: list[Any] = []
    everything = row['allowed'] == 'null'
    return Schedule(
        row['kind'],
        allowed.systems_in(row['systems']),
        row['aggregate'],
        db.decoded(row['options'], nothing)[0],
        db.decoded(row['payload'], nothing)[0],
        rule,
        _classes(row),
        None if everything else db.decoded(row['allowed'], no_list)[0],
        row['id'],
        row['name'],
        row['created'],
        bool(row['suspended']),
        row['runs'],
        row['due'],
        row['last_due'],
        row['last_run'],
        row['outcome'],
        row['task'],
        [(str(one[0]), list(one[1])) for one in _pairs(row['messages'])],
    )


def _pairs(text: object) -> list[Any]:
    no_list: list[Any] = []
    return [
        one
        for one in db.decoded(text, no_list)[0]
        if isinstance(one, list) and len(one) == 2
    ]
