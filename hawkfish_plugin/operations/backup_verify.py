# SPDX-License-Identifier: Apache-2.0
"""
Verify of a backup: all that it stands on is there, and as it was written.

It reads every byte, which may take as long as it takes: no system is locked
for it, and nothing that it reads is deleted meanwhile.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import catalogue, events, exceptions, messages
from hawkfish_plugin.backup_catalogue import BackupCatalogue, backing_up
from hawkfish_plugin.backups import Backups
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Lock, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task


@dataclasses.dataclass(frozen=True)
class VerifyBackupArguments(Record):
    """*backup* is the id of one."""

    backup: int


class VerifyBackup(Operation):
    name = contract.VERIFY_BACKUP
    title = 'Verify a backup of {system}'
    lock = Lock.NONE
    cancellable = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        systems: catalogue.Catalogue,
        backups: BackupCatalogue,
        table: Backups,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._systems = systems
        self._backups = backups
        self._stored = table

    def submit(
        self,
        system: contract.System,
        backup_id: int,
        payload: Mapping[str, Any],
    ) -> Task:
        """Queue it and return its task; raises BackupNotFound."""
        with self._systems.deciding(system):
            self._backups.chain(system, backup_id)
            return self._tasks.submit(
                self,
                [Subject(system)],
                VerifyBackupArguments(backup_id),
                payload,
            )

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        number = VerifyBackupArguments.load(task.arguments).backup
        chain = self._backups.chain(task.one_system, number)
        try:
            backing_up(self._driver).verify_backup(
                [one.made for one in chain], context
            )
        except exceptions.BackupDamaged as exc:
            self._stored.note_verified(number, messages.text(exc))
            raise
        self._stored.note_verified(number, '')
        return {'backup': number}

    settle = run

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        number = VerifyBackupArguments.load(task.arguments).backup
        if error:
            return lifecycle.backup_failed(task, error, number)
        return lifecycle.backup_verified(task.one_system, number)
