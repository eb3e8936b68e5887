# SPDX-License-Identifier: Apache-2.0
"""Server-sent events, read as they come over real HTTP."""

import json
import time

import pytest
import requests

from hawkfish_plugin.events import streams, subscriptions
from tests.served import FAKE_UUID, OWN_WSGI, Served
from tests.waiting import patience, wait_for

SERVICE = '/redfish/v1/EventService'
TEST = f'{SERVICE}/Actions/EventService.TestEventSubscription'
SUBSCRIPTIONS = f'{SERVICE}/Subscriptions'


class Listener:
    """A client of a stream; ``event`` waits for the next one."""

    def __init__(self, url, last=None, wanted=None):
        self.response = requests.get(
            f'{url}{SERVICE}/SSE',
            stream=True,
            timeout=20,
            headers={'Last-Event-ID': str(last)} if last is not None else {},
            params={'$filter': wanted} if wanted else {},
        )
        self._lines = self.response.iter_lines(chunk_size=1)
        if self.response.status_code == 200:
            # The first lines say that the stream listens, and from where.
            assert next(self._lines).startswith(b':')
            self.begin = int(next(self._lines).removeprefix(b'id: '))
            assert next(self._lines) == b''

    def event(self):
        """The id, and the entry, of the next event."""
        number = None
        for line in self._lines:
            name, _, value = line.decode().partition(': ')
            if name == 'id':
                number = int(value)
            if name == 'data':
                body = json.loads(value)
                assert body['Id'] == str(number)
                return number, body['Events'][0]
        return None

    def events(self, count):
        return [self.event() for _ in range(count)]

    def close(self):
        self.response.close()


@pytest.fixture
def listen(emulator):
    """Open streams of the emulator; they end with the test."""
    opened = []

    def open_stream(**kwargs):
        opened.append(Listener(emulator.url, **kwargs))
        return opened[-1]

    yield open_stream
    table = emulator.services.subscriptions
    for listener in opened:
        listener.close()
    for subscription in table.list():
        table.delete(subscription.id)


@pytest.fixture
def post(emulator):
    return lambda path: requests.post(f'{emulator.url}{path}', timeout=10)


def streams_listed(url):
    members = requests.get(f'{url}{SUBSCRIPTIONS}?$expand=.').json()['Members']
    return [m for m in members if m['SubscriptionType'] == 'SSE']


def keys(found):
    return [entry['MessageId'].rpartition('.')[2] for _, entry in found]


def test_a_stream_tells_a_create_as_it_happens(emulator, listen):
    """The events of an operation come with their ids, in order."""
    stream = listen()
    emulator.created(Name='a')

    found = stream.events(4)

    assert stream.response.headers['Content-Type'] == 'text/event-stream'
    assert keys(found) == [
        'TaskStarted',
        'SnapshotCreated',
        'ResourceCreated',
        'TaskCompletedOK',
    ]
    ids = [number for number, _ in found]
    assert ids == list(range(ids[0], ids[0] + 4))


def test_who_comes_back_has_missed_nothing(emulator, listen):
    """With Last-Event-ID a stream goes on where the last one ended."""
    first = listen()
    emulator.created(Name='a')
    seen = first.events(2)
    first.close()
    emulator.created(Name='b')

    again = listen(last=seen[-1][0]).events(6)

    ids = [number for number, _ in seen + again]
    assert ids == list(range(ids[0], ids[0] + 8))
    assert again[3][1]['MessageArgs'] == ['b', 'fake']


def test_who_lost_a_stream_before_its_first_event(emulator, listen):
    """A stream says at once from where to go on when it is lost."""
    first = listen()
    first.close()
    emulator.created(Name='a')

    again = listen(last=first.begin)

    assert keys(again.events(2)) == ['TaskStarted', 'SnapshotCreated']


@pytest.mark.parametrize('last', [10**15, 'nonsense', -1])
def test_an_id_that_nobody_gave(listen, post, last):
    """After an id that is not ours a stream begins with what is new."""
    stream = listen(last=last)

    post(TEST)

    assert keys([stream.event()]) == ['TestMessage']


