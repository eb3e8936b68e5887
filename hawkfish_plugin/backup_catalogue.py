# SPDX-License-Identifier: Apache-2.0
"""
Backups as their users see them: list and get.

Owns what follows from all backups of a system together: which stand on which,
and what the next one can stand on.
"""

import dataclasses
from collections.abc import Collection, Sequence

from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.backups import (
    Backups,
    StoredBackup,
    chain_of,
    standing_on,
)
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import BacksUp, BackupRequest
from hawkfish_plugin.tasks.reading import TaskReader
from hawkfish_plugin.tasks.task import Task

# What reads a backup for as long as it takes, and locks nothing.
_READING = (
    contract.RESTORE,
    contract.RESTORE_OVER,
    contract.VERIFY_BACKUP,
)

FIRST, ASKED = 'it is the first one', 'it was asked for'
ENOUGH = 'as many incremental ones as there may be stand on the last full one'
ELSEWHERE = 'the last one is in another repository'
FLAWED = 'the last one, or one that it stands on, is damaged'


@dataclasses.dataclass(frozen=True)
class BackupView:
    """
    A backup, the id of the one that it stands on, and those that stand on it.
    """

    stored: StoredBackup
    parent: int | None = None
    children: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Repository:
    """The *pool* that new backups go to; *flaw* is why there is none."""

    pool: str | None
    flaw: exceptions.HawkFishError | None = None


class BackupCatalogue:
    """The backups in *table*, whose files *driver* has."""

    def __init__(
        self,
        driver: contract.Driver,
        table: Backups,
        task_table: TaskReader,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._driver = driver
        self._table = table
        self._tasks = task_table
        self._conf = conf.backup

    def system(self, identity: str) -> contract.System:
        """
        The system with this UUID or name, also one that is gone.

        A backup is for when its system is no more.  Raises SystemNotFound.
        """
        try:
            return self._driver.resolve(identity)
        except exceptions.SystemNotFound:
            for system in self._table.systems():
                if identity in (system.uuid, system.name):
                    return system
            raise

    def repository(self) -> Repository:
        """Where new backups go to."""
        try:
            return Repository(backing_up(self._driver).repository())
        except exceptions.HawkFishError as exc:
            return Repository(self._conf.repository, exc)

    def list(self, system: contract.System) -> Sequence[BackupView]:
        """Those of *system*, oldest first."""
        found = self._table.of_system(system.uuid)
        ids = {one.made.token: one.id for one in found}
        return [
            BackupView(
                one,
                ids.get(one.made.parent or ''),
                tuple(
                    other.id
                    for other in found
                    if other.made.parent == one.made.token
                ),
            )
            for one in found
        ]

    def get(self, system: contract.System, backup_id: int) -> BackupView:
        """Raises BackupNotFound."""
        for view in self.list(system):
            if view.stored.id == backup_id:
                return view
        raise exceptions.BackupNotFound(backup_id)

    def screenshot(
        self, system: contract.System, backup_id: int
    ) -> bytes | None:
        """
        The picture of the last verification, a PNG file, if it has one.

        Raises BackupNotFound.
        """
        return self._table.screenshot(
            self._table.get(system.uuid, backup_id).id
        )

    def chain(
        self, system: contract.System, backup_id: int
    ) -> Sequence[StoredBackup]:
        """
        A backup and those that it stands on, down to the full one.

        Raises BackupNotFound, also where one of them is being deleted.
        """
        backup = self._table.get(system.uuid, backup_id)
        found = chain_of(backup, self._table.of_system(system.uuid))
        for one in found:
            if one.deleting:
                raise exceptions.BackupNotFound(one.id)
        return found

    def next_request(
        self,
        system: contract.System,
        token: str,
        full: bool,
        quiesce: str | None,
        description: str,
    ) -> BackupRequest:
        """What the next backup, *token*, would be made as."""
        found = [
            one
            for one in self._table.of_system(system.uuid)
            if not one.deleting
        ]
        parent = found[-1] if found else None
        reason = self._why_full(parent, found, full)
        base = parent.made if parent and not reason else None
        return BackupRequest(token, base, reason, quiesce, description)

    def _why_full(
        self,
        last: StoredBackup | None,
        found: Sequence[StoredBackup],
        asked: bool,
    ) -> str:
        if last is None:
            return FIRST
        if asked:
            return ASKED
        if last.made.pool != self._conf.repository:
            return ELSEWHERE
        chain = chain_of(last, found)
        if any(one.flaw for one in chain):
            return FLAWED
        return ENOUGH if len(chain) > self._conf.max_incrementals else ''

    def check_free(
        self, system: contract.System, ids: Collection[int]
    ) -> None:
        """
        Raise where one of the backups *ids* must not be deleted.

        BackupReferenced where others stand on it, BackupInUse where it is
        read.
        """
        found = self._table.of_system(system.uuid)
        for one in found:
            above = [other.id for other in standing_on(one, found)]
            left = [number for number in above if number not in ids]
            if one.id in ids and left:
                raise exceptions.BackupReferenced(
                    one.id, ', '.join(map(str, left))
                )
        for task in self._tasks.list():
            if task.active and task.operation in _READING:
                self._check_unread(system, task, ids)

    def check_unreferenced(self, doomed: Sequence[StoredBackup]) -> None:
        """
        Raise BackupReferenced where a backup of any host stands on *doomed*.

        Another host that shares the repository may have made one that is not
        listed here yet.  Raises BackupDamaged where it is not known of one
        what it stands on, and PoolNotUsable.
        """
        ids = {one.made.token: one.id for one in doomed}
        parents = {
            one.made.token: one.made.parent for one in self._table.all()
        }
        for pool in {one.made.pool for one in doomed}:
            strangers = (
                set(backing_up(self._driver).stored_backups(pool))
                - parents.keys()
            )
            parents |= {
                token: self._parent_of(pool, token) for token in strangers
            }
        for token, parent in parents.items():
            if parent in ids and token not in ids:
                raise exceptions.BackupReferenced(ids[parent], token)

    def _parent_of(self, pool: str, token: str) -> str | None:
        driver = backing_up(self._driver)
        try:
            return driver.read_manifest(pool, token).made.parent
        except exceptions.BackupDamaged:
            # It may be one that was deleted meanwhile.
            if token in driver.stored_backups(pool):
                raise
            return None

    def _check_unread(
        self, system: contract.System, task: Task, ids: Collection[int]
    ) -> None:
        # A restore over a system may be of the backup of another one.
        if task.arguments.get('system', task.one_system.uuid) != system.uuid:
            return
        chain = self.chain(system, task.arguments['backup'])
        if any(one.id in ids for one in chain):
            raise exceptions.BackupInUse(system.name, task.operation, task.id)


def backing_up(driver: contract.Driver) -> BacksUp:
    """*driver* as one that makes backups; raises DriverNotSupported."""
    if not isinstance(driver, BacksUp):
        raise exceptions.DriverNotSupported(type(driver).__name__)
    return driver
