# SPDX-License-Identifier: Apache-2.0
"""
Tasks: operations that outlive their request.

Owns the table ``tasks`` and its SQL: submit, claim, cancel, end.  A task
names its operation and holds its arguments as JSON, so it outlives the
process.  Any process may submit; ``workers`` are in one of them.
"""

import dataclasses
import json
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import db, events, exceptions, locks, messages
from hawkfish_plugin.drivers import contract

LOG = logging.getLogger(__name__)

NEW, RUNNING, CANCELLING = 'New', 'Running', 'Cancelling'
COMPLETED, EXCEPTION, CANCELLED = 'Completed', 'Exception', 'Cancelled'
ACTIVE = (NEW, RUNNING, CANCELLING)

# What is an event as well as soon as an operation tells it.
_ANNOUNCED = frozenset((messages.QUIESCE_FAILED,))

_CLAIM = """
    UPDATE tasks SET
        state = CASE state WHEN 'New' THEN 'Running' ELSE state END,
        owner = :owner, claims = claims + 1, started = COALESCE(started, :now)
    WHERE id = (
        SELECT id FROM tasks AS candidate WHERE
            (state IN ('Running', 'Cancelling') AND owner <> :owner)
            OR (state = 'New' AND NOT EXISTS (
                SELECT 1 FROM tasks AS running
                WHERE running.system = candidate.system
                AND running.state IN ('Running', 'Cancelling')))
        ORDER BY state = 'New', id LIMIT 1)
    RETURNING *
"""


@dataclasses.dataclass(frozen=True)
class Task:
    """
    One row.  Times are seconds since the epoch.

    *step* and *journal* say how far the operation came; *claims* above 1 that
    a process died over it; *error* is ``{"status", "messages"}`` with the
    messages as pairs of MessageId and arguments, as in *messages*.
    """

    id: int
    operation: str
    system: str
    system_name: str
    snapshot: str
    arguments: dict[str, Any]
    state: str
    step: str
    percent: int
    journal: dict[str, Any]
    messages: list[tuple[str, list[str]]]
    payload: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    owner: str
    claims: int
    created: float
    started: float | None
    ended: float | None

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def of_system(self) -> contract.System:
        return contract.System(self.system, self.system_name)


_JSON_COLUMNS = (
    'arguments',
    'journal',
    'messages',
    'payload',
    'result',
    'error',
)


def _task(row: sqlite3.Row) -> Task:
    values = dict(row)
    for column in _JSON_COLUMNS:
        if values[column] is not None:
            values[column] = json.loads(values[column])
    return Task(**values)


