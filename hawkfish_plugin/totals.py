# SPDX-License-Identifier: Apache-2.0
"""
What has been counted since the state directory was made.

Owns the tables ``task_totals`` and ``push_totals``.  Tasks and subscriptions
are forgotten, and any process of several may be asked; so what only ever grows
is counted in the database, in the transaction that it belongs to.
"""

import dataclasses
import sqlite3
from collections.abc import Mapping, Sequence

from hawkfish_plugin import db

TAKEN, REFUSED = 'taken', 'refused'
"""The outcomes of a push."""


@dataclasses.dataclass(frozen=True)
class TaskTotal:
    """How many tasks of an *operation* ended as *state*, in all *seconds*."""

    operation: str
    state: str
    tasks: int
    seconds: float


class Totals:
    """What *database* has counted."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def active(self) -> Mapping[tuple[str, str], int]:
        """How many tasks have not ended, by operation and state."""
        rows = self._db.query(
            'SELECT operation, state, COUNT(*) AS tasks FROM tasks '
            'WHERE ended IS NULL GROUP BY operation, state'
        )
        return {(r['operation'], r['state']): r['tasks'] for r in rows}

    def ended(self) -> Sequence[TaskTotal]:
        rows = self._db.query(
            'SELECT * FROM task_totals ORDER BY operation, state'
        )
        return [TaskTotal(**dict(row)) for row in rows]

    def pushes(self) -> Mapping[str, int]:
        """How many pushes were made, by their outcomes."""
        rows = self._db.query('SELECT * FROM push_totals')
        return {
            **{TAKEN: 0, REFUSED: 0},
            **{row['outcome']: row['pushes'] for row in rows},
        }

    def subscriptions(self) -> Mapping[bool, int]:
        """How many subscriptions there are, by whether they are suspended."""
        rows = self._db.query(
            'SELECT suspended, COUNT(*) AS there FROM subscriptions '
            'GROUP BY suspended'
        )
        return {
            False: 0,
            True: 0,
            **{bool(row['suspended']): row['there'] for row in rows},
        }


def count_task(
    connection: sqlite3.Connection,
    operation: str,
    state: str,
    seconds: float,
) -> None:
    """Count a task that ends as *state*, *seconds* after its start."""
    connection.execute(
        'INSERT INTO task_totals VALUES (?, ?, 1, ?) '
        'ON CONFLICT DO UPDATE SET tasks = tasks + 1, '
        'seconds = seconds + excluded.seconds',
        (operation, state, seconds),
    )


def count_pushes(
    connection: sqlite3.Connection, pushes: Mapping[str, int]
) -> None:
    """Count *pushes*, which are numbers by their outcomes."""
    connection.executemany(
        'INSERT INTO push_totals VALUES (?, ?) '
        'ON CONFLICT DO UPDATE SET pushes = pushes + excluded.pushes',
        list(pushes.items()),
    )
