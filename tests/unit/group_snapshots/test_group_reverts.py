# SPDX-License-Identifier: Apache-2.0
"""
Reverts of group snapshots, and what others do to their parts.

Long, as each way in which one can fail is tried.
"""

from typing import Any

import pytest
import requests

from hawkfish_plugin import exceptions
from tests.served import message_ids
from tests.unit.conftest import NODES
from tests.unit.group_snapshots.labs import TRIO
from tests.unit.test_groups import ROOT
from tests.waiting import wait_for


def keys(task: dict[str, Any]) -> list[str]:
    return [m['MessageId'].rpartition('.')[2] for m in task['Messages']]


# Revert -------------------------------------------------------------------


def test_a_revert_brings_all_systems_back(lab):
    """The safety snapshot has gone when all is well."""
    lab.made(Name='a')
    lab.made(Name='b')

    task = lab.reverted('a')

    assert [lab.current_of(name) for name in TRIO] == [['a']] * 3
    assert lab.names() == ['a', 'b']
    assert [lab.names_of(name) for name in TRIO] == [['a', 'b']] * 3
    assert keys(task).count('GroupMemberReverted') == 3


def test_a_safety_snapshot_that_is_asked_for_is_kept(lab):
    """It is one of the group."""
    lab.made(Name='a')

    lab.reverted('a', SafetySnapshot=True)

    first, second = lab.all()
    assert first['Name'] == 'a' and second['Name'].startswith('safety-')
    assert second['SnapshotState'] == 'Ready'


def test_a_safety_snapshot_that_one_system_keeps_is_incomplete(lab):
    """Nobody can take it for a way back of all of them."""
    lab.made(Name='a')
    lab.only('node-1')
    lab.emulator.behaviour.fail_at = {
        'delete:merge': exceptions.OperationFailed('delete', 'told to fail')
    }

    task = lab.reverted('a')

    lab.emulator.behaviour.fail_at = {}
    assert keys(task).count('GroupSafetyLeft') == 1
    _, left = lab.all()
    assert left['SnapshotState'] == 'Incomplete'
    (finding,) = left['Findings']
    assert finding['MessageArgs'] == [left['Name'], 'node-0, node-2']
    assert message_ids(lab.post_revert(left['Name'])) == [
        'GroupSnapshotIncomplete'
    ]
    assert lab.emulator.wait(lab.send_delete(left['Name'])).ok
    assert lab.names() == ['a']


@pytest.mark.parametrize(
    'place, message',
    [
        ('revert:prepare', 'GroupMemberUntouched'),
        # Their memory is lost by then.
        ('revert:revert', 'GroupMemberRestored'),
    ],
)
def test_a_revert_that_fails_in_one_system_moves_none(lab, place, message):
    """All are where they were, and the task says so of each."""
    lab.made(Name='a')
    lab.made(Name='b')
    lab.fail(place, 'node-1')

    accepted = lab.post_revert('a')
    response = lab.emulator.wait(accepted)

    assert response.status_code == 409
    assert response.json()['error']['message'].count('told to fail') == 1
    assert message_ids(response)[:2] == [
        'GroupRevertUndone',
        'GroupMemberFailed',
    ]
    assert [lab.current_of(name) for name in TRIO] == [['b']] * 3
    assert [lab.names_of(name) for name in TRIO] == [['a', 'b']] * 3
    assert keys(lab.task(accepted)).count(message) == 3


@pytest.mark.parametrize(
    'error',
    [
        exceptions.OperationFailed('revert', 'told to fail'),
        # It is on the disks of the snapshot all the same.
        exceptions.RevertNotStarted('a', 'told to fail'),
    ],
)
def test_systems_that_have_moved_are_brought_back(lab, error):
    """Where one fails after the others have gone."""
    lab.made(Name='a')
    lab.made(Name='b')
    lab.fail('revert:finish', 'node-1', error=error)

    accepted = lab.post_revert('a')
    response = lab.emulator.wait(accepted)

    assert message_ids(response)[0] == 'GroupRevertUndone'
    assert [lab.current_of(name) for name in TRIO] == [['b']] * 3
    assert keys(lab.task(accepted)).count('GroupMemberRestored') == 3


