# SPDX-License-Identifier: Apache-2.0
"""
Login sessions.

Owns their table: who has logged in, and the digests of the tokens that were
given out; a token itself is kept by its client alone.  A session lives while
it is used and its user's entry in the emulator's file of users is the one
that it was begun with: it dies with the user, and with the user's password.
Without such a file all is open, and anybody gets a session that means
nothing.
"""

import dataclasses
import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator

from hawkfish_plugin import bounds, db, exceptions
from hawkfish_plugin.emulator import internals

LOG = logging.getLogger(__name__)

MIN_TIMEOUT, MAX_TIMEOUT = 30, 86400

# Clients that never log out must not fill the disk: one more ends one of
# whoever has most of them, the one that has not been used for longest.
MAX_SESSIONS = bounds.SESSIONS

# How much later than it could a session may time out; a write for each
# request would cost more than the request.
_GRAIN_SECONDS = 5.0
# What bcrypt looks at; newer releases refuse more.
_MOST_BYTES = 72


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

    def __init__(self, database: db.Database) -> None:
        self._db = database

    def login(
        self, users: str | None, name: str, password: str
    ) -> tuple[Session, str] | None:
        """A new session and its token; None where name and password fail."""
        entry = ''
        if users is not None:
            found = _check(users, name, password)
            if found is None:
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
        entry = _entries(users).get(session['user'])
        if entry is None or _digest(entry) != session['entry']:
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

    def logout(self, session_id: int) -> bool:
        """End a session; False where there is none of this id."""
        with self._db.transaction() as connection:
            return (
                connection.execute(
                    'DELETE FROM sessions WHERE id = ?', (session_id,)
                ).rowcount
                > 0
            )

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


def _check(users: str, name: str, password: str) -> str | None:
    """
    The entry that *name* and *password* fit.

    An unknown name takes as long as a wrong password.
    """
    waste_time(users, name, password.encode(errors='replace'))
    entry = _entries(users).get(name)
    return entry if entry and internals.fits(entry, password) else None


def waste_time(users: str, name: str, password: bytes) -> None:
    """
    Take as long as the dearest check of a password, but for one of *name*.

    So that no answer tells by its time who is a user, or one whose password
    is cheap to check.  Raises TooManyChecks.
    """
    entries = _entries(users)
    dearest = max(entries.values(), key=internals.cost, default='')
    own = entries.get(name, '')
    if dearest and internals.cost(own) < internals.cost(dearest):
        internals.fits(dearest, password.decode(errors='replace'))


def is_user(users: str, name: str) -> bool:
    """Whether the file has a user of this *name*."""
    return bool(name) and name in _entries(users)


def may_be_password(password: bytes) -> bool:
    """Whether bcrypt takes *password*, right or wrong."""
    return 0 not in password and len(password) <= _MOST_BYTES


def _entries(users: str) -> dict[str, str]:
    """The lines of the file by user; the first of a user counts."""
    found: dict[str, str] = {}
    for line in _lines(users):
        name, colon, _ = line.partition(':')
        if colon:
            found.setdefault(name, line)
    return found


def _lines(users: str) -> Iterator[str]:
    try:
        with open(users) as lines:
            yield from map(str.strip, lines)
    except (OSError, UnicodeDecodeError) as exc:
        LOG.error('The file of users cannot be read: %s', exc)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
