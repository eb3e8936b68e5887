# SPDX-License-Identifier: Apache-2.0
"""
The push of events to real receivers: quick, slow, failing and gone ones.

Real tables and threads; nothing depends on how fast this machine is.

Long, as each way to be a bad receiver has its test.
"""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from hawkfish_plugin import (
    bounds,
    conf,
    db,
    deadlines,
    events,
    locks,
    messages,
    supervision,
)
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.events import delivery, pushing, subscriptions
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks import workers
from hawkfish_plugin.tasks.operation import Operation, Operations
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject
from tests.served import free_port
from tests.unit.receiver import Receiver, tls_context
from tests.waiting import patience, wait_for

PATIENCE = 20.0


class Service:
    """An event table, its subscriptions and their delivery."""

    made = []

    def __init__(self, folder, is_allowed=lambda event, subscription: True):
        self.conf = conf.load()
        database = db.Database(folder)
        self.locks = locks.Locks(folder)
        self.tasks = Tasks(database, self.locks, self.conf)
        self.events = self.tasks.events
        self.subscriptions = subscriptions.Subscriptions(database, self.conf)
        self.supervisor = supervision.Supervisor()
        self.delivery = delivery.Delivery(
            self.events,
            self.subscriptions,
            self.conf,
            is_allowed,
            self.supervisor,
            deadlines.Deadlines(self.supervisor),
        )
        self.made.append(self)

    def subscribe(self, url, policy=subscriptions.FOREVER, **changes):
        given = {
            'verify': True,
            'headers': [],
            'filters': {},
            'allowed': None,
        } | changes
        return self.subscriptions.create(url, 'context', policy, **given).id

    def happen(self, count=1, system=None, text='s'):
        origin = events.SERVICE
        if system:
            origin = events.snapshot_origin(system, text)
        for number in range(count):
            self.events.submit(
                events.NewEvent(
                    'HawkFish.1.0.SnapshotCreated', [text, str(number)], origin
                )
            )

    def find(self, number):
        return next(
            (s for s in self.subscriptions.list() if s.id == number), None
        )


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    for name in list(os.environ):
        if name.startswith(('OS_', 'HAWKFISH_')):
            monkeypatch.delenv(name)
    monkeypatch.setenv('OS_EVENTS__DELIVERY_RETRY_INTERVAL', '1')
    monkeypatch.setenv('OS_EVENTS__DELIVERY_RETRY_ATTEMPTS', '1')
    yield monkeypatch.setenv
    # Without subscriptions nothing is delivered into the tests that follow.
    while Service.made:
        service = Service.made.pop()
        for subscription in service.subscriptions.list():
            service.subscriptions.delete(subscription.id)


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.stop()


def test_events_are_pushed_in_order(service, receiver):
    """A receiver gets every event once, in the order of their ids."""
    service.happen()
    service.subscribe(receiver.url, headers=[('X-Token', 'secret')])
    service.delivery.start()

    service.happen(50)

    assert receiver.wait(lambda r: len(r.ids) >= 50 and r.ids) == list(
        range(2, 52)
    )
    _, headers, _, body = receiver.pushes[0]
    assert headers['X-Token'] == 'secret'
    assert headers['Content-Type'] == 'application/json'
    assert body['Context'] == 'context'
    assert body['@odata.type'] == '#Event.v1_13_0.Event'


def test_what_was_taken_is_not_pushed_again(tmp_path, service, receiver):
    """How far a receiver has come outlives the process."""
    number = service.subscribe(receiver.url)
    service.delivery.start()
    service.happen(3)
    receiver.wait(lambda r: len(r.ids) == 3)
    wait_for(lambda: service.find(number).delivered == 3)

    again = Service(tmp_path)
    again.delivery.start()
    again.happen()

    receiver.wait(lambda r: 4 in r.ids)
    assert sorted(set(receiver.ids[3:])) == [4]


def test_a_push_that_fails_is_repeated(service, receiver):
    """A receiver that was down for a moment misses nothing, in order."""
    receiver.refuse = 2
    number = service.subscribe(receiver.url)
    service.delivery.start()

    service.happen(3)

    assert receiver.wait(lambda r: len(r.ids) == 3 and r.ids) == [1, 2, 3]
    assert [status for status, *_ in receiver.pushes] == [500, 500, 204]
    wait_for(lambda: service.find(number).failures == 0)


