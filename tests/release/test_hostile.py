# SPDX-License-Identifier: Apache-2.0
"""
What a hostile client, or an unlucky one, does to an emulator of its own.

Whatever one client does, the service goes on for the others.

Long, as each way to be hostile has its test.
"""

import concurrent.futures
import contextlib
import pathlib
import resource
import socket
import sqlite3
import subprocess
import time

import pytest
import requests

from hawkfish_plugin import locks
from tests.served import FAKE_UUID, OWN_WSGI, Served
from tests.unit.receiver import Receiver
from tests.waiting import holds_for, patience, wait_for


@pytest.fixture
def process(tmp_path):
    """An emulator that is not started yet."""
    made = Served(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def second(tmp_path, process):
    """Another emulator of the same systems and state."""
    folder = tmp_path / 'second'
    folder.mkdir()
    made = Served(
        folder,
        config=f'SUSHY_EMULATOR_STATE_DIR = {str(process.folder)!r}\n',
        OS_HAWKFISH__STATE_DIR=process.environment['OS_HAWKFISH__STATE_DIR'],
    )
    yield made
    made.stop()


def connect(process, count):
    """Open *count* connections, as far as they are taken."""
    found = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            found.append(
                socket.create_connection(('127.0.0.1', process.port), 2)
            )
    return found


def descriptors(process):
    """What the process has open, by number."""
    folder = pathlib.Path(f'/proc/{process.process.pid}/fd')
    return {path.name for path in folder.iterdir()}


def limit_descriptors(process, count):
    limits = (count, 4096)
    resource.prlimit(process.process.pid, resource.RLIMIT_NOFILE, limits)


def is_ready(process, names):
    found = process.snapshots(FAKE_UUID)
    there = {s['Name']: s['SnapshotState'] for s in found}
    return there == dict.fromkeys(names, 'Ready')


def exhaust(process):
    """Leave *process* without a descriptor; returns the connections."""
    limit_descriptors(process, len(descriptors(process)))
    return connect(process, 40)


def test_a_process_without_descriptors_works_again(process, second):
    """What ends for want of descriptors goes on as soon as there are any."""
    process.start()
    second.start()
    idle = exhaust(process)
    # Whoever works on them finds no descriptor for the lock of the system.
    for name in 'abcd':
        assert second.post_create(FAKE_UUID, Name=name).status_code == 202
    assert holds_for(lambda: process.is_running, 3)
    for connection in idle:
        connection.close()
    limit_descriptors(process, 1024)

    wait_for(lambda: is_ready(second, 'abcd'), seconds=12)


def test_a_process_that_cannot_work_lets_another_one(process, second):
    """Tasks are worked on, though their owner has no descriptor left."""
    process.start()
    second.start()
    idle = exhaust(process)

    for name in 'abcd':
        assert second.post_create(FAKE_UUID, Name=name).status_code == 202

    wait_for(lambda: is_ready(second, 'abcd'))
    assert process.is_running
    assert len(idle) == 40


# Two lists on one state ---------------------------------------------------

OTHER_UUID = '7b946b59-9e44-4fa7-8e91-f3527a1ef095'
SYSTEMS = f"""
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {{'uuid': uuid, 'name': name, 'power_state': 'Off', 'nics': []}}
    for uuid, name in (({FAKE_UUID!r}, 'fake'), ({OTHER_UUID!r}, 'secret'))
]
"""


@pytest.mark.parametrize('restricted_works', [True, False])
def test_a_subscription_has_the_list_of_its_emulator(
    process, second, restricted_works
):
    """Whoever delivers, nobody hears of a system that he may not see."""
    append(process, SYSTEMS)
    allowed = f'SUSHY_EMULATOR_ALLOWED_INSTANCES = [{FAKE_UUID!r}]\n'
    append(second, SYSTEMS + allowed)
    for one in (second, process) if restricted_works else (process, second):
        one.start()
    seen, restricted = Receiver(), Receiver()
    for one, receiver in ((process, seen), (second, restricted)):
        made = requests.post(
            f'{one.url}/redfish/v1/EventService/Subscriptions',
            json={'Destination': receiver.url, 'Protocol': 'Redfish'},
            timeout=60,
        )
        assert made.status_code == 201

    process.create(OTHER_UUID, Name='hidden')
    second.create(FAKE_UUID, Name='shown')

    seen.wait(lambda r: r.messages.count('SnapshotCreated') == 2)
    restricted.wait_for('SnapshotCreated')
    assert 'secret' in str(seen.taken)
    assert 'secret' not in str(restricted.taken)
    assert OTHER_UUID not in str(restricted.taken)


def test_what_expires_is_pruned_whoever_works(process, second):
    """Also where the one that works may not serve the system."""
    append(process, SYSTEMS)
    allowed = f'SUSHY_EMULATOR_ALLOWED_INSTANCES = [{FAKE_UUID!r}]\n'
    append(second, SYSTEMS + allowed)
    second.start()
    process.start()
    soon = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 4))
    process.create(OTHER_UUID, Name='old', ExpiresTime=soon)
    process.create(OTHER_UUID, Name='new')

    wait_for(lambda: len(process.snapshots(OTHER_UUID)) == 1)


