# SPDX-License-Identifier: Apache-2.0
"""
The life of a task, with operations made for it on a real database.

Nothing is timed here: an operation goes on when its test tells it to.

Long, as it is the whole life of a task.
"""

import json
import threading
import time

import pytest

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.tasks import workers
from hawkfish_plugin.tasks.ending import EndJournal
from hawkfish_plugin.tasks.task import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    EXCEPTION,
    NEW,
    RUNNING,
)
from tests.unit.tasks.tables import (
    A,
    B,
    begun,
    ended,
    message_ids,
    open_table,
    submit,
)
from tests.waiting import wait_for


def test_a_task_runs_to_its_end(started, work):
    """A task tells its result, and when it began and ended."""
    work.go.set()

    task = ended(started, submit(started, 's', note=1))

    assert task.state == COMPLETED
    assert task.result == {'did': 's'}
    assert task.percent == 100
    # Notes may hold secrets of a definition: gone with the end.
    assert task.journal == EndJournal().dump()
    assert task.created <= task.started <= task.ended
    assert message_ids(task) == ['TaskStarted', 'TaskCompletedOK']


def test_the_end_of_a_task_is_told_once(started, work):
    """A task that has ended cannot end again, and no event says so."""
    work.go.set()
    task = ended(started, submit(started, 's'))
    told = started.events.newest()

    again = started.ends.end(task, EXCEPTION, exceptions.InternalError())

    assert not again
    assert started.get(task.id).state == COMPLETED
    assert started.events.newest() == told == 2


def test_an_operation_may_have_nothing_to_tell(started):
    """An empty result is a result, and ends the task."""
    task = ended(started, submit(started, 's', kind='silent'))

    assert task.state == COMPLETED
    assert task.result == {}


def test_a_task_ends_whose_events_cannot_be_made(table, work):
    """It would keep its snapshot busy for ever."""

    def events(self, task, error):
        raise RuntimeError('not foreseen')

    table.start(work.operations(silent={'events': events}))

    task = ended(table, submit(table, 's', kind='silent'))

    assert task.state == COMPLETED
    assert table.active(A.uuid) == {}


def test_what_follows_a_success(table, work, tmp_path):
    """It comes after the end, only of a success, and costs it nothing."""
    seen = []

    def follow(self, task):
        seen.append((task.snapshot, table.get(task.id).state))
        # Nobody holds the system any more.
        with locks.Locks(tmp_path).system(A.uuid, 0):
            raise RuntimeError('not foreseen')

    following = {'follow': follow, 'follows': True}
    table.start(work.operations(silent=following, fail=following))

    failed = ended(table, submit(table, 'f', kind='fail'))
    ended(table, submit(table, 's', kind='silent'))
    last = ended(table, submit(table, 't', kind='silent'))

    assert (failed.state, last.state) == (EXCEPTION, COMPLETED)
    wait_for(lambda: len(seen) == 2)
    assert seen == [('s', COMPLETED), ('t', COMPLETED)]


def test_what_follows_survives_its_process(table, work):
    """What a process that died has not come to is done by the next one."""
    seen = []
    task = submit(table, 's', kind='silent')
    table.claims.claim()
    following = {'follow': lambda _, task: seen.append(task.snapshot)}
    operations = work.operations(silent={**following, 'follows': True})
    table.ends.end(task, COMPLETED, {}, operations.of(task))
    assert [t.id for t in table.to_follow()] == [task.id]

    table.start(operations)

    wait_for(lambda: not table.to_follow())
    assert seen == ['s']


def test_what_follows_waits_for_the_hypervisor(table, work, monkeypatch):
    """It is done as soon as somebody can be asked."""
    monkeypatch.setattr(workers, '_PERIOD_SECONDS', 0.02)
    seen = []

    def follow(self, task):
        seen.append(task.snapshot)
        if len(seen) < 3:
            raise exceptions.HypervisorUnavailable('uri', 'gone')

    following = {'follow': follow, 'follows': True}
    table.start(work.operations(silent=following), periodic=lambda: None)

    ended(table, submit(table, 's', kind='silent'))

    wait_for(lambda: len(seen) == 3 and not table.to_follow())


