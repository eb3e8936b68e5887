# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish snapshot`` and its short forms such as ``snaps-ls``.

Owns how a snapshot is shown. The short forms are the same commands, but they
wait for the task to end by default. The rows are in the order of the service,
oldest first.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import (
    base,
    errors,
    output,
    policies,
    tasks,
    times,
    tree,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client

QUIESCE_MODES = ('Preferred', 'Required', 'Never')
POWER_STATES = ('AsCaptured', 'On', 'Off', 'Paused')


def _fields(snapshot: 'client.Snapshot') -> tasks.Fields:
    values = {
        'Name': snapshot.name,
        'Description': snapshot.description,
        'State': snapshot.snapshot_state,
        'Health': snapshot.health,
        'Type': snapshot.snapshot_type,
        'Storage': snapshot.storage_type,
        'Consistency': snapshot.consistency,
        'Quiesce': snapshot.quiesce_status,
        'Power': snapshot.power_state,
        'Current': snapshot.is_current,
        'Created': snapshot.created_time,
        'Expires': snapshot.expires_time,
        'Locked': snapshot.locked,
        'Size': snapshot.size_bytes,
        'Exclusive Size': snapshot.exclusive_size_bytes,
        'Parent': snapshot.parent,
        'Children': snapshot.children,
        'Referenced By': [
            *(snapshot.referenced_by or ()),
            *(snapshot.referenced_by_files or ()),
        ],
    }
    return tuple(values), tuple(values.values())


def _row(snapshot: 'client.Snapshot') -> tuple[Any, ...]:
    return (
        snapshot.name,
        snapshot.snapshot_state,
        snapshot.snapshot_type,
        snapshot.power_state,
        snapshot.is_current,
        snapshot.created_time,
        snapshot.size_bytes,
        snapshot.locked,
        snapshot.parent,
    )


class OfSystem(base.OfSystem):
    """A command on the snapshots of one system."""

    def snapshots(
        self, parsed_args: argparse.Namespace
    ) -> 'client.SnapshotCollection':
        return self.client.snapshots(parsed_args.system)


class OfSnapshot(OfSystem):
    """A command on one snapshot of one system."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'snapshot',
            metavar='SNAPSHOT',
            type=base.name,
            help='Name of the snapshot.',
        )
        return parser


class ListSnapshots(OfSystem, base.Lister):
    """List the snapshots of a system, oldest first."""

    columns = (
        'Name',
        'State',
        'Type',
        'Power',
        'Current',
        'Created',
        'Size',
        'Locked',
        'Parent',
    )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        members = self.snapshots(parsed_args).get_members()
        return self.columns, [_row(snapshot) for snapshot in members]


class ShowSnapshot(OfSnapshot, base.ShowOne):
    """Show one snapshot."""

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        collection = self.snapshots(parsed_args)
        return _fields(collection.get(parsed_args.snapshot))


class CreateSnapshot(base.WaitOption, OfSystem, base.ShowOne):
    """Create a snapshot of a system; without --wait, show the task."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--name',
            type=base.name,
            help='Name of the snapshot; generated from the time if not given.',
        )
        parser.add_argument(
            '--description', help='Description of the snapshot.'
        )
        parser.add_argument(
            '--no-memory',
            action='store_true',
            help='Do not save the memory of a running system.',
        )
        parser.add_argument(
            '--quiesce',
            choices=QUIESCE_MODES,
            help='Whether to quiesce the file systems through the guest '
            'agent: if possible (Preferred), or fail if not (Required), or '
            'do not try (Never).',
        )
        parser.add_argument(
            '--lock',
            action='store_true',
            default=None,
            help='Protect the snapshot from being deleted or pruned.',
        )
        times.add_option(parser)
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Create nothing; show what would be created, what it needs, '
            'and which snapshots would be pruned or kept, and why.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        options = (
            parsed_args.name,
            parsed_args.description,
            False if parsed_args.no_memory else None,
            parsed_args.quiesce,
            parsed_args.lock,
            parsed_args.expires,
        )
        if parsed_args.dry_run:
            policy = self.client.policy(parsed_args.system)
            return policies.explain(policy, *options)
        handle = self.snapshots(parsed_args).create(*options)
        created, task = self.follow(handle, parsed_args)
        return _fields(created) if created else tasks.fields(task)


