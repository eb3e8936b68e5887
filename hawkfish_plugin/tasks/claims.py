# SPDX-License-Identifier: Apache-2.0
"""
Tasks that are being carried out.

Owns the SQL of who works on a task: that it is claimed, how far it came, and
what it has to say meanwhile.  For the workers and their contexts only.
"""

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Sequence

from hawkfish_plugin import db, events, messages
from hawkfish_plugin.tasks.task import Task, read_tasks

# Messages of a task that are events as well, as soon as they are added.
_EVENTS_TOO = frozenset((messages.QUIESCE_FAILED,))

# A task waits for the one that it comes after, for those that hold one of its
# systems, and for its turn on each of them: the oldest comes first.  A
# sub-task works within the locks of its parent, so it waits for the other
# sub-tasks of that parent alone.
_CLAIM = """
    UPDATE tasks SET
        state = CASE state WHEN 'New' THEN 'Running' ELSE state END,
        owner = :owner, claims = claims + 1, started = COALESCE(started, :now)
    WHERE id = (
        SELECT id FROM tasks AS candidate WHERE parent IS :parent AND (
            (state IN ('Running', 'Cancelling') AND owner <> :owner)
            OR (state = 'New'
                AND NOT EXISTS (
                    SELECT 1 FROM tasks AS earlier
                    WHERE earlier.id = candidate.after_task
                    AND earlier.state IN ('New', 'Running', 'Cancelling'))
                AND NOT EXISTS (
                    SELECT 1 FROM task_subjects AS mine
                    JOIN task_subjects AS theirs
                        ON theirs.system = mine.system AND theirs.active
                        AND theirs.task <> mine.task
                        AND 'none' NOT IN (mine.lock, theirs.lock)
                        AND 'exclusive' IN (mine.lock, theirs.lock)
                    JOIN tasks AS other ON other.id = theirs.task
                    WHERE mine.task = candidate.id
                    AND other.parent IS candidate.parent
                    AND (other.state <> 'New' OR other.id < candidate.id))))
        ORDER BY state = 'New', id LIMIT 1)
    RETURNING *
"""


class Claims:
    """The tasks in *database*, whose start is an event of *event_table*."""

    def __init__(
        self, database: db.Database, event_table: events.Events
    ) -> None:
        self._db = database
        self._events = event_table
        self._owner = uuid.uuid4().hex
        self._claiming = threading.Lock()

    def begin_term(self) -> None:
        """What was claimed before is another owner's, and interrupted."""
        self._owner = uuid.uuid4().hex

    def claim(self, parent: int | None = None) -> Task | None:
        """
        Mark the oldest runnable task Running and return it, or None.

        Of the sub-tasks of *parent* where that is given, and else of all
        tasks but sub-tasks.

        One statement does both, for all of its systems, so two workers never
        hold the same task or the same system.  What a dead owner left running
        comes first, and is claimed again; so does a claim that its host has
        forgotten.
        """
        # All workers wake at once: the first of them may leave nothing to do.
        with self._claiming:
            if not self._db.query(
                "SELECT 1 FROM tasks WHERE parent IS ? AND (state = 'New' OR "
                "(state IN ('Running', 'Cancelling') AND owner <> ?)) LIMIT 1",
                parent,
                self._owner,
            ):
                return None
            return self._claim_oldest(parent)

    def _claim_oldest(self, parent: int | None) -> Task | None:
        with self._db.transaction(durable=False) as connection:
            row = connection.execute(
                _CLAIM,
                {
                    'owner': self._owner,
                    'now': time.time(),
                    'parent': parent,
                },
            ).fetchone()
            if row is None:
                return None
            task = read_tasks(connection, [row])[0]
            if task.claims == 1:
                self._note_start(connection, task)
        return task

    def _note_start(self, connection: sqlite3.Connection, task: Task) -> None:
        key, args = messages.TASK_STARTED, [str(task.id)]
        _append(connection, task.id, key, args)
        origin = events.task_origin(task.id, task.systems)
        self._events.record(connection, [events.NewEvent(key, args, origin)])

    def update(
        self, task_id: int, durable: bool = True, **columns: object
    ) -> bool:
        """
        Set columns of an active task; for its Context only.

        False where it has ended.
        """
        names = ', '.join(f'{column} = ?' for column in columns)
        with self._db.transaction(durable) as connection:
            changed = connection.execute(
                f'UPDATE tasks SET {names} '  # noqa: S608
                'WHERE id = ? AND ended IS NULL',
                (*columns.values(), task_id),
            )
            return changed.rowcount > 0

    def add_message(self, task_id: int, key: str, *args: object) -> bool:
        """
        Append a message to an active task; for its Context only.

        False where it has ended.
        """
        with self._db.transaction(durable=False) as connection:
            task = _append(connection, task_id, key, args)
            if task is None:
                return False
            if key in _EVENTS_TOO and task.system:
                origin = events.snapshot_origin(
                    task.system, task.snapshot or ''
                )
                self._events.record(
                    connection, [events.NewEvent(key, args, origin)]
                )
            return True

    def adopt(self, parent: int, task_id: int) -> bool:
        """
        Make a task that waits a sub-task of the running task *parent*.

        False where it does not wait any more, or needs a system that *parent*
        has not locked.  For the Context of *parent*.
        """
        with self._db.transaction() as connection:
            changed = connection.execute(
                'UPDATE tasks SET parent = ?1 '
                "WHERE id = ?2 AND state = 'New' AND parent IS NULL "
                'AND NOT EXISTS ('
                'SELECT system FROM task_subjects WHERE task = ?2 '
                'EXCEPT SELECT system FROM task_subjects WHERE task = ?1)',
                (parent, task_id),
            )
            connection.execute(
                'UPDATE task_subjects SET parent = (SELECT parent FROM tasks '
                'WHERE id = task) WHERE task = ?',
                (task_id,),
            )
            return changed.rowcount > 0


def _append(
    connection: sqlite3.Connection,
    task_id: int,
    key: str,
    args: Sequence[object],
) -> Task | None:
    """Add a message to an active task; returns it, None where it has ended."""
    entry = json.dumps([key, [str(arg) for arg in args]])
    row = connection.execute(
        "UPDATE tasks SET messages = json_insert(messages, '$[#]', json(?)) "
        'WHERE id = ? AND ended IS NULL RETURNING *',
        (entry, task_id),
    ).fetchone()
    return read_tasks(connection, [row])[0] if row else None
