# SPDX-License-Identifier: Apache-2.0
"""
Purge: every snapshot of a system is deleted, and its present state stays.

One task for all.  What would stand in the way is refused before anything is
deleted; interrupted at any moment, settle finishes the delete that was going
on and goes on with the others.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hawkfish_plugin import catalogue, events, exceptions, tree
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.delete import Delete, DriverDelete, PartJournal
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

R = TypeVar('R', bound=Record)


@dataclasses.dataclass(frozen=True)
class PurgeArguments(Record):
    """*force* deletes locked snapshots too."""

    force: bool = False


@dataclasses.dataclass(frozen=True)
class PurgeJournal(PartJournal):
    """
    *deleted* are the snapshots that are gone; *total* were there in the
    beginning, *left* before this one.
    """

    total: int = 0
    left: int = 0
    deleted: Sequence[str] = ()


class Purge(Operation):
    name = 'purge'
    title = 'Purge snapshots of {system}'
    # It has the driver delete one snapshot after the other.
    steps = ('purge', *contract.STEPS[contract.DELETE])
    effect = Effect.DELETING
    mends = True
    cancellable = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        snapshots: catalogue.Catalogue,
        delete: Delete,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._catalogue = snapshots
        self._delete = delete
        self._findings = findings

    # Requests -------------------------------------------------------------

    def submit(
        self, system: contract.System, force: bool, payload: Mapping[str, Any]
    ) -> Task:
        """
        Queue a purge and return its task; *force* deletes locked ones too.

        Raises SystemBeingPurged, and everything that is known beforehand to
        stand in the way.
        """
        with self._catalogue.deciding(system):
            self._check(system, force, contract.Freshness.LISTED)
            records = self._driver.snapshots(system.uuid)
            if records:
                name = self._next(system, records).name
                self._delete.check(system, name, forced=True)
            return self._tasks.submit(
                self, [Subject(system)], PurgeArguments(force), payload
            )

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        if rival.operation == self.name:
            return exceptions.SystemBeingPurged(
                rival.one_system.name, rival.id
            )
        return super().refusal(rival)

    def _check(
        self,
        system: contract.System,
        force: bool,
        freshness: contract.Freshness,
    ) -> None:
        """Raise where a lock, or a dependent, keeps a snapshot."""
        seen = self._catalogue.list(system, True, freshness)
        catalogue.check_sound(system, [view.record for view in seen])
        exceptions.check(
            [
                error
                for view in seen
                for error in catalogue.obstacles(view, force, merging_all=True)
            ]
        )

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        with self._driver.at_one_time():
            # Nobody can lock one any more: this task holds the system.
            self._check_again(context.task)
            total = len(self._driver.snapshots(context.task.one_system.uuid))
            context.step('purge', PurgeJournal(total=total))
            return self._go_on(context)

    def settle(self, context: Context) -> dict[str, Any]:
        # Between two of its own steps the driver's are noted.
        journal = context.recall(PurgeJournal)
        if journal.purging is not None and context.last_step != 'purge':
            self._delete.check_again(
                context.task.one_system,
                journal.purging,
                journal.created,
                journal,
                PurgeArguments.load(context.task.arguments).force,
                merging_all=True,
            )
            self._delete_one(context, self._driver.settle_delete)
        # Meanwhile others may have begun to stand on what is left.
        self._check_again(context.task)
        return self._go_on(context)

    def _check_again(self, task: Task) -> None:
        force = PurgeArguments.load(task.arguments).force
        self._check(task.one_system, force, contract.Freshness.FULL)

    def _go_on(self, context: Context) -> dict[str, Any]:
        system = context.task.one_system
        while left := self._driver.snapshots(system.uuid):
            if context.cancelled:
                raise exceptions.OperationCancelled(self.name)
            record = self._next(system, left)
            journal = dataclasses.replace(
                context.recall(PurgeJournal),
                purging=record.name,
                created=record.created,
                left=len(left),
                merging=False,
            )
            context.step('purge', journal)
            one = record.name, record.created
            call = self._delete.resume(system, one, journal, context)
            self._delete_one(context, call)
        return {'deleted': len(context.recall(PurgeJournal).deleted)}

    def _delete_one(self, context: Context, call: DriverDelete) -> None:
        journal = context.recall(PurgeJournal)
        name = journal.purging or ''
        self._delete.merge(
            context.task.one_system,
            name,
            journal.created,
            _Part(context, journal),
            call,
        )
        done = dataclasses.replace(
            context.recall(PurgeJournal), deleted=[*journal.deleted, name]
        )
        context.step('purge', done)

    def look_after(self, task: Task) -> None:
        self._findings.look(task.one_system)

    def leave(self, task: Task) -> None:
        journal = PurgeJournal.load(task.journal)
        if journal.purging and journal.purging not in journal.deleted:
            self._delete.note_damage(
                task.one_system.uuid, journal.purging, journal.created, journal
            )

    def _next(
        self, system: contract.System, records: Sequence[contract.Snapshot]
    ) -> contract.Snapshot:
        """
        The next of *records* to delete; there is always one.

        What was abandoned in the middle first; then other branches, from
        their tips, as nothing of them is merged; then from the oldest on, so
        that no data is merged twice.
        """
        left = self._delete.left(system)
        begun = [s for s in records if (s.name, s.created) in left]
        if begun:
            return begun[0]
        referenced = self._driver.referrers(records)
        above = tree.ancestors(records)
        free = [s for s in records if s.name not in referenced]
        aside = [s for s in free if not s.current and s.name not in above]
        return aside[-1] if aside else free[0]

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        """However it ended, what it has deleted is gone."""
        return [
            *(
                event
                for name in PurgeJournal.load(task.journal).deleted
                for event in lifecycle.deleted(
                    task.one_system, name, 'Request'
                )
            ),
            *(lifecycle.failed(task, error) if error else ()),
        ]


class _Part:
    """A purge as the delete of one snapshot sees it."""

    def __init__(self, context: Context, journal: PurgeJournal) -> None:
        self._context = context
        self._journal = journal
        self.step = context.step
        self.meet = context.meet
        self.add_message = context.add_message
        self.check_active = context.check_active

    @property
    def last_step(self) -> str:
        return self._context.last_step

    def recall(self, kind: type[R]) -> R:
        return self._context.recall(kind)

    @property
    def cancelled(self) -> bool:
        return self._context.cancelled

    @property
    def overdue(self) -> bool:
        return self._context.overdue

    def progress(self, percent: int) -> None:
        # One that was made since the purge began is one more to delete.
        total = max(self._journal.total, self._journal.left)
        done = total - self._journal.left + percent / 100
        self._context.progress(int(100 * done / total))
