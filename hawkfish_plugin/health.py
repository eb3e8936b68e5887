# SPDX-License-Identifier: Apache-2.0
"""
Whether the threads of the process that runs the tasks work.

Owns the table ``engine``, in which that process says so every few seconds: any
process can tell the clients, and a process that says nothing does not work.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable

from hawkfish_plugin import db, events, messages

OK, WARNING, CRITICAL = 'OK', 'Warning', 'Critical'

# After how long without a word nobody works.
_SILENCE_SECONDS = 60.0


class Health:
    """The health that *database* knows of; events of it are in *table*."""

    def __init__(self, database: db.Database, table: events.Events) -> None:
        self._db = database
        self._events = table

    def say(self, failing: Collection[str]) -> None:
        """
        Note which threads of the owner fail; for the owner only.

        An event tells when that begins, and when it is over.
        """
        names = sorted(failing)
        with self._db.transaction(durable=False) as connection:
            before = _failing(connection.execute('SELECT * FROM engine'))
            connection.execute('DELETE FROM engine')
            connection.execute(
                'INSERT INTO engine VALUES (?, ?)',
                (self._db.steady(), json.dumps(names)),
            )
            if names and not before:
                told = events.NewEvent(
                    messages.SERVICE_DEGRADED,
                    [', '.join(names)],
                    events.SERVICE,
                )
                self._events.record(connection, [told])
            if before and not names:
                told = events.NewEvent(
                    messages.SERVICE_RESTORED, [], events.SERVICE
                )
                self._events.record(connection, [told])

    def status(self, failing_here: Collection[str]) -> tuple[str, str]:
        """
        The health, and why it is not OK; *failing_here* are of this process.

        Critical where no process has said for a while that it runs tasks.
        """
        rows = self._db.query('SELECT * FROM engine')
        if not rows:
            # Nobody has had the time to say it.
            return (WARNING if failing_here else OK), ', '.join(failing_here)
        if self._db.steady() - db.number(rows[0]['seen']) > _SILENCE_SECONDS:
            return CRITICAL, 'nobody runs the tasks'
        failing = sorted({*_failing(rows), *failing_here})
        return (WARNING if failing else OK), ', '.join(failing)


def _failing(rows: Iterable[sqlite3.Row]) -> list[str]:
    no_names: list[str] = []
    for row in rows:
        return db.decoded(row['failing'], no_names)[0]
    return no_names
