# SPDX-License-Identifier: Apache-2.0
"""Calls that do not return cost one thread each, and nobody else's time."""

import threading

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import deadlines as module
from hawkfish_plugin.drivers.libvirt.deadlines import Deadlines
from tests.waiting import wait_for

PATIENCE = 60.0


@pytest.fixture
def go():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def connection():
    return object()


@pytest.fixture
def deadlines(go, connection):
    """Of which the call about "sick" has missed its deadline."""
    made = Deadlines(0.05, PATIENCE)
    with pytest.raises(exceptions.NotAnswering) as caught:
        made.ask(connection, 'sick', lambda: go.wait(PATIENCE))
    assert caught.value.args[0] == 'sick'
    return made


def calls():
    return [t for t in threading.enumerate() if t.name == 'hawkfish-call']


def test_an_answer_in_time(connection):
    """The answer, or the error, of a call is its caller's."""
    deadlines = Deadlines(PATIENCE, PATIENCE)

    assert deadlines.ask(connection, 'well', lambda: 1) == 1
    with pytest.raises(KeyError):
        deadlines.ask(connection, 'well', lambda: {}['missing'])


def test_a_call_that_may_take_longer(connection, go):
    """It has its own seconds besides those that all have."""
    deadlines = Deadlines(0.05, 0.05)
    threading.Timer(0.3, go.set).start()

    assert deadlines.ask(
        connection, 'slow', lambda: go.wait(PATIENCE), PATIENCE
    )


def test_a_sick_thing_costs_one_thread(deadlines, connection):
    """Whoever asks about it again is told at once, and nothing is called."""
    wait_for(lambda: len(calls()) == 1, 'others to have ended')
    for _ in range(5):
        with pytest.raises(exceptions.NotAnswering):
            deadlines.ask(connection, 'sick', lambda: pytest.fail('called'))

    assert len(calls()) == 1


def test_others_go_on(deadlines, connection):
    """What does not answer is no matter of anything else."""
    assert deadlines.ask(connection, 'well', lambda: 1) == 1


def test_who_waits_behind_it_is_told_why(go, connection):
    """The error of what had to wait names what is sick."""
    deadlines = Deadlines(0.05, 0.05)
    for thing in ('sick', 'behind'):
        with pytest.raises(exceptions.NotAnswering) as caught:
            deadlines.ask(connection, thing, lambda: go.wait(PATIENCE))
        assert caught.value.args[0] == 'sick'


def test_it_answers_again(deadlines, connection, go):
    """When the call has returned the next one is made."""
    assert deadlines.is_used(connection)
    go.set()
    wait_for(lambda: not deadlines.is_used(connection))

    assert deadlines.ask(connection, 'sick', lambda: 1) == 1


def test_calls_take_turns(connection, go):
    """Two about one thing are not made at once."""
    deadlines, begun = Deadlines(PATIENCE, PATIENCE), []

    def call():
        begun.append(threading.current_thread())
        return go.wait(PATIENCE)

    threads = [
        threading.Thread(target=deadlines.ask, args=(connection, 'well', call))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: begun)
    wait_for(lambda: len(calls()) == 1, 'others to have ended')
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(begun) == 2


def test_a_thread_that_is_idle_has_the_next_call(connection):
    deadlines, used = Deadlines(PATIENCE, PATIENCE), set()
    for _ in range(10):
        used.add(deadlines.ask(connection, 'well', threading.get_ident))
        # It is idle right after its caller has the answer.
        wait_for(lambda: deadlines._callers._idle, 'an idle thread')

    assert len(used) == 1


def test_a_thread_that_is_idle_for_long_ends(connection, monkeypatch):
    monkeypatch.setattr(module, '_IDLE_SECONDS', 0.01)
    deadlines = Deadlines(PATIENCE, PATIENCE)
    thread = deadlines.ask(connection, 'well', threading.current_thread)
    wait_for(lambda: not thread.is_alive(), 'its end')

    assert deadlines.ask(connection, 'well', lambda: 1) == 1


def test_no_thread_can_be_had(connection, monkeypatch):
    """Whoever asks about the same thing next may have one."""
    deadlines = Deadlines(PATIENCE, PATIENCE)

    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, 'start', start)
        with pytest.raises(RuntimeError):
            deadlines.ask(connection, 'well', lambda: 1)
    assert deadlines.ask(connection, 'well', lambda: 1) == 1
