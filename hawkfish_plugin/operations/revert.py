# SPDX-License-Identifier: Apache-2.0
"""
Revert: a system goes back to a snapshot.

Owns what stands in its way, and the safety snapshot that is created before
it, by a task of its own that the revert comes after.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from hawkfish_plugin import catalogue, events, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.admission import CreateOptions
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record, field
from hawkfish_plugin.retention import rules
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task


@dataclasses.dataclass(frozen=True)
class RevertArguments(Record):
    """
    What a task keeps of a ``contract.RevertRequest``.

    *created* tells the snapshot from a later one of its name.
    """

    created: int
    power_state: str = contract.AS_CAPTURED
    force: bool = False
    created_here: bool = field(default=False, formerly='ours')
    memory_size: int | None = None


@dataclasses.dataclass(frozen=True)
class Checked:
    """
    A *request* that can be met, to the snapshot *created* then.

    There is no *forecast* while a task changes the system.
    """

    request: contract.RevertRequest
    created: int
    forecast: contract.RevertForecast | None

    @property
    def arguments(self) -> RevertArguments:
        """What the task of it keeps."""
        return RevertArguments(
            self.created,
            self.request.power_state,
            self.request.force,
            self.request.created_here,
            self.request.memory_size,
        )


class Revert(Operation):
    name = contract.REVERT
    title = 'Revert to snapshot {snapshot}'
    steps = contract.STEPS[contract.REVERT]
    effect = Effect.REVERTING
    mends = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        snapshots: catalogue.Catalogue,
        create: Create,
        findings: Findings,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._catalogue = snapshots
        self._create = create
        self._findings = findings
        self._conf = conf.revert

    # Requests -------------------------------------------------------------

    def preview(
        self,
        system: contract.System,
        request: contract.RevertRequest,
        safety: bool | None,
    ) -> rules.RevertPreview:
        """What a revert would do; raises what it would raise."""
        checked = self.check(system, request, safety)
        before = None
        if checked.request.has_safety_snapshot:
            options = _safety_options(request.name)
            before = self._create.preview(system, options)
        views = self._catalogue.list(system)
        return rules.RevertPreview(
            self.forecast(system, checked),
            next((v.name for v in views if v.record.current), None),
            before,
        )

    def forecast(
        self, system: contract.System, checked: Checked
    ) -> contract.RevertForecast:
        """What a revert would leave that was *checked*; raises the same."""
        if checked.forecast is None:
            return self._driver.check_revert(system.uuid, checked.request)
        return checked.forecast

    def submit(
        self,
        system: contract.System,
        request: contract.RevertRequest,
        safety: bool | None,
        payload: Mapping[str, Any],
        check: Callable[[], None],
    ) -> Task:
        """
        Queue a revert and return its task.

        *check* may refuse, by what nobody changes any more.

        With *safety* a snapshot of the present state is created before it;
        None means: as the configuration says.

        Raises SnapshotNotFound, SnapshotBusy, SnapshotDamaged, and
        everything that is known beforehand to stand in the way.
        """
        with self._catalogue.deciding(system):
            check()
            return self._submit(system, request, safety, payload)

    def _submit(
        self,
        system: contract.System,
        request: contract.RevertRequest,
        safety: bool | None,
        payload: Mapping[str, Any],
    ) -> Task:
        checked = self.check(system, request, safety)
        request, arguments = checked.request, checked.arguments
        subjects = [Subject(system, request.name)]
        if not request.has_safety_snapshot:
            return self._tasks.submit(self, subjects, arguments, payload)
        return self._create.submit_before(
            system,
            _safety_options(request.name),
            payload,
            lambda before: self._tasks.submit(
                self, subjects, arguments, payload, after=before.id
            ),
        )

    def check(
        self,
        system: contract.System,
        request: contract.RevertRequest,
        safety: bool | None,
    ) -> Checked:
        """Raise what is known beforehand to stand in the way of *request*."""
        view = self._catalogue.sound(system, request.name)
        catalogue.check_free(view, system)
        catalogue.check_intact(view)
        if safety is None:
            safety = self._conf.safety_snapshot
        request = dataclasses.replace(
            request,
            created_here=view.note.quiesce is not None,
            memory_size=view.note.memory_size,
            has_safety_snapshot=safety,
        )
        forecast = None
        with self._findings.telling_at_request(system):
            forecast = self._driver.check_revert(system.uuid, request)
        return Checked(request, view.record.created, forecast)

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        task = context.task
        self._check_safety_snapshot(task)
        system = task.one_system
        with (
            self._driver.carrying_out(system.uuid),
            self._findings.telling(system),
        ):
            catalogue.check_intact(self._same(task))
            self._driver.revert(system.uuid, _request(task), context)
            # It may have mended the definition.
            self._findings.mended(system)
        return {'snapshot': task.one_snapshot}

    def settle(self, context: Context) -> dict[str, Any]:
        task = context.task
        system = task.one_system
        with self._findings.telling(system):
            self._driver.settle_revert(system.uuid, _request(task), context)
        return {'snapshot': task.one_snapshot}

    def look_after(self, task: Task) -> None:
        self._findings.look(task.one_system)

    def _same(self, task: Task) -> catalogue.View:
        created = RevertArguments.load(task.arguments).created
        return self._catalogue.same(
            task.one_system, task.one_snapshot, created
        )

    def _check_safety_snapshot(self, task: Task) -> None:
        """Raise where the one that was asked for has not been created."""
        if task.after_task is None:
            return
        name = ''
        with contextlib.suppress(exceptions.TaskNotFound):
            safety = self._tasks.get(task.after_task)
            if safety.state == COMPLETED:
                return
            name = safety.one_snapshot
        raise exceptions.SafetySnapshotFailed(
            task.snapshot, name, task.after_task
        )

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        if error:
            return lifecycle.failed(task, error)
        return lifecycle.reverted(task.one_system, task.one_snapshot)


def _safety_options(name: str) -> CreateOptions:
    return CreateOptions(
        description=f'Safety snapshot before the revert to {name}',
        stem='safety',
        protect=name,
    )


def _request(task: Task) -> contract.RevertRequest:
    arguments = RevertArguments.load(task.arguments)
    return contract.RevertRequest(
        task.one_snapshot,
        arguments.power_state,
        arguments.force,
        arguments.created_here,
        arguments.memory_size,
    )
