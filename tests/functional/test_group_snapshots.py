# SPDX-License-Identifier: Apache-2.0
"""
Groups of real systems over HTTP, from the request to what libvirt has.

None of them has a guest: what guests see is in ``test_lab_guests``, and who
dies meanwhile in ``test_lab_capture``.
"""

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.functional.labs import ServedGroup, is_near
from tests.lab.domains import IMAGES, Disk
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

RUNNING, PAUSED, OFF = (
    libvirt.VIR_DOMAIN_RUNNING,
    libvirt.VIR_DOMAIN_PAUSED,
    libvirt.VIR_DOMAIN_SHUTOFF,
)
FOLDER = '/var/lib/group'


@pytest.fixture
def make_group(make_system, emulator, external):
    if not external:
        pytest.skip('the systems of a group have external snapshots')

    def make(*more, served=emulator):
        systems = [make_system(**SMALL) for _ in range(3)]
        for system in systems:
            system.domain.create()
        return ServedGroup(served, [*systems, *more])

    return make


@pytest.fixture
def lab(make_group):
    """Three that run."""
    return make_group()


def test_created_and_deleted(lab, emulator):
    """Of one moment, as one; and nothing is left of it."""
    accepted = lab.post_create('a', Description='a known state')
    made = emulator.wait(accepted).json()

    assert made == lab.show('a')
    assert (made['SnapshotState'], made['Consistency']) == (
        'Ready',
        'Consistent',
    )
    assert is_near(made['SkewMilliseconds'] / 1000)
    assert made['PauseMilliseconds'] > made['SkewMilliseconds']
    assert made['Current'] is True
    assert lab.theirs() == 3 * [['a']]
    assert lab.states() == 3 * [RUNNING]
    for system in lab.systems:
        part = emulator.snapshot(system.uuid, 'a')
        assert part['Description'] == 'a known state'
        assert part['PowerState'] == 'On'
        assert part['Links']['GroupSnapshots'] == [
            {'@odata.id': made['@odata.id']}
        ]
    lab.delete('a')
    assert lab.names() == []
    assert lab.theirs() == 3 * [[]]
    assert lab.leftovers() == []


def test_one_that_was_reverted_alone(lab, emulator):
    """The group is in two places then, and comes back to one."""
    lab.create('a')
    lab.create('b')
    first = lab.systems[0]

    emulator.revert(first.uuid, 'a')

    assert lab.show('a')['SnapshotState'] == 'Ready'
    mixed = lab.show('b')
    assert mixed['SnapshotState'] == 'Mixed'
    (finding,) = mixed['Findings']
    assert finding['MessageId'] == 'HawkFish.1.0.GroupSnapshotMixed'
    assert first.name in finding['Message']
    lab.revert('b')
    assert lab.show('b')['SnapshotState'] == 'Ready'
    assert lab.show('b')['Current'] is True
    assert lab.states() == 3 * [RUNNING]
    # The safety snapshot has gone.
    assert lab.theirs() == 3 * [['a', 'b']]


def test_one_that_was_deleted_alone(lab, emulator):
    """What is left can be reverted to, and deleted."""
    lab.create('a')
    emulator.delete(lab.systems[0].uuid, 'a')

    refused = lab.post_revert('a')

    assert refused.status_code == 409
    assert message_ids(refused) == ['GroupSnapshotIncomplete']
    assert lab.show('a')['SnapshotState'] == 'Incomplete'
    before = [system.sources() for system in lab.systems]
    lab.revert('a', Partial=True)
    after = [system.sources() for system in lab.systems]
    assert [a != b for a, b in zip(after, before, strict=True)] == [
        False,
        True,
        True,
    ]
    lab.delete('a')
    assert lab.theirs() == 3 * [[]]
    assert lab.leftovers() == []


def test_power_states(lab):
    """Each comes back as it was captured, or as it is asked for."""
    lab.systems[1].domain.suspend()
    lab.systems[2].domain.destroy()
    made = lab.create('a')
    assert [one['PowerState'] for one in made['Systems']] == [
        'On',
        'Paused',
        'Off',
    ]
    lab.systems[0].domain.destroy()
    lab.systems[1].domain.resume()
    lab.systems[2].domain.create()

    lab.revert('a')

    assert lab.states() == [RUNNING, PAUSED, OFF]
    lab.revert('a', TargetPowerState='Off')
    assert lab.states() == 3 * [OFF]
    lab.reset('On')
    assert lab.states() == 3 * [RUNNING]


@pytest.mark.parametrize('consistency', ['Live', 'DisksOnly'])
def test_other_consistencies(lab, emulator, consistency):
    """Without a common pause, or without memory."""
    made = lab.create('a', Consistency=consistency)

    live = consistency == 'Live'
    assert made['Consistency'] == consistency
    assert (made['PauseMilliseconds'] is None) == live
    parts = [emulator.snapshot(s.uuid, 'a') for s in lab.systems]
    kind = 'DiskAndMemory' if live else 'Disk'
    assert [part['SnapshotType'] for part in parts] == 3 * [kind]
    assert lab.states() == 3 * [RUNNING]


