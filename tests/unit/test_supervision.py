# SPDX-License-Identifier: Apache-2.0
"""No thread of ours ends but on purpose."""

import threading

import pytest

from hawkfish_plugin import exceptions, supervision
from tests.waiting import wait_for


@pytest.fixture
def supervisor(monkeypatch):
    monkeypatch.setattr(supervision, 'RETRY_SECONDS', 0.01)
    return supervision.Supervisor()


@pytest.mark.parametrize(
    'error',
    [
        OSError(24, 'Too many open files'),
        RuntimeError('not foreseen'),
        SystemExit(1),
        MemoryError(),
        exceptions.StateUnavailable('folder', 'full'),
    ],
)
def test_whatever_is_raised_is_tried_again(supervisor, error):
    """A thread goes on, and what fails is known until it works."""
    go_on, done = threading.Event(), threading.Event()

    def step():
        if not go_on.is_set():
            raise error
        done.wait(0.01)
        done.set()

    over = threading.Event()
    supervisor.repeat('some', step, over)
    wait_for(supervisor.failing)
    _, why = supervisor.failing()['some']
    go_on.set()

    assert done.wait(20)
    assert why
    wait_for(lambda: not supervisor.failing())
    over.set()
    wait_for(lambda: not supervisor.alive('some'))


def test_a_thread_ends_on_purpose(supervisor):
    """A step says when there is nothing more to do."""
    times = []

    def step():
        times.append(1)
        if len(times) == 3:
            raise supervision.Finished

    supervisor.repeat('some', step)

    wait_for(lambda: not supervisor.alive('some'))
    assert len(times) == 3


def test_there_is_one_thread_of_a_name(supervisor):
    """Whoever asks for a thread again has it already."""
    over, threads = threading.Event(), set()

    def step():
        threads.add(threading.current_thread())
        over.wait(0.01)

    for _ in range(5):
        supervisor.repeat('some', step, over)
    wait_for(lambda: threads)
    over.set()

    assert len(threads) == 1


def test_what_goes_on_failing_fills_no_log(supervisor, caplog):
    """The same failure is logged once a minute, not each time."""
    times, over = [], threading.Event()

    def step():
        times.append(1)
        raise exceptions.StateUnavailable('folder', 'full')

    supervisor.repeat('some', step, over)
    wait_for(lambda: len(times) > 10)
    over.set()

    assert len([r for r in caplog.records if 'full' in r.message]) == 1
