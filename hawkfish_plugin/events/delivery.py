# SPDX-License-Identifier: Apache-2.0
"""
The sending of events to their destinations.

Owns the threads that push, one for each subscription, so that a destination
that is slow or dead holds up no other one, and what happens when a push
fails.  At least once and in order: a push is repeated until it was taken, and
what was taken is noted afterwards.  The process that owns the workers
delivers; no transaction is open while it waits for a destination.
"""

import json
import logging
import threading
import time
from collections.abc import Callable

import requests
import urllib3
from oslo_config import cfg

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.events import destinations, filters, subscriptions
from hawkfish_plugin.redfish import events as redfish_events
from hawkfish_plugin.redfish.common import Resource

LOG = logging.getLogger(__name__)

# DSP0266 12.1.1: the limit of a push, less the room for what is around the
# events.
MAX_PUSH_BYTES = 1024 * 1024 - 8192

# How often the events of other processes are looked for.
_POLL_SECONDS = 0.25
# How long the events of one cause, and of a busy service, gather for a push.
_GATHER_SECONDS = 0.05
_RETRY_SECONDS = 1.0
_BATCH = 200
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 10.0
_LONGEST_BACKOFF_SECONDS = 3600

Wanted = Callable[[events.Event], bool]


class _NotTaken(Exception):
    """A push failed; the text says why, and holds nothing secret."""


