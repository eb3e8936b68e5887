# SPDX-License-Identifier: Apache-2.0
"""Deletes of group snapshots, their retention, and a lost database."""

import dataclasses
import time

import pytest
import requests

from hawkfish_plugin import exceptions
from tests.served import message_ids
from tests.unit.conftest import NODES
from tests.unit.group_snapshots.labs import (
    TRIO,
    set_policy,
)
from tests.waiting import wait_for

# Delete -------------------------------------------------------------------


def test_a_group_snapshot_is_deleted_from_all_systems(lab):
    """It is gone from their own lists as well."""
    lab.made(Name='a')
    lab.made(Name='b')

    response = lab.emulator.wait(lab.send_delete('a'))

    assert response.status_code == 204
    assert lab.names() == ['b']
    assert [lab.names_of(name) for name in TRIO] == [['b']] * 3


def test_what_one_system_needs_is_deleted_nowhere(lab):
    """Locked in one system, it stays in all of them."""
    lab.made(Name='a')
    requests.patch(f'{lab.of("node-1")}/a', json={'Locked': True})

    response = lab.send_delete('a')

    assert response.status_code == 409
    assert message_ids(response) == ['GroupMemberRefused', 'SnapshotLocked']
    assert [lab.names_of(name) for name in TRIO] == [['a']] * 3


def test_a_delete_that_failed_in_one_system_is_repeated(lab):
    """It is incomplete until then."""
    lab.made(Name='a')
    lab.fail('delete:prepare', 'node-1')

    response = lab.emulator.wait(lab.send_delete('a'))

    assert message_ids(response) == [
        'GroupDeleteUnfinished',
        'GroupMemberFailed',
    ]
    assert lab.show('a')['SnapshotState'] == 'Incomplete'
    lab.emulator.behaviour.fail_at = {}
    assert lab.emulator.wait(lab.send_delete('a')).status_code == 204
    assert lab.names_of('node-1') == []


@pytest.fixture
def limited(lab):
    """One of the systems may have two snapshots."""
    set_policy(lab, 'node-1', MaxSnapshots=2)
    yield lab
    set_policy(lab, 'node-1', MaxSnapshots=None)


def preview(lab):
    response = requests.post(
        lab.collection(
            '/Actions/HawkFishGroupSnapshotCollection.PreviewCreate'
        ),
        json={},
    )
    assert response.status_code == 200, response.text
    return response.json()


def test_a_group_snapshot_is_pruned_as_a_whole(limited):
    """What the policy of one system wants gone goes from all of them."""
    lab = limited
    lab.made(Name='a')
    lab.made(Name='b')
    foretold = preview(lab)

    lab.made(Name='c')
    lab.emulator.wait_idle()

    assert foretold['Pruned'] == [
        {
            'Snapshot': {
                '@odata.id': lab.collection('/a').removeprefix(
                    lab.emulator.url
                )
            },
            'Name': 'a',
            'Reason': 'MaxSnapshots',
        }
    ]
    assert lab.names() == ['b', 'c']
    assert [lab.names_of(name) for name in TRIO] == [['b', 'c']] * 3


def test_what_one_system_has_locked_is_pruned_nowhere(limited):
    """The dry run says why it stays; others go in its place."""
    lab = limited
    lab.made(Name='a')
    requests.patch(f'{lab.of("node-0")}/a', json={'Locked': True})
    lab.made(Name='b')
    foretold = preview(lab)

    lab.made(Name='c')
    lab.emulator.wait_idle()

    assert [one['Name'] for one in foretold['Pruned']] == ['b']
    assert foretold['Kept'][0] == {'Name': 'a', 'Reasons': ['node-0: Locked']}
    assert lab.names() == ['a', 'c']
    assert [lab.names_of(name) for name in TRIO] == [['a', 'c']] * 3


def test_a_create_in_one_system_prunes_whole_group_snapshots(limited):
    """Its policy is the same, whoever asks for a snapshot."""
    lab = limited
    lab.made(Name='a')
    lab.made(Name='b')

    lab.emulator.wait(requests.post(lab.of('node-1'), json={'Name': 'own'}))
    lab.emulator.wait_idle()

    assert lab.names() == ['b']
    assert lab.names_of('node-1') == ['b', 'own']
    assert lab.names_of('node-0') == ['b']


