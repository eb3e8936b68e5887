# SPDX-License-Identifier: Apache-2.0
"""
Notes about snapshots that the hypervisor has no place for.

Owns the tables ``damaged``, ``quiesced``, ``memory``, ``locked``, ``expiry``,
``verified``, ``screenshots`` and ``scheduled``, and their SQL.  A note is kept
under the system, the name and the time of creation: a later snapshot of the
same name has none of it, and one that another client renames is known by its
time.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import db
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.verifying import Verified

_TABLES = (
    *('damaged', 'quiesced', 'memory', 'locked', 'expiry'),
    *('verified', 'screenshots', 'scheduled'),
)


@dataclasses.dataclass(frozen=True)
class Verification:
    """
    The last verification: its *time* in seconds since the epoch, and what was
    *found*.

    *pictured* says that there is a screenshot.
    """

    time: int
    passed: bool
    found: Verified
    pictured: bool = False


@dataclasses.dataclass(frozen=True)
class Note:
    """
    *expires* is in seconds since the epoch, *memory_size* in bytes; *quiesce*
    None is not known.  *scheduled* is the schedule that has made it, and the
    moment of its run; None: somebody has.
    """

    damaged: bool = False
    quiesce: contract.Quiesce | None = None
    memory_size: int | None = None
    locked: bool = False
    expires: int | None = None
    verification: Verification | None = None
    scheduled: tuple[int, int] | None = None


NONE = Note()

Key = tuple[str, int]
"""The name of a snapshot, and its time of creation."""


def renamed(
    noted: Collection[Key], listed: Collection[Key]
) -> Sequence[tuple[Key, str]]:
    """
    Of what is *noted* of snapshots that are not *listed*, the new names.

    ``virsh snapshot-edit --rename`` keeps the time of a snapshot.  Where two
    could be meant, none is.
    """
    lost = [key for key in noted if key not in listed]
    found = [key for key in listed if key not in noted]
    return [
        (key, others[0])
        for key in lost
        if [k for k in lost if k[1] == key[1]] == [key]
        and len(others := [n for n, at in found if at == key[1]]) == 1
    ]


class Notes:
    """The notes in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def read(self, system: str) -> dict[Key, Note]:
        """Every note of one system, by name and time of creation."""
        found: dict[Key, Note] = {}

        def add(row: sqlite3.Row, **fields: object) -> None:
            key = row['snapshot'], row['created']
            found[key] = dataclasses.replace(
                found.get(key, NONE),
                **fields,  # type: ignore[arg-type]
            )

        for row in self._rows('damaged', system):
            add(row, damaged=True)
        for row in self._rows('quiesced', system):
            add(row, quiesce=contract.Quiesce(row['status'], row['reason']))
        for row in self._rows('memory', system):
            add(row, memory_size=int(db.number(row['size'])))
        for row in self._rows('locked', system):
            add(row, locked=True)
        for row in self._rows('expiry', system):
            if isinstance(row['expires'], int):
                add(row, expires=row['expires'])
        for row in self._rows('verified', system):
            add(row, verification=_verification(row))
        for row in self._rows('scheduled', system):
            if all(isinstance(row[n], int) for n in ('schedule', 'moment')):
                add(row, scheduled=(row['schedule'], row['moment']))
        return found

    def _rows(self, table: str, system: str) -> list[sqlite3.Row]:
        return self._db.query(
            f'SELECT * FROM {table} WHERE system = ?',  # noqa: S608
            system,
        )

    def damage(self, system: str, name: str, created: int) -> None:
        """Note that the data of a snapshot is half overwritten."""
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO damaged VALUES (?, ?, ?)',
                (system, name, created),
            )

    def verify(
        self, system: str, name: str, created: int, found: Verified, now: int
    ) -> None:
        """Note what was found of a snapshot, in the place of what was."""
        key = system, name, created
        picture = found.screenshot
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR REPLACE INTO verified VALUES (?, ?, ?, ?, ?, ?, ?)',
                (
                    *key,
                    now,
                    found.failure is None,
                    json.dumps(found.dump()),
                    picture is not None,
                ),
            )
            _clear(connection, 'screenshots', key)
            if picture is not None:
                connection.execute(
                    'INSERT INTO screenshots VALUES (?, ?, ?, ?)',
                    (*key, picture),
                )

    def screenshot(self, system: str, name: str, created: int) -> bytes | None:
        """The PNG file of the last verification; None where there is none."""
        rows = self._db.query(
            'SELECT picture FROM screenshots '
            'WHERE system = ? AND snapshot = ? AND created = ?',
            *(system, name, created),
        )
        return bytes(rows[0]['picture']) if rows else None

    def create(
        self,
        system: str,
        name: str,
        made: contract.Created,
        locked: bool,
        expires: int | None,
        scheduled: tuple[int, int] | None = None,
    ) -> None:
        """Note what is to be known of a new snapshot, before its task ends."""
        key = system, name, made.created
        with self._db.transaction(durable=False) as connection:
            connection.execute(
                'INSERT OR REPLACE INTO quiesced VALUES (?, ?, ?, ?, ?)',
                (*key, made.quiesce.status, made.quiesce.reason),
            )
            if made.memory_size is not None:
                connection.execute(
                    'INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)',
                    (*key, made.memory_size),
                )
            _set_locked(connection, key, locked)
            _set_expiry(connection, key, expires)
            if scheduled:
                connection.execute(
                    'INSERT OR REPLACE INTO scheduled VALUES (?, ?, ?, ?, ?)',
                    (*key, *scheduled),
                )

    def update(
        self,
        system: str,
        record: contract.Snapshot,
        changes: Mapping[str, object],
    ) -> None:
        """Set ``locked`` and ``expires`` where *changes* have them."""
        key = system, record.name, record.created
        with self._db.transaction() as connection:
            if 'locked' in changes:
                _set_locked(connection, key, changes['locked'])
            if 'expires' in changes:
                _set_expiry(connection, key, changes['expires'])

    def rename(self, system: str, old: str, new: str, created: int) -> None:
        """Let the notes of a snapshot follow its new name."""
        with self._db.transaction() as connection:
            for table in _TABLES:
                connection.execute(
                    f'UPDATE OR IGNORE {table} SET snapshot = ? '  # noqa: S608
                    'WHERE system = ? AND snapshot = ? AND created = ?',
                    (new, system, old, created),
                )

    def forget(self, system: str, name: str) -> None:
        """Drop the notes of a snapshot that is gone, before its task ends."""
        with self._db.transaction(durable=False) as connection:
            for table in _TABLES:
                connection.execute(
                    f'DELETE FROM {table} '  # noqa: S608
                    'WHERE system = ? AND snapshot = ?',
                    (system, name),
                )

    def expired(self, now: float) -> set[str]:
        """The systems that have a snapshot whose time has come."""
        rows: Iterable[sqlite3.Row] = self._db.query(
            'SELECT DISTINCT system FROM expiry WHERE expires <= ?', now
        )
        return {row['system'] for row in rows}


def _verification(row: sqlite3.Row) -> Verification | None:
    found, readable = db.decoded(row['found'], dict[str, Any]())
    if not readable or not isinstance(row['time'], int):
        return None
    passed, pictured = bool(row['passed']), bool(row['pictured'])
    return Verification(row['time'], passed, Verified.load(found), pictured)


_Key = tuple[str, str, int]


def _set_locked(
    connection: sqlite3.Connection, key: _Key, locked: object
) -> None:
    if locked:
        connection.execute(
            'INSERT OR IGNORE INTO locked VALUES (?, ?, ?)', key
        )
    else:
        _clear(connection, 'locked', key)


def _set_expiry(
    connection: sqlite3.Connection, key: _Key, expires: object
) -> None:
    if expires is None:
        _clear(connection, 'expiry', key)
    else:
        connection.execute(
            'INSERT OR REPLACE INTO expiry VALUES (?, ?, ?, ?)',
            (*key, expires),
        )


def _clear(connection: sqlite3.Connection, table: str, key: _Key) -> None:
    connection.execute(
        f'DELETE FROM {table} '  # noqa: S608
        'WHERE system = ? AND snapshot = ? AND created = ?',
        key,
    )
