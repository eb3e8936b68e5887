# SPDX-License-Identifier: Apache-2.0
"""
Create: a snapshot of a system as it is now.

Owns what a client may ask of it, its name, the room that it needs and what
the policy prunes for it: before it, where depth or space does not allow it
otherwise, and after it in all other cases.  What was there at the request may
have changed when its turn comes, as others were queued before it: then it
prunes in its turn, by sub-tasks.  So does a safety snapshot, as the revert
after it changes what can be deleted.

Long, as what is seen at the request is seen again in its turn.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, names, notes
from hawkfish_plugin.catalogue import Catalogue, View, check_sound
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.group_prune import Pruned, Reach
from hawkfish_plugin.operations.looks import Looks
from hawkfish_plugin.operations.options import SnapshotOptions
from hawkfish_plugin.operations.prune import Checked, Prune
from hawkfish_plugin.records import Record, field
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.snapshots import snapshot as render
from hawkfish_plugin.retention import rules
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Answer, Effect, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import COMPLETED, NEW, Subject, Task

# The step in which it prunes in its turn, before those of the driver.
_ROOM = 'room'
# What deleting others can help against.
_TOO_MUCH = (exceptions.ChainTooDeep, exceptions.InsufficientSpace)


@dataclasses.dataclass(frozen=True)
class CreateOptions(SnapshotOptions):
    """
    What a client asks of a create; see also ``contract.CreateRequest``.

    *name* None takes *stem* and the time.  *protect* is a snapshot that must
    not be pruned for this one.  One that is *temporary* counts for no limit,
    and nothing is pruned for it; the system may be half changed
    *before_revert*.
    """

    name: str | None = None
    _: dataclasses.KW_ONLY
    memory: bool | None = None
    stem: str = 'snapshot'
    protect: str | None = None
    consistency: str | None = None
    temporary: bool = False
    before_revert: bool = False


@dataclasses.dataclass(frozen=True)
class CreateArguments(SnapshotOptions, Record):
    """What a task keeps of CreateOptions, with the name that was chosen."""

    name: str
    _: dataclasses.KW_ONLY
    memory: bool | None = None
    protect: str | None = field(default=None, formerly='spare')
    consistency: str | None = None
    temporary: bool = False
    before_revert: bool = False

    @property
    def request(self) -> contract.CreateRequest:
        return contract.CreateRequest(
            self.name,
            self.description,
            self.memory,
            self.quiesce,
            self.consistency,
        )


@dataclasses.dataclass(frozen=True)
class Seen:
    """
    One look at what a create would make, among the *others* that there are.

    *lacking* is the error of what it needs first: depth, or space; nothing
    is forecast then.
    """

    request: contract.CreateRequest
    forecast: contract.Forecast
    lacking: exceptions.HawkFishError | None
    others: Sequence[View]

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def record(self) -> contract.Snapshot:
        current = (v.name for v in self.others if v.record.current)
        return contract.Snapshot(
            self.name,
            self.request.description,
            int(time.time()),
            None,
            self.forecast.memory,
            self.forecast.external,
            next(current, None),
            current=True,
        )

    @property
    def is_changing(self) -> bool:
        """Whether others delete, or make room with what they make."""
        return any(
            view.effect in (Effect.DELETING, Effect.CREATING)
            for view in self.others
        )


@dataclasses.dataclass(frozen=True)
class Room:
    """
    What goes before a create, in its turn.

    *deletes* are its own, *waiting* the tasks of others that wait behind it.
    """

    deletes: Sequence[Checked] = ()
    waiting: Sequence[Task] = ()


class Create(Operation):
    name = contract.CREATE
    title = 'Create snapshot {snapshot}'
    steps = (_ROOM, *contract.STEPS[contract.CREATE])
    # 2: it may have suspended its system, which is to be resumed.
    version = 2
    effect = Effect.CREATING
    cancellable = True
    follows = True

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        catalogue: Catalogue,
        note_table: notes.Notes,
        policies: Policies,
        prune: Prune,
        findings: Findings,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._catalogue = catalogue
        self._notes = note_table
        self._policies = policies
        self._prune = prune
        self._findings = findings
        self._looks = Looks()

    # Requests -------------------------------------------------------------

    def submit(
        self,
        system: contract.System,
        options: CreateOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Queue a create and return its task.

        Where depth or space does not allow it, what the policy would prune
        for it goes before it; in all other cases, after it.

        Raises SnapshotNameInvalid, SnapshotExists, QueueFull, and everything
        that is known beforehand to stand in the way.
        """
        return self.submit_before(system, options, payload, lambda task: task)

    def submit_before(
        self,
        system: contract.System,
        options: CreateOptions,
        payload: Mapping[str, Any],
        then: Callable[[Task], Task],
    ) -> Task:
        """
        As ``submit``; returns the task that *then* submits after the create.

        All of them are queued, or none: nothing goes for what does not come.
        *then* must not ask the hypervisor.
        """
        # From the look at the names to the task that takes one.
        with self._catalogue.deciding(system):
            return self._submit(system, options, payload, then)

    def _submit(
        self,
        system: contract.System,
        options: CreateOptions,
        payload: Mapping[str, Any],
        then: Callable[[Task], Task],
    ) -> Task:
        seen = self._look(system, options)
        going: Pruned = ()
        if seen.lacking:
            going = self._plan(system, options, seen).pruned
        deletes = self._prune.check(
            system, [view.record for view in seen.others], going
        )
        with self._tasks.together():
            self._prune.submit(system, deletes)
            return then(self._queue(system, seen.name, options, payload))

    def _queue(
        self,
        system: contract.System,
        name: str,
        options: CreateOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        arguments = CreateArguments(
            name,
            memory=options.memory,
            protect=options.protect,
            **options.common,
        )
        return self._tasks.submit(
            self, [Subject(system, name)], arguments, payload
        )

    def check(
        self,
        system: contract.System,
        options: CreateOptions,
        makes_room: bool = False,
    ) -> Seen:
        """
        What one of several creates would make.

        Raises everything that is known beforehand to stand in the way, but
        for what is lacking where who asks *makes_room*.
        """
        seen = self._look(system, options)
        if seen.lacking and not makes_room:
            raise seen.lacking
        return seen

    def preview(
        self, system: contract.System, options: CreateOptions
    ) -> rules.Preview:
        """What a create would do; raises what it would raise."""
        seen = self._look(system, options)
        plan = self._plan(system, options, seen)
        first = seen.lacking is not None
        return rules.Preview(seen.record, seen.forecast, plan, first)

    def _plan(
        self,
        system: contract.System,
        options: CreateOptions | CreateArguments,
        seen: Seen,
        reach: Reach = Reach.GROUP,
    ) -> rules.Plan:
        """What becomes of the others; raises what no delete helps against."""
        plan = self._policy(system, options, seen, reach)
        # What others change may do until its turn comes.
        if seen.lacking and not plan.pruned and not seen.is_changing:
            raise seen.lacking
        return plan

    def _policy(
        self,
        system: contract.System,
        options: CreateOptions | CreateArguments,
        seen: Seen,
        reach: Reach,
    ) -> rules.Plan:
        """What the policy makes of the others."""
        keep = (rules.LOCKED,) if options.locked else ()
        return self._prune.plan_with(
            system,
            rules.Subject(
                seen.record, seen.forecast.size, options.expires, keep
            ),
            options.protect,
            reach,
        )

    def _look(self, system: contract.System, options: CreateOptions) -> Seen:
        """What a create would make, and what it lacks to be made now."""
        if options.name is not None:
            names.check(options.name)
        self._check_whole(system, options)
        others = self._catalogue.list(system)
        check_sound(system, [view.record for view in others])
        taken = {view.name for view in others}
        if options.name in taken:
            raise exceptions.SnapshotExists(options.name)
        request = contract.CreateRequest(
            options.name or names.of_now(options.stem, taken),
            options.description,
            options.memory,
            options.quiesce,
            options.consistency,
        )
        forecast, lacking = self._forecast(system, request)
        if not options.temporary:
            self._check_room(system, request, forecast)
        return Seen(request, forecast, lacking, others)

    def _check_whole(
        self,
        system: contract.System,
        options: CreateOptions | CreateArguments,
    ) -> None:
        """Raise where the system is half changed."""
        # A revert mends it; what there is may be kept before.
        if not options.before_revert and options.protect is None:
            self._catalogue.check_whole(system)

    def _forecast(
        self, system: contract.System, request: contract.CreateRequest
    ) -> tuple[contract.Forecast, exceptions.HawkFishError | None]:
        """What would be made, and the error of which deletes can help."""
        lacking = None
        try:
            with self._findings.telling_at_request(system):
                return self._driver.check_create(system.uuid, request), None
        except exceptions.HawkFishError as exc:
            if not all(map(_is_too_much, exc.parts)):
                raise
            lacking = exc
        return contract.Forecast(True, bool(request.memory)), lacking

    def _check_room(
        self,
        system: contract.System,
        request: contract.CreateRequest,
        forecast: contract.Forecast | None = None,
    ) -> None:
        """Raise where the policy refuses one more snapshot."""
        limits = self._policies.get(system.uuid)
        if limits.on_limit != rules.REFUSE:
            return
        if forecast is None:
            forecast = self._driver.check_create(system.uuid, request)
        subjects = [
            s
            for s in self._catalogue.subjects(
                system, measured=bool(limits.size)
            )
            if s.name != request.name
        ]
        limit = rules.exceeded(subjects, limits, forecast.size)
        if limit:
            free = rules.deletable(subjects, self._driver.referrers)
            raise exceptions.Refused(
                [
                    exceptions.CreateLimitReachedForResource(),
                    exceptions.SnapshotLimitReached(
                        system.name, *limit, ', '.join(free) or 'none'
                    ),
                ]
            )

    def refusal(self, rival: Task) -> exceptions.HawkFishError:
        if rival.operation == self.name:
            return exceptions.SnapshotExists(rival.one_snapshot)
        return super().refusal(rival)

    # The operation: what was true at the request need not be true any more -

    def run(self, context: Context) -> dict[str, Any]:
        with self._driver.carrying_out(context.task.one_system.uuid):
            return self._run(context)

    def _run(self, context: Context) -> dict[str, Any]:
        task = context.task
        arguments = CreateArguments.load(task.arguments)
        self._check_whole(task.one_system, arguments)
        if not arguments.temporary:
            self._check_room(task.one_system, arguments.request)
        if arguments.protect is not None:
            self._make_room(context, arguments)
        try:
            made = self._create(context, arguments)
        except exceptions.HawkFishError as exc:
            begun = context.last_step not in ('', _ROOM)
            helps = not arguments.temporary and any(
                map(_is_too_much, exc.parts)
            )
            if begun or not helps:
                raise
            if not self._make_room(context, arguments):
                raise
            made = self._create(context, arguments)
        return self._note(task, made)

    def _create(
        self, context: Context, arguments: CreateArguments
    ) -> contract.Created:
        system = context.task.one_system
        with self._findings.telling(system):
            return self._driver.create(system.uuid, arguments.request, context)

    def _make_room(self, context: Context, arguments: CreateArguments) -> bool:
        """
        Delete what is to be deleted for this create; False for nothing.

        Raises what no delete helps against.
        """
        system = context.task.one_system
        with self._catalogue.deciding(system):
            seen = self._look_again(system, arguments)
            plan = self._plan(system, arguments, seen, Reach.SYSTEM)
            room = self._room(system, seen, plan)
            if not room.deletes and not room.waiting:
                return False
            context.step(_ROOM)
            parts = self._prune.parts(system, room.deletes)
            queued = [
                *context.adopt(room.waiting),
                *context.queue_sub_tasks(parts),
            ]
        context.end_sub_tasks(queued)
        if context.cancelled:
            raise exceptions.OperationCancelled(self.name)
        return True

    def forecast(
        self, system: contract.System, arguments: CreateArguments
    ) -> contract.Forecast:
        """What one of several creates will make, now that there is room."""
        seen = self._look_again(system, arguments)
        if seen.lacking:
            raise seen.lacking
        return seen.forecast

    def room(
        self, system: contract.System, arguments: CreateArguments
    ) -> Room:
        """
        What goes before one of several creates, by who decides for *system*.

        For the task that has locked the systems of all of them.  There may
        be none, as what helps can be in the policy of another system.
        """
        seen = self._look_again(system, arguments)
        if not seen.lacking:
            return Room()
        plan = self._policy(system, arguments, seen, Reach.NEWER)
        return self._room(system, seen, plan)

    def _room(
        self, system: contract.System, seen: Seen, plan: rules.Plan
    ) -> Room:
        records = [view.record for view in seen.others]
        # What others have queued behind this one is done before it.
        return Room(
            self._prune.check(system, records, plan.pruned),
            _deletes_behind(seen.others) if seen.lacking else (),
        )

    def _look_again(
        self, system: contract.System, arguments: CreateArguments
    ) -> Seen:
        """What a create would make in its turn."""
        forecast, lacking = self._forecast(system, arguments.request)
        others = [
            view
            for view in self._catalogue.list(system)
            if view.name != arguments.name
        ]
        return Seen(arguments.request, forecast, lacking, others)

    def look_after(self, task: Task) -> None:
        self._findings.look(task.one_system)

    def settle(self, context: Context) -> dict[str, Any]:
        if context.last_step == _ROOM:
            # Nothing of its own was begun.
            return self.run(context)
        task = context.task
        request = CreateArguments.load(task.arguments).request
        with self._findings.telling(task.one_system):
            made = self._driver.settle_create(
                task.one_system.uuid, request, context
            )
        return self._note(task, made)

    def _note(self, task: Task, made: contract.Created) -> dict[str, Any]:
        arguments = CreateArguments.load(task.arguments)
        self._notes.create(
            task.one_system.uuid,
            arguments.name,
            made,
            arguments.locked,
            arguments.expires,
        )
        measured: dict[str, Any] = {}
        if made.capture:
            measured['capture'] = dataclasses.asdict(made.capture)
            measured['memory_size'] = made.memory_size
        return {
            'snapshot': arguments.name,
            'created': made.created,
            **measured,
        }

    def made(self, task: Task) -> int | None:
        """
        When the snapshot of an ended *task* was created.

        None where it is not there, or may be another one of its name.
        """
        if task.state == COMPLETED:
            created = (task.result or {}).get('created')
            return None if created is None else int(created)
        return self._driver.made_by(
            task.one_system.uuid, task.one_snapshot, task
        )

    def stays(self, task: Task) -> bool:
        """Whether the snapshot of a *task* that was to make it is there."""
        # It has met another one of its name, and left it alone.
        if task.failed_with(exceptions.SnapshotExists):
            return False
        return self._catalogue.exists(task.one_system, task.one_snapshot)

    def follow(self, task: Task) -> None:
        # A safety snapshot has pruned already.
        if CreateArguments.load(task.arguments).protect is None:
            self._prune.after_create(task.one_system)

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        if error:
            there = isinstance(error, exceptions.SnapshotExists)
            return lifecycle.failed(task, error, gone=not there)
        return lifecycle.created(task.one_system, task.one_snapshot)

    def created(self, task: Task) -> str | None:
        return uris.snapshot_uri(task.one_system.uuid, task.one_snapshot)

    def there(self, tasks: Sequence[Task]) -> frozenset[int]:
        systems = {task.one_system.uuid: task.one_system for task in tasks}
        # One look for all: each takes a thread.
        names = self._looks.ask(
            ', '.join(system.name for system in systems.values()),
            lambda: {uuid: self._names(s) for uuid, s in systems.items()},
        )
        return frozenset(
            task.id
            for task in tasks
            if task.one_snapshot in names[task.one_system.uuid]
        )

    def _names(self, system: contract.System) -> frozenset[str]:
        """Those of the snapshots of *system*, if there is one."""
        try:
            return frozenset(self._driver.names(system.uuid))
        except exceptions.NotFound:
            return frozenset()

    def answer(self, task: Task) -> Answer:
        system, name = task.one_system, task.one_snapshot
        result = task.result or {}
        try:
            now = self._catalogue.system(system.uuid)
            view = self._catalogue.get(now, name, measured=True)
        except exceptions.NotFound:
            return Answer()
        # Another one may have its name by now.
        if view.record.created != result.get('created', view.record.created):
            return Answer()
        return Answer(
            201,
            render(system.uuid, view),
            self.created(task),
        )


def _deletes_behind(views: Sequence[View]) -> Sequence[Task]:
    """The deletes that wait, each of one of *views* alone, oldest first."""
    found = [
        view.task
        for view in views
        if view.task
        and view.effect == Effect.DELETING
        and view.task.state == NEW
        and [s.snapshot for s in view.task.subjects] == [view.name]
    ]
    return sorted(found, key=lambda task: task.id)


def _is_too_much(error: exceptions.HawkFishError) -> bool:
    """Whether deleting others can help."""
    return isinstance(error, _TOO_MUCH)
