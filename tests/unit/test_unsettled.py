# SPDX-License-Identifier: Apache-2.0
"""
Tasks that wait for what went away, and those that somebody gives up.

Long, as each thing that can go away has its test.
"""

import dataclasses
import threading

import pytest
import requests

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.attention import Unsettled
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.purge import Purge
from hawkfish_plugin.tasks import execution, workers
from hawkfish_plugin.tasks.operation import Operations
from hawkfish_plugin.tasks.task import (
    CANCELLED,
    COMPLETED,
    EXCEPTION,
    RUNNING,
    Subject,
)
from tests.served import message_ids as message_keys
from tests.unit.tasks.tables import (
    PATIENCE,
    A,
    B,
    Facts,
    ended,
    message_ids,
    open_table,
    operation,
    submit,
)
from tests.waiting import holds_for, wait_for


@dataclasses.dataclass
class Stuck:
    """An operation in a call that returns when the test lets it."""

    begun: threading.Event = dataclasses.field(default_factory=threading.Event)
    go: threading.Event = dataclasses.field(default_factory=threading.Event)
    steps: list[str] = dataclasses.field(default_factory=list)
    over: threading.Event = dataclasses.field(default_factory=threading.Event)

    def run(self, context):
        try:
            self.step(context, 'call')
            self.begun.set()
            assert self.go.wait(PATIENCE)
            self.step(context, 'after')
        except Exception:
            # As an operation that undoes what has failed.
            self.step(context, 'undo')
        finally:
            self.over.set()
        return {}

    def step(self, context, name):
        context.step(name)
        self.steps.append(name)


class Away:
    """An operation whose hypervisor goes away in the middle."""

    def __init__(self):
        self.back = threading.Event()

    def run(self, context):
        context.step('half', Facts(note='definition'))
        return self.settle(context)

    def settle(self, context):
        if not self.back.is_set():
            raise exceptions.HypervisorUnavailable('there', 'it is silent')
        return {}


@pytest.fixture
def stuck():
    stuck = Stuck()
    yield stuck
    stuck.go.set()


@pytest.fixture
def away():
    away = Away()
    yield away
    away.back.set()


@pytest.fixture
def kinds(stuck, away):
    def at_once(context):
        return {}

    return {
        'stuck': operation('stuck', stuck.run, stuck.run),
        'away': operation('away', away.run, away.settle, cancellable=True),
        'work': operation('work', at_once, at_once, cancellable=True),
        'mending': operation('mending', at_once, at_once, mends=True),
    }


@pytest.fixture
def table(tmp_path, monkeypatch, kinds):
    """A task table with one worker."""
    monkeypatch.setenv('OS_TASKS__WORKERS', '1')
    monkeypatch.setattr(execution, 'RETRY_SECONDS', 0.05)
    table = open_table(tmp_path)
    table.start(Operations(*kinds.values()))
    return table


@pytest.fixture
def abandoned(table, stuck, kinds):
    """A task that was abandoned in the middle of a call."""
    task = submit(table, 's', kind='stuck')
    assert stuck.begun.wait(PATIENCE)
    return table.abandon(task.id, Operations(*kinds.values()))


def test_an_abandoned_task_says_how_far_it_came(abandoned):
    """It has ended with an error, and keeps its journal."""
    assert abandoned.state == EXCEPTION
    assert message_ids(abandoned)[-2:] == ['OperationUnsettled', 'TaskAborted']
    assert abandoned.error['messages'][0][1][:2] == ['stuck', 'call']
    assert abandoned.step == 'call'


def test_an_abandoned_task_keeps_nobody(abandoned, table, stuck):
    """Its worker and its system are free while it is still stuck."""
    assert ended(table, submit(table, 't', A)).state == COMPLETED
    assert ended(table, submit(table, 't', B)).state == COMPLETED
    assert stuck.steps == ['call']


def test_an_abandoned_operation_does_no_more(abandoned, table, stuck):
    """When its call returns it neither goes on nor undoes anything."""
    stuck.go.set()

    assert stuck.over.wait(PATIENCE)
    assert stuck.steps == ['call']
    assert ended(table, submit(table, 't')).state == COMPLETED
    assert table.get(abandoned.id) == abandoned


ASKED = {
    'progress': lambda context: context.progress(1),
    'a message': lambda context: context.add_message('Base.1.0.Success'),
    'cancelled': lambda context: context.cancelled,
    'check': lambda context: context.check_active(),
}


@pytest.mark.parametrize('forgotten', [False, True])
@pytest.mark.parametrize('ask', ASKED)
def test_whatever_an_abandoned_operation_asks(
    table, stuck, kinds, monkeypatch, ask, forgotten
):
    """It hears that it is over, also where nobody remembers it any more."""
    monkeypatch.setattr(
        stuck,
        'step',
        lambda context, name: (
            ASKED[ask](context) if name == 'after' else context.step(name)
        ),
    )
    heard = []
    monkeypatch.setattr(
        workers.LOG, 'warning', lambda *args: heard.append(args)
    )
    task = submit(table, 's', kind='stuck')
    assert stuck.begun.wait(PATIENCE)
    table.abandon(task.id, Operations(*kinds.values()))
    if forgotten:
        table.cancel(task.id)
    stuck.go.set()

    wait_for(lambda: heard)

    assert 'abandoned' in heard[0][0]


