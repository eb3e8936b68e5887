# SPDX-License-Identifier: Apache-2.0
"""
What an operation sees of the task that it runs for.

Owns the journal: what is noted before each step is taken, so that an
interrupted operation can be settled by another process.
"""

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.contract import Abandoned, Meeting, System
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import CANCELLING, Subject, Task

LOG = logging.getLogger(__name__)

R = TypeVar('R', bound=Record)

# How often who rests looks whether the task has been cancelled.
_POLL_SECONDS = 0.2


class Relinquished(BaseException):
    """
    This process can work no more; the next owner goes on with the task.

    As ``contract.Abandoned``, not an error that an operation may handle.
    """


@dataclasses.dataclass(frozen=True)
class SubTask:
    """What a sub-task is to do."""

    operation: Operation
    subjects: Sequence[Subject]
    arguments: Record


class Context:
    """
    A claimed *task*; see ``contract.TaskContext``.

    *deadline* is how many seconds the operation may take from now on;
    *carry_out* carries out the sub-tasks that have been submitted, which meet
    at its second argument.  *pause* waits for some seconds, and needs no
    worker.  *rendezvous* is where this task itself meets others, as a
    sub-task.
    """

    def __init__(
        self,
        table: Tasks,
        task: Task,
        deadline: float,
        carry_out: Callable[[Task, Rendezvous | None], None],
        pause: Callable[[float], None],
        rendezvous: Rendezvous | None = None,
    ) -> None:
        self.task = task
        self.last_step = task.step
        self._journal = dict(task.journal)
        self._table = table
        self._deadline = time.monotonic() + deadline
        self._carry_out = carry_out
        self._pause = pause
        self._rendezvous = rendezvous

    @property
    def begun(self) -> bool:
        """Whether a step was noted, by an interrupted try as well."""
        return bool(self.last_step)

    def recall(self, kind: type[R]) -> R:
        return kind.load(self._journal)

    def step(
        self, name: str, noted: Record | None = None, durable: bool = True
    ) -> None:
        LOG.debug('Task %s: %s', self.task.id, name)
        self._journal |= noted.dump() if noted else {}
        if not self._table.claims.update(
            self.task.id,
            durable,
            step=name,
            journal=json.dumps(self._journal),
        ):
            raise Abandoned
        self.last_step = name

    def progress(self, percent: int) -> None:
        if not self._table.claims.update(
            self.task.id, durable=False, percent=percent
        ):
            raise Abandoned

    def add_message(self, message_id: str, *args: object) -> None:
        if not self._table.claims.add_message(self.task.id, message_id, *args):
            raise Abandoned

    def check_active(self) -> None:
        if self._table.ended([self.task.id]):
            raise Abandoned

    def meet(self, point: Meeting, seconds: float | None = None) -> None:
        if self._rendezvous is None:
            return
        left = max(0.0, self._deadline - time.monotonic())
        patience = left if seconds is None else min(seconds, left)
        self._rendezvous.meet(self.task.id, point, patience, self._look)

    def _look(self) -> None:
        """See what becomes of this task and the others while it waits."""
        # Who waits for the database too would keep a system paused.
        with contextlib.suppress(exceptions.StateUnavailable):
            if self.cancelled:
                raise exceptions.OperationCancelled(self.task.operation)
            if self._rendezvous:
                for member in self._table.ended(self._rendezvous.members):
                    self._rendezvous.leave(member)

    def rest(self, seconds: float) -> None:
        """
        Wait, and keep no other task from being worked on.

        Raises OperationCancelled.
        """
        end = time.monotonic() + seconds
        while True:
            if self.cancelled:
                raise exceptions.OperationCancelled(self.task.operation)
            left = end - time.monotonic()
            if left <= 0:
                return
            self._pause(min(_POLL_SECONDS, left))

    def leave(self) -> None:
        """Neither meet the other sub-tasks any more, nor keep them waiting."""
        if self._rendezvous:
            self._rendezvous.leave(self.task.id)
            self._rendezvous = None

    def run_sub_tasks(
        self,
        parts: Sequence[SubTask],
        meet: bool = False,
        undoing: bool = False,
        called: Callable[[System], str] | None = None,
    ) -> Sequence[Task]:
        """
        Run *parts* in parallel; returns them as they ended, in their order.

        Those that *meet* wait for each other where their operations call
        ``meet``; each is of another system.  What those are *called* that one
        misses is by default their names.

        They work within the locks of this task, and are cancelled with it;
        what is *undoing* others is done though it has been cancelled.
        A step must have been noted: where the process dies, those that have
        begun are settled, the others are cancelled, and then this operation
        is settled (see ``sub_tasks``).

        Raises OperationCancelled, where this task has been cancelled, and
        the error of an operation that refuses its subject; nothing is run
        then.
        """
        systems = {s.system.uuid for part in parts for s in part.subjects}
        if meet and len(systems) < len(parts):
            raise ValueError('One would wait for another of its system')
        queued = self.queue_sub_tasks(parts, undoing)
        return self.end_sub_tasks(queued, meet, called)

    def queue_sub_tasks(
        self, parts: Sequence[SubTask], undoing: bool = False
    ) -> Sequence[Task]:
        """Queue all *parts*, or none, for ``end_sub_tasks``."""
        if not self.begun:
            raise ValueError('No step has been noted')
        with self._table.together():
            return [
                self._table.submit(
                    part.operation,
                    part.subjects,
                    part.arguments,
                    {},
                    parent=self.task.id,
                    undoing=undoing,
                )
                for part in parts
            ]

    def adopt(self, waiting: Sequence[Task]) -> Sequence[Task]:
        """
        Make *waiting* tasks sub-tasks of this one; returns those that are.

        They are done before this one goes on; see ``end_sub_tasks``.
        """
        return [
            task
            for task in waiting
            if self._table.claims.adopt(self.task.id, task.id)
        ]

    def end_sub_tasks(
        self,
        queued: Sequence[Task],
        meet: bool = False,
        called: Callable[[System], str] | None = None,
    ) -> Sequence[Task]:
        """Run what is *queued*; see ``run_sub_tasks``."""
        rendezvous = None
        if meet:
            call = called or (lambda system: system.name)
            rendezvous = Rendezvous(
                {task.id: call(task.one_system) for task in queued}
            )
        self._carry_out(self.task, rendezvous)
        return [self._table.get(task.id) for task in queued]

    def sub_tasks(self) -> Sequence[Task]:
        """Every sub-task so far, oldest first; none of them is active."""
        return self._table.sub_tasks(self.task.id)

    @property
    def cancelled(self) -> bool:
        try:
            task = self._table.get(self.task.id)
        except exceptions.TaskNotFound as exc:
            raise Abandoned from exc
        if not task.active:
            raise Abandoned
        return task.state == CANCELLING

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self._deadline
