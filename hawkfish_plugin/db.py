# SPDX-License-Identifier: Apache-2.0
"""
The state database.

Owns the SQLite file: its folder, its mode, its pragmas, its schema and the
migrations from every released version.  Leaves the meaning of the tables to
the modules whose SQL uses them.  No transaction may be held across a call to
the hypervisor.  Long, as all migrations stand together.
"""

import collections
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import TypeVar

from hawkfish_plugin import bounds, exceptions

BUSY_TIMEOUT_MS = 10_000
_PATIENCE_SECONDS = BUSY_TIMEOUT_MS / 1000

T = TypeVar('T')

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
    # Which systems a subscriber may hear of; how much the events take, and
    # their age; the order in which tasks ended, and how long they wait; the
    # time that no change of the clock changes; who works, and whether it does.
    """
    ALTER TABLE subscriptions ADD COLUMN allowed TEXT;
    ALTER TABLE events ADD COLUMN total INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE events ADD COLUMN noted REAL NOT NULL DEFAULT 0;
    UPDATE events SET noted = time;
    CREATE INDEX events_by_total ON events (total);
    ALTER TABLE tasks ADD COLUMN queued REAL;
    CREATE TABLE endings (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL UNIQUE REFERENCES tasks (id) ON DELETE CASCADE
    );
    INSERT INTO endings (task)
        SELECT id FROM tasks WHERE ended IS NOT NULL ORDER BY ended, id;
    CREATE TABLE clock (boot TEXT NOT NULL, ahead REAL NOT NULL);
    CREATE TABLE engine (seen REAL NOT NULL, failing TEXT NOT NULL);
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
    # Whoever may not hear of these systems may not hear of the row either:
    # those of the tasks above a sub-task, and the others of an event.
    """
    ALTER TABLE tasks ADD COLUMN above TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE events ADD COLUMN others TEXT NOT NULL DEFAULT '[]';
    """,
    # Snapshots that were made ready to be fetched as bundles.
    """
    CREATE TABLE exports (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL UNIQUE,
        system TEXT NOT NULL,
        folder TEXT NOT NULL,
        manifest TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL NOT NULL,
        deleting INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX exports_by_system ON exports (system);
    CREATE TABLE uploads (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        files TEXT NOT NULL,
        task INTEGER
    );
    """,
    # Exports of groups, whose systems have a folder each.
    """
    ALTER TABLE exports RENAME COLUMN folder TO folders;
    UPDATE exports SET folders = json_array(folders);
    ALTER TABLE exports ADD COLUMN aggregate TEXT NOT NULL DEFAULT '';
    CREATE INDEX exports_by_aggregate ON exports (aggregate);
    """,
    # Backups in the repository, and what was found when they were verified.
    """
    CREATE TABLE backups (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL UNIQUE,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        token TEXT NOT NULL,
        made TEXT NOT NULL,
        description TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL,
        deleting INTEGER NOT NULL DEFAULT 0,
        verified REAL,
        flaw TEXT
    );
    CREATE INDEX backups_by_system ON backups (system);
    """,
    # What the last verification of a snapshot has found, and its picture;
    # what may have been left behind; and whether the policy keeps the newest
    # snapshot that was proved.
    """
    CREATE TABLE verified (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        time INTEGER NOT NULL,
        passed INTEGER NOT NULL,
        found TEXT NOT NULL,
        pictured INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    CREATE TABLE screenshots (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        picture BLOB NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    CREATE TABLE clones (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        journal TEXT NOT NULL
    );
    ALTER TABLE policies ADD COLUMN keep_verified INTEGER;
    """,
    # Backups that were found in the repository are of no task here.
    """
    CREATE TABLE found_backups (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER UNIQUE,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,
        made TEXT NOT NULL,
        description TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL,
        deleting INTEGER NOT NULL DEFAULT 0,
        verified REAL,
        flaw TEXT
    );
    INSERT INTO found_backups SELECT * FROM backups;
    DROP TABLE backups;
    ALTER TABLE found_backups RENAME TO backups;
    CREATE INDEX backups_by_system ON backups (system);
    """,
    # What is counted and outlives the rows that it was counted by.
    """
    CREATE TABLE task_totals (
        operation TEXT NOT NULL,
        state TEXT NOT NULL,
        tasks INTEGER NOT NULL,
        seconds REAL NOT NULL,
        PRIMARY KEY (operation, state)
    );
    CREATE TABLE push_totals (
        outcome TEXT PRIMARY KEY,
        pushes INTEGER NOT NULL
    );
    """,
    """
    CREATE TABLE far_images (
        path TEXT PRIMARY KEY,
        base TEXT NOT NULL,
        seen INTEGER NOT NULL
    );
    """,
    # The SHA-256 of each part of a staged file that was sent.
    """
    CREATE TABLE export_parts (
        export INTEGER NOT NULL REFERENCES exports (id) ON DELETE CASCADE,
        file TEXT NOT NULL,
        begin INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        PRIMARY KEY (export, file, begin)
    );
    """,
    # Schedules, and which snapshots and backups they have made.
    """
    CREATE TABLE schedules (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        systems TEXT NOT NULL,
        aggregate TEXT,
        options TEXT NOT NULL,
        payload TEXT NOT NULL,
        recurrence TEXT NOT NULL,
        classes TEXT NOT NULL,
        allowed TEXT NOT NULL,
        created REAL NOT NULL,
        suspended INTEGER NOT NULL DEFAULT 0,
        runs INTEGER NOT NULL DEFAULT 0,
        due REAL,
        due_steady REAL,
        last_due REAL,
        last_run REAL,
        outcome TEXT,
        task INTEGER,
        messages TEXT NOT NULL DEFAULT '[]'
    );
    CREATE INDEX schedules_by_due ON schedules (due);
    CREATE TABLE scheduled (
        system TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        created INTEGER NOT NULL,
        schedule INTEGER NOT NULL,
        moment INTEGER NOT NULL,
        PRIMARY KEY (system, snapshot, created)
    );
    ALTER TABLE backups ADD COLUMN schedule INTEGER;
    """,
    # Who has failed to log in, and whose a subscription is; of earlier ones
    # nobody knows.
    """
    CREATE TABLE login_failures (
        address TEXT NOT NULL,
        name TEXT NOT NULL,
        failures INTEGER NOT NULL,
        last REAL NOT NULL,
        PRIMARY KEY (address, name)
    );
    ALTER TABLE subscriptions ADD COLUMN owner TEXT;
    """,
    # Who has changed what; of which systems it tells; and up to where those
    # who go by a list of systems have cleared what they see of it.
    """
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time REAL NOT NULL,
        changed REAL,
        user TEXT NOT NULL,
        address TEXT NOT NULL,
        method TEXT NOT NULL,
        uri TEXT NOT NULL,
        reset TEXT NOT NULL DEFAULT '',
        status INTEGER,
        reason TEXT NOT NULL DEFAULT '',
        task INTEGER UNIQUE,
        operation TEXT,
        snapshot TEXT,
        state TEXT,
        allowed TEXT,
        stranger INTEGER NOT NULL
    );
    CREATE INDEX audit_by_stranger ON audit (stranger, id);
    CREATE TABLE audit_systems (
        entry INTEGER NOT NULL REFERENCES audit (id) ON DELETE CASCADE,
        system TEXT NOT NULL,
        system_name TEXT NOT NULL,
        PRIMARY KEY (entry, system)
    );
    CREATE INDEX audit_by_system ON audit_systems (system, entry);
    CREATE TABLE audit_cleared (
        viewer TEXT NOT NULL,
        system TEXT NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (viewer, system)
    );
    """,
    # Since when an image is not found, instead of when it was.
    """
    ALTER TABLE far_images RENAME COLUMN seen TO missed;
    UPDATE far_images SET missed = 0;
    """,
    # Who answers for a schedule or a subscription, in which file of users; and
    # why the service has suspended a schedule.
    """
    ALTER TABLE schedules ADD COLUMN owner TEXT;
    ALTER TABLE schedules ADD COLUMN users TEXT;
    ALTER TABLE schedules ADD COLUMN reason TEXT;
    ALTER TABLE subscriptions ADD COLUMN users TEXT;
    """,
    # What the last verification of a backup has found, and its picture.
    """
    ALTER TABLE backups ADD COLUMN found TEXT;
    ALTER TABLE backups ADD COLUMN pictured INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE backup_screenshots (
        backup INTEGER PRIMARY KEY REFERENCES backups (id) ON DELETE CASCADE,
        picture BLOB NOT NULL
    );
    """,
)


def decoded(text: object, default: T) -> tuple[T, bool]:
    """
    The JSON value in *text*, and whether it is of the kind of *default*.

    A row may be damaged, by a disk or by hand; it must not keep the others
    from being read.  Then the value is *default*.
    """
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, type(default)):
        return found, True
    return default, False


def number(value: object, default: float = 0) -> float:
    """*value* of a column; *default* where it is no number."""
    return value if isinstance(value, int | float) else default


class _Pool:
    """
    The connections of one process.

    To open one costs as much as all that a request asks of it, so some are
    kept; a burst of requests has to wait for those that there may be.
    """

    def __init__(self) -> None:
        self.room = threading.BoundedSemaphore(bounds.DATABASE_CONNECTIONS)
        self.idle: collections.deque[sqlite3.Connection] = collections.deque()
        self._writing = threading.Lock()

    @contextlib.contextmanager
    def writing(self, seconds: float) -> Iterator[None]:
        """
        Wait for the other writers of this process, for *seconds*.

        SQLite would try again and again, in pauses that grow: with the fifty
        sub-tasks of a group, more is waited than written.
        """
        if not self._writing.acquire(timeout=seconds):
            raise sqlite3.OperationalError('database is locked')
        try:
            yield
        finally:
            self._writing.release()

    def put_back(self, connection: sqlite3.Connection) -> None:
        # Nobody may go on with one whose commit has failed.
        if (
            connection.in_transaction
            or len(self.idle) >= bounds.IDLE_DATABASE_CONNECTIONS
        ):
            connection.close()
        else:
            self.idle.append(connection)


class Database:
    """
    The SQLite file ``hawkfish.sqlite`` in *folder*.

    Raises StateUnavailable where the folder or the file cannot be used, and
    StateTooNew where a newer release has written it.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / 'hawkfish.sqlite'
        # Those of another process must not be carried over a fork, nor
        # closed.
        self._pools: dict[int, _Pool] = collections.defaultdict(_Pool)
        self._local = threading.local()
        self._ahead = 0.0
        make_private_folder(folder)
        with self._errors():
            # Made by us first, as SQLite would make it readable by others.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._migrate()

    @contextlib.contextmanager
    def transaction(
        self, durable: bool = True, patience: float = _PATIENCE_SECONDS
    ) -> Iterator[sqlite3.Connection]:
        """
        A write transaction: all of the block is kept, or nothing.

        Not *durable*, it outlives this process, but is on the disk only with
        the next one that is: until then a host that fails forgets it.
        *patience* is how many seconds it may take until it begins.
        """
        until = time.monotonic() + patience
        with self._errors(), self._connection(patience) as connection:
            if connection.in_transaction:
                # Within another one of this thread, it is part of that.
                yield connection
                return
            level = 'FULL' if durable else 'NORMAL'
            connection.execute(f'PRAGMA synchronous = {level}')
            with self._pools[os.getpid()].writing(_left(until)):
                _begin(connection, _left(until))
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

    def steady(self) -> float:
        """
        Seconds that go on evenly, whatever becomes of the clock.

        The same in all processes, over restarts of the host as well; about
        those since the epoch, as long as the clock was right in the beginning.
        For durations; what is shown to people is the clock's.
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME) + self._ahead

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
    def _connection(
        self, seconds: float = _PATIENCE_SECONDS
    ) -> Iterator[sqlite3.Connection]:
        """
        One that nobody else has; in a transaction, that of this thread.

        Waits for one for *seconds*.
        """
        held: sqlite3.Connection | None = getattr(self._local, 'held', None)
        if held is not None:
            yield held
            return
        pool = self._pools[os.getpid()]
        if not pool.room.acquire(timeout=seconds):
            raise sqlite3.OperationalError('all connections are in use')
        try:
            self._local.held = connection = self._take(pool)
            try:
                yield connection
            finally:
                self._local.held = None
                pool.put_back(connection)
        finally:
            pool.room.release()

    def _take(self, pool: '_Pool') -> sqlite3.Connection:
        with contextlib.suppress(IndexError):
            return pool.idle.pop()
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
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
            self._ahead = _read_clock(connection)


def _left(until: float) -> float:
    """The seconds until then, of the monotonic clock."""
    return max(0.0, until - time.monotonic())


def _begin(connection: sqlite3.Connection, seconds: float) -> None:
    """Begin to write; wait for writers of other processes for *seconds*."""
    connection.execute(f'PRAGMA busy_timeout = {int(seconds * 1000)}')
    try:
        connection.execute('BEGIN IMMEDIATE')
    finally:
        # Whoever has the connection next waits as always.
        connection.execute(f'PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}')


def _text(data: bytes) -> str:
    # What is damaged is one row's, and no reason to read none.
    return data.decode(errors='replace')


def _read_clock(connection: sqlite3.Connection) -> float:
    """How much ``steady`` is ahead of the time since the start of the host."""
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    row = connection.execute('SELECT * FROM clock').fetchone()
    if row and row['boot'] == boot:
        ahead: float = row['ahead']
        return ahead
    # It must not go back to before what was noted with it.
    (latest,) = connection.execute(
        'SELECT MAX(at) FROM (SELECT MAX(used) AS at FROM sessions '
        'UNION SELECT MAX(seen) FROM subscriptions '
        'UNION SELECT MAX(noted) FROM events)'
    ).fetchone()
    now = max(time.time(), latest or 0) if row else time.time()
    ahead = now - time.clock_gettime(time.CLOCK_BOOTTIME)
    connection.execute('DELETE FROM clock')
    connection.execute('INSERT INTO clock VALUES (?, ?)', (boot, ahead))
    return ahead


def make_private_folder(folder: pathlib.Path) -> None:
    """
    Make *folder* and the one above it, readable by their owner only.

    Raises StateUnavailable.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        _make_private(folder)
        # One that others were given a place in is theirs as well.
        if all(_is_state(path) for path in folder.parent.iterdir()):
            _make_private(folder.parent)
    except OSError as exc:
        raise exceptions.StateUnavailable(folder, exc) from exc


def _make_private(folder: pathlib.Path) -> None:
    status = folder.stat()
    if status.st_mode & 0o077 and status.st_uid == os.geteuid():
        folder.chmod(0o700)


def _is_state(path: pathlib.Path) -> bool:
    """Whether *path* is the state of one hypervisor, by its name."""
    return bool(re.fullmatch(r'\w+-[0-9a-f]{8}', path.name))
