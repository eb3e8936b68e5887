# SPDX-License-Identifier: Apache-2.0
"""
The snapshots of every system, as their users see them.

Owns what is made of the hypervisor's records, the notes and the task that
works on a snapshot: its state, its place in the tree, what stands in the way
of its delete, and what the policy has to know.  The hypervisor alone knows
which snapshots exist; there is no list of them here.  Long, as all that is
said of a snapshot comes of one look at the three.
"""

import contextlib
import dataclasses
from collections.abc import (
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any

from hawkfish_plugin import exceptions, locks, notes, tree
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.table import Groups
from hawkfish_plugin.retention import rules
from hawkfish_plugin.tasks.operation import Effect, Kinds, effect_of
from hawkfish_plugin.tasks.reading import TaskReader
from hawkfish_plugin.tasks.task import NEW, Task

# While no task works on it; see Effect.
READY, FAILED = 'Ready', 'Failed'

# A system of which nobody may hear who asks.
_HIDDEN = contract.Dependent('others that are not shown', '')


@dataclasses.dataclass(frozen=True)
class View:
    """
    A snapshot as users see it: its record, state and place in the tree.

    *task* is what works on it, or will, and *effect* what that does to it;
    *referrers* are the children that keep it from being deleted.  *size*,
    *dependents* and *written* need the storage to be asked, and are there
    where that was asked for; for *written* see ``contract.Inventory``.
    *groups* names the groups, each with the one of its snapshots,
    that it is a part of.
    """

    record: contract.Snapshot
    state: str
    note: notes.Note = notes.NONE
    task: Task | None = None
    effect: Effect | None = None
    children: tuple[str, ...] = ()
    referrers: tuple[str, ...] = ()
    size: contract.Size | None = None
    dependents: tuple[contract.Dependent, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    written: tuple[str, float] | None = None

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def is_damaged(self) -> bool:
        record = self.record
        return record.damaged or record.overwritten or self.note.damaged

    @property
    def is_verified(self) -> bool:
        """Whether the last verification has passed."""
        verification = self.note.verification
        return verification is not None and verification.passed


class Catalogue:
    """
    The snapshots of every system that *driver* serves.

    *shows* says of which systems the present request may hear.
    """

    def __init__(
        self,
        driver: contract.Driver,
        task_table: TaskReader,
        lock_files: locks.Locks,
        note_table: notes.Notes,
        group_table: Groups,
        kinds: Kinds,
        shows: Callable[[contract.System], bool],
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._locks = lock_files
        self._notes = note_table
        self._groups = group_table
        self._kinds = kinds
        self._shows = shows

    def system(self, identity: str) -> contract.System:
        """The system with this UUID or name; raises SystemNotFound."""
        return self._driver.resolve(identity)

    def capabilities(self, system: contract.System) -> contract.Capabilities:
        """What snapshots *system* can have as it is now."""
        found = self._driver.capabilities(system.uuid)
        flaws = _flaws(system, self._driver.snapshots(system.uuid))
        left = self._tasks.attention.findings(system.uuid)
        return dataclasses.replace(
            found, findings=(*left, *flaws, *found.findings)
        )

    @contextlib.contextmanager
    def deciding(self, *systems: contract.System) -> Iterator[None]:
        """Decide alone what is submitted for *systems*; see ``locks``."""
        uuids = [system.uuid for system in systems]
        with self._locks.deciding(*uuids), self._driver.at_one_time(*uuids):
            yield

    def check_whole(self, system: contract.System) -> None:
        """Raise where an operation has left *system* half changed."""
        exceptions.check(self._tasks.attention.findings(system.uuid))

    def list(
        self,
        system: contract.System,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> Sequence[View]:
        """
        Every snapshot, oldest first, with those being created.

        *measured* adds sizes and dependents, no older than *freshness* says.
        """
        # The tasks first: a create that ends in between is then shown once
        # too long as Creating, never left out.
        active = self._tasks.active(system.uuid)
        if measured:
            inventory = self._driver.inventory(system.uuid, freshness)
        else:
            inventory = contract.Inventory(self._driver.snapshots(system.uuid))
        noted = self._noted(system, inventory.snapshots, bool(active))
        belonging = self._groups.belonging(system.uuid, self._shows)
        return [
            dataclasses.replace(view, groups=belonging[key])
            if (key := (view.name, view.record.created)) in belonging
            else view
            for view in self._views(inventory, active, noted)
        ]

    def _noted(
        self,
        system: contract.System,
        records: Sequence[contract.Snapshot],
        changing: bool,
    ) -> Mapping[notes.Key, notes.Note]:
        """
        The notes of *system*; what is noted of a renamed snapshot follows it.

        What its system overwrites is noted as damaged.
        """
        noted = self._notes.read(system.uuid)
        listed = {(record.name, record.created) for record in records}
        # A snapshot that is being made has none yet.
        # An adopted part of a group snapshot may have no note at all.
        known = noted.keys() | self._groups.parts_of(system.uuid)
        found = () if changing else notes.renamed(known, listed)
        changed = False
        for (old, created), new in found:
            self._driver.renamed(system.uuid, old, new)
            self._notes.rename(system.uuid, old, new, created)
            self._groups.rename(system.uuid, old, new, created)
            changed = True
        # When the system is off again nobody can tell any more.
        for record in records:
            note = noted.get((record.name, record.created), notes.NONE)
            if record.overwritten and not note.damaged:
                self._notes.damage(system.uuid, record.name, record.created)
                changed = True
        return self._notes.read(system.uuid) if changed else noted

    def _views(
        self,
        inventory: contract.Inventory,
        active: Mapping[str | None, Task],
        noted: Mapping[tuple[str, int], notes.Note],
    ) -> Sequence[View]:
        listed = [record.name for record in inventory.snapshots]
        records = [
            *inventory.snapshots,
            *(_planned(active[n], n) for n in self._coming(active, listed)),
        ]
        children = tree.children(records)
        referrers = self._driver.referrers(records)
        views = []
        for record in records:
            name = record.name
            # A task of the system itself works on all of its snapshots.
            task = active.get(name) or active.get(None)
            effect = effect_of(task, self._kinds)
            view = View(
                record,
                READY,
                noted.get((name, record.created), notes.NONE),
                task if effect or name in active else None,
                effect,
                tuple(children.get(name, ())),
                tuple(referrers.get(name, ())),
                inventory.sizes.get(name),
                tuple(map(self._told, inventory.dependents.get(name, ()))),
                written=inventory.written.get(name),
            )
            views.append(dataclasses.replace(view, state=_state(view)))
        return views

    def _told(self, dependent: contract.Dependent) -> contract.Dependent:
        """*dependent* as it may be told: of a hidden system, no more."""
        if dependent.uuid is None or self._shows(
            contract.System(dependent.uuid, dependent.name)
        ):
            return dependent
        return _HIDDEN

    def _coming(
        self, active: Mapping[str | None, Task], listed: Collection[str]
    ) -> Sequence[str]:
        """The names of those being created that are not *listed* yet."""
        known = set(listed)
        return [
            name
            for name, task in active.items()
            if name is not None
            and name not in known
            and effect_of(task, self._kinds) == Effect.CREATING
        ]

    def names(self, system: contract.System) -> Sequence[str]:
        """The names of what ``list`` lists, for much less."""
        active = self._tasks.active(system.uuid)
        listed = self._driver.names(system.uuid)
        return [*listed, *self._coming(active, listed)]

    def exists(self, system: contract.System, name: str) -> bool:
        return self._driver.exists(system.uuid, name)

    def get(
        self,
        system: contract.System,
        name: str,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> View:
        """One of what ``list`` lists; raises SnapshotNotFound."""
        return _named(self.list(system, measured, freshness), name)

    def sound(
        self,
        system: contract.System,
        name: str,
        measured: bool = False,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> View:
        """As ``get``; raises where the snapshots of *system* are no tree."""
        views = self.list(system, measured, freshness)
        check_sound(system, [view.record for view in views])
        return _named(views, name)

    def same(
        self,
        system: contract.System,
        name: str,
        created: int,
        freshness: contract.Freshness | None = None,
    ) -> View:
        """
        The snapshot *name* that was created then; measured with *freshness*.

        Raises SnapshotNotFound, and SnapshotReplaced where the name is
        another snapshot's by now.
        """
        view = self.sound(
            system,
            name,
            freshness is not None,
            freshness or contract.Freshness.CACHED,
        )
        if view.record.created != created:
            raise exceptions.SnapshotReplaced(name)
        return view

    def subjects(
        self,
        system: contract.System,
        measured: bool = True,
        freshness: contract.Freshness = contract.Freshness.LISTED,
    ) -> Sequence[rules.Subject]:
        """Every snapshot, as the policy sees it."""
        return [
            _subject(view) for view in self.list(system, measured, freshness)
        ]

    def update(
        self,
        system: contract.System,
        name: str,
        changes: Mapping[str, Any],
        check: Callable[[View], None],
    ) -> View:
        """
        Set ``description``, ``locked`` and ``expires`` as *changes* have it.

        *check* may refuse, by what the snapshot is when nobody else changes
        it any more.  Raises SnapshotNotFound, SnapshotBusy, SystemLocked, and
        SystemUnsettled.
        """
        check_free(self.get(system, name), system)
        with contextlib.ExitStack() as stack:
            stack.enter_context(
                self._locks.system(system.uuid, locks.REQUEST_TIMEOUT)
            )
            view = self.get(system, name, measured=True)
            check_free(view, system)
            self._check_settled(system)
            # Not while others decide by what is changed here.
            stack.enter_context(self.deciding(system))
            check(view)
            if changes.get('description', view.record.description) != (
                view.record.description
            ):
                self._driver.describe(
                    system.uuid, name, changes['description']
                )
            self._notes.update(system.uuid, view.record, changes)
            return self.get(system, name, measured=True)

    def screenshot(self, system: contract.System, name: str) -> bytes | None:
        """The picture of the last verification, a PNG file, if it has one."""
        record = self.get(system, name).record
        return self._notes.screenshot(system.uuid, name, record.created)

    def _check_settled(self, system: contract.System) -> None:
        task = self._tasks.unsettled(system.uuid)
        if task:
            raise exceptions.SystemUnsettled(
                system.name, task.operation, task.id
            )


def _named(views: Sequence[View], name: str) -> View:
    for view in views:
        if view.name == name:
            return view
    raise exceptions.SnapshotNotFound(name)


def check_sound(
    system: contract.System, records: Sequence[contract.Snapshot]
) -> None:
    """Raise where the snapshots of *system* are no tree."""
    exceptions.check(_flaws(system, records))


def _flaws(
    system: contract.System, records: Sequence[contract.Snapshot]
) -> Sequence[exceptions.HawkFishError]:
    names = tree.flaws(records)
    if not names:
        return ()
    error = exceptions.SnapshotTreeInvalid(system.name, ', '.join(names))
    return (error,)


def check_free(view: View, system: contract.System) -> None:
    """Raise where a task works on the snapshot, or on all of them."""
    task = view.task
    if task is None:
        return
    if task.snapshot is None and view.effect == Effect.DELETING:
        raise exceptions.SystemBeingPurged(system.name, task.id)
    raise exceptions.SnapshotBusy(view.name, task.operation, task.id)


def check_intact(view: View) -> None:
    """Raise where the data of the snapshot is half overwritten."""
    if view.is_damaged:
        raise exceptions.SnapshotDamaged(view.name)


def obstacles(
    view: View, forced: bool = False, merging_all: bool = False
) -> Sequence[exceptions.HawkFishError]:
    """
    What stands in the way of a delete.

    A *forced* one minds no lock, one of all snapshots no child.
    """
    name = view.name
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
                name, ', '.join(other.name for other in view.dependents)
            )
        )
    return found


def _subject(view: View) -> rules.Subject:
    reasons = {
        rules.LOCKED: view.note.locked,
        rules.CLONED: bool(view.dependents),
        rules.BUSY: view.task is not None,
        rules.DAMAGED: view.is_damaged,
    }
    return rules.Subject(
        view.record,
        view.size or contract.Size(),
        view.note.expires,
        tuple(reason for reason, holds in reasons.items() if holds),
        pending=view.effect == Effect.CREATING,
        leaving=view.effect == Effect.DELETING,
        verified=view.is_verified,
        scheduled=view.note.scheduled,
    )


def _planned(task: Task, name: str) -> contract.Snapshot:
    """What is known of a snapshot before the hypervisor knows it."""
    return contract.Snapshot(
        name=name,
        description=task.intent.description,
        created=int(task.created),
        power_state=None,
        memory=bool(task.intent.memory),
        external=True,
    )


def state_while(task: Task | None, effect: Effect | None) -> str | None:
    """The state of a snapshot on which *task* has that *effect*, if any."""
    # A task that waits has not begun to revert or delete anything.
    waits = task is None or task.state == NEW
    if effect and (effect == Effect.CREATING or not waits):
        return effect.value
    return None


def _state(view: View) -> str:
    whole = FAILED if view.is_damaged else READY
    return state_while(view.task, view.effect) or whole