def test_an_abandoned_task_keeps_no_ownership(
    tmp_path, monkeypatch, abandoned, table, stuck, kinds
):
    """A process whose other workers fail hands over, though one hangs."""
    monkeypatch.setattr(workers, '_GIVE_UP_SECONDS', 0.1)
    monkeypatch.setattr(workers, '_PERIOD_SECONDS', 0.05)
    monkeypatch.setattr(table.claims, 'claim', fail)
    other = open_table(tmp_path)
    other.start(Operations(*kinds.values()))

    assert ended(other, submit(other, 's', B)).state == COMPLETED
    assert not stuck.over.is_set()


def fail(*_):
    raise OSError('no descriptor is left')


def test_its_system_needs_attention(abandoned, table):
    """It is known which operation left the system at which step."""
    (left,) = table.attention.of(A.uuid)

    assert left == Unsettled(abandoned.id, 'stuck', 's', 'call', left.since)
    assert table.attention.of(B.uuid) == []


@pytest.mark.parametrize('kind', ['work', 'mending'])
def test_what_mends_a_system(abandoned, table, kind):
    """An operation that leaves it in a known state ends the attention."""
    assert ended(table, submit(table, 't', kind=kind)).state == COMPLETED

    assert bool(table.attention.of(A.uuid)) == (kind == 'work')


def test_who_deletes_the_task_has_seen_to_it(abandoned, table):
    """To forget an abandoned task is to acknowledge it."""
    table.cancel(abandoned.id)

    assert table.attention.of(A.uuid) == []


def test_an_ended_task_cannot_be_abandoned(abandoned, table, kinds):
    """It has its end already."""
    with pytest.raises(exceptions.TaskEnded):
        table.abandon(abandoned.id, Operations(*kinds.values()))


def test_a_waiting_task_is_cancelled(table, stuck, kinds):
    """It has begun nothing, so there is nothing to look after."""
    submit(table, 's', kind='stuck')
    assert stuck.begun.wait(PATIENCE)
    waiting = submit(table, 't')

    assert (
        table.abandon(waiting.id, Operations(*kinds.values())).state
        == CANCELLED
    )
    assert table.attention.of(A.uuid) == []


def test_another_process_abandons(tmp_path, table, stuck, kinds):
    """Any process may; the one with the workers hears of it."""
    task = submit(table, 's', kind='stuck')
    assert stuck.begun.wait(PATIENCE)
    open_table(tmp_path).abandon(task.id, Operations(*kinds.values()))

    with locks.Locks(tmp_path).system(A.uuid, PATIENCE):
        assert not stuck.over.is_set()


def test_a_task_that_waits_keeps_no_worker(table, away):
    """Other systems are worked on while it waits for its hypervisor."""
    waiting = submit(table, 's', A, kind='away')

    assert ended(table, submit(table, 's', B)).state == COMPLETED
    assert table.get(waiting.id).state == RUNNING

    away.back.set()
    assert ended(table, waiting).state == COMPLETED


def test_as_many_work_as_are_meant_to(table, away, stuck):
    """Whoever has been replaced leaves when his task is over."""
    waiting = submit(table, 's', A, kind='away')
    ended(table, submit(table, 's', B))
    away.back.set()
    ended(table, waiting)
    submit(table, 's', A, kind='stuck')
    assert stuck.begun.wait(PATIENCE)
    second = submit(table, 's', B)

    assert holds_for(lambda: table.get(second.id).started is None, 1)


def test_a_cancel_of_a_task_that_waits(table, kinds):
    """It is over, says what is not known, and needs attention."""
    subjects = [Subject(A, 's')]
    waiting = table.submit(kinds['away'], subjects, Facts(), {})
    wait_for(lambda: table.get(waiting.id).step)
    table.cancel(waiting.id)

    task = ended(table, waiting)

    assert task.state == EXCEPTION
    assert 'OperationUnsettled' in message_ids(task)
    assert task.journal['note'] == 'definition'
    assert table.attention.of(A.uuid)[0].step == 'half'


def test_nothing_waits_for_ever(table, away, monkeypatch):
    """A hypervisor that stays away is given up at last."""
    monkeypatch.setattr(execution, '_AWAY_SECONDS', 0.1)

    task = ended(table, submit(table, 's', kind='away'))

    assert 'OperationUnsettled' in message_ids(task)
    assert table.attention.of(A.uuid)


def delete(emulator, kind):
    """Ask for the delete of the only snapshot, ``s``, by task of *kind*."""
    if kind is Delete:
        return requests.delete(f'{emulator.snapshots_url}/s')
    purge = 'Actions/HawkFishSnapshotCollection.Purge'
    return requests.post(f'{emulator.snapshots_url}/{purge}', json={})


