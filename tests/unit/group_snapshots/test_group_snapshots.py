# SPDX-License-Identifier: Apache-2.0
"""
Snapshots of groups over HTTP: created, shown, reverted to, deleted.

Long, as it is the whole resource, request by request.
"""

import dataclasses

import pytest
import requests

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from tests.served import message_ids
from tests.unit.conftest import NODES
from tests.unit.group_snapshots.labs import TRIO
from tests.waiting import wait_for

# Create ---------------------------------------------------------------------


def test_a_create_captures_every_system(lab):
    """One task, with a sub-task for each; one name in all systems."""
    lab.emulator.behaviour.power_state = 'On'

    accepted = lab.post_create(Name='before', Description='a test')
    response = lab.emulator.wait(accepted)

    assert response.status_code == 201, response.text
    made = response.json()
    assert made == lab.show('before')
    assert response.headers['Location'] == made['@odata.id']
    assert made['SnapshotState'] == 'Ready'
    assert made['Description'] == 'a test'
    assert made['Consistency'] == 'Consistent'
    assert made['SkewMilliseconds'] >= 0
    assert made['PauseMilliseconds'] >= 0
    assert made['Current'] is True
    assert made['Findings'] == []
    for name, part in zip(TRIO, made['Systems'], strict=True):
        assert part['Name'] == name and part['SnapshotState'] == 'Ready'
        own = requests.get(
            lab.emulator.url + part['Snapshot']['@odata.id']
        ).json()
        assert own['Name'] == 'before' and own['PowerState'] == 'On'
        assert own['SnapshotType'] == 'DiskAndMemory'
        assert own['Links']['GroupSnapshots'] == [
            {'@odata.id': made['@odata.id']}
        ]
    task = lab.task(accepted)
    assert task['TaskState'] == 'Completed'
    assert task['Oem']['HawkFish']['Aggregate'] == made['Links']['Aggregate']
    parts = lab.sub_tasks(accepted)
    assert {p['Oem']['HawkFish']['Operation'] for p in parts} == {'create'}
    assert len(parts) == 3
    assert lab.emulator.driver.paused() == []


def test_a_group_snapshot_without_a_name_gets_one(lab):
    """The same in all systems, though one of them has it already."""
    first = lab.made()
    second = lab.made()

    assert first['Name'].startswith('snapshot-')
    assert lab.names() == [first['Name'], second['Name']]


def test_systems_that_are_off_are_captured_as_they_are(lab):
    """There is no pause and no skew then."""
    made = lab.made(Name='off')

    assert made['SkewMilliseconds'] is None
    assert made['PauseMilliseconds'] is None
    assert [part['PowerState'] for part in made['Systems']] == ['Off'] * 3


@pytest.mark.parametrize(
    'consistency,kind', [('Live', 'DiskAndMemory'), ('DisksOnly', 'Disk')]
)
def test_the_consistency_is_the_clients_choice(lab, consistency, kind):
    """Without a common pause, or without memory."""
    lab.emulator.behaviour.power_state = 'On'

    made = lab.made(Name='a', Consistency=consistency)

    assert made['Consistency'] == consistency
    own = requests.get(f'{lab.of("node-0")}/a').json()
    assert own['SnapshotType'] == kind
    if consistency == 'Live':
        assert made['PauseMilliseconds'] is None


def test_a_group_snapshot_is_shown_while_it_is_created(lab):
    """It is Creating, with all of its systems."""
    with lab.emulator.slow():
        accepted = lab.post_create(Name='a')
        lab.wait_captures(accepted)
        shown = lab.show('a')
        progress = lab.task(accepted)['PercentComplete']
        again = lab.post_create(Name='a')
        alone = requests.post(lab.of('node-1'), json={'Name': 'a'})

    lab.emulator.watch(accepted.headers['Location'])
    assert shown['SnapshotState'] == 'Creating'
    assert 0 <= progress < 100
    assert len(shown['Systems']) == 3
    assert message_ids(again) == ['GroupSnapshotExists']
    assert message_ids(alone) == ['ResourceAlreadyExists']


