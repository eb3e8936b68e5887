# SPDX-License-Identifier: Apache-2.0
"""
Export now: a system is made ready to be fetched as a bundle, as it is.

A snapshot of it, the export of that, and its delete are sub-tasks of one task.
Owns that the snapshot goes whatever becomes of its export.
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, messages, names
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.admission import Admission, CreateOptions
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.export import Export, ExportArguments
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Answer, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task

_STEM = 'export'
_DESCRIPTION = 'For an export, after which it is deleted'
# Between which percentages each step is.
_PHASES = {'create': (0, 10), 'export': (10, 90), 'cleanup': (90, 100)}


@dataclasses.dataclass(frozen=True)
class ExportNowArguments(Record):
    """Whether the *memory* is exported as well."""

    memory: bool = False


class ExportNow(Operation):
    name = 'export-now'
    steps = ('create', 'export', 'cleanup')
    title = 'Export {system}'
    cancellable = True

    def __init__(
        self,
        task_table: Tasks,
        catalogue: Catalogue,
        admission: Admission,
        create: Create,
        export: Export,
        delete: Delete,
    ) -> None:
        self._tasks = task_table
        self._catalogue = catalogue
        self._admission = admission
        self._create = create
        self._export = export
        self._delete = delete

    # Requests -------------------------------------------------------------

    def submit(
        self,
        system: contract.System,
        memory: bool,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue an export of *system* as it will be then, and return its task.

        Raises ExportLimitReached, ExportNotPossible, and everything that is
        known beforehand to stand in the way of a snapshot.
        """
        with self._catalogue.deciding(system):
            self._export.check_room()
            name = names.of_now(_STEM, self._catalogue.names(system))
            seen = self._admission.check(system, _options(name, memory))
            reason = _obstacle(seen.forecast, memory)
            if reason:
                raise exceptions.ExportNotPossible(name, reason)
            return self._tasks.submit(
                self,
                [Subject(system, name)],
                ExportNowArguments(memory),
                payload,
            )

    def percent(self, task: Task, parts: Sequence[Task]) -> int:
        return grouped.percent(task, parts, _PHASES)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        name = task.one_snapshot
        arguments = _options(name, _memory(task)).arguments(name)
        context.step('create')
        context.run_sub_tasks(
            [SubTask(self._create, task.subjects, arguments)]
        )
        return self.settle(context)

    def settle(self, context: Context) -> dict[str, Any]:
        create = _last(context, Create.name)
        if create is None:
            raise exceptions.OperationInterrupted(
                self.name, 'the system was not touched'
            )
        created = self._create.made(create)
        if create.state == COMPLETED and created is not None:
            self._stage(context, created)
        context.step('cleanup')
        if created is not None:
            self._clean_up(context, created)
        export = _last(context, Export.name)
        if export is not None and export.state == COMPLETED:
            return dict(export.result or {})
        if context.cancelled:
            raise exceptions.OperationCancelled(self.name)
        raise grouped.error_of(export or create)

    def _stage(self, context: Context, created: int) -> None:
        """Export the snapshot, once; what was cancelled is left out."""
        if _last(context, Export.name) is not None:
            return
        context.step('export')
        arguments = ExportArguments(created, _memory(context.task))
        part = SubTask(self._export, context.task.subjects, arguments)
        with contextlib.suppress(exceptions.OperationCancelled):
            context.run_sub_tasks([part])

    def _clean_up(self, context: Context, created: int) -> None:
        """Remove the snapshot; says why it stays."""
        task = context.task
        piece = grouped.Piece(task.one_system, task.one_snapshot, created)
        for left in grouped.remove(context, self._delete, [piece]):
            context.add_message(
                messages.EXPORT_SNAPSHOT_LEFT,
                task.one_snapshot,
                grouped.words(left),
            )

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return lifecycle.failed(task, error) if error else ()

    # What it makes is an export like any other.

    def created(self, task: Task) -> str | None:
        return self._export.created(task)

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        return self._export.there(tasks)

    def answer(self, task: Task) -> Answer:
        return self._export.answer(task)


def _options(name: str, memory: bool) -> CreateOptions:
    return CreateOptions(
        name, description=_DESCRIPTION, memory=memory, temporary=True
    )


def _obstacle(forecast: contract.Forecast, memory: bool) -> str | None:
    if not forecast.external:
        return 'its data would not be in files of its own'
    if memory and not forecast.memory:
        return 'the system has no memory to capture'
    return None


def _memory(task: Task) -> bool:
    return ExportNowArguments.load(task.arguments).memory


def _last(context: Context, operation: str) -> Task | None:
    """The last sub-task of that kind."""
    found = [t for t in context.sub_tasks() if t.operation == operation]
    return found[-1] if found else None
