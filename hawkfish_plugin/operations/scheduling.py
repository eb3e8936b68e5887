# SPDX-License-Identifier: Apache-2.0
"""
Scheduling: what schedules ask for, when it is due.

Owns when a run begins, and what is told where it does not.  A run is the
ordinary request of its maker: it is checked, refused and limited as that would
be, and its task is one like any other.  Runs by the process that has the
workers; that one which has just lost them may still be at it does no harm, as
the task and the next time are written together or not at all.
"""

import contextlib
import dataclasses
import datetime
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.accounts.owners import Owner
from hawkfish_plugin.allowed import Allowed
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.verifying import VerifyRequest
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Groups
from hawkfish_plugin.operations.admission import CreateOptions
from hawkfish_plugin.operations.backup import BackUp, BackupOptions
from hawkfish_plugin.operations.backup_verify import VerifyBackup
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.group_admission import GroupOptions
from hawkfish_plugin.operations.group_create import GroupCreate
from hawkfish_plugin.operations.verify import Verify
from hawkfish_plugin.schedules import table
from hawkfish_plugin.schedules.rows import Schedule
from hawkfish_plugin.schedules.table import Schedules
from hawkfish_plugin.supervision import Failures
from hawkfish_plugin.tasks.operation import Operations
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Task

LOG = logging.getLogger(__name__)

# What a schedule can ask for, as its row has it.
SNAPSHOT, GROUP_SNAPSHOT, BACKUP = 'snapshot', 'group-snapshot', 'backup'
VERIFY, VERIFY_BACKUP = 'verify', 'verify-backup'
MAKING = (SNAPSHOT, GROUP_SNAPSHOT, BACKUP)
"""Those that make what classes of retention are for"""


ActingFor = Callable[[Allowed], contextlib.AbstractContextManager[None]]


@dataclasses.dataclass(frozen=True)
class _Run:
    """One run: its *moment* in seconds, and what its task keeps."""

    schedule: Schedule
    moment: int

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.schedule.options)

    @property
    def payload(self) -> Mapping[str, Any]:
        return self.schedule.payload

    @property
    def name(self) -> str:
        """Of the snapshot that it makes."""
        at = datetime.datetime.fromtimestamp(self.moment, datetime.UTC)
        return f'{self.schedule.name}-{at:%Y%m%dT%H%M%SZ}'

    @property
    def mark(self) -> dict[str, Any]:
        """By which what it makes is known to be of the schedule."""
        return {'schedule': self.schedule.id, 'moment': self.moment}


