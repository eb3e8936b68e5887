# SPDX-License-Identifier: Apache-2.0
"""
Systems that somebody has to look after.

Owns the table ``attention`` and its SQL: what is known of each operation that
has ended in the middle, because it was abandoned or has waited too long.  Its
system may be half changed until an operation that leaves it in a known state
has succeeded, or somebody says that it is well.
"""

import dataclasses
import sqlite3
import time
from collections.abc import Sequence

from hawkfish_plugin import db, exceptions


@dataclasses.dataclass(frozen=True)
class Unsettled:
    """
    An operation that ended in the middle: *task* was at *step*.

    *snapshot* None is none or all of the system's; *since* is in seconds since
    the epoch.
    """

    task: int
    operation: str
    snapshot: str | None
    step: str
    since: float


class Attention:
    """The systems of *database* that need it."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def of(self, system: str) -> Sequence[Unsettled]:
        """What ended in the middle on *system*, oldest first."""
        return [
            Unsettled(
                row['task'],
                row['operation'],
                row['snapshot'],
                row['step'],
                row['since'],
            )
            for row in self._db.query(
                'SELECT * FROM attention WHERE system = ? ORDER BY task',
                system,
            )
        ]

    def findings(self, system: str) -> list[exceptions.SystemHalfChanged]:
        """The same, as what stands in the way of a start or a create."""
        return [
            exceptions.SystemHalfChanged(
                system, left.operation, left.task, left.step
            )
            for left in self.of(system)
        ]

    def acknowledge(self, task: int) -> None:
        """Somebody has looked after the systems of *task*."""
        with self._db.transaction() as connection:
            connection.execute('DELETE FROM attention WHERE task = ?', (task,))


def note(
    connection: sqlite3.Connection,
    system: str,
    task: int,
    operation: str,
    snapshot: str | None,
    step: str,
) -> None:
    """Note that *task* leaves *system* as it is."""
    connection.execute(
        'INSERT OR REPLACE INTO attention VALUES (?, ?, ?, ?, ?, ?)',
        (system, task, operation, snapshot, step, time.time()),
    )


def clear(connection: sqlite3.Connection, system: str) -> None:
    """Note that *system* is in a known state again."""
    connection.execute('DELETE FROM attention WHERE system = ?', (system,))
