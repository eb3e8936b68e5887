# SPDX-License-Identifier: Apache-2.0
"""
What a hostile client, or an unlucky one, does to an emulator of its own.

Whatever one client does, the service goes on for the others.
"""

import contextlib
import pathlib
import resource
import socket

import pytest

from tests.served import FAKE_UUID, Served
from tests.waiting import holds_for, wait_for


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
    assert holds_for(lambda: not is_ready(second, 'abcd'), 3)
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