@pytest.mark.parametrize('place', ['create:prepare', 'create:capture'])
@pytest.mark.parametrize('failing', TRIO)
def test_a_create_that_fails_in_one_system_leaves_nothing(lab, place, failing):
    """No system has a part of it, and nobody stays paused."""
    lab.emulator.behaviour.power_state = 'On'
    lab.fail(place, failing)

    accepted = lab.post_create(Name='a')
    response = lab.emulator.wait(accepted)

    assert response.status_code == 409
    assert message_ids(response) == ['GroupCreateUndone', 'GroupMemberFailed']
    assert failing in response.json()['error']['message']
    assert [lab.names_of(name) for name in TRIO] == [[]] * 3
    assert lab.names() == []
    assert lab.emulator.driver.paused() == []


def test_what_was_made_before_one_failed_is_removed(lab):
    """After the last point at which all meet, too; locked or not."""
    lab.emulator.behaviour.power_state = 'On'
    lab.fail('create:finish', 'node-1')

    response = lab.emulator.wait(lab.post_create(Name='a', Locked=True))

    assert message_ids(response)[0] == 'GroupCreateUndone'
    assert [lab.names_of(name) for name in TRIO] == [[]] * 3
    lab.emulator.behaviour.fail_at = {}
    assert lab.made(Name='a')['SnapshotState'] == 'Ready'


def test_what_stays_of_a_failed_create_is_named(lab):
    """The part of the system that failed cannot be removed either."""
    lab.only('node-1')
    lab.emulator.behaviour.fail_at = {
        f'{operation}:{step}': exceptions.OperationFailed(operation, 'told')
        for operation, step in (('create', 'finish'), ('delete', 'prepare'))
    }

    response = lab.emulator.wait(lab.post_create(Name='a'))

    assert message_ids(response)[0] == 'GroupCreateNotUndone'
    assert 'node-1' in response.json()['error']['message']
    assert [lab.names_of(name) for name in TRIO] == [[], ['a'], []]


def other(name):
    """A snapshot that somebody else has made."""
    return contract.Snapshot(name, '', 1, contract.OFF, False, True)


def test_what_may_be_anothers_is_named_and_stays(lab):
    """It came while the others were captured; nothing proves whose it is."""
    lab.fail('create:capture', 'node-1')
    tasks = lab.emulator.services.tasks
    with lab.emulator.slow():
        accepted = lab.post_create(Name='a', Consistency='Live')
        task = lab.emulator.task(accepted)
        wait_for(
            lambda: [not t.active for t in tasks.sub_tasks(task.id)].count(
                True
            ),
            'the failure',
        )
        lab.emulator.driver.plant(NODES['node-1'], [other('a')])

    response = lab.emulator.wait(accepted)

    assert message_ids(response)[0] == 'GroupCreateNotUndone'
    assert 'node-1' in response.json()['error']['message']
    assert [lab.names_of(name) for name in TRIO] == [[], ['a'], []]


def test_what_is_anothers_is_no_part(lab):
    """It came after the request, before the turn of the create."""
    with lab.emulator.slow():
        busy = requests.post(lab.of('node-0'), json={'Name': 'busy'})
        lab.emulator.wait_running(busy)
        accepted = lab.post_create(Name='a')
        lab.emulator.driver.plant(NODES['node-1'], [other('a')])

    response = lab.emulator.wait(accepted)

    assert message_ids(response)[0] == 'GroupCreateUndone'
    assert [lab.names_of(name) for name in TRIO] == [['busy'], ['a'], []]


def test_a_create_is_cancelled_in_all_systems(lab):
    """Nothing is left of it."""
    with lab.emulator.slow():
        accepted = lab.post_create(Name='a')
        lab.wait_captures(accepted)
        lab.emulator.cancel(accepted)

    assert lab.task(accepted)['TaskState'] == 'Cancelled'
    assert [lab.names_of(name) for name in TRIO] == [[]] * 3
    assert lab.emulator.driver.paused() == []