def damaged(emulator):
    """Whether the only snapshot is shown so, and by a revert refused."""
    (snapshot,) = requests.get(f'{emulator.snapshots_url}?$expand=.').json()[
        'Members'
    ]
    target = snapshot['Actions']['#HawkFishSnapshot.Revert']['target']
    refused = requests.post(emulator.url + target, json={})
    return snapshot['SnapshotState'], refused.status_code


@pytest.mark.parametrize('kind', [Delete, Purge])
def test_an_abandoned_merge_has_damaged_its_snapshot(emulator, kind):
    """It is Failed at once, and no revert uses what is half overwritten."""
    emulator.created(Name='s')
    with emulator.slow():
        accepted = delete(emulator, kind)
        emulator.wait_running(accepted)
        wait_for(lambda: emulator.task(accepted).step == 'merge')
        services = emulator.services
        task = emulator.task(accepted).id
        services.tasks.abandon(task, services.operations)

        assert damaged(emulator) == ('Failed', 409)

    assert services.tasks.get(task).state == EXCEPTION
    services.tasks.cancel(task)
    assert holds_for(
        lambda: emulator.driver.names(emulator.system) == ['s'], 0.3
    )


def test_a_delete_after_an_abandoned_one(emulator):
    """It goes on from there, unless something is in the way by now."""
    emulator.created(Name='s')
    with emulator.slow():
        accepted = delete(emulator, Delete)
        emulator.wait_running(accepted)
        wait_for(lambda: emulator.task(accepted).step == 'merge')
        services = emulator.services
        services.tasks.abandon(emulator.task(accepted).id, services.operations)
    in_the_way = exceptions.BackupJobActive('fake', '/backups/x')
    resumed = []

    def resume(uuid, name, context, go_on=emulator.driver.resume_delete):
        resumed.append(context.recall(contract.DeleteJournal).merging)
        if len(resumed) == 1:
            raise in_the_way
        go_on(uuid, name, context)

    emulator.driver.resume_delete = resume
    try:
        refused = emulator.wait(delete(emulator, Delete))
        ended = emulator.wait(delete(emulator, Delete))
    finally:
        del emulator.driver.resume_delete

    assert message_keys(refused) == ['BackupJobActive']
    assert ended.status_code == 204, ended.text
    assert resumed == [True, True]
    assert not emulator.driver.names(emulator.system)


class Meanwhile(dict):
    """Where a delete is interrupted, and what *happens* before it goes on."""

    def __init__(self, place, happens):
        error = exceptions.HypervisorUnavailable('fake', 'gone')
        super().__init__({place: error})
        self.happens = happens

    def __getitem__(self, place):
        self.happens()
        return super().__getitem__(place)


@pytest.mark.parametrize(
    'step, state', [('prepare', 'Ready'), ('merge', 'Failed')]
)
@pytest.mark.parametrize('kind', [Delete, Purge])
def test_who_stands_on_an_interrupted_delete(emulator, kind, step, state):
    """A clone that was made meanwhile is found before anything is merged."""
    emulator.created(Name='s')

    def clone():
        emulator.behaviour.dependents = {
            's': [contract.Dependent('clone', 'its UUID')]
        }

    emulator.behaviour.fail_at = Meanwhile(f'delete:{step}', clone)

    ended = emulator.wait(delete(emulator, kind))

    assert (ended.status_code, message_keys(ended)) == (
        409,
        ['SnapshotCloned'],
    )
    shown = requests.get(f'{emulator.snapshots_url}/s').json()
    assert shown['SnapshotState'] == state


def test_what_an_interrupted_delete_has_merged(emulator):
    """A file that is nobody's does not keep it from its end."""
    emulator.created(Name='s')

    def merge():
        emulator.behaviour.dependents = {
            's': [contract.Dependent('/images/merged.qcow2')]
        }

    emulator.behaviour.fail_at = Meanwhile('delete:merge', merge)

    assert emulator.wait(delete(emulator, Delete)).status_code == 204


def test_a_system_that_needs_attention_is_not_started(emulator):
    """A Reset says why; other requests, and who has seen to it, go on."""
    with emulator.slow():
        accepted = emulator.create(Name='s')
        emulator.wait_running(accepted)
        task = emulator.task(accepted)
        url = f'{emulator.url}/redfish/v1/TaskService/Tasks/{task.id}'
        actions = requests.get(url).json()['Actions']['Oem']
        target = actions['#HawkFishTask.Abandon']['target']
        assert requests.post(emulator.url + target).status_code == 204
    reset = (
        f'{emulator.url}/redfish/v1/Systems/{emulator.system}'
        '/Actions/ComputerSystem.Reset'
    )

    refused = requests.post(reset, json={'ResetType': 'On'})

    assert refused.status_code == 409
    assert message_keys(refused) == ['SystemHalfChanged']
    assert requests.post(reset, json={'ResetType': 'ForceOff'}).ok
    assert requests.delete(url).ok
    assert requests.post(reset, json={'ResetType': 'On'}).ok
