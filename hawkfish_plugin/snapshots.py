# SPDX-License-Identifier: Apache-2.0
"""
The story: list, create, revert, change, delete.

Owns the rules about names, the merging of what the hypervisor lists with what
is still being done and with what is noted, what stands in the way of a
delete, and the operations that tasks run.  The hypervisor alone knows which
snapshots exist; this module keeps no list of them.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import (
    announcements,
    exceptions,
    locks,
    messages,
    names,
    notes,
    policies,
    retention,
    tasks,
    views,
)
from hawkfish_plugin.drivers import contract

# How long a change waits for an operation on the same system; well below the
# 60 s after which sushy gives up.
LOCK_SECONDS = 15.0

# What deleting others can help against.
TOO_MUCH = (exceptions.ChainTooDeep, exceptions.InsufficientSpace)


@dataclasses.dataclass(frozen=True)
class CreateOptions:
    """
    What a client asks of a create; see also ``contract.CreateRequest``.

    *name* None takes *stem* and the time.  *spare* is a snapshot that must
    not be pruned for this one.
    """

    name: str | None = None
    description: str = ''
    memory: bool | None = None
    quiesce: str | None = None
    locked: bool = False
    expires: int | None = None
    stem: str = 'snapshot'
    spare: str | None = None


class Snapshots:
    """The snapshots of every system that *driver* serves."""

    def __init__(
        self,
        driver: contract.Driver,
        task_table: tasks.Tasks,
        lock_files: locks.Locks,
        note_table: notes.Notes,
        policy_table: policies.Policies,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._driver = driver
        self._conf = conf
        self._tasks = task_table
        self._locks = lock_files
        self._notes = note_table
        self._policies = policy_table
        self.operations = {
            'create': tasks.Operation(
                self._run_create,
                self._settle_create,
                cancellable=True,
                announce=announcements.of_create,
            ),
            'revert': tasks.Operation(
                self._run_revert,
                self._settle_revert,
                announce=announcements.of_revert,
            ),
            'delete': tasks.Operation(
                self._run_delete,
                self._settle_delete,
                announce=announcements.of_delete,
            ),
        }

    # Requests -------------------------------------------------------------

    def system(self, identity: str) -> contract.System:
        """The system with this UUID or name; raises SystemNotFound."""
        return self._driver.resolve(identity)

    def list(
        self,
        system: contract.System,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> list[views.View]:
        """
        Every snapshot, oldest first, with those being created.

        *measured* adds sizes and dependents; *look* says how new these are.
        """
        # The tasks first: a create that ends in between is then shown once
        # too long as Creating, never left out.
        active = self._tasks.active(system.uuid)
        if measured:
            inventory = self._driver.inventory(system.uuid, freshness)
        else:
            inventory = contract.Inventory(self._driver.snapshots(system.uuid))
        noted = self._notes.read(system.uuid)
        return views.gather(inventory, active, noted)

    def names(self, system: contract.System) -> Sequence[str]:
        """The names of what ``list`` lists, for much less."""
        active = self._tasks.active(system.uuid)
        listed = self._driver.names(system.uuid)
        return [*listed, *views.coming(active, listed)]

    def exists(self, system: contract.System, name: str) -> bool:
        return self._driver.exists(system.uuid, name)

    def get(
        self,
        system: contract.System,
        name: str,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> views.View:
        """One of what ``list`` lists; raises SnapshotNotFound."""
        for view in self.list(system, measured, freshness):
            if view.record.name == name:
                return view
        raise exceptions.SnapshotNotFound(name)

    def subjects(
        self,
        system: contract.System,
        measured: bool = True,
        freshness: contract.Freshness = contract.Freshness.LISTED,
    ) -> Sequence[retention.Subject]:
        """Every snapshot, as the policy sees it."""
        return [
            views.subject(view)
            for view in self.list(system, measured, freshness)
        ]

    def prepare(
        self,
        system: contract.System,
        options: CreateOptions,
        making_way: bool = False,
    ) -> tuple[contract.CreateRequest, contract.Forecast]:
        """
        What a create would ask of the driver, and what that would make.

        *making_way* says that others are deleted first, so that neither
        depth nor space is a reason.

        Raises SnapshotNameInvalid, SnapshotExists, and everything that is
        known beforehand to stand in the way.
        """
        if options.name is not None:
            names.check(options.name)
        taken = {view.record.name for view in self.list(system)}
        if options.name in taken:
            raise exceptions.SnapshotExists(options.name)
        request = contract.CreateRequest(
            options.name or names.of_now(options.stem, taken),
            options.description,
            options.memory,
            options.quiesce,
        )
        forecast = self._forecast(system, request, making_way)
        self._check_room(system, request, forecast)
        return request, forecast

    def _forecast(
        self,
        system: contract.System,
        request: contract.CreateRequest,
        making_way: bool = False,
    ) -> contract.Forecast:
        merging = self._is_merging(system)
        try:
            return self._driver.check_create(system.uuid, request)
        except exceptions.HawkFishError as exc:
            passing: tuple[type[Exception], ...] = ()
            if merging or self._is_merging(system):
                # It is over when the turn of this create comes.
                passing += (exceptions.BlockJobActive,)
            if making_way:
                passing += TOO_MUCH
            if all(isinstance(part, passing) for part in exc.parts):
                return contract.Forecast(True, bool(request.memory))
            raise

    def _is_merging(self, system: contract.System) -> bool:
        return any(
            task.operation in ('delete', 'purge')
            for task in self._tasks.active(system.uuid).values()
        )

    def create(
        self,
        system: contract.System,
        options: CreateOptions,
        payload: Mapping[str, Any],
        making_way: bool = False,
    ) -> tasks.Task:
        """Queue a create and return its task; raises as ``prepare`` does."""
        while True:
            request, _ = self.prepare(system, options, making_way)
            arguments = {
                **dataclasses.asdict(request),
                'locked': options.locked,
                'expires': options.expires,
                'spare': options.spare,
            }
            try:
                return self._tasks.submit(
                    'create', system, request.name, arguments, payload
                )
            except exceptions.SnapshotExists:
                # Another request has taken the same second: the next name.
                if options.name is not None:
                    raise

    def _check_room(
        self,
        system: contract.System,
        request: contract.CreateRequest,
        forecast: contract.Forecast | None = None,
    ) -> None:
        """Raise where the policy refuses one more snapshot."""
        limits = self._policies.get(system.uuid)
        if limits.on_limit != retention.REFUSE:
            return
        forecast = forecast or self._forecast(system, request)
        subjects = [
            s
            for s in self.subjects(system, measured=bool(limits.size))
            if s.name != request.name
        ]
        limit = retention.exceeded(subjects, limits, forecast.size)
        if limit:
            free = ', '.join(retention.deletable(subjects)) or 'none'
            raise exceptions.Refused(
                [
                    exceptions.CreateLimitReachedForResource(),
                    exceptions.SnapshotLimitReached(system.name, *limit, free),
                ]
            )

    def revert(
        self,
        system: contract.System,
        request: contract.RevertRequest,
        safety: bool | None,
        payload: Mapping[str, Any],
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
        if safety is None:
            safety = self._conf.revert.safety_snapshot
        request = dataclasses.replace(
            request,
            ours=view.note.quiesce is not None,
            memory_size=view.note.memory_size,
            kept=safety,
        )
        self._driver.check_revert(system.uuid, request)
        kept = [self._keep_present(system, name, payload)] if safety else []
        arguments = {
            'created': view.record.created,
            'power_state': request.power_state,
            'force': request.force,
            'ours': request.ours,
            'memory_size': request.memory_size,
            'safety': kept[0].id if kept else None,
        }
        try:
            return self._tasks.submit(
                'revert', system, name, arguments, payload
            )
        except exceptions.HawkFishError:
            # Of a revert that is refused there is nothing to go back from.
            self.withdraw(kept)
            raise

    def _keep_present(
        self, system: contract.System, name: str, payload: Mapping[str, Any]
    ) -> tasks.Task:
        # The tasks of a system run in the order of their submission.
        options = CreateOptions(
            description=f'Safety snapshot before the revert to {name}',
            stem='safety',
            spare=name,
        )
        return self.create(system, options, payload)

    def update(
        self,
        system: contract.System,
        name: str,
        changes: Mapping[str, Any],
        check: Callable[[views.View], None],
    ) -> views.View:
        """
        Set ``description``, ``locked`` and ``expires`` as *changes* have it.

        *check* may refuse, by what the snapshot is when nobody else changes
        it any more.  Raises SnapshotNotFound, SnapshotBusy, SystemLocked.
        """
        self._check_free(self.get(system, name), system)
        with self._locks.system(system.uuid, LOCK_SECONDS):
            view = self.get(system, name, measured=True)
            check(view)
            self._check_free(view, system)
            self._check_settled(system)
            if changes.get('description', view.record.description) != (
                view.record.description
            ):
                self._driver.describe(
                    system.uuid, name, changes['description']
                )
            self._notes.update(system.uuid, view.record, changes)
            return self.get(system, name, measured=True)

    def _check_settled(self, system: contract.System) -> None:
        # Whoever works holds the lock: a task that has begun and does not
        # hold it was broken off, and its system may be half changed.
        for task in self._tasks.active(system.uuid).values():
            if task.step and task.state != tasks.NEW:
                raise exceptions.SystemUnsettled(
                    system.uuid, task.operation, task.id
                )

    def delete(
        self, system: contract.System, name: str, payload: Mapping[str, Any]
    ) -> tasks.Task:
        """
        Queue the deletion of *name* and return its task.

        Raises SnapshotNotFound, SnapshotBusy, and everything that is known
        beforehand to stand in the way.
        """
        view = self.get(
            system, name, measured=True, freshness=contract.Freshness.LISTED
        )
        self._check_free(view, system)
        exceptions.check(views.obstacles(view))
        self._driver.check_delete(system.uuid, name)
        return self.submit_delete(system, view.record, payload)

    def submit_delete(
        self,
        system: contract.System,
        record: contract.Snapshot,
        payload: Mapping[str, Any],
        pruned: str | None = None,
    ) -> tasks.Task:
        """
        Queue the deletion of *record*, which may have to wait for others.

        *pruned* is the reason where the policy wants it.
        """
        arguments: dict[str, Any] = {'created': record.created}
        if pruned:
            arguments['pruned'] = pruned
        return self._tasks.submit(
            'delete', system, record.name, arguments, payload
        )

    def withdraw(self, submitted: Sequence[tasks.Task]) -> None:
        """Cancel those that wait, the last first."""
        for task in reversed(submitted):
            with contextlib.suppress(
                exceptions.TaskNotCancellable, exceptions.TaskNotFound
            ):
                # One that has ended would be forgotten.
                if self._tasks.get(task.id).state == tasks.NEW:
                    self._tasks.cancel(task.id)

    def _check_free(self, view: views.View, system: contract.System) -> None:
        if view.task is None:
            return
        if view.task.operation == 'purge':
            raise exceptions.SystemBeingPurged(system.name, view.task.id)
        raise exceptions.SnapshotBusy(
            view.record.name, view.task.operation, view.task.id
        )

    # Operations: what was true at the request need not be true any more ----

    def _run_create(self, job: tasks.Job) -> dict[str, Any]:
        request = _request(job.task)
        self._check_room(_system(job), request)
        made = self._driver.create(job.task.system, request, job)
        return self._note_create(job, made)

    def _settle_create(self, job: tasks.Job) -> dict[str, Any]:
        request = _request(job.task)
        made = self._driver.settle_create(job.task.system, request, job)
        return self._note_create(job, made)

    def _note_create(
        self, job: tasks.Job, made: contract.Created
    ) -> dict[str, Any]:
        task = job.task
        record = self.get(_system(job), task.snapshot).record
        self._notes.create(
            task.system,
            record,
            made,
            task.arguments.get('locked', False),
            task.arguments.get('expires'),
        )
        return {'snapshot': task.snapshot, 'created': record.created}

    def _run_revert(self, job: tasks.Job) -> dict[str, Any]:
        self._check_kept(job)
        view = self._check_same(job)
        if views.is_damaged(view.record, view.note):
            raise exceptions.SnapshotDamaged(view.record.name)
        self._driver.revert(job.task.system, _revert_request(job), job)
        return {'snapshot': job.task.snapshot}

    def _settle_revert(self, job: tasks.Job) -> dict[str, Any]:
        try:
            self._check_same(job)
        except (
            exceptions.SnapshotNotFound,
            exceptions.SnapshotReplaced,
        ) as exc:
            if job.journal['step'] == 'prepare':
                raise
            # The system may be half changed, and nobody goes on with it.
            raise exceptions.RevertNotUndone(
                job.task.snapshot,
                'it was broken off',
                messages.text(exc).rstrip('.'),
            ) from exc
        self._driver.settle_revert(job.task.system, _revert_request(job), job)
        return {'snapshot': job.task.snapshot}

    def _run_delete(self, job: tasks.Job) -> dict[str, Any]:
        task = job.task
        view = self._check_same(
            job, measured=True, freshness=contract.Freshness.FULL
        )
        # Everything that refers to it, and its lock.
        exceptions.check(views.obstacles(view))
        if 'pruned' in task.arguments:
            _check_due(view, task)
            job.tell(
                'HawkFish.1.0.SnapshotPruned',
                task.snapshot,
                task.system_name,
                task.arguments['pruned'],
            )
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
        raise exceptions.SafetySnapshotFailed(job.task.snapshot, name, number)

    def _check_same(
        self,
        job: tasks.Job,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> views.View:
        """Raise where the name is another snapshot's by now."""
        view = self.get(_system(job), job.task.snapshot, measured, freshness)
        if view.record.created != job.task.arguments['created']:
            raise exceptions.SnapshotReplaced(view.record.name)
        return view

    def _delete(self, job: tasks.Job, call: 'DriverDelete') -> dict[str, Any]:
        task = job.task
        self.merge(
            task.system, task.snapshot, task.arguments['created'], job, call
        )
        return {'snapshot': task.snapshot}

    def merge(
        self,
        system: str,
        name: str,
        created: int,
        job: contract.TaskContext,
        call: 'DriverDelete',
    ) -> None:
        """Let *call* of the driver delete a snapshot; its notes follow."""
        broken_off = job.journal.get('merging', False)
        try:
            call(system, name, job)
        except exceptions.HawkFishError as exc:
            # The first try may have begun to merge, whatever stands in the
            # way of the second.
            if broken_off or isinstance(exc, exceptions.MergeFailed):
                self._notes.damage(system, name, created)
            raise
        self._notes.forget(system, name)


DriverDelete = Callable[[str, str, contract.TaskContext], None]


def _check_due(view: views.View, task: tasks.Task) -> None:
    """Raise where it was given more time while it was decided on."""
    if task.arguments['pruned'] != retention.EXPIRED:
        return
    if view.note.expires is None or view.note.expires > time.time():
        raise exceptions.OperationCancelled('delete')


def _check_whole(view: views.View) -> None:
    if view.state == views.FAILED:
        raise exceptions.SnapshotDamaged(view.record.name)


def _request(task: tasks.Task) -> contract.CreateRequest:
    fields = dataclasses.fields(contract.CreateRequest)
    return contract.CreateRequest(
        **{field.name: task.arguments[field.name] for field in fields}
    )


def _system(job: tasks.Job) -> contract.System:
    return contract.System(job.task.system, job.task.system_name)


def _revert_request(job: tasks.Job) -> contract.RevertRequest:
    arguments = job.task.arguments
    return contract.RevertRequest(
        job.task.snapshot,
        arguments['power_state'],
        arguments['force'],
        arguments['ours'],
        arguments['memory_size'],
    )
