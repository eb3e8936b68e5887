# SPDX-License-Identifier: Apache-2.0
"""The state database is lost, broken or shared; no snapshot is."""

import concurrent.futures
import contextlib
import sqlite3

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.lab import layers
from tests.served import message_ids

pytestmark = pytest.mark.once


@pytest.fixture
def system(make_system):
    return make_system(**SMALL)


def database(emulator):
    return next((emulator.folder / 'state').glob('*/hawkfish.sqlite'))


def remove(path):
    for file in path.parent.glob('hawkfish.sqlite*'):
        file.unlink()


def test_a_lost_database(served, system):
    """Snapshots are listed, reverted to and deleted without their notes."""
    served.create(system.uuid, Name='s')
    served.stop()
    remove(database(served))
    served.start()

    assert [s['Name'] for s in served.snapshots(system.uuid)] == ['s']
    served.revert(system.uuid, 's')
    served.delete(system.uuid, 's')
    assert system.leftovers() == []


def corrupt(path):
    remove(path)
    path.write_bytes(b'this is no database ' * 1000)


def age(path):
    """Let a release of the future have written it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('PRAGMA user_version = 999')


@pytest.mark.parametrize(
    'damage, key', [(corrupt, 'StateUnavailable'), (age, 'StateTooNew')]
)
def test_a_database_that_cannot_be_used(served, system, damage, key):
    """It is told and left as it is; the emulator itself is served."""
    served.create(system.uuid, Name='s')
    served.stop()
    damage(database(served))
    content = database(served).read_bytes()
    served.start()

    refused = served.post_create(system.uuid, Name='t')

    assert refused.status_code == 503
    assert message_ids(refused) == [key]
    assert requests.get(served.system(system.uuid)).status_code == 200
    assert database(served).read_bytes() == content
    assert system.domain.snapshotListNames() == ['s']


@pytest.fixture
def state(folder):
    """A state folder on a small file system of its own."""
    made = folder / 'state'
    made.mkdir()
    layers.mount_tmpfs(made, 16)
    yield made
    layers.call('umount', made)


def check_told(emulator, system):
    refused = emulator.post_create(system.uuid, Name='t')
    assert refused.status_code == 503
    assert message_ids(refused) == ['StateUnavailable']
    assert system.domain.snapshotListNames() == ['s']
    assert requests.get(emulator.system(system.uuid)).status_code == 200


def test_a_read_only_state_folder(state, served, system):
    """Nothing is begun of which no note can be kept."""
    served.create(system.uuid, Name='s')
    served.stop()
    layers.call('mount', '-o', 'remount,ro', state)
    served.start()

    check_told(served, system)

    layers.call('mount', '-o', 'remount,rw', state)
    assert served.create(system.uuid, Name='t')['Name'] == 't'
    served.stop()


def test_a_full_state_folder(state, served, system):
    """Without room for a note nothing is begun; with room all goes on."""
    served.create(system.uuid, Name='s')
    ballast = state / 'ballast'
    with contextlib.suppress(OSError), ballast.open('wb', 0) as file:
        while True:
            file.write(b'x' * 4096)

    check_told(served, system)

    ballast.unlink()
    assert served.create(system.uuid, Name='t')['Name'] == 't'
    served.stop()


def test_two_emulators_on_one_folder(served, folder, host, system):
    """One works, both serve; when it dies the other goes on with its work."""
    second = folder / 'second'
    second.mkdir()
    other = Emulator(
        second, host.uri, OS_HAWKFISH__STATE_DIR=str(folder / 'state')
    )
    other.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda n: (served, other)[n % 2].create(
                        system.uuid, Name=f's{n}'
                    ),
                    range(8),
                )
            )
        names = {s['Name'] for s in other.snapshots(system.uuid)}
        assert names == {f's{n}' for n in range(8)}
        served.order('after', 'create', 'capture')
        monitor = other.post_create(system.uuid, Name='x').headers['Location']
        served.wait_dead()

        ended = other.watch(monitor)

        assert ('x' in system.domain.snapshotListNames()) is ended.ok
        assert other.create(system.uuid, Name='y')['Name'] == 'y'
    finally:
        other.stop()
