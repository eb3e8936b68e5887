# SPDX-License-Identifier: Apache-2.0
"""
Snapshots over HTTP: what a client sends, and what it is told.

Long, as it is the whole resource, request by request.
"""

import dataclasses
import http.client
import threading
import time
import urllib.parse

import pytest
import requests

from hawkfish_plugin import db, exceptions, locks
from tests.served import message_ids
from tests.waiting import patience

REDFISH_ACTION = 'HawkFishSnapshot.Revert'
KNOWN_ACTION = 'Oem.HawkFish.Snapshot.Revert'


def test_create_list_show_revert_delete(emulator):
    """A snapshot goes through its whole life, each step by its monitor."""
    snapshot = emulator.created(Name='clean', Description='as installed')

    assert snapshot['Id'] == snapshot['Name'] == 'clean'
    assert snapshot['Description'] == 'as installed'
    assert snapshot['SnapshotState'] == 'Ready'
    assert snapshot['Current'] is True

    listed = requests.get(emulator.snapshots_url).json()

    assert listed['Members'] == [{'@odata.id': snapshot['@odata.id']}]

    target = snapshot['Actions'][f'#{REDFISH_ACTION}']['target']
    reverted = emulator.wait(requests.post(emulator.url + target, json={}))

    assert reverted.status_code == 200
    assert message_ids(reverted) == ['Success']

    uri = emulator.url + snapshot['@odata.id']
    assert emulator.wait(requests.delete(uri)).status_code == 204
    assert requests.get(uri).status_code == 404


@pytest.mark.parametrize('action', [REDFISH_ACTION, KNOWN_ACTION])
def test_both_spellings_of_the_action_revert(emulator, action):
    """The action that Redfish wants and the one users know do the same."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']

    response = requests.post(f'{uri}/Actions/{action}', json={})

    assert emulator.wait(response).status_code == 200


def test_members_uri_creates_too(emulator):
    """POST to the Members of the collection works like the collection."""
    response = requests.post(
        f'{emulator.snapshots_url}/Members', json={'Name': 'm'}
    )

    assert emulator.wait(response).status_code == 201


def test_system_name_serves_as_id(emulator):
    """A system can be named instead of giving its UUID."""
    emulator.created(Name='a')
    by_name = emulator.snapshots_url.replace(
        emulator.system, emulator.system_name
    )

    body = requests.get(by_name, allow_redirects=False).json()

    assert body['Members@odata.count'] == 1
    assert emulator.system in body['@odata.id']


def test_names_itself_by_the_time(emulator):
    """Without a Name the time is taken, and never twice."""
    names = {emulator.created()['Name'] for _ in range(3)}

    assert len(names) == 3
    assert all(name.startswith('snapshot-20') for name in names)


def test_snapshot_being_created_is_listed(emulator):
    """While it is being made a snapshot is listed and says Creating."""
    with emulator.slow():
        response = emulator.create(Name='slow')

        body = requests.get(f'{emulator.snapshots_url}/slow').json()

    assert body['SnapshotState'] == 'Creating'
    assert body['Status']['State'] == 'Starting'
    assert emulator.wait(response).json()['SnapshotState'] == 'Ready'


def test_reverting_and_deleting_show(emulator):
    """While a revert or delete lasts, the snapshot says so."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']
    for method, target, state in (
        ('POST', f'{uri}/Actions/{REDFISH_ACTION}', 'Reverting'),
        ('DELETE', uri, 'Deleting'),
    ):
        with emulator.slow():
            response = requests.request(method, target)
            emulator.wait_running(response)
            assert requests.get(uri).json()['SnapshotState'] == state
        emulator.wait(response)


