# SPDX-License-Identifier: Apache-2.0
"""A task table with operations that wait to be told."""

import dataclasses
import threading

from hawkfish_plugin import conf, db, exceptions, locks, supervision
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks import table as tasks
from hawkfish_plugin.tasks import workers
from hawkfish_plugin.tasks.operation import Lock, Operation, Operations
from hawkfish_plugin.tasks.task import (
    Subject,
)
from tests.waiting import wait_for

A, B = contract.System('uuid-a', 'a'), contract.System('uuid-b', 'b')
PATIENCE = 60.0

# Works as the owner of the state in argv[1] until it is killed.
OWNER = """
import pathlib, sys, threading, time
from hawkfish_plugin import conf, db, locks, supervision
from hawkfish_plugin.tasks import table, workers
from hawkfish_plugin.tasks.operation import Operations
from tests.unit.tasks.tables import Facts, operation

def run(context):
    context.step('half', Facts(made=['file']))
    context.progress(50)
    print('half', flush=True)
    threading.Event().wait()

folder = pathlib.Path(sys.argv[1])
lock_files, options = locks.Locks(folder), conf.load()
workers.Workers(
    table.Tasks(db.Database(folder), lock_files, options), lock_files,
    Operations(operation('work', run, run), operation('other', run, run)),
    options, supervision.Supervisor(),
).start()
threading.Event().wait()
"""


@dataclasses.dataclass(frozen=True)
class Facts(Record):
    """The arguments, and the journal, of every operation here."""

    note: object = None
    made: object = None
    created_here: bool = False


def operation(name, run, settle, **attributes):
    """An operation that does *run*, or *settle* where it was interrupted."""
    kind = type(
        name,
        (Operation,),
        {
            'name': name,
            'title': '{snapshot}',
            'run': lambda self, context: run(context),
            'settle': lambda self, context: settle(context),
            **attributes,
        },
    )
    return kind()


class Work:
    """An operation that says when it begins, and waits for its turn."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.running, self.most, self.order = {}, {}, []
        self.settled = []
        self._lock = threading.Lock()

    def run(self, context):
        systems = [subject.system.uuid for subject in context.task.subjects]
        with self._lock:
            self.order.append(context.task.snapshot)
            for system in systems:
                self.running[system] = self.running.get(system, 0) + 1
                self.most[system] = max(
                    self.most.get(system, 0), self.running[system]
                )
        context.step('working', Facts(note=context.task.arguments))
        self.begun.release()
        while not self.go.wait(0.02):
            if context.cancelled:
                raise exceptions.OperationCancelled('work')
        with self._lock:
            for system in systems:
                self.running[system] -= 1
        return {'did': context.task.snapshot}

    def settle(self, context):
        self.settled.append((context.task.snapshot, context.task.claims))
        return {
            'made': context.recall(Facts).made,
            'last': context.last_step,
        }

    def fail(self, context):
        context.step('failing', Facts(note='definition'))
        if Facts.load(context.task.arguments).created_here:
            raise exceptions.OperationFailed('fail', 'the disk is full')
        raise RuntimeError('not foreseen')

    def warn(self, context):
        context.add_message('HawkFish.1.0.CleanupFailed', '/overlay', 'busy')
        return {'did': context.task.snapshot}

    def say_nothing(self, context):
        return {}

    def operations(self, **replaced):
        """All of them, some of which may have other attributes."""
        runs = {
            'work': self.run,
            'other': self.run,
            'sharing': self.run,
            'free': self.run,
            'fail': self.fail,
            'warn': self.warn,
            'silent': self.say_nothing,
        }
        return Operations(
            *(
                operation(
                    name,
                    run,
                    self.settle,
                    **(ATTRIBUTES.get(name, {}) | replaced.get(name, {})),
                )
                for name, run in runs.items()
            )
        )


ATTRIBUTES = {
    'work': {'cancellable': True},
    'sharing': {'lock': Lock.SHARED},
    'free': {'lock': Lock.NONE},
}


class Table(tasks.Tasks):
    """A task table that can be given workers."""

    def __init__(self, folder):
        self._folder, self._options = folder, conf.load()
        super().__init__(
            db.Database(folder), locks.Locks(folder), self._options
        )

    def start(self, operations, periodic=None):
        lock_files = locks.Locks(self._folder)
        workers.Workers(
            self,
            lock_files,
            operations,
            self._options,
            supervision.Supervisor(),
        ).start(periodic=periodic)


def open_table(folder):
    return Table(folder)


def submit(table, snapshot, system=A, kind='work', after=None, **arguments):
    subjects = [Subject(system, snapshot)]
    return submit_all(table, subjects, kind, after=after, **arguments)


def submit_all(table, subjects, kind='work', after=None, **arguments):
    declared = operation(kind, None, None, **ATTRIBUTES.get(kind, {}))
    return table.submit(
        declared, subjects, Facts(**arguments), {}, after=after
    )


def ended(table, task):
    """The task once it has ended."""

    def look():
        found = table.get(task.id)
        return None if found.active else found

    return wait_for(look)


def begun(work, count=1):
    for _ in range(count):
        assert work.begun.acquire(timeout=PATIENCE)


def message_ids(task):
    return [key.rpartition('.')[2] for key, _ in task.messages]
