# SPDX-License-Identifier: Apache-2.0
"""
Restore of a backup over a system that there is: its disks become those of it.

The system need not be the one that was backed up; it has to have the same
disks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import catalogue, events, exceptions
from hawkfish_plugin.backup_catalogue import BackupCatalogue, backing_up
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import flattened
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


@dataclasses.dataclass(frozen=True)
class RestoreOverArguments(Record):
    """
    The id of the *backup*, whose *system* has this UUID and *system_name*.

    The *request* is an ``OverRequest`` as JSON, *files* are by name of member.
    """

    system: str
    system_name: str
    backup: int
    request: Mapping[str, Any]
    files: Mapping[str, str]


class RestoreOver(Over):
    name = contract.RESTORE_OVER
    title = 'Restore a backup over {system}'
    steps = ('copy', *contract.STEPS[contract.IMPORT])
    cancellable = True
    safety = 'Safety snapshot before a restore'

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        systems: catalogue.Catalogue,
        backups: BackupCatalogue,
        admission: Admission,
        create: Create,
        findings: Findings,
    ) -> None:
        super().__init__(driver, task_table, admission, create, findings)
        self._systems = systems
        self._backups = backups

    def submit(
        self,
        over: contract.System,
        backed_up: contract.System,
        backup_id: int,
        start: bool,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue the safety snapshot of *over*, and the restore; returns that.

        Raises BackupNotFound, SystemLocked, and everything that is known
        beforehand to stand in the way.
        """
        request = OverRequest(start)
        # A delete of the backup is decided with what was backed up.
        with self._systems.deciding(over, backed_up):
            chain = [
                one.made for one in self._backups.chain(backed_up, backup_id)
            ]
            files = self.plan(over, request, flattened(chain))
            backing_up(self._driver).check_fetch(chain, files)
            arguments = RestoreOverArguments(
                backed_up.uuid,
                backed_up.name,
                backup_id,
                request.dump(),
                files,
            )
            return self._submit_after_safety(
                over,
                payload,
                lambda before: self._tasks.submit(
                    self, [Subject(over)], arguments, payload, after=before.id
                ),
            )

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        self._check_safety_snapshot(task)
        arguments = RestoreOverArguments.load(task.arguments)
        chain = [
            one.made
            for one in self._backups.chain(
                _backed_up(arguments), arguments.backup
            )
        ]
        context.step('copy')
        backing_up(self._driver).fetch_backup(chain, arguments.files, context)
        with self._findings.telling(task.one_system):
            putting_over(self._driver).import_over(
                task.one_system.uuid,
                OverRequest.load(arguments.request),
                arguments.files,
                flattened(chain),
                context,
            )
        return {'system': task.one_system.uuid}

    def settle(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = RestoreOverArguments.load(task.arguments)
        with self._findings.telling(task.one_system):
            putting_over(self._driver).settle_over(
                task.one_system.uuid, arguments.files, context
            )
        return {'system': task.one_system.uuid}

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        arguments = RestoreOverArguments.load(task.arguments)
        if error:
            return lifecycle.failed(task, error)
        return lifecycle.backup_restored(
            _backed_up(arguments), arguments.backup, task.one_system.name
        )


def _backed_up(arguments: RestoreOverArguments) -> contract.System:
    return contract.System(arguments.system, arguments.system_name)
