# SPDX-License-Identifier: Apache-2.0
"""
Groups of systems, and which snapshots of their members belong together.

Owns the tables ``aggregates``, ``aggregate_elements``, ``group_snapshots``
and ``group_snapshot_parts``, and their SQL.  A member's snapshot is known by
its system, its time of creation and the name that all of them have: what the
hypervisor knows of it, and its note, are as of any other snapshot.  A lost
database loses no snapshot, and which belong together can be told again from
their names and times.
"""

import dataclasses
import itertools
import json
import sqlite3
from collections.abc import Callable, Sequence

from hawkfish_plugin import bounds, db, exceptions
from hawkfish_plugin.drivers.contract import System


@dataclasses.dataclass(frozen=True)
class Group:
    """*members* in the order in which they were added."""

    name: str
    members: tuple[System, ...]

    @property
    def uuids(self) -> frozenset[str]:
        return frozenset(member.uuid for member in self.members)


@dataclasses.dataclass(frozen=True)
class Part:
    """
    The snapshot *name* of one *system*.

    *created* is in seconds since the epoch.  It had the name of the group
    snapshot, unless another client has renamed it.
    """

    system: System
    name: str
    created: int


@dataclasses.dataclass(frozen=True)
class GroupSnapshot:
    """
    The snapshots of several systems that belong together.

    *consistency* is one of ``contract.CONSISTENCIES``, or None where it is
    not known; *skew* and *pause* are in milliseconds, *written* the bytes of
    memory that were written meanwhile, None where they were not measured.
    """

    name: str
    parts: tuple[Part, ...]
    consistency: str | None = None
    skew: float | None = None
    pause: float | None = None
    written: int | None = None

    @property
    def created(self) -> int:
        return min(part.created for part in self.parts)


