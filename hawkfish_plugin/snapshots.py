# SPDX-License-Identifier: Apache-2.0
"""
The story: list, create, revert, delete.

Owns the rules about names, the merging of what the hypervisor lists with what
is still being done, and the operations that tasks run.  The hypervisor alone
knows which snapshots exist; this module keeps no list of them, only the note
that one of them is damaged.
"""

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import (
    db, drivers, events, exceptions, messages, tasks,
)  # fmt: skip

CREATING, READY, REVERTING = 'Creating', 'Ready', 'Reverting'
DELETING, FAILED = 'Deleting', 'Failed'

_STATE_WHILE = {'create': CREATING, 'revert': REVERTING, 'delete': DELETING}

MAX_NAME_CHARACTERS = 128
MAX_NAME_BYTES = 200


@dataclasses.dataclass(frozen=True)
class View:
    """A snapshot as users see it: its record, state and place in the tree."""

    record: drivers.Snapshot
    state: str
    quiesce: drivers.Quiesce | None = None
    children: tuple[str, ...] = ()


class Snapshots:
    """The snapshots of every system that *driver* serves."""

    def __init__(
        self, driver: drivers.Driver, task_table: tasks.Tasks,
        database: db.Database, conf: cfg.ConfigOpts,
    ) -> None:
        self._driver = driver
        self._conf = conf
        self._tasks = task_table
        self._db = database
        self.operations = {
            'create': tasks.Operation(
                self._run_create, self._settle_create, cancellable=True,
                announce=_events_of_create,
            ),
            'revert': tasks.Operation(
                self._run_revert, self._settle_revert,
                announce=_events_of_revert,
            ),
            'delete': tasks.Operation(
                self._run_delete, self._settle_delete,
                announce=_events_of_delete,
            ),
        }

    # Requests -------------------------------------------------------------

    def system(self, identity: str) -> drivers.System:
        """The system with this UUID or name; raises SystemNotFound."""
        return self._driver.resolve(identity)

    def list(self, system: drivers.System) -> list[View]:
        """Every snapshot, oldest first, with those being created."""
        # The tasks first: a create that ends in between is then shown once
        # too long as Creating, never left out.
        active = self._tasks.active(system.uuid)
        records = list(self._driver.snapshots(system.uuid))
        damaged = self._damaged(system)
        quiesced = self._quiesced(system)
        known = {record.name for record in records}
        records += [
            _planned(task)
            for name, task in active.items()
            if name not in known and task.operation == 'create'
        ]
        children: dict[str | None, list[str]] = {}
        for record in records:
            children.setdefault(record.parent, []).append(record.name)
        return [
            View(
                record,
                _state(record, active, damaged),
                quiesced.get((record.name, record.created)),
                tuple(children.get(record.name, ())),
            )
            for record in records
        ]

    def get(self, system: drivers.System, name: str) -> View:
        """Raises SnapshotNotFound."""
        for view in self.list(system):
            if view.record.name == name:
                return view
        raise exceptions.SnapshotNotFound(name)

    def create(
        self, system: drivers.System, name: str | None, description: str,
        memory: bool | None, quiesce: str | None,
        payload: Mapping[str, Any], stem: str = 'snapshot',
    ) -> tasks.Task:
        """
        Queue a create and return its task.

        *name* None takes *stem* and the time.

        Raises SnapshotNameInvalid, SnapshotExists, and everything that is
        known beforehand to stand in the way.
        """
        if name is not None:
            check_name(name)
        while True:
            taken = {view.record.name for view in self.list(system)}
            if name in taken:
                raise exceptions.SnapshotExists(name)
            request = drivers.CreateRequest(
                name or _timestamp_name(stem, taken), description, memory,
                quiesce,
            )  # fmt: skip
            self._driver.check_create(system.uuid, request)
            try:
                return self._tasks.submit(
                    'create', system, request.name,
                    dataclasses.asdict(request), payload,
                )  # fmt: skip
            except exceptions.SnapshotExists:
                # Another request has taken the same second: the next name.
                if name is not None:
                    raise

    def revert(
        self, system: drivers.System, request: drivers.RevertRequest,
        safety: bool | None, payload: Mapping[str, Any],
    ) -> tasks.Task:
        """
        Queue a revert and return its task.

        With *safety* a snapshot of the present state is created before it;
        None means: as the configuration says.

        Raises SnapshotNotFound, SnapshotBusy, SnapshotDamaged, and
        everything that is known beforehand to stand in the way.
        """
        name = request.name
        view = self.get(system, name)
        self._check_free(view, system)
        _check_whole(view)
        request = dataclasses.replace(request, ours=view.quiesce is not None)
        self._driver.check_revert(system.uuid, request)
        if safety is None:
            safety = self._conf.revert.safety_snapshot
        arguments = {
            'created': view.record.created, 'power_state': request.power_state,
            'force': request.force, 'ours': request.ours,
            'safety': self._keep_present(system, name, payload).id
            if safety else None,
        }  # fmt: skip
        return self._tasks.submit('revert', system, name, arguments, payload)

    def _keep_present(
        self, system: drivers.System, name: str, payload: Mapping[str, Any]
    ) -> tasks.Task:
        # The tasks of a system run in the order of their submission.
        return self.create(
            system, None, f'Safety snapshot before the revert to {name}',
            None, None, payload, stem='safety',
        )  # fmt: skip

    def delete(
        self, system: drivers.System, name: str, payload: Mapping[str, Any]
    ) -> tasks.Task:
        """
        Queue the deletion of *name* and return its task.

        Raises SnapshotNotFound, SnapshotBusy, SnapshotReferenced, and
        everything that is known beforehand to stand in the way.
        """
        view = self.get(system, name)
        self._check_free(view, system)
        self._check_unreferenced(system, name)
        self._driver.check_delete(system.uuid, name)
        arguments = {'created': view.record.created}
        return self._tasks.submit('delete', system, name, arguments, payload)

    def _check_free(self, view: View, system: drivers.System) -> None:
        name = view.record.name
        task = self._tasks.active(system.uuid).get(name)
        if task:
            raise exceptions.SnapshotBusy(name, task.operation, task.id)

    def _check_unreferenced(self, system: drivers.System, name: str) -> None:
        found = drivers.referrers(self._driver.snapshots(system.uuid), name)
        if found:
            raise exceptions.SnapshotReferenced(name, ', '.join(found))

    # Operations: what was true at the request need not be true any more ----

    def _run_create(self, job: tasks.Job) -> dict[str, Any]:
        request = drivers.CreateRequest(**job.task.arguments)
        quiesced = self._driver.create(job.task.system, request, job)
        self._note_quiesce(job, quiesced)
        return {'snapshot': request.name}

    def _settle_create(self, job: tasks.Job) -> dict[str, Any]:
        request = drivers.CreateRequest(**job.task.arguments)
        quiesced = self._driver.settle_create(job.task.system, request, job)
        self._note_quiesce(job, quiesced)
        return {'snapshot': request.name}

    def _run_revert(self, job: tasks.Job) -> dict[str, Any]:
        self._check_kept(job)
        self._check_same(job)
        record = self.get(_system(job), job.task.snapshot).record
        if self._is_damaged(_system(job), record):
            raise exceptions.SnapshotDamaged(record.name)
        self._driver.revert(job.task.system, _revert_request(job), job)
        return {'snapshot': job.task.snapshot}

    def _settle_revert(self, job: tasks.Job) -> dict[str, Any]:
        self._check_same(job)
        self._driver.settle_revert(
            job.task.system, _revert_request(job), job
        )
        return {'snapshot': job.task.snapshot}

    def _run_delete(self, job: tasks.Job) -> dict[str, Any]:
        self._check_same(job)
        self._check_unreferenced(_system(job), job.task.snapshot)
        return self._delete(job, self._driver.delete)

    def _settle_delete(self, job: tasks.Job) -> dict[str, Any]:
        with contextlib.suppress(exceptions.SnapshotNotFound):
            self._check_same(job)
        return self._delete(job, self._driver.settle_delete)

    def _check_kept(self, job: tasks.Job) -> None:
        """Raise where the safety snapshot that was asked for is not there."""
        number = job.task.arguments.get('safety')
        if number is None:
            return
        name = ''
        with contextlib.suppress(exceptions.TaskNotFound):
            safety = self._tasks.get(number)
            if safety.state == tasks.COMPLETED:
                return
            name = safety.snapshot
        raise exceptions.SafetySnapshotFailed(
            job.task.snapshot, name, number
        )

    def _check_same(self, job: tasks.Job) -> None:
        """Raise where the name is another snapshot's by now."""
        record = self.get(_system(job), job.task.snapshot).record
        if record.created != job.task.arguments['created']:
            raise exceptions.SnapshotReplaced(record.name)

    def _delete(
        self, job: tasks.Job,
        call: Callable[[str, str, tasks.Job], None],
    ) -> dict[str, Any]:
        broken_off = job.journal.get('merging', False)
        try:
            call(job.task.system, job.task.snapshot, job)
        except exceptions.MergeFailed:
            self._note_damage(job)
            raise
        except exceptions.Conflict:
            # The first try may have begun to merge, whatever stands in the
            # way of the second.
            if broken_off:
                self._note_damage(job)
            raise
        self._forget_notes(job)
        return {'snapshot': job.task.snapshot}

    # Notes ----------------------------------------------------------------

    def _note_damage(self, job: tasks.Job) -> None:
        task = job.task
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO damaged VALUES (?, ?, ?)',
                (task.system, task.snapshot, task.arguments['created']),
            )

    def _note_quiesce(
        self, job: tasks.Job, quiesced: drivers.Quiesce
    ) -> None:
        task = job.task
        record = self.get(_system(job), task.snapshot).record
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR REPLACE INTO quiesced VALUES (?, ?, ?, ?, ?)',
                (task.system, record.name, record.created, quiesced.status,
                 quiesced.reason),
            )  # fmt: skip

    def _quiesced(
        self, system: drivers.System
    ) -> dict[tuple[str, int], drivers.Quiesce]:
        rows = self._db.query(
            'SELECT * FROM quiesced WHERE system = ?', system.uuid
        )
        return {
            (row['snapshot'], row['created']): drivers.Quiesce(
                row['status'], row['reason']
            )
            for row in rows
        }

    def _forget_notes(self, job: tasks.Job) -> None:
        of_snapshot = (job.task.system, job.task.snapshot)
        with self._db.transaction() as connection:
            for table in ('damaged', 'quiesced'):
                connection.execute(
                    f'DELETE FROM {table} '  # noqa: S608
                    'WHERE system = ? AND snapshot = ?',
                    of_snapshot,
                )

    def _is_damaged(
        self, system: drivers.System, record: drivers.Snapshot
    ) -> bool:
        noted = (record.name, record.created) in self._damaged(system)
        return record.damaged or noted

    def _damaged(self, system: drivers.System) -> set[tuple[str, int]]:
        # With the time of creation: a new snapshot of that name is whole.
        rows = self._db.query(
            'SELECT snapshot, created FROM damaged WHERE system = ?',
            system.uuid,
        )
        return {(row['snapshot'], row['created']) for row in rows}


