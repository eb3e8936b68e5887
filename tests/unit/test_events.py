# SPDX-License-Identifier: Apache-2.0
"""
The event service over HTTP: what is recorded, and who is told.

Long, as there is a test for each property of a subscription.
"""

import threading

import pytest
import requests
import sushy

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.events import destinations, filters
from hawkfish_plugin.operations.create import Create, CreateOptions
from hawkfish_plugin.operations.delete import Delete
from tests.unit.receiver import Receiver
from tests.waiting import wait_for

SERVICE = '/redfish/v1/EventService'
SUBSCRIPTIONS = f'{SERVICE}/Subscriptions'


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def api(emulator):
    """Requests to the event service; its subscriptions go with the test."""

    class Api:
        url = emulator.url

        def post(self, path=SUBSCRIPTIONS, **body):
            return requests.post(f'{self.url}{path}', json=body, timeout=10)

        def get(self, path, **headers):
            return requests.get(
                f'{self.url}{path}', headers=headers, timeout=10
            )

        def patch(self, path, _headers=None, **body):
            return requests.patch(
                f'{self.url}{path}', json=body, headers=_headers, timeout=10
            )

        def delete(self, path):
            return requests.delete(f'{self.url}{path}', timeout=10)

        def subscribe(self, destination='https://192.0.2.1/', **body):
            response = self.post(
                Destination=destination, Protocol='Redfish', **body
            )
            assert response.status_code == 201, response.text
            return response.headers['Location']

    yield Api()
    table = emulator.services.subscriptions
    for subscription in table.list():
        table.delete(subscription.id)


@pytest.fixture
def recorded(emulator):
    """What has been recorded since the beginning of the test."""
    table = emulator.services.events
    begin = table.newest()

    def look():
        return table.after(begin, 1000)

    return look


def keys(found):
    return [event.message_id.rpartition('.')[2] for event in found]


def code(response):
    told = response.json()['error']['@Message.ExtendedInfo']
    return response.status_code, told[0]['MessageId'].rpartition('.')[2]


# What operations tell


def test_a_life_in_events(emulator, recorded):
    """Create, revert and delete each tell their begin and their end."""
    emulator.created(Name='a b')
    [snapshot] = requests.get(f'{emulator.snapshots_url}?$expand=.').json()[
        'Members'
    ]
    emulator.wait(
        requests.post(
            emulator.url
            + snapshot['Actions']['#HawkFishSnapshot.Revert']['target']
        )
    )
    emulator.wait(requests.delete(f'{emulator.snapshots_url}/a%20b'))

    found = recorded()
    assert keys(found) == [
        'TaskStarted',
        'SnapshotCreated',
        'ResourceCreated',
        'TaskCompletedOK',
        'TaskStarted',
        'SnapshotReverted',
        'TaskCompletedOK',
        'TaskStarted',
        'SnapshotDeleted',
        'ResourceRemoved',
        'TaskCompletedOK',
    ]
    created, deleted = found[1], found[8]
    assert created.args == ['a b', 'fake']
    assert created.origin.uri == snapshot['@odata.id']
    assert not created.origin.gone
    assert deleted.args == ['a b', 'fake', 'Request']
    assert deleted.origin.uri == snapshot['@odata.id'] and deleted.origin.gone
    # One cause, one group.
    assert [e.group for e in found[1:4]] == 3 * [created.id]
    assert found[0].group != created.group
    assert '/TaskService/Tasks/' in found[0].origin.uri
    ids = [event.id for event in found]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_failure_is_told_with_its_reason(emulator, recorded):
    """A failed create tells why, of a snapshot that is not there."""
    emulator.behaviour.fail_at = {
        'create:capture': exceptions.OperationFailed(
            'create', 'the disk is full'
        )
    }
    emulator.wait(emulator.create(Name='a'))

    found = recorded()
    assert keys(found) == ['TaskStarted', 'SnapshotFailed', 'TaskAborted']
    assert found[1].args[:3] == ['a', 'fake', 'create']
    assert 'the disk is full' in found[1].args[3]
    assert found[1].origin.gone
    assert events.severity(found[1]) == 'Critical'


