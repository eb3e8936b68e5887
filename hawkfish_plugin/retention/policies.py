# SPDX-License-Identifier: Apache-2.0
"""
The limits of each system.

Owns the table ``policies``, its SQL, and what it leaves to the configuration:
a limit that is not set for a system is the configuration's.
"""

from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import db, locks
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.retention import rules
from hawkfish_plugin.schedules.table import Schedules

# Of a policy, its column and its option, which have the same name.
COLUMNS = (
    *('max_snapshots', 'max_age', 'max_bytes', 'on_limit'),
    'keep_verified',
)


class Policies:
    """The policies in *database*, over those of the configuration."""

    def __init__(
        self,
        database: db.Database,
        lock_files: locks.Locks,
        conf: cfg.ConfigOpts,
        schedules: Schedules,
    ) -> None:
        self._db = database
        self._locks = lock_files
        self._conf = conf
        self._schedules = schedules

    def get(self, system: str) -> rules.Limits:
        """The limits that hold for one system."""
        rows = self._db.query(
            'SELECT * FROM policies WHERE system = ?', system
        )
        options = self._conf.retention
        own: Mapping[str, Any] = dict(rows[0]) if rows else {}
        chosen = {
            column: options[column] if own.get(column) is None else own[column]
            for column in COLUMNS
        }
        return rules.Limits(
            snapshots=chosen['max_snapshots'],
            age=chosen['max_age'],
            size=chosen['max_bytes'],
            on_limit=chosen['on_limit'].capitalize(),
            keep_verified=bool(chosen['keep_verified']),
            schedules=self._schedules.classes(),
        )

    def change(
        self,
        system: contract.System,
        changes: Mapping[str, object],
        check: Callable[[], None],
    ) -> rules.Limits:
        """
        Set the columns in *changes*; None is the configuration's again.

        *check* may refuse, when nobody else changes the policy any more.
        Returns the limits that this change has led to.
        """
        with self._locks.policy(system.uuid):
            check()
            self._update(system.uuid, changes)
            return self.get(system.uuid)

    def _update(self, system: str, changes: Mapping[str, object]) -> None:
        names = ', '.join(f'{column} = ?' for column in changes)
        with self._db.transaction() as connection:
            connection.execute(
                'INSERT OR IGNORE INTO policies (system) VALUES (?)',
                (system,),
            )
            if changes:
                connection.execute(
                    f'UPDATE policies SET {names} '  # noqa: S608
                    'WHERE system = ?',
                    (*changes.values(), system),
                )

    def aging(self) -> bool | set[str]:
        """
        The systems whose snapshots age by a policy of their own.

        True: every system's may, as the configuration says.
        """
        if self._conf.retention.max_age:
            return True
        rows = self._db.query('SELECT system FROM policies WHERE max_age > 0')
        return {row['system'] for row in rows}
