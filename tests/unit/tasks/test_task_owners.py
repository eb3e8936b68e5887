# SPDX-License-Identifier: Apache-2.0
"""What becomes of tasks when their processes die."""

import subprocess
import sys

import pytest

from hawkfish_plugin import db
from hawkfish_plugin.tasks.task import (
    COMPLETED,
    RUNNING,
)
from tests.unit.tasks.tables import (
    OWNER,
    A,
    B,
    begun,
    ended,
    message_ids,
    open_table,
    submit,
)
from tests.waiting import wait_for


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


@pytest.mark.parametrize('journal', ['{broken', '[1]', b'\xff\xfe', '7'])
def test_a_damaged_journal_lets_others_end(
    tmp_path, configured, work, journal
):
    """It is forgotten in its turn; what follows others is found as well."""
    configured('OS_TASKS__KEEP_COMPLETED', '1')
    table = open_table(tmp_path)
    table.start(work.operations())
    damaged = ended(table, submit(table, 'a', kind='warn'))
    with db.Database(tmp_path).transaction() as connection:
        connection.execute('UPDATE tasks SET journal = ?', (journal,))

    assert not table.to_follow()
    last = ended(table, submit(table, 'b', kind='warn'))

    assert [task.id for task in table.list()] == [last.id] != [damaged.id]


def test_active_tasks_are_found_by_their_snapshot(table):
    """The active tasks of a system are those of that system alone."""
    submit(table, 'a')
    submit(table, 'b', B)

    assert list(table.active(A.uuid)) == ['a']


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
