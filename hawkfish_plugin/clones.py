# SPDX-License-Identifier: Apache-2.0
"""
Clones that a verification may have left behind.

Owns the table ``clones`` and its SQL: what a task had noted that has ended in
the middle, or that could not remove its clone.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hawkfish_plugin import db


class Clones:
    """The clones in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def note(self, journal: Mapping[str, Any]) -> None:
        """Note what is known of one."""
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT INTO clones (journal) VALUES (?)',
                (json.dumps(dict(journal)),),
            )

    def all(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The number of each, and what was noted."""
        for row in self._db.query('SELECT * FROM clones ORDER BY id'):
            journal, _ = db.decoded(row['journal'], dict[str, Any]())
            yield row['id'], journal

    def forget(self, number: int) -> None:
        with self._db.transaction() as connection:
            connection.execute('DELETE FROM clones WHERE id = ?', (number,))
