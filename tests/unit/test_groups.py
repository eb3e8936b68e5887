# SPDX-License-Identifier: Apache-2.0
"""
Groups of systems over HTTP: the aggregation service.

Long, as it is the whole resource, request by request.
"""

import dataclasses
import threading
from typing import Any

import pytest
import requests

from hawkfish_plugin.tasks.context import Context
from tests.served import FAKE_UUID, message_ids
from tests.unit.conftest import NODES, Emulator
from tests.waiting import wait_for

ROOT = '/redfish/v1'
AGGREGATES = f'{ROOT}/AggregationService/Aggregates'


@dataclasses.dataclass
class Lab:
    """Groups of the *emulator*, as a client makes and changes them."""

    emulator: Emulator

    def url(self, path: str = '') -> str:
        return f'{self.emulator.url}{AGGREGATES}{path}'

    def elements(self, *names: str) -> list[dict[str, str]]:
        return [{'@odata.id': f'{ROOT}/Systems/{name}'} for name in names]

    def post(self, *names: str, **body: object) -> requests.Response:
        return requests.post(
            self.url(), json={'Elements': self.elements(*names), **body}
        )

    def create(self, *names: str, **body: object) -> dict[str, Any]:
        response = self.post(*names, **body)
        assert response.status_code == 201, response.text
        return response.json()

    def get(self, group: str) -> dict[str, Any]:
        response = requests.get(self.url(f'/{group}'))
        assert response.status_code == 200, response.text
        return response.json()

    def act(
        self, group: str, action: str, **body: object
    ) -> requests.Response:
        target = self.get(group)['Actions'][f'#Aggregate.{action}']['target']
        return requests.post(self.emulator.url + target, json=body)


@pytest.fixture
def lab(emulator: Emulator) -> Lab:
    return Lab(emulator)


def members(group: dict[str, Any]) -> list[str]:
    by_uuid = {uuid: name for name, uuid in NODES.items()}
    return [
        by_uuid[link['@odata.id'].rpartition('/')[2]]
        for link in group['Elements']
    ]


def test_the_service_root_leads_to_the_groups(emulator):
    """The root links the service, and is of a version that knows it."""
    root = requests.get(f'{emulator.url}{ROOT}/').json()
    service = requests.get(
        emulator.url + root['AggregationService']['@odata.id']
    ).json()
    listed = requests.get(emulator.url + service['Aggregates']['@odata.id'])

    assert root['@odata.type'] == '#ServiceRoot.v1_15_0.ServiceRoot'
    assert service['ServiceEnabled'] is True
    assert listed.json()['Members'] == []


def test_a_group_is_made_of_names_and_uuids(lab):
    """Its members are systems, however they were named."""
    response = lab.post('node-1', NODES['node-0'], Name='lab')
    found = requests.get(lab.emulator.url + response.headers['Location'])

    assert response.status_code == 201
    assert found.json() == response.json() == lab.get('lab')
    assert found.json()['Name'] == found.json()['Id'] == 'lab'
    assert members(found.json()) == ['node-1', 'node-0']
    assert found.json()['ElementsCount'] == 2
    listed = requests.get(lab.url() + '?$expand=.').json()['Members']
    assert listed == [found.json()]


def test_a_group_without_a_name_gets_one(lab):
    """It is the first number that is free."""
    lab.create('node-0', Name='group-1')

    assert lab.create('node-0')['Id'] == 'group-2'


def test_a_group_has_one_name(lab):
    """A name that another group has is refused."""
    lab.create('node-0', Name='lab')

    response = lab.post('node-1', Name='lab')

    assert response.status_code == 409
    assert message_ids(response) == ['ResourceAlreadyExists']


