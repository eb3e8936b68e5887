# SPDX-License-Identifier: Apache-2.0
"""
What an operation sees of the task that it runs for.

Owns the journal: what is noted before each step is taken, so that an
interrupted operation can be settled by another process.
"""

import json
import logging
import time
from typing import TypeVar

from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import CANCELLING, Task

LOG = logging.getLogger(__name__)

R = TypeVar('R', bound=Record)


class Abandoned(BaseException):
    """
    The task has ended meanwhile, as somebody has abandoned it.

    Not an error that an operation may handle: nothing more is to be done.
    """


class Context:
    """
    A claimed *task*; see ``contract.TaskContext``.

    *deadline* is how many seconds the operation may take from now on.
    """

    def __init__(self, table: Tasks, task: Task, deadline: float) -> None:
        self.task = task
        self.begun = bool(task.step)
        self._journal = dict(task.journal)
        self._table = table
        self._deadline = time.monotonic() + deadline

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
        self._table.update(self.task.id, durable=False, percent=percent)

    def add_message(self, message_id: str, *args: object) -> None:
        self._table.add_message(self.task.id, message_id, *args)

    @property
    def cancelled(self) -> bool:
        return self._table.get(self.task.id).state == CANCELLING

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self._deadline
