# SPDX-License-Identifier: Apache-2.0
"""
Subscriptions over HTTP, and what reaches their destinations.

Long, as each property of a subscription is tried by what it lets through.
"""

import threading

import pytest
import requests
import sushy

from hawkfish_plugin.events import destinations
from hawkfish_plugin.operations.admission import CreateOptions
from hawkfish_plugin.operations.create import Create
from tests.served import message_ids
from tests.unit.receiver import Receiver
from tests.waiting import wait_for

SERVICE = '/redfish/v1/EventService'
SUBSCRIPTIONS = f'{SERVICE}/Subscriptions'
INFO = '@Message.ExtendedInfo'


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


def code(response):
    told = response.json()['error']['@Message.ExtendedInfo']
    return response.status_code, told[0]['MessageId'].rpartition('.')[2]


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
        ({'RegistryPrefixes': [5]}, 'PropertyValueTypeError'),
        ({'ResourceTypes': ['\x1b']}, 'PropertyValueFormatError'),
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
        ({'MessageId': None}, 'ActionParameterValueTypeError'),
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


def test_the_headers_of_gofish(api, receiver):
    """It has them in one object, without the list of the standard."""
    made = api.subscribe(receiver.url, HttpHeaders={'X-One': 'a'})
    changed = api.patch(made, HttpHeaders={'X-Two': 'b'})
    wrong = api.patch(made, HttpHeaders={'X-Two': 5})

    assert changed.status_code == 200
    assert code(wrong) == (400, 'PropertyValueTypeError')


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

    assert response.status_code == 200
    told = response.json()['error']
    assert told['code'].endswith('.Success')
    assert [entry['MessageArgs'][1:2] for entry in told[INFO]] == [
        [],
        ['EventGroupId'],
        ['EventTimestamp'],
        ['Severity'],
        ['MessageId'],
    ]
    receiver.wait_for('TestMessage')
    [event] = receiver.taken
    assert (event['EventId'], event['Message']) == ('TEST123', 'hello')
    assert event['Severity'] == 'OK'
    assert event['EventGroupId'] == int(event['MemberId'])


@pytest.mark.parametrize(
    'body, status, told',
    [
        ({'MessageId': 'A.1.0.B', 'MessageArgs': None}, 204, []),
        ({'MessageId': 'A.1.0.B', 'Severity': None}, 204, []),
        (
            {'MessageId': 'free', 'MessageArgs': ['a']},
            200,
            ['Success', 'ActionParameterValueFormatError'],
        ),
        (
            {'MessageId': 'A.1.0.B', 'MessageSeverity': 'Informational'},
            200,
            ['Success', 'ActionParameterValueNotInList'],
        ),
    ],
)
def test_a_test_event_that_is_nearly_right(api, recorded, body, status, told):
    """It is sent, and the answer says what was left out of it."""
    response = api.post(
        f'{SERVICE}/Actions/EventService.SubmitTestEvent', **body
    )

    assert response.status_code == status
    assert told == (message_ids(response) if told else [])
    assert len(recorded()) == 1


def create(api, receiver, **body):
    """What the service answers to a subscription that it takes."""
    created = api.post(
        Destination=receiver.url, Protocol='Redfish', Context='some', **body
    )
    assert created.status_code == 201, created.text
    return created


@pytest.mark.parametrize(
    'given, kept, unknown',
    [
        (['Base', 'IPMI', 'TaskEvent'], ['Base', 'TaskEvent'], ['IPMI']),
        (['HawkFish', 'TaskEvent'], ['HawkFish', 'TaskEvent'], []),
    ],
)
@pytest.mark.parametrize(
    'name', ['RegistryPrefixes', 'ExcludeRegistryPrefixes']
)
def test_registries_that_are_not_there(
    api, receiver, name, given, kept, unknown
):
    """Beside one that is there they are left out, and the answer says so."""
    created = create(api, receiver, **{name: given})

    told = created.json().get(f'{name}{INFO}', ())
    assert [entry['MessageArgs'][0] for entry in told] == unknown
    shown = api.get(created.headers['Location']).json()
    assert shown[name] == kept
    assert f'{name}{INFO}' not in shown


def test_what_is_not_there_need_not_be_excluded(api, receiver):
    """To exclude only what the service never sends changes nothing."""
    created = create(api, receiver, ExcludeRegistryPrefixes=['IPMI'])

    assert f'ExcludeRegistryPrefixes{INFO}' in created.json()
    location = created.headers['Location']
    assert not api.get(location).json().get('ExcludeRegistryPrefixes')


@pytest.mark.parametrize('name', ['RegistryPrefixes', 'ResourceTypes'])
def test_nothing_that_is_there(api, receiver, name):
    """To want only what is never sent is to get nothing, and is told."""
    created = create(api, receiver, **{name: ['IPMI', 'SEL']})
    api.subscribe(receiver.url, Context='all')
    api.post(
        f'{SERVICE}/Actions/EventService.SubmitTestEvent', MessageId='A.1.0.B'
    )

    assert created.json()[name] == ['IPMI', 'SEL']
    assert len(created.json()[f'{name}{INFO}']) == 2
    receiver.wait_for('B')
    contexts = [body['Context'] for *_, body in receiver.pushes]
    assert contexts == ['all']


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