class Groups:
    """The groups in *database*."""

    def __init__(self, database: db.Database) -> None:
        self._db = database

    # Their members --------------------------------------------------------

    def all(self) -> Sequence[Group]:
        """Every group, by name."""
        return _groups(
            self._db.query(
                'SELECT * FROM aggregate_elements ORDER BY aggregate, position'
            )
        )

    def get(self, name: str) -> Group:
        """Raises GroupNotFound."""
        found = self._read(name)
        if not found:
            raise exceptions.GroupNotFound(name)
        return found[0]

    def _read(self, *names: str) -> Sequence[Group]:
        rows = self._db.query(
            'SELECT * FROM aggregate_elements WHERE aggregate IN '
            '(SELECT value FROM json_each(?)) ORDER BY aggregate, position',
            json.dumps(names),
        )
        return _groups(rows)

    def of(self, system: str) -> Sequence[Group]:
        """The groups that *system* is in."""
        return [group for group in self.all() if system in group.uuids]

    def create(self, name: str | None, members: Sequence[System]) -> Group:
        """
        A new group, called ``group-1`` and so on where *name* is None.

        Raises GroupExists, and CreateLimitReachedForResource.
        """
        with self._db.transaction() as connection:
            taken = {
                row['name']
                for row in connection.execute('SELECT name FROM aggregates')
            }
            if name is not None and name in taken:
                raise exceptions.GroupExists(name)
            if len(taken) >= bounds.AGGREGATES:
                raise exceptions.CreateLimitReachedForResource()
            chosen = name or next(
                f'group-{number}'
                for number in itertools.count(1)
                if f'group-{number}' not in taken
            )
            connection.execute('INSERT INTO aggregates VALUES (?)', (chosen,))
            _insert_members(connection, chosen, members)
        return self.get(chosen)

    def delete(self, name: str) -> None:
        """Forget a group; the snapshots of its members stay."""
        with self._db.transaction() as connection:
            connection.execute(
                'DELETE FROM aggregates WHERE name = ?', (name,)
            )

    def add(self, name: str, members: Sequence[System]) -> Group:
        """
        Add systems to a group.

        Raises GroupNotFound, and GroupMemberDuplicate for one that it has.
        """
        with self._db.transaction() as connection:
            there = self.get(name).uuids
            if len(there) + len(members) > bounds.ELEMENTS:
                raise exceptions.ArraySizeTooLong(
                    'Elements', bounds.ELEMENTS, related=['#/Elements']
                )
            exceptions.check(
                [
                    exceptions.GroupMemberDuplicate(
                        member.name, related=[f'#/Elements/{position}']
                    )
                    for position, member in enumerate(members)
                    if member.uuid in there
                ]
            )
            _insert_members(connection, name, members)
        return self.get(name)

    def remove(self, name: str, members: Sequence[System]) -> Group:
        """
        Remove systems from a group; their snapshots become theirs alone.

        Raises GroupNotFound, GroupNotMember for one that it does not have,
        and GroupEmpty where none would be left.
        """
        with self._db.transaction() as connection:
            there = self.get(name).uuids
            gone = {member.uuid for member in members}
            exceptions.check(
                [
                    exceptions.GroupNotMember(
                        member.name, name, related=[f'#/Elements/{position}']
                    )
                    for position, member in enumerate(members)
                    if member.uuid not in there
                ]
            )
            if gone == there:
                raise exceptions.GroupEmpty(related=['#/Elements'])
            for uuid in gone:
                connection.execute(
                    'DELETE FROM aggregate_elements '
                    'WHERE aggregate = ? AND system = ?',
                    (name, uuid),
                )
                connection.execute(
                    'DELETE FROM group_snapshot_parts WHERE system = ? '
                    'AND group_snapshot IN (SELECT id FROM group_snapshots '
                    'WHERE aggregate = ?)',
                    (uuid, name),
                )
        return self.get(name)

    # Their snapshots ------------------------------------------------------

    def snapshots(self, name: str) -> Sequence[GroupSnapshot]:
        """Those of one group, oldest first."""
        rows = self._db.query(
            'SELECT * FROM group_snapshots '
            'JOIN group_snapshot_parts ON group_snapshot = id '
            'WHERE aggregate = ? ORDER BY id, system_name',
            name,
        )
        return [
            _snapshot(tuple(parts))
            for _, parts in itertools.groupby(rows, lambda row: row['id'])
        ]

    def note(self, name: str, snapshot: GroupSnapshot) -> None:
        """
        Note a snapshot of a group, in the place of a former one of its name.

        Before its task ends, so that it is there with that.  Raises
        GroupNotFound, and GroupNotMember for a part of another system.
        """
        with self._db.transaction(durable=False) as connection:
            there = self.get(name).uuids
            exceptions.check(
                [
                    exceptions.GroupNotMember(part.system.name, name)
                    for part in snapshot.parts
                    if part.system.uuid not in there
                ]
            )
            _forget(connection, name, snapshot.name)
            row = connection.execute(
                'INSERT INTO group_snapshots '
                '(aggregate, name, consistency, skew, pause, written) '
                'VALUES (?, ?, ?, ?, ?, ?) RETURNING id',
                (
                    name,
                    snapshot.name,
                    snapshot.consistency,
                    snapshot.skew,
                    snapshot.pause,
                    snapshot.written,
                ),
            ).fetchone()
            connection.executemany(
                'INSERT INTO group_snapshot_parts VALUES (?, ?, ?, ?, ?)',
                [
                    (
                        row['id'],
                        part.system.uuid,
                        part.system.name,
                        part.name,
                        part.created,
                    )
                    for part in snapshot.parts
                ],
            )

    def parts_of(self, system: str) -> set[tuple[str, int]]:
        """The names and times of what group snapshots have of *system*."""
        rows = self._db.query(
            'SELECT snapshot, created FROM group_snapshot_parts '
            'WHERE system = ?',
            system,
        )
        return {(row['snapshot'], row['created']) for row in rows}

    def rename(self, system: str, old: str, new: str, created: int) -> None:
        """Know a snapshot that another client has renamed."""
        with self._db.transaction() as connection:
            connection.execute(
                'UPDATE group_snapshot_parts SET snapshot = ? '
                'WHERE system = ? AND snapshot = ? AND created = ?',
                (new, system, old, created),
            )

    def measured(self, name: str, snapshot: str, written: int) -> None:
        """Note how many bytes of memory were written for a snapshot."""
        with self._db.transaction(durable=False) as connection:
            connection.execute(
                'UPDATE group_snapshots SET written = ? '
                'WHERE aggregate = ? AND name = ?',
                (written, name, snapshot),
            )

    def forget(self, name: str, snapshot: str) -> None:
        """Forget that the snapshots of the members belong together."""
        with self._db.transaction(durable=False) as connection:
            _forget(connection, name, snapshot)

    def belonging(
        self, system: str, serves: Callable[[System], bool]
    ) -> dict[tuple[str, int], tuple[tuple[str, str], ...]]:
        """
        To which group snapshots the snapshots of *system* belong.

        By name and time of creation, the names of the groups and of their
        snapshots; of groups with a member that *serves* is not true for, none.
        """
        found: dict[tuple[str, int], tuple[tuple[str, str], ...]] = {}
        rows = self._db.query(
            'SELECT snapshot, created, aggregate, name '
            'FROM group_snapshot_parts '
            'JOIN group_snapshots ON id = group_snapshot '
            'WHERE system = ? ORDER BY aggregate',
            system,
        )
        shown = {
            group.name
            for group in self._read(*{row['aggregate'] for row in rows})
            if all(map(serves, group.members))
        }
        for row in rows:
            if row['aggregate'] in shown:
                key = row['snapshot'], row['created']
                found[key] = (
                    *found.get(key, ()),
                    (row['aggregate'], row['name']),
                )
        return found

    def sharing(
        self, system: str, snapshot: str, created: int
    ) -> Sequence[tuple[str, str]]:
        """
        The group snapshots that go where this snapshot of *system* goes whole.

        Those that it is a part of, those that share other parts with them, and
        so on: the names of the groups and of their snapshots, oldest first.
        """
        rows = self._db.query(
            'WITH RECURSIVE whole (id) AS ('
            'SELECT group_snapshot FROM group_snapshot_parts '
            'WHERE system = ? AND snapshot = ? AND created = ? '
            'UNION SELECT other.group_snapshot FROM whole '
            'JOIN group_snapshot_parts mine ON mine.group_snapshot = whole.id '
            'JOIN group_snapshot_parts other USING (system, snapshot, created)'
            ') SELECT aggregate, name FROM group_snapshots '
            'JOIN whole USING (id) ORDER BY id',
            system,
            snapshot,
            created,
        )
        return [(row['aggregate'], row['name']) for row in rows]

    def written_per_second(self, name: str) -> float | None:
        """How many bytes of memory were written in the latest pause."""
        rows = self._db.query(
            'SELECT written, pause FROM group_snapshots '
            'WHERE aggregate = ? AND written > 0 AND pause > 0 '
            'ORDER BY id DESC LIMIT 1',
            name,
        )
        if not rows:
            return None
        return float(1000 * rows[0]['written'] / rows[0]['pause'])


def _groups(rows: Sequence[sqlite3.Row]) -> Sequence[Group]:
    """The groups that *rows*, which are sorted by them, have members of."""
    return [
        Group(key, tuple(map(_system, members)))
        for key, members in itertools.groupby(
            rows, lambda row: str(row['aggregate'])
        )
    ]


def _system(row: sqlite3.Row) -> System:
    return System(row['system'], row['system_name'])


def _snapshot(rows: Sequence[sqlite3.Row]) -> GroupSnapshot:
    first = rows[0]
    return GroupSnapshot(
        first['name'],
        tuple(
            Part(_system(row), row['snapshot'], row['created']) for row in rows
        ),
        first['consistency'],
        first['skew'],
        first['pause'],
        first['written'],
    )


def _insert_members(
    connection: sqlite3.Connection, name: str, members: Sequence[System]
) -> None:
    connection.executemany(
        'INSERT INTO aggregate_elements (aggregate, system, system_name) '
        'VALUES (?, ?, ?)',
        [(name, member.uuid, member.name) for member in members],
    )


def _forget(connection: sqlite3.Connection, name: str, snapshot: str) -> None:
    connection.execute(
        'DELETE FROM group_snapshots WHERE aggregate = ? AND name = ?',
        (name, snapshot),
    )
