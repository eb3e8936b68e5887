# SPDX-License-Identifier: Apache-2.0
"""
Delete: a snapshot goes, and its data is merged into what needs it.

Owns what stands in its way, and the note of a snapshot that an interrupted
merge has damaged.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import catalogue, events, exceptions, messages, notes
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record
from hawkfish_plugin.retention import rules
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Answer, Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

DriverDelete = Callable[[str, str, contract.TaskContext], None]

# The name of a snapshot and its time: a later one may have the same name.
Identity = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class PartJournal(contract.DeleteJournal):
    """
    What a task notes that deletes several snapshots, one after the other.

    *purging* is the one being deleted, and *created* its time.
    """

    purging: str | None = None
    created: int = 0


@dataclasses.dataclass(frozen=True)
class _Noted(Record):
    """The *journal* of another task, as it is stored."""

    journal: Mapping[str, Any]

    def dump(self) -> dict[str, Any]:
        return dict(self.journal)


@dataclasses.dataclass(frozen=True)
class DeleteArguments(Record):
    """
    *created* tells the snapshot from a later one of its name; *pruned* is the
    limit of the policy that wants the delete, None where a client does.
    One that is *forced* minds no lock: it undoes what was made just now.
    """

    created: int
    pruned: str | None = None
    forced: bool = False


class Delete(Operation):
    name = contract.DELETE
    title = 'Delete snapshot {snapshot}'
    steps = contract.STEPS[contract.DELETE]
    effect = Effect.DELETING
    mends = True
    cancellable = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        snapshots: catalogue.Catalogue,
        note_table: notes.Notes,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._catalogue = snapshots
        self._notes = note_table
        self._findings = findings

    # Requests -------------------------------------------------------------

    def submit(
        self,
        system: contract.System,
        name: str,
        payload: Mapping[str, Any],
        check: Callable[[], None],
    ) -> Task:
        """
        Queue the deletion of *name* and return its task.

        *check* may refuse, by what nobody changes any more.

        Raises SnapshotNotFound, SnapshotBusy, and everything that is known
        beforehand to stand in the way.
        """
        with self._catalogue.deciding(system):
            check()
            view = self._catalogue.sound(
                system, name, True, contract.Freshness.LISTED
            )
            catalogue.check_free(view, system)
            exceptions.check(catalogue.obstacles(view))
            self.check(system, name)
            return self._tasks.submit(
                self,
                [Subject(system, name)],
                DeleteArguments(view.record.created),
                payload,
            )

    def check(
        self, system: contract.System, name: str, forced: bool = False
    ) -> None:
        """Raise what is known beforehand to prevent the delete of *name*."""
        # It may have put the system on the files of the snapshot.
        if any(left == name for left, _ in self.left(system)):
            return
        with self._findings.telling_at_request(system):
            self._driver.check_delete(system.uuid, name, forced)

    def left(self, system: contract.System) -> Mapping[Identity, Task]:
        """
        The tasks that were abandoned while they merged, by the snapshot.

        Nothing but their journals tells which disks are merged.
        """
        found = {}
        for unsettled in self._tasks.attention.of(system.uuid):
            with contextlib.suppress(exceptions.TaskNotFound):
                task = self._tasks.get(unsettled.task)
                if contract.DeleteJournal.load(task.journal).merging:
                    found[_merged_by(task)] = task
        return found

    def resume(
        self,
        system: contract.System,
        snapshot: Identity,
        own: contract.DeleteJournal,
        context: contract.TaskContext,
    ) -> DriverDelete:
        """
        What deletes *snapshot*.

        Where one was abandoned in the middle, the task of *context*, which
        has noted its *own*, goes on from there.
        """
        left = self.left(system).get(snapshot)
        if left is None:
            return self._driver.delete
        noted = dataclasses.replace(own, merging=True).dump()
        context.step(left.step, _Noted({**left.journal, **noted}))
        return self._driver.resume_delete

    def submit_pruned(
        self, system: contract.System, record: contract.Snapshot, reason: str
    ) -> Task:
        """
        Queue the deletion of *record*, which may have to wait for others.

        *reason* is the limit that wants it.
        """
        part = self.pruned(system, record, reason)
        return self._tasks.submit(self, part.subjects, part.arguments, {})

    def pruned(
        self, system: contract.System, record: contract.Snapshot, reason: str
    ) -> SubTask:
        """The same as a sub-task of who makes room for itself."""
        arguments = DeleteArguments(record.created, reason)
        return SubTask(self, [Subject(system, record.name)], arguments)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        with self._driver.at_one_time():
            return self._run(context)

    def _run(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = DeleteArguments.load(task.arguments)
        view = self._catalogue.same(
            task.one_system,
            task.one_snapshot,
            arguments.created,
            contract.Freshness.FULL,
        )
        # Everything that refers to it, and its lock.
        exceptions.check(catalogue.obstacles(view, arguments.forced))
        if arguments.pruned:
            # The time of a group is that of any of its systems.
            if task.parent is None:
                check_due([view], arguments.pruned)
            context.add_message(
                messages.SNAPSHOT_PRUNED,
                task.snapshot,
                task.one_system.name,
                arguments.pruned,
            )
        call = self.resume(
            task.one_system,
            (task.one_snapshot, arguments.created),
            contract.DeleteJournal(),
            context,
        )
        return self._delete(context, call)

    def settle(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = DeleteArguments.load(task.arguments)
        self.check_again(
            task.one_system,
            task.one_snapshot,
            arguments.created,
            context.recall(contract.DeleteJournal),
            arguments.forced,
        )
        return self._delete(context, self._driver.settle_delete)

    def _delete(self, context: Context, call: DriverDelete) -> dict[str, Any]:
        task = context.task
        created = DeleteArguments.load(task.arguments).created
        self.merge(task.one_system, task.one_snapshot, created, context, call)
        return {'snapshot': task.one_snapshot}

    def merge(
        self,
        system: contract.System,
        name: str,
        created: int,
        context: contract.TaskContext,
        call: DriverDelete,
    ) -> None:
        """Let *call* of the driver delete a snapshot; its notes follow."""
        try:
            with self._findings.telling(system):
                call(system.uuid, name, context)
        except exceptions.HawkFishError:
            # In this try or in an earlier one, whatever stands in the way.
            journal = context.recall(contract.DeleteJournal)
            self.note_damage(system.uuid, name, created, journal)
            raise
        self._notes.forget(system.uuid, name)

    def look_after(self, task: Task) -> None:
        self._findings.look(task.one_system)

    def check_again(
        self,
        system: contract.System,
        name: str,
        created: int,
        journal: contract.DeleteJournal,
        forced: bool = False,
        merging_all: bool = False,
    ) -> None:
        """
        Raise what stands in the way of settling a delete by now.

        While it was interrupted others may have begun to stand on what it
        would overwrite; see ``catalogue.obstacles`` for the last two.
        """
        try:
            view = self._catalogue.same(
                system, name, created, contract.Freshness.FULL
            )
        except exceptions.SnapshotNotFound:
            # It only has to tidy up.
            return
        if journal.merging:
            # What it has merged stands on the base too, and is nobody's.
            systems = [d for d in view.dependents if d.uuid is not None]
            view = dataclasses.replace(view, dependents=tuple(systems))
        try:
            exceptions.check(catalogue.obstacles(view, forced, merging_all))
        except exceptions.HawkFishError:
            self.note_damage(system.uuid, name, created, journal)
            raise

    def leave(self, task: Task) -> None:
        self.note_damage(
            task.one_system.uuid,
            task.one_snapshot,
            DeleteArguments.load(task.arguments).created,
            contract.DeleteJournal.load(task.journal),
        )

    def note_damage(
        self,
        system: str,
        name: str,
        created: int,
        journal: contract.DeleteJournal,
    ) -> None:
        """Note that a snapshot is half overwritten, if it may be."""
        if journal.merging:
            self._notes.damage(system, name, created)

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        if error:
            return lifecycle.failed(task, error)
        reason = DeleteArguments.load(task.arguments).pruned or 'Request'
        return lifecycle.deleted(task.one_system, task.one_snapshot, reason)

    def answer(self, task: Task) -> Answer:
        return Answer(204)


def _merged_by(task: Task) -> Identity:
    """The snapshot that *task* was merging."""
    if task.operation == Delete.name:
        created = DeleteArguments.load(task.arguments).created
        return task.one_snapshot, created
    journal = PartJournal.load(task.journal)
    return (journal.purging or ''), journal.created


def check_due(views: Sequence[catalogue.View], reason: str | None) -> None:
    """Raise where all were given more time while it was decided on them."""
    if reason == rules.EXPIRED and not any(
        view.note.expires is not None and view.note.expires <= time.time()
        for view in views
    ):
        raise exceptions.OperationCancelled(Delete.name)