def test_a_cancelled_task_is_no_failure(emulator, recorded):
    """Whether it waited or ran, a cancelled task is told as cancelled."""
    emulator.behaviour.seconds = 20
    running = emulator.create(Name='a').headers['Location']
    waiting = emulator.create(Name='b').headers['Location']
    wait_for(lambda: keys(recorded()) == ['TaskStarted'], 'its start')

    for monitor in (waiting, running):
        requests.delete(emulator.url + monitor)
        emulator.watch(monitor)

    assert keys(recorded()) == [
        'TaskStarted',
        'TaskCancelled',
        'TaskCancelled',
    ]


def test_a_create_that_could_not_quiesce_is_told(emulator, recorded):
    """The event is there together with the message of the task."""
    table = emulator.services.tasks
    emulator.behaviour.seconds = 1
    emulator.create(Name='a')
    [task] = [task for task in table.list() if task.active]

    table.claims.add_message(
        task.id, messages.QUIESCE_FAILED, 'fake', 'no agent'
    )

    told = recorded()[-1]
    assert (told.message_id, told.args) == (
        messages.QUIESCE_FAILED,
        ['fake', 'no agent'],
    )
    assert told.origin.uri == f'{emulator.snapshots_url}/a'.removeprefix(
        emulator.url
    )


@pytest.mark.parametrize('rule', ['MaxSnapshots', 'MaxAge', 'Expired'])
def test_a_delete_tells_whether_retention_asked_for_it(
    emulator, recorded, rule
):
    """The reason of a delete is the limit that was reached."""
    emulator.created(Name='a')
    services = emulator.services
    system = services.catalogue.system('fake')
    record = services.catalogue.get(system, 'a').record
    emulator.notes.update(system.uuid, record, {'expires': 1})

    task = services.operations.get(Delete).submit_pruned(system, record, rule)
    emulator.watch(f'/redfish/v1/TaskService/TaskMonitors/{task.id}')

    [deleted] = [e for e in recorded() if 'SnapshotDeleted' in e.message_id]
    assert deleted.args == ['a', 'fake', rule]


def purge(emulator):
    return emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/Actions/HawkFishSnapshotCollection.Purge',
            json={},
        )
    )


def test_a_purge_tells_every_deletion(emulator, recorded):
    """One task for all, and an event for each snapshot that is gone."""
    for name in ('a', 'b'):
        emulator.created(Name=name)

    assert purge(emulator).ok

    gone = [e for e in recorded() if 'SnapshotDeleted' in e.message_id]
    assert {e.args[0] for e in gone} == {'a', 'b'}


def test_a_purge_that_fails_is_told(emulator, recorded):
    """Where an operation is on all snapshots, the origin is the collection."""
    emulator.created(Name='a')
    emulator.behaviour.fail_at = {
        'delete:merge': exceptions.MergeFailed('a', 'full')
    }

    assert not purge(emulator).ok

    [failed] = [e for e in recorded() if 'SnapshotFailed' in e.message_id]
    assert failed.args[:3] == ['*', 'fake', 'purge']
    uri = emulator.snapshots_url.removeprefix(emulator.url)
    assert failed.origin.uri == uri


# The service and its subscriptions


def test_the_service_root_leads_to_the_stream(api, emulator):
    """From the root one finds the service, subscriptions and the stream."""
    root = api.get('/redfish/v1/').json()
    service = api.get(root['EventService']['@odata.id']).json()

    assert service['ServerSentEventUri'] == f'{SERVICE}/SSE'
    assert service['DeliveryRetryAttempts'] == 3
    assert service['DeliveryRetryIntervalSeconds'] == 60
    assert api.get(service['Subscriptions']['@odata.id']).status_code == 200
    for action in service['Actions'].values():
        assert action['target'].startswith(SERVICE)


