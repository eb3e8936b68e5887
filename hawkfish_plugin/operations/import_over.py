# SPDX-License-Identifier: Apache-2.0
"""
Import over a system that there is: its disks become those of a bundle.

Owns that the present state is in a safety snapshot before anything of the
system is changed, by a task of its own that the import comes after.
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import ImportsOver, OverRequest
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.admission import Admission, CreateOptions
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task
from hawkfish_plugin.uploads import Uploads

_SAFETY = CreateOptions(
    description='Safety snapshot before an import', stem='safety'
)


@dataclasses.dataclass(frozen=True)
class ImportOverArguments(Record):
    """As ``ImportArguments``; the *request* is an ``OverRequest``."""

    request: Mapping[str, Any]
    files: Mapping[str, str]
    members: Sequence[Mapping[str, Any]]
    upload: int


class ImportOver(Operation):
    name = 'import-over'
    title = 'Import over {system}'
    steps = contract.STEPS[contract.IMPORT]

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        uploads: Uploads,
        admission: Admission,
        create: Create,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._uploads = uploads
        self._admission = admission
        self._create = create
        self._findings = findings

    # Requests -------------------------------------------------------------

    def plan(
        self,
        system: contract.System,
        request: OverRequest,
        members: Sequence[Member],
    ) -> Mapping[str, str]:
        """Where the files go; raises what is in the way, of either task."""
        seen = self._admission.check(system, _SAFETY)
        if not seen.forecast.external:
            raise exceptions.ImportNotPossible(
                'its safety snapshot would be within the files of its disks'
            )
        return _over(self._driver).plan_over(system.uuid, request, members)

    def submit(
        self,
        system: contract.System,
        arguments: ImportOverArguments,
        payload: Mapping[str, Any],
    ) -> Task:
        """Queue the safety snapshot and the import; returns the latter."""

        def then(before: Task) -> Task:
            task = self._tasks.submit(
                self, [Subject(system)], arguments, payload, after=before.id
            )
            self._uploads.hand_over(arguments.upload, task.id)
            return task

        return self._create.submit_before(system, _SAFETY, payload, then)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        self._check_safety_snapshot(task)
        arguments = ImportOverArguments.load(task.arguments)
        with self._findings.telling(task.one_system):
            _over(self._driver).import_over(
                task.one_system.uuid,
                OverRequest.load(arguments.request),
                arguments.files,
                [Member.load(one) for one in arguments.members],
                context,
            )
        return self._done(task)

    def settle(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = ImportOverArguments.load(task.arguments)
        with self._findings.telling(task.one_system):
            _over(self._driver).settle_over(
                task.one_system.uuid, arguments.files, context
            )
        return self._done(task)

    def look_after(self, task: Task) -> None:
        self._findings.look(task.one_system)

    def _check_safety_snapshot(self, task: Task) -> None:
        """Raise where the safety snapshot has not been created."""
        number = task.after_task or 0
        with contextlib.suppress(exceptions.TaskNotFound):
            if self._tasks.get(number).state == COMPLETED:
                return
        raise exceptions.OperationFailed(
            self.name, f'its safety snapshot was not created by task {number}'
        )

    def _done(self, task: Task) -> dict[str, Any]:
        # Its files are the system's.
        arguments = ImportOverArguments.load(task.arguments)
        self._uploads.forget(arguments.upload)
        return {'system': task.one_system.uuid}

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return lifecycle.failed(task, error) if error else ()


def _over(driver: contract.Driver) -> ImportsOver:
    if not isinstance(driver, ImportsOver):
        raise exceptions.DriverNotSupported(type(driver).__name__)
    return driver
