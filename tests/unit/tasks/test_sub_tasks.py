# SPDX-License-Identifier: Apache-2.0
"""
Sub-tasks, with operations made for them on a real database.

The parent is an operation of several systems, with a part for each of them.
"""

import os
import signal
import subprocess
import sys

import pytest

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import SubTask
from hawkfish_plugin.tasks.operation import Lock, Operation, Operations
from hawkfish_plugin.tasks.task import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    EXCEPTION,
    NEW,
    RUNNING,
    Subject,
)
from tests.unit.tasks.tables import A, B, Facts, Table, ended
from tests.waiting import wait_for

PATIENCE = 60.0

# Works as the owner of the state in argv[1] until it is killed.
OWNER = """
import pathlib, sys, threading
from tests.unit.tasks import tables, test_sub_tasks

def run(context):
    context.step('half', tables.Facts())
    # At once, as two may say it.
    print('half\\n', end='', flush=True)
    threading.Event().wait()

table = tables.Table(pathlib.Path(sys.argv[1]))
parts = [tables.Subject(tables.A, 's'),
         tables.Subject(tables.B, 's'),
         tables.Subject(tables.A, 't')]
part = test_sub_tasks.Part(run, run)
table.start(test_sub_tasks.Operations(
    part, test_sub_tasks.Group(part, parts)))
threading.Event().wait()
"""


class Part(Operation):
    """What is done to one system; *run* and *settle* are the test's."""

    name, title, cancellable = 'part', '{snapshot}', True

    def __init__(self, run, settle, lock=Lock.EXCLUSIVE):
        self._run, self._settle, self.lock = run, settle, lock

    def run(self, context):
        return self._run(context)

    def settle(self, context):
        return self._settle(context)


class Group(Operation):
    """Has a sub-task for each of *subjects*; its end tells theirs."""

    name, title, cancellable = 'group', 'Group', True

    def __init__(self, part, subjects, lock=Lock.EXCLUSIVE):
        self._part, self._subjects, self.lock = part, subjects, lock
        self.settled = []

    def run(self, context):
        context.step('parts', Facts())
        ends = context.run_sub_tasks(
            [SubTask(self._part, [s], Record()) for s in self._subjects]
        )
        if context.cancelled:
            raise exceptions.OperationCancelled(self.name)
        return {'states': [end.state for end in ends]}

    def settle(self, context):
        self.settled += [
            (part.subjects[0].system, part.snapshot, part.state)
            for part in context.sub_tasks()
        ]
        return {}


class Other(Operation):
    """What is submitted beside a group."""

    name, title = 'other', '{snapshot}'

    def run(self, context):
        return {}

    settle = run


OTHER = Other()


class Eager(Group):
    """Begins with its sub-tasks before it has noted a step."""

    def run(self, context):
        context.run_sub_tasks([])
        return {}


def begun(work, count):
    for _ in range(count):
        assert work.begun.acquire(timeout=PATIENCE)


def start(folder, work, subjects, group=Group, lock=Lock.EXCLUSIVE):
    """A task table with workers, and the operation of a group."""
    part = Part(work.run, work.settle)
    made = group(part, subjects, lock)
    table = Table(folder)
    table.start(Operations(part, made))
    return table, made


def submit(table, operation, *subjects):
    return table.submit(operation, subjects, Record(), {})


def parts_of(table, task):
    """The sub-tasks, once there are any."""
    return wait_for(lambda: table.sub_tasks(task.id))


@pytest.mark.parametrize('lock', [Lock.EXCLUSIVE, Lock.SHARED])
def test_sub_tasks_work_within_the_locks_of_their_parent(
    tmp_path, configured, work, lock
):
    """All at once, on one worker, and before those that wait for it."""
    configured('OS_TASKS__WORKERS', '1')
    configured('OS_TASKS__QUEUE_LIMIT', '2')
    part = Part(work.run, work.settle, lock)
    table = Table(tmp_path)
    group = Group(part, [Subject(A, 's'), Subject(B, 's')], lock)
    # It is there before the sub-tasks are, and they do not wait for it.
    task = submit(table, group, Subject(A), Subject(B))
    waiting = submit(table, OTHER, Subject(A, 'later'))

    table.start(Operations(part, group, OTHER))
    begun(work, 2)
    states = [t.state for t in parts_of(table, task)]
    later = table.get(waiting.id).state
    work.go.set()

    assert (states, later) == ([RUNNING, RUNNING], NEW)
    assert ended(table, task).result == {'states': [COMPLETED, COMPLETED]}
    assert ended(table, waiting).started >= table.get(task.id).ended


def test_a_parent_may_wait_on_every_worker(tmp_path, configured, work):
    """No worker is needed for a sub-task to end, however deep it is."""
    configured('OS_TASKS__WORKERS', '1')
    work.go.set()
    part = Part(work.run, work.settle)
    inner = Group(part, [Subject(A, 's')])
    inner.name = 'inner'
    outer = Group(inner, [Subject(A)])
    table = Table(tmp_path)
    table.start(Operations(part, inner, outer))

    # The same subject as its part's, which is no rival of its parent.
    task = ended(table, submit(table, outer, Subject(A)))

    assert task.result == {'states': [COMPLETED]}