def test_only_the_cause_of_a_failed_revert_is_told(lab):
    """Not who gave up for it, nor a state that holds no more."""
    lab.made(Name='a')
    lab.made(Name='b')
    lab.fail(
        'revert:revert',
        'node-2',
        error=exceptions.RevertUndone(
            'a', 'told to fail', 'started anew, as its memory was lost'
        ),
    )

    accepted = lab.post_revert('a')
    response = lab.emulator.wait(accepted)

    assert message_ids(response) == ['GroupRevertUndone', 'GroupMemberFailed']
    _, failed = response.json()['error']['@Message.ExtendedInfo']
    assert failed['MessageArgs'] == ['node-2', 'told to fail']
    parts = {
        part['Oem']['HawkFish']['System']['@odata.id'][-36:]: part
        for part in lab.sub_tasks(accepted)
        if part['TaskState'] == 'Exception'
    }
    for name in TRIO[:2]:
        gave_up = parts[NODES[name]]['Messages'][-2]
        assert gave_up['MessageId'].endswith('.RevertGivenUp')
        assert 'Waiting for: node-2 (' in gave_up['Message']


def test_a_lab_that_was_left_half_changed_is_reverted(lab):
    """Only a revert mends it."""
    lab.made(Name='a')
    with lab.emulator.slow():
        stuck = requests.post(lab.of('node-1'), json={'Name': 's'})
        wait_for(
            lambda: lab.emulator.task(stuck).step == 'capture', 'the capture'
        )
        abandon(lab, stuck)
    assert message_ids(lab.post_create(Name='b'))[0] == 'GroupMemberRefused'

    lab.reverted('a')

    lab.made(Name='b')


def test_an_abandoned_task_leaves_no_part_at_work(lab):
    """Its parts end with it, and no system stays paused."""
    lab.emulator.behaviour.power_state = 'On'
    with lab.emulator.slow():
        accepted = lab.post_create(Name='a')
        lab.wait_captures(accepted)
        abandon(lab, accepted)
        states = [part['TaskState'] for part in lab.sub_tasks(accepted)]
    assert states == ['Exception'] * 3
    wait_for(lambda: not lab.emulator.driver.paused(), 'the resumes')
    for ended in (*lab.sub_tasks(accepted), lab.task(accepted)):
        acknowledged = requests.delete(
            f'{lab.emulator.url}{ROOT}/TaskService/Tasks/{ended["Id"]}'
        )
        assert acknowledged.ok, acknowledged.text


def abandon(lab, accepted):
    number = accepted.headers['Location'].rpartition('/')[2]
    target = f'{lab.emulator.url}{ROOT}/TaskService/Tasks/{number}'
    response = requests.post(f'{target}/Actions/Oem/HawkFishTask.Abandon')
    assert response.status_code == 204, response.text


def test_a_part_is_cancelled_with_the_whole_alone(lab):
    """A delete of a group cannot be cancelled, and no part of it can."""
    lab.made(Name='a')
    with lab.emulator.slow():
        accepted = lab.send_delete('a')
        wait_for(lambda: 'SubTasks' in lab.task(accepted), 'the parts')
        for part in lab.sub_tasks(accepted):
            refused = requests.delete(
                f'{lab.emulator.url}{ROOT}/TaskService/Tasks/{part["Id"]}'
            )
            assert message_ids(refused) == ['TaskNotCancellable']
    assert lab.emulator.wait(accepted).ok


def test_a_create_makes_no_room_in_other_systems(lab):
    """A delete of a group that waits behind it is no part of it."""
    emulator = lab.emulator
    lab.made(Name='a')
    requests.post(lab.of('node-0'), json={'Name': 'b'})
    emulator.wait_idle()
    emulator.behaviour.depth = 3
    with emulator.slow():
        first = requests.post(lab.of('node-0'), json={'Name': 'c1'})
        emulator.wait_running(first)
        second = requests.post(lab.of('node-0'), json={'Name': 'c2'})
        whole = lab.send_delete('a')
        assert whole.status_code == 202, whole.text
    ended = emulator.wait(second)
    assert message_ids(ended) == ['ChainTooDeep'], ended.text
    assert emulator.wait(whole).ok
    emulator.behaviour.depth = None
    assert emulator.task(whole).parent is None