BAD_BODIES = [
    (b'{', 'MalformedJSON'),
    (b'[]', 'MalformedJSON'),
    (b'"x"', 'MalformedJSON'),
    (b'\xff', 'MalformedJSON'),
    (b'[' * 60000, 'MalformedJSON'),
    (b'{"Name": 5}', 'PropertyValueTypeError'),
    (b'{"Name": null}', 'PropertyValueTypeError'),
    (b'{"IncludeMemory": "yes"}', 'PropertyValueTypeError'),
    (b'{"IncludeMemory": 1}', 'PropertyValueTypeError'),
    (b'{"Quiesce": "Maybe"}', 'PropertyValueNotInList'),
    (b'{"Quiesce": true}', 'PropertyValueTypeError'),
    (b'{"Size": 5}', 'PropertyUnknown'),
    (b'{"name": "x"}', 'PropertyUnknown'),
    (b'{"Name": ""}', 'SnapshotNameInvalid'),
    (b'{"Name": "  "}', 'SnapshotNameInvalid'),
    (b'{"Name": "a/b"}', 'SnapshotNameInvalid'),
    (b'{"Name": ".a"}', 'SnapshotNameInvalid'),
    (b'{"Name": "a\\u0007"}', 'SnapshotNameInvalid'),
    (b'{"Name": "a\\nb"}', 'SnapshotNameInvalid'),
    (b'{"Name": "\\ud800"}', 'SnapshotNameInvalid'),
    (b'{"Name": "%s"}' % ('\u4e00' * 80).encode(), 'SnapshotNameInvalid'),
    (b'{"Name": "%s"}' % (b'x' * 300), 'StringValueTooLong'),
    (b'{"Description": "%s"}' % (b'x' * 5000), 'StringValueTooLong'),
    (b'{"Description": "\\u001b[2J"}', 'PropertyValueFormatError'),
]


@pytest.mark.parametrize('data, key', BAD_BODIES)
def test_bad_body_is_told_and_changes_nothing(emulator, data, key):
    """A body that breaks a rule gets a 400 that names it; no task begins."""
    before = requests.get(f'{emulator.url}/redfish/v1/TaskService/Tasks')

    response = requests.post(
        emulator.snapshots_url,
        data,
        headers={'Content-Type': 'application/json'},
    )

    assert response.status_code == 400
    assert message_ids(response) == [key]
    entry = response.json()['error']['@Message.ExtendedInfo'][0]
    assert entry['Resolution']
    assert entry['Severity'] == entry['MessageSeverity']
    after = requests.get(f'{emulator.url}/redfish/v1/TaskService/Tasks')
    assert after.json() == before.json()


def test_a_create_tells_all_that_is_wrong(emulator):
    """What the schema refuses and what the rules do is in one answer."""
    response = emulator.create(
        Name='a/b',
        Description='\x1b[2J',
        Quiesce='Maybe',
        Size=5,
        Locked=None,
        ExpiresTime='2001-01-01T00:00:00Z',
    )

    assert response.status_code == 400
    assert message_ids(response) == [
        'PropertyValueFormatError',
        'PropertyValueNotInList',
        'PropertyUnknown',
        'PropertyValueTypeError',
        'SnapshotNameInvalid',
        'ExpiryInPast',
    ]
    entries = response.json()['error']['@Message.ExtendedInfo']
    assert [entry['RelatedProperties'] for entry in entries] == [
        ['#/Description'],
        ['#/Quiesce'],
        ['#/Size'],
        ['#/Locked'],
        ['#/Name'],
        ['#/ExpiresTime'],
    ]


def test_other_bodies_are_refused(emulator):
    """A body that is no JSON by its type, or huge, is refused as such."""
    form = requests.post(emulator.snapshots_url, data={'Name': 'x'})
    huge = requests.post(
        emulator.snapshots_url,
        b' ' * 100_000,
        headers={'Content-Type': 'application/json'},
    )

    assert (form.status_code, message_ids(form)) == (
        415,
        ['UnsupportedMediaType'],
    )
    assert (huge.status_code, message_ids(huge)) == (
        413,
        ['RequestBodyTooLarge'],
    )


@pytest.mark.parametrize(
    'name',
    [
        'with space',
        "quo'te\"d",
        '<b>&amp;',
        'ünïcödé',
        '-f',
        'a%2Fb',
        'a?b#c',
        'Members',
        'x' * 128,
        'a..b',
        '日本語',
    ],
)
def test_odd_names_work_everywhere(emulator, name):
    """Whatever name is accepted can be shown, reverted to and deleted."""
    snapshot = emulator.created(Name=name, Description='<&>"\'')
    uri = emulator.url + snapshot['@odata.id']

    assert snapshot['Name'] == name
    assert requests.get(uri).json()['Description'] == '<&>"\''
    reverted = requests.post(f'{uri}/Actions/{REDFISH_ACTION}', json={})
    assert emulator.wait(reverted).status_code == 200
    assert emulator.wait(requests.delete(uri)).status_code == 204


