# SPDX-License-Identifier: Apache-2.0
"""The emulator's own resources, its start and its size, with and without."""

import concurrent.futures
import itertools
import pathlib
import threading
import time
from collections.abc import Callable

import requests

from tests.bench import populate
from tests.bench.measure import Row, in_turn, p99
from tests.lab.host import Host
from tests.served import ACTIVATE, Served

ROUNDS = 7
GETS = 300
BUSY = 8


def measure(
    host: Host, ours: Served, stock: Served, folder: pathlib.Path
) -> list[Row]:
    uuid = populate.small(host, 'asked')
    return [
        *_latencies(ours, stock, uuid),
        *_rates(ours, stock, uuid),
        *_sizes(ours, stock),
        _start(host, folder),
        *_busy(host, ours, stock, uuid),
    ]


def getter(uri: str) -> Callable[[], None]:
    session = requests.Session()

    def get() -> None:
        session.get(uri, timeout=60).raise_for_status()

    return get


def _latencies(ours: Served, stock: Served, uuid: str) -> list[Row]:
    with_it, without = in_turn(
        GETS, getter(ours.system(uuid)), getter(stock.system(uuid))
    )
    return [
        Row('GET System, with the plugin', 'without', with_it, without, 1.05)
    ]


def _rates(ours: Served, stock: Served, uuid: str) -> list[Row]:
    listing = f'{ours.system(uuid)}/Oem/HawkFish/Snapshots'
    taken = in_turn(
        3, lambda: _many(listing, 200), lambda: _many(stock.system(uuid), 200)
    )
    listed, asked = ([200 / s for s in samples] for samples in taken)
    return [
        Row(
            'requests per second, 4 clients: our empty list',
            'GET System without the plugin',
            listed,
            asked,
            unit='1/s',
        )
    ]


def _many(uri: str, count: int) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for call in [getter(uri) for _ in range(4)]:
            pool.submit(lambda c=call: [c() for _ in range(count // 4)])


def _sizes(ours: Served, stock: Served) -> list[Row]:
    return [
        Row(
            'memory of the emulator, with the plugin',
            'without',
            [_resident(ours)],
            [_resident(stock)],
            unit='MiB',
        )
    ]


def _resident(emulator: Served) -> float:
    assert emulator.process
    status = pathlib.Path(f'/proc/{emulator.process.pid}/status').read_text()
    return int(status.split('VmRSS:')[1].split()[0]) / 1024


def _start(host: Host, folder: pathlib.Path) -> Row:
    numbers = itertools.count()

    def start(preamble: str) -> None:
        own = folder / f'start-{next(numbers)}'
        own.mkdir()
        started = Served(own, host.uri, preamble=preamble)
        # Whatever the environment says: a user's second start is measured.
        started.environment.pop('PYTHONDONTWRITEBYTECODE', None)
        started.environment['PYTHONPYCACHEPREFIX'] = str(folder / 'compiled')
        try:
            started.start()
        finally:
            started.stop()

    with_it, without = in_turn(
        ROUNDS, lambda: start(ACTIVATE), lambda: start('')
    )
    return Row(
        'start of the emulator, with the plugin',
        'without',
        with_it,
        without,
        1.3,
    )


def _busy(host: Host, ours: Served, stock: Served, uuid: str) -> list[Row]:
    # The stock emulator has no part in the operations: what it suffers is
    # the machine's.
    gets = [getter(ours.system(uuid)), getter(stock.system(uuid))]
    idle = in_turn(GETS, *gets)
    systems = [populate.small(host, f'busy{n}') for n in range(BUSY)]
    connection = host.connect()
    for number in range(BUSY):
        connection.lookupByName(f'busy{number}').create()
    done = threading.Event()

    def work(system: str) -> None:
        while not done.is_set():
            ours.create(system, Name='busy')
            ours.delete(system, 'busy')

    with concurrent.futures.ThreadPoolExecutor(BUSY) as pool:
        futures = [pool.submit(work, system) for system in systems]
        try:
            time.sleep(1)
            busy = in_turn(GETS, *gets)
        finally:
            done.set()
        for future in futures:
            future.result()
    for number in range(BUSY):
        connection.lookupByName(f'busy{number}').destroy()
    connection.close()
    return [
        Row(
            f'p99 of GET System, with {BUSY} operations running',
            'idle',
            busy[0],
            idle[0],
            2.0,
            figure=p99,
        ),
        Row(
            'the same of an emulator without the plugin beside it',
            'idle',
            busy[1],
            idle[1],
            figure=p99,
        ),
    ]
