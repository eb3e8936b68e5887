# SPDX-License-Identifier: Apache-2.0
"""Tasks of several systems, their locks, and what comes after them."""

import pytest

from hawkfish_plugin import db, exceptions, locks
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.tasks.task import (
    COMPLETED,
    EXCEPTION,
    NEW,
    RUNNING,
    Subject,
)
from tests.unit.tasks.tables import (
    PATIENCE,
    A,
    B,
    begun,
    ended,
    message_ids,
    submit,
    submit_all,
)


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
