# SPDX-License-Identifier: Apache-2.0
"""
Events as they come, for a client that listens.

Owns the life of one stream of server-sent events: what it sends, how it
notices that its subscription is gone, and how others learn that it lives.
Any process may serve one, as it reads the table that all of them share.
"""

import logging
import time
from collections.abc import Callable, Iterator

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.events import subscriptions

LOG = logging.getLogger(__name__)

# A client that is gone is noticed when it is written to.
KEEP_ALIVE_SECONDS = 4.0
_POLL_SECONDS = 0.2
_BATCH = 100


class Stream:
    """
    The events after the one with the id *last* that are *wanted*.

    Goes on until its subscription is deleted, or it is closed.  *last* moves
    on with what was looked at.
    """

    def __init__(
        self,
        table: events.Events,
        subscription_table: subscriptions.Subscriptions,
        subscription: subscriptions.Subscription,
        last: int | None,
        wanted: Callable[[events.Event], bool],
    ) -> None:
        self._events = table
        self._subscriptions = subscription_table
        self.subscription = subscription
        newest = subscription.delivered
        # An id that was never given is another database's.
        self.last = newest if last is None else min(last, newest)
        self._wanted = wanted

    def __iter__(self) -> Iterator[list[events.Event]]:
        """What is new; nothing, where there was nothing for a while."""
        try:
            yield from self._listen()
        except exceptions.StateUnavailable as exc:
            LOG.error('A stream ends: %s', messages.text(exc))

    def _listen(self) -> Iterator[list[events.Event]]:
        number, told = self.subscription.id, time.monotonic()
        while self._subscriptions.is_open(number):
            found = self._events.after(self.last, _BATCH)
            if time.monotonic() - told > KEEP_ALIVE_SECONDS:
                self._subscriptions.keep_alive(number)
                told = time.monotonic()
                yield []
            if not found:
                time.sleep(_POLL_SECONDS)
                continue
            self.last = found[-1].id
            wanted = [e for e in found if e.is_loss or self._wanted(e)]
            if wanted:
                yield wanted

    def close(self) -> None:
        try:
            self._subscriptions.delete(self.subscription.id)
        except exceptions.StateUnavailable as exc:
            # It is forgotten in a while, as nothing is heard of it.
            LOG.error('A stream was closed: %s', messages.text(exc))