@pytest.mark.parametrize('status', [301, 302, 307, 308])
def test_a_redirect_is_not_followed(service, receiver, status):
    """An event goes where its subscription says, and nowhere else."""
    elsewhere = Receiver()
    receiver.status = status
    receiver.headers = {'Location': elsewhere.url}
    number = service.subscribe(receiver.url)
    service.delivery.start()

    service.happen()

    wait_for(lambda: service.find(number).failures)
    assert not elsewhere.pushes
    elsewhere.stop()


def test_a_subscription_can_end_with_its_receiver(service):
    """TerminateAfterRetries: it is gone when the retries are used up."""
    url = f'http://127.0.0.1:{free_port()}/'
    number = service.subscribe(url, subscriptions.TERMINATE)
    service.delivery.start()

    service.happen()

    wait_for(lambda: service.find(number) is None)


def test_a_subscription_can_wait_for_its_receiver(service, receiver):
    """SuspendRetries: nothing is tried until it is resumed, then all is."""
    receiver.status = 500
    number = service.subscribe(receiver.url, subscriptions.SUSPEND)
    service.delivery.start()
    service.happen()
    wait_for(lambda: service.find(number).suspended)
    tried = len(receiver.pushes)
    service.happen(2)

    receiver.status = 204
    service.subscriptions.resume(number, None)

    assert tried == 2
    assert receiver.wait(lambda r: len(r.ids) == 3 and r.ids) == [1, 2, 3]


def test_resuming_can_leave_out_what_is_old(service, receiver):
    """Of what was held back, only what is young enough is pushed."""
    number = service.subscribe(receiver.url)
    service.subscriptions.update(number, suspended=True)
    service.delivery.start()
    service.happen(3)

    service.subscriptions.resume(number, 0)
    service.happen()

    assert receiver.wait(lambda r: r.ids) == [4]


def test_the_pause_between_retries_can_grow(service, configured):
    """RetryForeverWithBackoff doubles its pause, up to an hour."""
    pause = service.delivery._pause

    assert [pause(subscriptions.BACKOFF, n) for n in (1, 2, 3)] == [1, 2, 4]
    assert pause(subscriptions.BACKOFF, 10_000) == 3600
    assert pause(subscriptions.FOREVER, 10_000) == 1


def test_filters_and_systems_that_may_not_be_shown(tmp_path, receiver):
    """What is filtered out, or of a system not served, is not pushed."""
    shown = contract.System('uuid-a', 'a')
    hidden = contract.System('uuid-b', 'b')
    service = Service(tmp_path, lambda event, _: event.origin.system != hidden)
    service.subscribe(
        receiver.url,
        filters={
            'OriginResources': ['/redfish/v1/Systems/a'],
            'SubordinateResources': True,
        },
    )
    service.delivery.start()

    service.happen()
    service.happen(system=hidden)
    service.happen(system=shown)

    receiver.wait(lambda r: r.ids)
    assert receiver.ids == [3]


def test_a_push_stays_below_one_mebibyte(service, receiver):
    """Many long events become several pushes, none above the limit."""
    service.subscribe(receiver.url)
    # 12 bytes for each character, as JSON escapes them.
    service.happen(100, text='\U0001f600' * 2000)

    service.delivery.start()

    receiver.wait(lambda r: len(r.ids) == 100)
    assert receiver.ids == list(range(1, 101))
    assert len(receiver.pushes) > 1
    assert max(size for _, _, size, _ in receiver.pushes) < 1024 * 1024


def test_an_endless_answer_is_not_read(service, receiver):
    """A receiver that answers with megabytes has taken the event."""
    receiver.status, receiver.body = 200, b'x' * 50_000_000
    service.subscribe(receiver.url)
    service.delivery.start()

    service.happen()
    wait_for(lambda: service.find(1).delivered == 1)


@pytest.fixture(scope='module')
def certificates(tmp_path_factory):
    """A CA of our own, and the certificate of 127.0.0.1 that it signed."""
    folder = tmp_path_factory.mktemp('tls')

    def openssl(*words):
        subprocess.run(
            ['openssl', *words], cwd=folder, check=True, capture_output=True
        )

    openssl(
        *[
            'req',
            '-x509',
            '-newkey',
            'rsa:2048',
            '-nodes',
            '-keyout',
            'ca.key',
        ],
        *['-out', 'ca.pem', '-days', '1', '-subj', '/CN=ours', '-addext'],
        'keyUsage=critical,keyCertSign',
    )
    openssl(
        *[
            'req',
            '-newkey',
            'rsa:2048',
            '-nodes',
            '-keyout',
            'key.pem',
            '-out',
            'it.csr',
        ],
        *['-subj', '/CN=receiver'],
    )
    (folder / 'ext').write_text('subjectAltName=IP:127.0.0.1\n')
    openssl(
        *[
            'x509',
            '-req',
            '-in',
            'it.csr',
            '-CA',
            'ca.pem',
            '-CAkey',
            'ca.key',
            '-days',
            '1',
        ],
        *['-CAcreateserial', '-extfile', 'ext', '-out', 'cert.pem'],
    )
    return folder


