# SPDX-License-Identifier: Apache-2.0
"""
What a schedule is, and its row.

A row may be damaged, by a disk or by hand: of what cannot be read, nothing is
done, and no other schedule is kept from its runs.
"""

import dataclasses
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import allowed, db, exceptions
from hawkfish_plugin.accounts.owners import Owner
from hawkfish_plugin.drivers.contract import System
from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.schedules.recurrence import Recurrence


@dataclasses.dataclass(frozen=True)
class Draft:
    """
    What a client asks for.

    *kind* is one of ``operations.scheduling``, which knows its *options*;
    *systems* are those that it is for, of a group those of now.  *payload* is
    the request as it is shown.  *allowed* are the UUIDs and names of the
    systems that its maker may reach; None: all.  *owner* answers for it, where
    users are known.
    """

    kind: str
    systems: tuple[System, ...]
    group: str | None
    options: Mapping[str, Any]
    payload: Mapping[str, Any]
    recurrence: Recurrence
    classes: Classes
    allowed: allowed.Allowed
    owner: Owner | None


@dataclasses.dataclass(frozen=True)
class Schedule(Draft):
    """
    One row.  Times are seconds since the epoch.

    *due* is when it runs next; None: no more.  *runs* are all occurrences so
    far, also those that were skipped or refused.  *last_due* is when the last
    one should have been, *last_run* when it was, *outcome* what became of it,
    *task* its task, and *messages* pairs of a MessageId and its arguments.
    *reason* is the MessageId of why the service has suspended it.
    """

    id: int
    name: str
    created: float
    suspended: bool
    runs: int
    due: float | None
    last_due: float | None
    last_run: float | None
    outcome: str | None
    task: int | None
    messages: Sequence[tuple[str, list[str]]]
    reason: str | None

    @property
    def lacks_system(self) -> bool:
        """Whether its last run has found that its system is not there."""
        return any(
            exceptions.SystemNotFound.has_id(key) and args[:1] == ['System']
            for key, args in self.messages
        )


Found = list[Schedule]


def read(rows: Sequence[sqlite3.Row]) -> Found:
    found = []
    for row in rows:
        nothing: dict[str, Any] = {}
        rule, _ = db.decoded(row['recurrence'], nothing)
        # Of what cannot be read, nothing is done.
        if _is_sound(row) and _is_rule(rule):
            found.append(_schedule(row, Recurrence.load(rule)))
    return found


def _is_sound(row: sqlite3.Row) -> bool:
    """Whether it can be read who asks for what, and with which options."""
    nothing: dict[str, Any] = {}
    no_list: list[Any] = []
    return (
        bool(db.decoded(row['payload'], nothing)[0])
        and db.decoded(row['options'], nothing)[1]
        and db.decoded(row['systems'], no_list)[1]
        and (
            row['allowed'] == 'null' or db.decoded(row['allowed'], no_list)[1]
        )
    )


def _is_rule(stored: Mapping[str, Any]) -> bool:
    """Whether *stored* has numbers, and lists of them, where they belong."""
    numbers = ('interval', 'offset', 'most', 'ends')
    lists = ('weekdays', 'days', 'months')
    return (
        isinstance(stored.get('start'), int)
        and all(isinstance(stored.get(n), int | None) for n in numbers)
        and all(
            isinstance(found := stored.get(n, []), list)
            and all(isinstance(one, int) for one in found)
            for n in lists
        )
    )


def classes_of(row: sqlite3.Row) -> Classes:
    """Where they cannot be read, none: what there is stays."""
    nothing: dict[str, Any] = {}
    found, _ = db.decoded(row['classes'], nothing)
    sound = all(isinstance(value, int) for value in found.values())
    return Classes.load(found) if sound else Classes()


def _schedule(row: sqlite3.Row, rule: Recurrence) -> Schedule:
    nothing: dict[str, Any] = {}
    no_list: list[Any] = []
    everything = row['allowed'] == 'null'
    return Schedule(
        row['kind'],
        allowed.systems_in(row['systems']),
        row['aggregate'],
        db.decoded(row['options'], nothing)[0],
        db.decoded(row['payload'], nothing)[0],
        rule,
        classes_of(row),
        None if everything else db.decoded(row['allowed'], no_list)[0],
        Owner.of(row['owner'], row['users']),
        row['id'],
        row['name'],
        row['created'],
        bool(row['suspended']),
        row['runs'],
        row['due'],
        row['last_due'],
        row['last_run'],
        row['outcome'],
        row['task'],
        [(str(one[0]), list(one[1])) for one in _pairs(row['messages'])],
        row['reason'],
    )


def _pairs(text: object) -> list[Any]:
    no_list: list[Any] = []
    return [
        one
        for one in db.decoded(text, no_list)[0]
        if isinstance(one, list) and len(one) == 2
    ]