def test_the_subscription_of_the_protocol_validator(api):
    """What DMTF's validator sends is taken, and shown without secrets."""
    response = api.post(
        Context='PV',
        Protocol='Redfish',
        Destination='https://192.168.1.50/Destination1',
        HttpHeaders=[{'Authorization': 'secret'}],
    )

    assert response.status_code == 201
    uri = response.headers['Location']
    shown = api.get(uri)
    assert shown.json() == response.json()
    assert shown.json()['HttpHeaders'] == []
    assert shown.json()['Context'] == 'PV'
    assert 'secret' not in shown.text
    listed = api.get(SUBSCRIPTIONS).json()
    assert listed['Members'] == [{'@odata.id': uri}]
    assert api.delete(uri).status_code == 204
    assert api.get(uri).status_code == 404
    assert api.delete(uri).status_code == 404


def test_what_ironic_sends_is_taken(api):
    """EventTypes are deprecated, and still no reason to refuse."""
    api.subscribe(Context='', EventTypes=['Alert'])


@pytest.mark.parametrize(
    'body, told',
    [
        ({'Destination': None}, 'CreateFailedMissingReqProperties'),
        ({'Protocol': None}, 'CreateFailedMissingReqProperties'),
        ({'Protocol': 'FTP'}, 'PropertyValueNotInList'),
        ({'Protocol': 5}, 'PropertyValueTypeError'),
        ({'Destination': 'ftp://h/'}, 'PropertyValueFormatError'),
        ({'Destination': 'http://u:p@h/'}, 'PropertyValueFormatError'),
        ({'Destination': 'http://h/a/../b'}, 'PropertyValueFormatError'),
        ({'Destination': 'http://h/%2e%2E/b'}, 'PropertyValueFormatError'),
        ({'Destination': 'http://h/\r\nX: y'}, 'PropertyValueFormatError'),
        ({'Destination': 'http://h:99999/'}, 'PropertyValueFormatError'),
        ({'Destination': 'http:///'}, 'PropertyValueFormatError'),
        ({'Destination': '/events'}, 'PropertyValueFormatError'),
        ({'Context': 'x' * 300}, 'StringValueTooLong'),
        ({'Context': '\x1b'}, 'PropertyValueFormatError'),
        ({'SubscriptionType': 'SSE'}, 'PropertyValueNotInList'),
        ({'EventFormatType': 'MetricReport'}, 'PropertyValueNotInList'),
        ({'DeliveryRetryPolicy': 'Never'}, 'PropertyValueNotInList'),
        ({'VerifyCertificate': 'no'}, 'PropertyValueTypeError'),
        ({'RegistryPrefixes': ['Nobody']}, 'PropertyValueNotInList'),
        ({'RegistryPrefixes': [5]}, 'PropertyValueTypeError'),
        ({'ResourceTypes': ['Task.v1_2_0']}, 'PropertyValueNotInList'),
        ({'Severities': ['Bad']}, 'PropertyValueNotInList'),
        ({'MessageIds': ['no id']}, 'PropertyValueFormatError'),
        ({'MessageIds': 100 * ['A.B']}, 'ArraySizeTooLong'),
        ({'OriginResources': ['/redfish/v1']}, 'PropertyValueTypeError'),
        (
            {'OriginResources': [{'@odata.id': 'x'}]},
            'PropertyValueFormatError',
        ),
        ({'OriginResources': [{'@odata.id': 5}]}, 'PropertyValueTypeError'),
        ({'HttpHeaders': ['X']}, 'PropertyValueTypeError'),
        ({'HttpHeaders': [{'X': 5}]}, 'PropertyValueTypeError'),
        ({'HttpHeaders': [{'X': 'a\r\nY: b'}]}, 'PropertyValueFormatError'),
        ({'HttpHeaders': [{'X\n': 'a'}]}, 'PropertyValueFormatError'),
        ({'HttpHeaders': [{'Host': 'a'}]}, 'PropertyValueFormatError'),
        ({'HttpHeaders': [{'Proxy-X': 'a'}]}, 'PropertyValueFormatError'),
        (
            {'HttpHeaders': [{'Content-Length': '9'}]},
            'PropertyValueFormatError',
        ),
        (
            {'RegistryPrefixes': ['HawkFish'], 'MessageIds': ['A.B']},
            'PropertyValueConflict',
        ),
        ({'Nonsense': 1}, 'PropertyUnknown'),
    ],
)
def test_a_bad_subscription_is_refused(api, body, told):
    """Each mistake is a 400 that names it, and nothing is kept."""
    wanted = {'Destination': 'http://h/', 'Protocol': 'Redfish'} | body
    response = api.post(**{k: v for k, v in wanted.items() if v is not None})

    assert code(response) == (400, told)
    assert api.get(SUBSCRIPTIONS).json()['Members@odata.count'] == 0


