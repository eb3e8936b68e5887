# SPDX-License-Identifier: Apache-2.0
"""
How one task is carried out.

Owns what comes between a claim and an end: the locks of its systems, the
choice between running and settling, the wait for a hypervisor or a database
that is away, and what follows a success.
"""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import exceptions, locks, messages
from hawkfish_plugin.drivers.contract import Abandoned
from hawkfish_plugin.supervision import RETRY_SECONDS, Failures, Supervisor
from hawkfish_plugin.tasks.context import Context, Relinquished
from hawkfish_plugin.tasks.ending import Outcome, is_followed
from hawkfish_plugin.tasks.operation import Lock, Operation, Operations
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from hawkfish_plugin.tasks.sub_tasks import SubTasks
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import CANCELLED, COMPLETED, EXCEPTION, Task

LOG = logging.getLogger(__name__)

# A hypervisor that has been away for so long is not waited for any more.
_AWAY_SECONDS = 24 * 3600.0


def _stay() -> None:
    """What whoever waits with a sub-task does: nobody takes its place."""


@dataclasses.dataclass(eq=False)
class Turn:
    """
    Somebody's turn at *task*, with the locks that are *held* for it.

    *rendezvous* is where a sub-task meets others; *waits* is called before
    its thread waits for long.
    """

    task: Task
    rendezvous: Rendezvous | None = None
    waits: Callable[[], None] = _stay
    held: list[locks.Held] = dataclasses.field(default_factory=list)


