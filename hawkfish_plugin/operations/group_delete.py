# SPDX-License-Identifier: Apache-2.0
"""
Group delete: a group snapshot goes from all systems that have it.

Whole or not at all: what stands in the way in any of them is refused before
the first is touched, at the request and in the task.  What fails in between
leaves an incomplete one, which can be deleted again.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import catalogue, events, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Group, Groups
from hawkfish_plugin.groups.views import GroupView
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.delete import (
    Delete,
    DeleteArguments,
    check_due,
)
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Answer, Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task


@dataclasses.dataclass(frozen=True)
class GroupDeleteArguments(Record):
    """
    *created* has the times of the members' snapshots, in their order.

    *pruned* is as in DeleteArguments.  *others* are the names of groups and
    of their snapshots that go as well, as they share parts with this one.
    """

    group: str
    snapshot: str
    created: Sequence[int] = ()
    pruned: str | None = None
    others: Sequence[Sequence[str]] = ()

    @property
    def wholes(self) -> Sequence[Sequence[str]]:
        return [(self.group, self.snapshot), *self.others]


class GroupDelete(Operation):
    name = 'group-delete'
    of_group = True
    title = 'Delete snapshot {snapshot} of group {group}'
    steps = ('delete',)
    effect = Effect.DELETING

    def __init__(
        self,
        task_table: Tasks,
        snapshots: catalogue.Catalogue,
        groups: GroupCatalogue,
        group_table: Groups,
        delete: Delete,
    ) -> None:
        self._tasks = task_table
        self._catalogue = snapshots
        self._groups = groups
        self._table = group_table
        self._delete = delete

    # Requests -------------------------------------------------------------

    def submit(
        self,
        group: Group,
        name: str,
        payload: Mapping[str, Any],
        check: Callable[[], None],
    ) -> Task:
        """
        Queue the deletion of *name* and return its task.

        *check* may refuse, by what nobody changes any more.

        Raises SnapshotNotFound, SnapshotBusy, and everything that is known
        beforehand to stand in the way in any system.
        """
        with (
            self._groups.held(group.name) as group,
            self._groups.deciding(group.members),
        ):
            check()
            whole = self._groups.free(group, name)
            self._check(whole)
            return self._submit(self.pruned([whole], None), payload)

    def submit_pruned(self, views: Sequence[GroupView], reason: str) -> Task:
        """Queue the deletion of what a policy wants gone, in one task."""
        return self._submit(self.pruned(views, reason), {})

    def pruned(
        self, views: Sequence[GroupView], reason: str | None
    ) -> SubTask:
        """The same as a sub-task of who makes room for itself."""
        # Once, where several share a part.
        there = {
            (piece.system.uuid, piece.name): piece
            for view in views
            for piece in grouped.pieces(view.parts)
        }.values()
        # The title names one: that which is the most.
        first, *others = sorted(views, key=lambda view: -len(view.parts))
        arguments = GroupDeleteArguments(
            first.group.name,
            first.name,
            [piece.created for piece in there],
            reason,
            [(other.group.name, other.name) for other in others],
        )
        subjects = [Subject(piece.system, piece.name) for piece in there]
        return SubTask(self, subjects, arguments)

    def _submit(self, part: SubTask, payload: Mapping[str, Any]) -> Task:
        return self._tasks.submit(self, part.subjects, part.arguments, payload)

    def _check(self, view: GroupView) -> None:
        found = {part.system: part.view for part in view.parts if part.view}

        def ask(system: contract.System) -> None:
            mine = found[system]
            catalogue.check_free(mine, system)
            exceptions.check(catalogue.obstacles(mine))
            self._delete.check(system, mine.name)

        grouped.ask_all(list(found), ask)

    def percent(self, task: Task, parts: Sequence[Task]) -> int:
        return grouped.percent(task, parts, {'delete': (0, 100)})

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        self._check_again(context.task)
        context.step('delete')
        return self._go_on(context, _pieces(context.task))

    def settle(self, context: Context) -> dict[str, Any]:
        # What had begun has been settled; the others were not touched.
        gone = {
            part.one_system.uuid
            for part in context.sub_tasks()
            if part.state == COMPLETED
        }
        left = [
            piece
            for piece in _pieces(context.task)
            if piece.system.uuid not in gone
        ]
        return self._go_on(context, left)

    def _check_again(self, task: Task) -> None:
        """Raise where meanwhile something has come into the way."""
        by_uuid = {piece.system.uuid: piece for piece in _pieces(task)}

        def ask(system: contract.System) -> catalogue.View:
            piece = by_uuid[system.uuid]
            view = self._catalogue.same(
                system, piece.name, piece.created, contract.Freshness.FULL
            )
            exceptions.check(catalogue.obstacles(view))
            return view

        views = grouped.ask_all([p.system for p in _pieces(task)], ask)
        check_due(views, GroupDeleteArguments.load(task.arguments).pruned)

    def _go_on(
        self, context: Context, left: Sequence[grouped.Piece]
    ) -> dict[str, Any]:
        arguments = GroupDeleteArguments.load(context.task.arguments)
        ends = context.run_sub_tasks(
            [
                SubTask(
                    self._delete,
                    [Subject(piece.system, piece.name)],
                    DeleteArguments(piece.created, arguments.pruned),
                )
                for piece in left
            ]
        )
        if failed := grouped.failed(ends):
            names = ', '.join(task.one_system.name for task in failed)
            raise exceptions.Refused(
                [
                    exceptions.GroupDeleteUnfinished(
                        arguments.snapshot, names
                    ),
                    *grouped.failures(ends),
                ]
            )
        for group, snapshot in arguments.wholes:
            self._table.forget(group, snapshot)
        return {'snapshot': arguments.snapshot}

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        arguments = GroupDeleteArguments.load(task.arguments)
        name, group = arguments.snapshot, arguments.group
        if error:
            return lifecycle.group_failed(task, group, name, error)
        reason = arguments.pruned or 'Request'
        return [
            event
            for group, name in arguments.wholes
            for event in lifecycle.group_deleted(
                group, name, task.systems, reason
            )
        ]

    def answer(self, task: Task) -> Answer:
        return Answer(204)


def _pieces(task: Task) -> Sequence[grouped.Piece]:
    created = GroupDeleteArguments.load(task.arguments).created
    return [
        grouped.Piece(subject.system, subject.snapshot or '', time)
        for subject, time in zip(task.subjects, created, strict=True)
    ]
