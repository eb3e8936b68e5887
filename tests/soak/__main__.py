# SPDX-License-Identifier: Apache-2.0
"""
``python -m tests.soak``: gunicorn with four workers, killed every minute.

Ten of fifty clients misbehave meanwhile.  At the end every task has an end,
every event has arrived, and there is no thread or descriptor more than after
the first minute.
"""

import argparse
import contextlib
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import requests

from tests.served import FAKE_UUID, OWN_WSGI, Served
from tests.soak import clients
from tests.unit.receiver import Receiver
from tests.waiting import wait_for

_GOOD, _BAD = 40, 10
_KILL_SECONDS = 60.0
_CALM_SECONDS = 15.0


class Soak:
    """One run, in *folder*; what is wrong is gathered in ``faults``."""

    def __init__(self, folder: pathlib.Path, seconds: float) -> None:
        self.process = Served(
            folder,
            OS_EVENTS__DELIVERY_RETRY_INTERVAL='1',
            OS_RETENTION__MAX_SNAPSHOTS='20',
            OS_TASKS__KEEP_COMPLETED='100000',
            OS_EVENTS__KEEP='1000000',
        ).use_gunicorn(OWN_WSGI, '--workers', '4', '--threads', '8')
        self.receiver = Receiver()
        self.faults: list[str] = []
        self.taken: list[float] = []
        self._until = time.monotonic() + seconds
        self._over = threading.Event()
        self._accepted: list[str] = []

    def run(self) -> None:
        self.process.start()
        made = requests.post(
            f'{self.process.url}{clients.SERVICE}/EventService/Subscriptions',
            json={
                'Destination': self.receiver.url,
                'Protocol': 'Redfish',
                'DeliveryRetryPolicy': 'RetryForever',
            },
            timeout=60,
        )
        made.raise_for_status()
        with self._busy([]):
            time.sleep(_CALM_SECONDS)
        before = self._measured()
        bad = [clients.BAD[n % len(clients.BAD)] for n in range(_BAD)]
        with self._busy(bad):
            self._kill_again_and_again()
        self._check_tasks()
        self._check_events()
        self._check_growth(before)

    @contextlib.contextmanager
    def _busy(self, bad: list[clients.Client]) -> Iterator[None]:
        """All clients are at work in the block."""
        self._over.clear()
        work = [*[clients.lists] * (_GOOD - 1), self._create, *bad]
        threads = [
            threading.Thread(
                target=clients.forever,
                args=(one, self.process.url, self._over.is_set),
                daemon=True,
            )
            for one in work
        ]
        for thread in threads:
            thread.start()
        yield
        self._over.set()
        for thread in threads:
            thread.join(60)

    def _create(self, url: str) -> None:
        made = requests.post(url + clients.SNAPSHOTS, json={}, timeout=30)
        if made.status_code == 202:
            self._accepted.append(made.headers['Location'])
        time.sleep(0.5)

    def _kill_again_and_again(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            self._over.wait(min(_KILL_SECONDS, left))
            self.process.stop()
            self.process.start()

    def _check_tasks(self) -> None:
        wait_for(lambda: not self._unfinished(), 'the end of all tasks')
        for monitor in self._accepted:
            found = requests.get(self.process.url + monitor, timeout=60)
            if found.status_code in (202, 404, 500):
                self.faults.append(f'{monitor}: {found.status_code}')

    def _unfinished(self) -> list[str]:
        return [
            task['Id']
            for task in self.process.tasks()
            if task['TaskState'] in ('New', 'Running', 'Cancelling')
        ]

    def _check_events(self) -> None:
        """At least once each: their ids have no gaps."""
        count = -1
        while count != len(self.receiver.ids):
            count = len(self.receiver.ids)
            time.sleep(3)
        ids = set(self.receiver.ids)
        missing = set(range(min(ids), max(ids) + 1)) - ids
        if missing or 'EventBufferExceeded' in self.receiver.messages:
            self.faults.append(f'events lost: {sorted(missing)[:20]}')

    def _check_growth(self, before: dict[str, float]) -> None:
        with self._busy([]):
            time.sleep(_CALM_SECONDS)
        after = self._measured()
        print('after the first seconds:', before)
        print('at the end:', after)
        for name in ('threads', 'descriptors'):
            if after[name] > before[name]:
                self.faults.append(f'more {name}: {before} {after}')
        if after['memory'] > 1.2 * before['memory']:
            self.faults.append(f'more memory: {before} {after}')

    def _measured(self) -> dict[str, float]:
        """Of the processes, when they have come to rest."""
        time.sleep(_CALM_SECONDS)
        begin = time.monotonic()
        for _ in range(200):
            clients.lists(self.process.url)
        found = {'list ms': 5 * (time.monotonic() - begin)}
        assert self.process.process
        master = self.process.process.pid
        pids = [
            int(path.parent.name)
            for path in pathlib.Path('/proc').glob('[0-9]*/stat')
            if _parent(path) == master
        ]
        folders = [pathlib.Path('/proc', str(pid)) for pid in pids]
        found['threads'] = sum(
            len(list((folder / 'task').iterdir())) for folder in folders
        )
        found['descriptors'] = sum(
            len(list((folder / 'fd').iterdir())) for folder in folders
        )
        found['memory'] = statistics.mean(map(_memory, folders))
        return found


def _parent(stat: pathlib.Path) -> int:
    with contextlib.suppress(OSError):
        return int(stat.read_text().rpartition(')')[2].split()[1])
    return 0


def _memory(folder: pathlib.Path) -> int:
    """The bytes that a process occupies."""
    return int((folder / 'statm').read_text().split()[1]) * 4096


def main() -> int:
    parser = argparse.ArgumentParser('tests.soak', description=__doc__)
    parser.add_argument('--minutes', type=float, default=60.0)
    seconds = 60 * parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(pathlib.Path(name), seconds)
        try:
            soak.run()
        finally:
            soak.process.stop()
    print(f'system {FAKE_UUID}, {len(soak.receiver.ids)} events arrived')
    print('\n'.join(soak.faults) or 'nothing is left that should not be')
    return 1 if soak.faults else 0


if __name__ == '__main__':
    sys.exit(main())