def test_a_revert_without_a_way_back_is_not_begun(lab):
    """Where the safety snapshot of one system fails, no system is touched."""
    lab.made(Name='a')
    lab.made(Name='b')
    lab.fail('create:capture', 'node-1')

    response = lab.emulator.wait(lab.post_revert('a'))

    assert message_ids(response) == [
        'GroupRevertNotStarted',
        'GroupMemberFailed',
    ]
    assert [lab.names_of(name) for name in TRIO] == [['a', 'b']] * 3


def test_systems_added_since_are_named(lab):
    """They are left alone where that is asked for."""
    lab.made(Name='a')
    lab.act('lab', 'AddElements', Elements=lab.elements('node-3'))
    lab.emulator.wait(requests.post(lab.of('node-3'), json={'Name': 'own'}))

    response = lab.post_revert('a')

    assert message_ids(response) == ['GroupSystemsAdded']
    assert 'node-3' in response.json()['error']['message']
    task = lab.reverted('a', AddedSystems='LeaveAlone')
    assert lab.names_of('node-3') == ['own']
    assert keys(task).count('GroupMemberReverted') == 3
    assert [
        message['MessageArgs']
        for message in task['Messages']
        if message['MessageId'].endswith('.GroupMemberLeftAlone')
    ] == [['node-3', 'a']]


# What others do to the parts ----------------------------------------------


def revert_alone(lab, system, name):
    url = f'{lab.of(system)}/{name}/Actions/HawkFishSnapshot.Revert'
    response = lab.emulator.wait(requests.post(url))
    assert response.status_code == 200, response.text


def delete_alone(lab, system, name):
    response = lab.emulator.wait(requests.delete(f'{lab.of(system)}/{name}'))
    assert response.status_code == 204, response.text


def test_a_system_reverted_alone_makes_it_mixed(lab):
    """It is shown who stands on it, and a revert brings all to it."""
    lab.made(Name='a')
    lab.made(Name='b')

    revert_alone(lab, 'node-1', 'a')

    shown = lab.show('b')
    assert shown['SnapshotState'] == 'Mixed'
    assert [part['Based'] for part in shown['Systems']] == [True, False, True]
    assert [f['MessageId'] for f in shown['Findings']] == [
        'HawkFish.1.0.GroupSnapshotMixed'
    ]
    assert lab.show('a')['SnapshotState'] == 'Ready'
    lab.reverted('b')
    assert lab.show('b')['SnapshotState'] == 'Ready'


@pytest.mark.parametrize('state', ['Deleting', 'Reverting'])
def test_a_part_that_is_changed_alone_is_named(lab, state):
    """It is not Ready then: what it will be is not known yet."""
    lab.made(Name='a')
    lab.made(Name='b')
    part = f'{lab.of("node-0")}/a'
    with lab.emulator.slow():
        if state == 'Deleting':
            accepted = requests.delete(part)
        else:
            revert = f'{part}/Actions/HawkFishSnapshot.Revert'
            accepted = requests.post(revert, json={'SafetySnapshot': False})
        lab.emulator.wait_running(accepted)
        shown = lab.show('a')
    lab.emulator.wait(accepted)

    assert shown['SnapshotState'] == state
    assert shown['Status']['State'] == 'Updating'
    assert [f['MessageId'].rpartition('.')[2] for f in shown['Findings']] == [
        'GroupSnapshotPartBusy'
    ]
    assert f'node-0 ({state})' in shown['Findings'][0]['Message']
    # All of them stand on it still.
    ended = 'Incomplete' if state == 'Deleting' else 'Ready'
    assert lab.show('a')['SnapshotState'] == ended


