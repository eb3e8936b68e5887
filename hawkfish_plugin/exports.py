# SPDX-License-Identifier: Apache-2.0
"""
The table of exports.

Owns the tables ``exports`` and ``export_parts`` and their SQL: which folders
of the hypervisor's host hold a snapshot of a system or of a group that can be
fetched as a bundle, what is in each, and until when it is kept; and what is
known of the checksums of its files.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Mapping, Sequence

from hawkfish_plugin import db, exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Bundle


@dataclasses.dataclass(frozen=True)
class Owner:
    """What was exported: the system *uuid*, or the *group* of that name."""

    uuid: str = ''
    group: str = ''


@dataclasses.dataclass(frozen=True)
class Export:
    """
    What the task *task* has staged of *owner*.

    *folders* has the one of each system of *bundle*, in their order.
    *expires* is in seconds since the epoch.  One that is *deleting* cannot be
    fetched any more.
    """

    id: int
    task: int
    owner: Owner
    folders: Sequence[str]
    bundle: Bundle
    expires: float
    deleting: bool


Part = tuple[str, int]
"""A part of a file of a bundle: the name of that, and where it begins"""


class Exports:
    """The exports in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def add(
        self,
        task: int,
        owner: Owner,
        folders: Sequence[str],
        bundle: Bundle,
        expires: float,
    ) -> int:
        """Note what a task has staged; a second time changes nothing."""
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO exports (task, system, aggregate, '
                'folders, manifest, created, expires) '
                'VALUES (?, ?, ?, ?, ?, ?, ?)',
                (
                    task,
                    owner.uuid,
                    owner.group,
                    json.dumps(list(folders)),
                    json.dumps(bundle.dump()),
                    bundle.created,
                    expires,
                ),
            )
            (found,) = connection.execute(
                'SELECT id FROM exports WHERE task = ?', (task,)
            ).fetchone()
        return int(found)

    def get(self, owner: Owner, export_id: int) -> Export:
        """Raises ExportNotFound."""
        for export in self.of(owner):
            if export.id == export_id:
                return export
        raise exceptions.ExportNotFound(export_id)

    def of(self, owner: Owner) -> Sequence[Export]:
        """Those of one owner, oldest first."""
        return [
            _export(row)
            for row in self._db.query(
                'SELECT * FROM exports WHERE system = ? AND aggregate = ? '
                'ORDER BY id',
                owner.uuid,
                owner.group,
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
        rows = self._db.query('SELECT folders FROM exports')
        return {path for row in rows for path in json.loads(row['folders'])}

    def due(self, now: float) -> Sequence[Export]:
        """Those whose time has come, or whose delete has not ended."""
        return [
            _export(row)
            for row in self._db.query(
                'SELECT * FROM exports WHERE expires <= ? OR deleting', now
            )
        ]

    def digests(self, export_id: int) -> Mapping[Part, bytes]:
        """The SHA-256 of the parts that were read of it so far."""
        rows = self._db.query(
            'SELECT * FROM export_parts WHERE export = ?', export_id
        )
        return {(row['file'], row['begin']): row['sha256'] for row in rows}

    def note_digest(self, export_id: int, part: Part, digest: bytes) -> None:
        """Let it be known, unless the export is gone by now."""
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO export_parts SELECT id, ?, ?, ? '
                'FROM exports WHERE id = ?',
                (*part, digest, export_id),
            )

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
        Owner(row['system'], row['aggregate']),
        json.loads(row['folders']),
        manifest.load(json.loads(row['manifest'])),
        row['expires'],
        bool(row['deleting']),
    )
