# SPDX-License-Identifier: Apache-2.0
"""Summaries of all systems over HTTP."""

import pytest
import requests

from tests.served import FAKE_UUID

PATH = '/redfish/v1/Oem/HawkFish/SystemSummaries'


@pytest.fixture
def get(emulator):
    return lambda path: requests.get(f'{emulator.url}{path}')


def test_a_summary(emulator, get):
    """It says what the system is, and where it stands."""
    emulator.created(Name='a')
    emulator.created(Name='b')

    summary = get(f'{PATH}/{FAKE_UUID}').json()

    assert summary['Name'] == 'fake'
    assert (summary['Id'], summary['UUID']) == (FAKE_UUID, FAKE_UUID)
    assert (summary['PowerState'], summary['SnapshotCount']) == ('Off', 2)
    current = summary['Links']['CurrentSnapshot']['@odata.id']
    assert get(current).json()['Name'] == 'b'
    system = summary['Links']['ComputerSystem']['@odata.id']
    assert get(system).json()['UUID'] == FAKE_UUID
    assert get(f'{PATH}/fake').json() == summary


def test_the_collection(emulator, get):
    """The service root leads to it, and it takes every query parameter."""
    root = get('/redfish/v1').json()
    path = root['Oem']['HawkFish']['SystemSummaries']['@odata.id']

    listed = get(path).json()
    expanded = get(f'{path}?$expand=.').json()
    running = get(f"{path}?$filter=PowerState eq 'On'").json()

    assert path == PATH
    assert {'@odata.id': f'{PATH}/{FAKE_UUID}'} in listed['Members']
    summary = expanded['Members'][0]
    names = [member['Name'] for member in expanded['Members']]
    assert (names[:2], names) == (['fake', 'node-0'], sorted(names))
    assert summary['SnapshotCount'] == 0
    assert summary['Links']['CurrentSnapshot'] is None
    assert (running['Members'], running['Members@odata.count']) == ([], 0)
    emulator.behaviour.power_state = 'On'
    running = get(f"{path}?$filter=PowerState eq 'On'").json()
    assert running['Members@odata.count'] == len(expanded['Members'])


def test_groups(emulator, get):
    """It says to which groups the system belongs."""
    for group, systems in (('lab', [FAKE_UUID]), ('b', ['fake', 'node-1'])):
        elements = [
            {'@odata.id': f'/redfish/v1/Systems/{system}'}
            for system in systems
        ]
        requests.post(
            f'{emulator.url}/redfish/v1/AggregationService/Aggregates',
            json={'Name': group, 'Elements': elements},
        ).raise_for_status()

    def groups_of(system):
        links = get(f'{PATH}/{system}').json()['Links']['Aggregates']
        return [get(link['@odata.id']).json()['Name'] for link in links]

    assert [groups_of(s) for s in ('fake', 'node-1', 'node-2')] == [
        ['b', 'lab'],
        ['b'],
        [],
    ]


def test_what_may_not_be_served_is_not_there(emulator, get):
    """Neither in the list nor by itself."""
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['another']

    assert get(PATH).json()['Members'] == []
    assert get(f'{PATH}/{FAKE_UUID}').status_code == 404
    assert get(f'{PATH}/unknown').status_code == 404
