# SPDX-License-Identifier: Apache-2.0
"""
Sub-tasks that meet, on a real database.

Each part is told by its test when to come to a point, to end, or to fail.
"""

import threading

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.contract import Meeting
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import SubTask
from hawkfish_plugin.tasks.operation import Operation, Operations
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from hawkfish_plugin.tasks.task import (
    CANCELLED,
    COMPLETED,
    EXCEPTION,
    Subject,
)
from tests.unit.tasks.tables import A, B, Facts, Table, ended
from tests.unit.tasks.test_sub_tasks import Part
from tests.waiting import wait_for

FLUSHED, PAUSED = Meeting.FLUSHED, Meeting.PAUSED
PATIENCE = 60.0
MISSED = 'HawkFish.1.0.MeetingMissed'


class Lab(Operation):
    """A part for *subjects* each, which *meet*."""

    name, title, cancellable = 'lab', 'Lab', True

    def __init__(self, part, subjects, meet=True):
        self._part, self._subjects, self._meet = part, subjects, meet

    def run(self, context):
        context.step('parts', Facts())
        ends = context.run_sub_tasks(
            [SubTask(self._part, [s], Record()) for s in self._subjects],
            meet=self._meet,
        )
        if context.cancelled:
            raise exceptions.OperationCancelled(self.name)
        return {'states': [end.state for end in ends]}

    settle = run


class Parts:
    """What the part of each system does: *scripts*, by the system's name."""

    def __init__(self, folder, settle=None, **scripts):
        self._scripts = scripts
        self.passed = []
        self.waiting = threading.Semaphore(0)
        self.go = threading.Event()
        part = Part(self._run, settle or self._run)
        self.table = Table(folder)
        self.lab = Lab(part, [Subject(A, 's'), Subject(B, 's')])
        self.table.start(Operations(part, self.lab))

    def _run(self, context):
        context.step('work', Facts())
        name = context.task.one_system.name
        for act in self._scripts[name]:
            if isinstance(act, Meeting):
                self.waiting.release()
                context.meet(act)
                self.passed.append((name, act))
            else:
                act()
        return {}

    def wait(self):
        assert self.go.wait(PATIENCE)

    def submit(self):
        subjects = Subject(A), Subject(B)
        return self.table.submit(self.lab, subjects, Record(), {})

    def end(self):
        """The states of the parts when all is over, and their errors."""
        task = self.submit()
        ended(self.table, task)
        return self.ends(task)

    def ends(self, task):
        parts = self.table.sub_tasks(task.id)
        return [
            (p.state, p.error['messages'][0] if p.error else None)
            for p in parts
        ]


def fail():
    raise exceptions.OperationFailed('part', 'the disk is full')


def test_nobody_passes_before_all_are_there(tmp_path):
    """And then all do."""
    order = []
    parts = Parts(
        tmp_path,
        a=[FLUSHED, lambda: order.append('after')],
        b=[
            lambda: parts.waiting.acquire(timeout=PATIENCE),
            lambda: order.append('before'),
            FLUSHED,
        ],
    )

    assert [state for state, _ in parts.end()] == 2 * [COMPLETED]
    assert order == ['before', 'after']


@pytest.mark.parametrize('how', [[], [fail], [FLUSHED, fail]])
def test_who_ends_before_lets_the_others_give_up(tmp_path, how):
    """At once, saying who and where; that goes for later points as well."""
    parts = Parts(tmp_path, a=[FLUSHED, PAUSED], b=how)

    (state, error), _ = parts.end()

    point = 'paused' if FLUSHED in how else 'flushed'
    assert state == EXCEPTION
    assert error == [MISSED, ['b', point, 'ended before that']]


def test_who_fails_later_holds_up_nobody(tmp_path):
    """What has been passed by all is passed."""
    parts = Parts(tmp_path, a=[FLUSHED], b=[FLUSHED, fail])

    assert [state for state, _ in parts.end()] == [COMPLETED, EXCEPTION]


def test_who_skips_a_point_has_passed_it(tmp_path):
    """It is at a later one, and nothing of it is before the other."""
    parts = Parts(tmp_path, a=[FLUSHED, PAUSED], b=[PAUSED])

    assert [state for state, _ in parts.end()] == 2 * [COMPLETED]


