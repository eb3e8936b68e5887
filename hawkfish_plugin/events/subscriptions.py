# SPDX-License-Identifier: Apache-2.0
"""
Who gets the events.

Owns the table ``subscriptions``: those with a destination, which outlive the
process, and those of open streams, which last as long as their stream says
that it lives.  ``delivered`` is how far a destination has come.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import db, events, exceptions, totals
from hawkfish_plugin.accounts.owners import Owner

PUSHED, STREAMED = 'RedfishEvent', 'SSE'

TERMINATE, SUSPEND = 'TerminateAfterRetries', 'SuspendRetries'
FOREVER, BACKOFF = 'RetryForever', 'RetryForeverWithBackoff'
RETRY_POLICIES = (TERMINATE, SUSPEND, FOREVER, BACKOFF)

# A stream that has not been heard of for so long died with its process.
STREAM_SECONDS = 15.0

Headers = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Subscription:
    """
    One row; *headers* may hold secrets and are never shown.

    *allowed* are the UUIDs and names of the systems that the emulator serves
    by which it was made; None: all.  *owner* has made it, where users are
    known.
    """

    id: int
    type: str
    destination: str
    context: str
    retry_policy: str
    verify: bool
    headers: Headers
    filters: dict[str, Any]
    suspended: bool
    failures: int
    delivered: int
    allowed: list[str] | None = None
    owner: Owner | None = None


# The class below has a method of that name.
Found = list[Subscription]


class Subscriptions:
    """The subscription table of *database*."""

    def __init__(self, database: db.Database, conf: cfg.ConfigOpts) -> None:
        self._db = database
        self._conf = conf.events

    def create(
        self,
        destination: str,
        context: str,
        retry_policy: str,
        verify: bool,
        headers: Headers,
        filters: Mapping[str, Any],
        allowed: list[str] | None,
        owner: Owner | None = None,
    ) -> Subscription:
        """
        Have the events from now on sent to *destination*.

        Raises EventSubscriptionLimitExceeded.
        """
        return self._insert(
            self._conf.max_subscriptions,
            type=PUSHED,
            destination=destination,
            context=context,
            retry_policy=retry_policy,
            verify=verify,
            headers=as_text(headers),
            filters=json.dumps(filters),
            allowed=json.dumps(allowed),
            **_columns(owner),
        )

    def open_stream(
        self, destination: str, context: str, owner: Owner | None = None
    ) -> Subscription:
        """Raises EventSubscriptionLimitExceeded."""
        self.forget_dead_streams()
        return self._insert(
            self._conf.max_streams,
            type=STREAMED,
            destination=destination,
            context=context,
            retry_policy=FOREVER,
            verify=False,
            headers='[]',
            filters='{}',
            **_columns(owner),
        )

    def _insert(self, limit: int, **columns: object) -> Subscription:
        names = ', '.join(columns)
        marks = ', '.join('?' * len(columns))
        with self._db.transaction() as connection:
            (there,) = connection.execute(
                'SELECT COUNT(*) FROM subscriptions WHERE type = ?',
                (columns['type'],),
            ).fetchone()
            if there >= limit:
                raise exceptions.EventSubscriptionLimitExceeded()
            row = connection.execute(
                f'INSERT INTO subscriptions ({names}, delivered, seen) '  # noqa: S608
                f'VALUES ({marks}, ?, ?) RETURNING *',
                (
                    *columns.values(),
                    events.newest(connection),
                    self._db.steady(),
                ),
            ).fetchone()
        return _subscription(row)

    def list(self) -> Found:
        """Every subscription, oldest first, without those of dead streams."""
        return self._alive('1')

    def get(self, subscription_id: int) -> Subscription:
        """Raises SubscriptionNotFound."""
        for subscription in self._alive('id = ?', subscription_id):
            return subscription
        raise exceptions.SubscriptionNotFound(subscription_id)

    def _alive(self, condition: str, *args: object) -> Found:
        return [
            _subscription(row)
            for row in self._db.query(
                'SELECT * FROM subscriptions WHERE (type <> ? OR seen > ?) '  # noqa: S608
                f'AND {condition} ORDER BY id',
                STREAMED,
                self._db.steady() - STREAM_SECONDS,
                *args,
            )
        ]

    def change(
        self,
        subscription_id: int,
        check: Callable[[Subscription], None],
        columns: Mapping[str, object],
    ) -> None:
        """
        Set columns; *check* may refuse by what nobody changes any more.

        Raises SubscriptionNotFound.
        """
        with self._db.transaction():
            check(self.get(subscription_id))
            if columns:
                self.update(subscription_id, **columns)

    def update(self, subscription_id: int, **columns: object) -> None:
        """Set columns of a subscription that may be gone by now."""
        names = ', '.join(f'{column} = ?' for column in columns)
        with self._db.transaction() as connection:
            connection.execute(
                f'UPDATE subscriptions SET {names} WHERE id = ?',  # noqa: S608
                (*columns.values(), subscription_id),
            )

    def resume(self, subscription_id: int, seconds: float | None) -> None:
        """
        Go on with what has not been delivered.

        Of that, only what is at most *seconds* old, if given.
        """
        oldest = -1.0 if seconds is None else self._db.steady() - seconds
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE subscriptions SET suspended = 0, failures = 0, '
                'delivered = MAX(delivered, COALESCE('
                '(SELECT MAX(id) FROM events WHERE noted < ?), 0)) '
                'WHERE id = ? AND suspended',
                (oldest, subscription_id),
            )

    def remove(
        self, subscription_id: int, check: Callable[[Subscription], None]
    ) -> None:
        """
        Delete it; *check* may refuse by what nobody changes any more.

        Raises SubscriptionNotFound.
        """
        with self._db.transaction():
            check(self.get(subscription_id))
            self.delete(subscription_id)

    def delete(self, subscription_id: int) -> None:
        """Delete one that may be gone by now."""
        with self._db.transaction() as connection:
            connection.execute(
                'DELETE FROM subscriptions WHERE id = ?', (subscription_id,)
            )

    def note_delivered(
        self, delivered: Mapping[int, int], pushes: Mapping[str, int]
    ) -> None:
        """
        Remember, by subscription, the last event that was delivered.

        *pushes* are how many were made since, by their outcomes.
        """
        with self._db.transaction() as connection:
            connection.executemany(
                'UPDATE subscriptions SET delivered = MAX(delivered, ?) '
                'WHERE id = ?',
                [(last, number) for number, last in delivered.items()],
            )
            totals.count_pushes(connection, pushes)

    # Streams --------------------------------------------------------------

    def is_open(self, subscription_id: int) -> bool:
        return bool(
            self._db.query(
                'SELECT 1 FROM subscriptions WHERE id = ?', subscription_id
            )
        )

    def keep_alive(self, subscription_id: int) -> None:
        self.update(subscription_id, seen=self._db.steady())

    def forget_dead_streams(self) -> None:
        """Remove what streams have left that died with their process."""
        dead = (STREAMED, self._db.steady() - STREAM_SECONDS)
        if self._db.query(
            'SELECT 1 FROM subscriptions WHERE type = ? AND seen <= ?', *dead
        ):
            with self._db.transaction() as connection:
                connection.execute(
                    'DELETE FROM subscriptions WHERE type = ? AND seen <= ?',
                    dead,
                )


def as_text(headers: Headers) -> str:
    """Headers as their column holds them."""
    return json.dumps(headers)


def _subscription(row: sqlite3.Row) -> Subscription:
    no_list: list[Any] = []
    no_filters: dict[str, Any] = {}
    headers, _ = db.decoded(row['headers'], no_list)
    filters, is_sound = db.decoded(row['filters'], no_filters)
    allowed, _ = db.decoded(row['allowed'], no_list)
    everything = row['allowed'] in (None, 'null')
    return Subscription(
        row['id'],
        row['type'],
        row['destination'],
        row['context'],
        row['retry_policy'],
        bool(row['verify']),
        [(str(h[0]), str(h[1])) for h in headers if _is_pair(h)],
        filters,
        # One of which it is not known what it filters gets nothing.
        bool(row['suspended']) or not is_sound,
        row['failures'],
        row['delivered'],
        None if everything else allowed,
        Owner.of(row['owner'], row['users']),
    )


def _columns(owner: Owner | None) -> dict[str, str | None]:
    return dict(zip(('owner', 'users'), Owner.columns(owner), strict=True))


def _is_pair(found: object) -> bool:
    return isinstance(found, list) and len(found) == 2
