# SPDX-License-Identifier: Apache-2.0
"""
Login sessions.

Owns their table: who has logged in, and the digests of the tokens that were
given out; a token itself is kept by its client alone.  A session lives while
it is used and its user's entry in the emulator's file of users is the one
that it was begun with: it dies with the user, and with the user's password.
Nobody who is disabled has one.
Without such a file all is open, and anybody gets a session that means
nothing.
"""

import dataclasses
import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable

from hawkfish_plugin import bounds, db, exceptions
from hawkfish_plugin.accounts import users as passwords
from hawkfish_plugin.accounts.table import Accounts

LOG = logging.getLogger(__name__)

MIN_TIMEOUT, MAX_TIMEOUT = 30, 86400

# Clients that never log out must not fill the disk: one more ends one of
# whoever has most of them, the one that has not been used for longest.
MAX_SESSIONS = bounds.SESSIONS

# How much later than it could a session may time out; a write for each
# request would cost more than the request.
_GRAIN_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Session:
    """One row of the table, without the secrets' digests."""

    id: int
    user: str
    created: float


class Sessions:
    """
    The sessions in *database*.

    *users* is in each method the file of users that the emulator was given,
    None where it was given none.
    """

    def __init__(self, database: db.Database, accounts: Accounts) -> None:
        self._db = database
        self._accounts = accounts

    def login(
        self, users: str | None, name: str, password: str
    ) -> tuple[Session, str] | None:
        """A new session and its token; None where name and password fail."""
        entry = ''
        if users is not None:
            found = passwords.check(users, name, password)
            if found is None or not self._accounts.standing(name).enabled:
                return None
            entry = _digest(found)
        token, now = secrets.token_urlsafe(32), time.time()
        used = self._db.steady()
        with self._db.transaction() as connection:
            self._make_room(connection, name, used)
            session_id = connection.execute(
                'INSERT INTO sessions (user, entry, token, created, used)'
                ' VALUES (?, ?, ?, ?, ?)',
                (name, entry, _digest(token), now, used),
            ).lastrowid
        return Session(int(session_id or 0), name, now), token

    def user(self, users: str, token: str) -> str | None:
        """Whose token it is; None where it is nobody's, or no longer."""
        now = self._db.steady()
        rows = self._db.query(
            'SELECT * FROM sessions WHERE token = ? AND used > ?',
            _digest(token),
            self._oldest(now),
        )
        if not rows:
            return None
        session = rows[0]
        entry = passwords.entries(users).get(session['user'])
        if entry is None or _digest(entry) != session['entry']:
            return None
        if not self._accounts.standing(session['user']).enabled:
            return None
        if now - session['used'] > _GRAIN_SECONDS:
            self._touch(session['id'], now)
        name: str = session['user']
        return name

    def alive(self) -> list[Session]:
        """The sessions that have not ended, oldest first."""
        rows = self._db.query(
            'SELECT id, user, created FROM sessions WHERE used > ?'
            ' ORDER BY id',
            self._oldest(self._db.steady()),
        )
        return [Session(**row) for row in rows]

    def owner(self, session_id: str) -> str | None:
        """Whose session it is that a client calls so, if there is one."""
        for session in self.alive():
            if str(session.id) == session_id:
                return session.user
        return None

    def logout(self, session_id: int) -> bool:
        """End a session; False where there is none of this id."""
        with self._db.transaction() as connection:
            return (
                connection.execute(
                    'DELETE FROM sessions WHERE id = ?', (session_id,)
                ).rowcount
                > 0
            )

    def logout_all(self, user: str) -> None:
        """End all sessions of *user*."""
        with self._db.transaction() as connection:
            connection.execute('DELETE FROM sessions WHERE user = ?', (user,))

    @property
    def timeout(self) -> int:
        """After how many seconds without a request a session ends."""
        (row,) = self._db.query('SELECT seconds FROM session_timeout')
        seconds: int = row['seconds']
        return seconds

    def change_timeout(
        self, seconds: int | None, check: Callable[[], None]
    ) -> None:
        """Set it; *check* may refuse by what nobody changes any more."""
        with self._db.transaction() as connection:
            check()
            if seconds is None:
                return
            connection.execute(
                'UPDATE session_timeout SET seconds = ?', (seconds,)
            )

    def _oldest(self, now: float) -> float:
        return now - self.timeout - _GRAIN_SECONDS

    def _touch(self, session_id: int, now: float) -> None:
        try:
            with self._db.transaction() as connection:
                connection.execute(
                    'UPDATE sessions SET used = ? WHERE id = ?',
                    (now, session_id),
                )
        except exceptions.StateUnavailable as exc:
            # A full disk ends the session early, not the request now.
            LOG.warning('The use of a session was not noted: %s', exc)

    def _make_room(
        self, connection: sqlite3.Connection, user: str, now: float
    ) -> None:
        """End what there is no room for, of whoever has most of them."""
        connection.execute(
            'DELETE FROM sessions WHERE used <= ?', (self._oldest(now),)
        )
        (count,) = connection.execute(
            'SELECT COUNT(*) FROM sessions'
        ).fetchone()
        for _ in range(count + 1 - MAX_SESSIONS):
            # With the one to come, so that it is not at another's cost.
            connection.execute(
                'DELETE FROM sessions WHERE id = (SELECT id FROM sessions '
                'WHERE user = (SELECT user FROM sessions GROUP BY user '
                'ORDER BY COUNT(*) + (user = ?) DESC, MIN(used) LIMIT 1) '
                'ORDER BY used LIMIT 1)',
                (user,),
            )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
