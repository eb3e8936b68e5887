# SPDX-License-Identifier: Apache-2.0
"""Snapshots of groups over HTTP: created, shown, reverted to, deleted."""

import dataclasses
import time
from typing import Any

import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from tests.served import message_ids
from tests.unit.conftest import NODES
from tests.unit.test_groups import ROOT, Lab
from tests.waiting import wait_for

TRIO = ('node-0', 'node-1', 'node-2')


class Once(dict[str, exceptions.HawkFishError]):
    """Errors, each of which is met once."""

    def __getitem__(self, place: str) -> exceptions.HawkFishError:
        return self.pop(place)


@dataclasses.dataclass
class Snapshots(Lab):
    """The snapshots of the group *name*, which has three systems."""

    name: str = 'lab'

    def collection(self, path: str = '') -> str:
        return self.url(f'/{self.name}/Oem/HawkFish/Snapshots{path}')

    def post_create(self, **body: object) -> requests.Response:
        return requests.post(self.collection(), json=body)

    def made(self, **body: object) -> dict[str, Any]:
        """What a successful create has made."""
        response = self.emulator.wait(self.post_create(**body))
        assert response.status_code == 201, response.text
        return response.json()

    def all(self) -> list[dict[str, Any]]:
        response = requests.get(self.collection('?$expand=.'))
        assert response.status_code == 200, response.text
        return response.json()['Members']

    def names(self) -> list[str]:
        return [snapshot['Name'] for snapshot in self.all()]

    def show(self, name: str) -> dict[str, Any]:
        response = requests.get(self.collection(f'/{name}'))
        assert response.status_code == 200, response.text
        return response.json()

    def post_revert(self, name: str, **body: object) -> requests.Response:
        return requests.post(
            self.collection(f'/{name}/Actions/HawkFishGroupSnapshot.Revert'),
            json=body,
        )

    def reverted(self, name: str, **body: object) -> dict[str, Any]:
        accepted = self.post_revert(name, **body)
        response = self.emulator.wait(accepted)
        assert response.status_code == 200, response.text
        return self.task(accepted)

    def send_delete(self, name: str) -> requests.Response:
        return requests.delete(self.collection(f'/{name}'))

    def of(self, system: str) -> str:
        """Where the snapshots of one system are."""
        return (
            f'{self.emulator.url}{ROOT}/Systems/{NODES[system]}'
            '/Oem/HawkFish/Snapshots'
        )

    def names_of(self, system: str) -> list[str]:
        listed = requests.get(f'{self.of(system)}?$expand=.').json()
        return [member['Name'] for member in listed['Members']]

    def current_of(self, system: str) -> list[str]:
        listed = requests.get(f'{self.of(system)}?$expand=.').json()
        return [m['Name'] for m in listed['Members'] if m['Current']]

    def task(self, accepted: requests.Response) -> dict[str, Any]:
        number = accepted.headers['Location'].rpartition('/')[2]
        response = requests.get(
            f'{self.emulator.url}{ROOT}/TaskService/Tasks/{number}'
        )
        return response.json()

    def sub_tasks(self, accepted: requests.Response) -> list[dict[str, Any]]:
        link = self.task(accepted)['SubTasks']['@odata.id']
        response = requests.get(f'{self.emulator.url}{link}?$expand=.')
        return response.json()['Members']

    def wait_captures(self, accepted: requests.Response) -> None:
        """Wait until all systems are being captured."""
        task = self.emulator.task(accepted)
        wait_for(
            lambda: (
                [
                    part.step
                    for part in self.emulator.services.tasks.sub_tasks(task.id)
                ]
                == ['capture'] * len(TRIO)
            ),
            'the captures',
        )

    def only(self, *names: str) -> None:
        """What is asked of the behaviour is for these systems."""
        self.emulator.behaviour.only = {NODES[name] for name in names}

    def fail(
        self,
        place: str,
        *names: str,
        error: exceptions.HawkFishError | None = None,
    ) -> None:
        self.only(*names)
        operation = place.partition(':')[0]
        self.emulator.behaviour.fail_at = Once(
            {
                place: error
                or exceptions.OperationFailed(operation, 'told to fail')
            }
        )


@pytest.fixture
def lab(emulator) -> Snapshots:
    lab = Snapshots(emulator)
    lab.create(*TRIO, Name='lab')
    return lab


def keys(task: dict[str, Any]) -> list[str]:
    return [m['MessageId'].rpartition('.')[2] for m in task['Messages']]


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
    assert message_ids(again)[-1] == 'ResourceAlreadyExists'
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
    lab.fail('create:finish', 'node-1')
    lab.emulator.behaviour.fail_at['delete:prepare'] = (
        exceptions.OperationFailed('delete', 'told to fail')
    )

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
    assert message_ids(response) == [
        'GroupMemberRefused',
        'ResourceAlreadyExists',
    ]
    assert 'node-1' in response.json()['error']['message']


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
    uuid = NODES['node-1']
    tree = [
        dataclasses.replace(s, name='other')
        for s in lab.emulator.driver.snapshots(uuid)
    ]
    lab.emulator.driver.plant(uuid, tree)
    lab.names_of('node-1')

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
    lab.reverted('a', AddedSystems='LeaveAlone')
    assert lab.names_of('node-3') == ['own']


def test_the_power_state_after_a_revert_can_be_chosen(lab):
    """As that of one system."""
    lab.made(Name='a')

    lab.reverted('a', TargetPowerState='On')

    for name in TRIO:
        system = lab.emulator.app.systems._systems[NODES[name]]
        # The emulator takes a second or more for it.
        coming = system['pending_power'] or system
        assert coming['power_state'] == 'On'


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


# Retention ----------------------------------------------------------------


def set_policy(lab, system, **limits):
    url = f'{lab.of(system).removesuffix("Snapshots")}SnapshotPolicy'
    assert requests.patch(url, json=limits).status_code == 200


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


def test_what_does_not_belong_together_is_not_adopted(lab):
    """One system lacks it, or has it of another time."""
    old = int(time.time()) - 3600
    for name in TRIO:
        lab.emulator.wait(requests.post(lab.of(name), json={'Name': 'a'}))
    for name in TRIO[:2]:
        lab.emulator.wait(requests.post(lab.of(name), json={'Name': 'b'}))
    uuid = NODES['node-0']
    tree = [
        dataclasses.replace(s, created=old)
        for s in lab.emulator.driver.snapshots(uuid)
    ]
    lab.emulator.driver.plant(uuid, tree)

    response = requests.post(
        lab.collection('/Actions/HawkFishGroupSnapshotCollection.Adopt')
    )

    assert response.json()['Adopted'] == []
