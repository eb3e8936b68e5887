# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish schedule``: what is done at regular times.

Owns how a schedule is shown; its options are in ``schedule_options``.
"""

import argparse
import datetime
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib import parse

from hawkfish_plugin.cli import (
    base,
    cells,
    output,
    schedule_options,
    tables,
    tasks,
    times,
    waiting,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client

_KEEP = ('last', 'daily', 'weekly', 'monthly')
_NEWEST = 'Actions/HawkFishSnapshotCollection.VerifyNewest'
# What a table says of what is requested, by the end of its path.
_ACTIONS = {
    'Snapshots': 'snapshot',
    'Backups': 'back up',
    f'Snapshots/{_NEWEST}': 'verify',
}
_SPANS = ('RecurrenceInterval', 'Lifetime')
# What each of them is for, by its option: a snapshot, a group or a backup.
_ONLY_FOR = {
    'consistency': 'group',
    'full': 'backup',
    'no_memory': 'snapshot',
}


class _Target(cells.System):
    """The path of what is requested, without the service's prefix."""

    def human_readable(self) -> str:
        return self.among({})

    def among(self, names: Mapping[str, str]) -> str:
        """Return what is done to which system or group."""
        kind, _, rest = self._value.partition('/')
        quoted, _, path = rest.partition('/Oem/HawkFish/')
        name = parse.unquote(quoted)
        owner = f'group {name}' if kind == 'Aggregates' else names.get(name)
        what = _ACTIONS.get(path)
        if not (quoted and what):
            return output.printable(self._value)
        return output.printable(f'{what} {owner or name}')


def _target(text: str) -> _Target:
    return _Target(text.removeprefix('/redfish/v1/'))


def _body_cell(text: str | None) -> Any:
    """The JSON of a request, which a table shows without its braces."""
    try:
        found = json.loads(text or '{}')
        lines = [f'{key}: {value}' for key, value in found.items()]
    except (ValueError, AttributeError):
        return text
    return cells.shown(text, ', '.join(lines))


def _span_cell(text: str) -> Any:
    """A duration of ISO 8601, which a table shows in its units."""
    try:
        return cells.shown(text, times.in_units(times.span(text)))
    except argparse.ArgumentTypeError:
        return text


def _row(schedule: 'client.Schedule') -> tuple[Any, ...]:
    last = schedule.last_run or {}
    return (
        schedule.name,
        cells.state(schedule.state),
        cells.state(schedule.health),
        None
        if schedule.interval is None
        else cells.span_limit(int(schedule.interval.total_seconds())),
        cells.due(schedule.next_run_time),
        last.get('Outcome'),
        _target(schedule.target),
    )


def _kept(number: int) -> Any:
    # 0 keeps nothing by this rule, and a verify has no such rules.
    return cells.shown(number, str(number or ''))


def _task_of(schedule: 'client.Schedule') -> str | None:
    """The ID of the task of the last run, if there is one."""
    link = (schedule.last_run or {}).get('Task') or {}
    return link.get('@odata.id', '').rpartition('/')[2] or None


def _fields(
    schedule: 'client.Schedule', last_task: Any = None
) -> tasks.Fields:
    last = schedule.last_run or {}
    rule = schedule.json.get('Schedule') or {}
    values = {
        'Name': schedule.name,
        'State': cells.state(schedule.state),
        'Health': cells.state(schedule.health),
        'Target': _target(schedule.target),
        'Body': _body_cell(schedule.json['Payload'].get('JsonBody')),
        **{
            name: _span_cell(rule[key]) if key in _SPANS else rule[key]
            for name, key in (
                ('Start', 'InitialStartTime'),
                ('Every', 'RecurrenceInterval'),
                ('Days of Week', 'EnabledDaysOfWeek'),
                ('Days of Month', 'EnabledDaysOfMonth'),
                ('Months', 'EnabledMonthsOfYear'),
                ('Most', 'MaxOccurrences'),
                ('Lifetime', 'Lifetime'),
            )
            if key in rule
        },
        'Next Run': cells.due(schedule.next_run_time),
        'Occurrences': schedule.occurrences,
        'Last Due': _moment(last.get('DueTime')),
        'Last Run': _moment(last.get('Time')),
        'Last Outcome': last.get('Outcome'),
        'Last Task': last_task,
        **{
            f'Keep {one.title()}': _kept(
                schedule.retention[f'Keep{one.title()}']
            )
            for one in _KEEP
        },
        'Messages': [one['Message'] for one in schedule.messages],
    }
    return tuple(values), tuple(values.values())


def _moment(text: str | None) -> Any:
    return cells.moment(
        datetime.datetime.fromisoformat(text) if text else None
    )


