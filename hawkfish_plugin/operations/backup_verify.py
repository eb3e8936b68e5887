# SPDX-License-Identifier: Apache-2.0
"""
Verify of a backup: all that it stands on is there, and as it was written.

It reads every byte, which may take as long as it takes: no system is locked
for it, and nothing that it reads is deleted meanwhile.  On request a clone is
booted as well, only of files that are whole, and removed afterwards.
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import catalogue, clones, events, exceptions, messages
from hawkfish_plugin.backup_catalogue import BackupCatalogue, backing_up
from hawkfish_plugin.backups import Backups
from hawkfish_plugin.drivers import contract, verifying
from hawkfish_plugin.drivers.backups import Backup
from hawkfish_plugin.drivers.verifying import Checked, Verified, VerifyRequest
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.verify import note_clone, to_keep
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Lock, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

_LEFT_OUT = 'HawkFish.1.0.BackupVerifyLeftOut'
_WHOLE = 'their sizes and checksums are right'


@dataclasses.dataclass(frozen=True)
class VerifyBackupArguments(Record):
    """
    *backup* is the id of one.

    *request* is what is checked of a clone of it, a ``VerifyRequest`` as JSON
    has it; None: there is none.
    """

    backup: int
    request: Mapping[str, Any] | None = None

    @property
    def wanted(self) -> VerifyRequest | None:
        if self.request is None:
            return None
        return VerifyRequest.load(self.request)


class VerifyBackup(Operation):
    name = contract.VERIFY_BACKUP
    title = 'Verify a backup of {system}'
    # Of the first one, which knew no clones.
    version = 2
    steps = contract.STEPS[contract.VERIFY_BACKUP]
    lock = Lock.NONE
    cancellable = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        systems: catalogue.Catalogue,
        backups: BackupCatalogue,
        table: Backups,
        clone_table: clones.Clones,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._systems = systems
        self._backups = backups
        self._backup_table = table
        self._clones = clone_table

    def submit(
        self,
        system: contract.System,
        backup_id: int,
        request: VerifyRequest | None,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue it and return its task.

        *request* is what is checked of a clone; None: only the files are.
        Raises BackupNotFound, and what is known beforehand to stand in the
        way of a clone.
        """
        with self._systems.deciding(system):
            chain = self._chain(system, backup_id)
            if request:
                # The task finds, and notes, what is wrong with the files.
                with contextlib.suppress(exceptions.BackupDamaged):
                    backing_up(self._driver).check_prove(chain, request)
            return self._tasks.submit(
                self,
                [Subject(system)],
                VerifyBackupArguments(
                    backup_id, request.dump() if request else None
                ),
                payload,
            )

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = VerifyBackupArguments.load(task.arguments)
        chain = self._chain(task.one_system, arguments.backup)
        request = arguments.wanted
        try:
            backing_up(self._driver).verify_backup(chain, context)
            found = Verified(
                [Checked(verifying.FILES, verifying.PASSED, 0.0, _WHOLE)]
            )
            if request:
                found = self._prove(chain, request, context)
        except exceptions.BackupDamaged as exc:
            flaw = messages.text(exc)
            asked = request or VerifyRequest(str(arguments.backup))
            checks = verifying.without_clone(asked, flaw.rstrip('.'))
            found = Verified(checks if request else checks[:1])
            self._backup_table.note_verified(arguments.backup, flaw, found)
            raise
        return self._note(task, found)

    def _chain(
        self, system: contract.System, backup_id: int
    ) -> Sequence[Backup]:
        return [one.made for one in self._backups.chain(system, backup_id)]

    def _prove(
        self,
        chain: Sequence[Backup],
        request: VerifyRequest,
        context: Context,
    ) -> Verified:
        found = backing_up(self._driver).prove_backup(chain, request, context)
        for part in found.left_out:
            context.add_message(_LEFT_OUT, request.name, part)
        return found

    def settle(self, context: Context) -> dict[str, Any]:
        found = backing_up(self._driver).settle_prove(context)
        return self._note(context.task, found)

    def _note(self, task: Task, found: Verified) -> dict[str, Any]:
        """Note what was *found*; raises BackupVerifyFailed."""
        number = VerifyBackupArguments.load(task.arguments).backup
        self._backup_table.note_verified(number, '', to_keep(found))
        failure = found.failure
        if failure is not None:
            raise exceptions.BackupVerifyFailed(
                number, failure.check, failure.detail
            )
        return {'backup': number, 'passed': found.passed}

    def ended(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        note_clone(self._clones, task, error)
        return super().ended(task, error)

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        arguments = VerifyBackupArguments.load(task.arguments)
        if error:
            return lifecycle.backup_failed(task, error, arguments.backup)
        passed = (task.result or {}).get('passed', ())
        return lifecycle.backup_verified(
            task.one_system,
            arguments.backup,
            passed if arguments.request is not None else (),
        )
