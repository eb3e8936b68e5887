# SPDX-License-Identifier: Apache-2.0
"""The state database: its files, its versions, its transactions."""

import contextlib
import os
import sqlite3
import stat
import threading
import time

import pytest

from hawkfish_plugin import bounds, db, exceptions, locks


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def version(path):
    with sqlite3.connect(path) as connection:
        return connection.execute('PRAGMA user_version').fetchone()[0]


def set_version(path, number):
    with sqlite3.connect(path) as connection:
        connection.execute(f'PRAGMA user_version = {number}')


def insert(connection, snapshot):
    connection.execute('INSERT INTO damaged VALUES ("s", ?, 1)', (snapshot,))


def damaged(database):
    return [
        row['snapshot']
        for row in database.query(
            'SELECT snapshot FROM damaged ORDER BY snapshot'
        )
    ]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'state' / 'fake-0'


@pytest.fixture
def below_a_file(tmp_path):
    """A folder that nobody can make, not even root."""
    (tmp_path / 'file').write_text('')
    return tmp_path / 'file' / 'state'


def test_files_are_private(folder):
    """Nobody but the owner can read the state, whatever the umask."""
    database = db.Database(folder)
    with database.transaction() as connection:
        insert(connection, 'a')

    assert mode(folder) == 0o700
    files = list(folder.iterdir())
    assert database.path in files
    assert {mode(path) for path in files} == {0o600}


def test_a_new_database_gets_every_migration(folder):
    """A database from nothing has the newest version and its tables."""
    database = db.Database(folder)

    assert version(database.path) == len(db.MIGRATIONS)
    assert damaged(database) == []


def test_an_empty_file_of_version_0_is_migrated(folder):
    """A file that a crash left empty is filled, not refused."""
    folder.mkdir(parents=True)
    (folder / 'hawkfish.sqlite').touch()

    assert damaged(db.Database(folder)) == []


def test_opening_again_keeps_what_is_there(folder):
    """A migration that was applied is not applied again."""
    with db.Database(folder).transaction() as connection:
        insert(connection, 'kept')

    assert damaged(db.Database(folder)) == ['kept']


def test_a_migration_that_fails_leaves_nothing_behind(folder, monkeypatch):
    """A database stays at its old version when its migration fails."""
    database = db.Database(folder)
    before = len(db.MIGRATIONS)
    monkeypatch.setattr(
        db,
        'MIGRATIONS',
        (*db.MIGRATIONS, 'CREATE TABLE half (x); INSERT INTO nowhere VALUES'),
    )

    with pytest.raises(exceptions.StateUnavailable):
        db.Database(folder)

    assert version(database.path) == before
    assert not database.query(
        "SELECT * FROM sqlite_master WHERE name = 'half'"
    )


def test_a_database_of_a_newer_release_is_refused(folder):
    """An old release does not touch what it does not understand."""
    path = db.Database(folder).path
    newer = len(db.MIGRATIONS) + 1
    set_version(path, newer)

    with pytest.raises(exceptions.StateTooNew) as raised:
        db.Database(folder)

    assert raised.value.args == (str(path), str(newer), str(newer - 1))
    assert version(path) == newer


def test_a_folder_that_cannot_be_made_is_told(below_a_file):
    """Without a state folder the error names the folder and the reason."""
    with pytest.raises(exceptions.StateUnavailable) as raised:
        db.Database(below_a_file)

    assert raised.value.args[0] == str(below_a_file)
    assert raised.value.args[1]


def test_locks_tell_of_a_folder_that_cannot_be_made(below_a_file):
    """The locks say the same of their folder as the database does."""
    with pytest.raises(exceptions.StateUnavailable):
        locks.Locks(below_a_file)


def test_a_file_that_is_no_database_is_told(folder):
    """A file of something else is an error of ours, and stays as it is."""
    folder.mkdir(parents=True)
    path = folder / 'hawkfish.sqlite'
    path.write_bytes(b'something else' * 1000)

    with pytest.raises(exceptions.StateUnavailable):
        db.Database(folder)

    assert path.read_bytes() == b'something else' * 1000


