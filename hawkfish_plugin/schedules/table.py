# SPDX-License-Identifier: Apache-2.0
"""
The schedules, and how far each of them is.

Owns the table ``schedules`` and its SQL.  When one is due is stored, and moved
on by one statement, which does nothing where another process was there before:
with the task that is queued in the same transaction, no run is lost and none
is made twice.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from hawkfish_plugin import allowed, bounds, db, exceptions
from hawkfish_plugin.accounts.owners import Owner
from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.schedules.recurrence import Recurrence
from hawkfish_plugin.schedules.rows import (
    Draft,
    Found,
    Schedule,
    classes_of,
    read,
)

# What became of the last occurrence.  A run that waits is still due.
STARTED, SKIPPED = 'Started', 'Skipped'
REFUSED, WAITING = 'Refused', 'Waiting'

# By how much the clock may be changed without a look at what is due.
_SLACK_SECONDS = 60.0


class Claimed(Exception):
    """Somebody else has taken the run, or has changed the schedule."""


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
                'options, payload, recurrence, classes, allowed, owner, '
                'users, created, due, due_steady) '
                'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
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
                    *Owner.columns(draft.owner),
                    now,
                    due,
                    self._steady_at(due, now),
                ),
            )
            return self.get(chosen)

    def list(self) -> Found:
        """Every one, by name; without those whose row is damaged."""
        return read(self._db.query('SELECT * FROM schedules ORDER BY name'))

    def get(self, name: str) -> Schedule:
        """Raises ScheduleNotFound."""
        rows = self._db.query('SELECT * FROM schedules WHERE name = ?', name)
        for found in read(rows):
            return found
        raise exceptions.ScheduleNotFound(name)

    def classes(self) -> dict[int, Classes]:
        """The retention classes of those that have any, by their ids."""
        found = {
            row['id']: classes_of(row)
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
        by: Owner | None = None,
    ) -> Schedule:
        """
        Change what is given; *check* may refuse by what nobody changes more.

        What was due while it was suspended is not made up for.  Who resumes
        it, *by*, owns it from then on.  Raises ScheduleNotFound and
        ScheduleNeverRuns.
        """
        with self._db.transaction() as connection:
            found = self.get(name)
            check(found)
            rule = recurrence or found.recurrence
            stopped = found.suspended if suspended is None else suspended
            due, owner, reason = found.due, found.owner, found.reason
            if found.suspended and not stopped:
                owner, reason = by, None
            if recurrence or (found.suspended and not stopped):
                due = rule.after(now, found.runs)
            if recurrence and due is None:
                raise exceptions.ScheduleNeverRuns()
            kept = found.classes if classes is None else classes
            connection.execute(
                'UPDATE schedules SET recurrence = ?, classes = ?, '
                'suspended = ?, reason = ?, owner = ?, users = ?, due = ?, '
                'due_steady = ? WHERE id = ?',
                (
                    json.dumps(rule.dump()),
                    json.dumps(kept.dump()),
                    stopped,
                    reason,
                    *Owner.columns(owner),
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

    def stop(self, schedule: Schedule, reason: str) -> bool:
        """
        Suspend it for *reason*, a MessageId, as long as it has this owner.

        False where it has another one by now, or goes on no more.
        """
        with self._db.transaction() as connection:
            stopped = connection.execute(
                'UPDATE schedules SET suspended = 1, reason = ? '
                'WHERE id = ? AND owner IS ? AND users IS ? '
                'AND NOT suspended',
                (reason, schedule.id, *Owner.columns(schedule.owner)),
            )
            return stopped.rowcount == 1

    # Runs -----------------------------------------------------------------

    def together(self) -> AbstractContextManager[sqlite3.Connection]:
        """What is written in the block is written at once, or not at all."""
        return self._db.transaction()

    def due(self, now: float) -> Found:
        """Those that are due, those that have been so longest first."""
        self._follow_clock(now)
        return read(
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
        for found in read(late):
            coming = found.recurrence.after(now, found.runs)
            self._move(found, min(filter(None, (found.due, coming))), now)
        over = self._db.query(
            'SELECT * FROM schedules WHERE due IS NULL AND NOT suspended'
        )
        for found in read(over):
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