class Execution:
    """
    Carries out *operations* for tasks of *task_table* that were claimed.

    *over* is set when this process is the owner no more.
    """

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
        self._sub_tasks = SubTasks(
            task_table, self._execute_part, self._suffer, supervisor
        )
        self.over = threading.Event()

    def _execute_part(self, task: Task, rendezvous: Rendezvous | None) -> None:
        """Carry out a sub-task, which no other worker can take over."""
        try:
            self.execute(Turn(task, rendezvous))
        except Abandoned:
            LOG.warning('Task %s was abandoned, and has stopped', task.id)
        finally:
            if rendezvous:
                rendezvous.leave(task.id)

    def execute(self, turn: Turn) -> None:
        """
        Carry out the task of *turn*, to its end.

        Raises Relinquished and Abandoned.
        """
        task = turn.task
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
                with self._locked(turn, operation):
                    # Ended before the lock is free: who takes it next must
                    # not find a task that has begun and does not hold it.
                    state, outcome = self._outcome(turn, operation)
                    ended = self._finish(task, operation, state, outcome)
                    if ended:
                        _look_after(task, operation)
                if (
                    ended
                    and state == COMPLETED
                    and is_followed(task, operation)
                ):
                    self.follow(task)
                return
            except exceptions.SystemLocked as exc:
                # What has begun is settled, whoever holds the system.
                if not task.step:
                    self._finish(task, operation, EXCEPTION, exc)
                    return
            except exceptions.StateUnavailable as exc:
                self._suffer(exc)

    def _suffer(self, error: exceptions.StateUnavailable) -> None:
        """Wait for the state to come back; raises Relinquished."""
        self._supervisor.suffer(error)
        if self.over.wait(RETRY_SECONDS):
            raise Relinquished

    @contextlib.contextmanager
    def _locked(self, turn: Turn, operation: Operation) -> Iterator[None]:
        """
        Hold the locks of all its systems, as the *operation* wants.

        A sub-task has those of its parent, which waits for its end.
        """
        task = turn.task
        turn.held = []
        with contextlib.ExitStack() as stack:
            if operation.lock != Lock.NONE and task.parent is None:
                # In one order, so that two tasks cannot wait for each other.
                shared, deadline = (
                    operation.lock == Lock.SHARED,
                    self._conf.deadline,
                )
                for uuid in sorted({s.system.uuid for s in task.subjects}):
                    turn.held.append(
                        stack.enter_context(
                            self._locks.system(uuid, deadline, shared)
                        )
                    )
                    if shared:
                        stack.enter_context(
                            self._locks.definition(uuid, deadline, shared)
                        )
            yield

    def _outcome(
        self, turn: Turn, operation: Operation
    ) -> tuple[str, Outcome]:
        """The state that the task ends in, and its result or error."""
        task = turn.task
        try:
            return COMPLETED, self._run_in_time(turn, operation)
        except exceptions.OperationCancelled:
            # The one that was asked for, whatever it consists of.
            return CANCELLED, exceptions.OperationCancelled(task.operation)
        except exceptions.HawkFishError as exc:
            LOG.error('Task %s failed: %r', task.id, messages.text(exc))
            return EXCEPTION, exc
        except Exception:
            LOG.exception('Task %s failed unexpectedly', task.id)
            return EXCEPTION, exceptions.InternalError()

    def _run_in_time(self, turn: Turn, operation: Operation) -> dict[str, Any]:
        task, deadline = turn.task, self._conf.deadline
        context = Context(
            self._tasks,
            task,
            deadline,
            self._sub_tasks.carry_out,
            lambda seconds: self._pause(turn, seconds),
            turn.rendezvous,
        )
        if context.begun:
            self._sub_tasks.recover(task)
        if task.version > operation.version:
            raise exceptions.TaskTooNew(task.id, task.operation, task.version)
        # What nobody expects any more is not done hours later, when an
        # emulator that was down comes back.
        if not context.begun and self._tasks.waited(task) > deadline:
            raise exceptions.OperationTimedOut(task.operation, deadline)
        try:
            return self._carry_out(turn, context, operation)
        finally:
            self._failures.forget(_waiting(task))

    def _pause(self, turn: Turn, seconds: float) -> None:
        """Wait while another one works; raises Relinquished."""
        turn.waits()
        if self.over.wait(seconds):
            raise Relinquished

    def _finish(
        self, task: Task, operation: Operation, state: str, outcome: Outcome
    ) -> bool:
        """
        End the task, however long the database takes to come back.

        False where it had ended already.
        """
        while True:
            try:
                ended = self._tasks.ends.end(task, state, outcome, operation)
                break
            except exceptions.StateUnavailable as exc:
                self._suffer(exc)
        self._tasks.wake.set()
        return ended

    def _carry_out(
        self, turn: Turn, context: Context, operation: Operation
    ) -> dict[str, Any]:
        """
        Run the operation, or settle it where an earlier try had begun.

        When the hypervisor or the database goes away in the middle nobody
        knows how far it came, so it is settled as soon as both are back: left
        as it is, a system may be half changed.
        """
        settling, told = context.begun, False
        since: float | None = None
        while True:
            try:
                if settling:
                    return operation.settle(context)
                return operation.run(context)
            except exceptions.HypervisorBusy as exc:
                if not settling:
                    raise
                error: exceptions.HawkFishError = exc
                in_vain = context.overdue
            except (
                exceptions.HypervisorAway,
                exceptions.StateUnavailable,
            ) as exc:
                if not context.begun:
                    raise
                self._failures.tell(_waiting(context.task), exc)
                # The others need not wait for a hypervisor to come back.
                context.leave()
                told = told or _add_message(context, exc)
                settling, error = True, exc
                since = since or time.monotonic()
                in_vain = time.monotonic() - since > _AWAY_SECONDS
            turn.waits()
            _check_wait(context, error, in_vain)
            if self.over.wait(RETRY_SECONDS):
                raise Relinquished

    def follow(self, task: Task) -> None:
        """Do what follows *task*, which is Completed."""
        try:
            self._operations.of(task).follow(task)
        except (
            exceptions.HypervisorUnavailable,
            exceptions.StateUnavailable,
        ) as exc:
            LOG.warning('Task %s: %s', task.id, messages.text(exc))
            return
        except exceptions.HawkFishError as exc:
            LOG.error('What follows task %s: %r', task.id, messages.text(exc))
        except Exception:
            LOG.exception('What follows task %s failed', task.id)
        self._tasks.ends.followed(task)


def _look_after(task: Task, operation: Operation) -> None:
    try:
        operation.look_after(task)
    except Exception:
        LOG.exception('The look after task %s failed', task.id)


def _waiting(task: Task) -> str:
    """What fails while *task* waits for its hypervisor, in the log."""
    return f'Task {task.id}, waiting,'


def _check_wait(
    context: Context, error: exceptions.HawkFishError, in_vain: bool
) -> None:
    """Raise where a task that waits because of *error* waits no more."""
    with contextlib.suppress(exceptions.StateUnavailable):
        if not (in_vain or context.cancelled):
            return
        why = 'it has waited in vain' if in_vain else 'it was cancelled'
        raise exceptions.OperationUnsettled(
            context.task.operation,
            context.last_step,
            f'{why}; {messages.text(error)}'.rstrip('.'),
        )


def _add_message(context: Context, error: exceptions.HawkFishError) -> bool:
    with contextlib.suppress(exceptions.StateUnavailable):
        context.add_message(error.message_id, *error.args)
        return True
    return False
