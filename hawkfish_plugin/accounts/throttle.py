# SPDX-License-Identifier: Apache-2.0
"""
What has failed to log in.

Owns its table, which all processes share, and when a further attempt is
refused: by the account *and* the address that it comes from, so that nobody
can keep somebody else out, except from an address that both share.  Sessions
are not affected.
"""

import contextlib
import hashlib
import ipaddress
import logging
import math
from collections.abc import Iterator

from oslo_config import cfg

from hawkfish_plugin import bounds, db, exceptions, messages
from hawkfish_plugin.accounts import addresses, users
from hawkfish_plugin.emulator import internals

LOG = logging.getLogger(__name__)


class Logins:
    """The failures in *database*; *conf* says how many there may be."""

    def __init__(self, database: db.Database, conf: cfg.ConfigOpts) -> None:
        self._db = database
        self._conf = conf.accounts

    @property
    def most(self) -> int:
        """How many failures lock; 0: none do."""
        return int(self._conf.lockout_threshold)

    @property
    def seconds(self) -> int:
        """How long a lock lasts, and a failure counts."""
        return int(self._conf.lockout_duration)

    @contextlib.contextmanager
    def counting(self, address: str, file: str, name: str) -> Iterator[None]:
        """
        In the block, *name* of *file* logs in from *address*.

        Raises ``internals.TooManyFailures``, at once or when it is its turn.
        """
        is_known = name in users.entries(file)

        @contextlib.contextmanager
        def around(checked: str) -> Iterator[None]:
            self._check(address, name)
            # What is looked at besides takes time, and decides nothing.
            decides = checked == name or not is_known
            try:
                yield
            except internals.WrongPassword:
                if decides:
                    self._note(address, name, succeeded=False)
                raise
            if decides:
                self._note(address, name, succeeded=is_known)

        self._check(address, name)
        with internals.each_check_in(around):
            yield

    def _check(self, address: str, name: str) -> None:
        seconds = self._locked(address, name)
        if seconds > 0:
            raise internals.TooManyFailures(seconds)

    def _locked(self, address: str, name: str) -> int:
        """For how many seconds *name* cannot log in from *address*."""
        if not self.most:
            return 0
        try:
            rows = self._db.query(
                'SELECT last FROM login_failures WHERE address = ? '
                'AND name = ? AND failures >= ? AND last > ?',
                *_key(address, name),
                self.most,
                self._db.steady() - self.seconds,
            )
        except exceptions.HawkFishError as exc:
            LOG.error('Failed logins are not known: %s', messages.text(exc))
            return 0
        return max(
            (
                math.ceil(row['last'] + self.seconds - self._db.steady())
                for row in rows
            ),
            default=0,
        )

    def _note(self, address: str, name: str, succeeded: bool) -> None:
        if not self.most:
            return
        try:
            if succeeded:
                self._forget(*_key(address, name))
            else:
                self._count(*_key(address, name))
        except exceptions.HawkFishError as exc:
            LOG.error('A login was not counted: %s', messages.text(exc))

    def forget(self, name: str) -> None:
        """Whatever has failed for *name*, from anywhere, is forgotten."""
        with self._db.transaction() as connection:
            connection.execute(
                'DELETE FROM login_failures WHERE name = ?', (_digest(name),)
            )

    def _forget(self, address: str, name: str) -> None:
        # Most have never failed, and need no write.
        if self._db.query(
            'SELECT 1 FROM login_failures WHERE address = ? AND name = ?',
            address,
            name,
        ):
            with self._db.transaction() as connection:
                connection.execute(
                    'DELETE FROM login_failures '
                    'WHERE address = ? AND name = ?',
                    (address, name),
                )

    def _count(self, address: str, name: str) -> None:
        now = self._db.steady()
        with self._db.transaction() as connection:
            connection.execute(
                'DELETE FROM login_failures WHERE last <= ?',
                (now - self.seconds,),
            )
            connection.execute(
                'INSERT INTO login_failures VALUES (?, ?, 1, ?) '
                'ON CONFLICT (address, name) DO UPDATE SET '
                'failures = failures + 1, last = excluded.last',
                (address, name, now),
            )
            connection.execute(
                'DELETE FROM login_failures WHERE rowid IN ('
                'SELECT rowid FROM login_failures ORDER BY last DESC '
                'LIMIT -1 OFFSET ?)',
                (bounds.LOGIN_FAILURES,),
            )


def _key(address: str, name: str) -> tuple[str, str]:
    return _network(address), _digest(name)


def _digest(name: str) -> str:
    # In its place there may be a password, by mistake.
    return hashlib.sha256(name.encode(errors='replace')).hexdigest()


def _network(address: str) -> str:
    """What one client has: of IPv6, 64 bits are for it to choose."""
    found = addresses.parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found or address)
