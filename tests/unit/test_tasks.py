# SPDX-License-Identifier: Apache-2.0
"""
The life of a task, with operations made for it on a real database.

Nothing is timed here: an operation goes on when its test tells it to.

Long, as it is the whole life of a task.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hawkfish_plugin import conf, db, exceptions, locks, supervision
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks import table as tasks
from hawkfish_plugin.tasks import workers
from hawkfish_plugin.tasks.ending import EndJournal
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
from tests.waiting import wait_for

A, B = contract.System('uuid-a', 'a'), contract.System('uuid-b', 'b')
PATIENCE = 60.0

# Works as the owner of the state in argv[1] until it is killed.
OWNER = """
import pathlib, sys, threading, time
from hawkfish_plugin import conf, db, locks, supervision
from hawkfish_plugin.tasks import table, workers
from hawkfish_plugin.tasks.operation import Operations
from tests.unit.test_tasks import Facts, operation

def run(context):
    context.step('half', Facts(made=['file']))
    context.progress(50)
    print('half', flush=True)
    threading.Event().wait()

folder = pathlib.Path(sys.argv[1])
lock_files, options = locks.Locks(folder), conf.load()
workers.Workers(
    table.Tasks(db.Database(folder), lock_files, options), lock_files,
    Operations(operation('work', run, run), operation('other', run, run)),
    options, supervision.Supervisor(),
).start()
threading.Event().wait()
"""


@dataclasses.dataclass(frozen=True)
class Facts(Record):
    """The arguments, and the journal, of every operation here."""

    note: object = None
    made: object = None
    created_here: bool = False


def operation(name, run, settle, **attributes):
    """An operation that does *run*, or *settle* where it was interrupted."""
    kind = type(
        name,
        (Operation,),
        {
            'name': name,
            'title': '{snapshot}',
            'run': lambda self, context: run(context),
            'settle': lambda self, context: settle(context),
            **attributes,
        },
    )
    return kind()


class Work:
    """An operation that says when it begins, and waits for its turn."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.running, self.most, self.order = {}, {}, []
        self.settled = []
        self._lock = threading.Lock()

    def run(self, context):
        systems = [subject.system.uuid for subject in context.task.subjects]
        with self._lock:
            self.order.append(context.task.snapshot)
            for system in systems:
                self.running[system] = self.running.get(system, 0) + 1
                self.most[system] = max(
                    self.most.get(system, 0), self.running[system]
                )
        context.step('working', Facts(note=context.task.arguments))
        self.begun.release()
        while not self.go.wait(0.02):
            if context.cancelled:
                raise exceptions.OperationCancelled('work')
        with self._lock:
            for system in systems:
                self.running[system] -= 1
        return {'did': context.task.snapshot}

    def settle(self, context):
        self.settled.append((context.task.snapshot, context.task.claims))
        return {
            'made': context.recall(Facts).made,
            'last': context.last_step,
        }

    def fail(self, context):
        context.step('failing', Facts(note='definition'))
        if Facts.load(context.task.arguments).created_here:
            raise exceptions.OperationFailed('fail', 'the disk is full')
        raise RuntimeError('not foreseen')

    def warn(self, context):
        context.add_message('HawkFish.1.0.CleanupFailed', '/overlay', 'busy')
        return {'did': context.task.snapshot}

    def say_nothing(self, context):
        return {}

    def operations(self, **replaced):
        """All of them, some of which may have other attributes."""
        runs = {
            'work': self.run,
            'other': self.run,
            'sharing': self.run,
            'free': self.run,
            'fail': self.fail,
            'warn': self.warn,
            'silent': self.say_nothing,
        }
        return Operations(
            *(
                operation(
                    name,
                    run,
                    self.settle,
                    **(ATTRIBUTES.get(name, {}) | replaced.get(name, {})),
                )
                for name, run in runs.items()
            )
        )


ATTRIBUTES = {
    'work': {'cancellable': True},
    'sharing': {'lock': Lock.SHARED},
    'free': {'lock': Lock.NONE},
}


class Table(tasks.Tasks):
    """A task table that can be given workers."""

    def __init__(self, folder):
        self._folder, self._options = folder, conf.load()
        super().__init__(
            db.Database(folder), locks.Locks(folder), self._options
        )

    def start(self, operations, periodic=None):
        lock_files = locks.Locks(self._folder)
        workers.Workers(
            self,
            lock_files,
            operations,
            self._options,
            supervision.Supervisor(),
        ).start(periodic=periodic)


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    for name in list(os.environ):
        if name.startswith(('OS_', 'HAWKFISH_')):
            monkeypatch.delenv(name)
    return monkeypatch.setenv


@pytest.fixture
def work():
    work = Work()
    yield work
    work.go.set()


@pytest.fixture
def table(tmp_path):
    """A task table whose workers are not started."""
    return open_table(tmp_path)


