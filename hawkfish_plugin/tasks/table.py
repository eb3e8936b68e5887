# SPDX-License-Identifier: Apache-2.0
"""
The task table, for those who want something done.

Owns, of the tables ``tasks`` and ``task_subjects``, the SQL by which tasks are
submitted, cancelled and abandoned, and the bounds of the queue.  A task names
its operation and holds its arguments as JSON, so it outlives the process.  Any
process may submit; ``workers`` are in one of them.  The other SQL of these
tables is in ``reading``, ``claims`` and ``ends``.
"""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import (
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import (
    allowed,
    db,
    events,
    exceptions,
    locks,
)
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.claims import Claims
from hawkfish_plugin.tasks.ends import Ends
from hawkfish_plugin.tasks.operation import Lock, Operation, Operations
from hawkfish_plugin.tasks.reading import TaskReader
from hawkfish_plugin.tasks.task import (
    CANCELLED,
    CANCELLING,
    EXCEPTION,
    NEW,
    RUNNING,
    Subject,
    Task,
    read_tasks,
)

# Ends in other processes are found by looking.
_LOOK_SECONDS = 0.5

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


class _Listener(threading.local):
    """Who is told of what the thread queues."""

    tell: Callable[[Task], None] | None = None


class Tasks(TaskReader):
    """
    The tasks in *database*, and the calls to those who work on them.

    What becomes of a task and the *events* that tell it are written in one
    transaction.  *wake* is set when there may be a task to claim.
    """

    def __init__(
        self,
        database: db.Database,
        lock_files: locks.Locks,
        conf: cfg.ConfigOpts,
    ) -> None:
        super().__init__(database)
        self._locks = lock_files
        self._conf = conf.tasks
        self.wake = threading.Event()
        self._listener = _Listener()
        self.events = events.Events(database, conf)
        self.claims = Claims(database, self.events)
        self.ends = Ends(database, self.events, conf)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All tasks that are submitted in the block are queued, or none."""
        with self._db.transaction():
            yield
        self._call()

    @contextlib.contextmanager
    def telling(self, tell: Callable[[Task], None]) -> Iterator[None]:
        """
        *tell* the request's own task that this thread queues in the block.

        In the transaction that queues it: where that raises, none is queued.
        What is queued with it, and has no request, is not told.
        """
        self._listener.tell = tell
        try:
            yield
        finally:
            self._listener.tell = None

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
            cancellable = operation.cancellable and not undoing
            if parent is None:
                self._check_queue(connection)
            else:
                # Whatever becomes of a part becomes of the whole.
                cancellable &= _check_parent(
                    connection, parent, operation, subjects, undoing
                )
            for subject in subjects:
                self._check_subject(connection, operation, subject, parent)
            row = _insert(
                connection,
                operation=operation.name,
                version=operation.version,
                cancellable=cancellable,
                parent=parent,
                above=_above(connection, parent),
                after_task=after,
                arguments=json.dumps(arguments.dump()),
                payload=json.dumps(payload),
                created=time.time(),
                queued=self._db.steady(),
            )
            _insert_subjects(connection, row, operation.lock, subjects)
            task = read_tasks(connection, [row])[0]
            if self._listener.tell and payload:
                self._listener.tell(task)
        self._call()
        return task

    def await_end(self, task_id: int, until: float) -> Task:
        """
        The task when it has ended, or as it is *until* then (monotonic).

        Raises TaskNotFound.
        """
        while True:
            # Counted first: an end between the two lines is not missed.
            count = self.ends.count
            task = self.get(task_id)
            left = until - time.monotonic()
            if not task.active or left <= 0:
                return task
            self.ends.wait(count, min(left, _LOOK_SECONDS))

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
            if not self.ends.forget(task_id):
                raise exceptions.TaskNotCancellable(
                    task_id, self._needing(task).operation
                )
            return task
        if self.ends.end(task, CANCELLED, _cancelled(task), while_state=NEW):
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

    def abandon(self, task_id: int, operations: Operations) -> Task:
        """
        End a task, and its sub-tasks, however far they came.

        One that still waits is cancelled; see ``attention`` for the others.
        Raises TaskNotFound and TaskEnded.
        """
        # The worker that has it hears of it.
        with self.together():
            task = self.get(task_id)
            if not task.active:
                raise exceptions.TaskEnded(task_id, task.state)
            self._abandon(task, operations)
            return self.get(task_id)

    def _abandon(self, task: Task, operations: Operations) -> None:
        for part in self.sub_tasks(task.id):
            if part.active:
                self._abandon(part, operations)
        if self.ends.end(task, CANCELLED, _cancelled(task), while_state=NEW):
            return
        error = exceptions.OperationUnsettled(
            task.operation, task.step or 'start', 'it was abandoned'
        )
        self.ends.end(task, EXCEPTION, error, operations.of(task))


def _check_parent(
    connection: sqlite3.Connection,
    task_id: int,
    operation: Operation,
    subjects: Sequence[Subject],
    undoing: bool,
) -> bool:
    """
    Raise where the task must not get a sub-task of *operation*.

    Returns whether the task may be cancelled.
    """
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
    return bool(row['cancellable'])


def _insert(connection: sqlite3.Connection, **columns: object) -> sqlite3.Row:
    """Write a task with these *columns*; returns its row."""
    names, places = ', '.join(columns), ', '.join('?' * len(columns))
    row: sqlite3.Row = connection.execute(
        f'INSERT INTO tasks ({names}) VALUES ({places}) RETURNING *',  # noqa: S608
        tuple(columns.values()),
    ).fetchone()
    return row


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


def _above(connection: sqlite3.Connection, parent: int | None) -> str:
    """The systems of *parent* and of those above it, as they are stored."""
    rows = connection.execute(
        'SELECT * FROM tasks WHERE id = ?', (parent,)
    ).fetchall()
    found = [s for task in read_tasks(connection, rows) for s in task.systems]
    return allowed.text_of(found)


def _cancelled(task: Task) -> exceptions.HawkFishError:
    return exceptions.OperationCancelled(task.operation)