def test_periodic_work_is_done_again_and_again(table, work, monkeypatch):
    """Whoever owns the workers does it, though it failed before."""
    monkeypatch.setattr(workers, '_PERIOD_SECONDS', 0.02)
    times = []

    def periodic():
        times.append(time.monotonic())
        if len(times) == 1:
            raise exceptions.StateUnavailable('folder', 'full')
        if len(times) == 2:
            raise RuntimeError('not foreseen')

    table.start(work.operations(), periodic=periodic)

    wait_for(lambda: len(times) > 3)


def test_task_numbers_leave_out_the_emulators_own(table):
    """The first task is 43, as the emulator serves a task 42 itself."""
    assert submit(table, 's').id == 43


def test_one_system_has_one_running_task(started, work):
    """The tasks of one system run one after the other, in their order."""
    made = [submit(started, f's{n}') for n in range(5)]
    begun(work)
    states = [started.get(task.id).state for task in made]
    work.go.set()
    for task in made:
        assert ended(started, task).state == COMPLETED

    assert states == [RUNNING] + 4 * [NEW]
    assert work.order == ['s0', 's1', 's2', 's3', 's4']
    assert work.most == {A.uuid: 1}


def test_several_systems_run_at_once(started, work):
    """A long operation of one system does not hold up another's."""
    first, second = submit(started, 's', A), submit(started, 's', B)

    begun(work, 2)

    assert started.get(first.id).state == RUNNING
    assert started.get(second.id).state == RUNNING


def test_the_number_of_workers_is_the_limit(tmp_path, configured, work):
    """No more systems are worked on at once than there are workers."""
    configured('OS_TASKS__WORKERS', '1')
    table = open_table(tmp_path)
    table.start(work.operations())
    submit(table, 's', A)
    second = submit(table, 's', B)

    begun(work)

    assert table.get(second.id).state == NEW


def test_two_claims_never_get_the_same_task(tmp_path):
    """However many claim at once, each task goes to one of them."""
    table = open_table(tmp_path)
    made = [
        submit(table, 's', contract.System(f'uuid-{n}', str(n)))
        for n in range(40)
    ]
    claimed = []

    def claim():
        while task := table.claims.claim():
            claimed.append(task.id)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == [task.id for task in made]


def test_another_process_may_submit(started, work, tmp_path):
    """A task that another process submits is found and run."""
    work.go.set()
    elsewhere = open_table(tmp_path)

    task = ended(elsewhere, submit(elsewhere, 's'))

    assert task.state == COMPLETED


def test_another_process_is_heard_at_once(tmp_path, work, monkeypatch):
    """Workers that never look by themselves are called by who submits."""
    monkeypatch.setattr(workers, '_POLL_SECONDS', None)
    work.go.set()
    owner, elsewhere = open_table(tmp_path), open_table(tmp_path)
    owner.start(work.operations())
    assert ended(owner, submit(owner, 'ours')).state == COMPLETED
    wait_for((tmp_path / 'calls').exists)

    for name in ('first', 'second'):
        # The end of a task wakes the workers as well: that is over.
        wait_for(lambda: not owner.wake.is_set())
        task = ended(elsewhere, submit(elsewhere, name))

        assert task.state == COMPLETED


def test_nobody_has_to_hear(table, tmp_path):
    """A task is queued where there is no owner, or no pipe to call it by."""
    submit(table, 'no pipe')
    (tmp_path / 'calls').mkdir()

    submit(table, 'no such pipe')

    assert [task.snapshot for task in table.list()] == [
        'no pipe',
        'no such pipe',
    ]


