# SPDX-License-Identifier: Apache-2.0
"""
Group revert: all systems of a group go back to a group snapshot, or none.

Owns what is checked of all of them before, and the phases, each of which is
noted before it begins.  The way back of all of them is ``group_safety``'s, and
which of them have to take it ``group_outcome``'s.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import catalogue, events, exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups import forecast
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Group
from hawkfish_plugin.groups.views import REFUSE, GroupView, names_of
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.group_outcome import Outcome
from hawkfish_plugin.operations.group_safety import GroupSafety
from hawkfish_plugin.operations.revert import (
    Checked,
    Revert,
    RevertArguments,
)
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

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
    the subjects; *alone* are the names of those that stay as they are.
    """

    group: str
    snapshot: str
    members: Sequence[Mapping[str, Any]] = ()
    keep: bool = False
    alone: Sequence[str] = ()


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
        revert: Revert,
        safety: GroupSafety,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._tasks = task_table
        self._catalogue = snapshots
        self._groups = groups
        self._revert = revert
        self._safety = safety
        self._conf = conf.revert

    # Requests -------------------------------------------------------------

    def preview(
        self,
        group: Group,
        options: GroupRevertOptions,
    ) -> forecast.GroupRevertForecast:
        """What a revert would do; raises what it would raise."""
        whole = self._groups.free(group, options.name)
        checked, before = self._check(whole, options)
        members = grouped.ask_all(
            list(checked), lambda system: self._member(system, checked[system])
        )
        return forecast.GroupRevertForecast(
            whole.name,
            members,
            self._keeps(options),
            before,
            _left_alone(whole),
        )

    def _member(
        self, system: contract.System, checked: Checked
    ) -> forecast.MemberRevert:
        return forecast.MemberRevert(
            system,
            self._revert.forecast(system, checked),
            self._groups.current(system),
        )

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
        checked, _ = self._check(whole, options)
        arguments = GroupRevertArguments(
            group.name,
            whole.name,
            [one.arguments.dump() for one in checked.values()],
            self._keeps(options),
            [system.name for system in _left_alone(whole)],
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
    ) -> tuple[Mapping[contract.System, Checked], Sequence[contract.Forecast]]:
        """What was found of each system, and what the safety snapshot is."""
        found = {part.system: part.view for part in view.parts if part.view}
        systems = list(found)
        checked = grouped.ask_all(
            systems,
            lambda system: self._check_member(system, found[system], options),
            *_obstacles(view, options),
        )
        before = self._safety.check(systems, view.name, self._keeps(options))
        forecast.check_space(
            [*before, *(one.forecast for one in checked if one.forecast)]
        )
        return dict(zip(systems, checked, strict=True)), before

    def _check_member(
        self,
        system: contract.System,
        view: catalogue.View,
        options: GroupRevertOptions,
    ) -> Checked:
        request = contract.RevertRequest(
            view.name, options.power_state, options.force
        )
        return self._revert.check(system, request, True)

    def percent(self, task: Task, parts: Sequence[Task]) -> int:
        return grouped.percent(task, parts, _PHASES)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        self._check_again(context.task)
        safety = self._safety.name(_systems(context.task))
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
        self._safety.drop(context, _arguments(context.task).group)
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

    def _make_safety(self, context: Context, safety: str) -> None:
        """Raise GroupRevertNotStarted where there is no way back."""
        arguments = _arguments(context.task)
        failures = self._safety.make(
            context, safety, arguments.snapshot, arguments.keep
        )
        if failures:
            self._safety.drop(context, arguments.group)
            raise exceptions.Refused(
                [
                    exceptions.GroupRevertNotStarted(arguments.snapshot),
                    *failures,
                ]
            )

    # What became of it ----------------------------------------------------

    def _after_revert(self, context: Context) -> dict[str, Any]:
        outcome = _outcome(context)
        if not outcome.is_complete:
            context.step('restore')
            return self._restore(context)
        for task in outcome.there.values():
            context.add_message(
                messages.GROUP_MEMBER_REVERTED,
                task.one_system.name,
                task.one_snapshot,
            )
        arguments = _arguments(context.task)
        for name in arguments.alone:
            context.add_message(
                messages.GROUP_MEMBER_LEFT_ALONE, name, arguments.snapshot
            )
        context.step('cleanup')
        return self._clean_up(context)

    def _restore(self, context: Context) -> dict[str, Any]:
        context.run_sub_tasks(
            self._safety.way_back(
                context, _outcome(context).to_restore, self._revert
            )
        )
        context.step('cleanup')
        return self._clean_up(context)

    def _clean_up(self, context: Context) -> dict[str, Any]:
        arguments = _arguments(context.task)
        outcome = _outcome(context)
        if outcome.lost or (arguments.keep and not outcome.has_failed):
            self._safety.keep(context, arguments.group)
        else:
            self._safety.drop(context, arguments.group)
        if outcome.is_complete:
            return {'snapshot': arguments.snapshot}
        safety = context.recall(GroupRevertJournal).safety
        _tell(context, outcome, safety)
        told: exceptions.HawkFishError = exceptions.GroupRevertUndone(
            arguments.snapshot
        )
        if outcome.lost:
            told = exceptions.GroupRevertNotUndone(
                arguments.snapshot, names_of(outcome.lost), safety
            )
        raise exceptions.Refused([told, *outcome.failures])

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        arguments = _arguments(task)
        name, group = arguments.snapshot, arguments.group
        if error:
            return lifecycle.group_failed(task, group, name, error)
        return lifecycle.group_reverted(group, name, task.systems)


def _obstacles(
    view: GroupView, options: GroupRevertOptions
) -> Sequence[exceptions.HawkFishError]:
    """What stands in the way of all, as the group has changed since."""
    found: list[exceptions.HawkFishError] = []
    if view.missing and not options.partial:
        found.append(
            exceptions.GroupSnapshotIncomplete(
                view.name, names_of(view.missing)
            )
        )
    if view.added and options.added == REFUSE:
        found.append(
            exceptions.GroupSystemsAdded(view.name, names_of(view.added))
        )
    return found


def _left_alone(view: GroupView) -> Sequence[contract.System]:
    """The systems that have no part of it, no more or not yet."""
    return [*view.missing, *view.added]


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


def _outcome(context: Context) -> Outcome:
    safety = context.recall(GroupRevertJournal).safety
    return Outcome.of(_systems(context.task), context.sub_tasks(), safety)


def _tell(context: Context, outcome: Outcome, safety: str) -> None:
    """Say of each system that is not lost what became of it."""
    for system in outcome.systems:
        if system in outcome.lost:
            continue
        if system.uuid in outcome.back:
            context.add_message(
                messages.GROUP_MEMBER_RESTORED, system.name, safety
            )
        else:
            context.add_message(messages.GROUP_MEMBER_UNTOUCHED, system.name)