@pytest.mark.parametrize(
    'body,keys',
    [
        ({}, ['CreateFailedMissingReqProperties']),
        ({'Elements': []}, ['GroupEmpty']),
        ({'Elements': 'node-0'}, ['PropertyValueTypeError']),
        ({'Elements': [{}]}, ['PropertyValueTypeError']),
        (
            {'Elements': [{'@odata.id': f'{ROOT}/Systems/nobody'}]},
            ['GroupMemberUnknown'],
        ),
        (
            {'Elements': [{'@odata.id': f'{ROOT}/Managers/{FAKE_UUID}'}]},
            ['GroupMemberUnknown'],
        ),
        (
            {
                'Elements': [
                    {'@odata.id': f'{ROOT}/Systems/node-0'},
                    {'@odata.id': f'{ROOT}/Systems/{NODES["node-0"]}'},
                    {'@odata.id': 'https://elsewhere.example/Systems/1'},
                ]
            },
            ['GroupMemberDuplicate', 'GroupMemberUnknown'],
        ),
        (
            {
                'Elements': [{'@odata.id': f'{ROOT}/Systems/node-0'}],
                'Name': 'a/b',
                'Colour': 'red',
            },
            ['PropertyUnknown', 'GroupNameInvalid'],
        ),
    ],
)
def test_what_makes_no_group_is_refused(lab, body, keys):
    """Everything that is wrong is told at once, and nothing is made."""
    response = requests.post(lab.url(), json=body)

    assert response.status_code == 400, response.text
    assert sorted(message_ids(response)) == sorted(keys)
    assert requests.get(lab.url()).json()['Members'] == []


def test_systems_come_and_go(lab):
    """A system may be in several groups, and leave each of them."""
    lab.create('node-0', Name='lab')
    lab.create('node-0', 'node-1', Name='other')

    lab.act('lab', 'AddElements', Elements=lab.elements('node-2'))
    assert members(lab.get('lab')) == ['node-0', 'node-2']
    lab.act('lab', 'RemoveElements', Elements=lab.elements('node-0'))

    assert members(lab.get('lab')) == ['node-2']
    assert members(lab.get('other')) == ['node-0', 'node-1']


