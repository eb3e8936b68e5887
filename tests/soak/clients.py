# SPDX-License-Identifier: Apache-2.0
"""
The clients of the soak that behave.

Owns what they do, how long their lists took, and what became of what they
were promised: each task that was accepted is followed to its end, over any
number of kills.
"""

import collections
import concurrent.futures
import dataclasses
import random
import threading
import time
from collections.abc import Callable

import requests

from tests.served import FAKE_UUID

SERVICE = '/redfish/v1'
SNAPSHOTS = f'{SERVICE}/Systems/{FAKE_UUID}/Oem/HawkFish/Snapshots'
AGGREGATES = f'{SERVICE}/AggregationService/Aggregates'
GROUP = f'{AGGREGATES}/soak'
GROUP_SNAPSHOTS = f'{GROUP}/Oem/HawkFish/Snapshots'
SECONDS = 30.0

# How long a task may take at most, and how long its client waits to ask again.
_TASK_SECONDS = 120.0
_POLL_SECONDS = 0.3
# So many ask at once that each thread of the service has to be there.
_HURRIED = 64
# How long a client thinks between two requests.
_THINK_SECONDS = 0.5, 1.5


@dataclasses.dataclass(frozen=True)
class Timed:
    """A list that was asked for at *begin* and took *seconds*."""

    begin: float
    seconds: float


class Clients:
    """
    Clients of the service at *url*, until they are stopped.

    *taken* are the lists that were got, *faults* what there should not be, by
    what it is; *ended* counts the tasks, by operation and status.  What fails
    because the emulator is being killed is no fault, unless it *lasts*.
    """

    def __init__(self, url: str, lasts: bool) -> None:
        self.url, self.lasts = url, lasts
        self.taken: list[Timed] = []
        self.faults: collections.Counter[str] = collections.Counter()
        self.ended: collections.Counter[str] = collections.Counter()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, lists: int) -> None:
        """Begin, with *lists* that list, one that creates, one of groups."""
        self._over.clear()
        work = [self._create, self._work_on_group, *[self._list] * lists]
        self._threads = [
            threading.Thread(target=self._forever, args=(one,), daemon=True)
            for one in work
        ]
        for thread in self._threads:
            thread.start()

    def hurry(self) -> None:
        """Ask for lists without a pause, until all threads were needed."""
        with concurrent.futures.ThreadPoolExecutor(_HURRIED) as pool:
            list(pool.map(lambda _: self._list(), range(20 * _HURRIED)))

    def stop(self) -> None:
        """Let each finish what it does."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * _TASK_SECONDS)

    def _forever(self, work: Callable[[], None]) -> None:
        while not self._over.wait(random.uniform(*_THINK_SECONDS)):
            try:
                work()
            except requests.RequestException as exc:
                if self.lasts:
                    self.faults[f'{work.__name__}: {exc}'] += 1

    def _list(self) -> None:
        begin = time.monotonic()
        found = requests.get(self.url + SNAPSHOTS, timeout=SECONDS)
        self.taken.append(Timed(begin, time.monotonic() - begin))
        if found.status_code != 200 and self.lasts:
            self.faults[f'list: {found.status_code} {found.text[:300]}'] += 1

    def _create(self) -> None:
        self._run('create', 'POST', SNAPSHOTS)

    def _work_on_group(self) -> None:
        """A create, a revert to it, and at times a delete."""
        made = self._run('group create', 'POST', GROUP_SNAPSHOTS)
        if made is None or made.status_code != 201:
            return
        uri = made.headers['Location']
        revert = f'{uri}/Actions/HawkFishGroupSnapshot.Revert'
        self._run('group revert', 'POST', revert)
        if random.random() < 0.8:
            self._run('group delete', 'DELETE', uri)

    def _run(
        self, name: str, method: str, path: str
    ) -> requests.Response | None:
        """The last answer of an operation, None where it was refused."""
        accepted = requests.request(
            method,
            self.url + path,
            json={} if method == 'POST' else None,
            timeout=SECONDS,
        )
        if accepted.status_code != 202:
            self.ended[f'{name} refused: {accepted.status_code}'] += 1
            return None
        answer = self._follow(accepted.headers['Location'])
        self.ended[f'{name}: {answer.status_code}'] += 1
        if answer.status_code in (202, 404, 500):
            self.faults[f'{name}: {answer.status_code} {answer.text}'] += 1
        return answer

    def _follow(self, monitor: str) -> requests.Response:
        """What *monitor* says at the end, or after a long time."""
        begin = time.monotonic()
        while True:
            try:
                answer = requests.get(self.url + monitor, timeout=SECONDS)
                if (
                    answer.status_code not in (202, 503)
                    or time.monotonic() - begin > _TASK_SECONDS
                ):
                    return answer
            except requests.RequestException:
                if time.monotonic() - begin > _TASK_SECONDS:
                    raise
            time.sleep(_POLL_SECONDS)