@pytest.fixture
def started(table, work):
    table.start(work.operations())
    return table


def open_table(folder):
    return Table(folder)


def submit(table, snapshot, system=A, kind='work', after=None, **arguments):
    subjects = [Subject(system, snapshot)]
    return submit_all(table, subjects, kind, after=after, **arguments)


def submit_all(table, subjects, kind='work', after=None, **arguments):
    declared = operation(kind, None, None, **ATTRIBUTES.get(kind, {}))
    return table.submit(
        declared, subjects, Facts(**arguments), {}, after=after
    )


def ended(table, task):
    """The task once it has ended."""

    def look():
        found = table.get(task.id)
        return None if found.active else found

    return wait_for(look)


def begun(work, count=1):
    for _ in range(count):
        assert work.begun.acquire(timeout=PATIENCE)


def message_ids(task):
    return [key.rpartition('.')[2] for key, _ in task.messages]


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
    table.ends.end(task, COMPLETED, {}, followed=True)
    assert [t.id for t in table.to_follow()] == [task.id]

    following = {'follow': lambda _, task: seen.append(task.snapshot)}
    table.start(work.operations(silent={**following, 'follows': True}))

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


def test_the_oldest_ended_tasks_are_forgotten(tmp_path, configured, work):
    """Only so many ended tasks are kept, and no active one is dropped."""
    configured('OS_TASKS__KEEP_COMPLETED', '2')
    table = open_table(tmp_path)
    table.start(work.operations())
    submit(table, 'held', B)
    begun(work)
    for number in range(5):
        ended(table, submit(table, f's{number}', kind='warn'))

    # The end of a task and the forgetting of others are one transaction.
    assert [task.snapshot for task in table.list()] == ['held', 's3', 's4']


def test_active_tasks_are_found_by_their_snapshot(table):
    """The active tasks of a system are those of that system alone."""
    submit(table, 'a')
    submit(table, 'b', B)

    assert list(table.active(A.uuid)) == ['a']


