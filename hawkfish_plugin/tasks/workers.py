# SPDX-License-Identifier: Apache-2.0
"""
Workers: the threads that carry tasks out.

One process of a state folder has them, and the next when that one dies, or
when all of its workers fail.  A task has the locks of its systems while it
runs; what was interrupted is settled, however long the hypervisor or the
database takes to come back.  Who waits for that, or is stuck in a task that
was abandoned, is replaced: as many work as are meant to.
"""

import contextlib
import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import exceptions, locks, messages
from hawkfish_plugin.drivers.contract import Abandoned
from hawkfish_plugin.events import NewEvent
from hawkfish_plugin.supervision import (
    RETRY_SECONDS,
    Failures,
    Finished,
    Supervisor,
)
from hawkfish_plugin.tasks.context import Context, Relinquished
from hawkfish_plugin.tasks.ending import Outcome
from hawkfish_plugin.tasks.operation import Lock, Operation, Operations
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from hawkfish_plugin.tasks.sub_tasks import SubTasks
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import CANCELLED, COMPLETED, EXCEPTION, Task

LOG = logging.getLogger(__name__)

# How often an idle worker looks for tasks that another process submitted, in
# case its call was not heard.
_POLL_SECONDS = 0.25
_PERIOD_SECONDS = 5.0
# After how long a process whose workers all fail lets another one try.
_GIVE_UP_SECONDS = 15.0
# A hypervisor that has been away for so long is not waited for any more.
_AWAY_SECONDS = 24 * 3600.0


