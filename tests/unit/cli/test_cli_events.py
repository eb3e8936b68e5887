# SPDX-License-Identifier: Apache-2.0
"""``hawkfish event`` and ``hawkfish subscription`` against the emulator."""

import json
import signal
import subprocess
import threading

import pytest
import requests

from hawkfish_plugin import client
from tests.served import Served
from tests.unit.commands import PROGRAM
from tests.unit.receiver import Receiver
from tests.waiting import patience

TEST = '/redfish/v1/EventService/Actions/EventService.TestEventSubscription'


@pytest.fixture(autouse=True)
def no_subscriptions(emulator):
    yield
    table = emulator.services.subscriptions
    for subscription in table.list():
        table.delete(subscription.id)


class Watch:
    """``hawkfish event watch`` as a process of its own."""

    def __init__(self, url, *args):
        self._process = subprocess.Popen(
            [*PROGRAM, '--url', url, 'event', 'watch', *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines(self, count):
        return [self._process.stdout.readline() for _ in range(count)]

    def stop(self):
        """Press Ctrl-C; return the status and what is left to read."""
        self._process.send_signal(signal.SIGINT)
        try:
            out, err = self._process.communicate(timeout=20)
        finally:
            self._process.kill()
        return self._process.returncode, out, err


def newest(emulator):
    return str(emulator.services.events.newest())


def test_watch_prints_a_line_for_each_event(emulator):
    """Each event is printed when it comes, and Ctrl-C ends it quietly."""
    watch = Watch(emulator.url, '--after', newest(emulator))
    emulator.created(Name='a b')

    lines = watch.lines(4)

    assert [line.split()[2].rpartition('.')[2] for line in lines] == [
        'TaskStarted',
        'SnapshotCreated',
        'ResourceCreated',
        'TaskCompletedOK',
    ]
    assert lines[1].endswith(
        " OK HawkFish.1.0.SnapshotCreated Snapshot 'a b' of system 'fake' "
        'was created.\n'
    )
    assert lines[2].endswith('/Oem/HawkFish/Snapshots/a%20b\n')
    assert watch.stop() == (130, '', '')


def test_watch_prints_json_lines(emulator):
    """With -f json each line is the event as the service sent it."""
    watch = Watch(
        emulator.url,
        '--after',
        newest(emulator),
        '-f',
        'json',
        '--filter',
        'RegistryPrefix eq HawkFish',
    )
    emulator.created(Name='a')

    [line] = watch.lines(1)

    assert json.loads(line)['MessageArgs'] == ['a', 'fake']
    assert watch.stop()[0] == 130


def test_watch_tells_why_it_cannot(hawkfish):
    """A filter that is none ends the command with the server's words."""
    status, out, err = hawkfish('event', 'watch', '--filter', 'nonsense')

    assert (status, out) == (1, '')
    assert '$filter' in err


def test_nobody_there_is_told_at_once(run):
    """An emulator that is not there is no stream that was lost."""
    status, _, err = run('--url', 'http://127.0.0.1:9', 'event', 'watch')

    assert status == 1
    assert 'Cannot reach the emulator' in err


def test_control_characters_reach_no_terminal(emulator):
    """What others have written is printed without its control characters."""
    watch = Watch(emulator.url, '--after', newest(emulator))
    requests.post(
        f'{emulator.url}{TEST}'.replace(
            'TestEventSubscription', 'SubmitTestEvent'
        ),
        json={'MessageId': 'A.1.0.B', 'Message': 'x\x1b[2J\ny'},
    )

    [line] = watch.lines(1)

    assert line.endswith(' A.1.0.B x\\x1b[2J\\ny\n')
    watch.stop()


def test_a_watch_outlives_the_emulator(tmp_path):
    """Events around a restart of the emulator come all, and come once."""
    served = Served(tmp_path)
    served.start()
    seen, lost, enough = [], [], threading.Event()

    def watch():
        service = client.HawkFish(served.url)
        for event in service.events('0', lost=lambda: lost.append(1)):
            seen.append(event)
            if len(seen) == 3:
                enough.set()
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        requests.post(f'{served.url}{TEST}')
        while not seen:
            watching.join(0.02)
        served.stop()
        served.start()
        requests.post(f'{served.url}{TEST}')
        requests.post(f'{served.url}{TEST}')

        assert enough.wait(patience(20))
        assert [event.identity for event in seen] == ['1', '2', '3']
        assert seen[0].message_id.endswith('TestMessage')
        assert seen[0].severity == 'OK'
        assert lost == [1]
    finally:
        served.stop()


def test_life_of_a_subscription(hawkfish, data, emulator):
    """Create, list, show and delete do what they say."""
    receiver = Receiver()
    created = data(
        *('subscription', 'create', receiver.url, '--context', 'c'),
        *('--registry', 'HawkFish', '--registry', 'ResourceEvent'),
        *('--severity', 'OK', '--retry-policy', 'RetryForever'),
        *('--header', 'X-Token: secret', '--no-verify'),
        *('--origin', '/redfish/v1/EventService'),
    )

    requests.post(f'{emulator.url}{TEST}')
    receiver.wait_for('TestMessage')
    receiver.stop()

    assert receiver.pushes[0][1]['X-Token'] == 'secret'
    assert receiver.pushes[0][3]['Context'] == 'c'
    assert created['RegistryPrefixes'] == ['HawkFish', 'ResourceEvent']
    assert created['Retry policy'] == 'RetryForever'
    assert created['Verify'] is False
    assert 'secret' not in json.dumps(created)
    assert data('subscription', 'show', created['ID']) == created
    [listed] = data('subscription', 'list')
    assert listed.items() <= created.items()
    told = f'Deleted subscription {created["ID"]}.\n'
    done = hawkfish('subscription', 'delete', created['ID'])
    assert done == (0, '', told)
    assert data('subscription', 'list') == []


def test_one_that_is_gone_stops_no_other(hawkfish, data):
    """What cannot be deleted is told, and the others are deleted."""
    created = data('subscription', 'create', 'http://192.0.2.1/')

    status, _, err = hawkfish(
        'subscription', 'delete', '999999', created['ID']
    )

    assert status == 1
    assert '999999: ' in err and '1 of 2 failed' in err
    assert data('subscription', 'list') == []


def test_a_refusal_is_told(hawkfish):
    """What the service says about a bad destination reaches the user."""
    status, _, err = hawkfish('subscription', 'create', 'ftp://h/')

    assert status == 1
    assert "'Destination'" in err


def test_a_header_that_is_none_is_a_usage_error(hawkfish):
    """A header without a colon never reaches the service."""
    status, _, err = hawkfish(
        'subscription', 'create', 'http://h/', '--header', 'nonsense'
    )

    assert status == 2
    assert 'NAME: VALUE' in err
