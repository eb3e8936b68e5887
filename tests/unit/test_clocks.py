# SPDX-License-Identifier: Apache-2.0
"""What lasts some time lasts it, whatever becomes of the clock."""

import time

import pytest

from hawkfish_plugin import conf, db, events, locks, sessions
from hawkfish_plugin.accounts.table import Accounts
from hawkfish_plugin.events import subscriptions
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED
from tests.served import user_entry
from tests.unit.tasks.tables import submit

DAYS = 86400.0


@pytest.fixture
def clock(monkeypatch):
    """Sets the clock by some seconds, from now on."""
    real = time.time

    def set_by(seconds):
        monkeypatch.setattr(time, 'time', lambda: real() + seconds)

    return set_by


@pytest.fixture
def database(tmp_path):
    return db.Database(tmp_path)


@pytest.fixture
def users(tmp_path):
    path = tmp_path / 'users'
    path.write_text(user_entry('admin', 'secret'))
    return str(path)


@pytest.mark.parametrize('by', [-30 * DAYS, 30 * DAYS])
def test_the_steady_clock(tmp_path, database, clock, by):
    """All processes have the same one, whenever they begin."""
    before = database.steady()
    clock(by)

    assert 0 <= database.steady() - before < 60
    assert 0 <= db.Database(tmp_path).steady() - before < 60


def test_the_steady_clock_after_a_restart_of_the_host(tmp_path, clock):
    """It does not go back, though the clock did meanwhile."""
    database = db.Database(tmp_path)
    later = database.steady() + 1000
    with database.transaction() as connection:
        connection.execute("UPDATE clock SET boot = 'another'")
        connection.execute(
            'INSERT INTO sessions (user, entry, token, created, used) '
            "VALUES ('a', '', '', 0, ?)",
            (later,),
        )
    clock(-30 * DAYS)

    assert later <= db.Database(tmp_path).steady() < later + 60


@pytest.mark.parametrize('by', [-30 * DAYS, 30 * DAYS])
def test_a_session_lives_as_long_as_it_should(database, users, clock, by):
    """Neither for longer nor for less."""
    table = sessions.Sessions(database, Accounts(conf.load()))
    _, token = table.login(users, 'admin', 'secret')
    _, old = table.login(users, 'admin', 'secret')
    with database.transaction() as connection:
        connection.execute(
            'UPDATE sessions SET used = used - 3600 WHERE id = 2'
        )
    clock(by)

    assert table.user(users, token) == 'admin'
    assert table.user(users, old) is None


@pytest.mark.parametrize('by', [-30 * DAYS, 30 * DAYS])
def test_a_stream_goes_on(database, clock, by):
    """It is open as long as its client reads."""
    table = subscriptions.Subscriptions(database, conf.load())
    stream = table.open_stream('redfish-sse://a', 'context')
    clock(by)

    table.forget_dead_streams()

    assert table.is_open(stream.id)


@pytest.mark.parametrize('by', [-30 * DAYS, 30 * DAYS])
def test_events_are_as_old_as_they_are(database, clock, by):
    """A subscription that resumes gets those of the last minutes."""
    options = conf.load()
    table = subscriptions.Subscriptions(database, options)
    made = table.create('http://a/', '', 'RetryForever', True, [], {}, None)
    table.update(made.id, suspended=True)
    test = events.NewEvent('HawkFish.1.0.SnapshotCreated', [], events.SERVICE)
    events.Events(database, options).submit(test)
    clock(by)

    table.resume(made.id, 60.0)

    assert table.get(made.id).delivered == 0


def test_the_task_that_ended_last_is_remembered(
    tmp_path, database, clock, monkeypatch
):
    """Not the one that the clock says."""
    monkeypatch.setenv('OS_TASKS__KEEP_COMPLETED', '2')
    table = Tasks(database, locks.Locks(tmp_path), conf.load())
    tasks = [submit(table, name) for name in 'abc']
    for number, task in enumerate(tasks):
        table.claims.claim()
        clock(-number * DAYS)
        assert table.ends.end(task, COMPLETED, {})

    assert [task.snapshot for task in table.list()] == ['b', 'c']


@pytest.mark.parametrize('by', [-30 * DAYS, 30 * DAYS])
def test_a_task_waits_as_long_as_it_does(tmp_path, database, clock, by):
    """A clock that is set makes it neither stale nor fresh."""
    table = Tasks(database, locks.Locks(tmp_path), conf.load())
    task = submit(table, 'a')
    clock(by)

    assert 0 <= table.waited(task) < 60
