# SPDX-License-Identifier: Apache-2.0
"""The bounds of the audit log, and what can go wrong."""

import concurrent.futures
import contextlib
import os
import sqlite3

import pytest
import werkzeug.test
from werkzeug.middleware import proxy_fix

from hawkfish_plugin import audit, bounds, conf, db, exceptions
from hawkfish_plugin.audit import Actor, AuditLog, Entry, View, Work
from tests.unit.audit.logs import FIRST, RESET, SERVICE
from tests.waiting import wait_for


@pytest.fixture
def table(tmp_path):
    """A log of three entries at most, in a database of its own."""
    options = conf.load()
    options.set_override('keep', 3, 'audit')
    return AuditLog(db.Database(tmp_path / 'fake-00000000'), options)


def noted(log, view=View(None)):  # noqa: B008
    return [(e.uri, e.is_strange) for e in log.load(log.ids(view))]


def test_the_oldest_go(table, monkeypatch):
    """And those who were not let in cannot displace the others."""
    monkeypatch.setattr(bounds, 'STRANGERS', 2)
    for number in range(5):
        table.note(Entry(Actor('u'), 'POST', f'/{number}', 204))
    for number in range(9):
        table.note(Entry(Actor(), 'POST', f'/x{number}', 401, is_strange=True))

    assert noted(table) == [
        ('/x8', True),
        ('/x7', True),
        ('/4', False),
        ('/3', False),
        ('/2', False),
    ]
    assert table.most == 5


def test_a_task_whose_request_was_never_answered(table, tmp_path):
    """It has its entry all the same, under who has asked for it."""
    payload = audit.with_actor(
        {'HttpOperation': 'POST', 'TargetUri': '/x'}, Actor('u', 'http://a')
    )
    work = Work(43, 'create', 'base', 'Completed')
    database = db.Database(tmp_path / 'fake-00000000')
    for _ in range(2):
        with database.transaction() as connection:
            audit.end_task(connection, work, '', payload, [FIRST], 3)
    (entry,) = table.load(table.ids(View(None)))

    assert (entry.actor, entry.method, entry.uri, entry.status) == (
        Actor('u', 'http://a'),
        'POST',
        '/x',
        None,
    )
    assert entry.work == work
    assert entry.systems == (FIRST,)
    assert audit.without_actor(payload) == {
        'HttpOperation': 'POST',
        'TargetUri': '/x',
    }


def test_what_others_have_cleared_is_there_for_who_sees_all(table):
    """Each goes by what he has cleared himself."""
    table.note(
        Entry(Actor(), 'POST', '/1', 204, systems=(FIRST,), allowed=['uuid-1'])
    )
    mine, all_of_it = View(['uuid-1']), View(None)
    table.clear(mine)

    assert noted(table, mine) == []
    assert noted(table, View(['uuid-1'], 'uuid-1')) == []
    assert noted(table, all_of_it) == [('/1', False)]
    table.clear(View(None, 'uuid-1'))
    assert noted(table, View(None, 'uuid-1')) == []
    assert noted(table, all_of_it) == [('/1', False)]
    table.clear(all_of_it)
    assert noted(table, all_of_it) == []


def damage(emulator):
    with sqlite3.connect(emulator.database.path) as connection:
        connection.execute('ALTER TABLE audit RENAME TO broken')
    connection.close()


def mend(emulator):
    with sqlite3.connect(emulator.database.path) as connection:
        connection.execute('ALTER TABLE broken RENAME TO audit')
    connection.close()


def test_a_damaged_log_stands_in_no_ones_way(log, emulator, caplog):
    """Requests are answered, tasks end, and the log of the process tells."""
    damage(emulator)
    try:
        answer = log.post(RESET, json={'ResetType': 'On'})
        created = emulator.wait(emulator.create(Name='all-the-same'))
        told = [r.message for r in caplog.records]
        read = log.get(f'{SERVICE}/Entries')
    finally:
        mend(emulator)

    assert answer.status_code == 204
    assert created.status_code == 201
    assert any('Not in the audit log' in t and RESET in t for t in told)
    assert any('is not in the audit log' in t for t in told)
    assert read.status_code == 503


