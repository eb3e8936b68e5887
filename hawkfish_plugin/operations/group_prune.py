# SPDX-License-Identifier: Apache-2.0
"""
What the retention of one system makes of snapshots that belong to a group.

Owns that a group snapshot goes whole or not at all: what the policy of one of
its systems wants gone is deleted in all of them, and what any of them needs
stays in all of them.  Where a part belongs to several group snapshots, as the
systems are in several groups, all of these go, or none.
"""

import dataclasses
import enum
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

from hawkfish_plugin import catalogue
from hawkfish_plugin.catalogue import Catalogue, View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.forecast import Going, GroupPlan
from hawkfish_plugin.groups.table import Group, Groups
from hawkfish_plugin.groups.views import GroupView
from hawkfish_plugin.operations.group_delete import GroupDelete
from hawkfish_plugin.retention import rules
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.tasks.context import SubTask

Pruned = Sequence[tuple[str, str]]
"""Names of snapshots in the order of their deletes, each with the reason."""


class Reach(enum.Enum):
    """
    How far what is planned for one system may reach.

    SYSTEM: no snapshot of a group goes.  GROUP: it does, from all systems.
    NEWER: as well, and there will be a newer one in all of them.
    """

    SYSTEM, GROUP, NEWER = range(3)


class GroupPrune:
    """The group snapshots in *groups*, as retention sees them."""

    def __init__(
        self,
        snapshots: Catalogue,
        groups: GroupCatalogue,
        group_table: Groups,
        policies: Policies,
        delete: GroupDelete,
    ) -> None:
        self._catalogue = snapshots
        self._groups = groups
        self._table = group_table
        self._policies = policies
        self._group_delete = delete

    def holding(
        self,
        system: contract.System,
        subjects: Sequence[rules.Subject],
        reach: Reach,
        pruned: Pruned,
    ) -> Sequence[rules.Subject]:
        """
        *subjects* of *system*; what its groups need is to be kept.

        Where nothing of a group is *pruned*, nobody has to be asked.
        """
        going = {name for name, _ in pruned}
        records = [subject.record for subject in subjects]
        if not self._sharing(system, [r for r in records if r.name in going]):
            return subjects
        scheduled = {n for n, reason in pruned if reason == rules.SCHEDULE}
        marks = functools.cache(self._marks)
        held = {
            name
            for name, wholes in self.wholes(system, records).items()
            if self._is_held(wholes, system, reach)
            or (name in scheduled and _is_kept(wholes, system, marks))
        }
        return [
            dataclasses.replace(s, keep=(*s.keep, rules.GROUP))
            if s.name in held
            else s
            for s in subjects
        ]

    def _sharing(
        self, system: contract.System, records: Iterable[contract.Snapshot]
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """
        Which group snapshots go with each of *records* of *system*.

        By its name, the names of the groups and of their snapshots; without
        those that belong to none.
        """
        # Without an allow list: who is hidden has a policy as well.
        found = {
            r.name: self._table.sharing(system.uuid, r.name, r.created)
            for r in records
        }
        return {name: pairs for name, pairs in found.items() if pairs}

    def wholes(
        self, system: contract.System, records: Iterable[contract.Snapshot]
    ) -> Mapping[str, Sequence[GroupView]]:
        """
        The group snapshots that go with each of *records* of *system*.

        By its name, without those that belong to none.
        """
        sharing = self._sharing(system, records)
        wanted = {group for pairs in sharing.values() for group, _ in pairs}
        views = {
            (group.name, whole.name): whole
            for group in self._table.all()
            if group.name in wanted
            for whole in self._groups.list(
                group, True, contract.Freshness.LISTED
            )
        }
        return {
            name: [views[pair] for pair in pairs if pair in views]
            for name, pairs in sharing.items()
        }

    def _is_held(
        self,
        views: Iterable[GroupView],
        asking: contract.System,
        reach: Reach,
    ) -> bool:
        """Whether another system than the one that is *asking* needs them."""
        return reach == Reach.SYSTEM or any(
            self._needs(part.system, part.view, reach)
            for view in views
            for part in view.parts
            if part.view and part.system.uuid != asking.uuid
        )

    def _needs(
        self, system: contract.System, view: View, reach: Reach
    ) -> bool:
        return bool(
            catalogue.obstacles(view)
            or view.task
            or view.is_damaged
            or (reach == Reach.GROUP and self._is_newest(system, view))
        )

    def _marks(self, system: contract.System) -> Mapping[str, str | None]:
        return rules.of_schedules(
            self._catalogue.subjects(system, measured=False),
            self._policies.get(system.uuid),
        )

    def _is_newest(self, system: contract.System, view: View) -> bool:
        newest = self._catalogue.list(system)[-1:]
        return [other.name for other in newest] == [view.name]

    def plan(
        self, group: Group, plans: Mapping[contract.System, rules.Plan]
    ) -> GroupPlan:
        """What the *plans* of all systems of *group* come to."""
        views = self._groups.list(group)
        going = dict(
            self._going(system, name, reason, views)
            for system, plan in plans.items()
            for name, reason in plan.pruned
        )
        gone = {one.snapshot for one in going.values()}
        return GroupPlan(
            list(going.values()),
            {
                whole.name: reasons
                for whole in views
                if whole.name not in gone and (reasons := _kept(whole, plans))
            },
            [
                f'{system.name}: {limit}'
                for system, plan in plans.items()
                for limit in plan.unmet
            ],
        )

    def _going(
        self,
        system: contract.System,
        name: str,
        reason: str,
        views: Sequence[GroupView],
    ) -> tuple[tuple[str, str], Going]:
        """One that goes, with what it is the same as."""
        for whole in views:
            for part in whole.parts:
                if part.view and (part.system, part.view.name) == (
                    system,
                    name,
                ):
                    group = whole.group.name
                    return (group, whole.name), Going(
                        system, name, reason, group, whole.name
                    )
        return (system.uuid, name), Going(system, name, reason)

    def submit(self, views: Sequence[GroupView], reason: str) -> None:
        """Queue the deletion of group snapshots from all systems."""
        self._group_delete.submit_pruned(views, reason)

    def part(self, views: Sequence[GroupView], reason: str) -> SubTask:
        """The same as a sub-task, which is still to be queued."""
        return self._group_delete.pruned(views, reason)


def _is_kept(
    views: Iterable[GroupView],
    asking: contract.System,
    marks: Callable[[contract.System], Mapping[str, str | None]],
) -> bool:
    """
    Whether a class of their schedule keeps them in another system.

    Which may have lost others of them, or have been added later.  What no
    schedule is known to have made there is somebody's.
    """
    return any(
        marks(part.system).get(part.view.name, rules.LOCKED)
        for view in views
        for part in view.parts
        if part.view and part.system.uuid != asking.uuid
    )


def _kept(
    view: GroupView, plans: Mapping[contract.System, rules.Plan]
) -> Sequence[str]:
    """Why a group snapshot stays, though a limit may want it gone."""
    return [
        f'{part.system.name}: {reason}'
        for part in view.parts
        if part.view and part.system in plans
        for reason in plans[part.system].kept.get(part.view.name, ())
        if reason not in rules.NOTHING_ELSE
    ]
