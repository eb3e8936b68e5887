# SPDX-License-Identifier: Apache-2.0
"""
Groups of systems over HTTP, against virsh on one system after the other.

The pauses, and how far they are apart, are those that QEMU tells of.
"""

import collections
import contextlib
import time
from collections.abc import Sequence
from typing import Any

import requests

from tests.bench.measure import Row, Virsh, seconds
from tests.bench.operations import SETTLE_SECONDS, Ours, Plain, Samples, boot
from tests.bench.pauses import Stops
from tests.lab.host import Host
from tests.served import Served

ROUNDS = 5
COUNTS = (3, 8)
# The most that the first and the last of a group may be apart.
_SKEW_SECONDS = 0.010
_EVENT_SECONDS = 0.1


class Group(Ours):
    """A group of systems, as a client has it captured and reverted."""

    action = 'HawkFishGroupSnapshot.Revert'

    def __init__(self, emulator: Served, uuids: Sequence[str]) -> None:
        made = requests.post(
            f'{emulator.url}/redfish/v1/AggregationService/Aggregates',
            json={
                'Elements': [
                    {'@odata.id': f'/redfish/v1/Systems/{uuid}'}
                    for uuid in uuids
                ]
            },
            timeout=60,
        )
        assert made.status_code == 201, made.text
        aggregate = emulator.url + made.headers['Location']
        super().__init__(emulator, f'{aggregate}/Oem/HawkFish/Snapshots')


class InTurn:
    """What a user of virsh does to several systems."""

    def __init__(self, plain: Sequence[Plain]) -> None:
        self._plain = plain

    def create(self, name: str) -> None:
        for one in self._plain:
            one.create(name, live=False)

    def revert(self, name: str) -> None:
        for one in self._plain:
            one.revert(name)

    def delete(self, name: str) -> None:
        for one in self._plain:
            one.delete(name)


def measure(host: Host, emulator: Served) -> list[Row]:
    return [row for count in COUNTS for row in _measure(host, emulator, count)]


def _measure(host: Host, emulator: Served, count: int) -> list[Row]:
    names = [f'lab{count}-{number}' for number in range(count)]
    uuids = [boot(host, name) for name in names]
    virsh = Virsh(host)
    sides = {
        'ours': Group(emulator, uuids),
        'virsh': InTurn([Plain(virsh, name) for name in names]),
    }
    taken: dict[str, Samples] = {
        side: collections.defaultdict(list) for side in sides
    }
    with contextlib.ExitStack() as stack:
        # Each connection has the events of one domain.
        connections = [
            stack.enter_context(contextlib.closing(host.connect()))
            for _ in names
        ]
        stops = [
            Stops(connection, name)
            for connection, name in zip(connections, names, strict=True)
        ]
        for number in range(ROUNDS):
            for side in [*sides][:: 1 if number % 2 else -1]:
                _round(sides[side], stops, taken[side])
        for connection, name in zip(connections, names, strict=True):
            connection.lookupByName(name).destroy()
    return _rows(count, taken['ours'], taken['virsh'])


def _round(side: Any, stops: Sequence[Stops], samples: Samples) -> None:
    pauses: list[float] = []
    with contextlib.ExitStack() as stack:
        for stop in stops:
            stack.enter_context(stop.during(pauses))
        samples['create'].append(seconds(lambda: side.create('bench')))
        # The events come by another thread.
        time.sleep(_EVENT_SECONDS)
        samples['skew'].append(_spread([stop.stopped for stop in stops]))
    samples['pause'].append(max(pauses))
    time.sleep(SETTLE_SECONDS)
    samples['revert'].append(seconds(lambda: side.revert('bench')))
    time.sleep(SETTLE_SECONDS + _EVENT_SECONDS)
    samples['resume'].append(_spread([stop.resumed for stop in stops]))
    samples['delete'].append(seconds(lambda: side.delete('bench')))


def _spread(moments: Sequence[float]) -> float:
    return max(moments) - min(moments)


def _rows(count: int, ours: Samples, virsh: Samples) -> list[Row]:
    what = f'a group of {count}'
    allowed = [_SKEW_SECONDS] * len(ours['skew'])
    return [
        Row(
            f'{what}: {verb}',
            f'virsh snapshot-{verb}, one by one',
            ours[verb],
            virsh[verb],
            target,
        )
        for verb, target in (
            ('create', 0.6 if count == COUNTS[0] else None),
            ('revert', 0.5),
            ('delete', None),
        )
    ] + [
        Row(
            f'{what}: longest pause in a create, by QEMU',
            'virsh without --live',
            ours['pause'],
            virsh['pause'],
            1.2 if count == COUNTS[0] else None,
        ),
        Row(
            f'{what}: first to last system paused, by QEMU',
            'at the most',
            ours['skew'],
            allowed,
            1.0,
            figure=max,
        ),
        Row(
            f'{what}: first to last system resumed by a revert',
            'at the most',
            ours['resume'],
            allowed,
            1.0,
            figure=max,
        ),
    ]