def append(process, config):
    with process.config.open('a') as file:
        file.write(config)


# Connections --------------------------------------------------------------


def test_idle_connections_keep_out_nobody(process):
    """However many there are, there is a place for who has a request."""
    process.start()
    limit_descriptors(process, 1024)
    idle = connect(process, 1005)
    begin = time.monotonic()

    process.create(FAKE_UUID, Name='a')

    assert time.monotonic() - begin < patience(15)
    assert len(idle) > 500
    assert len(descriptors(process)) < 700


def test_requests_that_do_not_arrive(process):
    """Neither the head nor the body of one may come for ever."""
    quick = 'from hawkfish_plugin import bounds; bounds.REQUEST_SECONDS = 1\n'
    process.config.write_text(quick + process.config.read_text())
    process.start()
    head = b'POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: a\r\n'
    json = b'Content-Type: application/json\r\nContent-Length: 900\r\n\r\n'
    for sent in (b'', head, head + json + b'{'):
        with socket.create_connection(('127.0.0.1', process.port)) as client:
            client.sendall(sent)
            client.settimeout(0.1)

            assert wait_for(lambda one=client: is_over(one))


def is_over(client):
    """Whether the server ends it, though it gets a byte now and then."""
    try:
        client.sendall(b' ')
        return client.recv(1000) == b'' or client.recv(1000) == b''
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_silent_client_of_tls_keeps_out_nobody(tmp_path):
    """It shakes hands when it wants to."""
    certificate, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    subprocess.run(
        [
            *('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes'),
            *('-subj', '/CN=127.0.0.1', '-days', '1'),
            *('-keyout', key, '-out', certificate),
        ],
        check=True,
        capture_output=True,
    )
    process = Served(
        tmp_path,
        config=f'SUSHY_EMULATOR_SSL_CERT = {str(certificate)!r}\n'
        f'SUSHY_EMULATOR_SSL_KEY = {str(key)!r}\n',
        scheme='https',
    )
    try:
        process.start()
        silent = connect(process, 5)

        served = requests.get(
            f'{process.url}/redfish/v1', verify=False, timeout=10
        )
    finally:
        process.stop()

    assert served.ok
    assert len(silent) == 5


# gunicorn -----------------------------------------------------------------


@pytest.fixture
def gunicorn(process):
    """The documented way to run it with gunicorn."""
    return process.use_gunicorn(OWN_WSGI, '--threads', '8').start()


def test_streams_leave_threads_to_others(gunicorn):
    """Those for whom there is none are refused."""
    url = f'{gunicorn.url}/redfish/v1/EventService/SSE'
    streams = [requests.get(url, stream=True, timeout=60) for _ in range(8)]

    served = requests.get(f'{gunicorn.url}/redfish/v1', timeout=10)

    assert served.ok
    assert {one.status_code for one in streams} == {200, 503}
    for one in streams:
        one.close()


def test_waits_leave_threads_to_others(gunicorn):
    """A busy system is refused at once where too many wait for it."""
    gunicorn.create(FAKE_UUID, Name='a')
    (folder,) = (gunicorn.folder / 'state').glob('fake-*')
    with (
        locks.Locks(folder).system(FAKE_UUID, 5),
        concurrent.futures.ThreadPoolExecutor(16) as pool,
    ):
        waiting = [pool.submit(rename, gunicorn, n) for n in range(16)]
        wait_for(lambda: sum(one.done() for one in waiting) >= 8)
        begin = time.monotonic()
        served = requests.get(f'{gunicorn.url}/redfish/v1', timeout=60)

        assert served.ok
        assert time.monotonic() - begin < patience(5)
    assert {one.result() for one in waiting} <= {200, 503}


