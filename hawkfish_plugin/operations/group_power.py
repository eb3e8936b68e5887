# SPDX-License-Identifier: Apache-2.0
"""
What a group lets the emulator do to each of its systems.

Owns ``Reset`` and ``SetDefaultBootOrder`` of an Aggregate: the order and the
pauses of a reset in batches, and which system must not be started.  A system
that cannot be reset keeps the others from nothing.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Group
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task


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

    *systems* gives the emulator's own driver of systems.
    """

    of_group = True

    def __init__(
        self,
        findings: Findings,
        task_table: Tasks,
        groups: GroupCatalogue,
        systems: Callable[[], Any],
    ) -> None:
        self._findings = findings
        self._tasks = task_table
        self._groups = groups
        self._systems = systems

    def _submit(
        self,
        group: Group,
        arguments: PowerArguments,
        payload: Mapping[str, Any],
    ) -> Task:
        with self._groups.held(group.name) as group:
            self._groups.check_idle(group)
            subjects = [Subject(s) for s in self._groups.present(group)]
            return self._tasks.submit(self, subjects, arguments, payload)

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        group = rival.intent.group
        if group is None:
            return super().refusal(rival)
        return exceptions.GroupBusy(group, rival.operation, rival.id)

    def run(self, context: Context) -> dict[str, Any]:
        arguments = PowerArguments.load(context.task.arguments)
        systems = [subject.system for subject in context.task.subjects]
        failed: list[exceptions.HawkFishError] = []
        done: list[str] = []
        size = arguments.batch or len(systems)
        for number, system in enumerate(systems):
            if number and number % size == 0:
                context.rest(arguments.delay)
            done.append(system.uuid)
            context.step(self.name, PowerJournal(done))
            failed += self._attempt(system, arguments)
            context.progress(100 * len(done) // len(systems))
        exceptions.check(failed)
        return {'systems': len(done)}

    def _attempt(
        self, system: contract.System, arguments: PowerArguments
    ) -> Sequence[exceptions.HawkFishError]:
        try:
            self._do(system, arguments)
        except RuntimeError as exc:
            return [exceptions.GroupMemberFailed(system.name, exc)]
        except (
            exceptions.Conflict,
            exceptions.NotFound,
            exceptions.NotAnswering,
        ) as exc:
            return [exceptions.GroupMemberRefused(system.name), *exc.parts]
        return ()

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


class GroupReset(_OfMembers):
    name = 'group-reset'
    title = 'Reset a group'
    cancellable = True

    def submit(
        self, group: Group, options: ResetOptions, payload: Mapping[str, Any]
    ) -> Task:
        """
        Queue a reset of all systems and return its task.

        Raises GroupBusy and GroupMemberGone.
        """
        arguments = PowerArguments(
            group.name, options.kind, options.batch, options.delay
        )
        return self._submit(group, arguments, payload)

    def _do(self, system: contract.System, arguments: PowerArguments) -> None:
        if internals.is_start(arguments.kind):
            self._findings.check_start(system)
        internals.set_power_state(self._systems(), system.uuid, arguments.kind)


class GroupBootOrder(_OfMembers):
    name = 'group-boot-order'
    title = 'Set the default boot order of a group'
    cancellable = True

    def submit(self, group: Group, payload: Mapping[str, Any]) -> Task:
        """
        Queue it for all systems and return its task.

        Raises GroupBusy and GroupMemberGone.
        """
        return self._submit(group, PowerArguments(group.name), payload)

    def _do(self, system: contract.System, arguments: PowerArguments) -> None:
        internals.set_default_boot_order(self._systems(), system.uuid)
