# SPDX-License-Identifier: Apache-2.0
"""
What a group lets the emulator do to each of its systems.

Owns ``Reset`` and ``SetDefaultBootOrder`` of an Aggregate: the order and the
pauses of a reset in batches, and which system must not be started.  The
systems of a batch are reset at the same time.  One that cannot be reset, or
that others have locked, keeps the others of its batch from nothing.
"""

import abc
import concurrent.futures
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import exceptions, locks, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Group
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Lock, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task

# How often the systems are tried that others work on.
_POLL_SECONDS = 0.5
# How many systems are worked on at one time.
_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class ResetOptions:
    """
    *kind* is a ResetType; *batch* 0 resets all at once.

    *delay* is in seconds, between two batches.
    """

    kind: str
    batch: int = 0
    delay: int = 0


@dataclasses.dataclass(frozen=True)
class PowerArguments(Record):
    """See ResetOptions; *group* is the name of the group."""

    group: str
    kind: str = ''
    batch: int = 0
    delay: int = 0


@dataclasses.dataclass(frozen=True)
class PowerJournal(Record):
    """*done* are the UUIDs of the systems that have had their turn."""

    done: Sequence[str] = ()


class _OfMembers(Operation):
    """
    Something that is done to each system of a group, within one task.

    *systems* gives the emulator's own driver of systems.  It may take long,
    so each system is locked in its turn only.
    """

    lock = Lock.NONE
    of_group = True

    def __init__(
        self,
        findings: Findings,
        task_table: Tasks,
        groups: GroupCatalogue,
        lock_files: locks.Locks,
        conf: cfg.ConfigOpts,
        systems: Callable[[], Any],
    ) -> None:
        self._findings = findings
        self._tasks = task_table
        self._groups = groups
        self._locks = lock_files
        self._conf = conf
        self._systems = systems

    def _submit(
        self,
        group: Group,
        arguments: PowerArguments,
        payload: Mapping[str, Any],
        check: Callable[[Group], None],
    ) -> Task:
        with self._groups.held(group.name) as group:
            check(group)
            self._groups.check_idle(group)
            subjects = [Subject(s) for s in self._groups.present(group)]
            self._check_length(arguments, len(subjects))
            return self._tasks.submit(self, subjects, arguments, payload)

    def _check_length(self, arguments: PowerArguments, systems: int) -> None:
        """Raise where the pauses alone take longer than a task may."""
        batches = -(-systems // (arguments.batch or systems))
        if (batches - 1) * arguments.delay > self._conf.tasks.deadline:
            raise exceptions.ActionParameterValueFormatError(
                arguments.delay,
                'DelayBetweenBatchesInSeconds',
                uris.RESET_ACTION,
            )

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        group = rival.intent.group
        if group is None:
            return super().refusal(rival)
        return exceptions.GroupBusy(group, rival.operation, rival.id)

    def run(self, context: Context) -> dict[str, Any]:
        arguments = PowerArguments.load(context.task.arguments)
        systems = [subject.system for subject in context.task.subjects]
        failed: list[exceptions.HawkFishError] = []
        size = arguments.batch or len(systems)
        turns = _Turns(
            context,
            lambda journal: context.step(self.name, journal),
            len(systems),
        )
        for begin in range(0, len(systems), size):
            if begin:
                context.rest(arguments.delay)
            batch = systems[begin : begin + size]
            failed += self._attempt_all(turns, batch, arguments)
        if failed:
            told = exceptions.GroupActionUnfinished(
                self.name,
                len(systems) - len(failed),
                len(systems),
                arguments.group,
            )
            raise exceptions.Refused([told, *failed])
        return {'systems': len(systems)}

    def _attempt_all(
        self,
        turns: '_Turns',
        batch: Sequence[contract.System],
        arguments: PowerArguments,
    ) -> Sequence[exceptions.HawkFishError]:
        """The errors of the systems of one *batch*, in its order."""
        ends: dict[contract.System, str] = {}
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE, 'power') as pool:
            while left := [system for system in batch if system not in ends]:
                if turns.context.cancelled:
                    raise exceptions.OperationCancelled(self.name)
                if turns.context.overdue:
                    ends |= dict.fromkeys(left, self._too_late())
                    break
                tried = {
                    system: pool.submit(
                        self._attempt, turns, system, arguments
                    )
                    for system in left
                }
                for system, attempt in tried.items():
                    with contextlib.suppress(exceptions.SystemLocked):
                        ends[system] = attempt.result()
                if len(ends) < len(batch):
                    turns.context.rest(_POLL_SECONDS)
        return [
            exceptions.GroupMemberFailed(system.name, ends[system])
            for system in batch
            if ends[system]
        ]

    def _too_late(self) -> str:
        return _words(
            exceptions.OperationTimedOut(self.name, self._conf.tasks.deadline)
        )

    def _attempt(
        self,
        turns: '_Turns',
        system: contract.System,
        arguments: PowerArguments,
    ) -> str:
        """
        Why it does not work on one system, or nothing.

        Raises SystemLocked where others work on that system.
        """
        with self._locks.system(system.uuid, 0):
            if turns.context.cancelled:
                raise exceptions.OperationCancelled(self.name)
            turns.take(system)
            try:
                self._check_settled(system)
                self._do(system, arguments)
            except RuntimeError as exc:
                return str(exc)
            except (
                exceptions.Conflict,
                exceptions.NotFound,
                exceptions.NotAnswering,
                exceptions.SystemUnsettled,
            ) as exc:
                return _words(exc)
        return ''

    def _check_settled(self, system: contract.System) -> None:
        task = self._tasks.unsettled(system.uuid)
        if task:
            raise exceptions.SystemUnsettled(
                system.name, task.operation, task.id
            )

    @abc.abstractmethod
    def _do(self, system: contract.System, arguments: PowerArguments) -> None:
        """Let the emulator do it to *system*."""

    def settle(self, context: Context) -> dict[str, Any]:
        done = context.recall(PowerJournal).done
        raise exceptions.OperationInterrupted(
            self.name,
            f'{len(done)} of {len(context.task.subjects)} systems have had '
            'their turn',
        )


