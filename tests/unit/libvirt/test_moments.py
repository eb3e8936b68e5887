# SPDX-License-Identifier: Apache-2.0
"""Which look will do for who decides."""

import threading
import time

import pytest

from hawkfish_plugin.drivers.libvirt import moments as module
from hawkfish_plugin.drivers.libvirt.moments import Moments


def test_outside_of_a_decision_all_is_looked_at_anew():
    before = time.monotonic()

    assert Moments().since >= before


def test_one_look_will_do_for_a_decision():
    """What is asked later may be answered by what was asked first."""
    moments = Moments()
    with moments.at_one_time():
        begun = time.monotonic()

        assert moments.since <= begun


def test_what_was_changed_is_looked_at_anew():
    """By whatever part of the decision it was changed."""
    moments = Moments()
    with moments.at_one_time():
        with moments.at_one_time():
            changed = time.monotonic()
            moments.changing()
        assert moments.since >= changed


def test_a_part_of_a_decision_is_one_of_its_own():
    moments = Moments()
    with moments.at_one_time():
        begun = time.monotonic()
        with moments.at_one_time():
            assert moments.since >= begun
        assert moments.since <= begun


def test_another_thread_decides_for_itself():
    moments, since = Moments(), list[float]()
    with moments.at_one_time():
        begun = time.monotonic()
        thread = threading.Thread(target=lambda: since.append(moments.since))
        thread.start()
        thread.join()

    assert since[0] >= begun


def asked(moments, question='q', of_files=False):
    """Whether *question* is asked, and not answered by an earlier answer."""
    called = []
    moments.once(question, lambda: called.append(1), of_files)
    return bool(called)


def test_a_question_is_asked_once_in_a_decision():
    """Outside of one, each time."""
    moments = Moments()
    assert asked(moments)
    with moments.at_one_time():
        assert asked(moments)
        assert not asked(moments)
        assert asked(moments, 'another')
    with moments.at_one_time():
        assert asked(moments)


def test_after_a_change_each_question_is_asked():
    """Who has changed something waits for what comes of it."""
    moments = Moments()
    with moments.at_one_time():
        asked(moments)
        moments.changing()
        assert asked(moments)
        assert asked(moments)
        with moments.within():
            assert asked(moments)
            assert not asked(moments)


def test_a_part_of_a_decision():
    moments = Moments()
    with moments.at_one_time():
        asked(moments)
        with moments.within():
            assert not asked(moments)
        with moments.at_one_time():
            assert asked(moments)


def test_what_a_part_has_asked_is_known_from_then_on():
    """It is newer than what was asked before it began."""
    moments = Moments()
    with moments.at_one_time():
        assert moments.once('q', lambda: 'before') == 'before'
        with moments.at_one_time():
            moments.once('q', lambda: 'within')
            asked(moments, 'file', of_files=True)
        assert moments.once('q', lambda: 'after') == 'within'
        assert not asked(moments, 'file', of_files=True)


def test_what_a_part_has_asked_before_it_changed_something():
    moments = Moments()
    with moments.at_one_time():
        with moments.at_one_time():
            asked(moments)
            moments.changing()
        assert asked(moments)


def test_what_was_told_beside_an_answer(monkeypatch):
    """For as long as an answer, from the time when that was asked for."""
    moments, now = Moments(), time.monotonic()
    moments.note('folder', 'outside', now)
    with moments.at_one_time():
        assert moments.noted('folder', str) is None
        moments.note('folder', 'told', time.monotonic())
        assert moments.noted('folder', str) == 'told'
        assert moments.noted('folder', int) is None
        moments.note('folder', 'before it began', now)
        assert moments.noted('folder', str) is None
        moments.note('folder', 'told', time.monotonic())
        monkeypatch.setattr(module, '_ANSWER_SECONDS', 0.0)
        assert moments.noted('folder', str) is None


@pytest.mark.parametrize('elsewhere', [False, True])
def test_what_was_told_before_a_change(elsewhere):
    """By whatever thread the change is made."""
    moments = Moments()
    with moments.at_one_time():
        moments.note('folder', 'told', time.monotonic())
        if elsewhere:
            by_another_thread(moments.changing)
        else:
            moments.changing()
        assert moments.noted('folder', str) is None


def decide(moments, change=lambda: None):
    """A request about the system 'a', after which *change* is made."""
    with moments.at_one_time('a'):
        asked(moments, 'state')
        asked(moments, 'file', of_files=True)
    change()


def test_a_task_takes_over_what_its_request_has_seen_of_files():
    """And nothing else; nor does any other task, or the next one."""
    moments = Moments()
    decide(moments)
    with moments.carrying_out('b'):
        assert asked(moments, 'file', of_files=True)
    with moments.carrying_out('a'):
        assert not asked(moments, 'file', of_files=True)
        assert asked(moments, 'state')
    with moments.carrying_out('a'):
        assert asked(moments, 'file', of_files=True)


def test_a_task_whose_request_was_refused():
    moments = Moments()
    with pytest.raises(ValueError, match='no'), moments.at_one_time('a'):
        asked(moments, 'file', of_files=True)
        raise ValueError('no')
    with moments.carrying_out('a'):
        assert asked(moments, 'file', of_files=True)


def by_another_thread(change):
    thread = threading.Thread(target=change)
    thread.start()
    thread.join()


def test_what_another_thread_changes_in_the_middle():
    """As a sub-task that makes room: what is asked is asked anew, once."""
    moments = Moments()
    with moments.at_one_time():
        asked(moments)
        before = moments.since
        by_another_thread(moments.changing)

        assert moments.since > before
        assert asked(moments)
        assert not asked(moments)


def test_an_answer_is_soon_old(monkeypatch):
    moments = Moments()
    monkeypatch.setattr(module, '_ANSWER_SECONDS', 0.0)
    with moments.at_one_time():
        asked(moments)
        assert asked(moments)


def test_what_no_task_takes_over_is_forgotten(monkeypatch):
    """At the latest when the next one decides."""
    moments = Moments()
    monkeypatch.setattr(module, '_ANSWER_SECONDS', 0.0)
    for number in range(10):
        with moments.at_one_time(f'system-{number}'):
            pass

    assert [*moments._handed] == ['system-9']


def test_a_task_before_which_another_thread_has_changed_something():
    moments = Moments()

    def change():
        by_another_thread(moments.changing)

    decide(moments, change)
    with moments.carrying_out('a'):
        assert asked(moments, 'file', of_files=True)


def test_a_task_that_comes_later(monkeypatch):
    moments = Moments()
    monkeypatch.setattr(module, '_ANSWER_SECONDS', 0.0)
    decide(moments)
    with moments.carrying_out('a'):
        assert asked(moments, 'file', of_files=True)
