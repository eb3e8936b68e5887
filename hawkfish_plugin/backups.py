# SPDX-License-Identifier: Apache-2.0
"""
The table of backups.

Owns the tables ``backups`` and ``backup_screenshots``, and their SQL: which
backups there are of which system, what the driver knows of each, and what its
last verification has found.
"""

import dataclasses
import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from hawkfish_plugin import db, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import Backup, Described
from hawkfish_plugin.drivers.verifying import Verified


@dataclasses.dataclass(frozen=True)
class StoredBackup:
    """
    What the task *task* has *made* of *system*, under its name of then.

    One without a task was found in the repository, and adopted.
    *schedule* is the one that has asked for it, if any.
    *created* and *verified* are in seconds since the epoch.  *flaw* says what
    the last verification has found wrong with its files, empty that they are
    whole; *found* is all that it has, None where an older release did not note
    it, and *pictured* that there is a screenshot.  One that is *deleting* is
    used no more.
    """

    id: int
    task: int | None
    system: contract.System
    made: Backup
    description: str
    created: float
    deleting: bool
    verified: float | None
    flaw: str | None
    schedule: int | None = None
    found: Verified | None = None
    pictured: bool = False

    @property
    def finding(self) -> str:
        """What the last verification has found wrong; empty: nothing."""
        failure = self.found and self.found.failure
        if self.flaw or not failure:
            return self.flaw or ''
        return f'{failure.check}: {failure.detail}'


class Backups:
    """The backups in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def add(
        self,
        task: int,
        system: contract.System,
        made: Backup,
        description: str,
        schedule: int | None = None,
    ) -> int:
        """Note what a task has made; a second time changes nothing."""
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO backups (task, system, system_name, '
                'token, made, description, created, schedule) '
                'VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
                (
                    task,
                    system.uuid,
                    system.name,
                    made.token,
                    json.dumps(made.dump()),
                    description,
                    time.time(),
                    schedule,
                ),
            )
            (found,) = connection.execute(
                'SELECT id FROM backups WHERE task = ?', (task,)
            ).fetchone()
        return int(found)

    def adopt(self, found: Described) -> None:
        """Note one that was found; a second time changes nothing."""
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO backups (system, system_name, token, '
                'made, description, created) VALUES (?, ?, ?, ?, ?, ?)',
                (
                    found.system.uuid,
                    found.system.name,
                    found.made.token,
                    json.dumps(found.made.dump()),
                    found.description,
                    found.created,
                ),
            )

    def all(self) -> Sequence[StoredBackup]:
        """Those of all systems, oldest first."""
        return [
            _stored(row)
            for row in self._db.query(
                'SELECT * FROM backups ORDER BY created, id'
            )
        ]

    def get(self, uuid: str, backup_id: int) -> StoredBackup:
        """Raises BackupNotFound."""
        rows = self._db.query(
            'SELECT * FROM backups WHERE system = ? AND id = ?',
            uuid,
            backup_id,
        )
        if not rows:
            raise exceptions.BackupNotFound(backup_id)
        return _stored(rows[0])

    def of_system(self, uuid: str) -> Sequence[StoredBackup]:
        """Those of one system, oldest first."""
        return [
            _stored(row)
            for row in self._db.query(
                'SELECT * FROM backups WHERE system = ? ORDER BY created, id',
                uuid,
            )
        ]

    def systems(self) -> Sequence[contract.System]:
        """The systems that have any, each under its latest name."""
        rows = self._db.query(
            'SELECT system, system_name, MAX(id) FROM backups GROUP BY system'
        )
        return [
            contract.System(row['system'], row['system_name']) for row in rows
        ]

    def begin_delete(self, ids: Collection[int]) -> None:
        """Let nobody use them any more."""
        with self._db.transaction() as connection:
            connection.executemany(
                'UPDATE backups SET deleting = 1 WHERE id = ?',
                [(backup_id,) for backup_id in ids],
            )

    def end_delete(self, ids: Collection[int]) -> None:
        """Let them be used again: they are not deleted."""
        with self._db.transaction() as connection:
            connection.executemany(
                'UPDATE backups SET deleting = 0 WHERE id = ?',
                [(backup_id,) for backup_id in ids],
            )

    def forget(self, backup_id: int) -> None:
        with self._db.transaction() as connection:
            connection.execute(
                'DELETE FROM backups WHERE id = ?', (backup_id,)
            )

    def note_verified(
        self, backup_id: int, flaw: str, found: Verified
    ) -> None:
        """
        Note what was *found* right now, in the place of what was.

        *flaw* is what is wrong with its files, if anything is.
        """
        picture = found.screenshot
        with self._db.transaction() as connection:
            changed = connection.execute(
                'UPDATE backups SET verified = ?, flaw = ?, found = ?, '
                'pictured = ? WHERE id = ?',
                (
                    time.time(),
                    flaw,
                    json.dumps(found.dump()),
                    picture is not None,
                    backup_id,
                ),
            ).rowcount
            connection.execute(
                'DELETE FROM backup_screenshots WHERE backup = ?',
                (backup_id,),
            )
            if picture is not None and changed:
                connection.execute(
                    'INSERT INTO backup_screenshots VALUES (?, ?)',
                    (backup_id, picture),
                )

    def screenshot(self, backup_id: int) -> bytes | None:
        """The PNG file of the last verification; None where there is none."""
        rows = self._db.query(
            'SELECT picture FROM backup_screenshots WHERE backup = ?',
            backup_id,
        )
        return bytes(rows[0]['picture']) if rows else None


def chain_of(
    backup: StoredBackup, others: Sequence[StoredBackup]
) -> list[StoredBackup]:
    """
    *backup* and those of *others* that it stands on, down to the full one.

    Raises BackupNotFound where one of them is not there.
    """
    by_token = {one.made.token: one for one in others}
    found = [backup]
    while (parent := found[-1].made.parent) is not None:
        if parent not in by_token:
            raise exceptions.BackupNotFound(parent)
        found.append(by_token[parent])
    return found


def standing_on(
    backup: StoredBackup, others: Sequence[StoredBackup]
) -> Iterator[StoredBackup]:
    """Those of *others*, oldest first, that stand on *backup*."""
    tokens = {backup.made.token}
    for one in others:
        if one.made.parent in tokens:
            tokens.add(one.made.token)
            yield one


def _stored(row: sqlite3.Row) -> StoredBackup:
    return StoredBackup(
        row['id'],
        row['task'],
        contract.System(row['system'], row['system_name']),
        Backup.load(json.loads(row['made'])),
        row['description'],
        row['created'],
        bool(row['deleting']),
        row['verified'],
        row['flaw'],
        row['schedule'],
        _found(row),
        bool(row['pictured']),
    )


def _found(row: sqlite3.Row) -> Verified | None:
    if row['found'] is None:
        return None
    found, readable = db.decoded(row['found'], dict[str, Any]())
    return Verified.load(found) if readable else None