def test_a_filter_leaves_out_the_rest(emulator, listen):
    """Only what ``$filter`` lets through is sent."""
    stream = listen(wanted="RegistryPrefix eq 'HawkFish'")

    emulator.created(Name='a')
    emulator.wait(requests.delete(f'{emulator.snapshots_url}/a'))

    assert keys(stream.events(2)) == ['SnapshotCreated', 'SnapshotDeleted']


def test_an_error_is_json(listen):
    """A stream that cannot be opened is an error like any other."""
    response = listen(wanted='Nonsense eq 5').response

    assert response.status_code == 400
    assert response.json()['error']['code'].endswith(
        'QueryParameterValueFormatError'
    )


def test_events_of_systems_not_served_are_not_streamed(emulator, listen, post):
    """With allowed instances a stream holds nothing of the others."""
    newest = emulator.services.events.newest()
    emulator.created(Name='a')
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['other']
    stream = listen(last=newest)

    post(TEST)

    assert keys([stream.event()]) == ['TestMessage']


def test_a_stream_is_listed_and_can_be_ended(emulator, listen):
    """Each stream is a subscription; deleting that closes the stream."""
    stream = listen()
    [listed] = streams_listed(emulator.url)

    assert listed['Destination'].startswith('redfish-sse://127.0.0.1:')
    requests.delete(emulator.url + listed['@odata.id'])

    begin = time.monotonic()
    assert stream.event() is None
    assert time.monotonic() - begin < patience(5)


def test_a_client_that_goes_is_noticed(emulator, listen, monkeypatch):
    """The subscription of a stream goes with its client."""
    monkeypatch.setattr(streams, 'KEEP_ALIVE_SECONDS', 0.05)
    stream = listen()
    assert streams_listed(emulator.url)

    stream.close()

    # Well before a stream that says nothing is taken for dead.
    wait_for(lambda: not streams_listed(emulator.url), 8)


def test_a_quiet_stream_is_kept_open(emulator, listen, monkeypatch):
    """Comments come while nothing happens, and the stream stays listed."""
    monkeypatch.setattr(streams, 'KEEP_ALIVE_SECONDS', 0.05)
    monkeypatch.setattr(subscriptions, 'STREAM_SECONDS', 1.0)
    stream = listen()

    comments = [next(stream._lines) for _ in range(16)]

    assert [line for line in comments if line] == 8 * [b': hawkfish']
    assert streams_listed(emulator.url)


def test_there_is_a_limit(emulator, listen):
    """One stream too many is a 503, and the others go on."""
    conf = emulator.services.conf
    conf.set_override('max_streams', 1, 'events')
    try:
        listen()
        response = listen().response
    finally:
        conf.clear_override('max_streams', 'events')

    assert response.status_code == 503
    assert response.json()['error']['code'].endswith(
        'EventSubscriptionLimitExceeded'
    )


def test_asking_for_the_headers_opens_nothing(emulator):
    """A HEAD of the stream makes no subscription."""
    response = requests.head(f'{emulator.url}{SERVICE}/SSE', timeout=10)

    assert response.status_code == 200
    assert not streams_listed(emulator.url)


def test_streams_of_dead_processes_are_forgotten(emulator):
    """What a killed process has left takes no place."""
    plugin = emulator.services
    left = plugin.subscriptions.open_stream('redfish-sse://127.0.0.1:1', 'c')

    plugin.subscriptions.update(left.id, seen=time.time() - 60)

    assert not streams_listed(emulator.url)
    wait_for(lambda: not plugin.subscriptions.is_open(left.id))


def test_any_process_may_stream(tmp_path):
    """With two processes streams miss nothing, wherever work is done."""
    served = Served(tmp_path).use_gunicorn(
        OWN_WSGI, '--workers', '2', '--threads', '4'
    )
    try:
        served.start()
        opened = [Listener(served.url) for _ in range(3)]
        for number in range(6):
            served.post_create(FAKE_UUID, Name=f's{number}')

        found = [keys(listener.events(24)) for listener in opened]

        assert found[0] == found[1] == found[2]
        assert found[0].count('SnapshotCreated') == 6
        assert len(streams_listed(served.url)) == 3
        uris = [s['@odata.id'] for s in streams_listed(served.url)]
        for uri in uris:
            assert requests.delete(served.url + uri).status_code == 204
        assert [listener.event() for listener in opened] == 3 * [None]
    finally:
        served.stop()
