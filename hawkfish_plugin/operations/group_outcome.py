# SPDX-License-Identifier: Apache-2.0
"""
What became of the systems of a group revert, as its sub-tasks tell.

Pure: decides which systems are to be brought back, and which of them are lost.
The sub-tasks have ended or been settled by then: nobody is suspended any more.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.revert import Revert
from hawkfish_plugin.tasks.task import COMPLETED, Task


@dataclasses.dataclass(frozen=True)
class Outcome:
    """
    The last reverts of *systems*, by the UUID of the system.

    *there* are those to the snapshot, *back* those to the safety snapshot.
    """

    systems: Sequence[contract.System]
    there: Mapping[str, Task]
    back: Mapping[str, Task]

    @classmethod
    def of(
        cls,
        systems: Sequence[contract.System],
        sub_tasks: Iterable[Task],
        safety: str,
    ) -> 'Outcome':
        """Of the reverts among *sub_tasks*, some to the snapshot *safety*."""
        there, back = dict[str, Task](), dict[str, Task]()
        for task in sub_tasks:
            if task.operation == Revert.name:
                kind = back if task.one_snapshot == safety else there
                kind[task.one_system.uuid] = task
        return cls(systems, there, back)

    @property
    def failures(self) -> Sequence[exceptions.HawkFishError]:
        """Why those that failed to reach the snapshot did."""
        return grouped.failures(self.there.values(), self._why)

    def _why(self, task: Task) -> str:
        # The state that it left holds no more.
        back = self._is_back(task.one_system)
        return grouped.cause(task) if back else grouped.words(task)

    @property
    def has_failed(self) -> bool:
        return bool(grouped.failed(self.there.values()))

    @property
    def is_complete(self) -> bool:
        """Whether all systems are at the snapshot."""
        return len(self.there) == len(self.systems) and not self.has_failed

    @property
    def to_restore(self) -> Sequence[contract.System]:
        """
        All that are not back, where any has moved, or may have.

        Those that have not would be ahead of the others.
        """
        if not any(map(_has_moved, self.there.values())):
            return ()
        return [system for system in self.systems if not self._is_back(system)]

    @property
    def lost(self) -> Sequence[contract.System]:
        """Those that are neither where they were nor where they should be."""
        if not self.has_failed:
            return ()
        return [
            system
            for system in self.systems
            if not self._is_back(system)
            and any(
                _has_moved(ends[system.uuid])
                for ends in (self.there, self.back)
                if system.uuid in ends
            )
        ]

    def _is_back(self, system: contract.System) -> bool:
        task = self.back.get(system.uuid)
        return task is not None and task.state == COMPLETED


def _has_moved(task: Task) -> bool:
    """Whether its system is, or may be, no more where it was."""
    if task.state == COMPLETED:
        return True
    # One that was brought back by itself has lost its memory all the same.
    return task.step not in contract.UNTOUCHED and (
        not task.failed_with(exceptions.OperationInterrupted)
    )