class OfSchedules(base.Command):
    """A command on schedules that are named."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'schedules',
            metavar='SCHEDULE',
            type=base.name,
            nargs='+',
            help='Names of the schedules.',
        )
        return parser


class ListSchedules(tables.Lister):
    """List the schedules."""

    brief = ('Name', 'State', 'Every', 'Next Run', 'Target')
    nothing = 'schedules'
    columns = (
        *('Name', 'State', 'Health', 'Every', 'Next Run', 'Last Outcome'),
        'Target',
    )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        found = self.client.schedules().get_members()
        return self.columns, [_row(schedule) for schedule in found]


class ShowSchedule(tables.ShowOne):
    """Show one schedule, and what became of its last run."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'schedule',
            metavar='SCHEDULE',
            type=base.name,
            help='Name of the schedule.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        schedule = self.client.schedules().get(parsed_args.schedule)
        return _fields(schedule, self._last_task(schedule))

    def _last_task(self, schedule: 'client.Schedule') -> Any:
        """The ID of the task of the last run, with what became of it."""
        from sushy import exceptions

        identity = _task_of(schedule)
        try:
            found = self.client.task(identity) if identity else None
        except exceptions.SushyError:
            # Tasks are kept for a while only.
            found = None
        if found is None:
            return identity
        return cells.shown(identity, f'{identity} ({waiting.state(found)})')


class CreateSchedule(tables.ShowOne):
    """
    Create snapshots or backups, or verify the newest snapshot, repeatedly.

    Each run is a task like any other. One that is due while the previous one
    still goes on is skipped; what was missed while the service was down is
    made up for once. Without any --keep option, all of it is kept.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'schedule_name',
            metavar='NAME',
            type=base.filled,
            nargs='?',
            help='Name of the schedule, which the names of its snapshots '
            'begin with; generated if not given.',
        )
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument(
            '--system',
            metavar='SYSTEM',
            type=base.name,
            help='Name or UUID of the system.',
        )
        owner.add_argument(
            '--group',
            metavar='GROUP',
            type=base.name,
            help='Name of the group.',
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            '--backup',
            action='store_true',
            help='Back the system up, rather than create a snapshot.',
        )
        what.add_argument(
            '--verify',
            action='store_true',
            help='Verify the newest snapshot, rather than create one.',
        )
        schedule_options.add_times(parser)
        schedule_options.add_retention(parser)
        schedule_options.add_body(parser)
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        kind = _kind(parsed_args)
        if parsed_args.group and kind != 'group':
            refuse('a group can only have schedules of snapshots')
        for name, owner in _ONLY_FOR.items():
            if getattr(parsed_args, name) and kind != owner:
                option = name.replace('_', '-')
                refuse(f'--{option} is for schedules of a {owner} only')
        if kind == 'verify':
            for name in ('description', 'quiesce', 'lock'):
                if getattr(parsed_args, name):
                    refuse(f'--{name} is not for --verify')

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        given = {
            'start': parsed_args.start,
            'every': parsed_args.every,
            'weekdays': parsed_args.weekday,
            'days': parsed_args.day,
            'months': parsed_args.month,
            'most': parsed_args.most,
            'lifetime': parsed_args.lifetime,
            **{
                f'keep_{one}': getattr(parsed_args, f'keep_{one}')
                for one in _KEEP
            },
        }
        rules: Any = {k: v for k, v in given.items() if v is not None}
        created = self.client.schedules().create(
            self._target(parsed_args),
            _body(parsed_args),
            parsed_args.schedule_name,
            **rules,
        )
        return _fields(created)

    def _target(self, parsed_args: argparse.Namespace) -> str:
        kind, service = _kind(parsed_args), self.client
        if kind == 'group':
            return service.group_snapshots(parsed_args.group).path
        if kind == 'backup':
            return service.backups(parsed_args.system).path
        path = service.snapshots(parsed_args.system).path
        return f'{path}/{_NEWEST}' if kind == 'verify' else path


def _kind(parsed_args: argparse.Namespace) -> str:
    for kind in ('backup', 'verify', 'group'):
        if getattr(parsed_args, kind):
            return kind
    return 'snapshot'


def _body(parsed_args: argparse.Namespace) -> dict[str, Any]:
    given = {
        'Description': parsed_args.description,
        'Quiesce': parsed_args.quiesce,
        'Locked': parsed_args.lock,
        'Consistency': parsed_args.consistency,
        'IncludeMemory': False if parsed_args.no_memory else None,
        'BackupType': 'Full' if parsed_args.full else None,
    }
    return {name: value for name, value in given.items() if value is not None}


class SuspendSchedules(OfSchedules):
    """Let schedules not run until they are resumed."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.all_of(
            parsed_args.schedules,
            lambda name: self.client.schedules().get(name).suspend(),
            'Suspended schedule',
        )


class ResumeSchedules(OfSchedules):
    """Let schedules run again; what was missed is not made up for."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.all_of(
            parsed_args.schedules,
            lambda name: self.client.schedules().get(name).resume(),
            'Resumed schedule',
        )


class DeleteSchedules(OfSchedules):
    """Delete schedules; what they have made stays."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.all_of(
            parsed_args.schedules,
            lambda name: self.client.schedules().get(name).delete(),
            'Deleted schedule',
        )
