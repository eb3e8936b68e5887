# SPDX-License-Identifier: Apache-2.0
"""
What puts other disks under a system that there is.

Owns that the present state is in a safety snapshot before anything of the
system is changed, by a task of its own that the change comes after.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import ImportsOver, OverRequest
from hawkfish_plugin.operations.admission import Admission, CreateOptions
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Task


class Over(Operation):
    """*safety* says what its safety snapshot is for."""

    safety: str

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        admission: Admission,
        create: Create,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._admission = admission
        self._create = create
        self._findings = findings

    @property
    def _safety(self) -> CreateOptions:
        return CreateOptions(description=self.safety, stem='safety')

    def plan(
        self,
        system: contract.System,
        request: OverRequest,
        members: Sequence[Member],
    ) -> Mapping[str, str]:
        """Where the files go; raises what is in the way, of either task."""
        seen = self._admission.check(system, self._safety)
        if not seen.forecast.external:
            raise exceptions.ImportNotPossible(
                'its safety snapshot would be within the files of its disks'
            )
        return putting_over(self._driver).plan_over(
            system.uuid, request, members
        )

    def look_after(self, task: Task) -> None:
        self._findings.look(task.one_system)

    def _submit_after_safety(
        self,
        system: contract.System,
        payload: Mapping[str, object],
        then: Callable[[Task], Task],
    ) -> Task:
        """Queue the safety snapshot, and what *then* queues after it."""
        return self._create.submit_before(system, self._safety, payload, then)

    def _check_safety_snapshot(self, task: Task) -> None:
        """Raise where the safety snapshot has not been created."""
        number = task.after_task or 0
        with contextlib.suppress(exceptions.TaskNotFound):
            if self._tasks.get(number).state == COMPLETED:
                return
        raise exceptions.OperationFailed(
            self.name, f'its safety snapshot was not created by task {number}'
        )


def putting_over(driver: contract.Driver) -> ImportsOver:
    """*driver* as one that puts disks over systems."""
    if not isinstance(driver, ImportsOver):
        raise exceptions.DriverNotSupported(type(driver).__name__)
    return driver
