# SPDX-License-Identifier: Apache-2.0
"""
Verify: a snapshot is proved by a clone that is thrown away.

What was found is noted with the snapshot, whichever it is.  A task whose
checks have not all passed has failed; one that says nothing of the snapshot,
as it was cancelled or had no space, leaves the note of the last one.
"""

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import (
    catalogue,
    clones,
    events,
    exceptions,
    messages,
    notes,
)
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.verifying import (
    Verified,
    Verifies,
    VerifyRequest,
)
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Lock, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

_LEFT_OUT = 'HawkFish.1.0.VerifyLeftOut'
# Of a screenshot, as it is kept.
_MOST_PICTURE_BYTES = 4 * 2**20


@dataclasses.dataclass(frozen=True)
class VerifyArguments(Record):
    """
    *created* tells the snapshot from a later one of its name.

    *request* is a ``VerifyRequest`` as JSON has it.
    """

    created: int
    request: Mapping[str, Any]


class Verify(Operation):
    name = contract.VERIFY
    title = 'Verify snapshot {snapshot}'
    # Nothing of the chain is merged meanwhile.
    lock = Lock.SHARED
    cancellable = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        snapshots: catalogue.Catalogue,
        note_table: notes.Notes,
        clone_table: clones.Clones,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._catalogue = snapshots
        self._notes = note_table
        self._clones = clone_table

    def submit(
        self,
        system: contract.System,
        request: VerifyRequest,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue a verification as *request* says, and return its task.

        Raises SnapshotNotFound, SnapshotBusy, SnapshotDamaged, and everything
        that is known beforehand to stand in the way.
        """
        with self._catalogue.deciding(system):
            view = self._catalogue.sound(system, request.name)
            if view.task:
                catalogue.check_free(view, system)
            catalogue.check_intact(view)
            request = dataclasses.replace(
                request, memory_size=view.note.memory_size
            )
            self._verifying().check_verify(system.uuid, request)
            return self._tasks.submit(
                self,
                [Subject(system, request.name)],
                VerifyArguments(view.record.created, request.dump()),
                payload,
            )

    def newest(self, system: contract.System) -> str:
        """
        The name of the newest snapshot of *system* that can be verified.

        Raises SnapshotNotFound.
        """
        whole = [
            view.name
            for view in self._catalogue.list(system)
            if not view.task and not view.is_damaged
        ]
        if not whole:
            raise exceptions.SnapshotNotFound('newest')
        return whole[-1]

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        view = self._same(task)
        catalogue.check_intact(view)
        found = self._verifying().verify(
            task.one_system.uuid, _request(task), context
        )
        for part in found.left_out:
            context.add_message(_LEFT_OUT, task.one_snapshot, part)
        return self._note(task, found)

    def settle(self, context: Context) -> dict[str, Any]:
        task = context.task
        found = self._verifying().settle_verify(
            task.one_system.uuid, _request(task), context
        )
        self._same(task)
        return self._note(task, found)

    def _same(self, task: Task) -> catalogue.View:
        created = VerifyArguments.load(task.arguments).created
        return self._catalogue.same(
            task.one_system, task.one_snapshot, created
        )

    def _note(self, task: Task, found: Verified) -> dict[str, Any]:
        """Note what was *found*; raises VerifyFailed where a check has."""
        created = VerifyArguments.load(task.arguments).created
        self._notes.verify(
            task.one_system.uuid,
            task.one_snapshot,
            created,
            to_keep(found),
            int(time.time()),
        )
        failure = found.failure
        if failure is not None:
            raise exceptions.VerifyFailed(
                task.one_snapshot, failure.check, failure.detail
            )
        return {'passed': found.passed}

    def ended(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        note_clone(self._clones, task, error)
        return super().ended(task, error)

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        system, name = task.one_system, task.one_snapshot
        if error is None:
            passed = (task.result or {}).get('passed', ())
            return lifecycle.verified(system, name, passed)
        if isinstance(error, exceptions.VerifyFailed):
            return lifecycle.verify_failed(system, error)
        return lifecycle.failed(task, error)

    def periodic(self) -> None:
        """Remove what tasks have left that could not, or were abandoned."""
        for number, journal in self._clones.all():
            with contextlib.suppress(exceptions.HawkFishError):
                self._verifying().remove_clone(journal)
                self._clones.forget(number)

    def _verifying(self) -> Verifies:
        if not isinstance(self._driver, Verifies):
            raise exceptions.DriverNotSupported(type(self._driver).__name__)
        return self._driver


def to_keep(found: Verified) -> Verified:
    """*found* without a screenshot that is too big to be kept."""
    picture = found.screenshot
    if picture is None or len(picture) <= _MOST_PICTURE_BYTES:
        return found
    return dataclasses.replace(found, screenshot=None)


def note_clone(
    clone_table: clones.Clones,
    task: Task,
    error: exceptions.HawkFishError | None,
) -> None:
    """Note the clone that *task* may have left; ``Verify`` looks after it."""
    failed = any(k == messages.CLONE_NOT_REMOVED for k, _ in task.messages)
    if failed or (error and error.unsettled):
        clone_table.note(task.journal)


def _request(task: Task) -> VerifyRequest:
    return VerifyRequest.load(VerifyArguments.load(task.arguments).request)
