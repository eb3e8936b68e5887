# SPDX-License-Identifier: Apache-2.0
"""
What a task is, and how it is read from its rows.
"""

import dataclasses
import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hawkfish_plugin import allowed, db, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.records import Record

LOG = logging.getLogger(__name__)

R = TypeVar('R', bound=Record)

NEW, RUNNING, CANCELLING = 'New', 'Running', 'Cancelling'
COMPLETED, EXCEPTION, CANCELLED = 'Completed', 'Exception', 'Cancelled'
ACTIVE = (NEW, RUNNING, CANCELLING)


@dataclasses.dataclass(frozen=True)
class Subject:
    """What a task works on: a snapshot, or where that is None a system."""

    system: contract.System
    snapshot: str | None = None


@dataclasses.dataclass(frozen=True)
class Intent(Record):
    """
    What the arguments of a task tell those who only show it.

    *group* and *snapshot* are what the task of a group works on; the others
    are of the snapshot that a create makes.  Whatever the operation, its
    record of arguments has them under these names, if at all.
    """

    group: str | None = None
    snapshot: str | None = None
    description: str = ''
    memory: bool | None = None
    consistency: str | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """
    One task.  Times are seconds since the epoch; *queued* is the steady one of
    its submission, as far as it is known.

    *parent* is the task that this is a sub-task of, *above* are the systems of
    the tasks that it was submitted under, *after_task* is the one that it
    waits for.  *arguments* and *journal* are records of the operation, of
    *version*.  *step* says how far it came; *claims* above 1 that a process
    died over it; *error* is ``{"status", "messages"}`` with the messages as
    pairs of MessageId and arguments, as in *messages*.
    """

    id: int
    operation: str
    version: int
    parent: int | None
    after_task: int | None
    subjects: tuple[Subject, ...]
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
    cancellable: bool
    claims: int
    created: float
    started: float | None
    ended: float | None
    queued: float | None = None
    above: tuple[contract.System, ...] = ()

    @property
    def systems(self) -> Sequence[contract.System]:
        """Those that whoever is told of it hears of."""
        return _systems(self)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def may_cancel(self) -> bool:
        """Whether a cancel would be obeyed in its present state."""
        if self.state == RUNNING:
            return self.cancellable
        return self.state in (NEW, CANCELLING)

    @property
    def system(self) -> contract.System | None:
        """The first of its systems."""
        return self.subjects[0].system if self.subjects else None

    @property
    def snapshot(self) -> str | None:
        """The first of its snapshots."""
        return self.subjects[0].snapshot if self.subjects else None

    @property
    def intent(self) -> Intent:
        """What it is about to do, whatever its operation is."""
        return Intent.load(self.arguments)

    def recall(self, kind: type[R]) -> R:
        """What its journal holds of a record of *kind*."""
        return kind.load(self.journal)

    @property
    def failures(self) -> Sequence[tuple[str, list[str]]]:
        """The messages of its error."""
        return self.error['messages'] if self.error else ()

    def failed_with(self, *kinds: type[exceptions.HawkFishError]) -> bool:
        """Whether one of its failures is an error of *kinds*."""
        return any(
            kind.has_id(message_id)
            for message_id, _ in self.failures
            for kind in kinds
        )

    @property
    def one_system(self) -> contract.System:
        """The system of a task that has one."""
        return self.subjects[0].system

    @property
    def one_snapshot(self) -> str:
        """The snapshot of a task that has one."""
        return self.subjects[0].snapshot or ''


@dataclasses.dataclass(frozen=True)
class Head:
    """What tells which task it is, and of what."""

    id: int
    subjects: tuple[Subject, ...]
    above: tuple[contract.System, ...]

    @property
    def systems(self) -> Sequence[contract.System]:
        """As of a Task."""
        return _systems(self)


def _systems(task: Task | Head) -> Sequence[contract.System]:
    own = (subject.system for subject in task.subjects)
    return list(dict.fromkeys((*own, *task.above)))


_JSON_COLUMNS: Mapping[str, Any] = {
    'arguments': {},
    'journal': {},
    'messages': [],
    'payload': {},
    'result': {},
    'error': {},
}
_NUMBERS = ('percent', 'claims', 'created', 'started', 'ended', 'queued')
_TEXTS = ('operation', 'state', 'step', 'owner')
# The operation of a task whose row is damaged; there is none of this name.
_DAMAGED = 'damaged'


def read_tasks(
    connection: sqlite3.Connection, rows: Sequence[sqlite3.Row]
) -> list[Task]:
    """The tasks in *rows*, with their subjects."""
    subjects = _subjects(connection, [row['id'] for row in rows])
    found = []
    for row in rows:
        values = _values(row)
        found.append(Task(subjects=tuple(subjects[row['id']]), **values))
    return found


def read_heads(
    connection: sqlite3.Connection, rows: Sequence[sqlite3.Row]
) -> list[Head]:
    """The heads of the tasks in *rows*, which have ``id`` and ``above``."""
    subjects = _subjects(connection, [row['id'] for row in rows])
    return [
        Head(
            row['id'],
            tuple(subjects[row['id']]),
            allowed.systems_in(row['above']),
        )
        for row in rows
    ]


def _values(row: sqlite3.Row) -> dict[str, Any]:
    """The columns of *row*, which may be damaged: then it cannot be run."""
    values, sound = dict(row), True
    for column, default in _JSON_COLUMNS.items():
        if values[column] is not None:
            values[column], whole = db.decoded(values[column], default)
            sound = sound and whole
    for column in _NUMBERS:
        if values[column] is not None:
            sound = sound and isinstance(values[column], int | float)
            values[column] = db.number(values[column])
    for column in _TEXTS:
        sound = sound and isinstance(values[column], str)
        values[column] = str(values[column])
    messages = [m for m in values['messages'] if _is_message(m)]
    sound = sound and len(messages) == len(values['messages'])
    sound = sound and (values['error'] is None or _is_error(values['error']))
    if not sound:
        LOG.error('The row of task %s is damaged', row['id'])
        values |= {'operation': _DAMAGED, 'result': None, 'error': None}
    values['messages'] = messages
    values['above'] = allowed.systems_in(values['above'])
    values['cancellable'] = bool(values['cancellable'])
    return values


def _is_message(found: object) -> bool:
    return (
        isinstance(found, list)
        and len(found) == 2
        and isinstance(found[0], str)
        and isinstance(found[1], list)
    )


def _is_error(found: Mapping[str, Any]) -> bool:
    return isinstance(found.get('status'), int) and all(
        map(_is_message, found.get('messages', [None]))
    )


def _subjects(
    connection: sqlite3.Connection, ids: Sequence[int]
) -> Mapping[int, list[Subject]]:
    found: dict[int, list[Subject]] = {task_id: [] for task_id in ids}
    for row in connection.execute(
        'SELECT * FROM task_subjects WHERE task IN ('
        'SELECT value FROM json_each(?)) ORDER BY task, position',
        (json.dumps(ids),),
    ):
        system = contract.System(row['system'], row['system_name'])
        found[row['task']].append(Subject(system, row['snapshot']))
    return found
