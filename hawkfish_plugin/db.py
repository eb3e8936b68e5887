# SPDX-License-Identifier: Apache-2.0
"""
The state database.

Owns the SQLite file: its folder, its mode, its pragmas, its schema and the
migrations from every released version.  Leaves the meaning of the tables to
the modules whose SQL uses them.  No transaction may be held across a call to
the hypervisor.
"""

import collections
import contextlib
import os
import pathlib
import sqlite3
import threading
from collections.abc import Iterator

from hawkfish_plugin import exceptions

BUSY_TIMEOUT_MS = 10_000

# Append only: each entry takes a database from version N to N+1, and a
# released entry is never changed.  Tasks count from 43, as the emulator has a
# task 42 of its own.
MIGRATIONS = (
    """
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        operation TEXT NOT NULL,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        arguments TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'New',
        step TEXT NOT NULL DEFAULT '',
        percent INTEGER NOT NULL DEFAULT 0,
        journal TEXT NOT NULL DEFAULT '{}',
        messages TEXT NOT NULL DEFAULT '[]',
        payload TEXT NOT NULL,
        result TEXT,
        error TEXT,
        owner TEXT NOT NULL DEFAULT '',
        claims INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        started REAL,
        ended REAL
    );
    INSERT INTO sqlite_sequence VALUES ('tasks', 42);
    CREATE INDEX tasks_by_state ON tasks (state, system);
    CREATE UNIQUE INDEX one_active_task_a_snapshot ON tasks (system, snapshot)
        WHERE state IN ('New', 'Running', 'Cancelling');
    CREATE TABLE damaged (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    """,
    """
    CREATE TABLE quiesced (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    """,
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        event_group INTEGER NOT NULL,
        time REAL NOT NULL,
        message TEXT NOT NULL,
        args TEXT NOT NULL,
        origin TEXT NOT NULL,
        origin_type TEXT NOT NULL,
        origin_gone INTEGER NOT NULL,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        given TEXT NOT NULL DEFAULT '{}'
    );
    CREATE TABLE subscriptions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        type TEXT NOT NULL,
        destination TEXT NOT NULL,
        context TEXT NOT NULL,
        retry_policy TEXT NOT NULL,
        verify INTEGER NOT NULL,
        headers TEXT NOT NULL,
        filters TEXT NOT NULL,
        suspended INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        delivered INTEGER NOT NULL,
        seen REAL NOT NULL
    );
    """,
    """
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        entry TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,
        created REAL NOT NULL,
        used REAL NOT NULL
    );
    CREATE TABLE session_timeout (seconds INTEGER NOT NULL);
    INSERT INTO session_timeout VALUES (1800);
    """,
    """
    CREATE TABLE locked (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    CREATE TABLE expiry (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    CREATE TABLE memory (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    CREATE TABLE policies (
        system TEXT PRIMARY KEY,
        max_snapshots INTEGER,
        max_age INTEGER,
        max_bytes INTEGER,
        on_limit TEXT
    );
    """,
    # Tasks of one system and one snapshot become tasks of any subjects.  What
    # could be cancelled, and what waited for a safety snapshot, was known by
    # the operation and by its arguments.
    """
    DROP INDEX tasks_by_state;
    DROP INDEX one_active_task_a_snapshot;
    ALTER TABLE tasks ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE tasks ADD COLUMN cancellable INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE tasks ADD COLUMN parent INTEGER;
    ALTER TABLE tasks ADD COLUMN after_task INTEGER;
    UPDATE tasks SET
        cancellable = operation IN ('create', 'purge'),
        after_task = json_extract(arguments, '$.safety');
    CREATE TABLE task_subjects (
        task INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        snapshot TEXT,
        lock TEXT NOT NULL,
        active INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (task, position)
    );
    INSERT INTO task_subjects
        SELECT id, 0, system, system_name, NULLIF(snapshot, ''), 'exclusive',
            state IN ('New', 'Running', 'Cancelling')
        FROM tasks;
    ALTER TABLE tasks DROP COLUMN system;
    ALTER TABLE tasks DROP COLUMN system_name;
    ALTER TABLE tasks DROP COLUMN snapshot;
    CREATE INDEX tasks_by_state ON tasks (state);
    CREATE INDEX tasks_by_parent ON tasks (parent) WHERE parent IS NOT NULL;
    CREATE INDEX active_subjects ON task_subjects (system) WHERE active;
    CREATE UNIQUE INDEX one_active_task_a_subject
        ON task_subjects (system, IFNULL(snapshot, ''))
        WHERE active AND lock = 'exclusive';
    """,
    """
    CREATE TABLE attention (
        system TEXT NOT NULL,
        task INTEGER NOT NULL,
        operation TEXT NOT NULL,
        snapshot TEXT,
        step TEXT NOT NULL,
        since REAL NOT NULL,
        PRIMARY KEY (system, task)
    );
    """,
    # A sub-task works within the locks of its parent.
    """
    ALTER TABLE task_subjects ADD COLUMN parent INTEGER;
    DROP INDEX one_active_task_a_subject;
    CREATE UNIQUE INDEX one_active_task_a_subject
        ON task_subjects (system, IFNULL(snapshot, ''), IFNULL(parent, 0))
        WHERE active AND lock = 'exclusive';
    """,
    # Groups of systems, and of which snapshots theirs are made.
    """
    CREATE TABLE aggregates (name TEXT PRIMARY KEY);
    CREATE TABLE aggregate_elements (
        aggregate TEXT NOT NULL
            REFERENCES aggregates (name) ON DELETE CASCADE,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        UNIQUE (aggregate, system)
    );
    CREATE TABLE group_snapshots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        aggregate TEXT NOT NULL
            REFERENCES aggregates (name) ON DELETE CASCADE,
        name TEXT NOT NULL,
        consistency TEXT,
        skew REAL,
        pause REAL,
        written INTEGER,
        UNIQUE (aggregate, name)
    );
    CREATE TABLE group_snapshot_parts (
        group_snapshot INTEGER NOT NULL
            REFERENCES group_snapshots (id) ON DELETE CASCADE,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (group_snapshot, system)
    );
    CREATE INDEX parts_by_system ON group_snapshot_parts (system);
    """,
)


class Database:
    """
    The SQLite file ``hawkfish.sqlite`` in *folder*.

    Raises StateUnavailable where the folder or the file cannot be used, and
    StateTooNew where a newer release has written it.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / 'hawkfish.sqlite'
        # To open one costs as much as all that a request asks of it. Those
        # of another process must not be carried over a fork, nor closed.
        self._idle: dict[int, collections.deque[sqlite3.Connection]] = (
            collections.defaultdict(collections.deque)
        )
        self._local = threading.local()
        make_private_folder(folder)
        with self._errors():
            # Made by us first, as SQLite would make it readable by others.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._migrate()

    @contextlib.contextmanager
    def transaction(
        self, durable: bool = True
    ) -> Iterator[sqlite3.Connection]:
        """
        A write transaction: all of the block is kept, or nothing.

        Not *durable*, it outlives this process, but is on the disk only with
        the next one that is: until then a host that fails forgets it.
        """
        with self._errors(), self._connection() as connection:
            if connection.in_transaction:
                # Within another one of this thread, it is part of that.
                yield connection
                return
            level = 'FULL' if durable else 'NORMAL'
            connection.execute(f'PRAGMA synchronous = {level}')
            connection.execute('BEGIN IMMEDIATE')
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """All statements of the block see the database at one moment."""
        with self._errors(), self._connection() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute('BEGIN')
            try:
                yield connection
            finally:
                connection.rollback()

    def query(self, sql: str, *args: object) -> list[sqlite3.Row]:
        """The rows of one reading statement."""
        with self._errors(), self._connection() as connection:
            return connection.execute(sql, args).fetchall()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except (OSError, sqlite3.Error) as exc:
            raise exceptions.StateUnavailable(self.path.parent, exc) from exc

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One that nobody else has; in a transaction, that of this thread."""
        held: sqlite3.Connection | None = getattr(self._local, 'held', None)
        if held is not None:
            yield held
            return
        self._local.held = connection = self._take()
        try:
            yield connection
        finally:
            self._local.held = None
            if connection.in_transaction:
                # Of a commit that failed; nobody may go on with it.
                connection.close()
            else:
                self._idle[os.getpid()].append(connection)

    def _take(self) -> sqlite3.Connection:
        with contextlib.suppress(IndexError):
            return self._idle[os.getpid()].pop()
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute(f'PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}')
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA foreign_keys = ON')
        return connection

    def _migrate(self) -> None:
        with self.transaction() as connection:
            (version,) = connection.execute('PRAGMA user_version').fetchone()
            if version > len(MIGRATIONS):
                raise exceptions.StateTooNew(
                    self.path, version, len(MIGRATIONS)
                )
            for script in MIGRATIONS[version:]:
                # Not executescript(), which would commit in between.
                for statement in script.split(';'):
                    connection.execute(statement)
            connection.execute(f'PRAGMA user_version = {len(MIGRATIONS)}')


def make_private_folder(folder: pathlib.Path) -> None:
    """
    Make *folder* and the one above it, readable by their owner only.

    Raises StateUnavailable.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise exceptions.StateUnavailable(folder, exc) from exc
