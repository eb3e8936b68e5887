# SPDX-License-Identifier: Apache-2.0
"""
The sending of events to their destinations.

Owns the threads that push, as many as subscriptions may be there, so that a
destination that is slow or dead holds up no other one, and what happens when
a push fails.  At least once and in order: a push is repeated until it was
taken, and what was taken is noted afterwards.  The process that owns the
workers delivers; no transaction is open while it waits for a destination.
"""

import collections
import json
import logging
import queue
import threading
import time
from collections.abc import Callable

from oslo_config import cfg

from hawkfish_plugin import events, exceptions, totals
from hawkfish_plugin.deadlines import Deadlines
from hawkfish_plugin.events import (
    destinations,
    filters,
    pushing,
    subscriptions,
)
from hawkfish_plugin.events.lookups import Lookups
from hawkfish_plugin.redfish import events as redfish_events
from hawkfish_plugin.redfish.common import Resource
from hawkfish_plugin.supervision import (
    RETRY_SECONDS,
    Failures,
    Finished,
    Supervisor,
)

LOG = logging.getLogger(__name__)

# DSP0266 12.1.1: the limit of a push, less the room for what is around the
# events.
MAX_PUSH_BYTES = 1024 * 1024 - 8192

# How often the events of other processes are looked for.
_POLL_SECONDS = 0.25
# How long the events of one cause, and of a busy service, gather for a push.
_GATHER_SECONDS = 0.05
_BATCH = 200
_LONGEST_BACKOFF_SECONDS = 3600
# A thread that has had nothing to push for so long ends.
_IDLE_SECONDS = 10.0

Allows = Callable[[events.Event, subscriptions.Subscription], bool]


class _Line:
    """
    What is to be delivered for one subscription.

    *delivered* is how far it has come, *noted* how much of that the database
    knows; *newest* is the last event that there is.
    """

    def __init__(
        self, number: int, delivered: int, exchange: pushing.Exchange
    ):
        self.number = number
        self.delivered = self.noted = self.newest = delivered
        self.exchange = exchange
        self.suspended = self.busy = False
        self.resting_until = 0.0

    def has_work(self) -> bool:
        return (
            self.newest > self.delivered
            and not self.suspended
            and time.monotonic() >= self.resting_until
        )


