# SPDX-License-Identifier: Apache-2.0
"""
Create: a snapshot of a system as it is now.

Owns what is queued with it, and what is known of the snapshot afterwards.
Whether it may be made is ``admission``'s, and what is deleted before it
``room``'s; in all other cases the policy prunes after it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, notes
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import room
from hawkfish_plugin.operations.admission import (
    Admission,
    CreateArguments,
    CreateOptions,
    is_too_much,
)
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.looks import Looks
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.snapshots import snapshot as render
from hawkfish_plugin.retention import rules
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Answer, Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task


class Create(Operation):
    name = contract.CREATE
    title = 'Create snapshot {snapshot}'
    steps = (room.STEP, *contract.STEPS[contract.CREATE])
    # 2: it may have suspended its system, which is to be resumed.
    version = 2
    effect = Effect.CREATING
    cancellable = True
    follows = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        catalogue: Catalogue,
        note_table: notes.Notes,
        admission: Admission,
        create_room: room.CreateRoom,
        prune: Prune,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._catalogue = catalogue
        self._notes = note_table
        self._admission = admission
        self._room = create_room
        self._prune = prune
        self._findings = findings
        self._looks = Looks()

    # Requests -------------------------------------------------------------

    def submit(
        self,
        system: contract.System,
        options: CreateOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue a create and return its task.

        Where depth or space does not allow it, what the policy would prune
        for it goes before it; in all other cases, after it.

        Raises SnapshotNameInvalid, SnapshotExists, QueueFull, and everything
        that is known beforehand to stand in the way.
        """
        return self.submit_before(system, options, payload, lambda task: task)

    def submit_before(
        self,
        system: contract.System,
        options: CreateOptions,
        payload: Mapping[str, Any],
        then: Callable[[Task], Task],
    ) -> Task:
        """
        As ``submit``; returns the task that *then* submits after the create.

        All of them are queued, or none: nothing goes for what does not come.
        *then* must not ask the hypervisor.
        """
        # From the look at the names to the task that takes one.
        with self._catalogue.deciding(system):
            seen = self._admission.look(system, options)
            deletes = self._room.before(system, options, seen)
            with self._tasks.together():
                self._prune.submit(system, deletes)
                task = self._tasks.submit(
                    self,
                    [Subject(system, seen.name)],
                    options.arguments(seen.name),
                    payload,
                )
                return then(task)

    def preview(
        self, system: contract.System, options: CreateOptions
    ) -> rules.Preview:
        """What a create would do; raises what it would raise."""
        seen = self._admission.look(system, options)
        plan = self._room.plan(system, options, seen)
        first = seen.lacking is not None
        return rules.Preview(seen.record, seen.forecast, plan, first)

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        if rival.operation == self.name:
            return exceptions.SnapshotExists(rival.one_snapshot)
        return super().refusal(rival)

    # The operation: what was true at the request need not be true any more -

    def run(self, context: Context) -> dict[str, Any]:
        with self._driver.carrying_out(context.task.one_system.uuid):
            return self._run(context)

    def _run(self, context: Context) -> dict[str, Any]:
        arguments = CreateArguments.load(context.task.arguments)
        self._admission.check_again(context.task.one_system, arguments)
        if arguments.protect is not None:
            # The revert after it changes what can be deleted.
            self._room.make(context, arguments)
        try:
            made = self._create(context, arguments)
        except exceptions.HawkFishError as exc:
            if not self._made_room(context, arguments, exc):
                raise
            made = self._create(context, arguments)
        return self._note(context.task, made)

    def _made_room(
        self,
        context: Context,
        arguments: CreateArguments,
        error: exceptions.HawkFishError,
    ) -> bool:
        """Whether room was made against *error*, with nothing begun."""
        if arguments.temporary or context.last_step not in ('', room.STEP):
            return False
        if not any(map(is_too_much, error.parts)):
            return False
        return self._room.make(context, arguments)

    def _create(
        self, context: Context, arguments: CreateArguments
    ) -> contract.Created:
        system = context.task.one_system
        with self._findings.telling(system):
            return self._driver.create(system.uuid, arguments.request, context)

    def look_after(self, task: Task) -> None:
        self._findings.look(task.one_system)

    def settle(self, context: Context) -> dict[str, Any]:
        if context.last_step == room.STEP:
            # Nothing of its own was begun.
            return self.run(context)
        task = context.task
        request = CreateArguments.load(task.arguments).request
        with self._findings.telling(task.one_system):
            made = self._driver.settle_create(
                task.one_system.uuid, request, context
            )
        return self._note(task, made)

    def _note(self, task: Task, made: contract.Created) -> dict[str, Any]:
        arguments = CreateArguments.load(task.arguments)
        self._notes.create(
            task.one_system.uuid,
            arguments.name,
            made,
            arguments.locked,
            arguments.expires,
            arguments.scheduled,
        )
        measured: dict[str, Any] = {}
        if made.capture:
            measured['capture'] = dataclasses.asdict(made.capture)
            measured['memory_size'] = made.memory_size
        return {
            'snapshot': arguments.name,
            'created': made.created,
            **measured,
        }

    def made(self, task: Task) -> int | None:
        """
        When the snapshot of an ended *task* was created.

        None where it is not there, or may be another one of its name.
        """
        if task.state == COMPLETED:
            created = (task.result or {}).get('created')
            return None if created is None else int(created)
        return self._driver.made_by(
            task.one_system.uuid, task.one_snapshot, task
        )

    def stays(self, task: Task) -> bool:
        """Whether the snapshot of a *task* that was to make it is there."""
        # It has met another one of its name, and left it alone.
        if task.failed_with(exceptions.SnapshotExists):
            return False
        return self._catalogue.exists(task.one_system, task.one_snapshot)

    def follow(self, task: Task) -> None:
        # A safety snapshot has pruned already.
        if CreateArguments.load(task.arguments).protect is None:
            self._prune.after_create(task.one_system)

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        if error:
            there = isinstance(error, exceptions.SnapshotExists)
            return lifecycle.failed(task, error, gone=not there)
        return lifecycle.created(task.one_system, task.one_snapshot)

    def created(self, task: Task) -> str | None:
        return uris.snapshot_uri(task.one_system.uuid, task.one_snapshot)

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        systems = {task.one_system.uuid: task.one_system for task in tasks}
        # One look for all: each takes a thread.
        names = self._looks.ask(
            ', '.join(system.name for system in systems.values()),
            lambda: {uuid: self._names(s) for uuid, s in systems.items()},
        )
        return frozenset(
            task.id
            for task in tasks
            if task.one_snapshot in names[task.one_system.uuid]
        )

    def _names(self, system: contract.System) -> frozenset[str]:
        """Those of the snapshots of *system*, if there is one."""
        try:
            return frozenset(self._driver.names(system.uuid))
        except exceptions.NotFound:
            return frozenset()

    def answer(self, task: Task) -> Answer:
        system, name = task.one_system, task.one_snapshot
        result = task.result or {}
        try:
            now = self._catalogue.system(system.uuid)
            view = self._catalogue.get(now, name, measured=True)
        except exceptions.NotFound:
            return Answer()
        # Another one may have its name by now.
        if view.record.created != result.get('created', view.record.created):
            return Answer()
        return Answer(
            201,
            render(system.uuid, view),
            self.created(task),
        )