def test_a_lab_without_room_makes_way_first(limited):
    """
    What goes for one of its systems goes before the create, from all.

    What has no policy for it is refused.
    """
    lab = limited
    lab.made(Name='a')
    lab.made(Name='b')
    lab.emulator.behaviour.depth = 2

    made = lab.made(Name='c')
    lab.emulator.wait_idle()

    assert made['SnapshotState'] == 'Ready'
    assert lab.names() == ['b', 'c']
    assert [lab.names_of(name) for name in TRIO] == [['b', 'c']] * 3
    set_policy(lab, 'node-1', MaxSnapshots=None)
    refused = lab.post_create(Name='d')
    assert message_ids(refused) == ['GroupMemberRefused', 'ChainTooDeep'] * 3


def test_a_lab_makes_room_in_its_turn(limited):
    """What was queued before it has used up the room; none is lost."""
    lab = limited
    lab.made(Name='a')
    lab.made(Name='b')
    lab.emulator.behaviour.depth = 2
    with lab.emulator.slow():
        accepted = [lab.post_create(Name=name) for name in 'cd']

    ends = [lab.emulator.wait(answer) for answer in accepted]
    lab.emulator.wait_idle()

    assert [end.status_code for end in ends] == [201, 201]
    assert lab.names() == ['c', 'd']


def test_snapshots_of_single_systems_make_way(lab):
    """Where the lab has none of its own that could go."""
    for name in TRIO:
        set_policy(lab, name, MaxSnapshots=1)
        lab.emulator.wait(requests.post(lab.of(name), json={'Name': name}))
    lab.emulator.behaviour.depth = 1

    lab.made(Name='a')
    lab.emulator.wait_idle()

    assert [lab.names_of(name) for name in TRIO] == [['a']] * 3
    for name in TRIO:
        set_policy(lab, name, MaxSnapshots=None)


def test_a_lab_that_was_interrupted_while_it_made_room(limited, monkeypatch):
    """Its create is begun anew."""
    lab = limited
    lab.made(Name='a')
    lab.made(Name='b')
    lab.emulator.behaviour.depth = 2
    driver, lost = lab.emulator.driver, []
    check_create = driver.check_create

    def lose_once(uuid, request):
        if not lost and len(driver.snapshots(uuid)) == 1:
            lost.append(request.name)
            raise exceptions.HypervisorUnavailable('fake', 'gone')
        return check_create(uuid, request)

    monkeypatch.setattr(driver, 'check_create', lose_once)
    lab.made(Name='c')
    lab.emulator.wait_idle()

    assert {*lost} == {'c'}
    assert lab.names() == ['b', 'c']


def test_a_lab_at_a_limit_that_refuses_is_reverted(limited):
    """Its safety snapshot counts only where it is to be kept."""
    lab = limited
    set_policy(lab, 'node-1', MaxSnapshots=1, OnLimit='Refuse')
    lab.made(Name='a')

    lab.reverted('a')
    refused = lab.post_revert('a', SafetySnapshot=True)

    assert message_ids(refused)[-1] == 'SnapshotLimitReached'
    assert lab.names_of('node-1') == ['a']
    set_policy(lab, 'node-1', OnLimit=None)


def test_each_system_is_pruned_by_itself_after_a_create(lab, monkeypatch):
    """What one of them raises does not keep the others from it."""
    for system in ('node-0', 'node-2'):
        for name in ('a', 'b'):
            created = requests.post(lab.of(system), json={'Name': name})
            lab.emulator.wait(created)
    set_policy(lab, 'node-0', MaxSnapshots=2)
    set_policy(lab, 'node-2', MaxSnapshots=2)
    driver = lab.emulator.driver
    snapshots = driver.inventory

    def fail_for_one(uuid, *args):
        if uuid == NODES['node-0']:
            raise exceptions.OperationFailed('list', 'told to fail')
        return snapshots(uuid, *args)

    monkeypatch.setattr(driver, 'inventory', fail_for_one)
    lab.post_create(Name='c')
    lab.emulator.wait_idle()
    monkeypatch.undo()

    assert lab.names_of('node-2') == ['b', 'c']
    set_policy(lab, 'node-0', MaxSnapshots=None)
    set_policy(lab, 'node-2', MaxSnapshots=None)


