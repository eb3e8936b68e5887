# SPDX-License-Identifier: Apache-2.0
"""
The ends of tasks.

Owns the SQL of what is written when a task ends, in one transaction: its
result or error, the events that tell it, and the system that it may have left
in the middle; and how long an ended task is remembered.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import attention, audit, db, events, totals
from hawkfish_plugin.tasks import ending
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.task import ACTIVE, COMPLETED, Task, read_tasks

# An ended task, of which no parent has to know any more.
_DONE_WITH = """
    ended IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM tasks AS parents
        WHERE parents.id = tasks.parent AND parents.ended IS NULL)
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS later
        WHERE later.after_task = tasks.id AND later.ended IS NULL)
"""


class Ends:
    """The ends of the tasks in *database*, which *event_table* tells."""

    def __init__(
        self,
        database: db.Database,
        event_table: events.Events,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._db = database
        self._events = event_table
        self._conf = conf.tasks
        self._audit_keep: int = conf.audit.keep
        self._told = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many tasks this process has ended."""
        return self._count

    def wait(self, count: int, seconds: float) -> None:
        """Until there were more ends than *count*, *seconds* at most."""
        with self._told:
            self._told.wait_for(lambda: self._count > count, seconds)

    def _tell(self) -> None:
        with self._told:
            self._count += 1
            self._told.notify_all()

    def end(
        self,
        task: Task,
        state: str,
        outcome: ending.Outcome,
        operation: Operation | None = None,
        while_state: str | None = None,
    ) -> bool:
        """
        Write the end of *task*, and the events that tell it.

        Where *operation* is given, those of its own as well; what follows it
        is still to be done then, see ``TaskReader.to_follow``.  False where
        the task was not *while_state*, or had ended already.
        """
        states = ACTIVE if while_state is None else (while_state,)
        with self._db.transaction() as connection:
            row = connection.execute(
                'SELECT * FROM tasks WHERE id = ?', (task.id,)
            ).fetchone()
            if row is None or row['state'] not in states:
                return False
            now = _with_parts(connection, read_tasks(connection, [row])[0])
            ended = ending.ended(now, state, outcome)
            followed = state == COMPLETED and ending.is_followed(
                now, operation
            )
            _write_end(
                connection, ended, ending.journal(now, outcome, followed)
            )
            mends = operation is not None and operation.mends
            _note_attention(connection, ended, outcome, mends)
            _note_audit(connection, ended, self._audit_keep)
            self._events.record(
                connection, ending.told(ended, outcome, operation)
            )
            self._forget_oldest(connection)
        self._tell()
        return True

    def followed(self, task: Task) -> None:
        """What comes after *task* is done."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE tasks SET journal = ? WHERE id = ?',
                (json.dumps(ending.EndJournal().dump()), task.id),
            )

    def forget(self, task_id: int) -> bool:
        """Forget an ended task; False where somebody still needs it."""
        with self._db.transaction() as connection:
            found = connection.execute(
                f'DELETE FROM tasks WHERE id = ? AND {_DONE_WITH}',  # noqa: S608
                (task_id,),
            )
            return found.rowcount > 0

    def _forget_oldest(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            'DELETE FROM tasks WHERE id IN (SELECT task FROM endings '  # noqa: S608
            f'ORDER BY position DESC LIMIT -1 OFFSET ?) AND {_DONE_WITH} '
            f'AND NOT {ending.IS_TO_FOLLOW}',
            (self._conf.keep_completed,),
        )


def _with_parts(connection: sqlite3.Connection, task: Task) -> Task:
    """*task* with the warnings of its sub-tasks."""
    rows = connection.execute(
        'SELECT * FROM tasks WHERE parent = ? AND ended IS NOT NULL '
        'ORDER BY id',
        (task.id,),
    ).fetchall()
    return ending.with_warnings(task, read_tasks(connection, rows))


def _write_end(
    connection: sqlite3.Connection, ended: Task, journal: Mapping[str, Any]
) -> None:
    now = time.time()
    connection.execute(
        'UPDATE tasks SET state = ?, ended = ?, result = ?, error = ?, '
        'messages = ?, percent = ?, journal = ? WHERE id = ?',
        (
            ended.state,
            now,
            _json(ended.result),
            _json(ended.error),
            json.dumps(ended.messages),
            ended.percent,
            json.dumps(journal),
            ended.id,
        ),
    )
    connection.execute('INSERT INTO endings (task) VALUES (?)', (ended.id,))
    connection.execute(
        'UPDATE task_subjects SET active = 0 WHERE task = ?', (ended.id,)
    )
    # A task that was never started took no time; nor did one whose clock was
    # set back.
    seconds = max(0.0, now - (ended.started or now))
    totals.count_task(connection, ended.operation, ended.state, seconds)


def _note_attention(
    connection: sqlite3.Connection,
    ended: Task,
    outcome: ending.Outcome,
    mends: bool,
) -> None:
    """Note whether somebody has to look after the systems of *ended*."""
    for system in {s.system.uuid for s in ended.subjects}:
        if ending.is_unsettled(outcome) and ended.step:
            attention.note(
                connection,
                system,
                ended.id,
                ended.operation,
                ended.snapshot,
                ended.step,
            )
        elif mends and ended.state == COMPLETED:
            attention.clear(connection, system)


def _note_audit(
    connection: sqlite3.Connection, ended: Task, keep: int
) -> None:
    """Note what became of what was asked for; a part is its parent's."""
    if ended.parent is None:
        audit.end_task(
            connection,
            audit.Work(ended.id, ended.operation, ended.snapshot, ended.state),
            ended.failures[0][0] if ended.failures else '',
            ended.payload,
            ended.systems,
            keep,
        )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)
