# SPDX-License-Identifier: Apache-2.0
"""The events of real operations, also where the emulator is killed."""

import itertools

import pytest

from hawkfish_plugin import client
from tests.functional.conftest import SMALL

pytestmark = pytest.mark.once


def events(emulator, system, count):
    """The first events of a system's snapshots, by their key."""
    wanted = (
        f'OriginResource eq /redfish/v1/Systems/{system.uuid} '
        'and SubordinateResources eq true'
    )
    stream = client.HawkFish(emulator.url).events('0', wanted)
    found = list(itertools.islice(stream, count))
    return [(e.message_id.rpartition('.')[2], e) for e in found]


def test_a_life_in_events(make_system, emulator):
    """What was done is told, with what could not be done well."""
    system = make_system(agent=False).boot()
    emulator.create(system.uuid, Name='a')
    emulator.revert(system.uuid, 'a')
    emulator.delete(system.uuid, 'a')

    found = events(emulator, system, 6)

    assert [key for key, _ in found] == [
        'SnapshotQuiesceFailed',
        'SnapshotCreated',
        'ResourceCreated',
        'SnapshotReverted',
        'SnapshotDeleted',
        'ResourceRemoved',
    ]
    assert dict(found)['SnapshotDeleted'].json['MessageArgs'] == [
        'a',
        system.name,
        'Request',
    ]


@pytest.mark.parametrize('step, made', [('prepare', False), ('finish', True)])
def test_a_create_that_was_broken_off(make_system, emulator, step, made):
    """What settling finds is told, and told once."""
    system = make_system(**SMALL)
    emulator.order('after', 'create', step)
    accepted = emulator.post_create(system.uuid, Name='a')
    emulator.wait_dead()
    emulator.start()
    emulator.watch(accepted.headers['Location'])
    if not made:
        emulator.create(system.uuid, Name='a')
    emulator.delete(system.uuid, 'a')

    found = [key for key, _ in events(emulator, system, 5 - made)]

    assert found == ['SnapshotFailed'] * (not made) + [
        'SnapshotCreated',
        'ResourceCreated',
        'SnapshotDeleted',
        'ResourceRemoved',
    ]
