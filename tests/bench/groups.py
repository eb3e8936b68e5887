# SPDX-License-Identifier: Apache-2.0
"""
Groups of systems over HTTP, against virsh on one system after the other.

The pauses, and how far they are apart, are those that QEMU tells of.  What the
host can do at the most is told by virsh on all systems at once, and by the
processor time that all of it takes.
"""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Sequence
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
    # More often, a client would take a good part of a core.
    pause = 0.03

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


class AtOnce:
    """The same, to all of them at one time."""

    def __init__(self, plain: Sequence[Plain]) -> None:
        self._plain = plain

    def create(self, name: str) -> None:
        self._all(lambda one: one.create(name, live=False))

    def revert(self, name: str) -> None:
        self._all(lambda one: one.revert(name))

    def delete(self, name: str) -> None:
        self._all(lambda one: one.delete(name))

    def _all(self, call: Callable[[Plain], None]) -> None:
        with concurrent.futures.ThreadPoolExecutor(len(self._plain)) as pool:
            list(pool.map(call, self._plain))


def measure(host: Host, emulator: Served, bare: Served) -> list[Row]:
    return [
        row
        for count in COUNTS
        for row in measure_one(host, emulator, bare, count)
    ]


def measure_one(
    host: Host, emulator: Served, bare: Served, count: int
) -> list[Row]:
    """The rows of a group of *count* systems."""
    names = [f'lab{count}-{number}' for number in range(count)]
    uuids = [boot(host, name) for name in names]
    virsh = Virsh(host)
    plain = [Plain(virsh, name) for name in names]
    sides = {
        'ours': Group(emulator, uuids),
        'bare': Group(bare, uuids),
        'virsh': InTurn(plain),
        'at once': AtOnce(plain),
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
    return _rows(count, taken)


def _round(side: Any, stops: Sequence[Stops], samples: Samples) -> None:
    pauses: list[float] = []
    with contextlib.ExitStack() as stack:
        for stop in stops:
            stack.enter_context(stop.during(pauses))
        _timed('create', lambda: side.create('bench'), samples)
        # The events come by another thread.
        time.sleep(_EVENT_SECONDS)
        samples['skew'].append(_spread([stop.stopped for stop in stops]))
    samples['pause'].append(max(pauses))
    time.sleep(SETTLE_SECONDS)
    _timed('revert', lambda: side.revert('bench'), samples)
    time.sleep(SETTLE_SECONDS + _EVENT_SECONDS)
    samples['resume'].append(_spread([stop.resumed for stop in stops]))
    _timed('delete', lambda: side.delete('bench'), samples)


def _timed(verb: str, call: Callable[[], object], samples: Samples) -> None:
    busy = _busy()
    samples[verb].append(seconds(call))
    samples[f'{verb}, busy'].append(_busy() - busy)


def _busy() -> float:
    """The seconds that all processors of the host have been busy."""
    line = pathlib.Path('/proc/stat').read_text().splitlines()[0].split()
    user, nice, system, _, _, irq, soft = map(int, line[1:8])
    return (user + nice + system + irq + soft) / os.sysconf('SC_CLK_TCK')


def _spread(moments: Sequence[float]) -> float:
    return max(moments) - min(moments)


def _rows(count: int, taken: dict[str, Samples]) -> list[Row]:
    what = f'a group of {count}'
    ours, virsh = taken['ours'], taken['virsh']
    targets = {'create': 0.6 if count == COUNTS[0] else None, 'revert': 0.5}
    rows = [
        Row(
            f'{what}: {verb}, {words}',
            f'virsh snapshot-{verb}, one by one',
            taken[side][verb],
            virsh[verb],
            targets.get(verb) if side in ('ours', 'bare') else None,
        )
        for verb in ('create', 'revert', 'delete')
        for side, words in (
            ('ours', 'as by default'),
            ('bare', 'without the agent'),
            ('at once', 'by virsh at once'),
        )
    ]
    rows += [
        Row(
            f'{what}: {verb}, processor time of the host',
            'virsh, one by one',
            taken['bare'][f'{verb}, busy'],
            virsh[f'{verb}, busy'],
        )
        for verb in ('create', 'revert', 'delete')
    ]
    rows += [
        Row(
            f'{what}: longest pause in a create, {words}',
            'virsh without --live',
            taken[side]['pause'],
            virsh['pause'],
            1.2 if count == COUNTS[0] and side == 'ours' else None,
        )
        for side, words in (('ours', 'by QEMU'), ('at once', 'virsh at once'))
    ]
    for key, words in (
        ('skew', 'first to last system paused, by QEMU'),
        ('resume', 'first to last system resumed by a revert'),
    ):
        allowed = [_SKEW_SECONDS] * len(ours[key])
        rows.append(
            Row(
                f'{what}: {words}',
                'at the most',
                ours[key],
                allowed,
                1.0,
                figure=max,
            )
        )
    return rows