@dataclasses.dataclass(eq=False)
class _Turn:
    """
    The turn of the worker *name* at *task*, with the locks that it *held*.

    That of no worker, for a sub-task.  *replaced*: another worker has taken
    its place.  *rendezvous* is where a sub-task meets others.
    """

    name: str
    task: Task
    held: list[locks.Held] = dataclasses.field(default_factory=list)
    replaced: bool = False
    rendezvous: Rendezvous | None = None


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
        self._turns: set[_Turn] = set()
        self._replacing = threading.Lock()
        # Those who may still change something, and who carry out a task.
        self._hired = set(self._names)
        self._at_work: set[str] = set()
        # Set when this process is the owner no more.
        self._over = threading.Event()
        self._sub_tasks = SubTasks(
            task_table, self._execute_part, self._suffer, supervisor
        )

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
            for name in list(self._names):
                work = functools.partial(self._work, name)
                self._supervisor.repeat(name, work, self._over)
            for number, start in enumerate(also):
                if number not in begun and self._attempt(
                    'A start', start, self._over
                ):
                    begun.add(number)
            self._attempt('Letting tasks go', self._let_go)
            self._attempt('What follows ended tasks', self._follow_all)
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
            and not self._at_work.intersection(self._names) - set(failing)
        )

    def _wait_for_workers(self) -> None:
        """
        Until nothing of ours changes a system or the database.

        Not for who hangs in a task that was abandoned: he changes nothing.
        """
        while self._supervisor.alive(*self._hired, 'calls'):
            self._attempt('Letting tasks go', self._let_go)
            self._tasks.wake.set()
            time.sleep(_POLL_SECONDS or RETRY_SECONDS)

    def _listen(self) -> None:
        for _ in self._locks.calls():
            if self._over.is_set():
                raise Finished
            self._tasks.wake.set()
            self._attempt('Letting tasks go', self._let_go)

    def _let_go(self) -> None:
        """Let go of the tasks that somebody has abandoned."""
        turns = {turn.task.id: turn for turn in list(self._turns)}
        for task_id in self._tasks.ended(turns) if turns else ():
            turn = turns[task_id]
            # One that has just ended by itself is about to leave.
            if turn in self._turns:
                self._replace(turn)
                for held in turn.held:
                    held.let_go()
                self._hired.discard(turn.name)

    def _replace(self, turn: _Turn) -> None:
        """Let another worker take the place of who has *turn*."""
        with self._replacing:
            if turn.replaced or turn not in self._turns:
                return
            turn.replaced = True
            name = f'worker-for-{turn.task.id}'
            self._names[self._names.index(turn.name)] = name
            self._hired.add(name)
        work = functools.partial(self._work, name)
        self._attempt(
            'A stand-in', self._supervisor.repeat, name, work, self._over
        )

    def _work(self, name: str) -> None:
        task = self._tasks.claim()
        if not task:
            self._tasks.wake.wait(_POLL_SECONDS)
            self._tasks.wake.clear()
            return
        self._supervisor.well()
        self._at_work.add(name)
        try:
            replaced = self._take_turn(_Turn(name, task))
        finally:
            self._at_work.discard(name)
        if replaced:
            self._hired.discard(name)
            raise Finished

    def _take_turn(self, turn: _Turn) -> bool:
        """Whether another worker has taken its place meanwhile."""
        self._turns.add(turn)
        try:
            self._execute(turn)
        except Relinquished:
            pass
        except Abandoned:
            LOG.warning('Task %s was abandoned, and has stopped', turn.task.id)
        finally:
            with self._replacing:
                self._turns.discard(turn)
        return turn.replaced

    def _follow_all(self) -> None:
        """Do what a process that died has not come to, or could not do."""
        for task in self._tasks.to_follow():
            self._follow(task, self._operations.of(task))

    def _follow(self, task: Task, operation: Operation) -> None:
        try:
            operation.follow(task)
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
        self._tasks.followed(task)

    def _execute_part(self, task: Task, rendezvous: Rendezvous | None) -> None:
        """Carry out a sub-task, which no other worker can take over."""
        try:
            self._execute(_Turn('', task, rendezvous=rendezvous))
        except Abandoned:
            LOG.warning('Task %s was abandoned, and has stopped', task.id)
        finally:
            if rendezvous:
                rendezvous.leave(task.id)

    def _execute(self, turn: _Turn) -> None:
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
                if (
                    ended
                    and state == COMPLETED
                    and _is_followed(task, operation)
                ):
                    self._follow(task, operation)
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
        if self._over.wait(RETRY_SECONDS):
            raise Relinquished

    @contextlib.contextmanager
    def _locked(self, turn: _Turn, operation: Operation) -> Iterator[None]:
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
        self, turn: _Turn, operation: Operation
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

    def _run_in_time(
        self, turn: _Turn, operation: Operation
    ) -> dict[str, Any]:
        task, deadline = turn.task, self._conf.deadline
        context = Context(
            self._tasks,
            task,
            deadline,
            self._sub_tasks.carry_out,
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
        return self._carry_out(turn, context, operation)

    def _finish(
        self, task: Task, operation: Operation, state: str, outcome: Outcome
    ) -> bool:
        """
        End the task, however long the database takes to come back.

        False where it had ended already.
        """
        error = None
        if isinstance(outcome, exceptions.HawkFishError):
            error = outcome

        def happened(ended: Task) -> Sequence[NewEvent]:
            try:
                return operation.ended(ended, error)
            except exceptions.StateUnavailable:
                raise
            except Exception:
                # A task that does not end would keep its snapshot busy for
                # ever.
                LOG.exception('The end of task %s has no events', task.id)
                return ()

        while True:
            try:
                ended = self._tasks.end(
                    task,
                    state,
                    outcome,
                    mends=operation.mends,
                    happened=happened,
                    followed=_is_followed(task, operation)
                    and state == COMPLETED,
                )
                break
            except exceptions.StateUnavailable as exc:
                self._suffer(exc)
        self._tasks.wake.set()
        return ended

    def _carry_out(
        self, turn: _Turn, context: Context, operation: Operation
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
                self._failures.tell(f'Task {context.task.id}, waiting,', exc)
                # The others need not wait for a hypervisor to come back.
                context.leave()
                told = told or _add_message(context, exc)
                settling, error = True, exc
                since = since or time.monotonic()
                in_vain = time.monotonic() - since > _AWAY_SECONDS
            self._replace(turn)
            _check_wait(context, error, in_vain)
            if self._over.wait(RETRY_SECONDS):
                raise Relinquished

    def _attempt(
        self, what: str, call: Callable[..., object], *args: object
    ) -> bool:
        """*call* with *args*, whose failure is nobody's but its own."""
        try:
            call(*args)
        except Exception as exc:
            self._failures.tell(what, exc)
            return False
        self._failures.forget(what)
        return True


def _is_followed(task: Task, operation: Operation) -> bool:
    """Whether something comes after it; after a part, what its parent does."""
    return operation.follows and task.parent is None


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
