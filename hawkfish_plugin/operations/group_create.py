# SPDX-License-Identifier: Apache-2.0
"""
Group create: a snapshot of each system of a group, of one moment.

Owns what is checked of all of them before the first is touched, how long they
may be paused, and what becomes of what was made where one fails.  The creates
themselves are sub-tasks; where they wait for each other is the driver's (see
``contract.Meeting``).  Long, as a request, its task and its forecast share
what they look at.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import events, exceptions, names
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups import forecast
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.forecast import GroupForecast, GroupPlan
from hawkfish_plugin.groups.table import Group, Groups, GroupSnapshot, Part
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import group_room, grouped
from hawkfish_plugin.operations.create import (
    Create,
    CreateArguments,
    CreateOptions,
    Seen,
)
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.group_prune import GroupPrune, Reach
from hawkfish_plugin.operations.group_room import GroupRoom
from hawkfish_plugin.operations.looks import Looks
from hawkfish_plugin.operations.options import SnapshotOptions
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.group_snapshots import group_snapshot
from hawkfish_plugin.retention import rules
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Answer, Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

# Where nothing was measured yet, of a slow disk.
_BYTES_PER_SECOND = 100 * 2**20
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
# A pause without memory: the new files of the disks.
_LEAST_PAUSE_MS = 500.0


@dataclasses.dataclass(frozen=True)
class GroupOptions(SnapshotOptions):
    """
    What a client asks of a group create.

    *consistency* is one of ``contract.CONSISTENCIES``; the others are as in
    ``CreateOptions``.
    """

    name: str | None = None
    _: dataclasses.KW_ONLY
    consistency: str = contract.CONSISTENT

    def of_member(self, name: str) -> CreateOptions:
        """What it asks of each system."""
        return CreateOptions(
            name,
            memory=self.consistency != contract.DISKS_ONLY,
            consistency=self.consistency,
            **self.common,
        )


@dataclasses.dataclass(frozen=True)
class GroupCreateArguments(SnapshotOptions, Record):
    """
    What a task keeps of GroupOptions, with the name that was chosen.

    *is_crowded* has room made in its turn, where it is still needed.
    """

    group: str
    snapshot: str
    _: dataclasses.KW_ONLY
    consistency: str = contract.CONSISTENT
    is_crowded: bool = False

    @property
    def options(self) -> GroupOptions:
        return GroupOptions(
            self.snapshot, consistency=self.consistency, **self.common
        )

    @property
    def of_member(self) -> CreateArguments:
        """What the task of each system keeps."""
        asked = self.options.of_member(self.snapshot)
        return CreateArguments(
            self.snapshot,
            memory=asked.memory,
            consistency=asked.consistency,
            **asked.common,
        )


class GroupCreate(Operation):
    name = 'group-create'
    of_group = True
    title = 'Create snapshot {snapshot} of group {group}'
    steps = (group_room.STEP, 'create')
    effect = Effect.CREATING
    cancellable = True
    follows = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        groups: GroupCatalogue,
        group_table: Groups,
        create: Create,
        delete: Delete,
        prune: Prune,
        group_prune: GroupPrune,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._groups = groups
        self._table = group_table
        self._create = create
        self._delete = delete
        self._prune = prune
        self._group_prune = group_prune
        self._conf = conf.groups
        self._looks = Looks()
        self._room = GroupRoom(create, prune, groups)

    # Requests -------------------------------------------------------------

    def submit(
        self,
        group: Group,
        options: GroupOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue a create of all systems and return its task.

        Raises SnapshotNameInvalid, SnapshotExists, GroupMemberGone, QueueFull,
        GroupPauseTooLong, and everything that is known beforehand to stand in
        the way of any system.
        """
        # From the look at the names to the task that takes one.
        with (
            self._groups.held(group.name) as group,
            self._groups.deciding(group.members),
        ):
            seen, is_crowded = self._look(group, options)
            arguments = GroupCreateArguments(
                group.name,
                seen.name,
                consistency=options.consistency,
                is_crowded=is_crowded,
                **options.common,
            )
            subjects = [Subject(system, seen.name) for system in seen.systems]
            return self._tasks.submit(self, subjects, arguments, payload)

    def preview(self, group: Group, options: GroupOptions) -> GroupForecast:
        """What a create would make; raises what it would raise."""
        return self._look(group, options)[0]

    def _look(
        self, group: Group, options: GroupOptions
    ) -> tuple[GroupForecast, bool]:
        """What a create would make, and whether others are in its way."""
        if options.name is not None:
            names.check(options.name)
        systems = self._groups.present(group)
        name = options.name or names.of_now(
            'snapshot', self._groups.taken(systems)
        )
        try:
            looks = self._ask(systems, options.of_member(name), True)
        except exceptions.Refused:
            # With what is lacking in others, all at once.
            looks = self._ask(systems, options.of_member(name), False)
        forecasts = [seen.forecast for seen in looks]
        seen = self._forecast(
            group.name, name, options.consistency, systems, forecasts
        )
        if any(one.lacking for one in looks):
            by_system = dict(zip(systems, looks, strict=True))
            going = self.plan(group, options, seen).going
            group_room.check(group.name, by_system, going)
        return seen, any(one.lacking or one.is_changing for one in looks)

    def _ask(
        self,
        systems: Sequence[contract.System],
        options: CreateOptions,
        makes_room: bool,
    ) -> Sequence[Seen]:
        return grouped.ask_all(
            systems,
            lambda system: self._create.check(system, options, makes_room),
        )

    def _forecast(
        self,
        group: str,
        name: str,
        consistency: str,
        systems: Sequence[contract.System],
        forecasts: Sequence[contract.Forecast],
    ) -> GroupForecast:
        """Of all together; raises what that is too much of."""
        forecast.check_space(forecasts)
        memory = forecast.memory(forecasts)
        speed = self._speed(group, forecasts, memory)
        pause = None
        if consistency != contract.LIVE:
            pause = _LEAST_PAUSE_MS + 1000 * memory / speed
        limit = 1000.0 * self._conf.max_pause or None
        if pause and limit and pause > limit:
            raise exceptions.GroupPauseTooLong(
                group, round(pause), round(limit)
            )
        return GroupForecast(
            name, consistency, systems, forecasts, pause, limit, speed
        )

    def _speed(
        self,
        group: str,
        forecasts: Sequence[contract.Forecast],
        memory: int,
    ) -> float:
        """How many bytes of memory are taken to be written in a second."""
        measured = self._table.written_per_second(group)
        if measured:
            return measured
        # What the driver says of each, as if one came after the other.
        seconds = sum(f.pause or 0.0 for f in forecasts if f.memory)
        return memory / seconds if seconds else _BYTES_PER_SECOND

    def plan(
        self, group: Group, options: GroupOptions, seen: GroupForecast
    ) -> GroupPlan:
        """What would become of the others."""
        keep = (rules.LOCKED,) if options.locked else ()
        plans = {}
        for system, planned in zip(seen.systems, seen.forecasts, strict=True):
            coming = contract.Snapshot(
                seen.name,
                '',
                int(time.time()),
                None,
                planned.memory,
                planned.external,
                self._groups.current(system),
                current=True,
            )
            plans[system] = self._prune.plan_with(
                system,
                rules.Subject(coming, planned.size, options.expires, keep),
                None,
                Reach.NEWER,
            )
        return self._group_prune.plan(group, plans)

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
            self._make_room(context, arguments)
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

    def _make_room(
        self, context: Context, arguments: GroupCreateArguments
    ) -> None:
        """
        Delete what is in the way, and look again at what could not be known.

        Raises what no delete has helped against.
        """
        member = arguments.of_member
        self._room.make(context, member)
        systems = [subject.system for subject in context.task.subjects]
        forecasts = grouped.ask_all(
            systems, lambda system: self._create.forecast(system, member)
        )
        self._forecast(
            arguments.group,
            arguments.snapshot,
            arguments.consistency,
            systems,
            forecasts,
        )

    def settle(self, context: Context) -> dict[str, Any]:
        if context.last_step == group_room.STEP:
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
