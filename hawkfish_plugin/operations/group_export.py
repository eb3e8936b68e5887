# SPDX-License-Identifier: Apache-2.0
"""
Group export: a snapshot of a group is made ready to be fetched as one bundle.

The exports of its systems are sub-tasks, of which each stages one.  Owns that
all of them are staged, or none.
"""

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions
from hawkfish_plugin.bundles.manifest import Lab, Manifest
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.exports import Owner
from hawkfish_plugin.groups import forecast
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Group
from hawkfish_plugin.groups.views import GroupView, names_of
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.export import Export, ExportArguments
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Answer, Lock, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task


@dataclasses.dataclass(frozen=True)
class GroupExportArguments(Record):
    """*created* has when the snapshot of each subject was, in their order."""

    group: str
    snapshot: str
    created: Sequence[int] = ()
    memory: bool = False


class GroupExport(Operation):
    name = 'group-export'
    steps = ('stage',)
    of_group = True
    title = 'Export snapshot {snapshot} of group {group}'
    lock = Lock.SHARED
    cancellable = True

    def __init__(
        self, task_table: Tasks, groups: GroupCatalogue, export: Export
    ) -> None:
        self._tasks = task_table
        self._groups = groups
        self._export = export

    # Requests -------------------------------------------------------------

    def submit(
        self,
        group: Group,
        name: str,
        memory: bool,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue an export of *name* and return its task.

        Raises SnapshotNotFound, GroupSnapshotIncomplete, ExportLimitReached,
        SnapshotBusy, and everything that is known beforehand to stand in the
        way of any system.
        """
        with (
            self._groups.held(group.name) as group,
            self._groups.deciding(group.members),
        ):
            whole = self._groups.get(group, name)
            self._check(whole, memory)
            pieces = grouped.pieces(whole.parts)
            arguments = GroupExportArguments(
                group.name, name, [one.created for one in pieces], memory
            )
            subjects = [Subject(one.system, one.name) for one in pieces]
            return self._tasks.submit(self, subjects, arguments, payload)

    def _check(self, whole: GroupView, memory: bool) -> None:
        self._export.check_room()
        if whole.missing:
            raise exceptions.GroupSnapshotIncomplete(
                whole.name, names_of(whole.missing)
            )
        found = {part.system: part.view for part in whole.parts if part.view}

        def ask(system: contract.System) -> contract.Forecast:
            return self._export.check(system, found[system], memory)

        forecast.check_space(grouped.ask_all(list(found), ask))

    def percent(self, task: Task, parts: Sequence[Task]) -> int:
        return grouped.percent(task, parts, {'stage': (0, 100)})

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        arguments = GroupExportArguments.load(context.task.arguments)
        self._export.check_room()
        context.step('stage')
        subjects = context.task.subjects
        context.run_sub_tasks(
            [
                SubTask(
                    self._export,
                    [subject],
                    ExportArguments(created, arguments.memory, is_part=True),
                )
                for subject, created in zip(
                    subjects, arguments.created, strict=True
                )
            ],
            called=self._groups.called,
        )
        return self.settle(context)

    def settle(self, context: Context) -> dict[str, Any]:
        parts = context.sub_tasks()
        if not parts:
            raise exceptions.OperationInterrupted(
                self.name, 'nothing of it was begun'
            )
        if grouped.failed(parts) or context.cancelled:
            self._undo(context, parts)
        results = [part.result or {} for part in parts]
        arguments = GroupExportArguments.load(context.task.arguments)
        lab = Lab.of(
            int(time.time()),
            arguments.group,
            [Manifest.load(one['manifest']) for one in results],
        )
        return self._export.note(
            context.task,
            Owner(group=arguments.group),
            [one['folder'] for one in results],
            lab,
        )

    def _undo(self, context: Context, parts: Sequence[Task]) -> None:
        """Remove what was staged, and raise why."""
        for part in parts:
            # What stays is told by who looks for files that nobody has.
            with contextlib.suppress(exceptions.HawkFishError):
                self._export.drop(part)
        if context.cancelled:
            raise exceptions.OperationCancelled(self.name)
        raise exceptions.Refused(list(grouped.failures(parts)))

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        arguments = GroupExportArguments.load(task.arguments)
        if error is None:
            return ()
        return lifecycle.group_failed(
            task, arguments.group, arguments.snapshot, error
        )

    def created(self, task: Task) -> str | None:
        place = uris.aggregate_uri(task.intent.group or '')
        return uris.export_uri(place, (task.result or {}).get('export', 0))

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        return self._export.there(tasks)

    def answer(self, task: Task) -> Answer:
        return self._export.noted(task, Owner(group=task.intent.group or ''))
