# SPDX-License-Identifier: Apache-2.0
"""
Import: a bundle that has been received becomes a new system.

``receiving`` has how it is received.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import ImportRequest, Imports
from hawkfish_plugin.operations.looks import Looks
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.operation import Answer, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task
from hawkfish_plugin.uploads import Uploads


@dataclasses.dataclass(frozen=True)
class Planned:
    """A system to be made by *request*, of *members*, in *files* by name."""

    request: ImportRequest
    files: Mapping[str, str]
    members: Sequence[Member]

    @property
    def system(self) -> contract.System:
        return contract.System(self.request.uuid, self.request.name)

    def arguments(self, upload: int) -> 'ImportArguments':
        return ImportArguments(
            self.request.dump(),
            self.files,
            [one.dump() for one in self.members],
            upload,
        )


@dataclasses.dataclass(frozen=True)
class ImportArguments(Record):
    """
    The *request*, the *files* by name of member, and the *members*, as JSON.

    *upload* is what they are noted as; 0 where the task of a group has them.
    """

    request: Mapping[str, Any]
    files: Mapping[str, str]
    members: Sequence[Mapping[str, Any]]
    upload: int

    @property
    def planned(self) -> Planned:
        return Planned(
            ImportRequest.load(self.request),
            self.files,
            [Member.load(one) for one in self.members],
        )


class Import(Operation):
    name = contract.IMPORT
    title = 'Import {system}'
    steps = contract.STEPS[contract.IMPORT]

    def __init__(
        self, driver: contract.Driver, task_table: Tasks, uploads: Uploads
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._uploads = uploads
        self._looks = Looks()

    def submit(
        self, planned: Planned, upload: int, payload: Mapping[str, Any]
    ) -> Task:
        """Queue the import of what was received as *upload*."""
        return self._tasks.submit(
            self,
            [Subject(planned.system)],
            planned.arguments(upload),
            payload,
        )

    def part(self, planned: Planned) -> SubTask:
        """The same as a part of the import of a group."""
        return SubTask(self, [Subject(planned.system)], planned.arguments(0))

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        planned = ImportArguments.load(context.task.arguments).planned
        importing(self._driver).import_system(
            planned.request, planned.files, planned.members, context
        )
        return self._done(context, planned)

    def settle(self, context: Context) -> dict[str, Any]:
        planned = ImportArguments.load(context.task.arguments).planned
        importing(self._driver).settle_import(
            planned.request, planned.files, planned.members, context
        )
        return self._done(context, planned)

    def _done(self, context: Context, planned: Planned) -> dict[str, Any]:
        # Its files are the system's.
        arguments = ImportArguments.load(context.task.arguments)
        self._uploads.forget(arguments.upload)
        request = planned.request
        context.add_message(
            messages.SYSTEM_IMPORTED,
            request.name,
            request.uuid,
            ', '.join(f'{a} -> {b}' for a, b in request.macs.items()) or '-',
        )
        return {'system': request.uuid}

    def undo(self, context: Context, planned: Planned) -> None:
        """Remove what was made for nothing."""
        importing(self._driver).undo_import(
            planned.request, planned.files, context
        )

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return ()

    def created(self, task: Task) -> str | None:
        return uris.system_uri(task.one_system.uuid)

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        return self._looks.ask(
            ', '.join(task.one_system.name for task in tasks),
            lambda: frozenset(t.id for t in tasks if self._is_there(t)),
        )

    def _is_there(self, task: Task) -> bool:
        try:
            self._driver.resolve(task.one_system.uuid)
        except exceptions.SystemNotFound:
            return False
        return True

    def answer(self, task: Task) -> Answer:
        body = {'@odata.id': self.created(task)}
        return Answer(201, body, self.created(task))


def importing(driver: contract.Driver) -> Imports:
    """*driver* as one that makes systems; raises DriverNotSupported."""
    if not isinstance(driver, Imports):
        raise exceptions.DriverNotSupported(type(driver).__name__)
    return driver