def test_a_name_twice_is_a_conflict(emulator):
    """A name in use is a 409, also while its create still waits."""
    emulator.created(Name='a')
    with emulator.slow():
        slow = emulator.create(Name='b')

        for name in 'ab':
            response = emulator.create(Name=name)
            assert response.status_code == 409
            assert message_ids(response) == ['ResourceAlreadyExists']

    assert emulator.wait(slow).status_code == 201


def test_busy_snapshot_is_a_conflict(emulator):
    """A snapshot being deleted can be neither reverted to nor deleted."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']
    with emulator.slow():
        deleting = requests.delete(uri)

        for response in (
            requests.post(f'{uri}/Actions/{REDFISH_ACTION}', json={}),
            requests.delete(uri),
        ):
            assert response.status_code == 409
            assert message_ids(response) == ['SnapshotBusy']

    assert emulator.wait(deleting).status_code == 204


def test_unknown_system_snapshot_and_action(emulator):
    """What is not there is a 404 that names the URI."""
    emulator.created(Name='a')
    for path in (
        'Systems/nobody/Oem/HawkFish/Snapshots',
        f'Systems/{emulator.system}/Oem/HawkFish/Snapshots/nothing',
        'TaskService/Tasks/999999',
        'TaskService/Tasks/x',
        'TaskService/TaskMonitors/999999',
        f'TaskService/Tasks/{"9" * 30}',
    ):
        response = requests.get(f'{emulator.url}/redfish/v1/{path}')
        assert response.status_code == 404
        assert message_ids(response) == ['ResourceMissingAtURI']
        assert response.json()['error']['@Message.ExtendedInfo'][0][
            'MessageArgs'
        ] == [f'/redfish/v1/{path}']
    response = requests.post(
        f'{emulator.snapshots_url}/a/Actions/HawkFishSnapshot.Burn', json={}
    )
    assert response.status_code == 404


@pytest.mark.parametrize(
    'body, key',
    [
        ({'TargetPowerState': 'Sideways'}, 'ActionParameterValueNotInList'),
        ({'TargetPowerState': 1}, 'ActionParameterValueTypeError'),
        ({'Hurry': True}, 'ActionParameterUnknown'),
        ({'SafetySnapshot': 'yes'}, 'ActionParameterValueTypeError'),
    ],
)
def test_bad_revert_parameters(emulator, body, key):
    """A parameter that the action does not take is a 400 that names it."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']

    response = requests.post(f'{uri}/Actions/{REDFISH_ACTION}', json=body)

    assert response.status_code == 400
    assert message_ids(response) == [key]