def test_a_part_deleted_alone_makes_it_incomplete(lab):
    """What is left can be reverted to, if asked for, and deleted."""
    lab.made(Name='a')
    lab.made(Name='b')

    delete_alone(lab, 'node-1', 'a')

    shown = lab.show('a')
    assert shown['SnapshotState'] == 'Incomplete'
    assert shown['Systems'][1]['Snapshot'] is None
    assert shown['Systems'][1]['SnapshotState'] == 'Missing'
    refused = lab.post_revert('a')
    assert message_ids(refused) == ['GroupSnapshotIncomplete']
    lab.reverted('a', Partial=True)
    assert lab.current_of('node-0') == ['a']
    assert lab.current_of('node-1') == ['b']
    revert_alone(lab, 'node-0', 'b')
    revert_alone(lab, 'node-2', 'b')
    assert lab.emulator.wait(lab.send_delete('a')).status_code == 204
    assert lab.names() == ['b']


def test_another_snapshot_of_its_name_is_no_part_of_it(lab):
    """A part that was replaced is missing."""
    lab.made(Name='a')
    delete_alone(lab, 'node-1', 'a')
    lab.emulator.wait_second()
    lab.emulator.wait(requests.post(lab.of('node-1'), json={'Name': 'a'}))

    assert lab.show('a')['SnapshotState'] == 'Incomplete'
    own = requests.get(f'{lab.of("node-1")}/a').json()
    assert own['Links']['GroupSnapshots'] == []


def test_of_what_nobody_has_any_more_nothing_is_shown(lab):
    """Its name is free again."""
    lab.made(Name='a')
    for name in TRIO:
        delete_alone(lab, name, 'a')

    assert lab.names() == []
    assert lab.made(Name='a')['SnapshotState'] == 'Ready'


def test_a_task_does_not_link_to_what_nobody_has_any_more(lab):
    """As for a single snapshot."""
    accepted = lab.post_create(Name='a')
    lab.emulator.wait(accepted)
    before = lab.task(accepted)['Links']['CreatedResources']

    for name in TRIO:
        delete_alone(lab, name, 'a')

    assert before == [
        {'@odata.id': lab.collection('/a').removeprefix(lab.emulator.url)}
    ]
    assert lab.task(accepted)['Links']['CreatedResources'] == []


def test_snapshots_of_a_system_that_left_are_its_own(lab):
    """The group's are of those that stayed."""
    lab.made(Name='a')

    lab.act('lab', 'RemoveElements', Elements=lab.elements('node-1'))

    assert [p['Name'] for p in lab.show('a')['Systems']] == [
        'node-0',
        'node-2',
    ]
    own = requests.get(f'{lab.of("node-1")}/a').json()
    assert own['Links']['GroupSnapshots'] == []


# Dry runs -----------------------------------------------------------------


def previewed(lab, name, **body):
    return lab.post_revert(name, DryRun=True, **body)


def test_a_dry_run_changes_nothing(lab):
    """It says of each system what a revert would do to it."""
    lab.made(Name='a')
    lab.made(Name='b')

    seen = previewed(lab, 'a').json()

    assert (seen['Name'], seen['SafetySnapshot']) == ('a', False)
    assert [one['Name'] for one in seen['Systems']] == [*TRIO]
    assert {one['DiscardedSince'] for one in seen['Systems']} == {'b'}
    assert {one['PowerState'] for one in seen['Systems']} == {'Off'}
    assert seen['LeftAlone'] == []
    assert [lab.current_of(name) for name in TRIO] == [['b']] * 3
    kept = previewed(lab, 'a', SafetySnapshot=True).json()
    assert {one['DiscardedSince'] for one in kept['Systems']} == {None}


def test_a_dry_run_refuses_what_the_revert_would(lab):
    """With the same errors, and names what is left alone if that is asked."""
    lab.made(Name='a')
    lab.act('lab', 'AddElements', Elements=lab.elements('node-3'))

    refused = previewed(lab, 'a')
    assert (refused.status_code, message_ids(refused)) == (
        409,
        message_ids(lab.post_revert('a')),
    )

    seen = previewed(lab, 'a', AddedSystems='LeaveAlone').json()
    assert seen['LeftAlone'] == ['node-3']
    missing = previewed(lab, 'nothing')
    assert missing.status_code == 404