def test_a_cancel_ends_the_wait(tmp_path):
    """Of the parent: all who wait are cancelled, and undo."""
    parts = Parts(tmp_path, a=[FLUSHED], b=[lambda: parts.wait(), FLUSHED])
    task = parts.submit()
    assert parts.waiting.acquire(timeout=PATIENCE)

    parts.table.cancel(task.id)
    first = wait_for(lambda: parts.ends(task)[0][0] == CANCELLED)
    parts.go.set()
    ended(parts.table, task)

    assert first
    assert parts.ends(task)[0][0] == CANCELLED
    assert parts.passed == []


def test_who_is_abandoned_is_not_waited_for(tmp_path):
    """Nobody knows whether its thread ever comes back."""
    parts = Parts(tmp_path, a=[FLUSHED], b=[lambda: parts.wait(), FLUSHED])
    task = parts.submit()
    assert parts.waiting.acquire(timeout=PATIENCE)
    other = parts.table.sub_tasks(task.id)[1]
    parts.table.abandon(other.id, Operations(Part(None, None)))

    wait_for(lambda: parts.ends(task)[0][0] == EXCEPTION)
    parts.go.set()

    assert parts.ends(task)[0][1][0] == MISSED
    ended(parts.table, task)


def test_who_waits_for_its_hypervisor_is_not_waited_for(tmp_path):
    """The others are to undo at once, not when it is back."""
    gone = exceptions.HypervisorUnavailable('qemu:///system', 'gone')

    def lose():
        raise gone

    def settle(context):
        if not parts.go.is_set():
            raise gone
        context.meet(FLUSHED)
        return {}

    parts = Parts(tmp_path, settle=settle, a=[FLUSHED], b=[lose])
    task = parts.submit()

    wait_for(lambda: [s for s, _ in parts.ends(task)][:1] == [EXCEPTION])
    state = parts.ends(task)[1][0]
    parts.go.set()
    ended(parts.table, task)

    assert state == 'Running'
    assert parts.ends(task)[1][0] == COMPLETED


def test_parts_that_do_not_meet_wait_for_nobody(tmp_path):
    """As for a task that is no part."""
    parts = Parts(tmp_path, a=[FLUSHED], b=[fail])
    parts.lab._meet = False

    assert [state for state, _ in parts.end()] == [COMPLETED, EXCEPTION]


def test_who_meets_is_one_of_each_system(tmp_path):
    """The other would wait for its end, and it for the other."""
    parts = Parts(tmp_path, a=[FLUSHED], b=[FLUSHED])
    parts.lab._subjects = [Subject(A, 's'), Subject(A, 't')]

    task = ended(parts.table, parts.submit())

    assert task.state == EXCEPTION
    assert not parts.table.has_sub_tasks()


def test_nobody_waits_for_ever():
    """Nor does who comes too late pass a point that another gave up at."""
    place = Rendezvous({1: 'a', 2: 'b'})

    with pytest.raises(exceptions.MeetingMissed) as late:
        place.meet(1, PAUSED, 0.0, lambda: None)
    with pytest.raises(exceptions.MeetingMissed) as other:
        place.meet(2, PAUSED, PATIENCE, lambda: None)

    assert late.value.args == ('b', 'paused', 'not within 0 seconds')
    assert other.value.args == ('a', 'paused', 'ended before that')


def test_who_gave_up_for_another_one_is_not_waited_for():
    """Only the one that began it is named."""
    place = Rendezvous({1: 'a', 2: 'b', 3: 'c'})
    place.leave(3)

    for member in (1, 2):
        with pytest.raises(exceptions.MeetingMissed) as missed:
            place.meet(member, PAUSED, PATIENCE, lambda: None)
        assert missed.value.args == ('c', 'paused', 'ended before that')


def test_all_pass_or_none():
    """Who gives up when all are there passes with them."""
    place = Rendezvous({1: 'a', 2: 'b'})

    def cancel():
        place.meet(2, PAUSED, PATIENCE, lambda: None)
        raise exceptions.OperationCancelled('create')

    place.meet(1, PAUSED, PATIENCE, cancel)
