# SPDX-License-Identifier: Apache-2.0
"""
Export: a snapshot is made ready to be fetched as a bundle.

The task only stages it.  Then the snapshot is needed no more, and whoever
fetches the bundle may take as long as it takes; see ``export_catalogue``.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import catalogue, events, exceptions
from hawkfish_plugin.bundles.manifest import Bundle, Manifest, Source
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.exporting import ExportRequest, Staged
from hawkfish_plugin.export_catalogue import bundling
from hawkfish_plugin.exports import Exports, Owner
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import exports as rendering
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Answer, Lock, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task


@dataclasses.dataclass(frozen=True)
class ExportArguments(Record):
    """
    *created* tells the snapshot from a later one of its name.

    *is_part*: it is noted by the export of a group, which it is a part of.
    """

    created: int
    memory: bool = False
    is_part: bool = False


class Export(Operation):
    name = contract.EXPORT
    title = 'Export snapshot {snapshot}'
    steps = contract.STEPS[contract.EXPORT]
    # Nothing of the chain is merged meanwhile.
    lock = Lock.SHARED
    cancellable = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        snapshots: catalogue.Catalogue,
        table: Exports,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._catalogue = snapshots
        self._exports = table
        self._conf = conf.backup

    def submit(
        self,
        system: contract.System,
        name: str,
        memory: bool,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue an export of *name* and return its task.

        Raises SnapshotNotFound, ExportLimitReached, SnapshotBusy, and
        everything that is known beforehand to stand in the way.
        """
        with self._catalogue.deciding(system):
            view = self._catalogue.sound(system, name)
            self.check_room()
            self.check(system, view, memory)
            return self._tasks.submit(
                self,
                [Subject(system, name)],
                ExportArguments(view.record.created, memory),
                payload,
            )

    def check(
        self, system: contract.System, view: catalogue.View, memory: bool
    ) -> contract.Forecast:
        """What an export would need; raises what stands in its way."""
        if view.task and view.effect:
            catalogue.check_free(view, system)
        catalogue.check_intact(view)
        request = ExportRequest(view.name, memory)
        needs = bundling(self._driver).check_export(system.uuid, request)
        return contract.Forecast(True, memory, needs=tuple(needs))

    def check_room(self) -> None:
        """Raise ExportLimitReached where there are as many as may be."""
        most = self._conf.max_exports
        if self._exports.count() >= most:
            raise exceptions.ExportLimitReached(most)

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = ExportArguments.load(task.arguments)
        view = self._catalogue.same(
            task.one_system, task.one_snapshot, arguments.created
        )
        catalogue.check_intact(view)
        if not arguments.is_part:
            self.check_room()
        staged = bundling(self._driver).export(
            task.one_system.uuid, _request(task), context
        )
        return self._note(task, staged, view)

    def settle(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = ExportArguments.load(task.arguments)
        staged = bundling(self._driver).settle_export(
            task.one_system.uuid, _request(task), context
        )
        try:
            view = self._catalogue.same(
                task.one_system, task.one_snapshot, arguments.created
            )
        except exceptions.HawkFishError:
            bundling(self._driver).remove_staged(staged.folder)
            raise
        return self._note(task, staged, view)

    def _note(
        self, task: Task, staged: Staged, view: catalogue.View
    ) -> dict[str, Any]:
        now = int(time.time())
        record, system = view.record, task.one_system
        manifest = Manifest(
            now,
            Source(
                system.name,
                system.uuid,
                record.name,
                record.created,
                record.power_state,
                record.description,
                staged.hypervisor,
            ),
            staged.members,
            staged.left_out,
        )
        if ExportArguments.load(task.arguments).is_part:
            return {'folder': staged.folder, 'manifest': manifest.dump()}
        return self.note(task, Owner(system.uuid), [staged.folder], manifest)

    def note(
        self,
        task: Task,
        owner: Owner,
        folders: Sequence[str],
        bundle: Bundle,
    ) -> dict[str, Any]:
        """Let what is staged be an export; returns the result of *task*."""
        expires = bundle.created + self._conf.export_hours * 3600
        return {
            'export': self._exports.add(
                task.id, owner, folders, bundle, expires
            )
        }

    def drop(self, part: Task) -> None:
        """Remove what *part* of a group has staged."""
        folder = (part.result or {}).get('folder')
        if folder:
            bundling(self._driver).remove_staged(folder)

    def noted(self, task: Task, owner: Owner) -> Answer:
        """The final answer of *task*, which has noted an export."""
        try:
            found = self._exports.get(owner, _id(task))
        except exceptions.ExportNotFound:
            return Answer()
        uri = uris.export_uri(rendering.place(owner), found.id)
        return Answer(201, rendering.export(found), uri)

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return lifecycle.failed(task, error) if error else ()

    def created(self, task: Task) -> str | None:
        place = uris.system_uri(task.one_system.uuid)
        return uris.export_uri(place, _id(task))

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        ids = self._exports.ids()
        return frozenset(task.id for task in tasks if _id(task) in ids)

    def answer(self, task: Task) -> Answer:
        return self.noted(task, Owner(task.one_system.uuid))


def _request(task: Task) -> ExportRequest:
    memory = ExportArguments.load(task.arguments).memory
    return ExportRequest(task.one_snapshot, memory)


def _id(task: Task) -> int:
    return int((task.result or {}).get('export', 0))
