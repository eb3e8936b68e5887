# SPDX-License-Identifier: Apache-2.0
"""
Group import: a bundle of several systems becomes a new group.

The imports of its systems are sub-tasks.  Owns that all of them are made, or
none, and that they are a group then.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, names
from hawkfish_plugin.groups.table import Groups
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.importing import (
    Import,
    ImportArguments,
    Planned,
)
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Answer, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task
from hawkfish_plugin.uploads import Uploads


@dataclasses.dataclass(frozen=True)
class GroupImportArguments(Record):
    """*parts* has what the ImportArguments of each system are."""

    group: str
    parts: Sequence[Mapping[str, Any]]
    upload: int

    @property
    def planned(self) -> Sequence[Planned]:
        return [ImportArguments.load(one).planned for one in self.parts]


class GroupImport(Operation):
    name = 'group-import'
    steps = ('import', 'undo')
    of_group = True
    title = 'Import group {group}'

    def __init__(
        self,
        task_table: Tasks,
        groups: Groups,
        uploads: Uploads,
        part: Import,
    ) -> None:
        self._tasks = task_table
        self._groups = groups
        self._uploads = uploads
        self._part = part

    def check(self, group: str) -> None:
        """Raise where there cannot be a new group of that name."""
        try:
            names.check(group)
        except exceptions.SnapshotNameInvalid as exc:
            raise exceptions.GroupNameInvalid(*exc.args) from exc
        if self._has(group):
            raise exceptions.GroupExists(group)

    def _has(self, group: str) -> bool:
        return any(found.name == group for found in self._groups.all())

    def submit(
        self,
        group: str,
        planned: Sequence[Planned],
        upload: int,
        payload: Mapping[str, Any],
    ) -> Task:
        """Queue the import of what was received as *upload*."""
        arguments = GroupImportArguments(
            group, [one.arguments(0).dump() for one in planned], upload
        )
        subjects = [Subject(one.system) for one in planned]
        return self._tasks.submit(self, subjects, arguments, payload)

    def percent(self, task: Task, parts: Sequence[Task]) -> int:
        return grouped.percent(task, parts, {'import': (0, 100)})

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        arguments = GroupImportArguments.load(context.task.arguments)
        self.check(arguments.group)
        context.step('import')
        context.run_sub_tasks(
            [self._part.part(one) for one in arguments.planned], meet=True
        )
        return self.settle(context)

    def settle(self, context: Context) -> dict[str, Any]:
        arguments = GroupImportArguments.load(context.task.arguments)
        parts = context.sub_tasks()
        why: Sequence[exceptions.HawkFishError] = grouped.failures(parts)
        if not parts:
            why = [
                exceptions.OperationInterrupted(
                    self.name, 'no system was made'
                )
            ]
        if not why:
            try:
                self._found(arguments)
            except exceptions.HawkFishError as exc:
                why = exc.parts
        if why:
            self._undo(context, arguments)
            raise exceptions.Refused(list(why))
        # The files are those of the systems.
        self._uploads.forget(arguments.upload)
        return {'group': arguments.group}

    def _found(self, arguments: GroupImportArguments) -> None:
        """Let the systems be a group, once."""
        systems = [one.system for one in arguments.planned]
        try:
            self._groups.create(arguments.group, systems)
        except exceptions.GroupExists:
            there = self._groups.get(arguments.group).uuids
            if there != {system.uuid for system in systems}:
                raise

    def _undo(self, context: Context, arguments: GroupImportArguments) -> None:
        context.step('undo')
        for one in arguments.planned:
            self._part.undo(context, one)

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return ()

    def created(self, task: Task) -> str | None:
        return uris.aggregate_uri(task.intent.group or '')

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        there = {group.name for group in self._groups.all()}
        return frozenset(t.id for t in tasks if t.intent.group in there)

    def answer(self, task: Task) -> Answer:
        body = {'@odata.id': self.created(task)}
        return Answer(201, body, self.created(task))
