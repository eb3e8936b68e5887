# SPDX-License-Identifier: Apache-2.0
"""
Repair: an unsafe system is put back on the files that it was on.

What a repair does is known before, and changes no file: it corrects the
definition of the system.  It may be interrupted, and begun anew.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task


@dataclasses.dataclass(frozen=True)
class RepairJournal(Record):
    """*repairs* are disks, each with its file before and after."""

    repairs: Sequence[Sequence[str]] = ()


class Repair(Operation):
    name = contract.REPAIR
    title = 'Repair {system}'
    steps = ('repair',)

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._findings = findings

    def plan(self, system: contract.System) -> Sequence[sharing.Repair]:
        """What a repair would change; raises what it cannot mend."""
        if not isinstance(self._driver, sharing.FindsUnsafe):
            return ()
        with self._findings.telling(system):
            return self._driver.plan_repair(system.uuid)

    def submit(
        self, system: contract.System, payload: Mapping[str, Any]
    ) -> Task:
        """Queue a repair and return its task; raises what ``plan`` does."""
        self.plan(system)
        return self._tasks.submit(self, [Subject(system)], Record(), payload)

    def run(self, context: Context) -> dict[str, Any]:
        planned = self.plan(context.task.one_system)
        noted = [[one.target, one.before, one.after] for one in planned]
        context.step('repair', RepairJournal(noted))
        return self.settle(context)

    def settle(self, context: Context) -> dict[str, Any]:
        noted = context.recall(RepairJournal).repairs
        # What is right already is left alone.
        system = context.task.one_system
        if noted and isinstance(self._driver, sharing.FindsUnsafe):
            self._driver.repair(system.uuid)
        self._findings.mended(system)
        for target, before, after in noted:
            context.add_message(
                messages.SYSTEM_REPAIRED, target, before, after
            )
        return {'repaired': [target for target, _, _ in noted]}

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return lifecycle.failed(task, error) if error else ()