class Delivery:
    """Delivers the events that each subscription *is_allowed* to get."""

    def __init__(
        self,
        table: events.Events,
        subscription_table: subscriptions.Subscriptions,
        conf: cfg.ConfigOpts,
        is_allowed: Allows,
        supervisor: Supervisor,
        deadlines: Deadlines,
    ) -> None:
        self._events = table
        self._subscriptions = subscription_table
        self._conf = conf.events
        self._is_allowed = is_allowed
        self._supervisor = supervisor
        self._deadlines = deadlines
        self._names = Lookups(supervisor)
        self._failures = Failures(LOG)
        self._lines: dict[int, _Line] = {}
        # Whose subscription is gone, and which still keep a thread.
        self._orphans: list[_Line] = []
        self._queue: queue.SimpleQueue[_Line] = queue.SimpleQueue()
        # The outcomes of pushes that the database does not know yet.
        self._pushes: collections.deque[str] = collections.deque()

    def start(self, over: threading.Event | None = None) -> None:
        """
        Deliver until *over* is set; in the process that owns the workers.
        """
        over = over or threading.Event()
        self._lines, self._queue = {}, queue.SimpleQueue()
        self._supervisor.repeat('events', lambda: self._look(over), over)

    def _look(self, over: threading.Event) -> None:
        self._events.news.wait(_POLL_SECONDS)
        self._events.news.clear()
        time.sleep(_GATHER_SECONDS)
        self._look_around()
        busy = sum(line.busy for line in self._lines.values())
        self._orphans = [line for line in self._orphans if line.busy]
        most = min(busy, self._conf.max_subscriptions) + len(self._orphans)
        for number in range(most):
            self._supervisor.repeat(f'push-{number}', self._serve, over)

    def _look_around(self) -> None:
        """Note what was taken, and queue each line that has work."""
        self._note_delivered()
        self._subscriptions.forget_dead_streams()
        newest = self._events.newest()
        there = {
            subscription.id: subscription
            for subscription in self._subscriptions.list()
            if subscription.type == subscriptions.PUSHED
        }
        for number in set(self._lines) - set(there):
            line = self._lines.pop(number)
            line.exchange.end()
            self._failures.forget(f'Subscription {number}')
            self._orphans.append(line)
        for number, subscription in there.items():
            if number not in self._lines:
                self._lines[number] = _Line(
                    number,
                    subscription.delivered,
                    pushing.Exchange(self._deadlines, self._names),
                )
            line = self._lines[number]
            line.newest, line.suspended = newest, subscription.suspended
            if line.has_work() and not line.busy:
                line.busy = True
                self._queue.put(line)

    def _serve(self) -> None:
        """Push what is new for one line, by a thread of the pool."""
        try:
            line = self._queue.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            raise Finished from None
        last, pause = line.delivered, RETRY_SECONDS
        try:
            last, pause = self._deliver(line)
            self._failures.forget(f'Subscription {line.number}')
        except Exception as exc:
            self._failures.tell(f'Subscription {line.number}', exc)
        line.delivered = last
        line.resting_until = time.monotonic() + pause
        line.busy = False
        # So that it is noted soon, seldom pushed again after a crash, and
        # gone on with.
        self._events.news.set()

    def _note_delivered(self) -> None:
        # In one transaction for all: operations write to the database too.
        delivered = {
            number: line.delivered
            for number, line in self._lines.items()
            if line.delivered > line.noted
        }
        pushes = collections.Counter(
            self._pushes.popleft() for _ in range(len(self._pushes))
        )
        if delivered or pushes:
            self._subscriptions.note_delivered(delivered, pushes)
            for number, last in delivered.items():
                self._lines[number].noted = last

    def _deliver(self, line: _Line) -> tuple[int, float]:
        """
        Push what comes next for *line*.

        Returns the last event that needs no push any more, and how many
        seconds to leave the destination alone.
        """
        number, last = line.number, line.delivered
        try:
            subscription = self._subscriptions.get(number)
        except exceptions.SubscriptionNotFound:
            return last, RETRY_SECONDS
        last = max(last, subscription.delivered)
        batch = self._events.after(last, _BATCH)
        if subscription.suspended or not batch:
            return last, RETRY_SECONDS
        wanted = filters.of_subscription(subscription.filters)
        entries, last_taken = _fill(
            [
                (
                    event.id,
                    redfish_events.entry(event)
                    if event.is_loss
                    or (
                        self._is_allowed(event, subscription) and wanted(event)
                    )
                    else None,
                )
                for event in batch
            ]
        )
        try:
            if entries:
                self._push(subscription, entries, line.exchange)
                self._pushes.append(totals.TAKEN)
        except pushing.NotTaken as exc:
            self._pushes.append(totals.REFUSED)
            return last, self._note_failure(subscription, exc)
        if subscription.failures:
            self._subscriptions.update(number, failures=0)
        return last_taken, 0

    def _push(
        self,
        subscription: subscriptions.Subscription,
        entries: list[Resource],
        exchange: pushing.Exchange,
    ) -> None:
        destination = subscription.destination
        if not destinations.is_allowed(
            destination, self._conf.allowed_destinations
        ):
            raise pushing.NotTaken('it is not an allowed destination any more')
        body = json.dumps(redfish_events.event(subscription.context, entries))
        headers = {
            **dict(subscription.headers),
            'Content-Type': 'application/json',
            'OData-Version': '4.0',
        }
        status = exchange.post(
            destination,
            body.encode(),
            headers,
            lambda: pushing.tls(subscription.verify, self._conf.ca_file),
        )
        # A redirect is not followed: it could lead anywhere.
        if not 200 <= status < 300:
            raise pushing.NotTaken(f'it answered {status}')

    def _note_failure(
        self, subscription: subscriptions.Subscription, error: pushing.NotTaken
    ) -> float:
        """Do as the retry policy says; return the seconds until then."""
        number, policy = subscription.id, subscription.retry_policy
        failures = subscription.failures + 1
        LOG.warning(
            'Subscription %s: %s did not take its events: %s',
            number,
            destinations.shown(subscription.destination),
            error,
        )
        given_up = failures > self._conf.delivery_retry_attempts
        if given_up and policy == subscriptions.TERMINATE:
            LOG.error('Subscription %s is terminated', number)
            self._subscriptions.delete(number)
            return RETRY_SECONDS
        if given_up and policy == subscriptions.SUSPEND:
            LOG.error('Subscription %s is suspended', number)
            self._subscriptions.update(
                number, failures=failures, suspended=True
            )
            return RETRY_SECONDS
        self._subscriptions.update(number, failures=failures)
        return self._pause(policy, failures)

    def _pause(self, policy: str, failures: int) -> float:
        interval: int = self._conf.delivery_retry_interval
        if policy != subscriptions.BACKOFF:
            return interval
        doubled = interval << min(failures - 1, 12)
        return max(interval, min(doubled, _LONGEST_BACKOFF_SECONDS))


def _fill(
    batch: list[tuple[int, Resource | None]],
) -> tuple[list[Resource], int]:
    """
    The entries of *batch* that fit into one push, and the id of the last.

    None stands for an event that is not wanted.
    """
    entries: list[Resource] = []
    size, last = 0, 0
    for number, entry in batch:
        if entry is not None:
            size += len(json.dumps(entry)) + 2
            if entries and size > MAX_PUSH_BYTES:
                break
            entries.append(entry)
        last = number
    return entries, last
