# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish group snapshot``: snapshots of a whole group.

Owns how one is shown. As with ``hawkfish snapshot``, a command that begins an
operation waits for its end.
"""

import argparse
import datetime
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import (
    asking,
    base,
    cells,
    losses,
    options,
    output,
    tables,
    tasks,
    tree,
    waiting,
)
from hawkfish_plugin.cli.groups import OfGroup

if TYPE_CHECKING:
    from hawkfish_plugin import client

CONSISTENCIES = ('Consistent', 'Live', 'DisksOnly')
COLUMNS = (
    'Name',
    'State',
    'Consistency',
    'Current',
    'Created',
    'Size',
    'Skew ms',
    'Pause ms',
    'Locked',
    'Parent',
)
GROUP_HERE = '* the group is here'


def _fields(snapshot: 'client.GroupSnapshot') -> tasks.Fields:
    values = {
        'Name': snapshot.name,
        'Description': snapshot.description,
        'State': cells.state(snapshot.snapshot_state),
        'Health': cells.state(snapshot.health),
        'Findings': [_finding(found) for found in snapshot.findings],
        'Systems': [_member(one) for one in snapshot.systems],
        'Consistency': snapshot.consistency,
        'Skew ms': snapshot.skew_ms,
        'Pause ms': snapshot.pause_ms,
        'Current': snapshot.is_current,
        'Created': cells.moment(snapshot.created_time),
        'Expires': cells.moment(snapshot.expires_time),
        'Locked': snapshot.locked,
        'Size': cells.size(snapshot.size_bytes),
        'Exclusive Size': cells.size(snapshot.exclusive_size_bytes),
        'Parent': snapshot.parent,
        'Children': snapshot.children,
    }
    return tuple(values), tuple(values.values())


def _finding(found: dict[str, Any]) -> str:
    words = (found['Message'], found.get('Resolution'))
    return ' '.join(filter(None, words))


def _member(one: dict[str, Any]) -> str:
    facts = [
        one['SnapshotState'],
        one.get('PowerState'),
        'current' if one.get('Current') else None,
        _quiesce(one),
    ]
    return f'{one["Name"]}: {", ".join(fact for fact in facts if fact)}'


def _quiesce(one: dict[str, Any]) -> str | None:
    if one.get('QuiesceStatus') != 'Failed':
        return None
    return f'not quiesced: {one.get("QuiesceReason") or "see its task"}'


def _row(snapshot: 'client.GroupSnapshot') -> tuple[Any, ...]:
    values = dict(zip(*_fields(snapshot), strict=True))
    return tuple(values[name] for name in COLUMNS)


class OfSnapshots(OfGroup):
    """A command on the snapshots of one group."""

    def snapshots(
        self, parsed_args: argparse.Namespace
    ) -> 'client.GroupSnapshotCollection':
        return self.client.group_snapshots(parsed_args.group_name)


class OfSnapshot(OfSnapshots):
    """A command on one snapshot of one group."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_snapshot(parser)
        return parser

    def snapshot(
        self, parsed_args: argparse.Namespace
    ) -> 'client.GroupSnapshot':
        return self.snapshots(parsed_args).get(parsed_args.snapshot)


class ListSnapshots(OfSnapshots, tables.Lister):
    """List the snapshots of a group, oldest first."""

    brief = ('Name', 'State', 'Current', 'Created', 'Size')
    nothing = 'snapshots'

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[Any]]:
        members = self.snapshots(parsed_args).get_members()
        return COLUMNS, [_row(snapshot) for snapshot in members]


class ShowSnapshot(OfSnapshot, tables.ShowOne):
    """Show one snapshot of a group, and what each system has of it."""

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        return _fields(self.snapshot(parsed_args))


class CreateSnapshot(waiting.WaitOption, OfSnapshots, tables.ShowOne):
    """
    Create a snapshot of all systems of a group, and show it.

    If it fails for one of them, none has a snapshot.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_name(parser, dest='word')
        options.add_create_options(parser)
        parser.add_argument(
            '--consistency',
            type=base.any_case(CONSISTENCIES),
            choices=CONSISTENCIES,
            help='Whether all systems are suspended while they are captured, '
            'so that it is one moment (Consistent, the default), or run '
            'meanwhile (Live), or are suspended but their memory is not saved '
            '(DisksOnly).',
        )
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        if parsed_args.word is not None:
            if parsed_args.name is not None:
                refuse('argument NAME: not allowed with --name')
            parsed_args.name = parsed_args.word

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        given = (
            parsed_args.name,
            parsed_args.description,
            parsed_args.consistency,
            parsed_args.quiesce,
            parsed_args.lock,
            parsed_args.expires,
        )
        snapshots = self.snapshots(parsed_args)
        if parsed_args.dry_run:
            return _preview(snapshots.preview(*given))
        made, task = self.follow(snapshots.create(*given), parsed_args)
        return _fields(made) if made else tasks.fields(task)


def _preview(seen: dict[str, Any]) -> tasks.Fields:
    values = {
        'Name': seen['Name'],
        'Consistency': seen['Consistency'],
        'Pause ms': seen['PauseMilliseconds'],
        'Pause Limit ms': seen['PauseLimitMilliseconds'],
        'Memory': cells.size(seen['MemoryBytes']),
        'Size': cells.size(seen['SizeBytes']),
        'Needs': options.needs(seen['Needs']),
        'Systems': [
            f'{one["Name"]}: {one["SnapshotType"]}, {one["StorageType"]}'
            for one in seen['Systems']
        ],
        **options.room(seen.get('Pruned', ()), seen.get('Kept', ())),
        'Unmet Limits': seen.get('UnmetLimits', []),
    }
    return tuple(values), tuple(values.values())


class SetSnapshot(OfSnapshot, tables.ShowOne):
    """Change the description, the lock or the expiration in all systems."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_changes(parser)
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        super().check(parsed_args, refuse)
        options.check_changes(parsed_args, refuse)

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        changes = options.changes(parsed_args)
        return _fields(self.snapshot(parsed_args).update(**changes))


