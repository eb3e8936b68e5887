# SPDX-License-Identifier: Apache-2.0
"""
Images that stand on files of another directory, as they were last seen.

Owns the table ``far_images`` and its SQL.  Nothing of the hypervisor leads to
an image that no system has any more, unless an active pool has its directory.
"""

from collections.abc import Collection, Sequence

from hawkfish_plugin import db
from hawkfish_plugin.drivers.sharing import FarImage


class FarImages:
    """Those in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def all(self) -> Sequence[FarImage]:
        rows = self._db.query('SELECT path, base, missed FROM far_images')
        return [FarImage(r['path'], r['base'], r['missed']) for r in rows]

    def change(
        self, noted: Collection[FarImage], gone: Collection[FarImage]
    ) -> None:
        """Remember those *noted*, and forget those *gone*."""
        with self._db.transaction() as connection:
            connection.executemany(
                'DELETE FROM far_images WHERE path = ?',
                [(image.path,) for image in gone],
            )
            connection.executemany(
                'INSERT OR REPLACE INTO far_images VALUES (?, ?, ?)',
                [(image.path, image.base, image.missed) for image in noted],
            )
