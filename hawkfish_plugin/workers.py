# SPDX-License-Identifier: Apache-2.0
"""
Workers: the threads that carry tasks out.

One process of a state folder has them, and the next when that one dies.  A
task of a system never runs beside another of it; what broke off is settled,
however long the hypervisor or the database takes to come back.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import exceptions, locks, messages, tasks

LOG = logging.getLogger(__name__)

# How often an idle worker looks for tasks that another process submitted, in
# case its call was not heard.
_POLL_SECONDS = 0.25
# How long to wait for a hypervisor, or a database, that went away.
_RETRY_SECONDS = 1.0
_CHORE_SECONDS = 5.0


class Workers:
    """Those who carry out *operations* for the tasks of *task_table*."""

    def __init__(
        self,
        task_table: tasks.Tasks,
        lock_files: locks.Locks,
        operations: Mapping[str, tasks.Operation],
        conf: cfg.ConfigOpts,
    ) -> None:
        self._tasks = task_table
        self._locks = lock_files
        self._operations = operations
        self._conf = conf.tasks

    def start(
        self,
        *also: Callable[[], None],
        chore: Callable[[], None] | None = None,
    ) -> None:
        """
        Work on tasks once it is our turn.

        Only one process of a state folder works at a time; the others wait
        for it to die, and the next then recovers what it left.  What *also*
        is the work of that process alone is started then too, and it does the
        *chore* every few seconds.
        """
        self._tasks.know(self._operations)
        self._thread('owner', lambda: self._own(also, chore))

    def _own(
        self,
        also: Sequence[Callable[[], None]],
        chore: Callable[[], None] | None,
    ) -> None:
        while True:
            try:
                self._locks.own_workers()
                break
            except exceptions.StateUnavailable as exc:
                LOG.error('%s', messages.text(exc))
                time.sleep(_RETRY_SECONDS)
        LOG.info('This process runs the snapshot tasks')
        self._thread('calls', self._listen)
        for number in range(self._conf.workers):
            self._thread(f'worker-{number}', self._work)
        for start in also:
            _attempt('A start', start)
        while chore:
            _attempt('A chore', chore)
            time.sleep(_CHORE_SECONDS)

    def _listen(self) -> None:
        for _ in self._locks.calls():
            self._tasks.wake.set()

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        threading.Thread(
            target=target, name=f'hawkfish-{name}', daemon=True
        ).start()

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.claim()
                if task:
                    self._execute(task)
                    continue
            except exceptions.StateUnavailable as exc:
                LOG.error('%s', messages.text(exc))
                time.sleep(_RETRY_SECONDS)
            except Exception:
                LOG.exception('A worker failed; it goes on')
                time.sleep(_RETRY_SECONDS)
            self._tasks.wake.wait(_POLL_SECONDS)
            self._tasks.wake.clear()

    def _execute(self, task: tasks.Task) -> None:
        LOG.info(
            'Task %s: %s of snapshot %r of system %s',
            task.id,
            task.operation,
            task.snapshot,
            task.system,
        )
        while True:
            try:
                with self._locks.system(task.system, self._conf.deadline):
                    # Ended before the lock is free: who takes it next must
                    # not find a task that has begun and does not hold it.
                    state, outcome = self._outcome(task)
                    self._finish(task, state, outcome)
                if state == tasks.COMPLETED:
                    self._follow(task)
                return
            except exceptions.SystemLocked as exc:
                # What has begun is settled, whoever holds the system.
                if not task.step:
                    self._finish(task, tasks.EXCEPTION, exc)
                    return
            except exceptions.StateUnavailable as exc:
                LOG.error('Task %s waits: %r', task.id, messages.text(exc))
                time.sleep(_RETRY_SECONDS)

    def _follow(self, task: tasks.Task) -> None:
        after = self._operations[task.operation].after
        if after:
            _attempt(f'What follows task {task.id}', after, task)

    def _outcome(
        self, task: tasks.Task
    ) -> tuple[str, dict[str, Any] | exceptions.HawkFishError]:
        """The state that the task ends in, and its result or error."""
        try:
            return tasks.COMPLETED, self._run_in_time(task)
        except exceptions.OperationCancelled as exc:
            return tasks.CANCELLED, exc
        except exceptions.HawkFishError as exc:
            LOG.error('Task %s failed: %r', task.id, messages.text(exc))
            return tasks.EXCEPTION, exc
        except Exception:
            LOG.exception('Task %s failed unexpectedly', task.id)
            return tasks.EXCEPTION, exceptions.InternalError()

    def _run_in_time(self, task: tasks.Task) -> dict[str, Any]:
        deadline = self._conf.deadline
        job = tasks.Job(self._tasks, task, deadline)
        if not job.begun:
            # What nobody expects any more is not done hours later, when
            # an emulator that was down comes back.
            if time.time() - task.created > deadline:
                raise exceptions.OperationTimedOut(task.operation, deadline)
        return self._carry_out(job)

    def _carry_out(self, job: tasks.Job) -> dict[str, Any]:
        """
        Run the operation, or settle it where an earlier try had begun.

        When the hypervisor or the database goes away in the middle nobody
        knows how far it came, so it is settled as soon as both are back,
        however long that takes: left as it is, a system may be half changed.
        """
        operation = self._operations[job.task.operation]
        settling, told = job.begun, False
        while True:
            try:
                if settling:
                    return operation.settle(job)
                return operation.run(job)
            except exceptions.HypervisorBusy:
                if not settling:
                    raise
            except (
                exceptions.HypervisorUnavailable,
                exceptions.StateUnavailable,
            ) as exc:
                if not job.begun:
                    raise
                LOG.error('Task %s waits: %r', job.task.id, exc)
                told = told or self._tell(job, exc)
                settling = True
            time.sleep(_RETRY_SECONDS)

    def _tell(self, job: tasks.Job, error: exceptions.HawkFishError) -> bool:
        with contextlib.suppress(exceptions.StateUnavailable):
            job.tell(error.message_id, *error.args)
            return True
        return False

    def _finish(
        self,
        task: tasks.Task,
        state: str,
        outcome: dict[str, Any] | exceptions.HawkFishError,
    ) -> None:
        """End the task, however long the database takes to come back."""
        while True:
            try:
                self._tasks.end(task, state, outcome)
                break
            except exceptions.StateUnavailable as exc:
                LOG.error('Task %s: %s', task.id, messages.text(exc))
                time.sleep(_RETRY_SECONDS)
        self._tasks.wake.set()


def _attempt(what: str, call: Callable[..., None], *args: object) -> None:
    """*call* with *args*, whose failure is nobody's but its own."""
    try:
        call(*args)
    except exceptions.HawkFishError as exc:
        LOG.error('%s failed: %r', what, messages.text(exc))
    except Exception:
        LOG.exception('%s failed', what)
