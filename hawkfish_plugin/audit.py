# SPDX-License-Identifier: Apache-2.0
"""
The audit log: who has changed what, from where, and what came of it.

Owns the tables ``audit``, ``audit_systems`` and ``audit_cleared``, which are
bounded, and what of them is shown to whom.  A request has one entry, and the
task that it has begun is told in the same: the end of the task changes it.
What is noted of a request is named here; nothing of a body or a header is, as
either may hold secrets.
"""

import dataclasses
import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import bounds, db
from hawkfish_plugin.allowed import Allowed, permits
from hawkfish_plugin.drivers import contract

LOG = logging.getLogger(__name__)

# As many as are read at a time where all are looked at.
_BATCH = 200


@dataclasses.dataclass(frozen=True)
class Actor:
    """Who acts: the name of a user, if known, and where the client is."""

    user: str = ''
    address: str = ''

    def dump(self) -> Mapping[str, str]:
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, found: object) -> 'Actor':
        """What ``dump`` has made; nobody where it is something else."""
        if not isinstance(found, dict):
            return cls()
        return cls(str(found.get('user', '')), str(found.get('address', '')))


@dataclasses.dataclass(frozen=True)
class Work:
    """A task: its id, and what it does; *state* None is not known."""

    task: int
    operation: str
    snapshot: str | None
    state: str | None = None


@dataclasses.dataclass(frozen=True)
class Entry:
    """
    One entry.  Times are seconds since the epoch.

    *method* is empty where the service has begun the task itself; *status* is
    that of the answer, None where the process died before it; *reset* is the
    ResetType; *reason* the MessageId of a refusal or of a task that failed.
    *allowed* are the systems of the emulator that was asked, *is_strange* says
    that it has not authenticated its client.
    """

    actor: Actor
    method: str
    uri: str
    status: int | None
    work: Work | None = None
    systems: tuple[contract.System, ...] = ()
    reset: str = ''
    reason: str = ''
    allowed: Allowed = None
    is_strange: bool = False
    id: int = 0
    time: float = 0.0
    changed: float | None = None


@dataclasses.dataclass(frozen=True)
class View:
    """
    The entries that whoever goes by *allowed* may see.

    Of one *system*, or all.
    """

    allowed: Allowed
    system: str = ''

    @property
    def viewer(self) -> str:
        return _text(self.allowed)

    def shows(
        self, systems: Sequence[contract.System], writer: object
    ) -> bool:
        """
        Whether it has an entry of *systems*, noted under the list *writer*.

        One of no system may name any that its writer serves.
        """
        if self.allowed is None:
            return True
        if systems:
            return all(permits(self.allowed, system) for system in systems)
        return isinstance(writer, list) and set(writer) <= set(self.allowed)


class AuditLog:
    """The log in *database*."""

    def __init__(self, database: db.Database, conf: cfg.ConfigOpts) -> None:
        self._db = database
        self._keep: int = conf.audit.keep

    @property
    def most(self) -> int:
        """How many entries there may be."""
        return self._keep + bounds.STRANGERS

    def note(self, entry: Entry) -> None:
        """Note a request that was answered; raises StateUnavailable."""
        with self._db.transaction(
            durable=False, patience=bounds.AUDIT_SECONDS
        ) as connection:
            # Its task may have ended before its answer was sent.
            if not _complete(connection, entry):
                _insert(connection, entry, self._keep)

    def ids(self, view: View) -> list[int]:
        """The ids of what *view* shows, newest first."""
        with self._db.reading() as connection:
            found = _visible(connection, view)
            if view.allowed is None:
                return found
            return [
                entry.id
                for entry in _read(connection, found)
                if view.shows(entry.systems, entry.allowed)
            ]

    def load(self, ids: Sequence[int]) -> Iterator[Entry]:
        """The entries with these *ids*, but for those that are gone."""
        for first in range(0, len(ids), _BATCH):
            with self._db.reading() as connection:
                found = list(_read(connection, ids[first : first + _BATCH]))
            yield from found

    def clear(self, view: View) -> None:
        """
        Let *view* show none of the entries that there are.

        Only who may see all of them removes them: what others clear is gone
        for them alone.
        """
        with self._db.transaction() as connection:
            last = connection.execute(
                'SELECT IFNULL(MAX(id), 0) FROM audit'
            ).fetchone()[0]
            if view.allowed is None and not view.system:
                connection.execute('DELETE FROM audit')
            connection.execute(
                'INSERT INTO audit_cleared VALUES (?, ?, ?) '
                'ON CONFLICT DO UPDATE SET last = excluded.last',
                (view.viewer, view.system, last),
            )
            # Those of entries that are gone say nothing.
            connection.execute(
                'DELETE FROM audit_cleared WHERE last < '
                'IFNULL((SELECT MIN(id) FROM audit), 0)'
            )


def end_task(
    connection: sqlite3.Connection,
    work: Work,
    reason: str,
    payload: Mapping[str, Any],
    systems: Sequence[contract.System],
    keep: int,
) -> None:
    """
    Note the end of a task, in the transaction that writes it.

    *payload* is what it keeps of its request, see ``with_actor``; empty of one
    that the service has begun.  Whatever is wrong with the log, the task ends.
    """
    try:
        connection.execute('SAVEPOINT audit')
        try:
            _end(connection, work, reason, payload, systems, keep)
        except BaseException:
            connection.execute('ROLLBACK TO audit')
            raise
        finally:
            connection.execute('RELEASE audit')
    except sqlite3.Error as exc:
        LOG.error(
            'The end of task %d is not in the audit log: %s', work.task, exc
        )


