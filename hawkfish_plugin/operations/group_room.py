# SPDX-License-Identifier: Apache-2.0
"""
The room that a group create makes for itself.

Owns what goes before it in all of its systems, where the chain of one is too
deep or its space too little: at the request, whether enough would go, and in
its turn, the deletes.  What one system needs gone may be what the policy of
another one deletes, as a group snapshot goes from all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.forecast import Going
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.admission import CreateArguments, Seen
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.operations.room import STEP, CreateRoom
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.task import Task

Work = TypeVar('Work', SubTask, Task)


class GroupRoom:
    """*room* for each member of *groups*, as *prune* says."""

    def __init__(
        self, room: CreateRoom, prune: Prune, groups: GroupCatalogue
    ) -> None:
        self._room = room
        self._prune = prune
        self._groups = groups

    def make(
        self,
        context: Context,
        systems: Sequence[contract.System],
        member: CreateArguments,
    ) -> None:
        """
        Delete what is in the way of *member* in any of the task's *systems*.

        Raises OperationCancelled.
        """
        with self._groups.deciding(systems):
            rooms = grouped.ask_all(
                systems, lambda system: self._room.of_member(system, member)
            )
            # What goes from all of them is wanted gone by several.
            parts = {
                tuple(part.subjects): part
                for system, room in zip(systems, rooms, strict=True)
                for part in self._prune.parts(system, room.deletes)
            }
            waiting = {t.id: t for room in rooms for t in room.waiting}
            context.step(STEP)
            queued = [
                *context.adopt(_within(systems, waiting.values())),
                *context.queue_sub_tasks(_within(systems, parts.values())),
            ]
        context.end_sub_tasks(queued)
        if context.cancelled:
            raise exceptions.OperationCancelled(context.task.operation)


def check(
    group: str,
    looks: Mapping[contract.System, Seen],
    going: Sequence[Going],
) -> None:
    """Raise what is lacking where nothing of what is *going* helps."""
    # What goes with the group goes from all of its systems.
    helped = {one.system for one in going}
    if any(one.group == group for one in going):
        helped |= looks.keys()
    exceptions.check(
        [
            part
            for system, seen in looks.items()
            # What others change may do until its turn comes.
            if seen.lacking and not seen.is_changing and system not in helped
            for part in (
                exceptions.GroupMemberRefused(system.name),
                *seen.lacking.parts,
            )
        ]
    )


def _within(
    systems: Sequence[contract.System], works: Iterable[Work]
) -> list[Work]:
    """Those of *works* that need no other system."""
    return [
        work
        for work in works
        if {subject.system for subject in work.subjects} <= {*systems}
    ]