@pytest.fixture
def small(host):
    """A file system that a snapshot has no room on."""
    yield host.mount_small(FOLDER, 64)
    host.unmount(FOLDER)


def test_members_that_cannot(make_group, make_system, small, emulator):
    """All of them are named, with their reasons, and nobody is touched."""
    full = make_system(
        **{
            **SMALL,
            'disks': (Disk(size_mib=16, formatted=False, folder=FOLDER),),
        }
    )
    shared = make_system(
        **{
            **SMALL,
            'disks': (
                Disk(
                    format='raw', size_mib=16, formatted=False, shareable=True
                ),
            ),
        }
    )
    lab = make_group(full, shared)

    refused = lab.post_create('a')

    assert message_ids(refused) == [
        'GroupMemberRefused',
        'InsufficientSpace',
        'GroupMemberRefused',
        'DiskShareable',
    ]
    told = refused.json()['error']['@Message.ExtendedInfo']
    assert told[0]['MessageArgs'] == [full.name]
    assert told[1]['MessageArgs'][0] == FOLDER
    assert told[2]['MessageArgs'] == [shared.name]
    assert lab.theirs() == 5 * [[]]
    assert lab.leftovers() == []


def test_one_that_fails_meanwhile(lab, emulator):
    """What the others have made goes; what somebody else has made stays."""
    emulator.order('sleep=2', 'create', 'capture')
    accepted = lab.post_create('a')
    emulator.wait_ordered()
    theirs = '<domainsnapshot><name>a</name></domainsnapshot>'
    lab.systems[1].domain.snapshotCreateXML(
        theirs, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    )

    failed = emulator.wait(accepted)

    assert failed.status_code == 409
    # A snapshot of that name is there; when it came, nobody has to know.
    assert message_ids(failed)[0] in (
        'GroupCreateUndone',
        'GroupCreateNotUndone',
    )
    assert lab.systems[1].name in failed.text
    assert lab.states() == 3 * [RUNNING]
    assert lab.names() == []
    assert lab.theirs() == [[], ['a'], []]


def test_one_that_cannot_be_reverted(lab, emulator, host):
    """All are where they were, and run."""
    lab.create('a')
    before = [system.sources() for system in lab.systems]
    captured = lab.systems[2].domain.snapshotLookupByName('a').getXMLDesc()
    memory = captured.split("<memory snapshot='external' file='")[1]
    path = host.path(memory.split("'")[0])
    whole = path.read_bytes()
    # Further in than it is looked at before.
    damaged = len(whole) // 2
    path.write_bytes(whole[:damaged] + b'\xff' * (len(whole) - damaged))

    failed = emulator.wait(lab.post_revert('a'))

    assert failed.status_code == 409
    assert message_ids(failed)[0] == 'GroupRevertUndone'
    assert lab.systems[2].name in failed.text
    assert lab.states() == 3 * [RUNNING]
    assert lab.theirs() == 3 * [['a']]
    assert lab.systems[2].sources() == before[2]
    path.write_bytes(whole)
    lab.revert('a')
    assert lab.show('a')['Current'] is True


def set_policy(emulator, system, **limits):
    uri = f'{emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy'
    assert requests.patch(uri, json=limits).status_code == 200


def test_retention(lab, emulator):
    """What the policy of one system wants gone goes from all, or stays."""
    set_policy(emulator, lab.systems[1], MaxSnapshots=1)
    lab.create('a')
    lab.create('b')
    wait_for(lambda: lab.theirs() == 3 * [['b']], 'the prune')
    part = f'{emulator.collection(lab.systems[2].uuid)}/b'
    wait_for(lambda: requests.patch(part, json={'Locked': True}).ok)

    lab.create('c')
    wait_for(
        lambda: all(task['EndTime'] for task in emulator.tasks()),
        'the end of what the policy wants gone',
    )

    assert lab.names() == ['b', 'c']
    assert lab.theirs() == 3 * [['b', 'c']]


def test_room_is_made_first(make_group, host, folder):
    """Where no chain may be longer, what goes for it goes before it."""
    served = Emulator(
        folder,
        host.uri,
        OS_SNAPSHOTS__MAX_CHAIN_DEPTH='2',
        OS_RETENTION__MAX_SNAPSHOTS='2',
    )
    served.start()
    try:
        lab = make_group(served=served)
        for name in 'abc':
            lab.create(name)

        assert lab.names() == ['b', 'c']
        assert lab.theirs() == 3 * [['b', 'c']]
        assert lab.states() == 3 * [RUNNING]
        memory = [*host.path(IMAGES).glob('hawkfish-*.mem')]
        assert len(memory) == 6
    finally:
        served.stop()
