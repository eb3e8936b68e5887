# SPDX-License-Identifier: Apache-2.0
"""
Restore of a backup: a new system is made of it.

The system that it was made of is not touched, and need not be there any more.
"""

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import catalogue, events, exceptions, locks, names
from hawkfish_plugin.backup_catalogue import BackupCatalogue, backing_up
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.receiving import ImportOptions
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Answer, Lock, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task


@dataclasses.dataclass(frozen=True)
class RestoreArguments(Record):
    """The *request* as JSON, and the id of the *backup*."""

    request: Mapping[str, Any]
    backup: int


class RestoreBackup(Operation):
    name = contract.RESTORE
    steps = contract.STEPS[contract.RESTORE]
    title = 'Restore a backup of {system}'
    # It reads the repository, and nothing of the system.
    lock = Lock.NONE
    cancellable = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        systems: catalogue.Catalogue,
        backups: BackupCatalogue,
        lock_files: locks.Locks,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._systems = systems
        self._backups = backups
        self._locks = lock_files

    def submit(
        self,
        system: contract.System,
        backup_id: int,
        options: ImportOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue a restore as a new system and return its task.

        Raises BackupNotFound, and everything that is known beforehand to
        stand in the way.
        """
        name = options.name or system.name
        names.check_of_system(name)
        driver = backing_up(self._driver)
        with self._systems.deciding(system):
            chain = [
                one.made for one in self._backups.chain(system, backup_id)
            ]
            request = ImportRequest(
                str(uuid.uuid4()),
                name,
                driver.definition_of(chain[0]),
                options.pool,
                options.start,
            )
            driver.check_restore(request, chain)
            return self._tasks.submit(
                self,
                [Subject(system)],
                RestoreArguments(request.dump(), backup_id),
                payload,
            )

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = RestoreArguments.load(task.arguments)
        chain = self._backups.chain(task.one_system, arguments.backup)
        request = _request(task)
        # Whoever finds the new system leaves it alone until it is whole.
        with self._locks.system(request.uuid, locks.REQUEST_TIMEOUT):
            backing_up(self._driver).restore_backup(
                request, [one.made for one in chain], context
            )
        return {'system': request.uuid}

    def settle(self, context: Context) -> dict[str, Any]:
        request = _request(context.task)
        with self._locks.system(request.uuid, locks.REQUEST_TIMEOUT):
            backing_up(self._driver).settle_restore(request, context)
        return {'system': request.uuid}

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        number = RestoreArguments.load(task.arguments).backup
        if error:
            return lifecycle.backup_failed(task, error, number)
        return lifecycle.backup_restored(
            task.one_system, number, _request(task).name
        )

    def created(self, task: Task) -> str | None:
        return uris.system_uri(_request(task).uuid)

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        return frozenset(task.id for task in tasks if self._is_there(task))

    def _is_there(self, task: Task) -> bool:
        try:
            self._driver.resolve(_request(task).uuid)
        except exceptions.SystemNotFound:
            return False
        return True

    def answer(self, task: Task) -> Answer:
        body = {'@odata.id': self.created(task)}
        return Answer(201, body, self.created(task))


def _request(task: Task) -> ImportRequest:
    arguments = RestoreArguments.load(task.arguments)
    return ImportRequest.load(arguments.request)
