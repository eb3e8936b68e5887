# SPDX-License-Identifier: Apache-2.0
"""
The table of uploads.

Owns the table ``uploads`` and its SQL: which files of the hypervisor's host
have been made for a bundle that is being received, or whose import has not
ended.  What no process and no task has any more is removed by who looks.
"""

import dataclasses
import json
from collections.abc import Sequence

from hawkfish_plugin import db


@dataclasses.dataclass(frozen=True)
class Upload:
    """The *files* of one bundle; *task* imports it, once it is there."""

    id: int
    files: Sequence[str]
    task: int | None


class Uploads:
    """The uploads in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def begin(self) -> int:
        """A new one, without a file; for who locks it before others see it."""
        with self._db.transaction() as connection:
            (found,) = connection.execute(
                "INSERT INTO uploads (files) VALUES ('[]') RETURNING id"
            ).fetchone()
        return int(found)

    def note(self, upload: int, files: Sequence[str]) -> None:
        """Note *files* before they are made."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE uploads SET files = ? WHERE id = ?',
                (json.dumps(list(files)), upload),
            )

    def hand_over(self, upload: int, task: int) -> None:
        """Let the files be those of *task*; part of the transaction."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE uploads SET task = ? WHERE id = ?', (task, upload)
            )

    def forget(self, upload: int) -> None:
        with self._db.transaction() as connection:
            connection.execute('DELETE FROM uploads WHERE id = ?', (upload,))

    def all(self) -> Sequence[Upload]:
        return [
            Upload(row['id'], json.loads(row['files']), row['task'])
            for row in self._db.query('SELECT * FROM uploads ORDER BY id')
        ]
