# SPDX-License-Identifier: Apache-2.0
"""
The safety snapshot of a group revert: the way back of all systems.

Owns that there is one before the first system is touched, what of it is still
there, and whether it stays when the revert has ended.
"""

from collections.abc import Collection, Sequence

from hawkfish_plugin import exceptions, messages, names
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Groups, GroupSnapshot, Part
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.admission import Admission, CreateOptions
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.revert import Revert, RevertArguments
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.task import COMPLETED, Subject


class GroupSafety:
    """Snapshots by *create*, of which *delete* removes what is left over."""

    def __init__(
        self,
        snapshots: Catalogue,
        groups: GroupCatalogue,
        group_table: Groups,
        admission: Admission,
        create: Create,
        delete: Delete,
    ) -> None:
        self._catalogue = snapshots
        self._groups = groups
        self._table = group_table
        self._admission = admission
        self._create = create
        self._delete = delete

    def name(self, systems: Collection[contract.System]) -> str:
        """One that is free in all of *systems*."""
        return names.of_now('safety', self._groups.taken(systems))

    def check(
        self, systems: Sequence[contract.System], snapshot: str, keep: bool
    ) -> Sequence[contract.Forecast]:
        """
        What it would be before a revert to *snapshot*.

        Raises what is known beforehand to stand in the way of any system.
        """
        options = _options(self.name(systems), snapshot, keep)
        looks = grouped.ask_all(
            systems, lambda system: self._admission.check(system, options)
        )
        return [seen.forecast for seen in looks]

    def make(
        self, context: Context, name: str, snapshot: str, keep: bool
    ) -> Sequence[exceptions.HawkFishError]:
        """Create it before a revert to *snapshot*; returns what failed."""
        arguments = _options(name, snapshot, keep).arguments(name)
        ends = context.run_sub_tasks(
            [
                SubTask(
                    self._create, [Subject(subject.system, name)], arguments
                )
                for subject in context.task.subjects
            ],
            meet=True,
            called=self._groups.called,
        )
        return grouped.failures(ends)

    def _pieces(self, context: Context) -> Sequence[grouped.Piece]:
        """The snapshots that were created, and are still there."""
        return [
            grouped.Piece(task.one_system, task.one_snapshot, created)
            for task in context.sub_tasks()
            if task.operation == Create.name
            and task.state == COMPLETED
            and (created := (task.result or {}).get('created')) is not None
            and self._catalogue.exists(task.one_system, task.one_snapshot)
        ]

    def way_back(
        self,
        context: Context,
        systems: Collection[contract.System],
        revert: Revert,
    ) -> Sequence[SubTask]:
        """What brings *systems* back, those of which there is a snapshot."""
        wanted = {system.uuid for system in systems}
        return [
            SubTask(
                revert,
                [Subject(piece.system, piece.name)],
                self._arguments(piece),
            )
            for piece in self._pieces(context)
            if piece.system.uuid in wanted
        ]

    def _arguments(self, piece: grouped.Piece) -> RevertArguments:
        view = self._catalogue.get(piece.system, piece.name)
        return RevertArguments(
            piece.created,
            created_here=True,
            memory_size=view.note.memory_size,
        )

    def drop(self, context: Context, group: str) -> None:
        """Remove what there is of it; says what stays, for *group*."""
        left = grouped.remove(context, self._delete, self._pieces(context))
        for task in left:
            context.add_message(
                messages.GROUP_SAFETY_LEFT,
                task.one_snapshot,
                task.one_system.name,
                grouped.words(task),
            )
        if left:
            self.keep(context, group)

    def keep(self, context: Context, group: str) -> None:
        """
        Let it be a snapshot of *group*, where any system has a part of it.

        Of all systems: those that have no part, or have it no more, miss it.
        """
        there = self._pieces(context)
        if there:
            name, created = there[0].name, there[0].created
            times = {piece.system.uuid: piece.created for piece in there}
            parts = tuple(
                Part(s.system, name, times.get(s.system.uuid, created))
                for s in context.task.subjects
            )
            self._table.note(
                group, GroupSnapshot(name, parts, contract.CONSISTENT)
            )


def _options(name: str, snapshot: str, keep: bool) -> CreateOptions:
    return CreateOptions(
        name,
        description=f'Safety snapshot before the revert to {snapshot}',
        memory=True,
        consistency=contract.CONSISTENT,
        temporary=not keep,
        before_revert=True,
    )