def test_a_subscription_tells_all_that_is_wrong(api):
    """What is missing, wrong, forbidden or in conflict is in one answer."""
    response = api.post(
        Destination='ftp://h/',
        Context=5,
        Severities=['Bad', 'Worse'],
        HttpHeaders=[{'Host': 'a'}, {'X': 'secret\n'}],
        RegistryPrefixes=['HawkFish'],
        MessageIds=['A.B'],
        Nonsense=1,
    )

    assert response.status_code == 400
    entries = response.json()['error']['@Message.ExtendedInfo']
    assert {
        (entry['MessageId'].rpartition('.')[2], entry['MessageArgs'][0])
        for entry in entries
    } == {
        ('PropertyValueFormatError', 'ftp://h/'),
        ('PropertyValueTypeError', '5'),
        ('PropertyValueNotInList', 'Bad'),
        ('PropertyValueNotInList', 'Worse'),
        ('PropertyValueFormatError', 'Host'),
        ('PropertyValueFormatError', 'X'),
        ('PropertyValueConflict', 'MessageIds'),
        ('PropertyUnknown', 'Nonsense'),
        ('CreateFailedMissingReqProperties', 'Protocol'),
    }
    assert 'secret' not in response.text


def test_a_wrong_header_is_not_told_with_its_value(api):
    """The secret in a header that is refused is not sent back."""
    response = api.post(
        Destination='http://h/',
        Protocol='Redfish',
        HttpHeaders=[{'Authorization': 'secret\n'}],
    )

    assert response.status_code == 400
    assert 'secret' not in response.text


def test_a_subscription_can_be_changed(api):
    """What is writable changes, with If-Match where it is given."""
    uri = api.subscribe(Context='old')
    etag = api.get(uri).headers['ETag']

    changed = api.patch(
        uri,
        {'If-Match': etag},
        Context='new',
        VerifyCertificate=False,
        DeliveryRetryPolicy='SuspendRetries',
        HttpHeaders=[{'X': 'y'}],
    )

    assert changed.status_code == 200
    assert changed.json() == api.get(uri).json()
    assert changed.json()['Context'] == 'new'
    assert changed.json()['VerifyCertificate'] is False
    assert changed.json()['DeliveryRetryPolicy'] == 'SuspendRetries'
    assert api.patch(uri, {'If-Match': etag}, Context='x').status_code == 412
    assert code(api.patch(uri, Destination='http://h/')) == (
        400,
        'PropertyNotWritable',
    )
    assert code(api.patch(uri, Nonsense=1)) == (400, 'PropertyUnknown')
    assert code(api.patch(uri, Context=5)) == (400, 'PropertyValueTypeError')
    assert api.get(uri).json() == changed.json()


def test_changing_one_thing_leaves_the_others(api, receiver):
    """The headers of a subscription survive a change of its context."""
    uri = api.subscribe(receiver.url, HttpHeaders=[{'X-Token': 'secret'}])
    api.patch(uri, Context='new')

    api.post(f'{SERVICE}/Actions/EventService.TestEventSubscription')

    receiver.wait_for('TestMessage')
    _, headers, _, body = receiver.pushes[0]
    assert (headers['X-Token'], body['Context']) == ('secret', 'new')