def test_a_revert_tells_all_that_is_wrong(emulator):
    """Each parameter that is wrong is named in one answer."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']

    response = requests.post(
        f'{uri}/Actions/{REDFISH_ACTION}',
        json={'TargetPowerState': 'Up', 'Hurry': 1, 'Force': 'yes'},
    )

    assert message_ids(response) == [
        'ActionParameterValueNotInList',
        'ActionParameterUnknown',
        'ActionParameterValueTypeError',
    ]


def test_referenced_snapshot_is_not_deleted(emulator):
    """A snapshot that two children grow from is kept, and both are named."""
    root = emulator.url + emulator.created(Name='root')['@odata.id']
    emulator.created(Name='left')
    emulator.wait(requests.post(f'{root}/Actions/{REDFISH_ACTION}'))
    emulator.created(Name='right')

    response = requests.delete(root)

    assert response.status_code == 409
    assert message_ids(response) == ['SnapshotReferenced']
    assert 'left, right' in response.json()['error']['message']


def test_a_interrupted_merge_that_cannot_go_on(emulator):
    """Whatever the settling is refused for, the snapshot is damaged."""
    emulator.created(Name='half')
    emulator.behaviour.fail_at = {
        'delete:merge': exceptions.HypervisorUnavailable('fake', 'gone')
    }

    def refuse(uuid, name, job):
        raise exceptions.Refused([exceptions.InsufficientSpace('/', 2, 1)])

    emulator.driver.settle_delete = refuse
    try:
        response = requests.delete(f'{emulator.snapshots_url}/half')
        assert emulator.wait(response).status_code == 409
    finally:
        del emulator.driver.settle_delete

    shown = requests.get(f'{emulator.snapshots_url}/half').json()
    assert shown['SnapshotState'] == 'Failed'
    refused = requests.post(
        f'{emulator.snapshots_url}/half/Actions/HawkFishSnapshot.Revert'
    )
    assert refused.status_code == 409


def test_what_a_system_has_overwritten(emulator):
    """It is Failed from then on, and not reverted to."""
    emulator.created(Name='kept')
    emulator.created(Name='written')
    *others, last = emulator.driver.snapshots(emulator.system)
    written = dataclasses.replace(last, overwritten=True)
    states = {}
    for now in (written, last):
        emulator.driver.plant(emulator.system, [*others, now])
        for name in ('kept', 'written'):
            shown = requests.get(f'{emulator.snapshots_url}/{name}').json()
            states.setdefault(name, []).append(shown['SnapshotState'])

    assert states == {'kept': ['Ready'] * 2, 'written': ['Failed'] * 2}
    refused = requests.post(
        f'{emulator.snapshots_url}/written/Actions/HawkFishSnapshot.Revert'
    )
    assert message_ids(refused) == ['SnapshotDamaged']


def test_a_interrupted_revert_whose_snapshot_is_gone(emulator):
    """It is told as what it is, and what the system was before is kept."""
    uri = emulator.url + emulator.created(Name='gone')['@odata.id']

    class Removed(dict):
        """Removes the snapshot at the very place where the revert fails."""

        def __getitem__(self, place):
            emulator.driver.plant(emulator.system, [])
            return super().__getitem__(place)

    gone = exceptions.HypervisorUnavailable('fake', 'gone')
    emulator.behaviour.fail_at = Removed({'revert:revert': gone})
    tasks = emulator.services.tasks

    ended = emulator.wait(requests.post(f'{uri}/Actions/{REDFISH_ACTION}'))

    assert (ended.status_code, message_ids(ended)) == (
        409,
        ['RevertNotUndone'],
    )
    assert tasks.list()[-1].step == 'revert'


def test_etags(emulator):
    """An ETag saves a repeated read and guards a delete."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']
    first = requests.get(uri)
    etag = first.headers['ETag']

    assert etag == first.json()['@odata.etag']
    again = requests.get(uri, headers={'If-None-Match': etag})
    assert again.status_code == 304
    stale = requests.delete(uri, headers={'If-Match': '"0"'})
    assert (stale.status_code, message_ids(stale)) == (
        412,
        ['PreconditionFailed'],
    )
    fresh = requests.delete(uri, headers={'If-Match': etag})
    assert emulator.wait(fresh).status_code == 204


def test_paging_and_expand(emulator):
    """$skip and $top cut the list, $expand shows members whole."""
    for name in 'abc':
        emulator.created(Name=name)

    page = requests.get(
        f'{emulator.snapshots_url}?$skip=1&$top=1&$expand=.($levels=1)'
    ).json()

    assert page['Members@odata.count'] == 3
    assert [member['Name'] for member in page['Members']] == ['b']


@pytest.mark.parametrize(
    'query, status',
    [
        ('$top=-1', 400),
        ('$top=x', 400),
        ('$expand=foo', 400),
        ('$orderby=Name', 501),
        ('other=1', 200),
    ],
)
def test_queries_that_are_not_served(emulator, query, status):
    """An unknown $-parameter is a 501, a bad value a 400, others nothing."""
    response = requests.get(f'{emulator.snapshots_url}?{query}')

    assert response.status_code == status


def test_allowed_instances_hold(emulator):
    """A system that the emulator may not serve has no snapshots either."""
    task = emulator.wait(emulator.create(Name='a'))
    assert task.status_code == 201
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['other']

    tasks = requests.get(f'{emulator.url}/redfish/v1/TaskService/Tasks')

    assert requests.get(emulator.snapshots_url).status_code == 404
    assert emulator.create(Name='b').status_code == 404
    assert tasks.json()['Members'] == []

    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [emulator.system]

    assert requests.get(emulator.snapshots_url).status_code == 200


