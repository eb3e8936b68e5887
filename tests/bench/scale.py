# SPDX-License-Identifier: Apache-2.0
"""
Many systems, many snapshots, many clients: ``python -m tests.bench.scale``.

The emulator runs under gunicorn with four workers.  Every client reads most
of the time; it creates and deletes on systems of its own, so that each create
must end with one snapshot.  Exits with 1 after an error, a task that ran
twice, or memory that keeps growing.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import pathlib
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator

import requests

from hawkfish_plugin.client.tasks import FIRST_PAUSE, LONGEST_PAUSE
from tests.bench import operations, populate
from tests.bench.measure import p99
from tests.lab import roots
from tests.lab.host import Host
from tests.served import OWN_WSGI, Served

WORKERS = 4
WRITES = 0.01
# Those that wait their turn, one behind the other, must all get it.
MOST_SECONDS = 600
# What the workers may take more at the end than after the first quarter.
MOST_GROWTH = 1.2


class Gunicorn(Served):
    """The emulator in several processes."""

    def __init__(self, folder: pathlib.Path, uri: str) -> None:
        super().__init__(folder, uri)
        self.use_gunicorn(
            OWN_WSGI, '--workers', str(WORKERS), '--threads', '16'
        )

    def wait(
        self, accepted: requests.Response, seconds: float = MOST_SECONDS
    ) -> requests.Response:
        return super().wait(accepted, seconds)

    def watch(
        self, monitor: str, seconds: float = MOST_SECONDS
    ) -> requests.Response:
        """Ask more and more seldom: fifty clients would be all the load."""
        deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
        while time.monotonic() < deadline:
            response = requests.get(self.url + monitor, timeout=60)
            if response.status_code != 202:
                return response
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        raise AssertionError(f'{monitor} did not end: {response.text}')

    def resident(self) -> float:
        """The MiB of all processes."""
        assert self.process
        pid = self.process.pid
        task = pathlib.Path(f'/proc/{pid}/task/{pid}/children')
        return sum(_resident(int(child)) for child in task.read_text().split())

    def claims(self) -> int:
        """How many tasks were begun more than once."""
        (path,) = self.folder.glob('state/*/hawkfish.sqlite')
        with sqlite3.connect(path) as connection:
            return int(
                connection.execute(
                    'SELECT COUNT(*) FROM tasks WHERE claims > 1'
                ).fetchone()[0]
            )


def _resident(pid: int) -> float:
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(status.split('VmRSS:')[1].split()[0]) / 1024


class Client:
    """One of many; *own* are the systems that only this one changes."""

    def __init__(
        self, emulator: Served, everyone: list[str], own: list[str]
    ) -> None:
        self._emulator = emulator
        self._everyone = everyone
        self._own = own
        self._session = requests.Session()
        self.taken: dict[str, list[float]] = collections.defaultdict(list)
        self.errors: list[str] = []

    def work(self, until: float) -> None:
        while time.monotonic() < until:
            try:
                self._once()
            except Exception as exc:
                self.errors.append(repr(exc)[:500])

    def _once(self) -> None:
        if self._own and random.random() < WRITES:
            system = random.choice(self._own)
            with self._timed('create'):
                self._emulator.create(system, Name='scale')
            with self._timed('delete'):
                self._emulator.delete(system, 'scale')
            return
        system = self._emulator.system(random.choice(self._everyone))
        snapshots = f'{system}/Oem/HawkFish/Snapshots'
        what, uri = random.choice(
            [
                ('GET System', system),
                ('plain list', snapshots),
                ('list with $expand', f'{snapshots}?$expand=.'),
                (
                    'list of systems',
                    f'{self._emulator.url}/redfish/v1/Systems',
                ),
            ]
        )
        with self._timed(what):
            self._session.get(uri, timeout=60).raise_for_status()

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.taken[what].append(time.monotonic() - begin)


def main() -> int:
    parser = argparse.ArgumentParser('python -m tests.bench.scale')
    parser.add_argument('--release', default=roots.default()[0])
    parser.add_argument('--systems', type=int, default=500)
    parser.add_argument('--snapshots', type=int, default=10_000)
    parser.add_argument('--clients', type=int, default=50)
    parser.add_argument('--seconds', type=float, default=600)
    options = parser.parse_args()
    operations.listen()
    with (
        tempfile.TemporaryDirectory() as folder,
        Host('scale', options.release) as host,
    ):
        uuids = []
        for number in range(options.systems):
            uuids.append(populate.small(host, f'scale{number}'))
            populate.grow(
                host, f'scale{number}', options.snapshots // options.systems
            )
        emulator = Gunicorn(pathlib.Path(folder), host.uri)
        emulator.start()
        try:
            return 0 if _run(emulator, uuids, options) else 1
        finally:
            emulator.stop()


def _run(
    emulator: Gunicorn, uuids: list[str], options: argparse.Namespace
) -> bool:
    # The emulator adds its defaults to a definition that it reads first, and
    # waits for an operation on that system; a lab has done so long ago.
    for uuid in uuids:
        requests.get(emulator.system(uuid), timeout=60).raise_for_status()
    clients = [
        Client(emulator, uuids, uuids[number :: options.clients])
        for number in range(options.clients)
    ]
    until = time.monotonic() + options.seconds
    memory = []
    with concurrent.futures.ThreadPoolExecutor(options.clients) as pool:
        for client in clients:
            pool.submit(client.work, until)
        while time.monotonic() < until:
            time.sleep(options.seconds / 20)
            memory.append(emulator.resident())
    errors = [error for client in clients for error in client.errors]
    for what in sorted({what for client in clients for what in client.taken}):
        taken = sorted(t for client in clients for t in client.taken[what])
        print(
            f'{what}: {len(taken)} requests, median '
            f'{taken[len(taken) // 2]:.3f} s, p99 {p99(taken):.3f} s'
        )
    tasks = len(emulator.tasks())
    twice, growth = emulator.claims(), memory[-1] / memory[len(memory) // 4]
    print(f'{tasks} tasks are remembered, {twice} of them began twice')
    print(
        f'memory of {WORKERS} workers: {memory[len(memory) // 4]:.0f} MiB, '
        f'{memory[-1]:.0f} MiB at the end'
    )
    print(f'{len(errors)} errors', *errors[:3], sep='\n  ')
    return not errors and not twice and growth <= MOST_GROWTH


if __name__ == '__main__':
    sys.exit(main())