def test_words_that_are_no_text(api, receiver):
    """Halves of characters in a test event are passed on as they are."""
    api.subscribe(receiver.url)

    response = api.post(
        f'{SERVICE}/Actions/EventService.SubmitTestEvent',
        MessageId='A.1.0.B',
        Message='\ud800',
        MessageArgs=['\udfff'],
        EventId='\ud800',
    )

    assert response.status_code == 204
    assert receiver.wait(lambda r: r.taken)[0]['Message'] == '\ud800'


def test_suspending_while_a_push_fails(api, receiver):
    """A push that fails does not undo what its subscriber has asked for."""
    receiver.delay, receiver.status = 0.5, 500
    uri = api.subscribe(receiver.url)
    api.post(f'{SERVICE}/Actions/EventService.TestEventSubscription')
    receiver.wait(lambda r: r.begun)

    api.post(f'{uri}/Actions/EventDestination.SuspendSubscription')
    wait_for(
        lambda: api.get(uri).json()['Status']['Health'] != 'OK',
        'a push that fails',
    )

    assert api.get(uri).json()['Status']['State'] == 'Disabled'


def test_a_subscription_is_suspended_and_resumed(api, receiver):
    """What happens while it is suspended is delivered afterwards."""
    uri = api.subscribe(receiver.url)
    actions = api.get(uri).json()['Actions']
    suspend, resume = (action['target'] for action in actions.values())

    assert api.post(suspend).status_code == 204
    assert api.get(uri).json()['Status'] == {
        'State': 'Disabled',
        'Health': 'OK',
    }
    api.post(f'{SERVICE}/Actions/EventService.TestEventSubscription')
    assert code(api.post(resume, DeliverBufferedEventDuration='soon')) == (
        400,
        'ActionParameterValueFormatError',
    )
    assert not receiver.pushes
    assert (
        api.post(resume, DeliverBufferedEventDuration='PT1H').status_code
        == 204
    )

    receiver.wait_for('TestMessage')
    assert api.get(uri).json()['Status']['State'] == 'Enabled'
    assert api.post(f'{uri}/Actions/EventDestination.Nothing').status_code == (
        404
    )


def test_there_is_a_limit(api, emulator):
    """One subscription too many is a 503 that says so."""
    conf = emulator.services.conf
    conf.set_override('max_subscriptions', 1, 'events')
    try:
        api.subscribe()
        response = api.post(Destination='http://h/', Protocol='Redfish')
    finally:
        conf.clear_override('max_subscriptions', 'events')

    assert code(response) == (503, 'EventSubscriptionLimitExceeded')


def test_only_allowed_destinations(api, emulator):
    """A destination that the configuration does not allow is refused."""
    conf = emulator.services.conf
    conf.set_override('allowed_destinations', ['*.example'], 'events')
    try:
        api.subscribe('https://a.example/')
        response = api.post(
            Destination='http://h/p?token=secret', Protocol='Redfish'
        )
    finally:
        conf.clear_override('allowed_destinations', 'events')

    assert code(response) == (400, 'DestinationNotAllowed')
    assert 'secret' not in response.text


@pytest.mark.parametrize(
    'destination, allowed, is_allowed',
    [
        ('http://h/', [], True),
        ('http://a.example/x', ['*.example'], True),
        ('http://A.Example/x', ['*.example'], True),
        ('http://a.example.org/', ['*.example'], False),
        ('http://192.168.1.7/', ['192.168.1.*'], True),
        ('http://[fd00::1]/', ['[fd00::1]'], True),
        ('https://h/hooks/1', ['https://h/hooks'], True),
        ('https://h:443/hooks', ['https://h/hooks/'], True),
        ('https://h/hooks2', ['https://h/hooks'], False),
        ('http://h/hooks', ['https://h/hooks'], False),
        ('https://h.example/', ['https://h'], False),
        ('https://h:8443/', ['https://h'], False),
    ],
)
def test_destinations_are_allowed_by_place(destination, allowed, is_allowed):
    """A pattern holds for whole hosts, ports and folders, not for parts."""
    assert destinations.is_valid(destination)
    assert destinations.is_allowed(destination, allowed) is is_allowed