def test_sub_tasks_of_one_system_exclude_each_other(tmp_path, work):
    """They share what their parent has as other tasks share a system."""
    subjects = [Subject(A, 's'), Subject(A, 't'), Subject(B, 's')]
    table, group = start(tmp_path, work, subjects)
    task = submit(table, group, Subject(A), Subject(B))
    begun(work, 2)

    states = [part.state for part in parts_of(table, task)]
    work.go.set()

    assert states == [RUNNING, NEW, RUNNING]
    assert ended(table, task).result == {'states': 3 * [COMPLETED]}
    assert work.most == {A.uuid: 1, B.uuid: 1}


def test_a_cancel_of_the_parent_is_one_of_its_sub_tasks(tmp_path, work):
    """Those that run are asked to stop, and those that wait never run."""
    subjects = [Subject(A, 's'), Subject(A, 't')]
    table, group = start(tmp_path, work, subjects)
    task = submit(table, group, Subject(A))
    begun(work, 1)

    assert table.cancel(task.id).state == CANCELLING

    assert ended(table, task).state == CANCELLED
    assert [p.state for p in table.sub_tasks(task.id)] == 2 * [CANCELLED]
    assert work.order == ['s']


def test_others_are_kept_out_by_a_sub_task(tmp_path, work):
    """Its snapshot is busy, and its system is not for the emulator."""
    table, group = start(tmp_path, work, [Subject(A, 's')])
    submit(table, group, Subject(A))
    begun(work, 1)

    with pytest.raises(exceptions.SnapshotBusy) as raised:
        submit(table, OTHER, Subject(A, 's'))
    with pytest.raises(exceptions.SystemLocked):
        locks.Locks(tmp_path).system(A.uuid, 0).__enter__()
    assert raised.value.args[:2] == ('s', 'part')
    assert table.active(A.uuid)['s'].operation == 'part'


@pytest.mark.parametrize('lock', [Lock.SHARED, Lock.NONE])
def test_a_sub_task_locks_no_more_than_its_parent(tmp_path, work, lock):
    """It would wait for others, who might wait for its parent."""
    table, group = start(tmp_path, work, [Subject(A, 's')], lock=lock)

    task = ended(table, submit(table, group, Subject(A)))

    assert task.state == EXCEPTION
    assert not table.has_sub_tasks()


def test_a_sub_task_locks_no_other_system(tmp_path, work):
    """Nor what its parent does not have at all."""
    table, group = start(tmp_path, work, [Subject(A, 's'), Subject(B, 's')])

    task = ended(table, submit(table, group, Subject(A)))

    assert task.state == EXCEPTION
    # None of them is begun where one cannot be.
    assert not table.has_sub_tasks()


def test_a_step_comes_before_sub_tasks(tmp_path, work):
    """Without one nobody would settle them with their parent."""
    table, group = start(tmp_path, work, [], group=Eager)

    assert ended(table, submit(table, group, Subject(A))).state == EXCEPTION


def test_a_parent_keeps_its_sub_tasks(tmp_path, configured, work):
    """What has ended is remembered until the parent has seen it."""
    configured('OS_TASKS__KEEP_COMPLETED', '1')
    subjects = [Subject(A, 's'), Subject(A, 't'), Subject(B, 's')]
    table, group = start(tmp_path, work, subjects)
    task = submit(table, group, Subject(A), Subject(B))
    begun(work, 2)
    first = parts_of(table, task)[0]
    table.cancel(first.id)
    ended(table, first)

    with pytest.raises(exceptions.TaskNotCancellable) as raised:
        table.cancel(first.id)
    work.go.set()

    assert raised.value.args == (str(first.id), 'group')
    assert ended(table, task).result == {
        'states': [CANCELLED, COMPLETED, COMPLETED]
    }
    assert table.list()[-1].id == task.id


def test_what_a_killed_process_left_is_settled_with_its_parts(tmp_path, work):
    """Those that had begun first, then the parent; no other one is begun."""
    table = Table(tmp_path)
    part = Part(work.run, work.settle)
    group = Group(part, [])
    task = submit(table, group, Subject(A), Subject(B))
    process = subprocess.Popen(
        [sys.executable, '-c', OWNER, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b'half\n'
        assert process.stdout.readline() == b'half\n'
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert table.unsettled(A.uuid) is not None

    table.start(Operations(part, group))

    assert ended(table, task).state == COMPLETED
    assert sorted(work.settled) == [('s', 2), ('s', 2)]
    assert work.order == []
    assert group.settled == [
        (A, 's', COMPLETED),
        (B, 's', COMPLETED),
        (A, 't', CANCELLED),
    ]
