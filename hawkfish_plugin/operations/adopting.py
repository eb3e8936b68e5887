# SPDX-License-Identifier: Apache-2.0
"""
Adoption of backups: those in the repository that nobody here knows.

As after the state database was lost, and on another host that has the same
repository.  Owns which of them are listed: each whose manifest makes sense, as
soon as what it stands on is listed as well, so none can stand on itself.
"""

import logging
import time
from collections.abc import Collection

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.backup_catalogue import backing_up
from hawkfish_plugin.backups import Backups, StoredBackup
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import Described
from hawkfish_plugin.tasks.reading import TaskReader

LOG = logging.getLogger(__name__)

# How often the repository is looked at.
_PATIENCE_SECONDS = 600.0


class Adoption:
    """What lists the backups that *driver* finds in *table*."""

    def __init__(
        self,
        driver: contract.Driver,
        table: Backups,
        task_table: TaskReader,
    ) -> None:
        self._driver = driver
        self._backup_table = table
        self._tasks = task_table
        self._next = 0.0
        self._refused = set[str]()

    def periodic(self) -> None:
        """Look at the repository, at first and then once in a while."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PATIENCE_SECONDS
        try:
            self.adopt()
        except exceptions.HawkFishError as exc:
            LOG.debug('No backup is adopted: %r', messages.text(exc))

    def adopt(self) -> None:
        """
        List what is there, and no more what another host has deleted.

        Raises BackupNotConfigured, PoolNotUsable and other errors.
        """
        # One that is deleted meanwhile was known before.
        known = {one.made.token for one in self._backup_table.all()}
        pool = backing_up(self._driver).repository()
        there = {*backing_up(self._driver).stored_backups(pool)}
        known |= self._being_made()
        listed = self._backup_table.all()
        known |= {one.made.token for one in listed}
        self._adopt(pool, there - known)
        # A file system that is not mounted has none of its backups.
        if there:
            self._forget(pool, there, listed)

    def _being_made(self) -> set[str]:
        """A backup is listed by its own task."""
        return {
            str(task.arguments['token'])
            for task in self._tasks.list()
            if task.active and task.operation == contract.BACKUP
        }

    def _adopt(self, pool: str, tokens: Collection[str]) -> None:
        found = [one for token in tokens if (one := self._read(pool, token))]
        systems = {
            one.made.token: one.system.uuid for one in self._backup_table.all()
        }
        # Its parent comes before it.
        for one in sorted(found, key=lambda each: each.created):
            parent, token = one.made.parent, one.made.token
            if parent and systems.get(parent) != one.system.uuid:
                self._refuse(token, f'what it stands on, {parent}, is missing')
                continue
            self._backup_table.adopt(one)
            systems[token] = one.system.uuid
            LOG.info('The backup %s of %s is adopted', token, one.system.name)

    def _read(self, pool: str, token: str) -> Described | None:
        try:
            return backing_up(self._driver).read_manifest(pool, token)
        except exceptions.BackupDamaged as exc:
            self._refuse(token, messages.text(exc))
            return None

    def _refuse(self, token: str, reason: str) -> None:
        if token not in self._refused:
            LOG.warning('The backup %s is not adopted: %r', token, reason)
        self._refused.add(token)

    def _forget(
        self,
        pool: str,
        there: Collection[str],
        listed: Collection[StoredBackup],
    ) -> None:
        gone = [
            one
            for one in listed
            if one.task is None
            and one.made.pool == pool
            and one.made.token not in there
        ]
        stay = {one.id for one in listed} - {one.id for one in gone}
        needed = {o.made.parent for o in listed if o.id in stay}
        for one in gone:
            if one.made.token not in needed:
                self._backup_table.forget(one.id)
