# SPDX-License-Identifier: Apache-2.0
"""
Workers: the threads that carry tasks out.

One process of a state folder has them, and the next when that one dies, or
when all of its workers fail.  A task has the locks of its systems while it
runs; what was interrupted is settled, however long the hypervisor or the
database takes to come back.
"""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import exceptions, locks, messages
from hawkfish_plugin.events import NewEvent
from hawkfish_plugin.supervision import (
    RETRY_SECONDS,
    Failures,
    Finished,
    Supervisor,
)
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.ending import Outcome
from hawkfish_plugin.tasks.operation import Lock, Operation, Operations
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import CANCELLED, COMPLETED, EXCEPTION, Task

LOG = logging.getLogger(__name__)

# How often an idle worker looks for tasks that another process submitted, in
# case its call was not heard.
_POLL_SECONDS = 0.25
_PERIOD_SECONDS = 5.0
# After how long a process whose workers all fail lets another one try.
_GIVE_UP_SECONDS = 15.0


class _Abandoned(Exception):
    """The task is left as by a process that died; the next owner goes on."""


class Workers:
    """Those who carry out *operations* for the tasks of *task_table*."""

    def __init__(
        self,
        task_table: Tasks,
        lock_files: locks.Locks,
        operations: Operations,
        conf: cfg.ConfigOpts,
        supervisor: Supervisor,
    ) -> None:
        self._tasks = task_table
        self._locks = lock_files
        self._operations = operations
        self._conf = conf.tasks
        self._supervisor = supervisor
        self._failures = Failures(LOG)
        self._names = [f'worker-{n}' for n in range(self._conf.workers)]
        # The names of those that carry out a task.
        self._at_work: set[str] = set()
        # Set when this process is the owner no more.
        self._over = threading.Event()

    def start(
        self,
        *also: Callable[[threading.Event], None],
        periodic: Callable[[], None] | None = None,
    ) -> None:
        """
        Work on tasks once it is our turn.

        Only one process of a state folder works at a time; the others wait
        for it to die, and the next then recovers what it left.  What *also*
        is the work of that process alone is started then too, and has to end
        when the event is set that it is given; what is *periodic* is called
        every few seconds.
        """
        self._supervisor.repeat('owner', lambda: self._own(also, periodic))

    def _own(
        self,
        also: Sequence[Callable[[threading.Event], None]],
        periodic: Callable[[], None] | None,
    ) -> None:
        """Be the owner, for as long as this process can work."""
        with self._locks.own_workers():
            LOG.info('This process runs the snapshot tasks')
            self._over = threading.Event()
            self._tasks.begin_term()
            try:
                self._serve(also, periodic)
            finally:
                self._over.set()
                self._wait_for_workers()
        LOG.error('No worker works: another process may run the tasks')

    def _serve(
        self,
        also: Sequence[Callable[[threading.Event], None]],
        periodic: Callable[[], None] | None,
    ) -> None:
        begun: set[int] = set()
        while not self._is_stuck():
            # Again and again: there may have been no thread left for them.
            self._supervisor.repeat('calls', self._listen, self._over)
            for name in self._names:
                work = functools.partial(self._work, name)
                self._supervisor.repeat(name, work, self._over)
            for number, start in enumerate(also):
                if number not in begun and self._attempt(
                    'A start', start, self._over
                ):
                    begun.add(number)
            if periodic:
                self._attempt('Periodic work', periodic)
            self._supervisor.well()
            time.sleep(_PERIOD_SECONDS)

    def _is_stuck(self) -> bool:
        """
        Whether workers have failed for so long that this process gives up.

        Not while one of them is at work; one that is idle proves nothing.
        """
        failing, now = self._supervisor.failing(), time.monotonic()
        since = [failing[name][0] for name in self._names if name in failing]
        return (
            bool(since)
            and now - min(since) > _GIVE_UP_SECONDS
            and not self._at_work - set(failing)
        )

    def _wait_for_workers(self) -> None:
        """Until nothing of ours changes a system or the database."""
        while self._supervisor.alive(*self._names, 'calls'):
            self._tasks.wake.set()
            time.sleep(_POLL_SECONDS or RETRY_SECONDS)

    def _listen(self) -> None:
        for _ in self._locks.calls():
            if self._over.is_set():
                raise Finished
            self._tasks.wake.set()

    def _work(self, name: str) -> None:
        task = self._tasks.claim()
        if task:
            self._supervisor.well()
            self._at_work.add(name)
            try:
                with contextlib.suppress(_Abandoned):
                    self._execute(task)
            finally:
                self._at_work.discard(name)
        else:
            self._tasks.wake.wait(_POLL_SECONDS)
            self._tasks.wake.clear()

    def _execute(self, task: Task) -> None:
        operation = self._operations.of(task)
        LOG.info(
            'Task %s: %s of %s',
            task.id,
            task.operation,
            ', '.join(
                f'snapshot {s.snapshot!r} of system {s.system.uuid}'
                if s.snapshot
                else f'system {s.system.uuid}'
                for s in task.subjects
            ),
        )
        while True:
            try:
                with self._locked(task, operation):
                    # Ended before the lock is free: who takes it next must
                    # not find a task that has begun and does not hold it.
                    state, outcome = self._outcome(task, operation)
                    self._finish(task, operation, state, outcome)
                if state == COMPLETED:
                    self._attempt(
                        f'What follows task {task.id}', operation.follow, task
                    )
                return
            except exceptions.SystemLocked as exc:
                # What has begun is settled, whoever holds the system.
                if not task.step:
                    self._finish(task, operation, EXCEPTION, exc)
                    return
            except exceptions.StateUnavailable as exc:
                self._suffer(exc)

    def _suffer(self, error: exceptions.StateUnavailable) -> None:
        """Wait for the state to come back; raises _Abandoned."""
        self._supervisor.suffer(error)
        if self._over.wait(RETRY_SECONDS):
            raise _Abandoned

    @contextlib.contextmanager
    def _locked(self, task: Task, operation: Operation) -> Iterator[None]:
        """Hold the locks of all systems of *task*, as its operation wants."""
        with contextlib.ExitStack() as stack:
            if operation.lock != Lock.NONE:
                # In one order, so that two tasks cannot wait for each other.
                for uuid in sorted({s.system.uuid for s in task.subjects}):
                    stack.enter_context(
                        self._locks.system(
                            uuid,
                            self._conf.deadline,
                            shared=operation.lock == Lock.SHARED,
                        )
                    )
            yield

    def _outcome(
        self, task: Task, operation: Operation
    ) -> tuple[str, Outcome]:
        """The state that the task ends in, and its result or error."""
        try:
            return COMPLETED, self._run_in_time(task, operation)
        except _Abandoned:
            raise
        except exceptions.OperationCancelled as exc:
            return CANCELLED, exc
        except exceptions.HawkFishError as exc:
            LOG.error('Task %s failed: %r', task.id, messages.text(exc))
            return EXCEPTION, exc
        except Exception:
            LOG.exception('Task %s failed unexpectedly', task.id)
            return EXCEPTION, exceptions.InternalError()

    def _run_in_time(self, task: Task, operation: Operation) -> dict[str, Any]:
        deadline = self._conf.deadline
        context = Context(self._tasks, task, deadline)
        # What nobody expects any more is not done hours later, when an
        # emulator that was down comes back.
        if not context.begun and self._tasks.waited(task) > deadline:
            raise exceptions.OperationTimedOut(task.operation, deadline)
        return self._carry_out(context, operation)

    def _finish(
        self, task: Task, operation: Operation, state: str, outcome: Outcome
    ) -> None:
        """End the task, however long the database takes to come back."""
        error = None
        if isinstance(outcome, exceptions.HawkFishError):
            error = outcome

        def happened(ended: Task) -> Sequence[NewEvent]:
            try:
                return operation.events(ended, error)
            except Exception:
                # A task that does not end would keep its snapshot busy for
                # ever.
                LOG.exception('The end of task %s has no events', task.id)
                return ()

        while True:
            try:
                self._tasks.end(task, state, outcome, happened=happened)
                break
            except exceptions.StateUnavailable as exc:
                self._suffer(exc)
        self._tasks.wake.set()

    def _carry_out(
        self, context: Context, operation: Operation
    ) -> dict[str, Any]:
        """
        Run the operation, or settle it where an earlier try had begun.

        When the hypervisor or the database goes away in the middle nobody
        knows how far it came, so it is settled as soon as both are back,
        however long that takes: left as it is, a system may be half changed.
        """
        settling, told = context.begun, False
        while True:
            try:
                if settling:
                    return operation.settle(context)
                return operation.run(context)
            except exceptions.HypervisorBusy:
                if not settling:
                    raise
            except (
                exceptions.HypervisorUnavailable,
                exceptions.StateUnavailable,
            ) as exc:
                if not context.begun:
                    raise
                self._failures.tell(f'Task {context.task.id}, waiting,', exc)
                told = told or _add_message(context, exc)
                settling = True
            if self._over.wait(RETRY_SECONDS):
                raise _Abandoned

    def _attempt(
        self, what: str, call: Callable[..., None], *args: object
    ) -> bool:
        """*call* with *args*, whose failure is nobody's but its own."""
        try:
            call(*args)
        except Exception as exc:
            self._failures.tell(what, exc)
            return False
        self._failures.forget(what)
        return True


def _add_message(context: Context, error: exceptions.HawkFishError) -> bool:
    with contextlib.suppress(exceptions.StateUnavailable):
        context.add_message(error.message_id, *error.args)
        return True
    return False