def test_the_emulator_waits_for_our_operations(emulator, monkeypatch):
    """A setter of the emulator waits for a bounded time, then gets a 503."""
    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)
    system = f'{emulator.url}/redfish/v1/Systems/{emulator.system}'
    change = {'Boot': {'BootSourceOverrideTarget': 'Pxe'}}
    with emulator.slow():
        accepted = emulator.create(Name='slow')
        emulator.wait_running(accepted)

        refused = requests.patch(system, json=change)

        assert refused.status_code == 503
        assert message_ids(refused) == ['SystemLocked']
        assert refused.headers['Retry-After'] == '5'
        assert requests.get(system).status_code == 200
    emulator.wait(accepted)
    assert requests.patch(system, json=change).status_code == 204


def test_a_safety_snapshot_keeps_the_present(emulator):
    """The present state is in a snapshot of its own before the revert."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']

    reverted = emulator.wait(
        requests.post(
            f'{uri}/Actions/{REDFISH_ACTION}', json={'SafetySnapshot': True}
        )
    )

    assert reverted.status_code == 200
    listed = requests.get(f'{emulator.snapshots_url}?$expand=.').json()
    first, safety = listed['Members']
    assert safety['Name'].startswith('safety-20')
    assert safety['Links']['ParentSnapshot']['@odata.id'].endswith('/a')
    assert first['Current'] is True


def test_without_its_safety_snapshot_nothing_is_reverted(emulator):
    """Where the present state cannot be kept, the system stays as it is."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']
    emulator.created(Name='b')
    emulator.behaviour.fail_at = {
        'create:capture': exceptions.OperationFailed('create', 'no room')
    }

    response = emulator.wait(
        requests.post(
            f'{uri}/Actions/{REDFISH_ACTION}', json={'SafetySnapshot': True}
        )
    )

    assert response.status_code == 409
    assert message_ids(response) == ['SafetySnapshotFailed']
    current = requests.get(f'{emulator.snapshots_url}/b').json()
    assert current['Current'] is True


def test_a_refused_revert_takes_its_safety_snapshot_back(emulator):
    """Where the revert finds no place in the queue, nothing is created."""
    uri = emulator.url + emulator.created(Name='a')['@odata.id']
    emulator.created(Name='b')
    with emulator.full_queue('b') as busy:
        refused = requests.post(
            f'{uri}/Actions/{REDFISH_ACTION}', json={'SafetySnapshot': True}
        )

    assert (refused.status_code, message_ids(refused)) == (503, ['QueueFull'])
    emulator.wait(busy)
    listed = requests.get(f'{emulator.snapshots_url}?$expand=.').json()
    assert [s['Name'] for s in listed['Members']] == ['a', 'b']


def test_tasks_do_not_wait_for_the_hypervisor(emulator, monkeypatch):
    """A list waits once, and not for long; nor do the next ones."""
    for name in 'abc':
        emulator.created(Name=name)
    answers, asked = threading.Event(), []

    def hang(uuid):
        asked.append(uuid)
        assert answers.wait(60)
        return ['a', 'b', 'c']

    monkeypatch.setattr(emulator.driver, 'names', hang)
    url = f'{emulator.url}/redfish/v1/TaskService/Tasks?$expand=.'
    try:
        for _ in range(2):
            begin = time.monotonic()
            tasks = requests.get(url, timeout=60).json()['Members']
            assert time.monotonic() - begin < patience(10)
            links = [task['Links']['CreatedResources'] for task in tasks[-3:]]
            assert all(links)
        assert len(asked) == 1
    finally:
        answers.set()


def test_a_list_of_tasks_looks_once_at_each_system(emulator, monkeypatch):
    """However many of them have created something there."""
    for name in 'abc':
        emulator.created(Name=name)
    asked, names = [], emulator.driver.names

    def count(uuid):
        asked.append(uuid)
        return names(uuid)

    monkeypatch.setattr(emulator.driver, 'names', count)
    url = f'{emulator.url}/redfish/v1/TaskService/Tasks?$expand=.'

    tasks = requests.get(url, timeout=60).json()['Members']

    assert asked.count(emulator.system) == 1
    assert all(task['Links']['CreatedResources'] for task in tasks[-3:])


