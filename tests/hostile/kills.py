# SPDX-License-Identifier: Apache-2.0
"""
An emulator that is killed in the middle of everything at once.

Owns what is asked of it meanwhile, and what must be true of it when it is
back: what it had promised has an end, and nothing is half.
"""

import concurrent.futures
import contextlib
import pathlib
import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import requests

from tests.served import FAKE_UUID, Served, fake_system
from tests.waiting import wait_for

_NODES = [f'00000000-0000-4000-8000-{n:012}' for n in range(3)]
_SYSTEMS = [
    fake_system(FAKE_UUID, 'fake'),
    *(fake_system(uuid, f'node-{n}') for n, uuid in enumerate(_NODES)),
]
_ROOT = '/redfish/v1'
_AGGREGATES = f'{_ROOT}/AggregationService/Aggregates'
_GROUP = f'{_AGGREGATES}/killed/Oem/HawkFish/Snapshots'
_CLIENTS = 6
# A place in which each operation can be interrupted.
_SECONDS = '0.05'
_MOST = 8


class Kills:
    """The emulator with its state in *folder*; *chance* chooses."""

    def __init__(self, folder: pathlib.Path, chance: random.Random) -> None:
        self.served = Served(
            folder, config=f'SUSHY_EMULATOR_FAKE_SYSTEMS = {_SYSTEMS!r}\n'
        )
        command = self.served.command
        command[0] = 'hawkfish-emulator'
        command += ['--fake-seconds', _SECONDS]
        self._chance = chance
        self._promised: list[str] = []

    def begin(self) -> None:
        self.served.start()
        elements = [{'@odata.id': f'{_ROOT}/Systems/{u}'} for u in _NODES]
        made = self._send(
            'POST', _AGGREGATES, {'Name': 'killed', 'Elements': elements}
        )
        assert made.status_code == 201, made.text

    def end(self) -> None:
        self.served.stop()

    def round(self) -> list[str]:
        """Kill it once while it is busy; returns what is wrong afterwards."""
        self._promised.clear()
        plans = [self._plan() for _ in range(_CLIENTS)]
        with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
            for plan in plans:
                pool.submit(self._try, plan)
            time.sleep(self._chance.uniform(0, 0.4))
            self.served.stop()
        self.served.start()
        wait_for(
            lambda: not self._unfinished(),
            lambda: f'the end of {self._unfinished()}',
        )
        return [*self._broken_promises(), *self._halves(), *self._damage()]

    @property
    def promised(self) -> int:
        """How many operations were accepted in the last round."""
        return len(self._promised)

    # What is asked --------------------------------------------------------

    def _plan(self) -> Callable[[], requests.Response]:
        own = f'{_ROOT}/Systems/{FAKE_UUID}/Oem/HawkFish/Snapshots'
        url = self._chance.choice([own, _GROUP])
        kind = 'HawkFishSnapshot' if url == own else 'HawkFishGroupSnapshot'
        names = [one['Name'] for one in self._members(url)]
        known = self._chance.choice([*names, 'none'])
        choices = {
            'create': lambda: self._send('POST', url, {}),
            'revert': lambda: self._send(
                'POST',
                f'{url}/{known}/Actions/{kind}.Revert',
                {'SafetySnapshot': self._chance.random() < 0.3},
            ),
            'delete': lambda: self._send('DELETE', f'{url}/{known}'),
            'change': lambda: self._send(
                'PATCH', f'{url}/{known}', {'Description': f'{time.time()}'}
            ),
            'reset': lambda: self._send(
                'POST',
                f'{_AGGREGATES}/killed/Actions/Aggregate.Reset',
                {'ResetType': 'On'},
            ),
        }
        if len(names) > _MOST:
            return choices['delete']
        return choices[self._chance.choice([*choices, 'create'])]

    def _try(self, plan: Callable[[], requests.Response]) -> None:
        with contextlib.suppress(requests.RequestException):
            answer = plan()
            if answer.status_code == 202:
                self._promised.append(answer.headers['Location'])

    def _send(
        self, method: str, path: str, body: object = None
    ) -> requests.Response:
        url = self.served.url + path
        return requests.request(method, url, json=body, timeout=30)

    def _members(self, path: str) -> list[dict[str, Any]]:
        answer = self._send('GET', f'{path}?$expand=.')
        assert answer.status_code == 200, answer.text
        members: list[dict[str, Any]] = answer.json()['Members']
        return members

    # What must be true ----------------------------------------------------

    def _unfinished(self) -> list[str]:
        return [t['Id'] for t in self.served.tasks() if 'EndTime' not in t]

    def _broken_promises(self) -> list[str]:
        return [
            f'{monitor}: {answer.status_code} {answer.text[:300]}'
            for monitor in self._promised
            if (answer := self._send('GET', monitor)).status_code
            in (202, 404, 500)
        ]

    def _halves(self) -> list[str]:
        """What one member has and another one has not."""
        named = [[s['Name'] for s in self._of(uuid)] for uuid in _NODES]
        groups = self._members(_GROUP)
        found = []
        if any(names != named[0] for names in named):
            found.append(f'the members differ: {named}')
        if {s['Name'] for s in groups} != set(named[0]):
            found.append(f'not of the group: {named[0]}, {groups}')
        for one in (*groups, *self._of(FAKE_UUID)):
            if one['SnapshotState'] != 'Ready':
                found.append(f'{one["Name"]} is {one["SnapshotState"]}')
        return found

    def _of(self, uuid: str) -> list[dict[str, Any]]:
        return self._members(f'{_ROOT}/Systems/{uuid}/Oem/HawkFish/Snapshots')

    def _damage(self) -> list[str]:
        (path,) = (self.served.folder / 'state').glob('*/*.sqlite')
        with contextlib.closing(sqlite3.connect(path)) as connection:
            checks = ('integrity_check', 'foreign_key_check')
            found = [
                row
                for check in checks
                for row in connection.execute(f'PRAGMA {check}')
            ]
        return [] if found == [('ok',)] else [f'the database: {found}']