def test_an_operation_reaches_a_subscriber(api, emulator, receiver):
    """From a create to the receiver, in the form of the standard."""
    api.subscribe(
        receiver.url,
        Context='lab',
        MessageIds=['HawkFish.SnapshotCreated'],
        Severities=['OK'],
        ResourceTypes=['HawkFishSnapshot'],
    )

    emulator.created(Name='a')

    receiver.wait_for('SnapshotCreated')
    [event] = receiver.taken
    number = event.pop('EventId')
    event.pop('EventTimestamp'), event.pop('EventGroupId')
    assert event == {
        'MemberId': number,
        'EventType': 'Other',
        'MessageId': 'HawkFish.1.0.SnapshotCreated',
        'Message': "Snapshot 'a' of system 'fake' was created.",
        'MessageArgs': ['a', 'fake'],
        'MessageSeverity': 'OK',
        'Severity': 'OK',
        'Resolution': 'None.',
        'OriginOfCondition': {
            '@odata.id': f'/redfish/v1/Systems/{emulator.system}'
            '/Oem/HawkFish/Snapshots/a',
        },
    }


def test_events_of_systems_not_served_stay_here(api, emulator, receiver):
    """With allowed instances the events of others are not delivered."""
    api.subscribe(receiver.url)
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['other']
    plugin = emulator.services
    system = plugin.catalogue.system('fake')
    task = plugin.operations.get(Create).submit(system, CreateOptions('a'), {})
    wait_for(
        lambda: not plugin.tasks.get(task.id).active, 'the end of the task'
    )
    api.post(f'{SERVICE}/Actions/EventService.TestEventSubscription')

    receiver.wait_for('TestMessage')
    assert receiver.messages == ['TestMessage']


def test_a_test_event_is_as_its_sender_wants_it(api, receiver):
    """SubmitTestEvent sends what it was given, and keeps our order."""
    api.subscribe(receiver.url)
    given = {
        'MessageId': 'HawkFish.1.0.SnapshotCreated',
        'MessageArgs': ['a', 'b'],
        'EventId': 'mine',
        'EventType': 'Alert',
        'EventTimestamp': '2026-11-23T05:00:10Z',
        'EventGroupId': 7,
        'Severity': 'Warning',
        'OriginOfCondition': '/redfish/v1/Systems/1',
    }

    response = api.post(
        f'{SERVICE}/Actions/EventService.SubmitTestEvent', **given
    )

    assert response.status_code == 204
    receiver.wait_for('SnapshotCreated')
    [event] = receiver.taken
    given['OriginOfCondition'] = {'@odata.id': '/redfish/v1/Systems/1'}
    assert {name: event[name] for name in given} == given
    assert event['Message'] == "Snapshot 'a' of system 'b' was created."
    assert event['MessageSeverity'] == 'Warning'
    assert event['MemberId'].isdigit()