_ACTOR = 'Actor'


def with_actor(payload: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """The *payload* of a task that *actor* has asked for."""
    return {**payload, _ACTOR: actor.dump()}


def without_actor(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The *payload* as Redfish has it."""
    return {name: value for name, value in payload.items() if name != _ACTOR}


# SQL ----------------------------------------------------------------------


def _end(
    connection: sqlite3.Connection,
    work: Work,
    reason: str,
    payload: Mapping[str, Any],
    systems: Sequence[contract.System],
    keep: int,
) -> None:
    now = time.time()
    ended = connection.execute(
        'UPDATE audit SET state = ?, reason = ?, changed = ? WHERE task = ?',
        (work.state, reason, now, work.task),
    ).rowcount
    if ended:
        return
    # The request is not answered yet, or never was, or there was none: a
    # schedule keeps what it asks for, and nobody who does.
    asked = payload if _ACTOR in payload else {}
    entry = Entry(
        Actor.load(asked.get(_ACTOR)),
        str(asked.get('HttpOperation', '')),
        str(asked.get('TargetUri', ''))[: bounds.URI_CHARACTERS],
        None,
        work,
        tuple(systems),
        reason=reason,
    )
    _insert(connection, entry, keep)


def _complete(connection: sqlite3.Connection, entry: Entry) -> bool:
    """Note the answer in the entry of its task; False where there is none."""
    if entry.work is None:
        return False
    return (
        connection.execute(
            'UPDATE audit SET status = ?, reset = ?, allowed = ? '
            'WHERE task = ?',
            (
                entry.status,
                entry.reset,
                _column(entry.allowed),
                entry.work.task,
            ),
        ).rowcount
        > 0
    )


def _insert(connection: sqlite3.Connection, entry: Entry, keep: int) -> None:
    work = entry.work or Work(0, '', None)
    number = connection.execute(
        'INSERT INTO audit (time, user, address, method, uri, reset, status, '
        'reason, task, operation, snapshot, state, allowed, stranger) '
        'VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULLIF(?, 0), ?, ?, ?, ?, ?)',
        (
            time.time(),
            entry.actor.user,
            entry.actor.address,
            entry.method,
            entry.uri,
            entry.reset,
            entry.status,
            entry.reason,
            work.task,
            work.operation or None,
            work.snapshot,
            work.state,
            _column(entry.allowed),
            entry.is_strange,
        ),
    ).lastrowid
    connection.executemany(
        'INSERT INTO audit_systems VALUES (?, ?, ?)',
        [
            (number, uuid, name)
            for uuid, name in {s.uuid: s.name for s in entry.systems}.items()
        ],
    )
    # Strangers have a bound of their own, and cannot displace the others.
    most = bounds.STRANGERS if entry.is_strange else keep
    connection.execute(
        'DELETE FROM audit WHERE stranger = ?1 AND id <= (SELECT id FROM '
        'audit WHERE stranger = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)',
        (entry.is_strange, most),
    )


def _visible(connection: sqlite3.Connection, view: View) -> list[int]:
    """The ids of all that is not cleared, of all systems or of one."""
    (last,) = connection.execute(
        'SELECT IFNULL(MAX(last), 0) FROM audit_cleared '
        "WHERE viewer = ? AND system IN ('', ?)",
        (view.viewer, view.system),
    ).fetchone()
    if view.system:
        rows = connection.execute(
            'SELECT entry FROM audit_systems WHERE system = ? AND entry > ? '
            'ORDER BY entry DESC',
            (view.system, last),
        )
    else:
        rows = connection.execute(
            'SELECT id FROM audit WHERE id > ? ORDER BY id DESC', (last,)
        )
    return [number for (number,) in rows]


def _read(
    connection: sqlite3.Connection, ids: Sequence[int]
) -> Iterator[Entry]:
    """The entries with *ids*, in that order; they may be of any number."""
    wanted = json.dumps(ids)
    systems: dict[int, list[contract.System]] = {}
    for row in connection.execute(
        'SELECT * FROM audit_systems WHERE entry IN '
        '(SELECT value FROM json_each(?)) ORDER BY system_name, system',
        (wanted,),
    ):
        system = contract.System(row['system'], row['system_name'])
        systems.setdefault(row['entry'], []).append(system)
    for row in connection.execute(
        'SELECT audit.* FROM json_each(?) AS wanted '
        'CROSS JOIN audit ON audit.id = wanted.value ORDER BY wanted.key',
        (wanted,),
    ):
        yield _entry(row, tuple(systems.get(row['id'], ())))


def _entry(row: sqlite3.Row, systems: tuple[contract.System, ...]) -> Entry:
    work = None
    if row['task'] is not None:
        work = Work(
            row['task'], row['operation'] or '', row['snapshot'], row['state']
        )
    # What cannot be read was noted by one who serves nothing.
    listed = row['allowed']
    return Entry(
        Actor(row['user'], row['address']),
        row['method'],
        row['uri'],
        row['status'],
        work,
        systems,
        row['reset'],
        row['reason'],
        None if listed is None else db.decoded(listed, [''])[0],
        bool(row['stranger']),
        row['id'],
        db.number(row['time']),
        row['changed'],
    )


def _column(listed: Allowed) -> str | None:
    return None if listed is None else _text(listed)


def _text(listed: Allowed) -> str:
    return json.dumps(None if listed is None else sorted(listed))