# What the end of a task is for others --------------------------------------


def _events_of_create(
    task: tasks.Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    if error:
        there = isinstance(error, exceptions.SnapshotExists)
        return [failure(task, error, gone=not there)]
    origin = events.snapshot_origin(task.of_system, task.snapshot)
    return [
        events.Occurrence(
            messages.SNAPSHOT_CREATED, [task.snapshot, task.system_name],
            origin,
        ),
        events.Occurrence(messages.RESOURCE_CREATED, [], origin),
    ]  # fmt: skip


def _events_of_revert(
    task: tasks.Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    if error:
        return [failure(task, error)]
    return [
        events.Occurrence(
            messages.SNAPSHOT_REVERTED, [task.snapshot, task.system_name],
            events.snapshot_origin(task.of_system, task.snapshot),
        ),
    ]  # fmt: skip


def _events_of_delete(
    task: tasks.Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    if error:
        return [failure(task, error)]
    origin = events.snapshot_origin(task.of_system, task.snapshot, gone=True)
    reason = task.arguments.get('pruned') or 'Request'
    return [
        events.Occurrence(
            messages.SNAPSHOT_DELETED,
            [task.snapshot, task.system_name, reason], origin,
        ),
        events.Occurrence(messages.RESOURCE_REMOVED, [], origin),
    ]  # fmt: skip


def failure(
    task: tasks.Task, error: exceptions.HawkFishError, gone: bool = False
) -> events.Occurrence:
    """
    The event that tells the failure of any operation.

    *gone* says that there is no such snapshot, whatever the error is.
    """
    gone = gone or isinstance(error, exceptions.SnapshotNotFound)
    return events.Occurrence(
        messages.SNAPSHOT_FAILED,
        [task.snapshot or '*', task.system_name, task.operation,
         messages.text(error).rstrip('.')],
        events.snapshot_origin(task.of_system, task.snapshot, gone),
    )  # fmt: skip


def _check_whole(view: View) -> None:
    if view.state == FAILED:
        raise exceptions.SnapshotDamaged(view.record.name)


def check_name(name: str) -> None:
    """
    Raise the first rule that *name* breaks.

    libvirt makes a file name of it, so its limits are those of a file name
    with room for an ending.
    """
    if len(name) > MAX_NAME_CHARACTERS:
        raise exceptions.StringValueTooLong(
            name, MAX_NAME_CHARACTERS, related=['#/Name']
        )
    broken = {
        'it is empty or blank': not name.strip(),
        'it contains a slash': '/' in name,
        'it begins with a dot': name.startswith('.'),
        'it contains a character that is not printable':
            not name.isprintable(),
        f'it is longer than {MAX_NAME_BYTES} bytes in UTF-8':
            len(name.encode(errors='replace')) > MAX_NAME_BYTES,
    }  # fmt: skip
    for rule, is_broken in broken.items():
        if is_broken:
            raise exceptions.SnapshotNameInvalid(
                _printable(name), rule, related=['#/Name']
            )


def _printable(name: str) -> str:
    return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _timestamp_name(stem: str, taken: set[str]) -> str:
    now = datetime.datetime.now(datetime.UTC)
    first = name = f'{stem}-{now:%Y%m%dT%H%M%SZ}'
    number = 1
    while name in taken:
        number += 1
        name = f'{first}-{number}'
    return name


def _planned(task: tasks.Task) -> drivers.Snapshot:
    """What is known of a snapshot before the hypervisor knows it."""
    return drivers.Snapshot(
        name=task.snapshot,
        description=task.arguments['description'],
        created=int(task.created),
        power_state=None,
        memory=bool(task.arguments['memory']),
        external=True,
    )


def _state(
    record: drivers.Snapshot, active: Mapping[str, tasks.Task],
    damaged: set[tuple[str, int]],
) -> str:
    task = active.get(record.name)
    # A task that waits has not begun to revert or delete anything.
    if task and (task.operation == 'create' or task.state != tasks.NEW):
        return _STATE_WHILE[task.operation]
    if record.damaged or (record.name, record.created) in damaged:
        return FAILED
    return READY


def _system(job: tasks.Job) -> drivers.System:
    return drivers.System(job.task.system, job.task.system_name)


def _revert_request(job: tasks.Job) -> drivers.RevertRequest:
    arguments = job.task.arguments
    return drivers.RevertRequest(
        job.task.snapshot, arguments['power_state'], arguments['force'],
        arguments['ours'],
    )