def test_a_snapshot_has_one_active_task(table):
    """A second task for a snapshot in use names the first one."""
    task = submit(table, 's')

    with pytest.raises(exceptions.SnapshotBusy) as raised:
        submit(table, 's', kind='other')

    assert raised.value.args == ('s', 'work', str(task.id))
    assert submit(table, 's', B).id == task.id + 1


def test_the_queue_has_an_end(tmp_path, configured):
    """One task more than the queue may hold is refused, and not kept."""
    configured('OS_TASKS__QUEUE_LIMIT', '2')
    table = open_table(tmp_path)
    submit(table, 'a')
    submit(table, 'b')

    with pytest.raises(exceptions.QueueFull) as raised:
        submit(table, 'c')

    assert raised.value.args == ('2',)
    assert [task.snapshot for task in table.list()] == ['a', 'b']


def test_a_waiting_task_is_cancelled_at_once(started, work):
    """A task that waits is cancelled and never runs."""
    submit(started, 'first')
    waiting = submit(started, 'second', kind='other')
    begun(work)

    cancelled = started.cancel(waiting.id)
    work.go.set()
    last = ended(started, submit(started, 'third'))

    assert cancelled.state == CANCELLED
    assert cancelled.error['status'] == exceptions.OperationCancelled.status
    assert message_ids(cancelled) == ['OperationCancelled', 'TaskCancelled']
    assert last.state == COMPLETED
    assert work.order == ['first', 'third']


def test_a_running_task_is_asked_to_stop(started, work):
    """A running operation that can stop does, and says so."""
    task = submit(started, 's')
    begun(work)

    assert started.get(task.id).may_cancel
    assert started.cancel(task.id).state == CANCELLING
    assert ended(started, task).state == CANCELLED


def test_a_running_task_that_must_go_on_goes_on(started, work):
    """Cancelling what must not be interrupted is refused."""
    task = submit(started, 's', kind='other')
    begun(work)

    assert not started.get(task.id).may_cancel
    with pytest.raises(exceptions.TaskNotCancellable):
        started.cancel(task.id)
    work.go.set()

    assert ended(started, task).state == COMPLETED


def test_cancelling_an_ended_task_forgets_it(started, work):
    """An ended task is gone after it was deleted."""
    work.go.set()
    task = ended(started, submit(started, 's'))

    started.cancel(task.id)

    with pytest.raises(exceptions.TaskNotFound):
        started.get(task.id)


def test_an_error_of_ours_is_told_in_its_words(started):
    """A failed task keeps the error's status, message and arguments."""
    task = ended(started, submit(started, 's', kind='fail', created_here=True))

    assert task.state == EXCEPTION
    assert task.error == {
        'status': 409,
        'messages': [
            ['HawkFish.1.0.OperationFailed', ['fail', 'the disk is full']]
        ],
    }
    assert message_ids(task) == [
        'TaskStarted',
        'OperationFailed',
        'TaskAborted',
    ]
    assert task.journal == EndJournal().dump()


def test_an_unforeseen_error_ends_the_task_and_nothing_else(started, work):
    """After an error that nobody foresaw the worker takes the next task."""
    task = ended(started, submit(started, 's', kind='fail'))
    work.go.set()
    later = ended(started, submit(started, 's'))

    assert task.state == EXCEPTION
    assert task.error['messages'] == [['Base.1.22.InternalError', []]]
    assert 'not foreseen' not in json.dumps(task.messages)
    # Nobody knows how far it came: who has to find out needs the notes.
    assert task.journal['note'] == 'definition'
    assert task.step == 'failing'
    assert later.state == COMPLETED


def test_a_warning_is_kept_with_the_task(started):
    """A task that warned has completed, and says that it warned."""
    task = ended(started, submit(started, 's', kind='warn'))

    assert task.state == COMPLETED
    assert task.messages[1] == [
        'HawkFish.1.0.CleanupFailed',
        ['/overlay', 'busy'],
    ]
    assert message_ids(task)[-1] == 'TaskCompletedWarning'
