# SPDX-License-Identifier: Apache-2.0
"""Events, their subscriptions, and the stream of them."""

import dataclasses
import datetime
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import requests
from sushy import exceptions
from sushy.resources import base

from hawkfish_plugin.client import common, typed
from hawkfish_plugin.client.tasks import FIRST_PAUSE, LONGEST_PAUSE

SUBSCRIPTIONS = '/redfish/v1/EventService/Subscriptions'
EVENT_STREAM = '/redfish/v1/EventService/SSE'
# An idle stream sends a comment every few seconds; if not, it is dead.
STREAM_SILENCE = 30.0


@dataclasses.dataclass(frozen=True)
class Event:
    """One event; a stream can resume after its *identity*."""

    identity: str
    json: dict[str, Any]

    def __repr__(self) -> str:
        return f'<Event {self.identity}: {self.message_id}>'

    @property
    def timestamp(self) -> datetime.datetime | None:
        """When the event happened, if it says so."""
        text = self.json.get('EventTimestamp')
        return common.moment(text) if text else None

    @property
    def severity(self) -> str:
        """``OK``, ``Warning`` or ``Critical``"""
        return str(self.json.get('MessageSeverity', ''))

    @property
    def message_id(self) -> str:
        """The MessageId of the event."""
        return str(self.json.get('MessageId', ''))

    @property
    def message(self) -> str:
        """The text of the event."""
        return str(self.json.get('Message', ''))

    @property
    def origin(self) -> str:
        """The path of the resource that the event is about, if any."""
        link = self.json.get('OriginOfCondition') or {}
        return str(link.get('@odata.id', ''))


class Subscription(typed.Resource):
    """One event subscription."""

    identity: str = base.Field('Id', required=True)
    type: str = base.Field('SubscriptionType')
    """``RedfishEvent`` for a destination, ``SSE`` for an open stream"""

    destination: str | None = base.Field('Destination')
    context: str | None = base.Field('Context')
    """Text that the subscriber chose to be sent with its events"""

    retry_policy: str | None = base.Field('DeliveryRetryPolicy')
    verify_certificate: bool | None = base.Field('VerifyCertificate')
    state: str = base.Field(['Status', 'State'])
    """``Enabled``, or ``Disabled`` if it is suspended"""

    health: str | None = base.Field(['Status', 'Health'])

    def __repr__(self) -> str:
        return f'<Subscription {self.identity}: {self.destination}>'

    def delete(self) -> None:
        """Delete the subscription and close its stream, if any."""
        self._conn.delete(self.path)


def _blocks(response: requests.Response) -> Iterator[tuple[str, str]]:
    """Yield the id and the data of each block; either may be empty."""
    # Read chunks as they arrive; without chunks, read byte by byte.
    chunk = None if getattr(response.raw, 'chunked', False) else 1
    block: dict[str, str] = {}
    for line in response.iter_lines(chunk_size=chunk):
        if not line:
            yield block.get('id', ''), block.get('data', '')
            block = {}
        name, _, value = line.decode(errors='replace').partition(': ')
        if name == 'data' and 'data' in block:
            value = f'{block["data"]}\n{value}'
        block[name] = value


def _events(identity: str, data: str) -> Iterable[Event]:
    entries = json.loads(data)['Events'] if data else ()
    return [Event(identity, entry) for entry in entries]


def stream(
    conn: Any,
    after: str | None,
    wanted: str | None,
    lost: Callable[[], None] | None,
) -> Iterator[Event]:
    """Yield events as ``HawkFish.events`` describes it."""
    last, pause = after, FIRST_PAUSE
    opened = is_open = False
    while True:
        try:
            for identity, data in _listen(conn, last, wanted):
                pause, last = FIRST_PAUSE, identity
                opened = is_open = True
                yield from _events(identity, data)
        except (exceptions.ConnectionError, exceptions.ServerSideError):
            if not opened:
                raise
        except requests.RequestException:
            # The stream was lost; complete events were yielded.
            pass
        if is_open and lost:
            lost()
        is_open = False
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _listen(
    conn: Any, last: str | None, wanted: str | None
) -> Iterator[tuple[str, str]]:
    headers = {} if last is None else {'Last-Event-ID': last}
    response = conn.get(
        EVENT_STREAM,
        headers=headers,
        params={'$filter': wanted} if wanted else None,
        timeout=STREAM_SILENCE,
        stream=True,
    )
    with response:
        for identity, data in _blocks(response):
            if identity:
                last = identity
            yield last or '', data