def test_a_database_that_is_being_written_to(log, emulator, monkeypatch):
    """A request waits for no longer than it may."""
    monkeypatch.setattr(bounds, 'AUDIT_SECONDS', 0.05)
    with emulator.database.transaction():
        answer = log.post(RESET, json={'ResetType': 'On'})

    assert answer.status_code == 204
    assert len(log.entries()) == 1


def test_damaged_rows_are_read_as_far_as_they_can_be(table, tmp_path):
    """One that was damaged keeps nobody from the others."""
    for number in range(3):
        table.note(
            Entry(Actor('u'), 'POST', f'/{number}', 204, allowed=['uuid-1'])
        )
    database = db.Database(tmp_path / 'fake-00000000')
    with database.transaction() as connection:
        connection.execute(
            "UPDATE audit SET time = 'x', changed = 'y', allowed = '{' "
            'WHERE id = 2'
        )

    assert len(noted(table)) == 3
    assert len(noted(table, View(['uuid-1']))) == 2


def test_no_state_folder(tmp_path):
    """Where nothing can be written, that is said."""
    options = conf.load()
    log = AuditLog(db.Database(tmp_path / 'fake-00000000'), options)
    with sqlite3.connect(tmp_path / 'fake-00000000/hawkfish.sqlite') as held:
        held.execute('DROP TABLE audit')
    with pytest.raises(exceptions.StateUnavailable):
        log.note(Entry(Actor(), 'POST', '/x', 204))


def test_a_busy_database_holds_up_no_answer(table, tmp_path, monkeypatch):
    """Whatever is waited for, it is as long as a note may take in all."""
    # Whoever waits by these fails the test.
    monkeypatch.setattr(db, 'BUSY_TIMEOUT_MS', 3_600_000)
    monkeypatch.setattr(bounds, 'AUDIT_SECONDS', 0.1)
    database = table._db
    writer = sqlite3.connect(tmp_path / 'fake-00000000/hawkfish.sqlite')
    writer.execute('BEGIN IMMEDIATE')
    assert refused(table)
    writer.rollback()
    writer.close()

    with contextlib.ExitStack() as others:
        others.enter_context(database._pools[os.getpid()].writing(1))
        assert refused(table)
    with contextlib.ExitStack() as others:
        room = database._pools[os.getpid()].room
        for _ in range(bounds.DATABASE_CONNECTIONS):
            others.callback(room.release)
            room.acquire()
        assert refused(table)
    table.note(Entry(Actor('u'), 'POST', '/x', 204))


def test_who_writes_next_waits_as_always(table):
    """A connection that was used for a note is used for other things."""
    table.note(Entry(Actor('u'), 'POST', '/x', 204))

    waits = table._db.query('PRAGMA busy_timeout')
    assert [row['timeout'] for row in waits] == [db.BUSY_TIMEOUT_MS]


def refused(log):
    """Whether *log* gives up to note something, by itself."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        noting = pool.submit(log.note, Entry(Actor('u'), 'POST', '/x', 204))
        wait_for(noting.done, 'a note to be given up')
        return isinstance(noting.exception(), exceptions.StateUnavailable)


def test_the_address_behind_a_proxy(log, emulator):
    """That of the client, where the server takes a proxy's word for it."""
    proxied = werkzeug.test.Client(proxy_fix.ProxyFix(emulator.app, x_for=1))
    for given, shown in (
        ('192.0.2.7', 'http://192.0.2.7'),
        ('203.0.113.1, 2001:db8::7', 'http://[2001:db8::7]'),
    ):
        answer = proxied.post(
            RESET, json={'ResetType': 'On'}, headers={'X-Forwarded-For': given}
        )
        assert answer.status_code == 204
        assert log.newest()['OriginAddress'] == shown
