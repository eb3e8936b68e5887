# SPDX-License-Identifier: Apache-2.0
"""
Events: what happened, in one order, for whoever listens.

Owns the table ``events``.  An event is recorded in the transaction that
changes what it tells of, so none is lost and none is invented; its id orders
all events of the service and has no gaps.  Who gets them is left to
``subscriptions``, ``delivery`` and ``streams``.
"""

import dataclasses
import json
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import allowed, bounds, db, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.redfish import uris

# How many times as many events as are remembered anyway are kept for a
# destination that cannot be reached.
_BUFFER_FACTOR = 10
# A hypervisor's words can be long, and a push has a limit.
_MAX_ARGUMENT_CHARACTERS = 2000

_NEWEST = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"


@dataclasses.dataclass(frozen=True)
class Origin:
    """
    What an event is about: a resource, and the system that it belongs to.

    *system* None stands for the service itself, *gone* says that the resource
    is not there any more, or never was.  *others* are systems that it belongs
    to as well: only who may see all of them may hear of it.
    """

    uri: str
    type: str
    system: contract.System | None = None
    gone: bool = False
    others: tuple[contract.System, ...] = ()

    @property
    def systems(self) -> Sequence[contract.System]:
        """All of them: it is told to who may hear of each."""
        return (*((self.system,) if self.system else ()), *self.others)


SERVICE = Origin(uris.EVENT_SERVICE, 'EventService')


def snapshot_origin(
    system: contract.System,
    snapshot: str,
    gone: bool = False,
    others: Sequence[contract.System] = (),
) -> Origin:
    """A snapshot, or all of them where *snapshot* is empty."""
    if not snapshot:
        uri = uris.snapshots_uri(system.uuid)
        return Origin(
            uri, 'HawkFishSnapshotCollection', system, others=tuple(others)
        )
    uri = uris.snapshot_uri(system.uuid, snapshot)
    return Origin(uri, 'HawkFishSnapshot', system, gone, tuple(others))


def backup_origin(
    system: contract.System, backup: int | None, gone: bool = False
) -> Origin:
    """A backup of *system*, or all of them where *backup* is None."""
    if backup is None:
        uri = uris.backups_uri(system.uuid)
        return Origin(uri, 'HawkFishBackupCollection', system)
    uri = uris.backup_uri(system.uuid, backup)
    return Origin(uri, 'HawkFishBackup', system, gone)


def group_snapshot_origin(
    group: str,
    snapshot: str,
    systems: Sequence[contract.System],
    gone: bool = False,
) -> Origin:
    """A snapshot of *group*, which has *systems*."""
    uri = uris.group_snapshot_uri(group, snapshot)
    return _of_all(uri, 'HawkFishGroupSnapshot', systems, gone)


def task_origin(task_id: int, systems: Sequence[contract.System]) -> Origin:
    return _of_all(uris.task_uri(task_id), 'Task', systems)


def job_origin(name: str, systems: Sequence[contract.System]) -> Origin:
    return _of_all(uris.job_uri(name), 'Job', systems)


def _of_all(
    uri: str, kind: str, systems: Sequence[contract.System], gone: bool = False
) -> Origin:
    first = systems[0] if systems else None
    return Origin(uri, kind, first, gone, tuple(systems[1:]))


@dataclasses.dataclass(frozen=True)
class NewEvent:
    """Something to record; *given* is what a client chose for a test."""

    message_id: str
    args: Sequence[object]
    origin: Origin
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Event:
    """
    One row; *group* is the id of the first event of the same cause.

    *is_loss* says that this one stands for events that are not kept any more,
    and is no row.
    """

    id: int
    group: int
    time: float
    message_id: str
    args: list[str]
    origin: Origin
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    is_loss: bool = False