class SetSnapshot(OfSnapshot, base.ShowOne):
    """Change the description, the lock or the expiration of a snapshot."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--description', help='Description of the snapshot.'
        )
        lock = parser.add_mutually_exclusive_group()
        lock.add_argument(
            '--lock',
            dest='locked',
            action='store_true',
            default=None,
            help='Protect the snapshot from being deleted or pruned.',
        )
        lock.add_argument(
            '--unlock',
            dest='locked',
            action='store_false',
            help='Allow deleting and pruning the snapshot again.',
        )
        expiry = parser.add_mutually_exclusive_group()
        times.add_option(expiry)
        expiry.add_argument(
            '--no-expiry',
            action='store_true',
            help='Remove the expiration of the snapshot.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        changes = {
            'Description': parsed_args.description,
            'Locked': parsed_args.locked,
            'ExpiresTime': parsed_args.expires,
        }
        changes = {k: v for k, v in changes.items() if v is not None}
        if parsed_args.no_expiry:
            changes['ExpiresTime'] = None
        snapshot = self.snapshots(parsed_args).get(parsed_args.snapshot)
        return _fields(snapshot.update(**changes))


class PurgeSnapshots(base.WaitOption, OfSystem, base.ShowOne):
    """
    Delete all snapshots of a system; show the task.

    The system keeps its current state, and can be undefined afterwards.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--force',
            action='store_true',
            default=None,
            help='Delete locked snapshots as well.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        handle = self.snapshots(parsed_args).purge(parsed_args.force)
        return tasks.fields(self.follow(handle, parsed_args)[1])


class ShowTree(OfSystem):
    """Draw the snapshot tree of a system."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        members = self.snapshots(parsed_args).get_members()
        for line in tree.draw(members, time.time()):
            self.app.stdout.write(f'{line}\n')


class RevertSnapshot(base.WaitOption, OfSnapshot, base.ShowOne):
    """
    Revert a system to a snapshot; show the task.

    Everything the system has written since its current snapshot is lost.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--power',
            choices=POWER_STATES,
            help='Power state after the revert; AsCaptured if not given.',
        )
        parser.add_argument(
            '--safety-snapshot',
            action='store_true',
            default=None,
            help='Create a snapshot of the current state first.',
        )
        parser.add_argument(
            '--force',
            action='store_true',
            default=None,
            help='Continue without restoring the UEFI variables and the '
            'virtual TPM if their copies cannot be used.',
        )
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Revert nothing; show the power state after the revert, what '
            'would be discarded, what it needs, and which disks were attached '
            'or detached since.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        snapshot = self.snapshots(parsed_args).get(parsed_args.snapshot)
        options = (
            parsed_args.power,
            parsed_args.safety_snapshot,
            parsed_args.force,
        )
        if parsed_args.dry_run:
            return _preview(snapshot.preview_revert(*options))
        handle = snapshot.revert(*options)
        return tasks.fields(self.follow(handle, parsed_args)[1])


def _preview(seen: dict[str, Any]) -> tasks.Fields:
    """Return the columns and the values that show what a revert would do."""
    values = {
        'Power State': seen['PowerState'],
        'Memory Restored': seen['MemoryRestored'],
        'Discarded Since': seen['DiscardedSince'],
        'Safety Snapshot': seen['SafetySnapshot'],
        'Pruned': seen['Pruned'],
        'Needs': output.needs(seen['Needs']),
        'Warnings': [warning['Message'] for warning in seen['Warnings']],
    }
    return tuple(values), tuple(values.values())


class DeleteSnapshots(base.WaitOption, OfSystem, base.Lister):
    """
    Delete snapshots; list the tasks.

    The system keeps its current state. If a snapshot cannot be deleted, the
    command continues with the others. SECONDS apply to each snapshot.
    """

    columns = ('Snapshot', 'Task', 'State')

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'snapshots',
            metavar='SNAPSHOT',
            type=base.name,
            nargs='+',
            help='Names of the snapshots, in the order of deletion.',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        from sushy import exceptions

        names = parsed_args.snapshots
        rows = []
        for name in names:
            try:
                rows.append(self._delete(name, parsed_args))
            except (exceptions.SushyError, errors.CommandError) as error:
                if len(names) == 1:
                    raise
                reason = self.explain(error)
                self.app.LOG.error('%s: %s', name, reason)
        return self.columns, rows

    def _delete(
        self, name: str, parsed_args: argparse.Namespace
    ) -> tuple[Any, ...]:
        snapshot = self.snapshots(parsed_args).get(name)
        _, task = self.follow(snapshot.delete(), parsed_args)
        return snapshot.name, task.identity, tasks.state(task)

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """Print the tasks, then fail if some snapshots were not deleted."""
        rows = list(data)
        super().produce_output(parsed_args, column_names, rows)
        asked = len(parsed_args.snapshots)
        if len(rows) < asked:
            raise errors.CommandError(f'{asked - len(rows)} of {asked} failed')
        return 0


class SnapsCreate(CreateSnapshot):
    """Create a snapshot, wait until it is complete, and show it."""

    waits_by_default = True


class SnapsRevert(RevertSnapshot):
    """
    Revert a system to a snapshot, and wait for the task to end.

    Everything the system has written since its current snapshot is lost.
    """

    waits_by_default = True


class SnapsRemove(DeleteSnapshots):
    """
    Delete snapshots, and wait for the tasks to end.

    The system keeps its current state. If a snapshot cannot be deleted, the
    command continues with the others. SECONDS apply to each snapshot.
    """

    waits_by_default = True