def test_what_stands_in_the_way_is_told_of_all_systems(lab):
    """Nothing is begun then."""
    lab.emulator.behaviour.depth = 0
    lab.only('node-0', 'node-2')

    response = lab.post_create(Name='a')

    assert response.status_code == 409
    assert message_ids(response) == [
        'GroupMemberRefused',
        'ChainTooDeep',
        'GroupMemberRefused',
        'ChainTooDeep',
    ]
    assert lab.names_of('node-1') == []


def test_a_name_that_one_system_has_is_refused(lab):
    """It is told which system it is."""
    lab.emulator.wait(requests.post(lab.of('node-1'), json={'Name': 'a'}))

    response = lab.post_create(Name='a')

    assert response.status_code == 409
    assert message_ids(response) == ['GroupSnapshotNameTaken']
    assert response.json()['error']['message'].endswith(': node-1.')


def test_a_name_that_the_group_has_is_refused_once(lab):
    """Whatever the systems call their parts by now, with one advice."""
    lab.made(Name='clean')

    response = lab.post_create(Name='clean')
    for name in TRIO:
        lab.rename(name, 'clean', 'other')
    renamed = lab.post_create(Name='clean')

    for refused in (response, renamed):
        assert refused.status_code == 409
        assert message_ids(refused) == ['GroupSnapshotExists']
        assert refused.json()['error']['message'] == (
            "Group 'lab' already has a snapshot 'clean'."
        )
    assert lab.names() == ['clean']


def warn(context):
    context.add_message(messages.QUIESCE_FAILED, 'node-1', 'no agent')
    context.add_message(messages.THAW_FAILED, 'it does not answer')


def test_what_a_system_warns_of_is_told_of_the_group(lab, monkeypatch):
    """With its name; the task ends with a warning, like one of a system."""
    create = lab.emulator.driver.create

    def warning(uuid, request, context):
        if uuid == NODES['node-1']:
            warn(context)
        made = create(uuid, request, context)
        if uuid == NODES['node-1']:
            failed = contract.Quiesce(contract.QUIESCE_FAILED, 'no agent')
            made = dataclasses.replace(made, quiesce=failed)
        return made

    monkeypatch.setattr(lab.emulator.driver, 'create', warning)
    accepted = lab.post_create(Name='a')
    assert lab.emulator.wait(accepted).status_code == 201

    task = lab.task(accepted)
    told = [(m['MessageId'], m['MessageArgs']) for m in task['Messages']]
    assert [key.rpartition('.')[2] for key, _ in told[-4:]] == [
        'GroupMemberWarned',
        'SnapshotQuiesceFailed',
        'ThawFailed',
        'TaskCompletedWarning',
    ]
    assert told[-4][1] == ['node-1']
    assert task['TaskStatus'] == 'Warning'
    shown = [
        (part['QuiesceStatus'], part['QuiesceReason'])
        for part in lab.show('a')['Systems']
    ]
    assert shown[1] == ('Failed', 'no agent')
    assert {reason for _, reason in (shown[0], shown[2])} == {None}


def test_what_a_failed_system_warned_of_is_told_as_well(lab, monkeypatch):
    """A guest that is still frozen is, however its task has ended."""
    create = lab.emulator.driver.create

    def failing(uuid, request, context):
        if uuid == NODES['node-1']:
            warn(context)
            raise exceptions.OperationFailed('create', 'told to fail')
        return create(uuid, request, context)

    monkeypatch.setattr(lab.emulator.driver, 'create', failing)
    accepted = lab.post_create(Name='a')
    lab.emulator.wait(accepted)

    keys = [
        m['MessageId'].rpartition('.')[2]
        for m in lab.task(accepted)['Messages']
    ]
    assert keys[1:] == [
        'GroupMemberWarned',
        'SnapshotQuiesceFailed',
        'ThawFailed',
        'GroupCreateUndone',
        'GroupMemberFailed',
        'TaskAborted',
    ]


