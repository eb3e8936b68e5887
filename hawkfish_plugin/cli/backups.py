# SPDX-License-Identifier: Apache-2.0
"""``hawkfish backup``: the backups of a system in the repository."""

import argparse
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import (
    asking,
    base,
    cells,
    checks,
    errors,
    options,
    tables,
    tasks,
    waiting,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client


def _fields(backup: 'client.Backup') -> tasks.Fields:
    values = {
        'ID': backup.identity,
        'Description': backup.description,
        'Type': backup.backup_type,
        'Full Because': backup.full_reason,
        'State': cells.state(backup.state),
        'Created': cells.moment(backup.created_time),
        'Power': backup.power_state,
        'Quiesce': backup.quiesce_status,
        'Size': cells.size(backup.size_bytes),
        'Pool': backup.pool,
        'Verified': cells.moment(backup.last_verified),
        'Result': cells.state(backup.verify_result),
        'Finding': backup.verify_finding,
        'Checks': checks.lines(backup.verification or {}),
        'Parent': backup.parent,
        'Children': backup.children,
    }
    return tuple(values), tuple(values.values())


class OfBackup(base.OfSystem):
    """A command on one backup."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'backup',
            metavar='BACKUP',
            type=base.name,
            help='ID of the backup.',
        )
        return parser

    def find(self, parsed_args: argparse.Namespace) -> 'client.Backup':
        """Return the backup that is named."""
        found = self.client.backups(parsed_args.system)
        return found.get(parsed_args.backup)


class ListBackups(base.OfSystem, tables.Lister):
    """
    List the backups of a system, oldest first.

    Also those of a system that is gone, by its UUID or its last name.
    """

    columns = (
        *('ID', 'Type', 'State', 'Power', 'Created', 'Size', 'Parent'),
        *('Verified', 'Result'),
    )
    brief = ('ID', 'Type', 'State', 'Created', 'Size', 'Result')
    nothing = 'backups'

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        members = self.client.backups(parsed_args.system).get_members()
        found = [dict(zip(*_fields(one), strict=True)) for one in members]
        return self.columns, [
            tuple(values[name] for name in self.columns) for values in found
        ]


class ShowBackup(OfBackup, tables.ShowOne):
    """Show one backup."""

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        return _fields(self.find(parsed_args))


class CreateBackup(waiting.WaitOption, base.OfSystem, tables.ShowOne):
    """
    Back up a system as it is at this moment, wait for it, and show it.

    Only what has changed since the last backup is stored, where that is known;
    otherwise the backup is full.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--full', action='store_true', help='Store everything.'
        )
        parser.add_argument('--description', help='Description of the backup.')
        parser.add_argument(
            '--quiesce',
            type=base.any_case(options.QUIESCE_MODES),
            choices=options.QUIESCE_MODES,
            help='Whether to quiesce the file systems through the guest '
            'agent: if possible (Preferred), or fail if not (Required), or '
            'do not try (Never).',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        handle = self.client.backups(parsed_args.system).create(
            parsed_args.full, parsed_args.description, parsed_args.quiesce
        )
        made, task = self.follow(handle, parsed_args)
        return _fields(made) if made else tasks.fields(task)


class RestoreBackup(
    waiting.WaitOption, OfBackup, asking.Asking, tables.ShowOne
):
    """
    Restore a backup as a new system, or over a system; show the task.

    A new system gets a new UUID and new MAC addresses. The system that was
    backed up is not touched, and may be gone.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--name',
            type=base.name,
            help='Name of the new system; by default that of the one that was '
            'backed up, if that is gone.',
        )
        options.add_pool(parser)
        parser.add_argument(
            '--start',
            action='store_true',
            default=None,
            help='Start the system.',
        )
        parser.add_argument(
            '--over',
            metavar='SYSTEM',
            type=base.name,
            help='Make no new system, but put this one on the disks of the '
            'backup; a safety snapshot keeps what it is now.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        if parsed_args.over and (parsed_args.name or parsed_args.pool):
            raise errors.CommandError(
                '--over leaves name and place of the system alone'
            )
        if parsed_args.over:
            self.ask_over(
                parsed_args,
                f'backup {parsed_args.backup}',
                lambda: self.find(parsed_args),
            )
        handle = self.find(parsed_args).restore(
            parsed_args.name,
            parsed_args.pool,
            parsed_args.start,
            parsed_args.over,
        )
        return tasks.fields(self.follow(handle, parsed_args)[1])


class VerifyBackup(waiting.WaitOption, OfBackup, tables.ShowOne):
    """
    Check that all files of a backup are whole, and show the task.

    Also those of the backups that it stands on. With --boot or a check of it,
    an isolated clone is then booted, checked, and removed; the clone has no
    network. Fails if a check does.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--boot',
            action='store_true',
            default=None,
            help='Boot a clone of the backup, which has to run; any other '
            'check of the clone does so too.',
        )
        checks.add_options(parser)
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        super().check(parsed_args, refuse)
        checks.check(parsed_args, refuse)

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        handle = self.find(parsed_args).verify(
            parsed_args.boot, **checks.asked(parsed_args)
        )
        try:
            _, task = self.follow(handle, parsed_args)
        finally:
            # Also of one that has failed; that is what it is for.
            if parsed_args.screenshot:
                checks.save(
                    self.find(parsed_args),
                    parsed_args.screenshot,
                    self.app.LOG,
                )
        names, values = tasks.fields(task)
        if parsed_args.wait is None:
            return names, values
        found = self.find(parsed_args).verification or {}
        more = {
            'Checks': checks.lines(found),
            'Left Out': found.get('LeftOut'),
        }
        return (*names, *more), (*values, *more.values())


class DeleteBackup(
    waiting.WaitOption, OfBackup, asking.Asking, tables.ShowOne
):
    """Delete a backup that no other backup is based on; show the task."""

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        def find_loss() -> str:
            self.find(parsed_args)
            return 'The backup will be deleted; this cannot be undone.'

        self.ask(
            parsed_args,
            f'Delete backup {parsed_args.backup} of {parsed_args.system}',
            find_loss,
        )
        handle = self.find(parsed_args).delete()
        return tasks.fields(self.follow(handle, parsed_args)[1])
