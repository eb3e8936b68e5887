# SPDX-License-Identifier: Apache-2.0
"""A group whose emulator is killed: nobody stays paused, nothing is half."""

import dataclasses
import os
import random
import time
from typing import Any

import pytest
import requests

from hawkfish_plugin.drivers import behaviour
from hawkfish_plugin.emulator import internals
from tests.served import Served, fake_system, message_ids
from tests.waiting import wait_for

UUIDS = [f'00000000-0000-4000-8000-{number:012}' for number in range(3)]
AGGREGATES = '/redfish/v1/AggregationService/Aggregates'
LAB = f'{AGGREGATES}/lab'
SNAPSHOTS = f'{LAB}/Oem/HawkFish/Snapshots'
ROUNDS = 12


@dataclasses.dataclass
class Killed:
    """The emulator of three systems that run, with a group of them."""

    served: Served

    def start(self, *options: str) -> None:
        self.served.command = [
            'hawkfish-emulator',
            '--config',
            str(self.served.config),
            *self.served.options(),
            *options,
        ]
        self.served.start()

    def restart(self) -> None:
        self.served.stop()
        self.start()

    def get(self, path: str) -> Any:
        response = requests.get(self.served.url + path)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, **body: object) -> requests.Response:
        return requests.post(self.served.url + path, json=body)

    def create(self, **body: object) -> None:
        response = self.served.wait(self.post(SNAPSHOTS, **body))
        assert response.status_code == 201, response.text

    def wait_idle(self) -> None:
        def left() -> list[Any]:
            return [t for t in self.served.tasks() if 'EndTime' not in t]

        wait_for(lambda: not left(), lambda: f'the end of {left()}')

    def names(self) -> list[list[str]]:
        """Those of the snapshots of each system."""
        return [
            [s['Name'] for s in self.served.snapshots(uuid)] for uuid in UUIDS
        ]

    def current(self) -> set[str]:
        """The current snapshots of all systems."""
        return {
            s['Name']
            for uuid in UUIDS
            for s in self.served.snapshots(uuid)
            if s['Current']
        }

    def groups(self) -> dict[str, str]:
        """The state of each group snapshot, by its name."""
        listed = self.get(f'{SNAPSHOTS}?$expand=.')['Members']
        return {s['Name']: s['SnapshotState'] for s in listed}

    def paused(self) -> list[Any]:
        config = {'SUSHY_EMULATOR_STATE_DIR': str(self.served.folder)}
        return list(internals.persistent_dict(config, 'hawkfish-fake-paused'))


@pytest.fixture
def killed(tmp_path):
    systems = [
        fake_system(uuid, f'node-{number}') | {'power_state': 'On'}
        for number, uuid in enumerate(UUIDS)
    ]
    served = Served(
        tmp_path, config=f'SUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}\n'
    )
    killed = Killed(served)
    killed.start()
    elements = [{'@odata.id': f'/redfish/v1/Systems/{u}'} for u in UUIDS]
    made = killed.post(AGGREGATES, Name='lab', Elements=elements)
    assert made.status_code == 201, made.text
    killed.create(Name='a')
    killed.create(Name='b')
    yield killed
    served.stop()


def places(operation: str) -> list[str]:
    return [f'{operation}:{step}' for step in behaviour.STEPS[operation]]


def die(killed: Killed, place: str, path: str = SNAPSHOTS, **body: object):
    """Let the emulator die at *place* of what is asked, and start it again."""
    killed.served.stop()
    killed.start('--fake-die', place)
    accepted = killed.post(path, **body)
    killed.served.wait_dead()
    killed.restart()
    return killed.served.watch(accepted.headers['Location'])


@pytest.mark.parametrize('place', places('create'))
def test_a_create_is_whole_or_nothing(killed, place):
    """Whatever the step at which the emulator died."""
    response = die(killed, place, Name='c')
    killed.wait_idle()

    assert killed.paused() == []
    if response.status_code == 201:
        assert killed.names() == [['a', 'b', 'c']] * 3
        assert killed.groups()['c'] == 'Ready'
    else:
        assert message_ids(response)[0] == 'GroupCreateUndone'
        assert killed.names() == [['a', 'b']] * 3
        assert killed.groups() == {'a': 'Ready', 'b': 'Ready'}


