# SPDX-License-Identifier: Apache-2.0
"""Locks between processes, with a real second process."""

import contextlib
import subprocess
import sys
import threading
import time

import pytest

from hawkfish_plugin import exceptions, locks, rooms
from tests.waiting import patience, wait_for

HOLD_SYSTEM = """
import pathlib, sys
from hawkfish_plugin import locks
with locks.Locks(pathlib.Path(sys.argv[1])).system(sys.argv[2], 5):
    print('held', flush=True)
    sys.stdin.read()
"""
HOLD_DECISION = HOLD_SYSTEM.replace(
    'system(sys.argv[2], 5)', 'deciding(sys.argv[2])'
)
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


# Decisions ----------------------------------------------------------------


def few_threads(threads=8):
    found = rooms.Rooms(threads)
    found.bound(True)
    return found


def test_decisions_leave_threads_to_others(tmp_path, monkeypatch):
    """Half of them wait until it is their turn, the others for a moment."""
    monkeypatch.setattr(locks, '_BRIEF_SECONDS', 0.1)
    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', patience())
    lock_files, ends = locks.Locks(tmp_path, few_threads()), []

    def decide():
        try:
            with lock_files.deciding('a'):
                ends.append('decided')
        except exceptions.SystemLocked:
            ends.append('refused')

    with lock_files.deciding('a'):
        threads = [threading.Thread(target=decide) for _ in range(7)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(ends) == 3)
        assert ends == ['refused'] * 3
    for thread in threads:
        thread.join()

    assert ends[3:] == ['decided'] * 4


def test_a_few_decide_in_turn_without_a_place(tmp_path):
    """Those that come at once are all served, with any number of threads."""
    lock_files, decided = locks.Locks(tmp_path, few_threads(1)), []

    def decide():
        with lock_files.deciding('a'):
            decided.append(1)

    with lock_files.deciding('a'):
        threads = [threading.Thread(target=decide) for _ in range(8)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()

    assert len(decided) == 8


@pytest.mark.parametrize('threads', [8, 32])
def test_one_thread_of_eight_waits_for_nothing(threads):
    """Whatever the others wait for."""
    full = few_threads(threads)
    kinds = (full.decisions, full.locks, full.downloads, full.streams)

    taken = sum(room.enter() for room in kinds for _ in range(threads))

    assert taken == threads * 7 // 8
    full.streams.leave()
    assert full.streams.enter()


class Clock:
    """A clock that goes on when somebody sleeps; *at* a time, calls *then*."""

    def __init__(self, at, then):
        self.now, self._at, self._then = 0.0, at, then

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        if self.now >= self._at:
            self._then()


def test_all_members_of_a_group_have_one_deadline(tmp_path, monkeypatch):
    """A group does not wait as many times as it has members."""
    others = locks.Locks(tmp_path)
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        for stack, uuid in ((first, 'a'), (second, 'b')):
            stack.enter_context(holder(HOLD_DECISION, tmp_path, uuid))
        clock = Clock(10, first.close)
        monkeypatch.setattr(locks, 'time', clock)
        with pytest.raises(exceptions.SystemLocked):
            with others.deciding('b', 'a'):
                pass

    assert 15 <= clock.now < 16