@pytest.mark.parametrize(
    'action,names,key',
    [
        ('AddElements', ['node-0'], 'GroupMemberDuplicate'),
        ('AddElements', ['nobody'], 'GroupMemberUnknown'),
        ('AddElements', [], 'GroupEmpty'),
        ('RemoveElements', ['node-1'], 'GroupNotMember'),
        ('RemoveElements', ['node-0'], 'GroupEmpty'),
        ('RemoveElements', ['nobody'], 'GroupMemberUnknown'),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(lab, action, names, key):
    """The group stays as it is."""
    before = lab.create('node-0', Name='lab')

    response = lab.act('lab', action, Elements=lab.elements(*names))

    assert response.status_code == 400
    assert message_ids(response) == [key]
    (told,) = response.json()['error']['@Message.ExtendedInfo']
    place = '#/Elements/0' if names else '#/Elements'
    assert told['RelatedProperties'] in ([place], ['#/Elements'])
    assert lab.get('lab') == before


@pytest.mark.parametrize(
    'action,names',
    [
        ('AddElements', ['node-2', 'node-0']),
        ('RemoveElements', ['node-0', 'node-2']),
    ],
)
def test_the_element_that_makes_no_sense_is_named(lab, action, names):
    """By its place in the request."""
    lab.create('node-0', 'node-1', Name='lab')

    response = lab.act('lab', action, Elements=lab.elements(*names))

    (told,) = response.json()['error']['@Message.ExtendedInfo']
    assert told['RelatedProperties'] == ['#/Elements/1']


def test_a_change_of_another_version_is_refused(lab):
    """If-Match keeps two who change a group from each other."""
    group = lab.create('node-0', Name='lab')
    lab.act('lab', 'AddElements', Elements=lab.elements('node-1'))

    response = requests.delete(
        lab.url('/lab'), headers={'If-Match': group['@odata.etag']}
    )

    assert response.status_code == 412
    assert members(lab.get('lab')) == ['node-0', 'node-1']


def test_a_group_is_deleted(lab):
    """Its systems keep what they have."""
    lab.create('node-0', Name='lab')

    assert requests.delete(lab.url('/lab')).status_code == 204
    assert requests.get(lab.url('/lab')).status_code == 404
    assert lab.create('node-0', Name='lab')


def test_a_group_with_a_hidden_system_is_hidden(lab):
    """Who may not see one of its systems sees nothing of the group."""
    lab.create('node-0', 'node-1', Name='lab')
    lab.create('node-0', Name='mine')
    lab.emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['node-0']

    listed = requests.get(lab.url()).json()['Members']
    named = lab.post('node-1', Name='other')

    assert [m['@odata.id'] for m in listed] == [f'{AGGREGATES}/mine']
    assert requests.get(lab.url('/lab')).status_code == 404
    assert requests.delete(lab.url('/lab')).status_code == 404
    assert message_ids(named) == ['GroupMemberUnknown']


def power(lab, name):
    response = requests.get(f'{lab.emulator.url}{ROOT}/Systems/{name}')
    return response.json()['PowerState']


def test_a_group_is_reset_in_batches(lab, monkeypatch):
    """All are, in turn, and with a pause between two batches."""
    lab.create('node-0', 'node-1', 'node-2', Name='lab')
    seen = []
    systems = lab.emulator.app.systems
    monkeypatch.setattr(
        systems, 'set_power_state', lambda uuid, kind: seen.append(uuid)
    )

    accepted = lab.act('lab', 'Reset', ResetType='On', BatchSize=2)
    response = lab.emulator.wait(accepted)

    assert response.status_code == 200, response.text
    assert set(seen[:2]) == {NODES['node-0'], NODES['node-1']}
    assert seen[2:] == [NODES['node-2']]


def test_a_batch_is_reset_at_the_same_time(lab, monkeypatch):
    """None of it waits for another one to be reset."""
    lab.create('node-0', 'node-1', 'node-2', Name='lab')
    together = threading.Barrier(3, timeout=60)
    monkeypatch.setattr(
        lab.emulator.app.systems,
        'set_power_state',
        lambda uuid, kind: together.wait() and None,
    )

    response = lab.emulator.wait(lab.act('lab', 'Reset', ResetType='On'))

    assert response.status_code == 200, response.text


def test_a_system_that_stays_locked_fails_alone(lab, monkeypatch):
    """The others are reset, and the task says which one was not."""
    lab.create('node-0', 'node-1', 'node-2', Name='lab')
    seen = []
    monkeypatch.setattr(
        lab.emulator.app.systems,
        'set_power_state',
        lambda uuid, kind: seen.append(uuid),
    )
    monkeypatch.setattr(
        Context, 'overdue', property(lambda context: len(seen) == 2)
    )
    with lab.emulator.services.locks.system(NODES['node-1'], 1):
        accepted = lab.act('lab', 'Reset', ResetType='On')
        response = lab.emulator.wait(accepted)

    assert message_ids(response) == [
        'GroupActionUnfinished',
        'GroupMemberFailed',
    ]
    told, failed = response.json()['error']['@Message.ExtendedInfo']
    assert '2 of the 3' in told['Message']
    assert failed['MessageArgs'][0] == 'node-1'


def test_a_reset_that_waits_is_cancelled(lab, monkeypatch):
    """In the pause between two batches it stops."""
    lab.create('node-0', 'node-1', Name='lab')
    seen = []
    systems = lab.emulator.app.systems
    monkeypatch.setattr(
        systems, 'set_power_state', lambda uuid, kind: seen.append(uuid)
    )

    accepted = lab.act(
        'lab',
        'Reset',
        ResetType='On',
        BatchSize=1,
        DelayBetweenBatchesInSeconds=600,
    )
    wait_for(lambda: len(seen) == 1, 'the first reset')
    busy = requests.delete(lab.url('/lab'))
    lab.emulator.cancel(accepted)

    assert message_ids(busy) == ['GroupBusy']
    assert seen == [NODES['node-0']]


def test_resets_that_wait_keep_no_other_task(lab, monkeypatch):
    """However many there are: while it waits, a reset needs no worker."""
    systems, seen = lab.emulator.app.systems, []
    monkeypatch.setattr(
        systems, 'set_power_state', lambda uuid, kind: seen.append(uuid)
    )
    names = list(NODES)
    waiting = []
    for first, second in zip(names[::2], names[1::2], strict=True):
        lab.create(first, second, Name=first)
        waiting.append(
            lab.act(
                first,
                'Reset',
                ResetType='On',
                BatchSize=1,
                DelayBetweenBatchesInSeconds=3600,
            )
        )
    assert len(waiting) >= lab.emulator.services.conf.tasks.workers
    try:
        assert lab.emulator.created(Name='a')
        wait_for(lambda: len(seen) == len(waiting), 'the first resets')
    finally:
        for accepted in waiting:
            lab.emulator.cancel(accepted)


def test_a_system_that_cannot_be_reset_keeps_no_other(lab, monkeypatch):
    """The task tells which one it was."""
    lab.create('node-0', 'node-1', Name='lab')

    response = lab.emulator.wait(lab.act('lab', 'Reset', ResetType='Nmi'))

    assert response.status_code == 409
    assert message_ids(response) == [
        'GroupActionUnfinished',
        *['GroupMemberFailed'] * 2,
    ]
    assert '0 of the 2' in response.json()['error']['message']


@pytest.mark.parametrize('action', ['Reset', 'SetDefaultBootOrder'])
def test_an_action_on_another_version_is_refused(lab, action):
    """Nothing is done to any system."""
    lab.create('node-0', Name='lab')
    target = lab.url(f'/lab/Actions/Aggregate.{action}')
    body = {'ResetType': 'On'} if action == 'Reset' else {}

    response = requests.post(target, json=body, headers={'If-Match': '"old"'})

    assert response.status_code == 412


@pytest.mark.parametrize('action', ['AddElements', 'RemoveElements'])
def test_a_change_of_members_is_answered_by_a_message(lab, action):
    """An action has no resource to answer with."""
    system = 'node-2' if action == 'AddElements' else 'node-0'
    lab.create('node-0', 'node-1', Name='lab')

    response = lab.act('lab', action, Elements=lab.elements(system))

    assert response.status_code == 200
    assert message_ids(response) == ['Success']


def test_a_reset_locks_each_system_in_its_turn(lab, monkeypatch):
    """The others are free, and a cancel is heard before each of them."""
    lab.create('node-0', 'node-1', 'node-2', Name='lab')
    seen = []
    systems = lab.emulator.app.systems
    monkeypatch.setattr(
        systems, 'set_power_state', lambda uuid, kind: seen.append(uuid)
    )
    locks = lab.emulator.services.locks
    with locks.system(NODES['node-1'], 1):
        accepted = lab.act('lab', 'Reset', ResetType='On')
        wait_for(lambda: len(seen) == 2, 'the other resets')
        for free in ('node-0', 'node-2'):
            with locks.system(NODES[free], 1):
                pass
        lab.emulator.cancel(accepted)

    assert set(seen) == {NODES['node-0'], NODES['node-2']}


def test_a_reset_that_would_take_too_long_is_refused(lab):
    """Its pauses alone take longer than a task may."""
    lab.create('node-0', 'node-1', 'node-2', Name='lab')

    response = lab.act(
        'lab',
        'Reset',
        ResetType='On',
        BatchSize=1,
        DelayBetweenBatchesInSeconds=3600,
    )

    assert response.status_code == 400
    assert message_ids(response) == ['ActionParameterValueFormatError']


@pytest.mark.parametrize(
    'body,key',
    [
        ({}, 'ActionParameterMissing'),
        ({'ResetType': 'Explode'}, 'ActionParameterValueNotInList'),
        (
            {'ResetType': 'On', 'BatchSize': -1},
            'ActionParameterValueFormatError',
        ),
    ],
)
def test_a_reset_that_makes_no_sense_is_refused(lab, body, key):
    """Nothing is reset."""
    lab.create('node-0', Name='lab')

    response = lab.act('lab', 'Reset', **body)

    assert response.status_code == 400
    assert message_ids(response) == [key]


def test_a_group_gets_its_default_boot_order_back(lab):
    """All boot from their disks again."""
    lab.create('node-0', Name='lab')
    system = f'{lab.emulator.url}{ROOT}/Systems/node-0'
    requests.patch(system, json={'Boot': {'BootSourceOverrideTarget': 'Cd'}})

    response = lab.emulator.wait(lab.act('lab', 'SetDefaultBootOrder'))

    assert response.status_code == 200, response.text
    boot = requests.get(f'{lab.emulator.url}{ROOT}/Systems/node-0').json()
    assert boot['Boot']['BootSourceOverrideTarget'] == 'Hdd'


@pytest.mark.parametrize('identity', ['node-7', NODES['node-7']])
def test_a_system_that_is_gone_can_be_removed(lab, identity):
    """It is shown as missing, and stands in the way until then."""
    lab.create('node-0', 'node-7', Name='lab')
    systems = lab.emulator.app.systems
    kept = systems._systems.pop(NODES['node-7'])
    by_name = systems._by_name.pop('node-7')
    try:
        shown = lab.get('lab')
        reset = lab.act('lab', 'Reset', ResetType='On')
        removed = lab.act(
            'lab', 'RemoveElements', Elements=lab.elements(identity)
        )
    finally:
        systems._systems[NODES['node-7']] = kept
        systems._by_name['node-7'] = by_name

    assert members(shown) == ['node-0']
    assert [s['Present'] for s in shown['Oem']['HawkFish']['Systems']] == [
        True,
        False,
    ]
    assert message_ids(reset) == ['GroupMemberGone']
    assert removed.status_code == 200, removed.text
