# SPDX-License-Identifier: Apache-2.0
"""
Import over a system that there is: its disks become those of a bundle.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import OverRequest
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.admission import Admission
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.over import Over, putting_over
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task
from hawkfish_plugin.uploads import Uploads


@dataclasses.dataclass(frozen=True)
class ImportOverArguments(Record):
    """As ``ImportArguments``; the *request* is an ``OverRequest``."""

    request: Mapping[str, Any]
    files: Mapping[str, str]
    members: Sequence[Mapping[str, Any]]
    upload: int


class ImportOver(Over):
    name = 'import-over'
    title = 'Import over {system}'
    steps = contract.STEPS[contract.IMPORT]
    safety = 'Safety snapshot before an import'

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        uploads: Uploads,
        admission: Admission,
        create: Create,
        findings: Findings,
    ) -> None:
        super().__init__(driver, task_table, admission, create, findings)
        self._uploads = uploads

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

        return self._submit_after_safety(system, payload, then)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        self._check_safety_snapshot(task)
        arguments = ImportOverArguments.load(task.arguments)
        with self._findings.telling(task.one_system):
            putting_over(self._driver).import_over(
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
            putting_over(self._driver).settle_over(
                task.one_system.uuid, arguments.files, context
            )
        return self._done(task)

    def _done(self, task: Task) -> dict[str, Any]:
        # Its files are the system's.
        arguments = ImportOverArguments.load(task.arguments)
        self._uploads.forget(arguments.upload)
        return {'system': task.one_system.uuid}

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return lifecycle.failed(task, error) if error else ()