def _words(error: exceptions.HawkFishError) -> str:
    return messages.text(error).rstrip('.')


class _Turns:
    """Notes which of the systems of one task have had their turn."""

    def __init__(
        self,
        context: Context,
        note: Callable[[PowerJournal], None],
        total: int,
    ) -> None:
        self.context = context
        self._note = note
        self._total = total
        self._done: list[str] = []
        self._noting = threading.Lock()

    def take(self, system: contract.System) -> None:
        """Before anything is done to *system*."""
        with self._noting:
            self._done.append(system.uuid)
            self._note(PowerJournal(list(self._done)))
            self.context.progress(100 * len(self._done) // self._total)


class GroupReset(_OfMembers):
    name = 'group-reset'
    title = 'Reset a group'
    steps = (name,)
    cancellable = True

    def submit(
        self,
        group: Group,
        options: ResetOptions,
        payload: Mapping[str, Any],
        check: Callable[[Group], None],
    ) -> Task:
        """
        Queue a reset of all systems and return its task.

        *check* may refuse, by what the group is when nobody changes it.

        Raises GroupBusy and GroupMemberGone.
        """
        arguments = PowerArguments(
            group.name, options.kind, options.batch, options.delay
        )
        return self._submit(group, arguments, payload, check)

    def _do(self, system: contract.System, arguments: PowerArguments) -> None:
        if internals.is_start(arguments.kind):
            self._findings.check_start(system)
        internals.set_power_state(self._systems(), system.uuid, arguments.kind)


class GroupBootOrder(_OfMembers):
    name = 'group-boot-order'
    title = 'Set the default boot order of a group'
    steps = (name,)
    cancellable = True

    def submit(
        self,
        group: Group,
        payload: Mapping[str, Any],
        check: Callable[[Group], None],
    ) -> Task:
        """
        Queue it for all systems and return its task; *check* as of a reset.

        Raises GroupBusy and GroupMemberGone.
        """
        return self._submit(group, PowerArguments(group.name), payload, check)

    def _do(self, system: contract.System, arguments: PowerArguments) -> None:
        internals.set_default_boot_order(self._systems(), system.uuid)