class Scheduling:
    """
    The runs of *schedules*, by *operations*.

    *acting_for* lets a thread reach what the maker of a schedule can, and
    *may_reach* says whether that has a system, and *objection* why nothing is
    done for an owner.  *clock* gives the seconds since the epoch.
    """

    def __init__(
        self,
        schedules: Schedules,
        task_table: Tasks,
        systems: Catalogue,
        groups: GroupCatalogue,
        group_table: Groups,
        operations: Operations,
        acting_for: Callable[
            [Allowed], contextlib.AbstractContextManager[None]
        ],
        may_reach: Callable[[contract.System], bool],
        objection: Callable[[Owner | None], str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._schedules = schedules
        self._tasks = task_table
        self._systems = systems
        self._groups = groups
        self._table = group_table
        self._operations = operations
        self._acting_for = acting_for
        self._may_reach = may_reach
        self._objection = objection
        self._clock = clock
        self._failures = Failures(LOG)
        self._kinds: Mapping[str, Callable[[_Run], Task]] = {
            SNAPSHOT: self._snapshot,
            GROUP_SNAPSHOT: self._group_snapshot,
            BACKUP: self._backup,
            VERIFY: self._verify,
            VERIFY_BACKUP: self._verify_backup,
        }

    def periodic(self) -> None:
        """Begin what is due."""
        for schedule in self._schedules.due(self._clock()):
            what = f'A run of schedule {schedule.name!r}'
            try:
                self._run(schedule)
            except table.Claimed:
                # By another process, or it was changed meanwhile.
                continue
            except Exception as exc:
                # That of one keeps no other from its run.
                self._failures.tell(what, exc)
            else:
                self._failures.forget(what)

    def _run(self, schedule: Schedule) -> None:
        now = self._clock()
        busy = self.running(schedule)
        if busy is not None:
            self._skip(schedule, now, busy)
            return

        def claim(task: Task) -> None:
            self._schedules.claim(schedule, now, table.STARTED, task.id)

        try:
            if self._objection(schedule.owner):
                # It is suspended before long, see ``ownership``.
                return
            submit = self._kinds.get(schedule.kind)
            if submit is None:
                # A newer release has made it.
                uri = schedule.payload.get('TargetUri', '')
                raise exceptions.ScheduleTargetInvalid(uri)
            with (
                self._acting_for(schedule.allowed),
                self._tasks.telling(claim),
            ):
                submit(_Run(schedule, int(now)))
        except exceptions.StateUnavailable:
            raise
        except exceptions.Unavailable as exc:
            self._delay(schedule, exc)
        except exceptions.HawkFishError as exc:
            self._refuse(schedule, now, exc)

    def running(self, schedule: Schedule) -> Task | None:
        """The task of its last run, where that has not ended."""
        task = self.last_task(schedule)
        return task if task and task.active else None

    def last_task(self, schedule: Schedule) -> Task | None:
        """The task of its last run, as long as it is kept."""
        if schedule.task is None:
            return None
        try:
            return self._tasks.get(schedule.task)
        except exceptions.TaskNotFound:
            return None

    def systems(self, schedule: Schedule) -> Sequence[contract.System]:
        """All that whoever is told of it hears of."""
        members: Sequence[contract.System] = ()
        if schedule.group is not None:
            with contextlib.suppress(exceptions.GroupNotFound):
                members = self._table.get(schedule.group).members
        return [*dict.fromkeys((*members, *schedule.systems))]

    # What is told ---------------------------------------------------------

    def _event(
        self, schedule: Schedule, message_id: str, args: list[str]
    ) -> events.NewEvent:
        origin = events.job_origin(schedule.name, self.systems(schedule))
        return events.NewEvent(message_id, args, origin)

    def _skip(self, schedule: Schedule, now: float, busy: Task) -> None:
        args = [schedule.name, str(busy.id)]
        self._end(
            schedule, now, table.SKIPPED, messages.SCHEDULE_SKIPPED, args
        )

    def _refuse(
        self, schedule: Schedule, now: float, error: exceptions.HawkFishError
    ) -> None:
        args = [schedule.name, messages.text(error).rstrip('.')]
        self._end(
            schedule,
            now,
            table.REFUSED,
            messages.SCHEDULE_REFUSED,
            args,
            [(part.message_id, [*part.args]) for part in error.parts],
        )

    def _end(
        self,
        schedule: Schedule,
        now: float,
        outcome: str,
        message_id: str,
        args: list[str],
        reasons: Sequence[tuple[str, list[str]]] = (),
    ) -> None:
        """Take a run that has no task, and tell why."""
        told = self._event(schedule, message_id, args)
        with self._schedules.together() as connection:
            self._schedules.claim(
                schedule, now, outcome, messages=[(message_id, args), *reasons]
            )
            self._tasks.events.record(connection, [told])

    def _delay(
        self, schedule: Schedule, error: exceptions.HawkFishError
    ) -> None:
        args = [schedule.name, messages.text(error).rstrip('.')]
        told = self._event(schedule, messages.SCHEDULE_DELAYED, args)
        waits = schedule.outcome == table.WAITING
        if waits and [*schedule.messages] == [(told.message_id, args)]:
            # It is tried again every few seconds.
            return
        with self._schedules.together() as connection:
            self._schedules.wait(schedule, [(told.message_id, args)])
            if not waits:
                self._tasks.events.record(connection, [told])

    # What is asked for ----------------------------------------------------

    def _system(self, schedule: Schedule) -> contract.System:
        """The system, which may have another name by now."""
        (known,) = schedule.systems
        system = self._systems.system(known.uuid)
        if not self._may_reach(system):
            raise exceptions.SystemNotFound(known.name)
        return system

    def _snapshot(self, run: _Run) -> Task:
        return self._operations.get(Create).submit(
            self._system(run.schedule),
            CreateOptions(run.name, **run.options, **run.mark),
            run.payload,
        )

    def _group_snapshot(self, run: _Run) -> Task:
        return self._operations.get(GroupCreate).submit(
            self._groups.group(run.schedule.group or ''),
            GroupOptions(run.name, **run.options, **run.mark),
            run.payload,
        )

    def _backup(self, run: _Run) -> Task:
        return self._operations.get(BackUp).submit(
            self._system(run.schedule),
            BackupOptions(**run.options, schedule=run.schedule.id),
            run.payload,
        )

    def _verify(self, run: _Run) -> Task:
        verify, system = (
            self._operations.get(Verify),
            self._system(run.schedule),
        )
        request = VerifyRequest.load(run.options)
        if not request.name:
            name = verify.newest(system)
            request = dataclasses.replace(request, name=name)
        return verify.submit(system, request, run.payload)

    def _verify_backup(self, run: _Run) -> Task:
        # A schedule of an older release has no request.
        request = run.options.get('request')
        return self._operations.get(VerifyBackup).submit(
            self._system(run.schedule),
            run.options['backup'],
            VerifyRequest.load(request) if request else None,
            run.payload,
        )