@pytest.mark.parametrize(
    'body, told',
    [
        ({}, 'ActionParameterMissing'),
        ({'MessageId': 'x'}, 'ActionParameterValueFormatError'),
        ({'MessageId': 5}, 'ActionParameterValueTypeError'),
        ({'MessageArgs': [5]}, 'ActionParameterValueFormatError'),
        ({'EventTimestamp': 'now'}, 'ActionParameterValueFormatError'),
        (
            {'EventTimestamp': '2026-W01-1T00:00:00+00:00'},
            'ActionParameterValueFormatError',
        ),
        ({'EventType': 'Foo'}, 'ActionParameterValueNotInList'),
        ({'EventGroupId': True}, 'ActionParameterValueTypeError'),
        ({'EventGroupId': 2**64}, 'ActionParameterValueFormatError'),
        ({'Severity': 'Bad'}, 'ActionParameterValueNotInList'),
        ({'OriginOfCondition': 'x'}, 'ActionParameterValueFormatError'),
        ({'OriginOfCondition': '/\ud800'}, 'ActionParameterValueFormatError'),
        ({'Nonsense': 5}, 'ActionParameterUnknown'),
    ],
)
def test_a_bad_test_event_is_refused(api, recorded, body, told):
    """Each mistake is a 400 that names it, and nothing is recorded."""
    response = api.post(
        f'{SERVICE}/Actions/EventService.SubmitTestEvent', **body
    )

    assert code(response) == (400, told)
    assert not recorded()


def test_a_test_event_tells_all_that_is_wrong(api, recorded):
    """Each parameter that is wrong, and the one that is missing."""
    response = api.post(
        f'{SERVICE}/Actions/EventService.SubmitTestEvent',
        Severity='Bad',
        EventGroupId=True,
        Nonsense=1,
    )

    entries = response.json()['error']['@Message.ExtendedInfo']
    assert [entry['MessageId'].rpartition('.')[2] for entry in entries] == [
        'ActionParameterValueNotInList',
        'ActionParameterValueTypeError',
        'ActionParameterUnknown',
        'ActionParameterMissing',
    ]
    assert not recorded()


def test_the_test_event_of_gofish(api, receiver):
    """
    What gofish always sends is sent on, but for what no event may have.

    Its group is a string where the standard has an integer, and its time,
    severity and message are in no format of the standard either.
    """
    api.subscribe(receiver.url)

    response = api.post(
        f'{SERVICE}/Actions/EventService.SubmitTestEvent',
        EventGroupId='TESTING123',
        EventId='TEST123',
        EventTimestamp='2026-05-01 10:00:00.123456789 +0000 UTC m=+0.000012',
        EventType='Alert',
        Message='hello',
        MessageArgs=None,
        MessageId='test123',
        OriginOfCondition='/redfish/v1/EventService',
        Severity='Informational',
    )

    assert response.status_code == 204
    receiver.wait_for('TestMessage')
    [event] = receiver.taken
    assert (event['EventId'], event['Message']) == ('TEST123', 'hello')
    assert event['Severity'] == 'OK'
    assert event['EventGroupId'] == int(event['MemberId'])


@pytest.mark.parametrize(
    'given, kept',
    [
        (['Base', 'IPMI', 'TaskEvent'], ['Base', 'TaskEvent']),
        (['HawkFish', 'TaskEvent'], ['HawkFish', 'TaskEvent']),
    ],
)
@pytest.mark.parametrize(
    'name', ['RegistryPrefixes', 'ExcludeRegistryPrefixes']
)
def test_registries_that_are_not_there(api, receiver, name, given, kept):
    """Beside one that is there they are left out, and the answer says so."""
    location = api.subscribe(receiver.url, **{name: given})

    assert api.get(location).json()[name] == kept


def test_sushy_subscribes(api, emulator, receiver):
    """sushy's own client creates, finds and deletes a subscription."""
    service = sushy.Sushy(f'{emulator.url}/redfish/v1').get_event_service()
    created = service.subscriptions.create(
        {
            'Destination': receiver.url,
            'Protocol': 'Redfish',
            'Context': 'c',
            'EventTypes': ['Alert'],
        }
    )

    service.submit_test_event(
        'id',
        '2026-11-23T05:00:10Z',
        'Alert',
        'text',
        [],
        'ResourceEvent.1.4.TestMessage',
        '/redfish/v1/Systems/1',
        'OK',
    )

    receiver.wait_for('TestMessage')
    assert created.destination == receiver.url
    assert created.context == 'c'
    created.delete()
    assert api.get(SUBSCRIPTIONS).json()['Members@odata.count'] == 0