def test_an_expired_group_snapshot_goes_as_a_whole(lab):
    """When the time of one part has come, and nothing else needs it."""
    lab.made(Name='a')
    lab.made(Name='b')
    uuid = NODES['node-2']
    catalogue = lab.emulator.services.catalogue
    view = catalogue.get(catalogue.system(uuid), 'a')
    lab.emulator.notes.update(uuid, view.record, {'expires': 1})

    wait_for(lambda: lab.names() == ['b'], 'the prune', 30)
    lab.emulator.wait_idle()

    assert [lab.names_of(name) for name in TRIO] == [['b']] * 3


# A lost database ----------------------------------------------------------


def test_snapshots_can_be_adopted_by_name_and_time(lab):
    """What a lost database has forgotten is the group's again."""
    lab.made(Name='a')
    lab.made(Name='b')
    requests.delete(lab.url('/lab'))
    lab.create(*TRIO, Name='lab')
    target = '/Actions/HawkFishGroupSnapshotCollection.Adopt'

    dry = requests.post(lab.collection(target), json={'DryRun': True})
    assert [a['Name'] for a in dry.json()['Adopted']] == ['a', 'b']
    assert lab.names() == []
    requests.post(lab.collection(target), json={'Name': 'b'})
    assert lab.names() == ['b']
    requests.post(lab.collection(target), json={})

    assert lab.names() == ['a', 'b'] or lab.names() == ['b', 'a']
    assert lab.show('a')['SnapshotState'] == 'Ready'
    assert lab.show('a')['Consistency'] is None


ADOPT = '/Actions/HawkFishGroupSnapshotCollection.Adopt'


def forgotten(lab, *names):
    """A group of *names*, of whose snapshots nothing is known any more."""
    for name in TRIO:
        for note in lab.emulator.notes.read(NODES[name]):
            lab.emulator.notes.forget(NODES[name], note[0])
    requests.delete(lab.url('/lab'))
    lab.create(*names, Name='lab')


def test_what_two_systems_have_is_adopted(lab):
    """It is Incomplete: one has lost it, or came to the group later."""
    lab.made(Name='a')
    lab.emulator.wait(requests.delete(f'{lab.of("node-1")}/a'))
    forgotten(lab, *TRIO, 'node-3')

    requests.post(lab.collection(ADOPT), json={})

    shown = lab.show('a')
    assert shown['SnapshotState'] == 'Incomplete'
    (finding,) = shown['Findings']
    assert finding['MessageArgs'] == ['a', 'node-1, node-3']
    assert message_ids(lab.post_revert('a')) == ['GroupSnapshotIncomplete']
    lab.reverted('a', Partial=True)


def test_what_is_of_another_group_is_not_adopted(lab):
    """A group that overlaps has not lost its own."""
    lab.made(Name='a')
    lab.create(*TRIO, 'node-3', Name='larger')
    url = lab.url('/larger/Oem/HawkFish/Snapshots')

    response = requests.post(f'{url}{ADOPT}', json={})

    assert response.json()['Adopted'] == []


def test_an_adopted_part_may_be_renamed(lab):
    """It has no note of its own that could follow it."""
    lab.made(Name='a')
    forgotten(lab, *TRIO)
    requests.post(lab.collection(ADOPT), json={})

    lab.rename('node-1', 'a', 'other')

    shown = lab.show('a')
    assert shown['SnapshotState'] == 'Ready'
    assert shown['Systems'][1]['Snapshot']['@odata.id'].endswith('/other')


def test_what_does_not_belong_together_is_not_adopted(lab):
    """One system alone has it, or all do, each of another time."""
    old = int(time.time()) - 3600
    for name in TRIO:
        lab.emulator.wait(requests.post(lab.of(name), json={'Name': 'a'}))
    lab.emulator.wait(requests.post(lab.of('node-0'), json={'Name': 'b'}))
    for number, name in enumerate(TRIO):
        tree = [
            dataclasses.replace(s, created=old + 60 * number)
            for s in lab.emulator.driver.snapshots(NODES[name])
        ]
        lab.emulator.driver.plant(NODES[name], tree)

    response = requests.post(lab.collection(ADOPT))

    assert response.json()['Adopted'] == []
