# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish group snapshot delete``.

Snapshots are deleted one after the other, in the order that the user gives,
each in all systems of the group.
"""

import argparse
import collections
import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import asking, losses, options, tables, waiting
from hawkfish_plugin.cli.group_snapshots import OfSnapshots

if TYPE_CHECKING:
    from hawkfish_plugin import client

COLUMNS = ('Snapshot', 'Task', 'State')


class DeleteSnapshots(
    waiting.WaitOption, OfSnapshots, asking.Asking, tables.Lister
):
    """
    Delete snapshots of a group in all of its systems; list the tasks.

    The systems keep their current state. If a snapshot cannot be deleted, the
    command continues with the others. SECONDS apply to each snapshot.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_snapshots(parser)
        options.add_dry_run(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], tables.Rows]:
        names, snapshots = parsed_args.snapshots, self.snapshots(parsed_args)
        if parsed_args.dry_run:
            return losses.GOING, self._going(names, snapshots)

        def delete(name: str) -> tuple[Any, ...]:
            handle = snapshots.get(name).delete()
            _, task = self.follow(handle, parsed_args)
            return name, task.identity, waiting.state(task)

        def find_loss() -> str:
            gone: dict[str, list[str]] = collections.defaultdict(list)
            reads = (functools.partial(snapshots.get, name) for name in names)
            return losses.of_deletes(
                losses.count(reads, lambda one: self._goes(one, gone))
            )

        self.ask(
            parsed_args,
            f'Delete {", ".join(names)} of group {parsed_args.group_name}',
            find_loss,
        )
        rows = self.each(names, delete)
        return COLUMNS, tables.Rows(rows, len(names))

    def _goes(
        self, whole: 'client.GroupSnapshot', gone: dict[str, list[str]]
    ) -> bool:
        """Whether *whole* can be deleted, after what is *gone* by then."""
        members = list(self._members(whole))
        if any(losses.hindrances(one, gone[uuid]) for _, uuid, one in members):
            return False
        for _, uuid, one in members:
            gone[uuid].append(one.name)
        return True

    def _members(
        self, whole: 'client.GroupSnapshot'
    ) -> 'Iterator[tuple[str, str, client.Snapshot]]':
        """Yield the name and the UUID of each system, and its snapshot."""
        for part in whole.systems:
            if part['Snapshot']:
                uuid = part['UUID']
                member = self.client.snapshots(uuid).get(whole.name)
                yield part['Name'], uuid, member

    def _going(
        self,
        names: Sequence[str],
        snapshots: 'client.GroupSnapshotCollection',
    ) -> tables.Rows:
        """What goes in each system, and what would be refused."""
        gone: dict[str, list[str]] = collections.defaultdict(list)
        rows: list[tuple[Any, ...]] = []

        def foretell(name: str) -> None:
            hindrances = []
            for system, uuid, member in self._members(snapshots.get(name)):
                rows.append(losses.going(system, member))
                hindrances += [
                    f'{system}: {reason}'
                    for reason in losses.hindrances(member, gone[uuid])
                ]
                gone[uuid].append(name)
            self.foretell(name, 'delete', hindrances)

        found = self.each(names, foretell)
        return tables.Rows(rows, len(rows) + len(names) - len(found))