@pytest.mark.parametrize(
    'body,key',
    [
        ({'Name': '.a'}, 'SnapshotNameInvalid'),
        ({'Consistency': 'Mostly'}, 'PropertyValueNotInList'),
        ({'IncludeMemory': True}, 'PropertyUnknown'),
        ({'ExpiresTime': '2000-01-01T00:00:00Z'}, 'ExpiryInPast'),
        ({'Description': '\x1b'}, 'PropertyValueFormatError'),
    ],
)
def test_a_create_that_makes_no_sense_is_refused(lab, body, key):
    """Nothing is made."""
    response = lab.post_create(**body)

    assert response.status_code == 400
    assert message_ids(response) == [key]
    assert lab.names() == []


def test_the_pause_is_forecast(lab):
    """From the memory of all systems, and the speed measured last."""
    lab.emulator.behaviour.power_state = 'On'
    target = '/Actions/HawkFishGroupSnapshotCollection.PreviewCreate'

    seen = requests.post(lab.collection(target), json={'Name': 'a'}).json()
    live = requests.post(
        lab.collection(target), json={'Consistency': 'Live'}
    ).json()

    assert seen['Name'] == 'a' and seen['Consistency'] == 'Consistent'
    assert seen['MemoryBytes'] == 3 * 2**20
    assert seen['WriteBytesPerSecond'] == 100 * 2**20
    assert seen['PauseMilliseconds'] == 530.0
    assert seen['PauseLimitMilliseconds'] is None
    assert [s['SnapshotType'] for s in seen['Systems']] == [
        'DiskAndMemory'
    ] * 3
    assert live['PauseMilliseconds'] is None
    assert lab.names() == []
    lab.made()
    lab.emulator.wait_idle()
    again = requests.post(lab.collection(target), json={}).json()
    assert again['WriteBytesPerSecond'] != seen['WriteBytesPerSecond']


def test_a_pause_that_is_too_long_is_refused(lab):
    """The configuration says how long it may be; Live has none."""
    lab.emulator.behaviour.power_state = 'On'
    conf = lab.emulator.services.conf
    # Less than the memory of a fake system takes.
    conf.set_override('max_pause', 1, 'groups')
    lab.emulator.driver.memory_bytes = 2**30
    try:
        response = lab.post_create(Name='a')
        live = lab.made(Name='b', Consistency='Live')
    finally:
        conf.clear_override('max_pause', 'groups')
        lab.emulator.driver.memory_bytes = 2**20

    assert response.status_code == 409
    assert message_ids(response) == ['GroupPauseTooLong']
    assert live['SnapshotState'] == 'Ready'


def test_others_hear_of_a_group_snapshot(lab):
    """An event tells it, beside those of its parts."""
    before = lab.emulator.services.events.newest()
    lab.made(Name='a')
    lab.reverted('a')
    lab.emulator.wait(lab.send_delete('a'))

    told = lab.emulator.services.events.after(before, 1000)
    assert [
        (event.message_id.rpartition('.')[2], *event.args)
        for event in told
        if event.origin.type == 'HawkFishGroupSnapshot'
        and event.message_id.startswith('HawkFish')
    ] == [
        ('GroupSnapshotCreated', 'a', 'lab'),
        ('GroupSnapshotReverted', 'a', 'lab'),
        ('GroupSnapshotDeleted', 'a', 'lab', 'Request'),
    ]


def test_a_renamed_part_stays_one(lab):
    """Another client may rename a snapshot of one system."""
    lab.made(Name='a')
    lab.rename('node-1', 'a', 'other')

    shown = lab.show('a')
    assert shown['SnapshotState'] == 'Ready'
    assert shown['Systems'][1]['Snapshot']['@odata.id'].endswith('/other')
    lab.reverted('a')
    assert lab.emulator.wait(lab.send_delete('a')).status_code == 204
    assert lab.names_of('node-1') == []


def test_group_snapshots_of_hidden_systems_are_hidden(lab):
    """A part shows no group that has a system which may not be served."""
    lab.made(Name='a')
    lab.emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['node-0']

    own = requests.get(f'{lab.of("node-0")}/a').json()
    listed = requests.get(lab.collection())

    assert own['Links']['GroupSnapshots'] == []
    assert listed.status_code == 404