class RevertSnapshot(
    waiting.WaitOption, OfSnapshot, asking.Asking, tables.ShowOne
):
    """
    Revert all systems of a group to a snapshot; show the task.

    Everything they have written since is lost. If it fails for one of them,
    the others are brought back to where they were.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_revert_options(parser)
        parser.add_argument(
            '--leave-added',
            action='store_true',
            help='Leave systems alone that the group has gained since; '
            'otherwise the revert is refused.',
        )
        parser.add_argument(
            '--partial',
            action='store_true',
            default=None,
            help='Revert the systems that have the snapshot, though others '
            'have it no more.',
        )
        options.add_revert_dry_run(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        given = (
            parsed_args.power,
            parsed_args.safety_snapshot,
            parsed_args.force,
            'LeaveAlone' if parsed_args.leave_added else None,
            parsed_args.partial,
        )

        def preview() -> dict[str, Any]:
            return self.snapshot(parsed_args).preview_revert(*given)

        if parsed_args.dry_run:
            seen = preview()
            self.foretell_reverts([seen])
            return _revert_preview(seen)
        self.ask(
            parsed_args,
            f'Revert group {parsed_args.group_name} to {parsed_args.snapshot}',
            lambda: losses.of_reverts([preview]),
        )
        handle = self.snapshot(parsed_args).revert(*given)
        return tasks.fields(self.follow(handle, parsed_args)[1])


def _revert_preview(seen: dict[str, Any]) -> tasks.Fields:
    values = {
        'Systems': [
            _reverted(one, seen['SafetySnapshot']) for one in seen['Systems']
        ],
        'Left Alone': seen['LeftAlone'],
        'Safety Snapshot': seen['SafetySnapshot'],
        'Needs': options.needs(seen['Needs']),
        'Warnings': [
            f'{one["Name"]}: {warning["Message"]}'
            for one in seen['Systems']
            for warning in one['Warnings']
        ],
    }
    return tuple(values), tuple(values.values())


def _reverted(one: dict[str, Any], kept: bool) -> str:
    memory = 'with its memory' if one['MemoryRestored'] else 'from its disks'
    facts = [one['PowerState']]
    if one['PowerState'] != 'Off':
        facts.append(memory)
    if one['DiscardedSince']:
        facts.append(f'loses what it wrote since {one["DiscardedSince"]}')
    elif not kept:
        facts.append('loses all that it holds now')
    return f'{one["Name"]}: {", ".join(facts)}'


class ShowTree(OfSnapshots):
    """Draw the snapshot tree of a group."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        members = self.snapshots(parsed_args).get_members()
        if not members:
            self.app.LOG.info('There are no snapshots.')
        width = output.width(self.app.stdout)
        for line in tree.draw(members, time.time(), _here, width):
            self.app.stdout.write(f'{line}\n')


def _here(snapshot: 'client.GroupSnapshot') -> str | None:
    """Who stands on *snapshot*: the group, or some of its systems."""
    if snapshot.is_current:
        return GROUP_HERE
    standing = [one['Name'] for one in snapshot.systems if one.get('Current')]
    if not standing:
        return None
    names = output.printable(', '.join(standing))
    return f'* {names} {"is" if len(standing) == 1 else "are"} here'


class AdoptSnapshots(OfSnapshots, tables.Lister):
    """
    Make snapshots of a group of those that its systems have anyway.

    They have the same name, and were created at the same time. What only some
    systems have becomes an Incomplete snapshot. This is for a service that has
    lost its database.
    """

    nothing = 'snapshots to adopt'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--name',
            type=base.name,
            help='Adopt the snapshot of this name only.',
        )
        parser.add_argument(
            '--dry-run',
            action='store_true',
            default=None,
            help='List what would be adopted, and change nothing.',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[Any]]:
        adopted = self.snapshots(parsed_args).adopt(
            parsed_args.name, parsed_args.dry_run
        )
        rows = [
            (
                one['Name'],
                cells.moment(
                    datetime.datetime.fromisoformat(one['CreatedTime'])
                ),
            )
            for one in adopted
        ]
        return ('Name', 'Created'), rows
