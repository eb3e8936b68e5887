# SPDX-License-Identifier: Apache-2.0
"""
An emulator of the last release dies, and one of this release takes over.

Its code comes from the history of the project; without one nothing is tried
here.  What it has left, at every step of every operation, is settled.
"""

import io
import pathlib
import subprocess
import tarfile

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.served import ACTIVATE, Served, message_ids

ROOT = pathlib.Path(__file__).parents[2]
LAST_RELEASE = 'd3fd1e9dbbdef3b1d71199504dbea6ac91cc2cdc'

# Dies after a step of an operation, once "base" is there.
DIE = """
import os as _os
from hawkfish_plugin import tasks as _tasks

def _step(self, name, durable=True, _step=_tasks.Job.step, **facts):
    _step(self, name, durable, **facts)
    if self.task.snapshot != 'base' or self.task.operation != 'create':
        if (self.task.operation, name) == {moment!r}:
            _os.kill(_os.getpid(), 9)

_tasks.Job.step = _step
"""

MOMENTS = [
    ('create', 'prepare'),
    ('create', 'freeze'),
    ('create', 'capture'),
    ('create', 'finish'),
    ('revert', 'prepare'),
    ('revert', 'revert'),
    ('revert', 'finish'),
    ('revert', 'start'),
    ('delete', 'prepare'),
    ('delete', 'merge'),
    ('delete', 'finish'),
    ('purge', 'merge'),
]


@pytest.fixture(scope='session')
def last_release(tmp_path_factory):
    """A folder with the package of the last release."""
    done = subprocess.run(
        ['git', 'archive', LAST_RELEASE, 'hawkfish_plugin'],
        cwd=ROOT,
        capture_output=True,
    )
    if done.returncode:
        pytest.skip('the history of the project is not here')
    folder = tmp_path_factory.mktemp('last-release')
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter='data')
    return folder


def start_system(make_system, step):
    """A running one; its file systems are frozen where a guest is in it."""
    if step != 'freeze':
        system = make_system(**SMALL)
        system.domain.create()
        return system
    system = make_system().boot()
    system.guest.wait_agent()
    return system


def begin(emulator, system, operation):
    if operation == 'create':
        return emulator.post_create(system.uuid, Name='new')
    if operation == 'revert':
        return emulator.post_revert(system.uuid, 'base')
    if operation == 'delete':
        return emulator.send_delete(system.uuid, 'base')
    purge = '/Actions/HawkFishSnapshotCollection.Purge'
    return requests.post(emulator.collection(system.uuid) + purge, timeout=60)


@pytest.mark.parametrize('operation, step', MOMENTS)
def test_what_the_last_release_left_is_settled(
    folder, host, make_system, last_release, operation, step
):
    """The task ends with the truth, and no file is orphaned."""
    system = start_system(make_system, step)
    old = Served(
        folder,
        host.uri,
        preamble=ACTIVATE + DIE.format(moment=(operation, step)),
        PYTHONPATH=str(last_release),
    ).start()
    try:
        old.create(system.uuid, Name='base')
        accepted = begin(old, system, operation)
        old.wait_dead()
    finally:
        old.stop()
    new = Emulator(folder, host.uri).start()
    try:
        ended = new.watch(accepted.headers['Location'])
        found = {s['Name']: s for s in new.snapshots(system.uuid)}

        assert {s['SnapshotState'] for s in found.values()} <= {'Ready'}
        if operation == 'create':
            assert ('new' in found) is ended.ok
        if operation in ('delete', 'purge'):
            assert ended.ok, ended.text
            assert not found
        if not ended.ok:
            assert set(message_ids(ended)) & {
                'OperationInterrupted',
                'RevertUndone',
                'RevertUnknown',
            }
        # It can be worked with.
        new.create(system.uuid, Name='later')
        new.revert(system.uuid, 'later')
        assert system.orphans() == []
    finally:
        new.stop()