def test_a_group_snapshot_of_another_version_is_left_alone(lab):
    """If-Match holds for a revert and a delete."""
    old = lab.made(Name='a')['@odata.etag']
    requests.patch(lab.collection('/a'), json={'Description': 'new'})
    headers = {'If-Match': old}

    for response in (
        requests.delete(lab.collection('/a'), headers=headers),
        requests.post(
            lab.collection('/a/Actions/HawkFishGroupSnapshot.Revert'),
            headers=headers,
        ),
        requests.patch(
            lab.collection('/a'), json={'Locked': True}, headers=headers
        ),
    ):
        assert response.status_code == 412


def test_a_group_is_not_changed_while_it_is_worked_on(lab):
    """A task of it is to end first."""
    with lab.emulator.slow():
        accepted = lab.post_create(Name='a')
        lab.wait_captures(accepted)
        response = lab.act(
            'lab', 'AddElements', Elements=lab.elements('node-5')
        )

    lab.emulator.watch(accepted.headers['Location'])
    assert message_ids(response) == ['GroupBusy']


# Lists and changes --------------------------------------------------------


def test_group_snapshots_can_be_filtered(lab):
    """As the snapshots of one system can."""
    lab.made(Name='a', Locked=True)
    lab.made(Name='b')

    found = requests.get(lab.collection('?$filter=Locked eq true')).json()

    assert [m['@odata.id'].rpartition('/')[2] for m in found['Members']] == [
        'a'
    ]


def test_a_change_is_made_in_all_systems(lab):
    """Description, lock and expiry."""
    lab.made(Name='a')

    response = requests.patch(
        lab.collection('/a'),
        json={
            'Description': 'new',
            'Locked': True,
            'ExpiresTime': '2099-01-01T00:00:00Z',
        },
    )

    assert response.status_code == 200, response.text
    for name in TRIO:
        own = requests.get(f'{lab.of(name)}/a').json()
        assert own['Description'] == 'new' and own['Locked'] is True
        assert own['ExpiresTime'] == '2099-01-01T00:00:00Z'
    assert response.json() == lab.show('a')
    assert response.json()['Locked'] is True


@pytest.mark.parametrize('is_lost', [False, True])
def test_a_change_that_fails_in_one_system(lab, monkeypatch, is_lost):
    """It is undone in the others; or told where it was made."""
    lab.made(Name='a', Description='old')
    describe, asked = lab.emulator.driver.describe, []

    def fail(uuid, name, description):
        asked.append(uuid)
        if len(asked) == 3 or (is_lost and len(asked) > 3):
            raise exceptions.HypervisorUnavailable('fake', 'gone')
        describe(uuid, name, description)

    monkeypatch.setattr(lab.emulator.driver, 'describe', fail)
    body = {'Description': 'new', 'Locked': True}

    refused = requests.patch(lab.collection('/a'), json=body)

    told = 'GroupChangeNotUndone' if is_lost else 'GroupMemberRefused'
    assert message_ids(refused) == [told, 'HypervisorUnavailable']
    shown = [requests.get(f'{lab.of(name)}/a').json() for name in TRIO]
    moved = (True, 'new') if is_lost else (False, 'old')
    assert [(one['Locked'], one['Description']) for one in shown] == [
        moved,
        moved,
        (False, 'old'),
    ]
    monkeypatch.undo()
    assert requests.patch(lab.collection('/a'), json=body).status_code == 200


def test_group_snapshots_form_a_tree(lab):
    """The parent is what all systems grow from."""
    lab.made(Name='a')
    lab.made(Name='b')
    lab.reverted('a')
    lab.made(Name='c')

    links = {s['Name']: s['Links'] for s in lab.all()}
    children = links['a']['ChildSnapshots']
    assert [c['@odata.id'].rpartition('/')[2] for c in children] == ['b', 'c']
    assert links['c']['ParentSnapshot']['@odata.id'].endswith('/a')
    assert links['a']['ParentSnapshot'] is None