def test_decisions_leave_threads_to_others(gunicorn):
    """Some wait until others have decided about their system, not all."""
    gunicorn.create(FAKE_UUID, Name='a')
    (folder,) = (gunicorn.folder / 'state').glob('fake-*')
    with (
        locks.Locks(folder).deciding(FAKE_UUID),
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        waiting = [
            pool.submit(gunicorn.post_create, FAKE_UUID, Name=f'n{n}')
            for n in range(8)
        ]
        wait_for(lambda: any(one.done() for one in waiting))
        begin = time.monotonic()
        served = requests.get(f'{gunicorn.url}/redfish/v1', timeout=60)

        assert served.ok
        assert time.monotonic() - begin < patience(5)


def rename(process, number):
    return requests.patch(
        f'{process.collection(FAKE_UUID)}/a',
        json={'Description': str(number)},
        timeout=60,
    ).status_code


# Health -------------------------------------------------------------------


def task_service(process):
    uri = f'{process.url}/redfish/v1/TaskService'
    return requests.get(uri, timeout=60).json()['Status']


def test_the_health_of_the_owner_is_told_by_all(process, second):
    """While its threads fail, and when they work again."""
    process.start()
    second.start()
    receiver = Receiver()
    requests.post(
        f'{second.url}/redfish/v1/EventService/Subscriptions',
        json={'Destination': receiver.url, 'Protocol': 'Redfish'},
        timeout=60,
    )
    process.create(FAKE_UUID, Name='before')
    assert task_service(second) == {'State': 'Enabled', 'Health': 'OK'}
    idle = exhaust(process)
    second.post_create(FAKE_UUID, Name='a')

    wait_for(lambda: task_service(second)['Health'] == 'Warning')
    assert task_service(second)['Conditions']
    for connection in idle:
        connection.close()
    limit_descriptors(process, 1024)

    wait_for(lambda: task_service(second)['Health'] == 'OK')
    receiver.wait_for('ServiceDegraded', 60)
    receiver.wait_for('ServiceRestored', 60)


def test_nobody_working_is_told(process):
    """By who waits for the one that works, and does not."""
    process.start().create(FAKE_UUID, Name='a')
    path = next((process.folder / 'state').glob('*/*.sqlite'))
    with sqlite3.connect(path) as connection:
        # Whoever works says so again before long.
        connection.execute(
            'CREATE TRIGGER silence BEFORE INSERT ON engine '
            'BEGIN SELECT RAISE(IGNORE); END'
        )
        connection.execute('UPDATE engine SET seen = seen - 1000')
        connection.execute(
            'CREATE TRIGGER silent BEFORE DELETE ON engine '
            'BEGIN SELECT RAISE(IGNORE); END'
        )
    connection.close()

    wait_for(lambda: task_service(process)['Health'] == 'Critical')


def test_a_burst_leaves_no_descriptors(gunicorn):
    """Neither of ours nor of the emulator's own state."""
    url = gunicorn.collection(FAKE_UUID)
    gunicorn.create(FAKE_UUID, Name='a')
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        found = list(
            pool.map(
                lambda _: requests.get(url, timeout=60).status_code, range(400)
            )
        )

    assert set(found) == {200}
    wait_for(lambda: most_descriptors(gunicorn) < 80)


def most_descriptors(process):
    """Of the processes of a WSGI server, how many one has open."""
    children = pathlib.Path(
        f'/proc/{process.process.pid}/task/{process.process.pid}/children'
    )
    return max(
        len(list(pathlib.Path('/proc', pid, 'fd').iterdir()))
        for pid in children.read_text().split()
    )


def test_a_long_request_is_a_short_line(process):
    """However long a path is, the log has little of it."""
    process.start()
    requests.get(f'{process.url}/redfish/v1/{"x" * 50_000}', timeout=60)

    assert (process.folder / 'log').stat().st_size < 5000


def test_a_malformed_request_is_one_line(process):
    """Such as that of a client that speaks TLS, or nothing at all."""
    process.start()
    for sent in (b'BAD\r\n\r\n', b'\x16\x03\x01\x02\x00\x01\r\n\r\n'):
        with socket.create_connection(('127.0.0.1', process.port)) as client:
            client.sendall(sent)
            client.settimeout(10)
            while client.recv(1000):
                pass

    assert 'code 400' in process.log()
    assert 'Traceback' not in process.log()
