# SPDX-License-Identifier: Apache-2.0
"""
A service of the soak: gunicorn as documented, and who is told of its events.

Owns what is measured of its processes, and what must be true when nobody asks
anything of it any more.
"""

import contextlib
import dataclasses
import pathlib
import statistics
import time
from typing import Self

import requests

from tests.served import FAKE_UUID, OWN_WSGI, Served, fake_system
from tests.soak import clients
from tests.unit.receiver import Receiver
from tests.waiting import wait_for

_NODES = [f'00000000-0000-4000-8000-{n:012}' for n in range(3)]
_SYSTEMS = [
    fake_system(FAKE_UUID, 'fake'),
    *(fake_system(uuid, f'node-{n}') for n, uuid in enumerate(_NODES)),
]
_REST_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Size:
    """Of all workers *threads* and *descriptors*; *memory* of one of them."""

    threads: int
    descriptors: int
    memory: float


class Service:
    """One emulator in *folder*, with a group and a subscriber."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir()
        self.process = Served(
            folder,
            config=f'SUSHY_EMULATOR_FAKE_SYSTEMS = {_SYSTEMS!r}\n',
            OS_EVENTS__DELIVERY_RETRY_INTERVAL='1',
            OS_RETENTION__MAX_SNAPSHOTS='20',
        ).use_gunicorn(OWN_WSGI, '--workers', '4', '--threads', '8')
        self.receiver = Receiver()

    def start(self) -> Self:
        self.process.start()
        for path, body in (
            (
                f'{clients.SERVICE}/EventService/Subscriptions',
                {
                    'Destination': self.receiver.url,
                    'Protocol': 'Redfish',
                    'DeliveryRetryPolicy': 'RetryForever',
                },
            ),
            (
                clients.AGGREGATES,
                {
                    'Name': 'soak',
                    'Elements': [
                        {'@odata.id': f'{clients.SERVICE}/Systems/{uuid}'}
                        for uuid in _NODES
                    ],
                },
            ),
        ):
            requests.post(
                self.process.url + path, json=body, timeout=60
            ).raise_for_status()
        return self

    def kill(self) -> None:
        """Kill all its processes, and start it again."""
        self.process.stop()
        self.process.start()

    # What is left ---------------------------------------------------------

    def unfinished(self) -> list[str]:
        """The tasks that have no end, though there was time for it."""
        found: list[str] = []

        def none() -> bool:
            found[:] = [
                f'task {task["Id"]} is {task["TaskState"]}'
                for task in self.process.tasks()
                if task['TaskState'] in ('New', 'Running', 'Cancelling')
            ]
            return not found

        with contextlib.suppress(AssertionError):
            wait_for(none, seconds=_REST_SECONDS, pause=0.5)
        return found

    def lost(self) -> list[int]:
        """The ids of events that did not arrive: they have no gaps."""
        count = -1
        while count != len(self.receiver.ids):
            count = len(self.receiver.ids)
            time.sleep(3)
        ids = set(self.receiver.ids)
        return sorted(set(range(min(ids), max(ids) + 1)) - ids)

    def size(self) -> Size:
        assert self.process.process
        master = self.process.process.pid
        folders = [
            path.parent
            for path in pathlib.Path('/proc').glob('[0-9]*/stat')
            if _parent(path) == master
        ]
        return Size(
            sum(_count(folder / 'task') for folder in folders),
            sum(_count(folder / 'fd') for folder in folders),
            statistics.mean(map(_memory, folders)),
        )

    def rested(self, limit: Size | None = None) -> Size:
        """
        Its size when nobody has asked for anything for a while.

        Given some more time where it is above *limit*.
        """
        time.sleep(_REST_SECONDS / 4)
        begin = time.monotonic()
        while True:
            found = self.size()
            if (
                not limit
                or not grown(found, limit)
                or time.monotonic() - begin > _REST_SECONDS
            ):
                return found
            time.sleep(1)


def grown(found: Size, limit: Size) -> list[str]:
    """What there is more of than the *limit*, but for memory."""
    return [
        f'{name}: {getattr(found, name)}, and there were '
        f'{getattr(limit, name)}'
        for name in ('threads', 'descriptors')
        if getattr(found, name) > getattr(limit, name)
    ]


def _parent(stat: pathlib.Path) -> int:
    with contextlib.suppress(OSError):
        return int(stat.read_text().rpartition(')')[2].split()[1])
    return 0


def _count(folder: pathlib.Path) -> int:
    return len(list(folder.iterdir()))


def _memory(folder: pathlib.Path) -> int:
    """The bytes that a process occupies."""
    return int((folder / 'statm').read_text().split()[1]) * 4096