@pytest.mark.parametrize(
    'place', [*places('create'), *places('revert'), *places('delete')]
)
def test_a_revert_moves_all_or_none(killed, place):
    """In its safety snapshot, on the way, or when that one goes."""
    response = die(
        killed, place, f'{SNAPSHOTS}/a/Actions/HawkFishGroupSnapshot.Revert'
    )
    killed.wait_idle()

    assert killed.paused() == []
    assert killed.names() == [['a', 'b']] * 3
    went = response.status_code == 200
    assert killed.current() == ({'a'} if went else {'b'}), response.text
    assert killed.groups() == {'a': 'Ready', 'b': 'Ready'}


@pytest.mark.parametrize('place', places('delete'))
def test_a_delete_goes_on(killed, place):
    """What one system has lost, the others lose as well."""
    killed.served.stop()
    killed.start('--fake-die', place)
    accepted = requests.delete(killed.served.url + f'{SNAPSHOTS}/a')
    killed.served.wait_dead()
    killed.restart()

    response = killed.served.watch(accepted.headers['Location'])

    assert response.status_code == 204, response.text
    assert killed.names() == [['b']] * 3
    assert killed.groups() == {'b': 'Ready'}


def test_it_is_killed_at_any_moment(killed):
    """Random operations, killed after random times: all tasks end."""
    chosen = random.Random(os.environ.get('HAWKFISH_SEED', '15'))
    for number in range(ROUNDS):
        wanted = chosen.choice(['create', 'revert', 'delete'])
        names = list(killed.groups())
        if wanted == 'create' or len(names) < 2:
            killed.post(SNAPSHOTS, Name=f's{number}')
        elif wanted == 'revert':
            name = chosen.choice(names)
            killed.post(
                f'{SNAPSHOTS}/{name}/Actions/HawkFishGroupSnapshot.Revert'
            )
        else:
            name = chosen.choice(names)
            requests.delete(f'{killed.served.url}{SNAPSHOTS}/{name}')
        time.sleep(chosen.choice([0, 0.01, 0.02, 0.05, 0.1]))
        killed.restart()
        killed.wait_idle()

        assert killed.paused() == []
        assert len({tuple(names) for names in killed.names()}) == 1
        assert set(killed.groups().values()) <= {'Ready'}
        assert set(killed.groups()) == {*killed.names()[0]}


def kept(killed: Killed, name: str) -> list[Any]:
    config = {'SUSHY_EMULATOR_STATE_DIR': str(killed.served.folder)}
    return list(internals.persistent_dict(config, f'hawkfish-{name}'))


@pytest.mark.parametrize('place', places('export'))
def test_an_export_is_whole_or_nothing(killed, place):
    """Of all systems, with its files."""
    action = f'{SNAPSHOTS}/a/Actions/HawkFishGroupSnapshot.Export'
    response = die(killed, place, action)
    killed.wait_idle()

    exports = killed.get(f'{LAB}/Oem/HawkFish/Exports?$expand=.')['Members']
    assert len(exports) == (response.status_code == 201)
    assert len(kept(killed, 'staged')) == len(exports) * len(UUIDS)


@pytest.mark.parametrize('place', places('import'))
def test_an_import_is_whole_or_nothing(killed, place):
    """All systems and their group, or neither those nor a file."""
    action = f'{SNAPSHOTS}/a/Actions/HawkFishGroupSnapshot.Export'
    export = killed.served.wait(killed.post(action)).json()
    content = requests.get(killed.served.url + export['DataURI']).content
    requests.delete(killed.served.url + export['@odata.id'])
    killed.served.stop()
    killed.start('--fake-die', place)
    accepted = requests.post(
        f'{killed.served.url}/redfish/v1/Oem/HawkFish/Import'
        '?Name=new&Prefix=new-',
        data=content,
        headers={'Content-Type': 'application/x-tar'},
    )
    killed.served.wait_dead()
    killed.restart()
    response = killed.served.watch(accepted.headers['Location'])
    killed.wait_idle()

    made = response.status_code == 201
    systems = killed.get('/redfish/v1/Systems')['Members']
    assert len(systems) == len(UUIDS) * (1 + made)
    assert len(killed.get(AGGREGATES)['Members']) == 1 + made
    wait_for(
        lambda: len(kept(killed, 'files')) == len(UUIDS) * made,
        lambda: f'the end of {kept(killed, "files")}',
    )
