# SPDX-License-Identifier: Apache-2.0
"""
A snapshot as its users see it.

Owns what is made of the hypervisor's record, the notes and the task that
works on it: the state, what stands in the way of a delete, and what the
policy has to know.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from hawkfish_plugin import exceptions, notes, retention, tasks
from hawkfish_plugin.drivers import contract

CREATING, READY, REVERTING = 'Creating', 'Ready', 'Reverting'
DELETING, FAILED = 'Deleting', 'Failed'

_STATE_WHILE = {
    'create': CREATING,
    'revert': REVERTING,
    'delete': DELETING,
    'purge': DELETING,
}

# A purge works on all snapshots of a system, and is none of theirs.
ALL = ''


@dataclasses.dataclass(frozen=True)
class View:
    """
    A snapshot as users see it: its record, state and place in the tree.

    *task* is what works on it, or will; *referrers* are the children that
    keep it from being deleted.  *size* and *dependents* need the storage to be
    asked, and are there where that was asked for.
    """

    record: contract.Snapshot
    state: str
    note: notes.Note = notes.NONE
    task: tasks.Task | None = None
    children: tuple[str, ...] = ()
    referrers: tuple[str, ...] = ()
    size: contract.Size | None = None
    dependents: tuple[contract.Dependent, ...] = ()


def gather(
    inventory: contract.Inventory,
    active: Mapping[str, tasks.Task],
    noted: Mapping[tuple[str, int], notes.Note],
) -> list[View]:
    """What is known of each snapshot, and of those being created."""
    listed = [record.name for record in inventory.snapshots]
    records = [
        *inventory.snapshots,
        *(_planned(active[name]) for name in coming(active, listed)),
    ]
    children = contract.children(records)
    referrers = contract.all_referrers(records)
    views = []
    for record in records:
        name = record.name
        task = active.get(name) or active.get(ALL)
        note = noted.get((name, record.created), notes.NONE)
        views.append(
            View(
                record,
                _state(record, task, note),
                note,
                task,
                tuple(children.get(name, ())),
                tuple(referrers.get(name, ())),
                inventory.sizes.get(name),
                tuple(inventory.dependents.get(name, ())),
            )
        )
    return views


def coming(
    active: Mapping[str, tasks.Task], listed: Collection[str]
) -> list[str]:
    """The names of those being created that are not *listed* yet."""
    known = set(listed)
    return [
        name
        for name, task in active.items()
        if name not in known and task.operation == 'create'
    ]


def obstacles(
    view: View, forced: bool = False, merging_all: bool = False
) -> Sequence[exceptions.HawkFishError]:
    """
    What stands in the way of a delete.

    A *forced* one minds no lock, one of all snapshots no child.
    """
    name = view.record.name
    found: list[exceptions.HawkFishError] = []
    if view.note.locked and not forced:
        found.append(exceptions.SnapshotLocked(name))
    if view.referrers and not merging_all:
        found.append(
            exceptions.SnapshotReferenced(name, ', '.join(view.referrers))
        )
    if view.dependents:
        found.append(
            exceptions.SnapshotCloned(
                name,
                ', '.join(dependent.name for dependent in view.dependents),
            )
        )
    return found


def subject(view: View) -> retention.Subject:
    operation = view.task.operation if view.task else None
    reasons = {
        retention.LOCKED: view.note.locked,
        retention.CLONED: bool(view.dependents),
        retention.BUSY: view.task is not None,
        retention.DAMAGED: is_damaged(view.record, view.note),
    }
    return retention.Subject(
        view.record,
        view.size or contract.Size(),
        view.note.expires,
        tuple(reason for reason, holds in reasons.items() if holds),
        pending=operation == 'create',
        leaving=operation in ('delete', 'purge'),
    )


def _planned(task: tasks.Task) -> contract.Snapshot:
    """What is known of a snapshot before the hypervisor knows it."""
    return contract.Snapshot(
        name=task.snapshot,
        description=task.arguments['description'],
        created=int(task.created),
        power_state=None,
        memory=bool(task.arguments['memory']),
        external=True,
    )


def _state(
    record: contract.Snapshot, task: tasks.Task | None, note: notes.Note
) -> str:
    # A task that waits has not begun to revert or delete anything.
    if task and (task.operation == 'create' or task.state != tasks.NEW):
        return _STATE_WHILE[task.operation]
    return FAILED if is_damaged(record, note) else READY


def is_damaged(record: contract.Snapshot, note: notes.Note) -> bool:
    return record.damaged or note.damaged
