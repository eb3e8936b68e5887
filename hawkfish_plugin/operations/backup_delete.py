# SPDX-License-Identifier: Apache-2.0
"""
Delete of backups: their files are removed, the newest first.

As many as are asked for are one task.  What it has removed is noted one by
one; interrupted, it goes on.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hawkfish_plugin import catalogue, events, exceptions
from hawkfish_plugin.backup_catalogue import BackupCatalogue, backing_up
from hawkfish_plugin.backups import Backups
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

# Why one goes, where no limit wants it.
REQUEST = 'Request'

Doomed = Sequence[tuple[int, str]]
"""Backups by their ids, in the order to delete them, each with the reason"""


@dataclasses.dataclass(frozen=True)
class DeleteBackupsArguments(Record):
    """*backups* as in ``Doomed``."""

    backups: Sequence[Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class DeleteBackupsJournal(Record):
    """*deleted* are those that are gone."""

    deleted: Sequence[int] = ()


class DeleteBackups(Operation):
    name = 'delete-backup'
    steps = ('delete',)
    title = 'Delete backups of {system}'

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
        self._backup_table = table

    def submit(
        self,
        system: contract.System,
        backup_id: int,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue the delete of one backup and return its task.

        Raises BackupNotFound, BackupReferenced and BackupInUse, and as
        ``BackupCatalogue.check_unreferenced``.
        """
        self._backup_table.get(system.uuid, backup_id)
        return self.submit_all(system, [(backup_id, REQUEST)], payload)

    def submit_all(
        self,
        system: contract.System,
        doomed: Doomed,
        payload: Mapping[str, Any],
    ) -> Task:
        """The same of several at once."""
        ids = [number for number, _ in doomed]
        with self._systems.deciding(system):
            self._backups.check_free(system, ids)
            self._check_unreferenced(system, ids)
            task = self._tasks.submit(
                self,
                [Subject(system)],
                DeleteBackupsArguments([list(one) for one in doomed]),
                payload,
            )
            # Nothing is made to stand on them any more, nor reads them.
            self._backup_table.begin_delete(ids)
        return task

    def _check_unreferenced(
        self, system: contract.System, ids: Collection[int]
    ) -> None:
        found = self._backup_table.of_system(system.uuid)
        try:
            self._backups.check_unreferenced(
                [one for one in found if one.id in ids]
            )
        except exceptions.BackupReferenced:
            # What stands on it needs it to be there, and to be used.
            self._backup_table.end_delete(ids)
            raise

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        return exceptions.BackupInUse(
            rival.one_system.name, rival.operation, rival.id
        )

    def run(self, context: Context) -> dict[str, Any]:
        system = context.task.one_system
        driver = backing_up(self._driver)
        context.step('delete', DeleteBackupsJournal())
        # Whoever shares the repository may have made one since the request.
        self._check_unreferenced(system, _doomed(context.task))
        for number in _doomed(context.task):
            try:
                backup = self._backup_table.get(system.uuid, number)
            except exceptions.BackupNotFound:
                continue
            context.check_active()
            driver.remove_backup(backup.made)
            self._backup_table.forget(number)
            deleted = [*context.recall(DeleteBackupsJournal).deleted, number]
            context.step('delete', DeleteBackupsJournal(deleted))
        return {'deleted': list(_doomed(context.task))}

    settle = run

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        """However it ended, what it has deleted is gone."""
        deleted = DeleteBackupsJournal.load(task.journal).deleted
        reasons = _doomed(task)
        return [
            *(
                event
                for number in deleted
                for event in lifecycle.backup_deleted(
                    task.one_system, number, reasons[number]
                )
            ),
            *(lifecycle.backup_failed(task, error) if error else ()),
        ]


def _doomed(task: Task) -> dict[int, str]:
    found = DeleteBackupsArguments.load(task.arguments).backups
    return {int(number): str(reason) for number, reason in found}
