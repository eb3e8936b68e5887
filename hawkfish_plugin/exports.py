# SPDX-License-Identifier: Apache-2.0
"""
The table of exports.

Owns the table ``exports`` and its SQL: which folders of the hypervisor's host
hold a snapshot that can be fetched as a bundle, what is in each, and until
when it is kept.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Sequence

from hawkfish_plugin import db, exceptions
from hawkfish_plugin.bundles.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class Export:
    """
    What the task *task* has staged in *folder* of the system *uuid*.

    *expires* is in seconds since the epoch.  One that is *deleting* cannot be
    fetched any more.
    """

    id: int
    task: int
    uuid: str
    folder: str
    manifest: Manifest
    expires: float
    deleting: bool


class Exports:
    """The exports in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def add(
        self,
        task: int,
        uuid: str,
        folder: str,
        manifest: Manifest,
        expires: float,
    ) -> int:
        """Note what a task has staged; a second time changes nothing."""
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO exports '
                '(task, system, folder, manifest, created, expires) '
                'VALUES (?, ?, ?, ?, ?, ?)',
                (
                    task,
                    uuid,
                    folder,
                    json.dumps(manifest.dump()),
                    manifest.created,
                    expires,
                ),
            )
            (found,) = connection.execute(
                'SELECT id FROM exports WHERE task = ?', (task,)
            ).fetchone()
        return int(found)

    def get(self, uuid: str, export_id: int) -> Export:
        """Raises ExportNotFound."""
        rows = self._db.query(
            'SELECT * FROM exports WHERE system = ? AND id = ?',
            uuid,
            export_id,
        )
        if not rows:
            raise exceptions.ExportNotFound(export_id)
        return _export(rows[0])

    def of_system(self, uuid: str) -> Sequence[Export]:
        """Those of one system, oldest first."""
        return [
            _export(row)
            for row in self._db.query(
                'SELECT * FROM exports WHERE system = ? ORDER BY id', uuid
            )
        ]

    def count(self) -> int:
        """How many there are, of all systems."""
        (row,) = self._db.query('SELECT COUNT(*) AS number FROM exports')
        return int(row['number'])

    def ids(self) -> set[int]:
        """The id of each."""
        rows = self._db.query('SELECT id FROM exports')
        return {int(row['id']) for row in rows}

    def folders(self) -> set[str]:
        """The folder of each."""
        rows = self._db.query('SELECT folder FROM exports')
        return {str(row['folder']) for row in rows}

    def due(self, now: float) -> Sequence[Export]:
        """Those whose time has come, or whose delete has not ended."""
        return [
            _export(row)
            for row in self._db.query(
                'SELECT * FROM exports WHERE expires <= ? OR deleting', now
            )
        ]

    def begin_delete(self, export_id: int) -> None:
        """Let nobody fetch it any more."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE exports SET deleting = 1 WHERE id = ?', (export_id,)
            )

    def forget(self, export_id: int) -> None:
        with self._db.transaction() as connection:
            connection.execute(
                'DELETE FROM exports WHERE id = ?', (export_id,)
            )


def _export(row: sqlite3.Row) -> Export:
    return Export(
        row['id'],
        row['task'],
        row['system'],
        row['folder'],
        Manifest.load(json.loads(row['manifest'])),
        row['expires'],
        bool(row['deleting']),
    )