def _no_events(
    task: Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    return ()


@dataclasses.dataclass(frozen=True)
class Operation:
    """
    What a task can be told to do.

    *run* and *settle* return the result that the task keeps.  *settle* is
    called instead of *run* where an earlier try broke off.  *announce* gives
    what the end of a task is for others, from the task and its error, if it
    failed or was cancelled.  *after* is called
    when a task has ended Completed; what it raises is logged and no more.
    """

    run: Callable[['Job'], dict[str, Any]]
    settle: Callable[['Job'], dict[str, Any]]
    cancellable: bool = False
    announce: Callable[
        [Task, exceptions.HawkFishError | None], Sequence[events.Occurrence]
    ] = _no_events
    after: Callable[[Task], None] | None = None


class Job:
    """A claimed task as its operation sees it (``contract.TaskContext``)."""

    def __init__(self, tasks: 'Tasks', task: Task, deadline: float) -> None:
        self.task = task
        self.journal: dict[str, Any] = dict(task.journal)
        self.begun = bool(task.step)
        self._tasks = tasks
        self._deadline = time.monotonic() + deadline

    def step(self, name: str, durable: bool = True, **facts: object) -> None:
        LOG.debug(
            'Task %s, system %s: %s', self.task.id, self.task.system, name
        )
        self.journal.update(facts, step=name)
        self._tasks.update(
            self.task.id, durable, step=name, journal=json.dumps(self.journal)
        )
        self.begun = True

    def progress(self, percent: int) -> None:
        self._tasks.update(self.task.id, durable=False, percent=percent)

    def tell(self, message_id: str, *args: object) -> None:
        self._tasks.add_message(self.task.id, message_id, *args)

    @property
    def cancelled(self) -> bool:
        return self._tasks.get(self.task.id).state == CANCELLING

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self._deadline


class Tasks:
    """The task table of *database*, and the calls to those who work on it."""

    def __init__(
        self,
        database: db.Database,
        lock_files: locks.Locks,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._db = database
        self._locks = lock_files
        self._conf = conf.tasks
        self._operations: Mapping[str, Operation] = {}
        # Set when there may be a task to claim.
        self.wake = threading.Event()
        # What becomes of a task and the events that tell it are written in
        # one transaction.
        self.events = events.Events(database, conf)
        self._owner = uuid.uuid4().hex
        self._claiming = threading.Lock()

    def know(self, operations: Mapping[str, Operation]) -> None:
        """Before anything is claimed, cancelled or ended."""
        self._operations = operations

    # Any process ----------------------------------------------------------

    def submit(
        self,
        operation: str,
        system: contract.System,
        snapshot: str,
        arguments: Mapping[str, Any],
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue *operation* on one snapshot of *system*.

        A snapshot has one active task at most: SnapshotBusy, or
        SnapshotExists for a second create, says so.  Raises QueueFull.
        """
        with self._db.transaction() as connection:
            (waiting,) = connection.execute(
                "SELECT COUNT(*) FROM tasks WHERE state = 'New'"
            ).fetchone()
            if waiting >= self._conf.queue_limit:
                raise exceptions.QueueFull(self._conf.queue_limit)
            rival = connection.execute(
                'SELECT * FROM tasks WHERE system = ? AND snapshot = ? AND '
                "state IN ('New', 'Running', 'Cancelling')",
                (system.uuid, snapshot),
            ).fetchone()
            if rival:
                raise _busy(operation, _task(rival))
            row = connection.execute(
                'INSERT INTO tasks (operation, system, system_name, snapshot,'
                ' arguments, payload, created) VALUES (?, ?, ?, ?, ?, ?, ?)'
                ' RETURNING *',
                (
                    operation,
                    system.uuid,
                    system.name,
                    snapshot,
                    json.dumps(arguments),
                    json.dumps(payload),
                    time.time(),
                ),
            ).fetchone()
        self.wake.set()
        self._locks.call_owner()
        return _task(row)

    def get(self, task_id: int) -> Task:
        """Raises TaskNotFound."""
        rows = self._db.query('SELECT * FROM tasks WHERE id = ?', task_id)
        if not rows:
            raise exceptions.TaskNotFound(task_id)
        return _task(rows[0])

    def list(self) -> list[Task]:
        """Every task that is remembered, oldest first."""
        return [
            _task(row)
            for row in self._db.query('SELECT * FROM tasks ORDER BY id')
        ]

    def active(self, system: str) -> dict[str, Task]:
        """The active tasks of one system, by the name of their snapshot."""
        rows = self._db.query(
            'SELECT * FROM tasks WHERE system = ? AND '
            "state IN ('New', 'Running', 'Cancelling') ORDER BY id",
            system,
        )
        return {row['snapshot']: _task(row) for row in rows}

    def cancel(self, task_id: int) -> Task:
        """
        Cancel a task that waits, or ask a running one to stop.

        An ended one is forgotten.  Raises TaskNotFound, and
        TaskNotCancellable where its operation must not be broken off.
        """
        task = self.get(task_id)
        if not task.active:
            self._forget(task_id)
            return task
        if self.end(task, CANCELLED, _cancelled(task), while_state=NEW):
            return self.get(task_id)
        if not self.cancellable(self.get(task_id)):
            raise exceptions.TaskNotCancellable(task_id, task.operation)
        with self._db.transaction() as connection:
            connection.execute(
                "UPDATE tasks SET state = 'Cancelling' "
                "WHERE id = ? AND state = 'Running'",
                (task_id,),
            )
        return self.get(task_id)

    def cancellable(self, task: Task) -> bool:
        operation = self._operations.get(task.operation)
        if task.state == RUNNING:
            return operation is not None and operation.cancellable
        return task.state in (NEW, CANCELLING)

    def _forget(self, task_id: int) -> None:
        with self._db.transaction() as connection:
            connection.execute(
                'DELETE FROM tasks WHERE id = ? AND ended IS NOT NULL',
                (task_id,),
            )

    def update(
        self, task_id: int, durable: bool = True, **columns: object
    ) -> None:
        """Set columns of an active task; for its Job only."""
        names = ', '.join(f'{column} = ?' for column in columns)
        with self._db.transaction(durable) as connection:
            connection.execute(
                f'UPDATE tasks SET {names} WHERE id = ?',  # noqa: S608
                (*columns.values(), task_id),
            )

    def add_message(self, task_id: int, key: str, *args: object) -> None:
        """Append a message to an active task; for its Job only."""
        with self._db.transaction(durable=False) as connection:
            task = _append(connection, task_id, key, args)
            if key in _ANNOUNCED:
                origin = events.snapshot_origin(task.of_system, task.snapshot)
                self.events.record(
                    connection, [events.Occurrence(key, args, origin)]
                )

    # Who works on them -----------------------------------------------------

    def claim(self) -> Task | None:
        """
        Mark the oldest runnable task Running and return it, or None.

        One statement does both, so two workers never hold the same task. A
        system with a running task is skipped; its next task waits its turn.
        What a dead owner left running comes first, and is claimed again; so
        does a claim that its host has forgotten.
        """
        # All workers wake at once: the first of them may leave nothing to do.
        with self._claiming:
            if not self._db.query(
                "SELECT 1 FROM tasks WHERE state = 'New' OR "
                "(state IN ('Running', 'Cancelling') AND owner <> ?) LIMIT 1",
                self._owner,
            ):
                return None
            return self._claim_oldest()

    def _claim_oldest(self) -> Task | None:
        with self._db.transaction(durable=False) as connection:
            row = connection.execute(
                _CLAIM, {'owner': self._owner, 'now': time.time()}
            ).fetchone()
            if row is None:
                return None
            task = _task(row)
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
        outcome: dict[str, Any] | exceptions.HawkFishError,
        while_state: str | None = None,
    ) -> bool:
        """
        Write the end of *task*, and the events that tell it.

        False where it was not *while_state*, or had ended already.
        """
        error = result = None
        if isinstance(outcome, exceptions.HawkFishError):
            error = _error(outcome)
        else:
            result = outcome
        with self._db.transaction() as connection:
            row = connection.execute(
                'SELECT messages, state, percent, journal FROM tasks '
                'WHERE id = ?',
                (task.id,),
            ).fetchone()
            if row is None or row['state'] not in (
                ACTIVE if while_state is None else (while_state,)
            ):
                return False
            told = json.loads(row['messages'])
            told += _last_words(task, state, error, told)
            connection.execute(
                'UPDATE tasks SET state = ?, ended = ?, result = ?, '
                'error = ?, messages = ?, percent = ? WHERE id = ?',
                (
                    state,
                    time.time(),
                    _json(result),
                    _json(error),
                    json.dumps(told),
                    100 if state == COMPLETED else row['percent'],
                    task.id,
                ),
            )
            if not isinstance(
                outcome,
                exceptions.RevertNotUndone
                | exceptions.RevertUnfinished
                | exceptions.InternalError,
            ):
                # It holds the whole definition of a system; nobody but
                # who has to repair one needs it any more.
                connection.execute(
                    "UPDATE tasks SET journal = '{}' WHERE id = ?",
                    (task.id,),
                )
            journal = json.loads(row['journal'])
            ended = dataclasses.replace(task, journal=journal, result=result)
            self.events.record(
                connection,
                [
                    *self._events_of_end(ended, outcome),
                    _of_task(task, *told[-1]),
                ],
            )
            self._forget_oldest(connection)
        return True

    def _events_of_end(
        self, task: Task, outcome: dict[str, Any] | exceptions.HawkFishError
    ) -> Sequence[events.Occurrence]:
        operation = self._operations.get(task.operation)
        if operation is None:
            return ()
        error = None
        if isinstance(outcome, exceptions.HawkFishError):
            error = outcome
        try:
            return operation.announce(task, error)
        except Exception:
            # A task that does not end would keep its snapshot busy for ever.
            LOG.exception('The end of task %s is not announced', task.id)
            return ()

    def _forget_oldest(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            'DELETE FROM tasks WHERE id IN (SELECT id FROM tasks '
            'WHERE ended IS NOT NULL ORDER BY ended DESC, id DESC '
            'LIMIT -1 OFFSET ?)',
            (self._conf.keep_completed,),
        )


def _append(
    connection: sqlite3.Connection,
    task_id: int,
    key: str,
    args: Sequence[object],
) -> Task:
    """Add a message to a task, and return the task."""
    entry = json.dumps([key, [str(arg) for arg in args]])
    return _task(
        connection.execute(
            "UPDATE tasks SET messages = json_insert(messages, '$[#]', "
            'json(?)) WHERE id = ? RETURNING *',
            (entry, task_id),
        ).fetchone()
    )


def _of_task(
    task: Task, key: str, args: Sequence[object]
) -> events.Occurrence:
    origin = events.task_origin(task.id, task.of_system)
    return events.Occurrence(key, args, origin)


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def _is_warning(message_id: str) -> bool:
    # A row of a newer release may hold a message that is not known here.
    entry = messages.registry().get(message_id, {})
    return bool(entry.get('MessageSeverity', 'OK') != 'OK')


def _busy(operation: str, rival: Task) -> exceptions.HawkFishError:
    if operation == rival.operation == 'create':
        return exceptions.SnapshotExists(rival.snapshot)
    return exceptions.SnapshotBusy(rival.snapshot, rival.operation, rival.id)


def _cancelled(task: Task) -> exceptions.HawkFishError:
    return exceptions.OperationCancelled(task.operation)


def _error(error: exceptions.HawkFishError) -> dict[str, Any]:
    return {
        'status': error.status,
        'messages': [
            (part.message_id, list(part.args)) for part in error.parts
        ],
    }


def _last_words(
    task: Task,
    state: str,
    error: dict[str, Any] | None,
    told: list[tuple[str, list[str]]],
) -> list[tuple[str, list[str]]]:
    warned = any(_is_warning(key) for key, _ in told)
    key = {
        COMPLETED: messages.TASK_WARNED if warned else messages.TASK_COMPLETED,
        EXCEPTION: messages.TASK_ABORTED,
        CANCELLED: messages.TASK_CANCELLED,
    }[state]
    last = list(error['messages']) if error else []
    return [*last, (key, [str(task.id)])]
