# SPDX-License-Identifier: Apache-2.0
"""
The task table.

Owns the tables ``tasks`` and ``task_subjects`` and their SQL: submit, claim,
cancel, end.  A task names its operation and holds its arguments as JSON, so it
outlives the process.  Any process may submit; ``workers`` are in one of them.
Long, as all SQL of these tables stands together.
"""

import contextlib
import dataclasses
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import (
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import (
    attention,
    db,
    events,
    exceptions,
    locks,
    messages,
)
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks import ending
from hawkfish_plugin.tasks.operation import Lock, Operation
from hawkfish_plugin.tasks.task import (
    ACTIVE,
    CANCELLED,
    CANCELLING,
    COMPLETED,
    EXCEPTION,
    NEW,
    RUNNING,
    Head,
    Subject,
    Task,
    read_heads,
    read_tasks,
)

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

# An ended task, of which no parent has to know any more.
_DONE_WITH = """
    ended IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM tasks AS parents
        WHERE parents.id = tasks.parent AND parents.ended IS NULL)
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS later
        WHERE later.after_task = tasks.id AND later.ended IS NULL)
"""

# Who is active on a subject, but for the task ?4 and those above it.
_RIVAL = """
    WITH RECURSIVE above (id) AS (
        SELECT ?4
        UNION SELECT parent FROM tasks JOIN above USING (id))
    SELECT tasks.* FROM tasks JOIN task_subjects ON task = id
    WHERE system = ?1 AND snapshot IS ?2 AND active
    AND ?3 <> 'none' AND lock <> 'none' AND 'exclusive' IN (lock, ?3)
    AND id NOT IN (SELECT id FROM above WHERE id IS NOT NULL)
"""


class Tasks:
    """The tasks in *database*, and the calls to those who work on them."""

    def __init__(
        self,
        database: db.Database,
        lock_files: locks.Locks,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._db = database
        self._locks = lock_files
        self._conf = conf.tasks
        # Set when there may be a task to claim.
        self.wake = threading.Event()
        # What becomes of a task and the events that tell it are written in
        # one transaction.
        self.events = events.Events(database, conf)
        self.attention = attention.Attention(database)
        self._owner = uuid.uuid4().hex
        self._claiming = threading.Lock()

    # Any process ----------------------------------------------------------

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All tasks that are submitted in the block are queued, or none."""
        with self._db.transaction():
            yield
        self._call()

    def submit(
        self,
        operation: Operation,
        subjects: Sequence[Subject],
        arguments: Record,
        payload: Mapping[str, Any],
        parent: int | None = None,
        after: int | None = None,
        undoing: bool = False,
    ) -> Task:
        """
        Queue *operation* on *subjects*.

        It waits for the end of the task *after*, where that is given.  As a
        sub-task of the running task *parent* it is carried out by that one
        (see ``Context.run_sub_tasks``), within its locks: it may lock what
        the parent has locked, and nothing else.

        A subject has one active task at most that does not share it, but for
        a parent and its sub-task; the operation has the error where there is
        one.  Raises QueueFull, OperationCancelled where the parent is being
        cancelled and this is not *undoing* what it did, and ValueError for
        subjects that its parent has not locked.
        """
        if len(set(subjects)) < len(subjects):
            raise ValueError(f'The same subject twice: {subjects}')
        with self._db.transaction() as connection:
            if parent is None:
                self._check_queue(connection)
            else:
                _check_parent(connection, parent, operation, subjects, undoing)
            for subject in subjects:
                self._check_subject(connection, operation, subject, parent)
            row = connection.execute(
                'INSERT INTO tasks (operation, version, cancellable, parent, '
                'after_task, arguments, payload, created, queued) '
                'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *',
                (
                    operation.name,
                    operation.version,
                    operation.cancellable,
                    parent,
                    after,
                    json.dumps(arguments.dump()),
                    json.dumps(payload),
                    time.time(),
                    self._db.steady(),
                ),
            ).fetchone()
            _insert_subjects(connection, row, operation.lock, subjects)
            task = read_tasks(connection, [row])[0]
        self._call()
        return task

    def _call(self) -> None:
        self.wake.set()
        self._locks.call_owner()

    def _check_queue(self, connection: sqlite3.Connection) -> None:
        (waiting,) = connection.execute(
            "SELECT COUNT(*) FROM tasks WHERE state = 'New' AND parent IS NULL"
        ).fetchone()
        if waiting >= self._conf.queue_limit:
            raise exceptions.QueueFull(self._conf.queue_limit)

    def _check_subject(
        self,
        connection: sqlite3.Connection,
        operation: Operation,
        subject: Subject,
        parent: int | None,
    ) -> None:
        row = connection.execute(
            _RIVAL,
            (
                subject.system.uuid,
                subject.snapshot,
                operation.lock.value,
                parent,
            ),
        ).fetchone()
        if row:
            raise operation.refusal(read_tasks(connection, [row])[0])

    def get(self, task_id: int) -> Task:
        """Raises TaskNotFound."""
        found = self._select('WHERE id = ?', task_id)
        if not found:
            raise exceptions.TaskNotFound(task_id)
        return found[0]

    def list(self) -> Sequence[Task]:
        """Every task that is remembered, oldest first."""
        return self._select('')

    def sub_tasks(self, task_id: int) -> Sequence[Task]:
        """The sub-tasks of a task, oldest first."""
        return self._select('WHERE parent = ?', task_id)

    def heads(self, parent: int | None = None) -> Sequence[Head]:
        """Those of every task, or of the sub-tasks of one, oldest first."""
        with self._db.reading() as connection:
            rows = connection.execute(
                'SELECT id FROM tasks WHERE ?1 IS NULL OR parent = ?1 '
                'ORDER BY id',
                (parent,),
            ).fetchall()
            return read_heads(connection, [row['id'] for row in rows])

    def load(self, heads: Sequence[Head]) -> Sequence[Task]:
        """The tasks of *heads* that are still remembered, oldest first."""
        return self._select(
            'WHERE id IN (SELECT value FROM json_each(?))',
            json.dumps([head.id for head in heads]),
        )

    def has_waiting(self, task_id: int) -> bool:
        """Whether any sub-task of a task has not begun."""
        return bool(
            self._db.query(
                "SELECT 1 FROM tasks WHERE parent = ? AND state = 'New' "
                'LIMIT 1',
                task_id,
            )
        )

    def has_sub_tasks(self) -> frozenset[int]:
        """The ids of the tasks that have sub-tasks."""
        rows = self._db.query(
            'SELECT DISTINCT parent FROM tasks WHERE parent IS NOT NULL'
        )
        return frozenset(row['parent'] for row in rows)

    def active(self, system: str) -> dict[str | None, Task]:
        """
        The active tasks of one system, by the snapshot that they work on.

        None stands for the system itself.  Left out are those that share it,
        or take no lock: they keep nobody from anything.
        """
        return {
            subject.snapshot: task
            for task in self._active(system)
            for subject in task.subjects
            if subject.system.uuid == system
        }

    def _active(self, system: str) -> Sequence[Task]:
        return self._select(
            'WHERE id IN (SELECT task FROM task_subjects '
            "WHERE system = ? AND active AND lock = 'exclusive')",
            system,
        )

    def working(self, operations: Collection[str]) -> Sequence[Task]:
        """The active tasks of *operations*, given by their names."""
        return self._select(
            'WHERE ended IS NULL AND operation IN ('
            'SELECT value FROM json_each(?))',
            json.dumps(list(operations)),
        )

    def unsettled(self, system: str) -> Task | None:
        """
        The interrupted task that may have left *system* half changed.

        For who holds the lock of the system: whoever works on it would hold
        it, so a task that has begun without it was interrupted.
        """
        found = self._select(
            "WHERE step <> '' AND state <> 'New' AND id IN ("
            'SELECT task FROM task_subjects '
            "WHERE system = ? AND active AND lock = 'exclusive')",
            system,
        )
        return found[0] if found else None

    def waited(self, task: Task) -> float:
        """The seconds since *task* was submitted."""
        return self._db.steady() - (task.queued or task.created)

    def any_active(self) -> bool:
        """Whether any task waits or runs."""
        return bool(
            self._db.query('SELECT 1 FROM task_subjects WHERE active LIMIT 1')
        )

    def _select(self, where: str, *args: object) -> Sequence[Task]:
        with self._db.reading() as connection:
            return read_tasks(
                connection,
                connection.execute(
                    f'SELECT * FROM tasks {where} ORDER BY id',  # noqa: S608
                    args,
                ).fetchall(),
            )

    def cancel(self, task_id: int) -> Task:
        """
        Cancel a task that waits, or ask a running one to stop.

        So are its sub-tasks, those that can be.  An ended one is forgotten,
        and that its system needs attention for its sake.  Raises TaskNotFound,
        and TaskNotCancellable where its operation must not be interrupted, or
        its parent, or a task that comes after it, still needs it.
        """
        task = self.get(task_id)
        if not task.active:
            self.attention.acknowledge(task_id)
            if not self._forget(task_id):
                raise exceptions.TaskNotCancellable(
                    task_id, self._needing(task).operation
                )
            return task
        if self.end(task, CANCELLED, _cancelled(task), while_state=NEW):
            return self.get(task_id)
        if not self.get(task_id).may_cancel:
            raise exceptions.TaskNotCancellable(task_id, task.operation)
        with self._db.transaction() as connection:
            connection.execute(
                "UPDATE tasks SET state = 'Cancelling' "
                "WHERE id = ? AND state = 'Running'",
                (task_id,),
            )
        self._cancel_sub_tasks(task_id)
        return self.get(task_id)

    def _needing(self, task: Task) -> Task:
        """Who still needs the result of *task*; itself where nobody does."""
        found = self._select(
            'WHERE ended IS NULL AND (id = ? OR after_task = ?)',
            task.parent,
            task.id,
        )
        return found[0] if found else task

    def _cancel_sub_tasks(self, task_id: int) -> None:
        # None is submitted any more: the parent is being cancelled.
        for part in self.sub_tasks(task_id):
            if part.active:
                with contextlib.suppress(exceptions.TaskNotCancellable):
                    self.cancel(part.id)

    def abandon(self, task_id: int, operation: Operation) -> Task:
        """
        End a task of *operation*, however far it came; see ``attention``.

        One that still waits is cancelled.  Raises TaskNotFound and TaskEnded.
        """
        task = self.get(task_id)
        if self.end(task, CANCELLED, _cancelled(task), while_state=NEW):
            return self.get(task_id)
        task = self.get(task_id)
        error = exceptions.OperationUnsettled(
            task.operation, task.step or 'start', 'it was abandoned'
        )
        if not self.end(
            task,
            EXCEPTION,
            error,
            happened=lambda ended: operation.ended(ended, error),
        ):
            raise exceptions.TaskEnded(task_id, task.state)
        # The worker that has it hears of it.
        self._call()
        return self.get(task_id)

    def ended(self, task_ids: Collection[int]) -> frozenset[int]:
        """Those of the tasks that have ended, or are forgotten."""
        rows = self._db.query(
            'SELECT id FROM tasks WHERE ended IS NULL AND id IN ('
            'SELECT value FROM json_each(?))',
            json.dumps(list(task_ids)),
        )
        return frozenset(task_ids) - {row['id'] for row in rows}

    def _forget(self, task_id: int) -> bool:
        with self._db.transaction() as connection:
            found = connection.execute(
                f'DELETE FROM tasks WHERE id = ? AND {_DONE_WITH}',  # noqa: S608
                (task_id,),
            )
            return found.rowcount > 0

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
            if self.ended([task_id]):
                return False
            task = _append(connection, task_id, key, args)
            if key in _EVENTS_TOO and task.system:
                origin = events.snapshot_origin(
                    task.system, task.snapshot or ''
                )
                self.events.record(
                    connection, [events.NewEvent(key, args, origin)]
                )
            return True

    # Who works on them -----------------------------------------------------

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
        args = [str(task.id)]
        _append(connection, task.id, messages.TASK_STARTED, args)
        self.events.record(
            connection, [_of_task(task, messages.TASK_STARTED, args)]
        )

    def end(
        self,
        task: Task,
        state: str,
        outcome: ending.Outcome,
        while_state: str | None = None,
        mends: bool = False,
        happened: Callable[[Task], Sequence[events.NewEvent]] | None = None,
        followed: bool = False,
    ) -> bool:
        """
        Write the end of *task*, and the events that tell it.

        *happened* gives those of its operation, from the task as it ended;
        *mends* is that of the operation; what it is *followed* by is still to
        be done, see ``to_follow``.
        False where it was not *while_state*, or had ended already.
        """
        error = result = None
        if isinstance(outcome, exceptions.HawkFishError):
            error = ending.error(outcome)
        else:
            result = outcome
        with self._db.transaction() as connection:
            row = connection.execute(
                'SELECT * FROM tasks WHERE id = ?', (task.id,)
            ).fetchone()
            if row is None or row['state'] not in (
                ACTIVE if while_state is None else (while_state,)
            ):
                return False
            now = read_tasks(connection, [row])[0]
            ended = dataclasses.replace(
                now,
                state=state,
                result=result,
                error=error,
                messages=[
                    *now.messages,
                    *ending.last_messages(now, state, error),
                ],
                percent=100 if state == COMPLETED else now.percent,
            )
            _write_end(
                connection, ended, ending.journal(now, outcome, followed)
            )
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
                elif mends and state == COMPLETED:
                    attention.clear(connection, system)
            self.events.record(
                connection,
                [
                    *(happened(ended) if happened else ()),
                    _of_task(ended, *ended.messages[-1]),
                ],
            )
            self._forget_oldest(connection)
        return True

    def adopt(self, parent: int, task_id: int) -> bool:
        """
        Make a task that waits a sub-task of the running task *parent*.

        False where it does not wait any more.  For the Context of *parent*,
        which has locked the systems of both.
        """
        with self._db.transaction() as connection:
            changed = connection.execute(
                'UPDATE tasks SET parent = ? '
                "WHERE id = ? AND state = 'New' AND parent IS NULL",
                (parent, task_id),
            )
            connection.execute(
                'UPDATE task_subjects SET parent = (SELECT parent FROM tasks '
                'WHERE id = task) WHERE task = ?',
                (task_id,),
            )
            return changed.rowcount > 0

    def _forget_oldest(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            'DELETE FROM tasks WHERE id IN (SELECT task FROM endings '  # noqa: S608
            f'ORDER BY position DESC LIMIT -1 OFFSET ?) AND {_DONE_WITH} '
            f'AND NOT {ending.IS_TO_FOLLOW}',
            (self._conf.keep_completed,),
        )

    def to_follow(self) -> Sequence[Task]:
        """The ended tasks after which something is still to be done."""
        return self._select(
            f'WHERE ended IS NOT NULL AND {ending.IS_TO_FOLLOW}'
        )

    def followed(self, task: Task) -> None:
        """What comes after *task* is done."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE tasks SET journal = ? WHERE id = ?',
                (json.dumps(ending.EndJournal().dump()), task.id),
            )


def _check_parent(
    connection: sqlite3.Connection,
    task_id: int,
    operation: Operation,
    subjects: Sequence[Subject],
    undoing: bool,
) -> None:
    """Raise where the task must not get a sub-task of *operation*."""
    row = connection.execute(
        'SELECT * FROM tasks WHERE id = ?', (task_id,)
    ).fetchone()
    if row is None or row['state'] not in (RUNNING, CANCELLING):
        raise ValueError(f'Task {task_id} does not run')
    if row['state'] == CANCELLING and not undoing:
        raise exceptions.OperationCancelled(row['operation'])
    locks_of = {
        row['system']: Lock(row['lock'])
        for row in connection.execute(
            'SELECT * FROM task_subjects WHERE task = ?', (task_id,)
        )
    }
    for subject in subjects:
        held = locks_of.get(subject.system.uuid, Lock.NONE)
        if operation.lock not in (held, Lock.NONE) and held != Lock.EXCLUSIVE:
            # It would wait for others, who may be waiting for its parent.
            raise ValueError(
                f'Task {task_id} has not locked {subject.system.uuid}'
            )


def _insert_subjects(
    connection: sqlite3.Connection,
    task: sqlite3.Row,
    lock: Lock,
    subjects: Sequence[Subject],
) -> None:
    connection.executemany(
        'INSERT INTO task_subjects '
        '(task, parent, position, system, system_name, snapshot, lock) '
        'VALUES (?, ?, ?, ?, ?, ?, ?)',
        [
            (
                task['id'],
                task['parent'],
                position,
                subject.system.uuid,
                subject.system.name,
                subject.snapshot,
                lock.value,
            )
            for position, subject in enumerate(subjects)
        ],
    )


def _write_end(
    connection: sqlite3.Connection, ended: Task, journal: Mapping[str, Any]
) -> None:
    connection.execute(
        'UPDATE tasks SET state = ?, ended = ?, result = ?, error = ?, '
        'messages = ?, percent = ?, journal = ? WHERE id = ?',
        (
            ended.state,
            time.time(),
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


def _append(
    connection: sqlite3.Connection,
    task_id: int,
    key: str,
    args: Sequence[object],
) -> Task:
    """Add a message to a task, and return the task."""
    entry = json.dumps([key, [str(arg) for arg in args]])
    row = connection.execute(
        "UPDATE tasks SET messages = json_insert(messages, '$[#]', json(?)) "
        'WHERE id = ? RETURNING *',
        (entry, task_id),
    ).fetchone()
    return read_tasks(connection, [row])[0]


def _of_task(task: Task, key: str, args: Sequence[object]) -> events.NewEvent:
    origin = events.task_origin(task.id, task.system)
    return events.NewEvent(key, args, origin)


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def _cancelled(task: Task) -> exceptions.HawkFishError:
    return exceptions.OperationCancelled(task.operation)