@pytest.fixture
def tls_receiver(certificates):
    made = Receiver(
        tls_context(certificates / 'cert.pem', certificates / 'key.pem')
    )
    yield made
    made.stop()


def test_a_certificate_of_the_own_authority_is_trusted(
    tmp_path, configured, certificates, tls_receiver
):
    """With ca_file events go to a receiver that this authority vouches for."""
    configured('OS_EVENTS__CA_FILE', str(certificates / 'ca.pem'))
    service = Service(tmp_path)
    service.subscribe(tls_receiver.url)
    service.delivery.start()

    service.happen()

    assert tls_receiver.wait(lambda r: r.ids) == [1]


@pytest.mark.filterwarnings('ignore:Unverified HTTPS request')
def test_who_is_not_trusted_gets_nothing(
    service, configured, certificates, tls_receiver
):
    """Without ca_file only a subscription that does not verify is served."""
    configured('REQUESTS_CA_BUNDLE', str(certificates / 'ca.pem'))
    refused = service.subscribe(tls_receiver.url)
    service.delivery.start()
    service.happen()
    wait_for(lambda: service.find(refused).failures)
    assert not tls_receiver.pushes

    service.subscriptions.update(refused, verify=False)

    assert tls_receiver.wait(lambda r: r.ids) == [1]


def test_a_destination_that_is_not_allowed_any_more(
    tmp_path, configured, receiver
):
    """A list of allowed destinations holds for old subscriptions as well."""
    configured('OS_EVENTS__ALLOWED_DESTINATIONS', 'other.example')
    service = Service(tmp_path)
    number = service.subscribe(receiver.url)
    service.delivery.start()

    service.happen()

    wait_for(lambda: service.find(number).failures)
    assert not receiver.pushes


def test_a_deleted_subscription_gets_nothing_more(service, receiver):
    """After its subscription is gone a receiver is left alone."""
    witness = Receiver()
    gone = service.subscribe(receiver.url)
    service.subscribe(witness.url)
    service.delivery.start()
    service.happen()
    receiver.wait(lambda r: r.ids)

    service.subscriptions.delete(gone)
    service.happen()

    witness.wait(lambda r: len(r.ids) == 2)
    assert receiver.ids == [1]
    witness.stop()


def test_events_are_kept_for_who_has_not_got_them(tmp_path, configured):
    """Old events go, but for those that a destination waits for."""
    configured('OS_EVENTS__KEEP', '3')
    service = Service(tmp_path)
    service.happen(5)
    assert [e.id for e in service.events.after(2, 9)] == [3, 4, 5]
    number = service.subscribe('http://127.0.0.1:9/')

    service.happen(20)
    assert [e.id for e in service.events.after(5, 99)] == list(range(6, 26))
    service.subscriptions.note_delivered({number: 10}, {})
    service.happen()

    assert [e.id for e in service.events.after(10, 99)] == list(range(11, 27))
    assert service.events.after(0, 1)[0].is_loss


def test_what_is_lost_is_told(tmp_path, configured, receiver):
    """Whoever comes back too late learns that events are gone, and goes on."""
    configured('OS_EVENTS__KEEP', '1')
    service = Service(tmp_path)
    number = service.subscribe(
        receiver.url, filters={'RegistryPrefixes': ['HawkFish']}
    )
    service.happen(25)
    service.delivery.start()

    receiver.wait(lambda r: 25 in r.ids)

    # Ten times as many as are kept anyway.
    assert receiver.ids == list(range(15, 26))
    assert receiver.messages[0] == 'EventBufferExceeded'
    assert receiver.messages.count('EventBufferExceeded') == 1
    wait_for(lambda: service.find(number).delivered == 25)


class Silent(Operation):
    name, title = 'silent', 'Silent'

    def run(self, context):
        return {}

    settle = run


def rate_of_operations(service, count):
    """How many operations a second the service does."""
    begin = time.monotonic()
    made = [
        service.tasks.submit(
            Silent(),
            [Subject(contract.System(f'uuid-{n}', 's'), 's')],
            Record(),
            {},
        ).id
        for n in range(count)
    ]
    wait_for(
        lambda: (
            not any(
                service.tasks.get(number).active for number in reversed(made)
            )
        )
    )
    return count / (time.monotonic() - begin)


