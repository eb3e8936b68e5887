# SPDX-License-Identifier: Apache-2.0
"""What the service tells of itself: limits, versions, when to ask again."""

import importlib.metadata

import pytest
import requests
import sushy

from hawkfish_plugin import bounds, locks
from tests.served import FAKE_UUID, message_ids

ROOT = '/redfish/v1'
SYSTEM = f'{ROOT}/Systems/{FAKE_UUID}'
EXPORTS = f'{SYSTEM}/Oem/HawkFish/Exports'
RESET = f'{SYSTEM}/Actions/ComputerSystem.Reset'


@pytest.mark.parametrize(
    'path, most',
    [
        ('AggregationService/Aggregates', lambda _: bounds.AGGREGATES),
        ('SessionService/Sessions', lambda _: bounds.SESSIONS),
        ('JobService/Jobs', lambda _: bounds.SCHEDULES),
        (
            'EventService/Subscriptions',
            lambda conf: (
                conf.events.max_subscriptions + conf.events.max_streams
            ),
        ),
        (
            EXPORTS.removeprefix(f'{ROOT}/'),
            lambda conf: conf.backup.max_exports,
        ),
    ],
)
def test_how_many_there_may_be(emulator, path, most):
    """Collections that a POST adds to say how many members they can have."""
    body = requests.get(f'{emulator.url}{ROOT}/{path}', timeout=60).json()

    assert body['@Redfish.CollectionCapabilities'] == {
        '@odata.type': '#CollectionCapabilities.v1_4_0.CollectionCapabilities',
        'MaxMembers': most(emulator.services.conf),
    }


def test_versions(emulator):
    """The root has that of the plugin; the fake driver has no libvirt."""
    root = requests.get(f'{emulator.url}{ROOT}/', timeout=60).json()
    oem = root['Oem']['HawkFish']

    assert oem['Version'] == importlib.metadata.version('hawkfish-snapshots')
    assert oem['LibvirtVersion'] is None


def test_when_to_ask_again(emulator, monkeypatch):
    """A system that is locked, and a full queue; sushy can live with it."""
    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)
    uuid = emulator.system
    with emulator.services.locks.system(uuid, 5):
        locked = requests.post(
            emulator.url + RESET, json={'ResetType': 'On'}, timeout=60
        )
        conn = sushy.Sushy(emulator.url)
        with pytest.raises(sushy.exceptions.ServerSideError):
            conn.get_system(SYSTEM).reset_system(sushy.ResetType.ON)
    assert locked.status_code == 503
    assert message_ids(locked) == ['SystemLocked']
    assert locked.headers['Retry-After'] == '5'
    emulator.created(Name='first')
    emulator.created(Name='base')
    with emulator.full_queue('base') as busy:
        revert = '/first/Actions/HawkFishSnapshot.Revert'
        full = requests.post(
            emulator.snapshots_url + revert,
            json={'SafetySnapshot': True},
            timeout=60,
        )
        # There sushy would sleep for a text.
        assert 'Retry-After' not in busy.headers
    emulator.wait(busy)
    assert message_ids(full) == ['QueueFull']
    assert full.headers['Retry-After'] == '10'
