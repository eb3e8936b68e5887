# SPDX-License-Identifier: Apache-2.0
"""
Purge: every snapshot of a system is deleted, and its present state stays.

One task for all.  What would lie in the way is refused before anything is
deleted; killed at any moment, settle finishes the delete that was going on
and goes on with the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import announcements, exceptions, snapshots, tasks, views
from hawkfish_plugin.drivers import contract


class Purging:
    """The purge of every system that *driver* serves."""

    def __init__(
        self,
        driver: contract.Driver,
        task_table: tasks.Tasks,
        stories: snapshots.Snapshots,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._snapshots = stories
        self.operations = {
            'purge': tasks.Operation(
                self._run,
                self._settle,
                cancellable=True,
                announce=announcements.of_purge,
            ),
        }

    def submit(
        self, system: contract.System, force: bool, payload: Mapping[str, Any]
    ) -> tasks.Task:
        """
        Queue a purge and return its task; *force* deletes locked ones too.

        Raises SystemBeingPurged, and everything that is known beforehand to
        stand in the way.
        """
        self._check(system, force, contract.Freshness.LISTED)
        records = self._driver.snapshots(system.uuid)
        if records:
            self._driver.check_delete(system.uuid, _next(records).name)
        try:
            return self._tasks.submit(
                'purge', system, views.ALL, {'force': force}, payload
            )
        except exceptions.SnapshotBusy as exc:
            raise exceptions.SystemBeingPurged(
                system.name, exc.args[2]
            ) from exc

    def _check(
        self,
        system: contract.System,
        force: bool,
        freshness: contract.Freshness,
    ) -> None:
        """Raise where a lock, or a dependent, keeps a snapshot."""
        seen = self._snapshots.list(system, measured=True, freshness=freshness)
        exceptions.check(
            [
                error
                for view in seen
                for error in views.obstacles(view, force, merging_all=True)
            ]
        )

    def _run(self, job: tasks.Job) -> dict[str, Any]:
        system = contract.System(job.task.system, job.task.system_name)
        # Nobody can lock one any more: this task holds the system.
        self._check(
            system, job.task.arguments['force'], contract.Freshness.FULL
        )
        total = len(self._driver.snapshots(system.uuid))
        job.step('purge', total=total, deleted=[])
        return self._go_on(job)

    def _settle(self, job: tasks.Job) -> dict[str, Any]:
        name = job.journal.get('purging')
        # Between the two a driver's own steps are noted.
        if name is not None and job.journal['step'] != 'purge':
            self._delete(job, name, self._driver.settle_delete)
        # Meanwhile others may have begun to stand on what is left.
        system = contract.System(job.task.system, job.task.system_name)
        self._check(
            system, job.task.arguments['force'], contract.Freshness.FULL
        )
        return self._go_on(job)

    def _go_on(self, job: tasks.Job) -> dict[str, Any]:
        while left := self._driver.snapshots(job.task.system):
            if job.cancelled:
                raise exceptions.OperationCancelled('purge')
            record = _next(left)
            job.step(
                'purge',
                purging=record.name,
                created=record.created,
                left=len(left),
                merging=False,
            )
            self._delete(job, record.name, self._driver.delete)
        return {'deleted': len(job.journal['deleted'])}

    def _delete(
        self, job: tasks.Job, name: str, call: snapshots.DriverDelete
    ) -> None:
        self._snapshots.merge(
            job.task.system, name, job.journal['created'], _Part(job), call
        )
        job.step('purge', deleted=[*job.journal['deleted'], name])


class _Part:
    """A purge as one delete sees it (``contract.TaskContext``)."""

    cancelled = False

    def __init__(self, job: tasks.Job) -> None:
        self._job = job
        self.step = job.step
        self.tell = job.tell

    @property
    def journal(self) -> Mapping[str, Any]:
        return self._job.journal

    @property
    def overdue(self) -> bool:
        return self._job.overdue

    def progress(self, percent: int) -> None:
        # One that was made since the purge began is one more to delete.
        total = max(self.journal['total'], self.journal['left'])
        done = total - self.journal['left'] + percent / 100
        self._job.progress(int(100 * done / total))


def _next(records: Sequence[contract.Snapshot]) -> contract.Snapshot:
    """
    The next of *records* to delete; there is always a leaf.

    Other branches first, from their tips, as nothing of them is merged; then
    from the oldest on, so that no data is merged twice.
    """
    referenced = contract.all_referrers(records)
    above = contract.ancestors(records)
    free = [s for s in records if s.name not in referenced]
    aside = [s for s in free if not s.current and s.name not in above]
    return aside[-1] if aside else free[0]
