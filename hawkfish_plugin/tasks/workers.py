# SPDX-License-Identifier: Apache-2.0
"""
Workers: the threads that carry tasks out.

One process of a state folder has them, and the next when that one dies, or
when all of its workers fail.  Who waits for a hypervisor, or is stuck in a
task that was abandoned, is replaced: as many work as are meant to.  How a task
is carried out is in ``execution``.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence

from oslo_config import cfg

from hawkfish_plugin import locks
from hawkfish_plugin.drivers.contract import Abandoned
from hawkfish_plugin.supervision import (
    RETRY_SECONDS,
    Failures,
    Finished,
    Supervisor,
)
from hawkfish_plugin.tasks.context import Relinquished
from hawkfish_plugin.tasks.execution import Execution, Turn
from hawkfish_plugin.tasks.operation import Operations
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Task

LOG = logging.getLogger(__name__)

# How often an idle worker looks for tasks that another process submitted, in
# case its call was not heard.
_POLL_SECONDS = 0.25
_PERIOD_SECONDS = 5.0
# After how long a process whose workers all fail lets another one try.
_GIVE_UP_SECONDS = 15.0


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
        self._conf = conf.tasks
        self._supervisor = supervisor
        self._failures = Failures(LOG)
        self._names = [f'worker-{n}' for n in range(self._conf.workers)]
        # Who has them, and those of which another one took the place.
        self._turns: dict[Turn, str] = {}
        self._replaced: set[Turn] = set()
        self._replacing = threading.Lock()
        # Those who may still change something, and who carry out a task.
        self._hired = set(self._names)
        self._at_work: set[str] = set()
        self._execution = Execution(
            task_table, lock_files, operations, conf, supervisor
        )
        # Set when this process is the owner no more.
        self._over = self._execution.over

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
            self._execution.over = self._over = threading.Event()
            self._tasks.claims.begin_term()
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

        Not for those that hang in an abandoned task: they change nothing.
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
            name = self._turns.get(turn)
            # One that has just ended by itself is about to leave.
            if name is not None:
                self._replace(turn)
                for held in turn.held:
                    held.let_go()
                self._hired.discard(name)

    def _replace(self, turn: Turn) -> None:
        """Let another worker take the place of who has *turn*."""
        with self._replacing:
            replaced = self._turns.get(turn)
            if replaced is None or turn in self._replaced:
                return
            self._replaced.add(turn)
            name = f'worker-for-{turn.task.id}'
            self._names[self._names.index(replaced)] = name
            self._hired.add(name)
        work = functools.partial(self._work, name)
        self._attempt(
            'A stand-in', self._supervisor.repeat, name, work, self._over
        )

    def _work(self, name: str) -> None:
        task = self._tasks.claims.claim()
        if not task:
            self._tasks.wake.wait(_POLL_SECONDS)
            self._tasks.wake.clear()
            return
        self._supervisor.well()
        self._at_work.add(name)
        try:
            replaced = self._take_turn(name, task)
        finally:
            self._at_work.discard(name)
        if replaced:
            self._hired.discard(name)
            raise Finished

    def _take_turn(self, name: str, task: Task) -> bool:
        """Whether another worker has taken the place of *name* meanwhile."""
        turn = Turn(task)
        turn.waits = functools.partial(self._replace, turn)
        self._turns[turn] = name
        try:
            self._execution.execute(turn)
        except Relinquished:
            pass
        except Abandoned:
            LOG.warning('Task %s was abandoned, and has stopped', task.id)
        finally:
            with self._replacing:
                del self._turns[turn]
                replaced = turn in self._replaced
                self._replaced.discard(turn)
        return replaced

    def _follow_all(self) -> None:
        """Do what a process that died has not come to, or could not do."""
        for task in self._tasks.to_follow():
            self._execution.follow(task)

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
