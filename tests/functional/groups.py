# SPDX-License-Identifier: Apache-2.0
"""
Groups of systems in the hands of a process that can be killed.

Run as a program, it carries out the tasks of a state folder: the sub-tasks of
a group, which meet, over a real hypervisor.  Its tests submit them, and say at
which meeting who dies.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from hawkfish_plugin import conf, db, exceptions, locks
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.contract import Meeting
from hawkfish_plugin.drivers.libvirt import LibvirtDriver
from hawkfish_plugin.records import Record
from hawkfish_plugin.supervision import Supervisor
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Operation, Operations
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task
from hawkfish_plugin.tasks.workers import Workers
from tests.waiting import wait_for


@dataclasses.dataclass(frozen=True)
class Arguments(Record):
    """What is asked of a group, and of each of its members."""

    name: str
    consistency: str | None = None


class Create(Operation):
    name, title, cancellable = 'create', 'Create {snapshot}', True

    def __init__(self, driver: contract.Driver) -> None:
        self._driver = driver

    def run(self, context, call='create'):
        asked = Arguments.load(context.task.arguments)
        request = contract.CreateRequest(
            asked.name, consistency=asked.consistency
        )
        system = context.task.one_system
        getattr(self._driver, call)(system.uuid, request, context)
        return {}

    def settle(self, context):
        return self.run(context, 'settle_create')


class Revert(Operation):
    name, title = 'revert', 'Revert {snapshot}'

    def __init__(self, driver: contract.Driver) -> None:
        self._driver = driver

    def run(self, context, call='revert'):
        asked = Arguments.load(context.task.arguments)
        request = contract.RevertRequest(asked.name, created_here=True)
        system = context.task.one_system
        getattr(self._driver, call)(system.uuid, request, context)
        return {}

    def settle(self, context):
        return self.run(context, 'settle_revert')


class Group(Operation):
    """*part* for each of its systems; succeeds where all of them do."""

    title = 'Group'

    def __init__(self, part: Operation) -> None:
        self._part = part
        self.name = f'group-{part.name}'

    def run(self, context):
        asked = Arguments.load(context.task.arguments)
        context.step('parts', asked)
        ends = context.run_sub_tasks(
            [
                SubTask(self._part, [Subject(s.system, asked.name)], asked)
                for s in context.task.subjects
            ],
            meet=True,
        )
        if any(end.state != COMPLETED for end in ends):
            raise exceptions.OperationFailed(self.name, 'a part')
        return {}

    def settle(self, context):
        raise exceptions.OperationInterrupted(self.name, 'interrupted')


class Groups:
    """The tasks of *folder*, and the process that carries them out."""

    def __init__(self, folder: pathlib.Path, uri: str) -> None:
        self._folder, self._uri = folder, uri
        self.table = _table(folder)
        self._operations = [Group(part(None)) for part in (Create, Revert)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, '-m', __name__]
        self.process = subprocess.Popen(
            [*command, str(self._folder), self._uri]
        )

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def kill(self, point: Meeting, seconds: float, victim: int = 0) -> None:
        """Kill *victim*, 0: the process, *seconds* after all met there."""
        unfinished = self._folder / 'unfinished'
        unfinished.write_text(f'{point.name} {seconds} {victim}')
        unfinished.rename(self._folder / 'order')

    def submit(
        self, kind: str, systems: Sequence, name: str, consistency: str = ''
    ) -> Task:
        (operation,) = [o for o in self._operations if o.name == kind]
        subjects = [Subject(contract.System(s.uuid, s.name)) for s in systems]
        arguments = Arguments(name, consistency or None)
        return self.table.submit(operation, subjects, arguments, {})

    def wait(self, task: Task) -> Sequence[Task]:
        """The parts of *task*, when all of it has ended."""
        wait_for(
            lambda: not self.table.get(task.id).active,
            lambda: f'the end of {self.table.sub_tasks(task.id)}',
        )
        return self.table.sub_tasks(task.id)


def _table(folder: pathlib.Path) -> Tasks:
    return Tasks(db.Database(folder), locks.Locks(folder), conf.load())


def _obey(folder: pathlib.Path) -> None:
    """Let somebody die when the first one has met the others where it says."""
    order, meet = folder / 'order', Context.meet

    def met(self: Context, point: Meeting, seconds=None) -> None:
        meet(self, point, seconds)
        with contextlib.suppress(OSError):
            where, after, victim = order.read_text().split()
            if where == point.name:
                order.unlink()
                _kill(int(victim) or os.getpid(), float(after))

    Context.meet = met


def _kill(victim: int, seconds: float) -> None:
    def kill() -> None:
        time.sleep(seconds)
        os.kill(victim, signal.SIGKILL)

    if seconds:
        threading.Thread(target=kill).start()
    else:
        kill()


def _main(folder: pathlib.Path, uri: str) -> None:
    settings = {'SUSHY_EMULATOR_LIBVIRT_URI': uri}
    options = conf.load()
    driver = LibvirtDriver(options, settings, lambda: None)
    parts = [part(driver) for part in (Create, Revert)]
    operations = Operations(*parts, *map(Group, parts))
    _obey(folder)
    table = _table(folder)
    lock_files, supervisor = locks.Locks(folder), Supervisor()
    Workers(table, lock_files, operations, options, supervisor).start()
    threading.Event().wait()


if __name__ == '__main__':
    _main(pathlib.Path(sys.argv[1]), sys.argv[2])
