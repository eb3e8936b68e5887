# SPDX-License-Identifier: Apache-2.0
"""
The room that a create makes for itself where depth or space is lacking.

Owns what the policy deletes before it: at the request by tasks of their own,
and in its turn by sub-tasks, where what others have queued before it has used
up what there was.  What the policy deletes after a create is ``prune``'s.
"""

import dataclasses
from collections.abc import Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.catalogue import Catalogue, View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.admission import (
    Admission,
    CreateArguments,
    CreateOptions,
    Seen,
)
from hawkfish_plugin.operations.group_prune import Reach
from hawkfish_plugin.operations.prune import Checked, Prune
from hawkfish_plugin.retention import rules
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Effect
from hawkfish_plugin.tasks.task import NEW, Task

# The step in which it is made in its turn, before those of the driver.
STEP = 'room'


@dataclasses.dataclass(frozen=True)
class Room:
    """
    What goes before a create, in its turn.

    *deletes* are its own, *waiting* the tasks of others that wait behind it.
    """

    deletes: Sequence[Checked] = ()
    waiting: Sequence[Task] = ()


class CreateRoom:
    """Room for what *admission* lets in, as *prune* says."""

    def __init__(
        self, admission: Admission, catalogue: Catalogue, prune: Prune
    ) -> None:
        self._admission = admission
        self._catalogue = catalogue
        self._prune = prune

    def plan(
        self,
        system: contract.System,
        options: CreateOptions | CreateArguments,
        seen: Seen,
        reach: Reach = Reach.GROUP,
    ) -> rules.Plan:
        """What becomes of the others; raises what no delete helps against."""
        plan = self._policy(system, options, seen, reach)
        # What others change may do until its turn comes.
        if seen.lacking and not plan.pruned and not seen.is_changing:
            raise seen.lacking
        return plan

    def _policy(
        self,
        system: contract.System,
        options: CreateOptions | CreateArguments,
        seen: Seen,
        reach: Reach,
    ) -> rules.Plan:
        """What the policy makes of the others."""
        keep = (rules.LOCKED,) if options.locked else ()
        return self._prune.plan_with(
            system,
            rules.Subject(
                seen.record,
                seen.forecast.size,
                options.expires,
                keep,
                scheduled=options.scheduled,
            ),
            options.protect,
            reach,
        )

    def before(
        self, system: contract.System, options: CreateOptions, seen: Seen
    ) -> Sequence[Checked]:
        """
        What is to be deleted before a create, at its request.

        Raises what no delete helps against, and what prevents the first one.
        """
        if not seen.lacking:
            return ()
        plan = self.plan(system, options, seen)
        return self._checked(system, seen, plan)

    def make(self, context: Context, arguments: CreateArguments) -> bool:
        """
        Delete what is to be deleted for a create; False for nothing.

        Raises OperationCancelled, and what no delete helps against.
        """
        system = context.task.one_system
        with self._catalogue.deciding(system):
            seen = self._admission.look_again(system, arguments)
            plan = self.plan(system, arguments, seen, Reach.SYSTEM)
            room = self._room(system, seen, plan)
            if not room.deletes and not room.waiting:
                return False
            context.step(STEP)
            parts = self._prune.parts(system, room.deletes)
            queued = [
                *context.adopt(room.waiting),
                *context.queue_sub_tasks(parts),
            ]
        context.end_sub_tasks(queued)
        if context.cancelled:
            raise exceptions.OperationCancelled(context.task.operation)
        return True

    def of_member(
        self, system: contract.System, arguments: CreateArguments
    ) -> Room:
        """
        What goes before one of several creates, by who decides for *system*.

        For the task that has locked the systems of all of them.  There may
        be none, as what helps can be in the policy of another system.
        """
        seen = self._admission.look_again(system, arguments)
        if not seen.lacking:
            return Room()
        plan = self._policy(system, arguments, seen, Reach.NEWER)
        return self._room(system, seen, plan)

    def _room(
        self, system: contract.System, seen: Seen, plan: rules.Plan
    ) -> Room:
        # What others have queued behind this one is done before it.
        return Room(
            self._checked(system, seen, plan),
            _deletes_behind(seen.others) if seen.lacking else (),
        )

    def _checked(
        self, system: contract.System, seen: Seen, plan: rules.Plan
    ) -> Sequence[Checked]:
        records = [view.record for view in seen.others]
        return self._prune.check(system, records, plan.pruned)


def _deletes_behind(views: Sequence[View]) -> Sequence[Task]:
    """The deletes that wait, each of one of *views* alone, oldest first."""
    found = [
        view.task
        for view in views
        if view.task
        and view.effect == Effect.DELETING
        and view.task.state == NEW
        and [s.snapshot for s in view.task.subjects] == [view.name]
    ]
    return sorted(found, key=lambda task: task.id)