class Events:
    """The event table of *database*."""

    def __init__(self, database: db.Database, conf: cfg.ConfigOpts) -> None:
        self._db = database
        self._keep = conf.events.keep
        self.news = threading.Event()
        """Set when this process records; others are found by looking"""

    def record(
        self, connection: sqlite3.Connection, happened: Sequence[NewEvent]
    ) -> None:
        """
        Note what *happened*, of one cause, in the caller's transaction.

        Forgets the oldest events that nobody waits for.
        """
        now, group = time.time(), newest(connection) + 1
        connection.executemany(
            'INSERT INTO events (event_group, time, message, args, origin, '
            'origin_type, origin_gone, system, system_name, given, others, '
            'noted, total) '
            'VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, '
            'IFNULL((SELECT total FROM events ORDER BY id DESC LIMIT 1), 0) '
            '+ ?13)',
            [
                (group, now, *columns, self._db.steady(), size)
                for columns, size in map(_columns, happened)
            ],
        )
        if any(event.given for event in happened):
            self._forget_tests(connection)
        self._forget_oldest(connection, group + len(happened) - 1)
        self._forget_largest(connection)
        self.news.set()

    def submit(self, event: NewEvent) -> None:
        """Record something that changes nothing else."""
        with self._db.transaction() as connection:
            self.record(connection, [event])

    def after(self, last: int, limit: int) -> list[Event]:
        """
        The events after the one with the id *last*, oldest first.

        Where the next ones are not kept any more, the first of the list says
        so, under the id of the last of them.
        """
        found = [
            _event(row)
            for row in self._db.query(
                'SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?',
                last,
                limit,
            )
        ]
        if found and found[0].id > last + 1:
            lost = found[0].id - 1
            found.insert(
                0,
                Event(
                    lost,
                    lost,
                    found[0].time,
                    messages.EVENTS_LOST,
                    [],
                    SERVICE,
                    is_loss=True,
                ),
            )
        return found

    def newest(self) -> int:
        """The id of the newest event, or 0."""
        rows = self._db.query(_NEWEST)
        return rows[0]['seq'] if rows else 0

    def _forget_oldest(
        self, connection: sqlite3.Connection, last_id: int
    ) -> None:
        if last_id <= self._keep:
            return
        last = _id_before(connection, self._keep)
        (delivered,) = connection.execute(
            'SELECT MIN(delivered) FROM subscriptions '
            "WHERE type = 'RedfishEvent' AND NOT suspended"
        ).fetchone()
        if delivered is not None and delivered < last:
            last = max(
                delivered, _id_before(connection, _BUFFER_FACTOR * self._keep)
            )
        connection.execute('DELETE FROM events WHERE id <= ?', (last,))

    @staticmethod
    def _forget_tests(connection: sqlite3.Connection) -> None:
        """Keep few of what clients have made up, so that the others stay."""
        connection.execute(
            "DELETE FROM events WHERE given <> '{}' AND id NOT IN (SELECT id "
            "FROM events WHERE given <> '{}' ORDER BY id DESC LIMIT ?)",
            (bounds.TEST_EVENTS,),
        )

    @staticmethod
    def _forget_largest(connection: sqlite3.Connection) -> None:
        """Keep what takes no more than it may, for whoever waits for it."""
        connection.execute(
            'DELETE FROM events WHERE total <= '
            '(SELECT total FROM events ORDER BY id DESC LIMIT 1) - ?',
            (bounds.EVENTS_BYTES,),
        )


def newest(connection: sqlite3.Connection) -> int:
    """The id of the newest event as a transaction sees it, or 0."""
    row = connection.execute(_NEWEST).fetchone()
    return row['seq'] if row else 0


def _id_before(connection: sqlite3.Connection, count: int) -> int:
    """The id of the newest event before the *count* newest, or 0."""
    # The total grows with the id, and has an index that is quick to read.
    row = connection.execute(
        'SELECT id FROM events ORDER BY total DESC, id DESC LIMIT 1 OFFSET ?',
        (count,),
    ).fetchone()
    return row['id'] if row else 0


def severity(event: Event) -> str:
    """OK, Warning or Critical."""
    told = messages.message(event.message_id, event.args)
    return str(event.given.get('MessageSeverity', told['MessageSeverity']))


def _columns(event: NewEvent) -> tuple[tuple[object, ...], int]:
    """What is noted of it, and how much of the room for all that takes."""
    origin = event.origin
    system = origin.system or contract.System('', '')
    args = [str(arg)[:_MAX_ARGUMENT_CHARACTERS] for arg in event.args]
    columns = (
        event.message_id,
        json.dumps(args),
        origin.uri,
        origin.type,
        origin.gone,
        system.uuid,
        system.name,
        json.dumps(event.given),
        allowed.text_of(origin.others),
    )
    # Those for a test have a bound of their own.
    return columns, 0 if event.given else _size(columns)


def _size(columns: tuple[object, ...]) -> int:
    # What the row takes beside its texts is no more than a few numbers.
    return 64 + sum(len(str(column)) for column in columns)


def _event(row: sqlite3.Row) -> Event:
    system = None
    if row['system']:
        system = contract.System(row['system'], row['system_name'])
    return Event(
        row['id'],
        row['event_group'],
        db.number(row['time']),
        row['message'],
        db.decoded(row['args'], [])[0],
        Origin(
            row['origin'],
            row['origin_type'],
            system,
            bool(row['origin_gone']),
            allowed.systems_in(row['others']),
        ),
        db.decoded(row['given'], {})[0],
    )
