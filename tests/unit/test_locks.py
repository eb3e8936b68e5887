# SPDX-License-Identifier: Apache-2.0
"""Locks between processes, with a real second process."""

import contextlib
import subprocess
import sys
import threading
import time

import pytest

from hawkfish_plugin import exceptions, locks

HOLD_SYSTEM = """
import pathlib, sys
from hawkfish_plugin import locks
with locks.Locks(pathlib.Path(sys.argv[1])).system(sys.argv[2], 5):
    print('held', flush=True)
    sys.stdin.read()
"""
HOLD_WORKERS = """
import pathlib, sys
from hawkfish_plugin import locks
with locks.Locks(pathlib.Path(sys.argv[1])).own_workers():
    print('held', flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(script, *args):
    """A process that holds a lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, '-c', script, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == 'held\n'
        yield process
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def take(folder, system='a', timeout=0.0):
    with locks.Locks(folder).system(system, timeout):
        return True


def test_a_system_is_held_by_one_process(tmp_path):
    """While one process holds a system no other gets it."""
    with holder(HOLD_SYSTEM, tmp_path, 'a'):
        with pytest.raises(exceptions.SystemLocked) as raised:
            take(tmp_path)

    assert raised.value.args == ('a', '0')


def test_systems_do_not_wait_for_each_other(tmp_path):
    """The lock of one system is not in the way of another's."""
    with holder(HOLD_SYSTEM, tmp_path, 'a'):
        assert take(tmp_path, 'b')


def test_a_lock_is_waited_for_as_long_as_asked(tmp_path):
    """The error comes when the time is over: not before, not much later."""
    with holder(HOLD_SYSTEM, tmp_path, 'a'):
        begin = time.monotonic()
        with pytest.raises(exceptions.SystemLocked):
            take(tmp_path, timeout=0.5)
        waited = time.monotonic() - begin

    assert 0.5 <= waited < 5


def test_a_lock_that_is_released_in_time_is_taken(tmp_path):
    """Who waits gets the lock when its holder is done."""
    with holder(HOLD_SYSTEM, tmp_path, 'a') as process:
        threading.Timer(0.3, process.stdin.close).start()

        assert take(tmp_path, timeout=20)


def test_threads_exclude_each_other_too(tmp_path):
    """Two threads of one process are two holders."""
    both = locks.Locks(tmp_path)

    with both.system('a', 0), pytest.raises(exceptions.SystemLocked):
        with both.system('a', 0):
            pass


@pytest.mark.parametrize('error', [None, RuntimeError])
def test_a_lock_ends_with_its_block(tmp_path, error):
    """The lock is free again after the block, also after an error in it."""
    with contextlib.suppress(RuntimeError):
        with locks.Locks(tmp_path).system('a', 0):
            if error:
                raise error

    assert take(tmp_path)


def test_a_killed_holder_leaves_no_lock(tmp_path):
    """The kernel takes the lock from a process that is killed."""
    with holder(HOLD_SYSTEM, tmp_path, 'a') as process:
        process.kill()
        process.wait()

        assert take(tmp_path, timeout=5)


def test_one_process_owns_the_workers_until_it_dies(tmp_path):
    """The next in line owns the workers once their owner is killed."""
    owned = threading.Event()

    def own():
        with locks.Locks(tmp_path).own_workers():
            owned.set()

    with holder(HOLD_WORKERS, tmp_path) as process:
        threading.Thread(target=own, daemon=True).start()

        assert not owned.wait(0.3)
        process.kill()
        assert owned.wait(20)