def test_dead_subscribers_hold_up_nobody(service):
    """
    300 events, 10 subscribers, 5 of them dead in different ways.

    The living get all of them in order, and operations go on: none waits for
    the dead, which are waited for by seconds.
    """
    operations = Operations(Silent())
    workers.Workers(
        service.tasks,
        service.locks,
        operations,
        service.conf,
        service.supervisor,
    ).start(service.delivery.start)
    # One operation has two events: it started, and it ended.
    alone = rate_of_operations(service, 50)
    living = [Receiver() for _ in range(5)]
    hanging, failing = Receiver(), Receiver()
    hanging.delay, failing.status = 30, 500
    dead = [f'http://127.0.0.1:{free_port()}/' for _ in range(3)]
    for url in [*dead, hanging.url, failing.url]:
        service.subscribe(url)
    for receiver in living:
        service.subscribe(receiver.url)

    accompanied = rate_of_operations(service, 150)

    for receiver in living:
        receiver.wait(lambda r: len(r.ids) >= 300)
        assert receiver.ids == list(range(101, 401))
    # The receivers take their share of the same process.
    assert accompanied > alone / 20
    for receiver in [*living, failing]:
        receiver.stop()


def test_nothing_is_open_while_a_receiver_is_slow(service, receiver):
    """Others write to the database while a push takes its time."""
    receiver.delay = slow = patience(3)
    service.subscribe(receiver.url)
    service.delivery.start()
    service.happen()
    receiver.wait(lambda r: r.begun)

    begin = time.monotonic()
    service.happen(20)

    assert time.monotonic() - begin < slow / 2
    assert not receiver.pushes


def test_a_system_named_oddly_is_found_by_its_name(service, receiver):
    """The name of a system in OriginResources is percent-encoded."""
    service.subscribe(
        receiver.url,
        filters={
            'OriginResources': ['/redfish/v1/Systems/a%20b%2Fc'],
            'SubordinateResources': True,
        },
    )
    service.delivery.start()

    service.happen(system=contract.System('uuid', 'a b/c'))

    assert receiver.wait(lambda r: r.ids) == [1]
    event = receiver.taken[0]
    assert json.dumps(event['OriginOfCondition']) == (
        '{"@odata.id": "/redfish/v1/Systems/uuid/Oem/HawkFish/Snapshots/s"}'
    )


class Dripping:
    """A receiver that answers a byte of a header every now and then."""

    def __init__(self):
        self._listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.url = f'http://127.0.0.1:{self._listener.getsockname()[1]}/'
        self.open = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(
                target=self._drip, args=(connection,), daemon=True
            ).start()

    def _drip(self, connection):
        self.open += 1
        with connection, contextlib.suppress(OSError):
            connection.sendall(b'HTTP/1.1 200 OK\r\nX-Drip: ')
            while True:
                connection.settimeout(0.05)
                try:
                    if not connection.recv(65536):
                        break
                except TimeoutError:
                    connection.sendall(b'x')
        self.open -= 1


def pushing_threads():
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith('hawkfish-push')
    ]


def test_a_push_ends_when_its_subscription_is_deleted(service):
    """Whatever the destination does, and however often it happens."""
    dripping = Dripping()
    service.delivery.start()
    for _ in range(3):
        made = [service.subscribe(dripping.url) for _ in range(20)]
        service.happen()
        wait_for(lambda: dripping.open >= 8)
        for number in made:
            service.subscriptions.delete(number)

        wait_for(lambda: not dripping.open)
    assert len(pushing_threads()) <= 64


def test_a_push_has_one_deadline(service, monkeypatch):
    """A destination that goes on answering for ever has failed."""
    monkeypatch.setattr(pushing, 'PUSH_SECONDS', 0.5)
    dripping = Dripping()
    number = service.subscribe(dripping.url)
    service.delivery.start()

    service.happen()

    wait_for(lambda: service.find(number).failures)
    wait_for(lambda: not dripping.open)


def test_slow_destinations_leave_threads_to_others(service, receiver):
    """However many of them there are."""
    dripping = Dripping()
    service.delivery.start()
    for _ in range(40):
        service.subscribe(dripping.url)
    service.happen()
    wait_for(lambda: dripping.open)
    service.subscribe(receiver.url)

    service.happen()

    receiver.wait(lambda r: r.ids)


