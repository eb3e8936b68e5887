# SPDX-License-Identifier: Apache-2.0
"""
Group revert: all systems of a group go back to a group snapshot, or none.

Owns what is checked of all of them before, the safety snapshot of all of them
that is the way back, and the way back itself where one of them fails.  Each
phase is noted before it begins; what an interrupted one has left is told by
its sub-tasks, which have been settled by then: nobody is suspended any more.
Long, as the way back is found by what the way there has noted.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import (
    catalogue,
    events,
    exceptions,
    messages,
    names,
)
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups import forecast
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Group, Groups, GroupSnapshot, Part
from hawkfish_plugin.groups.views import REFUSE, GroupView, names_of
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.create import (
    Create,
    CreateArguments,
    CreateOptions,
)
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.revert import Revert, RevertArguments
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task

# How far it is when each phase begins and ends.
_PHASES = {
    'safety': (0, 40),
    'revert': (40, 90),
    'restore': (90, 95),
    'cleanup': (95, 100),
}


@dataclasses.dataclass(frozen=True)
class GroupRevertOptions:
    """
    What a client asks of a group revert.

    *power_state* and *force* are as in ``contract.RevertRequest``; *keep* the
    safety snapshot, None: as the configuration says; *added* is one of
    ADDED_SYSTEMS; *partial* reverts those that still have the snapshot.
    """

    name: str
    power_state: str = contract.AS_CAPTURED
    force: bool = False
    keep: bool | None = None
    added: str = REFUSE
    partial: bool = False


@dataclasses.dataclass(frozen=True)
class GroupRevertArguments(Record):
    """
    What a task keeps of GroupRevertOptions.

    *members* has of each system what its RevertArguments are, in the order of
    the subjects.
    """

    group: str
    snapshot: str
    members: Sequence[Mapping[str, Any]] = ()
    keep: bool = False


@dataclasses.dataclass(frozen=True)
class GroupRevertJournal(Record):
    """*safety* is the name of the safety snapshot."""

    safety: str = ''


class GroupRevert(Operation):
    name = 'group-revert'
    of_group = True
    title = 'Revert group {group} to snapshot {snapshot}'
    steps = ('safety', 'revert', 'restore', 'cleanup')
    effect = Effect.REVERTING

    def __init__(
        self,
        task_table: Tasks,
        snapshots: catalogue.Catalogue,
        groups: GroupCatalogue,
        group_table: Groups,
        create: Create,
        revert: Revert,
        delete: Delete,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._tasks = task_table
        self._catalogue = snapshots
        self._groups = groups
        self._table = group_table
        self._create = create
        self._revert = revert
        self._delete = delete
        self._conf = conf.revert

    # Requests -------------------------------------------------------------

    def submit(
        self,
        group: Group,
        options: GroupRevertOptions,
        payload: Mapping[str, Any],
        check: Callable[[], None],
    ) -> Task:
        """
        Queue a revert and return its task.

        *check* may refuse, by what nobody changes any more.

        Raises SnapshotNotFound, SnapshotBusy, GroupSnapshotIncomplete,
        GroupSystemsAdded, and everything that is known beforehand to stand in
        the way of any system, or of its safety snapshot.
        """
        with (
            self._groups.held(group.name) as group,
            self._groups.deciding(group.members),
        ):
            check()
            return self._submit(group, options, payload)

    def _submit(
        self,
        group: Group,
        options: GroupRevertOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        whole = self._groups.free(group, options.name)
        members = self._check(whole, options)
        arguments = GroupRevertArguments(
            group.name,
            whole.name,
            [member.dump() for member in members],
            self._keeps(options),
        )
        subjects = [
            Subject(piece.system, piece.name)
            for piece in grouped.pieces(whole.parts)
        ]
        return self._tasks.submit(self, subjects, arguments, payload)

    def _keeps(self, options: GroupRevertOptions) -> bool:
        """Whether the safety snapshot is kept when all is well."""
        if options.keep is None:
            return bool(self._conf.safety_snapshot)
        return options.keep

    def _check(
        self, view: GroupView, options: GroupRevertOptions
    ) -> Sequence[RevertArguments]:
        also: list[exceptions.HawkFishError] = []
        if view.missing and not options.partial:
            also.append(
                exceptions.GroupSnapshotIncomplete(
                    view.name, names_of(view.missing)
                )
            )
        if view.added and options.added == REFUSE:
            also.append(
                exceptions.GroupSystemsAdded(view.name, names_of(view.added))
            )
        found = {part.system: part.view for part in view.parts if part.view}
        checked = grouped.ask_all(
            list(found),
            lambda system: self._check_member(system, found[system], options),
            *also,
        )
        taken = self._groups.taken(found)
        safety = _safety_options(
            names.of_now('safety', taken), view.name, self._keeps(options)
        )
        before = grouped.ask_all(
            list(found), lambda system: self._create.check(system, safety)
        )
        forecast.check_space(
            [
                *(seen.forecast for seen in before),
                *(after for _, after in checked if after),
            ]
        )
        return [arguments for arguments, _ in checked]

    def _check_member(
        self,
        system: contract.System,
        view: catalogue.View,
        options: GroupRevertOptions,
    ) -> tuple[RevertArguments, contract.RevertForecast | None]:
        request = contract.RevertRequest(
            view.name, options.power_state, options.force
        )
        checked = self._revert.check(system, request, True)
        request = checked.request
        arguments = RevertArguments(
            checked.created,
            request.power_state,
            request.force,
            request.created_here,
            request.memory_size,
        )
        return arguments, checked.forecast

    def percent(self, task: Task, parts: Sequence[Task]) -> int:
        return grouped.percent(task, parts, _PHASES)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        self._check_again(context.task)
        systems = _systems(context.task)
        safety = names.of_now('safety', self._groups.taken(systems))
        context.step('safety', GroupRevertJournal(safety))
        self._make_safety(context, safety)
        context.step('revert')
        context.run_sub_tasks(
            [
                SubTask(self._revert, [subject], arguments)
                for subject, arguments in _members(context.task)
            ],
            meet=True,
            called=self._groups.called,
        )
        return self._after_revert(context)

    def settle(self, context: Context) -> dict[str, Any]:
        phases: Mapping[str, Callable[[Context], dict[str, Any]]] = {
            'revert': self._after_revert,
            'restore': self._restore,
            'cleanup': self._clean_up,
        }
        phase = phases.get(context.last_step)
        if phase:
            return phase(context)
        self._drop_safety(context)
        raise exceptions.OperationInterrupted(
            self.name, 'no system was reverted'
        )

    def _check_again(self, task: Task) -> None:
        created = {
            subject.system: (subject.snapshot or '', arguments.created)
            for subject, arguments in _members(task)
        }
        grouped.ask_all(
            list(created),
            lambda system: catalogue.check_intact(
                self._catalogue.same(system, *created[system])
            ),
        )

    # The way back ---------------------------------------------------------

    def _make_safety(self, context: Context, safety: str) -> None:
        """Raise GroupRevertNotStarted where there is no way back."""
        arguments = _arguments(context.task)
        options = _safety_options(safety, arguments.snapshot, arguments.keep)
        ends = context.run_sub_tasks(
            [
                SubTask(
                    self._create,
                    [Subject(system, safety)],
                    CreateArguments(
                        safety,
                        description=options.description,
                        memory=options.memory,
                        consistency=options.consistency,
                        temporary=options.temporary,
                        before_revert=True,
                    ),
                )
                for system in _systems(context.task)
            ],
            meet=True,
            called=self._groups.called,
        )
        if grouped.failed(ends):
            self._drop_safety(context)
            raise exceptions.Refused(
                [
                    exceptions.GroupRevertNotStarted(
                        _arguments(context.task).snapshot
                    ),
                    *grouped.failures(ends),
                ]
            )

    def _safety(self, context: Context) -> Sequence[grouped.Piece]:
        """The safety snapshots that were created, and are still there."""
        return [
            grouped.Piece(task.one_system, task.one_snapshot, created)
            for task in context.sub_tasks()
            if task.operation == Create.name
            and task.state == COMPLETED
            and (created := (task.result or {}).get('created')) is not None
            and self._catalogue.exists(task.one_system, task.one_snapshot)
        ]

    def _drop_safety(self, context: Context) -> None:
        """Remove what there is of the safety snapshot; says what stays."""
        pieces = self._safety(context)
        left = grouped.remove(context, self._delete, pieces)
        for task in left:
            context.add_message(
                messages.GROUP_SAFETY_LEFT,
                task.one_snapshot,
                task.one_system.name,
                grouped.words(task),
            )
        if left:
            self._keep_safety(context)

    def _keep_safety(self, context: Context) -> None:
        """Let it be a snapshot of the group."""
        pieces = self._safety(context)
        if pieces:
            parts = tuple(Part(p.system, p.name, p.created) for p in pieces)
            self._table.note(
                _arguments(context.task).group,
                GroupSnapshot(pieces[0].name, parts, contract.CONSISTENT),
            )

    # What became of it ----------------------------------------------------

    def _after_revert(self, context: Context) -> dict[str, Any]:
        there = _ended(context, _to_snapshot)
        if len(there) == len(context.task.subjects) and not grouped.failed(
            there.values()
        ):
            for task in there.values():
                context.add_message(
                    messages.GROUP_MEMBER_REVERTED,
                    task.one_system.name,
                    task.one_snapshot,
                )
            context.step('cleanup')
            return self._clean_up(context)
        context.step('restore')
        return self._restore(context)

    def _restore(self, context: Context) -> dict[str, Any]:
        """
        Bring all of them back, where any has moved, or may have.

        Those that have not would be ahead of the others.
        """
        there = _ended(context, _to_snapshot)
        back = _ended(context, _to_safety)
        again = [
            system
            for system in _systems(context.task)
            if any(map(_has_moved, there.values()))
            and not _is_back(back.get(system.uuid))
        ]
        by_uuid = {p.system.uuid: p for p in self._safety(context)}
        context.run_sub_tasks(
            [
                SubTask(
                    self._revert,
                    [Subject(system, by_uuid[system.uuid].name)],
                    self._back(by_uuid[system.uuid]),
                )
                for system in again
                if system.uuid in by_uuid
            ]
        )
        context.step('cleanup')
        return self._clean_up(context)

    def _back(self, piece: grouped.Piece) -> RevertArguments:
        view = self._catalogue.get(piece.system, piece.name)
        return RevertArguments(
            piece.created,
            created_here=True,
            memory_size=view.note.memory_size,
        )

    def _clean_up(self, context: Context) -> dict[str, Any]:
        arguments = _arguments(context.task)
        there = _ended(context, _to_snapshot)
        back = _ended(context, _to_safety)
        failed = grouped.failed(there.values())
        lost = [
            system
            for system in _systems(context.task)
            if failed
            and not _is_back(back.get(system.uuid))
            and any(
                _has_moved(ends[system.uuid])
                for ends in (there, back)
                if system.uuid in ends
            )
        ]
        if lost or (arguments.keep and not failed):
            self._keep_safety(context)
        else:
            self._drop_safety(context)
        if not failed and len(there) == len(context.task.subjects):
            return {'snapshot': arguments.snapshot}
        self._tell(context, there, back, lost)
        told: exceptions.HawkFishError = exceptions.GroupRevertUndone(
            arguments.snapshot
        )
        if lost:
            told = exceptions.GroupRevertNotUndone(
                arguments.snapshot,
                names_of(lost),
                context.recall(GroupRevertJournal).safety,
            )
        raise exceptions.Refused([told, *grouped.failures(there.values())])

    def _tell(
        self,
        context: Context,
        there: Mapping[str, Task],
        back: Mapping[str, Task],
        lost: Sequence[contract.System],
    ) -> None:
        """Say of each system what became of it."""
        safety = context.recall(GroupRevertJournal).safety
        for system in _systems(context.task):
            if system in lost:
                continue
            if system.uuid in back:
                context.add_message(
                    messages.GROUP_MEMBER_RESTORED, system.name, safety
                )
            else:
                context.add_message(
                    messages.GROUP_MEMBER_UNTOUCHED, system.name
                )

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        arguments = _arguments(task)
        name, group = arguments.snapshot, arguments.group
        if error:
            return lifecycle.group_failed(task, group, name, error)
        return lifecycle.group_reverted(group, name, task.systems)


def _safety_options(safety: str, name: str, kept: bool) -> CreateOptions:
    return CreateOptions(
        safety,
        description=f'Safety snapshot before the revert to {name}',
        memory=True,
        consistency=contract.CONSISTENT,
        temporary=not kept,
        before_revert=True,
    )


def _arguments(task: Task) -> GroupRevertArguments:
    return GroupRevertArguments.load(task.arguments)


def _systems(task: Task) -> Sequence[contract.System]:
    return [subject.system for subject in task.subjects]


def _members(task: Task) -> Sequence[tuple[Subject, RevertArguments]]:
    return [
        (subject, RevertArguments.load(stored))
        for subject, stored in zip(
            task.subjects, _arguments(task).members, strict=True
        )
    ]


def _to_snapshot(task: Task, safety: str) -> bool:
    return task.one_snapshot != safety


def _to_safety(task: Task, safety: str) -> bool:
    return task.one_snapshot == safety


def _ended(
    context: Context, kind: Callable[[Task, str], bool]
) -> dict[str, Task]:
    """The last revert of that *kind* of each system, by its UUID."""
    safety = context.recall(GroupRevertJournal).safety
    return {
        task.one_system.uuid: task
        for task in context.sub_tasks()
        if task.operation == Revert.name and kind(task, safety)
    }


def _has_moved(task: Task) -> bool:
    """Whether its system is, or may be, no more where it was."""
    if task.state == COMPLETED:
        return True
    # One that was brought back by itself has lost its memory all the same.
    return task.step not in contract.UNTOUCHED and (
        not task.failed_with(exceptions.OperationInterrupted)
    )


def _is_back(task: Task | None) -> bool:
    return task is not None and task.state == COMPLETED
