# SPDX-License-Identifier: Apache-2.0
"""
What an operation sees of the task that it runs for.

Owns the journal: what is noted before each step is taken, so that an
interrupted operation can be settled by another process.
"""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.contract import Abandoned
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import CANCELLING, Subject, Task

LOG = logging.getLogger(__name__)

R = TypeVar('R', bound=Record)


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
    *carry_out* carries out the sub-tasks that have been submitted.
    """

    def __init__(
        self,
        table: Tasks,
        task: Task,
        deadline: float,
        carry_out: Callable[[Task], None],
    ) -> None:
        self.task = task
        self.begun = bool(task.step)
        self._journal = dict(task.journal)
        self._table = table
        self._deadline = time.monotonic() + deadline
        self._carry_out = carry_out

    @property
    def last_step(self) -> str:
        return str(self._journal.get('step', ''))

    def recall(self, kind: type[R]) -> R:
        return kind.load(self._journal)

    def step(
        self, name: str, noted: Record | None = None, durable: bool = True
    ) -> None:
        LOG.debug('Task %s: %s', self.task.id, name)
        self._journal |= {**(noted.dump() if noted else {}), 'step': name}
        if not self._table.update(
            self.task.id,
            durable,
            step=name,
            journal=json.dumps(self._journal),
        ):
            raise Abandoned
        self.begun = True

    def progress(self, percent: int) -> None:
        if not self._table.update(
            self.task.id, durable=False, percent=percent
        ):
            raise Abandoned

    def add_message(self, message_id: str, *args: object) -> None:
        if not self._table.add_message(self.task.id, message_id, *args):
            raise Abandoned

    def check_active(self) -> None:
        if self._table.ended([self.task.id]):
            raise Abandoned

    def run_sub_tasks(self, parts: Sequence[SubTask]) -> Sequence[Task]:
        """
        Run *parts* in parallel; returns them as they ended, in their order.

        They work within the locks of this task, and are cancelled with it.
        A step must have been noted: where the process dies, those that have
        begun are settled, the others are cancelled, and then this operation
        is settled (see ``sub_tasks``).

        Raises OperationCancelled, where this task has been cancelled, and
        the error of an operation that refuses its subject; nothing is run
        then.
        """
        return self.end_sub_tasks(self.queue_sub_tasks(parts))

    def queue_sub_tasks(self, parts: Sequence[SubTask]) -> Sequence[Task]:
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
            if self._table.adopt(self.task.id, task.id)
        ]

    def end_sub_tasks(self, queued: Sequence[Task]) -> Sequence[Task]:
        """Run what is *queued*; see ``run_sub_tasks``."""
        self._carry_out(self.task)
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