class Delivery:
    """Delivers the events that *is_allowed* lets this process show."""

    def __init__(
        self,
        table: events.Events,
        subscription_table: subscriptions.Subscriptions,
        conf: cfg.ConfigOpts,
        is_allowed: Wanted,
    ) -> None:
        self._events = table
        self._subscriptions = subscription_table
        self._conf = conf.events
        self._is_allowed = is_allowed
        self._threads: dict[int, DeliveryThread] = {}

    def start(self) -> None:
        """Deliver from now on; in the process that owns the workers."""
        threading.Thread(
            target=self._supervise, name='hawkfish-events', daemon=True
        ).start()

    def _supervise(self) -> None:
        while True:
            self._events.news.wait(_POLL_SECONDS)
            self._events.news.clear()
            time.sleep(_GATHER_SECONDS)
            try:
                self._look_around()
            except exceptions.StateUnavailable as exc:
                LOG.error('Events wait: %s', messages.text(exc))
                time.sleep(_RETRY_SECONDS)
            except Exception:
                LOG.exception('The delivery of events failed, and continues')
                time.sleep(_RETRY_SECONDS)

    def _look_around(self) -> None:
        """Note what was taken, and give each thread what is new for it."""
        self._note_delivered()
        self._subscriptions.forget_dead_streams()
        newest = self._events.newest()
        there = {
            subscription.id: subscription
            for subscription in self._subscriptions.list()
            if subscription.type == subscriptions.PUSHED
        }
        for number, thread in list(self._threads.items()):
            if number not in there:
                thread.dismiss()
            if not thread.is_alive():
                del self._threads[number]
        for number, subscription in there.items():
            if number not in self._threads:
                self._threads[number] = DeliveryThread(
                    number, subscription.delivered, self._deliver
                )
                self._threads[number].start()
            self._threads[number].look(newest, subscription.suspended)

    def _note_delivered(self) -> None:
        # In one transaction for all: operations write to the database too.
        delivered = {
            number: thread.delivered
            for number, thread in self._threads.items()
            if thread.delivered > thread.noted
        }
        if delivered:
            self._subscriptions.note_delivered(delivered)
            for number, last in delivered.items():
                self._threads[number].noted = last

    def _deliver(self, number: int, last: int) -> tuple[int, float]:
        """
        Push what comes after *last*.

        Returns the last event that needs no push any more, and how many
        seconds to leave the destination alone.
        """
        try:
            subscription = self._subscriptions.get(number)
        except exceptions.SubscriptionNotFound:
            return last, _RETRY_SECONDS
        last = max(last, subscription.delivered)
        batch = self._events.after(last, _BATCH)
        if subscription.suspended or not batch:
            return last, _RETRY_SECONDS
        wanted = filters.of_subscription(subscription.filters)
        entries, last_taken = _fill(
            [
                (
                    event.id,
                    redfish_events.entry(event)
                    if self._is_wanted(event, wanted)
                    else None,
                )
                for event in batch
            ]
        )
        try:
            if entries:
                self._push(subscription, entries)
        except _NotTaken as exc:
            return last, self._note_failure(subscription, exc)
        if subscription.failures:
            self._subscriptions.update(number, failures=0)
        # So that it is noted soon, and seldom pushed again after a crash.
        self._events.news.set()
        return last_taken, 0

    def _is_wanted(self, event: events.Event, wanted: Wanted) -> bool:
        return event.is_loss or (self._is_allowed(event) and wanted(event))

    def _push(
        self,
        subscription: subscriptions.Subscription,
        entries: list[Resource],
    ) -> None:
        destination = subscription.destination
        if not destinations.is_allowed(
            destination, self._conf.allowed_destinations
        ):
            raise _NotTaken('it is not an allowed destination any more')
        body = json.dumps(redfish_events.event(subscription.context, entries))
        headers = {
            **dict(subscription.headers),
            'Content-Type': 'application/json',
            'OData-Version': '4.0',
        }
        status = _post(
            destination,
            body,
            headers,
            subscription.verify and (self._conf.ca_file or True),
        )
        # A redirect is not followed: it could lead anywhere.
        if not 200 <= status < 300:
            raise _NotTaken(f'it answered {status}')

    def _note_failure(
        self, subscription: subscriptions.Subscription, error: _NotTaken
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
            return _RETRY_SECONDS
        if given_up and policy == subscriptions.SUSPEND:
            LOG.error('Subscription %s is suspended', number)
            self._subscriptions.update(
                number, failures=failures, suspended=True
            )
            return _RETRY_SECONDS
        self._subscriptions.update(number, failures=failures)
        return self._pause(policy, failures)

    def _pause(self, policy: str, failures: int) -> float:
        interval: int = self._conf.delivery_retry_interval
        if policy != subscriptions.BACKOFF:
            return interval
        doubled = interval << min(failures - 1, 12)
        return max(interval, min(doubled, _LONGEST_BACKOFF_SECONDS))


class DeliveryThread(threading.Thread):
    """
    The thread of one subscription.

    *delivered* is how far it has come, *noted* how much of that the database
    knows.
    """

    def __init__(
        self,
        number: int,
        delivered: int,
        deliver: Callable[[int, int], tuple[int, float]],
    ) -> None:
        super().__init__(name=f'hawkfish-events-{number}', daemon=True)
        self.delivered = self.noted = delivered
        self._number = number
        self._deliver = deliver
        self._newest = delivered
        self._suspended = self._dismissed = False
        self._resting_until = 0.0
        self._changed = threading.Condition()

    def look(self, newest: int, suspended: bool) -> None:
        """Tell the thread which event is the newest one."""
        with self._changed:
            self._newest, self._suspended = newest, suspended
            if self._has_work():
                self._changed.notify()

    def dismiss(self) -> None:
        with self._changed:
            self._dismissed = True
            self._changed.notify()

    def _has_work(self) -> bool:
        return self._dismissed or (
            self._newest > self.delivered
            and not self._suspended
            and time.monotonic() >= self._resting_until
        )

    def run(self) -> None:
        while True:
            with self._changed:
                # Whoever looks around does so often enough to end a rest.
                self._changed.wait_for(self._has_work)
                if self._dismissed:
                    return
            self.delivered, pause = self._try()
            self._resting_until = time.monotonic() + pause

    def _try(self) -> tuple[int, float]:
        try:
            return self._deliver(self._number, self.delivered)
        except exceptions.StateUnavailable as exc:
            LOG.error(
                'Subscription %s waits: %s', self._number, messages.text(exc)
            )
        except Exception:
            LOG.exception('Subscription %s failed; trying again', self._number)
        return self.delivered, _RETRY_SECONDS


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


def _post(
    destination: str, body: str, headers: dict[str, str], verify: bool | str
) -> int:
    """The status of the answer, of which nothing else is read."""
    try:
        with requests.Session() as session:
            # The environment could name a proxy, passwords and certificates.
            session.trust_env = False
            with session.post(
                destination,
                data=body,
                headers=headers,
                verify=verify,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code
    # ValueError: a host name that no resolver takes.
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
        ValueError,
    ) as exc:
        # Its text would tell the whole URL.
        raise _NotTaken(type(exc).__name__) from exc
