# SPDX-License-Identifier: Apache-2.0
"""
Groups and their snapshots, as their users see them.

Owns what is made of the members' own snapshots (see ``catalogue``), of what
is noted of those that belong together, and of the task that works on them:
the state of a group snapshot, what it stands on, and what its state means.  A
group of which one member may not be served is hidden as a whole.
"""

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.catalogue import (
    FAILED,
    READY,
    Catalogue,
    View,
    check_free,
    state_while,
)
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups import adoption, trees
from hawkfish_plugin.groups.table import Group, Groups, GroupSnapshot, Part
from hawkfish_plugin.groups.views import (
    INCOMPLETE,
    MIXED,
    GroupView,
    Member,
    PartView,
    names_of,
)
from hawkfish_plugin.tasks.operation import Effect, Kinds, effect_of
from hawkfish_plugin.tasks.reading import TaskReader
from hawkfish_plugin.tasks.task import Task

LOG = logging.getLogger(__name__)


class GroupCatalogue:
    """
    The groups of *group_table*, with the snapshots in *catalogue*.

    Those of which each member may be served, as *serves* says.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        group_table: Groups,
        task_table: TaskReader,
        lock_files: locks.Locks,
        kinds: Kinds,
        serves: Callable[[contract.System], bool],
    ) -> None:
        self._catalogue = catalogue
        self._groups = group_table
        self._tasks = task_table
        self._locks = lock_files
        self._kinds = kinds
        self._of_groups = [n for n, kind in kinds.items() if kind.of_group]
        self._serves = serves

    # Groups ---------------------------------------------------------------

    def groups(self) -> Sequence[Group]:
        """Every group, by name."""
        return [g for g in self._groups.all() if self.serves(g)]

    def group(self, name: str) -> Group:
        """Raises GroupNotFound."""
        group = self._groups.get(name)
        if not self.serves(group):
            raise exceptions.GroupNotFound(name)
        return group

    def serves(self, group: Group) -> bool:
        return all(map(self._serves, group.members))

    def called(self, system: contract.System) -> str:
        """The name of *system* for who may see another one of its group."""
        return system.name if self._serves(system) else 'another system'

    def members(self, group: Group) -> Sequence[Member]:
        """Its members under their present names."""
        return self.members_of([group])[0]

    def members_of(
        self, groups: Iterable[Group]
    ) -> Sequence[Sequence[Member]]:
        """Those of each; a system of several is looked at once."""
        look = functools.cache(self._member)
        return [[look(system) for system in g.members] for g in groups]

    def _member(self, system: contract.System) -> Member:
        try:
            return Member(self._catalogue.system(system.uuid), True)
        except exceptions.SystemNotFound:
            return Member(system, False)

    def present(self, group: Group) -> Sequence[contract.System]:
        """Its members; raises GroupMemberGone where one is not there."""
        members = self.members(group)
        exceptions.check(
            [
                exceptions.GroupMemberGone(member.system.name, group.name)
                for member in members
                if not member.present
            ]
        )
        return [member.system for member in members]

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[Group]:
        """
        Change a group, or decide what is submitted for it, alone.

        Gives it as it is then: it may have changed, or be another one, since
        its name was looked up.  Raises GroupNotFound and GroupLocked.
        """
        with self._locks.group(name):
            yield self.group(name)

    def deciding(
        self, systems: Iterable[contract.System]
    ) -> contextlib.AbstractContextManager[None]:
        """Decide alone what is submitted for all of *systems*."""
        return self._catalogue.deciding(*systems)

    def taken(self, systems: Iterable[contract.System]) -> set[str]:
        """The names that any snapshot of *systems* has, or will have."""
        return {
            name
            for system in systems
            for name in self._catalogue.names(system)
        }

    def current(self, system: contract.System) -> str | None:
        """The name of the current snapshot of *system*, if it has one."""
        views = self._catalogue.list(system)
        return next((v.name for v in views if v.record.current), None)

    def check_idle(self, group: Group) -> None:
        """Raise where a task of the group waits or runs."""
        for task in self._working(group):
            raise exceptions.GroupBusy(group.name, task.operation, task.id)

    def _working(self, group: Group) -> Sequence[Task]:
        """The active tasks of the group itself."""
        return [
            task
            for task in self._tasks.working(self._of_groups)
            if task.intent.group == group.name
        ]

    # Their snapshots ------------------------------------------------------

    def list(
        self,
        group: Group,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> Sequence[GroupView]:
        """
        Every snapshot of *group*, oldest first, with those being created.

        *measured* and *freshness* as in ``Catalogue.list``.
        """
        active = {task.intent.snapshot: task for task in self._working(group)}
        known = {s.name for s in self._groups.snapshots(group.name)}
        coming = [
            _planned(task)
            for name, task in active.items()
            if name not in known
            and effect_of(task, self._kinds) == Effect.CREATING
        ]
        members = {m.system.uuid: m for m in self.members(group)}
        by_system = {
            uuid: trees.Tree(
                self._catalogue.list(member.system, measured, freshness)
            )
            for uuid, member in members.items()
            if member.present
        }
        # Parts that somebody has renamed are known only now.
        noted = [
            snapshot
            for snapshot in self._groups.snapshots(group.name)
            if snapshot.name in known
        ]
        found = [
            self._view(group, s, trees.parts(s, members, by_system), active)
            for s in noted
        ]
        found += [
            self._view(
                group, s, trees.coming_parts(s, members, by_system), active
            )
            for s in coming
        ]
        # Of what nobody has any more there is nothing to show.
        return trees.related(
            [v for v in found if v.views or v.task], by_system
        )

    def get(
        self,
        group: Group,
        name: str,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> GroupView:
        """One of what ``list`` lists; raises SnapshotNotFound."""
        for whole in self.list(group, measured, freshness):
            if whole.name == name:
                return whole
        raise exceptions.SnapshotNotFound(name)

    def exists(self, group: Group, name: str) -> bool:
        """Whether any system has its part of what is noted as *name*."""
        return any(
            self._has(part)
            for snapshot in self._groups.snapshots(group.name)
            if snapshot.name == name
            for part in snapshot.parts
        )

    def is_coming(self, group: Group, name: str) -> bool:
        """Whether a snapshot *name* of *group* is being created."""
        return any(
            task.intent.snapshot == name
            and effect_of(task, self._kinds) == Effect.CREATING
            for task in self._working(group)
        )

    def _has(self, part: Part) -> bool:
        with contextlib.suppress(exceptions.NotFound):
            return self._catalogue.exists(part.system, part.name)
        return False

    def free(self, group: Group, name: str) -> GroupView:
        """``get`` of one that no task works on; raises SnapshotBusy."""
        whole = self.get(
            group, name, measured=True, freshness=contract.Freshness.LISTED
        )
        if whole.task:
            raise exceptions.SnapshotBusy(
                name, whole.task.operation, whole.task.id
            )
        return whole

    def _view(
        self,
        group: Group,
        snapshot: GroupSnapshot,
        parts: tuple[PartView, ...],
        active: Mapping[str | None, Task],
    ) -> GroupView:
        task = active.get(snapshot.name)
        whole = GroupView(group, snapshot, parts, READY, task)
        return dataclasses.replace(whole, state=self._state(whole))

    def _state(self, view: GroupView) -> str:
        working = state_while(view.task, effect_of(view.task, self._kinds))
        if working:
            return working
        if any(found.is_damaged for found in view.views):
            return FAILED
        if view.busy:
            return view.busy[0].state
        if view.missing:
            return INCOMPLETE
        return MIXED if len({p.stands for p in view.parts}) > 1 else READY

    def update(self, view: GroupView, changes: Mapping[str, Any]) -> None:
        """
        Set what ``Catalogue.update`` does, in all systems or in none.

        Raises what that does, of the system where it does not work;
        GroupChangeNotUndone where others could not be changed back then.
        """
        there = [(p.system, p.view) for p in view.parts if p.view]
        for system, mine in there:
            check_free(mine, system)
        changed: list[tuple[contract.System, View]] = []
        for system, mine in there:
            # Half of it can have been done.
            changed.append((system, mine))
            try:
                self._change(system, mine, changes)
            except exceptions.HawkFishError as exc:
                left = self._change_back(changed, changes)
                told: exceptions.HawkFishError = exceptions.GroupMemberRefused(
                    system.name
                )
                if left:
                    told = exceptions.GroupChangeNotUndone(
                        view.name, names_of(left)
                    )
                raise exceptions.Refused([told, *exc.parts]) from exc

    def _change_back(
        self,
        changed: Sequence[tuple[contract.System, View]],
        changes: Mapping[str, Any],
    ) -> Sequence[contract.System]:
        """Undo *changes*; returns the systems in which that fails."""
        left = []
        for system, mine in changed:
            before = {
                'description': mine.record.description,
                'locked': mine.note.locked,
                'expires': mine.note.expires,
            }
            try:
                self._change(
                    system, mine, {key: before[key] for key in changes}
                )
            except exceptions.HawkFishError as exc:
                LOG.error('%s was not changed back: %r', system.name, exc)
                left.append(system)
        return left

    def _change(
        self, system: contract.System, view: View, changes: Mapping[str, Any]
    ) -> None:
        self._catalogue.update(system, view.name, changes, lambda _: None)

    def tidy(self, name: str) -> None:
        """Forget of a group what none of its systems has any more."""
        with contextlib.suppress(exceptions.GroupNotFound):
            group = self._groups.get(name)
            noted = self._groups.snapshots(name)
            shown = {whole.name for whole in self.list(group)}
            # A system that is away may come back.
            if all(member.present for member in self.members(group)):
                for snapshot in noted:
                    if snapshot.name not in shown:
                        self._groups.forget(name, snapshot.name)

    # Those that a lost database has forgotten ------------------------------

    def adoptable(
        self, group: Group, name: str | None = None
    ) -> Sequence[GroupSnapshot]:
        """
        What could be a snapshot of *group*, and is not noted as one.

        See ``adoption``; *name* asks for one of them.
        """
        views = {s: self._catalogue.list(s) for s in self.present(group)}
        known = {whole.name for whole in self.list(group)}
        return [
            found
            for found in adoption.candidates(views)
            if found.name not in known and name in (None, found.name)
        ]

    def adopt(
        self, group: Group, name: str | None = None
    ) -> Sequence[GroupSnapshot]:
        """Note what ``adoptable`` finds."""
        with self.held(group.name) as group:
            found = self.adoptable(group, name)
            for snapshot in found:
                self._groups.note(group.name, snapshot)
            return found


def _planned(task: Task) -> GroupSnapshot:
    """What is known of a group snapshot before it is there."""
    return GroupSnapshot(
        task.one_snapshot,
        tuple(
            Part(s.system, s.snapshot or '', int(task.created))
            for s in task.subjects
        ),
        task.intent.consistency,
    )