def test_deliveries_outlive_what_is_not_foreseen(
    service, receiver, monkeypatch
):
    """Nothing that is raised ends the thread that all deliveries need."""
    fail = [OSError(24, 'no descriptor'), SystemExit(), RuntimeError()]
    newest = service.events.newest

    def failing():
        if fail:
            raise fail.pop()
        return newest()

    monkeypatch.setattr(supervision, 'RETRY_SECONDS', 0.01)
    monkeypatch.setattr(service.events, 'newest', failing)
    service.subscribe(receiver.url)
    service.delivery.start()

    service.happen()

    receiver.wait(lambda r: r.ids)


def test_what_a_dead_subscriber_waits_for_is_bounded(service, monkeypatch):
    """In bytes as well: the oldest go, and their loss is told."""
    monkeypatch.setattr(bounds, 'EVENTS_BYTES', 20_000)
    service.subscribe('http://127.0.0.1:9/')
    for _ in range(100):
        service.happen(text='x' * 1000)

    kept = service.events.after(0, 1000)

    assert kept[0].is_loss
    assert 15 <= len(kept) <= 21
    assert kept[-1].id == 100


@pytest.mark.parametrize('keep', [50, 1000])
def test_test_events_push_out_no_others(service, monkeypatch, keep):
    """However many, and however large they are."""
    monkeypatch.setattr(bounds, 'EVENTS_BYTES', 20_000)
    monkeypatch.setattr(bounds, 'TEST_EVENTS', 5)
    monkeypatch.setattr(service.events, '_keep', keep)
    service.happen(10)
    for number in range(100):
        service.events.submit(
            events.NewEvent(
                'A.1.0.B', [], events.SERVICE, {'Message': str(number) * 1000}
            )
        )
    service.happen(10)

    kept = service.events.after(0, 1000)

    assert [e.id for e in kept] == [
        *range(1, 11),
        *range(106, 111),
        *range(111, 121),
    ]


def test_a_faked_loss_is_filtered_as_anything_else(service, receiver):
    """Only the service can say that events were lost."""
    service.subscribe(
        receiver.url, filters={'MessageIds': ['HawkFish.1.0.SnapshotCreated']}
    )
    service.delivery.start()
    faked = events.NewEvent(messages.EVENTS_LOST, [], events.SERVICE)

    service.events.submit(faked)
    service.happen()

    assert receiver.wait(lambda r: r.messages) == ['SnapshotCreated']


# Destinations that do not answer at all ----------------------------------


@pytest.fixture
def swallowing(monkeypatch):
    """A name with six addresses of a host that answers no connection."""
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(0)
    waiting = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect(listener.getsockname())
        waiting.append(one)
    look_up = socket.getaddrinfo

    def look_up_there(host, port, *args, **kwargs):
        if host != 'many.example':
            return look_up(host, port, *args, **kwargs)
        place = listener.getsockname()
        return look_up(*place, *args, **kwargs) * 6

    monkeypatch.setattr(socket, 'getaddrinfo', look_up_there)
    yield 'http://many.example/'
    for one in (*waiting, listener):
        one.close()


@pytest.fixture
def unresolved(monkeypatch):
    """A name whose lookup does not return before the test is over."""
    go_on, look_up = threading.Event(), socket.getaddrinfo

    def wait(host, *args, **kwargs):
        if host == 'slow.example':
            go_on.wait(patience())
            raise OSError
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, 'getaddrinfo', wait)
    yield 'http://slow.example/'
    go_on.set()


@pytest.fixture(params=['swallowing', 'unresolved'])
def silent(request):
    """A destination that does not answer."""
    return request.getfixturevalue(request.param)


def test_nobody_waits_for_who_does_not_answer(service, silent, monkeypatch):
    """The deadline of a push includes its lookup, and all addresses."""
    monkeypatch.setattr(pushing, 'PUSH_SECONDS', 0.5)
    number = service.subscribe(silent)
    service.delivery.start()
    service.happen()

    wait_for(lambda: service.find(number).failures, seconds=4)


def test_who_does_not_answer_takes_no_thread(
    service, receiver, silent, configured
):
    """Not after its subscription is deleted."""
    service.conf.set_override('max_subscriptions', 1, 'events')
    service.delivery.start()
    number = service.subscribe(silent)
    service.happen()
    wait_for(pushing_threads)
    service.subscriptions.delete(number)
    service.subscribe(receiver.url)

    service.happen()

    wait_for(lambda: receiver.ids, seconds=4)