def test_a_transaction_is_kept_whole_or_not_at_all(folder):
    """An error inside of a transaction undoes all of it."""
    database = db.Database(folder)
    with database.transaction() as connection:
        insert(connection, 'kept')

    with pytest.raises(RuntimeError), database.transaction() as connection:
        insert(connection, 'lost')
        raise RuntimeError

    assert damaged(database) == ['kept']


def test_threads_write_one_after_the_other(folder):
    """Writers of several threads wait for each other, none is refused."""
    database = db.Database(folder)

    def write(thread):
        for number in range(20):
            with database.transaction() as connection:
                insert(connection, f'{thread}-{number}')

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(damaged(database)) == 80


def test_only_what_may_be_forgotten_does_not_wait_for_the_disk(folder):
    """A transaction after one that is not durable is durable again."""
    database = db.Database(folder)
    levels = []
    for durable in (True, False, True):
        with database.transaction(durable) as connection:
            (level,) = connection.execute('PRAGMA synchronous').fetchone()
            levels.append(level)
            insert(connection, f's{len(levels)}')

    # FULL, NORMAL, FULL; and none of them is lost with the process.
    assert levels == [2, 1, 2]
    assert damaged(db.Database(folder)) == ['s1', 's2', 's3']


def test_a_commit_that_fails_blocks_nobody(tmp_path):
    """Who comes next does not go on with the transaction that failed."""
    database = db.Database(tmp_path / 'state')
    with database.transaction() as connection:
        connection.execute(
            'CREATE TABLE a (id INTEGER PRIMARY KEY, '
            'b REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)'
        )
    # Of the connection that the next transaction has.
    database.query('PRAGMA foreign_keys = ON')

    with (
        pytest.raises(sqlite3.IntegrityError),
        database.transaction() as connection,
    ):
        connection.execute('INSERT INTO a VALUES (1, 2)')

    with database.transaction() as connection:
        connection.execute('INSERT INTO a VALUES (3, NULL)')
    assert [row['id'] for row in database.query('SELECT id FROM a')] == [3]


def test_a_burst_leaves_few_connections(folder):
    """So many are used at once as there may be, and few are kept."""
    database, most = db.Database(folder), []
    begin = threading.Barrier(100)

    def read():
        begin.wait()
        for _ in range(5):
            with database.reading():
                most.append(len(open_files(database.path)))
                time.sleep(0.001)

    threads = [threading.Thread(target=read) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Each has the file and its log, and they share an index.  SQLite closes
    # no file that another one has open, and uses it again.
    assert max(most) <= 2 * bounds.DATABASE_CONNECTIONS + 1
    assert len(open_files(database.path)) <= (
        bounds.DATABASE_CONNECTIONS + bounds.IDLE_DATABASE_CONNECTIONS + 1
    )


def open_files(path):
    found = []
    # A path of pathlib for each would take longer than all else here.
    for name in os.listdir('/proc/self/fd'):
        with contextlib.suppress(OSError):
            if os.readlink(f'/proc/self/fd/{name}').startswith(str(path)):
                found.append(name)
    return found


def test_a_folder_that_others_can_read_is_closed(folder):
    """Whoever made it before, and however."""
    folder.parent.mkdir(mode=0o755)
    folder.parent.chmod(0o755)
    state = folder.with_name('fake-0123abcd')
    state.mkdir()
    state.chmod(0o755)

    db.Database(state)

    assert mode(state) == mode(state.parent) == 0o700


def test_a_folder_of_others_stays_as_it_is(folder):
    """What is not only ours is not closed to its users."""
    folder.parent.mkdir()
    folder.parent.chmod(0o755)
    (folder.parent / 'other').mkdir()

    db.Database(folder.with_name('fake-0123abcd'))

    assert mode(folder.parent) == 0o755
