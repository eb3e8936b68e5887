# SPDX-License-Identifier: Apache-2.0
"""
Group create: a snapshot of each system of a group, of one moment.

Owns what becomes of what was made where one fails.  What is checked of all of
them before is ``group_admission``'s.  The creates themselves are sub-tasks;
where they wait for each other is the driver's (see ``contract.Meeting``).
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.forecast import GroupForecast, GroupPlan
from hawkfish_plugin.groups.table import Group, Groups, GroupSnapshot, Part
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import grouped, room
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.group_admission import (
    GroupAdmission,
    GroupCreateArguments,
    GroupOptions,
)
from hawkfish_plugin.operations.group_room import GroupRoom
from hawkfish_plugin.operations.looks import Looks
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.group_snapshots import group_snapshot
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Answer, Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

# Its group is gone, or is another one.
_CHANGED = (
    exceptions.GroupNotFound,
    exceptions.GroupNotMember,
    exceptions.Refused,
)
# What says nothing of other systems.
_OF_ONE_SYSTEM = (
    exceptions.NotFound,
    exceptions.Conflict,
    exceptions.NotAnswering,
)


class GroupCreate(Operation):
    name = 'group-create'
    of_group = True
    title = 'Create snapshot {snapshot} of group {group}'
    steps = (room.STEP, 'create')
    effect = Effect.CREATING
    cancellable = True
    follows = True

    def __init__(
        self,
        task_table: Tasks,
        groups: GroupCatalogue,
        group_table: Groups,
        group_admission: GroupAdmission,
        group_room: GroupRoom,
        create: Create,
        delete: Delete,
        prune: Prune,
    ) -> None:
        self._tasks = task_table
        self._groups = groups
        self._table = group_table
        self._group_admission = group_admission
        self._group_room = group_room
        self._create = create
        self._delete = delete
        self._prune = prune
        self._looks = Looks()

    # Requests -------------------------------------------------------------

    def submit(
        self,
        group: Group,
        options: GroupOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue a create of all systems and return its task.

        Raises SnapshotNameInvalid, GroupSnapshotExists,
        GroupSnapshotNameTaken, GroupMemberGone, QueueFull, GroupPauseTooLong,
        and everything that is known beforehand to stand in
        the way of any system.
        """
        # From the look at the names to the task that takes one.
        with (
            self._groups.held(group.name) as group,
            self._groups.deciding(group.members),
        ):
            seen, is_crowded = self._group_admission.look(group, options)
            arguments = GroupCreateArguments(
                group.name,
                seen.name,
                consistency=options.consistency,
                is_crowded=is_crowded,
                **options.common,
            )
            subjects = [Subject(system, seen.name) for system in seen.systems]
            return self._tasks.submit(self, subjects, arguments, payload)

    def preview(
        self, group: Group, options: GroupOptions
    ) -> tuple[GroupForecast, GroupPlan]:
        """
        What a create would make, and what would become of the others.

        Raises what the create would raise.
        """
        seen, _ = self._group_admission.look(group, options)
        return seen, self._group_admission.plan(group, options, seen)

    def percent(self, task: Task, parts: Sequence[Task]) -> int:
        return grouped.percent(task, parts, {'create': (0, 100)})

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        if rival.operation in (self.name, Create.name):
            return exceptions.SnapshotExists(rival.one_snapshot)
        return super().refusal(rival)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        arguments = GroupCreateArguments.load(context.task.arguments)
        member = arguments.of_member
        if arguments.is_crowded:
            systems = [subject.system for subject in context.task.subjects]
            self._group_room.make(context, systems, member)
            self._group_admission.check_again(systems, arguments)
        context.step('create')
        context.run_sub_tasks(
            [
                SubTask(self._create, [subject], member)
                for subject in context.task.subjects
            ],
            meet=True,
            called=self._groups.called,
        )
        return self.settle(context)

    def settle(self, context: Context) -> dict[str, Any]:
        if context.last_step == room.STEP:
            # No system was touched.
            return self.run(context)
        arguments = GroupCreateArguments.load(context.task.arguments)
        creates = [
            part
            for part in context.sub_tasks()
            if part.operation == Create.name
        ]
        if not creates:
            raise exceptions.OperationInterrupted(
                self.name, 'no system was touched'
            )
        if grouped.failed(creates) or context.cancelled:
            self._undo(context, arguments, creates)
        made = _snapshot(arguments, creates, self._made(creates))
        try:
            self._table.note(arguments.group, made)
        except _CHANGED as exc:
            self._undo(context, arguments, creates, *exc.parts)
        if made.pause:
            # For the forecast of the next one.
            written = sum(
                (t.result or {}).get('memory_size') or 0 for t in creates
            )
            self._table.measured(arguments.group, made.name, written)
        return {'snapshot': made.name, 'created': made.created}

    def _undo(
        self,
        context: Context,
        arguments: GroupCreateArguments,
        creates: Sequence[Task],
        *why: exceptions.HawkFishError,
    ) -> None:
        """Remove what was made, and raise *why*, and what failed."""
        left = grouped.remove(context, self._delete, self._made(creates))
        stay = {task.one_system.name: None for task in left}
        # A create that failed may have left what nothing proves to be its own.
        stay |= {
            task.one_system.name: None for task in creates if self._stays(task)
        }
        if context.cancelled and not stay:
            raise exceptions.OperationCancelled(self.name)
        told: exceptions.HawkFishError = exceptions.GroupCreateUndone(
            arguments.snapshot
        )
        if stay:
            told = exceptions.GroupCreateNotUndone(
                arguments.snapshot, ', '.join(stay)
            )
        raise exceptions.Refused(
            [
                told,
                *why,
                *grouped.failures(creates),
                *grouped.failures(left),
            ]
        )

    def _made(self, creates: Sequence[Task]) -> Sequence[grouped.Piece]:
        """What *creates* have made, those that failed as well."""
        found = []
        for task in creates:
            created = None
            with contextlib.suppress(*_OF_ONE_SYSTEM):
                created = self._create.made(task)
            if created is not None:
                found.append(
                    grouped.Piece(task.one_system, task.one_snapshot, created)
                )
        return found

    def _stays(self, task: Task) -> bool:
        try:
            return self._create.stays(task)
        except exceptions.NotFound:
            return False
        except _OF_ONE_SYSTEM:
            return True

    def follow(self, task: Task) -> None:
        errors: list[exceptions.HawkFishError] = []
        for subject in task.subjects:
            try:
                self._prune.after_create(subject.system)
            except exceptions.HawkFishError as exc:
                # It says nothing of the others.
                errors.append(exc)
        self._groups.tidy(GroupCreateArguments.load(task.arguments).group)
        for error in errors:
            if isinstance(error, exceptions.Unavailable):
                # It is tried again.
                raise error
        exceptions.check([part for error in errors for part in error.parts])

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        arguments = GroupCreateArguments.load(task.arguments)
        name, group = arguments.snapshot, arguments.group
        if error:
            return lifecycle.group_failed(task, group, name, error, gone=True)
        return lifecycle.group_created(group, name, task.systems)

    def created(self, task: Task) -> str | None:
        arguments = GroupCreateArguments.load(task.arguments)
        return uris.group_snapshot_uri(arguments.group, arguments.snapshot)

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        made = {t.id: GroupCreateArguments.load(t.arguments) for t in tasks}
        wanted: dict[str, set[str]] = {}
        for one in made.values():
            wanted.setdefault(one.group, set()).add(one.snapshot)
        there = {
            group.name: self._looks.ask(
                group.name, self._finder(group, wanted[group.name])
            )
            for group in self._groups.groups()
            if group.name in wanted
        }
        return frozenset(
            task
            for task, arguments in made.items()
            if arguments.snapshot in (there.get(arguments.group) or ())
        )

    def _finder(
        self, group: Group, snapshots: Collection[str]
    ) -> Callable[[], frozenset[str]]:
        return lambda: frozenset(
            name for name in snapshots if self._groups.exists(group, name)
        )

    def answer(self, task: Task) -> Answer:
        arguments = GroupCreateArguments.load(task.arguments)
        try:
            whole = self._groups.get(
                self._groups.group(arguments.group),
                arguments.snapshot,
                measured=True,
            )
        except exceptions.NotFound:
            return Answer()
        # Another one may have its name by now.
        if whole.snapshot.created != (task.result or {}).get('created'):
            return Answer()
        return Answer(201, group_snapshot(whole), self.created(task))


def _snapshot(
    arguments: GroupCreateArguments,
    creates: Sequence[Task],
    pieces: Sequence[grouped.Piece],
) -> GroupSnapshot:
    """What *creates* have made together, and what they have measured."""
    captures = [
        contract.Capture(**task.result['capture'])
        for task in creates
        if task.result and task.result.get('capture')
    ]
    times = [capture.monotonic for capture in captures]
    pauses = [c.pause for c in captures if c.pause is not None]
    return GroupSnapshot(
        arguments.snapshot,
        tuple(
            Part(piece.system, piece.name, piece.created) for piece in pieces
        ),
        arguments.consistency,
        1000 * (max(times) - min(times)) if len(times) > 1 else None,
        1000 * max(pauses) if pauses else None,
    )
