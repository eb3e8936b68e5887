# SPDX-License-Identifier: Apache-2.0
"""No event is lost and none invented when the emulator is killed."""

import random
import time

import pytest
import requests

from tests.served import FAKE_UUID, Served, free_port
from tests.unit.receiver import Receiver

ROUNDS = 4


@pytest.fixture
def process(tmp_path):
    made = Served(tmp_path, OS_EVENTS__DELIVERY_RETRY_INTERVAL='1')
    yield made
    made.stop()


def subscribe(process, url):
    response = requests.post(
        f'{process.url}/redfish/v1/EventService/Subscriptions',
        json={'Destination': url, 'Protocol': 'Redfish'},
    )
    assert response.status_code == 201, response.text


def told_once(receiver):
    """The events by their id, each as often as it was another one."""
    told = {}
    for event in receiver.taken:
        told.setdefault(int(event['EventId']), []).append(
            (event['MessageId'], *event['MessageArgs'])
        )
    assert all(len(set(copies)) == 1 for copies in told.values())
    return {number: copies[0] for number, copies in told.items()}


def check(receiver, names):
    """Every event has come, in order; again only under its own id."""
    told = told_once(receiver)
    assert sorted(told) == list(range(1, max(told) + 1))
    first = list(dict.fromkeys(receiver.ids))
    assert first == sorted(first)
    created = [e[1] for e in told.values() if e[0].endswith('SnapshotCreated')]
    assert created == names
    # None is told twice under two ids.
    ends = [e for e in told.values() if e[0].startswith('TaskEvent')]
    assert len(ends) == len(set(ends)) == 2 * len(names)


def test_events_survive_the_death_of_the_emulator(process):
    """Killed right after each of several operations, all events arrive."""
    receiver = Receiver()
    chance = random.Random(5)
    process.start()
    subscribe(process, receiver.url)
    names = [f's{number}' for number in range(ROUNDS)]
    for name in names:
        process.create(FAKE_UUID, Name=name)
        time.sleep(chance.choice([0, 0, 0.05, 0.1]))
        process.stop()
        process.start()

    receiver.wait(lambda r: len(set(r.ids)) >= 4 * ROUNDS)

    check(receiver, names)
    receiver.stop()


def test_what_happened_while_nobody_listened_arrives_later(process):
    """A receiver that comes up after the restart gets it all."""
    port = free_port()
    process.start()
    subscribe(process, f'http://127.0.0.1:{port}/events')
    for name in ('a', 'b'):
        process.create(FAKE_UUID, Name=name)
    process.stop()
    receiver = Receiver(port=port)

    process.start()

    receiver.wait(lambda r: len(set(r.ids)) >= 8)
    check(receiver, ['a', 'b'])
    receiver.stop()