@pytest.fixture
def killed(tmp_path, table):
    """A state whose owner was killed over the task that is returned."""
    task = submit(table, 'half')
    process = subprocess.Popen(
        [sys.executable, '-c', OWNER, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b'half\n'
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    return task


def test_what_a_killed_process_left_is_settled(killed, table, work):
    """The next owner settles a half-done task from its journal."""
    assert table.get(killed.id).state == RUNNING

    table.start(work.operations())
    task = ended(table, killed)

    assert work.settled == [('half', 2)]
    assert work.order == []
    assert task.state == COMPLETED
    assert task.result == {'made': ['file'], 'last': 'half'}
    assert message_ids(task).count('TaskStarted') == 1


def test_settling_comes_before_anything_new(killed, table, work):
    """No new task of the system runs before the half-done one is settled."""
    work.go.set()
    later = submit(table, 'later')

    table.start(work.operations())
    settled, ran = ended(table, killed), ended(table, later)

    assert settled.ended <= ran.started
    assert work.order == ['later']


def test_a_stop_asked_of_a_killed_process_is_remembered(
    killed, table, work, tmp_path
):
    """A task that was to stop when its owner died is settled, not run."""
    with db.Database(tmp_path).transaction() as connection:
        connection.execute("UPDATE tasks SET state = 'Cancelling'")

    table.start(work.operations())

    assert not ended(table, killed).active
    assert work.settled == [('half', 2)]
    assert work.order == []


def test_a_second_owner_waits_for_the_first(tmp_path, table, work):
    """While an owner lives no other process runs its tasks."""
    process = subprocess.Popen(
        [sys.executable, '-c', OWNER, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        submit(table, 'theirs', A)
        assert process.stdout.readline() == b'half\n'
        table.start(work.operations())
        submit(table, 'theirs too', B)
        assert process.stdout.readline() == b'half\n'
    finally:
        process.kill()
        process.communicate()

    wait_for(lambda: len(work.settled) == 2)
    assert work.order == []


def test_a_task_of_several_systems_has_them_all(started, work):
    """It waits for each of them, and others wait for it."""
    alone = submit(started, 's', B)
    both = submit_all(started, [Subject(A), Subject(B)])
    later = submit(started, 't', A)
    begun(work)

    states = [started.get(task.id).state for task in (alone, both, later)]
    work.go.set()
    ends = [ended(started, task) for task in (alone, both, later)]

    assert states == [RUNNING, NEW, NEW]
    assert [task.state for task in ends] == 3 * [COMPLETED]
    assert ends[0].ended <= ends[1].started <= ends[1].ended
    assert ends[1].ended <= ends[2].started
    assert work.most == {A.uuid: 1, B.uuid: 1}


def test_a_task_comes_after_another(started, work):
    """It waits for the end of that one, though its system is free."""
    first = submit(started, 's', A)
    second = submit(started, 's', B, after=first.id)
    begun(work)

    assert started.get(second.id).state == NEW
    work.go.set()
    assert ended(started, first).ended <= ended(started, second).started


def test_a_task_that_another_comes_after_is_kept(table):
    """Its result is neither deleted nor forgotten until that one has ended."""
    table._options.set_override('keep_completed', 1, 'tasks')
    first = submit(table, 's', A)
    submit(table, 't', A, 'other', after=first.id)
    assert table.ends.end(table.claims.claim(), COMPLETED, {})
    second = table.claims.claim()
    aside = submit(table, 's', B)
    assert table.ends.end(table.claims.claim(), COMPLETED, {})

    with pytest.raises(exceptions.TaskNotCancellable) as refused:
        table.cancel(first.id)

    assert refused.value.args == (str(first.id), 'other')
    assert table.ends.end(second, COMPLETED, {})
    for task in (first, aside):
        with pytest.raises(exceptions.TaskNotFound):
            table.get(task.id)


@pytest.mark.parametrize(
    'kinds, together',
    [
        (('sharing', 'sharing'), True),
        (('work', 'free'), True),
        (('free', 'work'), True),
        (('free', 'sharing'), True),
        (('sharing', 'work'), False),
        (('work', 'sharing'), False),
    ],
)
def test_operations_share_a_system(started, work, kinds, together):
    """By their locks: exclusive, shared, or none."""
    made = [submit(started, kind, kind=kind) for kind in kinds[:1]]
    made.append(submit(started, 'last', kind=kinds[1]))
    begun(work, 2 if together else 1)

    states = [started.get(task.id).state for task in made]
    work.go.set()

    assert states == [RUNNING, RUNNING if together else NEW]
    assert all(ended(started, task).result for task in made)


def test_a_task_may_have_no_subject(started, work):
    """It runs beside all others, and its failure is no snapshot's."""
    submit(started, 's')
    free = submit_all(started, [])
    begun(work, 2)

    assert started.get(free.id).state == RUNNING
    assert started.get(free.id).system is None
    error = exceptions.InternalError()
    assert not lifecycle.failed(started.get(free.id), error)


def test_shared_subjects_have_several_tasks(table):
    """Two that share may wait for one snapshot; one that does not, none."""
    submit(table, 's', kind='sharing')
    submit(table, 's', kind='free')

    with pytest.raises(exceptions.SnapshotBusy):
        submit(table, 's')


def test_without_a_lock_a_subject_is_left_to_others(table):
    """It refuses nobody, is refused by nobody, and hides no other task."""
    for _ in range(2):
        submit(table, 's', kind='free')
    task = submit(table, 's')
    submit(table, 's', kind='free')

    assert table.active(A.uuid)['s'].id == task.id


def test_an_interrupted_task_leaves_its_system_unsettled(killed, table):
    """Until it is settled; what waits changes nothing."""
    submit(table, 'later')

    assert table.unsettled(A.uuid).id == killed.id
    assert table.unsettled(B.uuid) is None


@pytest.mark.parametrize('step', ['', 'half'])
def test_a_task_of_a_newer_release_is_refused(table, work, tmp_path, step):
    """It is not run, nor settled, by who would not see all that it holds."""
    task = submit(table, 's')
    newer = "UPDATE tasks SET version = 2, journal = '{\"new\": 1}'"
    with db.Database(tmp_path).transaction() as connection:
        connection.execute(newer)
        if step:
            connection.execute(
                "UPDATE tasks SET state = 'Running', step = ?", (step,)
            )

    table.start(work.operations())
    last = ended(table, task)

    assert last.state == EXCEPTION
    assert last.error['messages'] == [
        ['HawkFish.1.0.TaskTooNew', [str(task.id), 'work', '2']]
    ]
    assert (work.order, work.settled) == ([], [])
    # Whoever repairs the system by hand needs it.
    assert last.journal == {'new': 1}


def test_a_subject_is_given_once(table):
    """Twice the same is a mistake of the operation, and nothing is kept."""
    with pytest.raises(ValueError, match='twice'):
        submit_all(table, [Subject(A, 's'), Subject(A, 's')])

    assert table.list() == []


def test_who_shares_keeps_the_definition(started, work, tmp_path):
    """A read of the emulator that redefines the system waits for it."""
    task = submit(started, 's', kind='sharing')
    begun(work)
    definition = locks.Locks(tmp_path).definition

    with pytest.raises(exceptions.SystemLocked), definition(A.uuid, 0):
        pass
    work.go.set()
    ended(started, task)
    with definition(A.uuid, PATIENCE):
        pass


def test_an_unknown_operation_fails(table, work):
    """What a newer release has queued, say; others go on."""
    unknown = submit(table, 's', kind='unheard of')
    table.start(work.operations())

    task = ended(table, unknown)

    assert task.state == EXCEPTION
    assert message_ids(task)[-2:] == ['TaskTooNew', 'TaskAborted']
