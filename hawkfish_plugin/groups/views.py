# SPDX-License-Identifier: Apache-2.0
"""
What users see of a group snapshot: its parts, its state, what that means.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.catalogue import View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.table import Group, GroupSnapshot
from hawkfish_plugin.tasks.operation import Effect
from hawkfish_plugin.tasks.task import Task

MIXED, INCOMPLETE = 'Mixed', 'Incomplete'

# What a revert makes of systems that the group did not have then.
REFUSE, LEAVE_ALONE = 'Refuse', 'LeaveAlone'
ADDED_SYSTEMS = (REFUSE, LEAVE_ALONE)

_WORKING = (Effect.DELETING.value, Effect.REVERTING.value)


@dataclasses.dataclass(frozen=True)
class Member:
    """A *system* of a group; not *present*, it does not exist any more."""

    system: contract.System
    present: bool


@dataclasses.dataclass(frozen=True)
class PartView:
    """
    One system of a group snapshot.

    *view* is that of its snapshot, None where it has that no more; it has
    been measured where the whole list was.  *stands*: the system stands on
    it, or on what grows from it.
    """

    member: Member
    view: View | None = None
    stands: bool = False

    @property
    def system(self) -> contract.System:
        return self.member.system

    @property
    def state(self) -> str:
        """That of its snapshot."""
        return self.view.state if self.view else ''


@dataclasses.dataclass(frozen=True)
class GroupView:
    """
    A group snapshot as users see it.

    *task* is what works on it, or will.  *parent* and *children* are the
    names of the group snapshots next to it in the trees of all members.
    """

    group: Group
    snapshot: GroupSnapshot
    parts: tuple[PartView, ...]
    state: str
    task: Task | None = None
    parent: str | None = None
    children: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.snapshot.name

    @property
    def views(self) -> Sequence[View]:
        """Those of the members' snapshots that are there."""
        return [part.view for part in self.parts if part.view]

    @property
    def missing(self) -> Sequence[contract.System]:
        """The systems that have it no more."""
        return [part.system for part in self.parts if not part.view]

    @property
    def busy(self) -> Sequence[PartView]:
        """Those that a task of their system alone deletes, or reverts to."""
        return [p for p in self.parts if p.state in _WORKING]

    @property
    def added(self) -> Sequence[contract.System]:
        """The systems that came to the group after it."""
        captured = {part.system.uuid for part in self.parts}
        return [m for m in self.group.members if m.uuid not in captured]

    @property
    def findings(self) -> Sequence[exceptions.HawkFishError]:
        """What its state means, and what can still be done."""
        found: list[exceptions.HawkFishError] = []
        if self.task is None and self.busy:
            found.append(
                exceptions.GroupSnapshotPartBusy(
                    self.name,
                    ', '.join(
                        f'{part.system.name} ({part.state})'
                        for part in self.busy
                    ),
                )
            )
        if self.state == INCOMPLETE:
            found.append(
                exceptions.GroupSnapshotIncomplete(
                    self.name, names_of(self.missing)
                )
            )
        if self.state == MIXED:
            stands = [p.system for p in self.parts if p.stands]
            others = [p.system for p in self.parts if not p.stands]
            found.append(
                exceptions.GroupSnapshotMixed(
                    self.name, names_of(stands), names_of(others)
                )
            )
        found += [
            exceptions.SnapshotDamaged(view.name)
            for view in self.views
            if view.is_damaged
        ]
        return found


def names_of(systems: Iterable[contract.System]) -> str:
    """The names of *systems*, for people."""
    return ', '.join(system.name for system in systems)