def test_many_subscribe_at_once(api):
    """Subscriptions made at the same time all get numbers of their own."""
    made = []

    def subscribe():
        made.append(api.subscribe())

    threads = [threading.Thread(target=subscribe) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 10


# Filters


def event_of(message_id='HawkFish.1.0.SnapshotCreated', uri='/r/a/b'):
    origin = events.Origin(uri, 'HawkFishSnapshot', contract.System('u', 'n'))
    return events.Event(1, 1, 0.0, message_id, ['s', 'n'], origin)


@pytest.mark.parametrize(
    'properties, passes',
    [
        ({}, True),
        ({'RegistryPrefixes': ['HawkFish']}, True),
        ({'RegistryPrefixes': ['TaskEvent']}, False),
        ({'ExcludeRegistryPrefixes': ['HawkFish']}, False),
        ({'ExcludeRegistryPrefixes': ['TaskEvent']}, True),
        ({'MessageIds': ['HawkFish.SnapshotCreated']}, True),
        ({'MessageIds': ['HawkFish.1.0.SnapshotCreated']}, True),
        ({'MessageIds': ['HawkFish.2.3.4.SnapshotCreated']}, True),
        ({'MessageIds': ['HawkFish.SnapshotDeleted']}, False),
        ({'ExcludeMessageIds': ['HawkFish.1.9.SnapshotCreated']}, False),
        ({'ResourceTypes': ['HawkFishSnapshot']}, True),
        ({'ResourceTypes': ['Task']}, False),
        ({'Severities': ['Critical']}, False),
        ({'OriginResources': ['/r/a/b/']}, True),
        ({'OriginResources': ['/r/a']}, False),
        ({'OriginResources': ['/r/a'], 'SubordinateResources': True}, True),
        (
            {'OriginResources': ['/r/a/bc'], 'SubordinateResources': True},
            False,
        ),
    ],
)
def test_the_filters_of_a_subscription(properties, passes):
    """Each property lets through what the standard says."""
    assert filters.of_subscription(properties)(event_of()) is passes


@pytest.mark.parametrize(
    'text, passes',
    [
        ('RegistryPrefix eq HawkFish', True),
        ("(RegistryPrefix eq 'HawkFish')", True),
        ('RegistryPrefix ne HawkFish', False),
        ('not RegistryPrefix eq HawkFish', False),
        (
            'RegistryPrefix eq TaskEvent or ResourceType eq HawkFishSnapshot',
            True,
        ),
        (
            'RegistryPrefix eq TaskEvent and ResourceType eq HawkFishSnapshot',
            False,
        ),
        ('MessageId eq HawkFish.1.0.SnapshotCreated', True),
        ("EventFormatType eq 'Event'", True),
        ('EventFormatType eq MetricReport', False),
        ('OriginResource eq /r/a', False),
        ('OriginResource eq /r/a and SubordinateResources eq true', True),
        (
            'RegistryPrefix eq A or (RegistryPrefix eq HawkFish '
            'and (OriginResource eq /r/a/b))',
            True,
        ),
        ("RegistryPrefix eq 'a ''b'''", False),
    ],
)
def test_the_filter_of_a_stream(text, passes):
    """``$filter`` compares, combines and nests."""
    assert filters.parse(text)(event_of()) is passes


@pytest.mark.parametrize(
    'text',
    [
        '',
        'x',
        'RegistryPrefix',
        'RegistryPrefix eq',
        "RegistryPrefix eq '",
        'Nonsense eq 5',
        'RegistryPrefix gt A',
        '(RegistryPrefix eq A',
        'RegistryPrefix eq A)',
        'RegistryPrefix eq A and',
        'RegistryPrefix eq (',
        'SubordinateResources eq maybe',
        'RegistryPrefix eq A RegistryPrefix eq B',
        '(' * 200,
        'not ' * 200,
    ],
)
def test_a_filter_that_is_none(text):
    """What cannot be understood is told, whatever it is."""
    with pytest.raises(ValueError):
        filters.parse(text)
