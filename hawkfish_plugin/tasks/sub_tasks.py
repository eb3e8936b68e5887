# SPDX-License-Identifier: Apache-2.0
"""
Sub-tasks: the parts of a running task, in parallel.

Owns the threads that carry them out.  These are none of the workers: however
many tasks wait for their sub-tasks, no worker is needed for one to end.
"""

import logging
import time
from collections.abc import Callable, Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.supervision import Supervisor
from hawkfish_plugin.tasks.context import Relinquished
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import CANCELLED, Task

LOG = logging.getLogger(__name__)

# How often a sub-task is tried that waits for another one of its parent.
_POLL_SECONDS = 0.1


class SubTasks:
    """
    The sub-tasks in *task_table*, each of which *execute* carries out.

    *suffer* waits while the state is not available; it and *execute* raise
    Relinquished where this process is the owner no more.
    """

    def __init__(
        self,
        task_table: Tasks,
        execute: Callable[[Task, Rendezvous | None], None],
        suffer: Callable[[exceptions.StateUnavailable], None],
        supervisor: Supervisor,
    ) -> None:
        self._tasks = task_table
        self._execute = execute
        self._suffer = suffer
        self._supervisor = supervisor

    def carry_out(
        self, parent: Task, rendezvous: Rendezvous | None = None
    ) -> None:
        """
        Carry out all active sub-tasks of *parent*, and wait for their ends.

        They meet at *rendezvous*, where there is one.  For who has claimed
        *parent*, and holds its locks.
        """
        relinquished: list[Relinquished] = []

        def work() -> None:
            try:
                while self._try_next(parent, rendezvous):
                    pass
            except Relinquished as exc:
                relinquished.append(exc)

        threads = []
        # This thread takes its share.
        for part in self._active(parent)[1:]:
            try:
                threads.append(
                    self._supervisor.once(f'sub-task-{part.id}', work)
                )
            except RuntimeError as exc:
                LOG.error('Sub-tasks share a thread: %s', exc)
                # It cannot come before another one has ended.
                if rendezvous:
                    rendezvous.leave(part.id)
        work()
        for thread in threads:
            thread.join()
        if relinquished:
            raise relinquished[0]

    def recover(self, parent: Task) -> None:
        """
        End what an interrupted try has left of the sub-tasks of *parent*.

        Those that had begun are settled, the others are cancelled.
        """
        for part in self._active(parent):
            if not part.step:
                self._cancel(part)
        self.carry_out(parent)

    def _try_next(self, parent: Task, rendezvous: Rendezvous | None) -> bool:
        """Carry one out, if one can be; False where none waits any more."""
        try:
            task = self._tasks.claims.claim(parent.id)
            if task:
                self._supervisor.well()
                self._execute(task, rendezvous)
                return True
            if not self._tasks.has_waiting(parent.id):
                return False
        except exceptions.StateUnavailable as exc:
            self._suffer(exc)
        except Exception:
            LOG.exception('A sub-task of task %s failed', parent.id)
        time.sleep(_POLL_SECONDS)
        return True

    def _active(self, parent: Task) -> Sequence[Task]:
        while True:
            try:
                parts = self._tasks.sub_tasks(parent.id)
                return [part for part in parts if part.active]
            except exceptions.StateUnavailable as exc:
                self._suffer(exc)

    def _cancel(self, part: Task) -> None:
        error = exceptions.OperationCancelled(part.operation)
        while True:
            try:
                self._tasks.ends.end(part, CANCELLED, error)
                return
            except exceptions.StateUnavailable as exc:
                self._suffer(exc)