def test_a_task_links_to_what_is_there(emulator):
    """The task of a create links to its snapshot until that is gone."""
    accepted = emulator.create(Name='a')
    emulator.wait(accepted)
    task = emulator.url + accepted.headers['Location'].replace(
        'TaskMonitors', 'Tasks'
    )
    uri = f'{emulator.snapshots_url}/a'

    (link,) = requests.get(task).json()['Links']['CreatedResources']
    assert uri == emulator.url + link['@odata.id']

    emulator.wait(requests.delete(uri))
    assert requests.get(task).json()['Links']['CreatedResources'] == []


def test_a_monitor_of_what_is_gone(emulator):
    """A create that took place says so, and names no other snapshot."""
    accepted = emulator.create(Name='a')
    uri = f'{emulator.snapshots_url}/a'
    monitor = emulator.url + accepted.headers['Location']
    assert emulator.wait(accepted).status_code == 201

    emulator.wait(requests.delete(uri))
    gone = requests.get(monitor)
    assert gone.status_code == 200
    assert 'Location' not in gone.headers

    emulator.wait_second()
    emulator.created(Name='a')
    assert requests.get(monitor).status_code == 200


def test_a_change_tells_all_that_is_wrong(emulator):
    """Each property that cannot be changed is named."""
    emulator.created(Name='a')

    answer = requests.patch(
        f'{emulator.snapshots_url}/a',
        json={
            'Id': 'x',
            'Foo': 1,
            'Locked': 'yes',
            'ExpiresTime': '2001-01-01T00:00:00Z',
        },
    )

    assert answer.status_code == 400
    assert message_ids(answer) == [
        'PropertyNotWritable',
        'PropertyUnknown',
        'PropertyValueTypeError',
        'ExpiryInPast',
    ]


def test_annotations_are_sent_back(emulator):
    """What a client has read, changed and sends back is a change."""
    emulator.created(Name='a')
    uri = f'{emulator.snapshots_url}/a'
    read = requests.get(uri).json()
    sent = {k: v for k, v in read.items() if k.startswith('@odata.')}

    answer = requests.patch(uri, json={**sent, 'Locked': True})

    assert answer.status_code == 200, answer.text
    assert answer.json()['Locked'] is True
    assert requests.patch(uri, json=sent).status_code == 200


def test_a_description_is_taken_away(emulator):
    """Null is what one without a description has."""
    uri = (
        emulator.url + emulator.created(Name='a', Description='x')['@odata.id']
    )

    answer = requests.patch(uri, json={'Description': None})

    assert answer.status_code == 200, answer.text
    assert answer.json()['Description'] is None


def test_the_uri_in_a_task_can_be_followed(emulator):
    """What a name has to be quoted for in a URI is quoted."""
    made = emulator.created(Name='50% \u00fc?')
    accepted = requests.post(
        f'{emulator.url}{made["@odata.id"]}/Actions/{REDFISH_ACTION}'
    )
    task = emulator.url + accepted.headers['Location'].replace(
        'TaskMonitors', 'Tasks'
    )
    emulator.wait(accepted)

    target = requests.get(task).json()['Payload']['TargetUri']
    assert target == f'{made["@odata.id"]}/Actions/{REDFISH_ACTION}'


def test_one_date(emulator):
    """A header that is no list stands once."""
    url = urllib.parse.urlsplit(
        emulator.url + emulator.created(Name='a')['@odata.id']
    )
    connection = http.client.HTTPConnection(url.netloc, timeout=10)
    connection.request('GET', url.path)

    dates = connection.getresponse().headers.get_all('Date')
    connection.close()
    assert len(dates) == 1


def test_a_task_lists_its_sub_tasks(emulator):
    """And only those; a part has none of its own."""
    parent, part = (
        emulator.task(accepted).id
        for accepted in [emulator.create(Name=name) for name in 'ab']
    )
    emulator.wait_idle()
    with db.Database(emulator.folder).transaction() as connection:
        connection.execute(
            'UPDATE tasks SET parent = ? WHERE id = ?', (parent, part)
        )
    tasks = '/redfish/v1/TaskService/Tasks'

    shown = requests.get(f'{emulator.url}{tasks}/{parent}').json()
    listed = requests.get(emulator.url + shown['SubTasks']['@odata.id'])
    alone = requests.get(f'{emulator.url}{tasks}/{part}').json()

    assert listed.json()['Members'] == [{'@odata.id': f'{tasks}/{part}'}]
    assert 'SubTasks' not in alone
