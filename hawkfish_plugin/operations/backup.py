# SPDX-License-Identifier: Apache-2.0
"""
Backup: the system as it is at this moment is written to the repository.

What it stands on is decided by the task, in its turn: others may have been
made, or deleted, since the request.
"""

import dataclasses
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import catalogue, events, exceptions, messages
from hawkfish_plugin.backup_catalogue import BackupCatalogue, backing_up
from hawkfish_plugin.backups import Backups
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import Backup, BackupRequest
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.backup_delete import REQUEST, DeleteBackups
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import backups as rendering
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.retention import chains
from hawkfish_plugin.schedules.table import Schedules
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Answer, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

LOG = logging.getLogger(__name__)

# How often the backups of a system are looked at.
_PATIENCE_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class BackupOptions:
    """
    What is asked for: a *full* one, or one that is as small as it can be.

    *quiesce* as in ``contract.CreateRequest``, *schedule* is the one that
    asks for it.
    """

    full: bool = False
    description: str = ''
    quiesce: str | None = None
    schedule: int | None = None


@dataclasses.dataclass(frozen=True)
class BackupArguments(Record):
    """*token* tells the backup from every other one."""

    token: str
    full: bool = False
    description: str = ''
    quiesce: str | None = None
    schedule: int | None = None


class BackUp(Operation):
    name = contract.BACKUP
    steps = contract.STEPS[contract.BACKUP]
    title = 'Back up {system}'
    cancellable = True
    follows = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        systems: catalogue.Catalogue,
        backups: BackupCatalogue,
        table: Backups,
        delete: DeleteBackups,
        schedules: Schedules,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._systems = systems
        self._backups = backups
        self._backup_table = table
        self._delete = delete
        self._schedules = schedules
        self._conf = conf.backup
        self._tried: dict[str, float] = {}

    def submit(
        self,
        system: contract.System,
        options: BackupOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue a backup of *system* and return its task.

        Raises BackupNotConfigured, BackupInUse, and everything that is known
        beforehand to stand in the way.
        """
        arguments = BackupArguments(
            secrets.token_hex(6),
            options.full,
            options.description,
            options.quiesce,
            options.schedule,
        )
        with self._systems.deciding(system):
            self._systems.check_whole(system)
            backing_up(self._driver).check_backup(
                system.uuid, self._request(system, arguments)
            )
            return self._tasks.submit(
                self, [Subject(system)], arguments, payload
            )

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        return exceptions.BackupInUse(
            rival.one_system.name, rival.operation, rival.id
        )

    def _request(
        self, system: contract.System, arguments: BackupArguments
    ) -> BackupRequest:
        return self._backups.next_request(
            system,
            arguments.token,
            arguments.full,
            arguments.quiesce,
            arguments.description,
        )

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = BackupArguments.load(task.arguments)
        made = backing_up(self._driver).back_up(
            task.one_system.uuid,
            self._request(task.one_system, arguments),
            context,
        )
        return self._note(task, arguments, made)

    def settle(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = BackupArguments.load(task.arguments)
        made = backing_up(self._driver).settle_backup(
            task.one_system.uuid, context
        )
        return self._note(task, arguments, made)

    def _note(
        self, task: Task, arguments: BackupArguments, made: Backup
    ) -> dict[str, Any]:
        found = self._backup_table.add(
            task.id,
            task.one_system,
            made,
            arguments.description,
            arguments.schedule,
        )
        return {'backup': found}

    # What follows ---------------------------------------------------------

    def follow(self, task: Task) -> None:
        self._retain(task.one_system)

    def periodic(self) -> None:
        """Delete what has become too old, and what a delete has left."""
        now = time.monotonic()
        for system in self._backup_table.systems():
            if now < self._tried.get(system.uuid, 0.0):
                continue
            self._tried[system.uuid] = now + _PATIENCE_SECONDS
            try:
                self._retain(system)
            except exceptions.HawkFishError as exc:
                LOG.debug('%s: %r', system.name, messages.text(exc))

    def _retain(self, system: contract.System) -> None:
        found = self._backup_table.of_system(system.uuid)
        if not self._is_here(system):
            # Those of a system that is elsewhere are for the service there to
            # keep, also those that were made here: it makes more on them.
            found = [one for one in found if one.deleting]
        doomed = [(one, REQUEST) for one in found if one.deleting]
        doomed += chains.superfluous(
            found,
            time.time(),
            self._conf.max_backups,
            self._conf.max_backup_days,
            self._schedules.classes(),
        )
        if doomed:
            self._delete.submit_all(
                system, [(one.id, reason) for one, reason in doomed], {}
            )

    def _is_here(self, system: contract.System) -> bool:
        try:
            self._driver.resolve(system.uuid)
        except exceptions.SystemNotFound:
            return False
        return True

    # What others are told -------------------------------------------------

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        if error:
            return lifecycle.backup_failed(task, error)
        return lifecycle.backup_created(task.one_system, _id(task))

    def created(self, task: Task) -> str | None:
        return uris.backup_uri(task.one_system.uuid, _id(task))

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        return frozenset(
            task.id for task in tasks if self._find(task) is not None
        )

    def answer(self, task: Task) -> Answer:
        found = self._find(task)
        if found is None:
            return Answer()
        return Answer(201, found, self.created(task))

    def _find(self, task: Task) -> dict[str, Any] | None:
        try:
            view = self._backups.get(task.one_system, _id(task))
        except exceptions.BackupNotFound:
            return None
        return rendering.backup(view)


def _id(task: Task) -> int:
    return int((task.result or {}).get('backup', 0))
