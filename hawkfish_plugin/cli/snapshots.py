# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish snapshot`` and its short forms such as ``snaps-ls``.

Owns how a snapshot is shown. The short forms are the same commands. The rows
are in the order of the service, oldest first. Each command takes several
systems.
"""

import argparse
import functools
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import (
    base,
    cells,
    losses,
    many,
    options,
    output,
    policies,
    selection,
    tables,
    tasks,
    tree,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client


def _fields(snapshot: 'client.Snapshot') -> tasks.Fields:
    values = {
        'Name': snapshot.name,
        'Description': snapshot.description,
        'State': cells.state(snapshot.snapshot_state),
        'Health': cells.state(snapshot.health),
        'Type': snapshot.snapshot_type,
        'Storage': snapshot.storage_type,
        'Consistency': snapshot.consistency,
        'Quiesce': snapshot.quiesce_status,
        'Power': snapshot.power_state,
        'Current': snapshot.is_current,
        'Created': cells.moment(snapshot.created_time),
        'Expires': cells.moment(snapshot.expires_time),
        'Locked': snapshot.locked,
        'Size': cells.size(snapshot.size_bytes),
        'Exclusive Size': cells.size(snapshot.exclusive_size_bytes),
        'Last Verified': cells.moment(snapshot.last_verified),
        'Verify Result': cells.state(snapshot.verify_result),
        'Parent': snapshot.parent,
        'Children': snapshot.children,
        'Referenced By': [
            *(snapshot.referenced_by or ()),
            *(snapshot.referenced_by_files or ()),
        ],
        'Groups': [
            f'{name} of {group}' for group, name in snapshot.group_snapshots
        ],
    }
    return tuple(values), tuple(values.values())


COLUMNS = (
    'Name',
    'State',
    'Type',
    'Power',
    'Current',
    'Created',
    'Size',
    'Locked',
    'Parent',
    'Last Verified',
    'Verify Result',
    'Groups',
)
BRIEF = ('Name', 'State', 'Current', 'Created', 'Size')
"""What a table of several snapshots shows"""


def _row(snapshot: 'client.Snapshot') -> tuple[Any, ...]:
    values = dict(zip(*_fields(snapshot), strict=True))
    return tuple(values[name] for name in COLUMNS)


class OfSnapshot(selection.OfSystems):
    """A command on one snapshot of each system."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_snapshot(parser)
        return parser


class ListSnapshots(many.OnEach, tables.Lister):
    """List the snapshots of systems, oldest first."""

    brief = BRIEF
    nothing = 'snapshots'

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        chosen = self.select(parsed_args)
        if chosen.single:
            return COLUMNS, self._rows(chosen.targets[0].identity)
        found = self.try_each(chosen, self._rows)
        every = [
            (target.name, *row) for target in found for row in found[target]
        ]
        failed = len(chosen.targets) - len(found)
        return ('System', *COLUMNS), tables.Rows(every, len(every) + failed)

    def _rows(self, system: str) -> list[Any]:
        members = self.client.snapshots(system).get_members()
        return [_row(one) for one in members]


class ShowSnapshot(many.OnEach, OfSnapshot, tables.ShowOne):
    """Show one snapshot, or that of the same name of each system."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        name = parsed_args.snapshot
        return self.ask_each(
            parsed_args,
            lambda system: _fields(self.client.snapshots(system).get(name)),
            BRIEF,
        )


class CreateSnapshot(many.OperateOnEach, tables.ShowOne):
    """
    Create a snapshot of each system, and show it.

    The last of several words is its name, unless there is a system of that
    name. The snapshots of several systems are of different moments; 'group
    snapshot create' makes them of one.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--no-memory',
            action='store_true',
            help='Do not save the memory of a running system.',
        )
        # Only for the help: it is told from the systems when all are known.
        options.add_name(parser, dest='_')
        options.add_create_options(parser)
        return parser

    def add_systems(
        self, parser: argparse.ArgumentParser, chosen: Any
    ) -> None:
        # The last word may be the name, whose rules the service knows.
        parser.add_argument(
            'systems',
            metavar='SYSTEM',
            type=base.filled,
            nargs='*',
            help=self.systems_help,
        )

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        words = parsed_args.systems
        elsewhere = parsed_args.all_systems or parsed_args.group is not None
        if elsewhere and parsed_args.name is None and len(words) == 1:
            parsed_args.name = words.pop()
        super().check(parsed_args, refuse)
        self._refuse = refuse

    def _take_name(self, parsed_args: argparse.Namespace) -> None:
        words = parsed_args.systems
        if len(words) > 1 and not self.is_system(words[-1]):
            if parsed_args.name is not None:
                self._refuse(
                    'argument NAME: not allowed with --name, and no system '
                    f'is called {words[-1]!r}'
                )
            parsed_args.name = words.pop()
            # Of two words, it is what was meant; of more it may be mistyped.
            if len(words) > 1 and self.app.stderr.isatty():
                taken = output.printable(parsed_args.name)
                self.app.LOG.info('The snapshots will be called %r.', taken)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        self._take_name(parsed_args)
        for word in parsed_args.systems:
            try:
                base.name(word)
            except argparse.ArgumentTypeError as error:
                self._refuse(f'argument SYSTEM: {error}')
        given = (
            parsed_args.name,
            parsed_args.description,
            False if parsed_args.no_memory else None,
            parsed_args.quiesce,
            parsed_args.lock,
            parsed_args.expires,
        )
        if parsed_args.dry_run:
            return self.ask_each(
                parsed_args,
                lambda system: policies.explain(
                    self.client.policy(system), *given
                ),
                policies.PREVIEW_BRIEF,
            )
        return self.operate(
            parsed_args,
            lambda system: self.client.snapshots(system).create(*given),
            lambda made, task: _fields(made) if made else tasks.fields(task),
            tasks.BRIEF if parsed_args.wait is None else BRIEF,
        )


class SetSnapshot(many.OnEach, OfSnapshot, tables.ShowOne):
    """Change the description, the lock or the expiration of a snapshot."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_changes(parser)
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        super().check(parsed_args, refuse)
        options.check_changes(parsed_args, refuse)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        name, wanted = parsed_args.snapshot, options.changes(parsed_args)
        return self.ask_each(
            parsed_args,
            lambda system: _fields(
                self.client.snapshots(system).get(name).update(**wanted)
            ),
            (*BRIEF, 'Locked', 'Expires'),
        )


class PurgeSnapshots(many.OperateOnEach, selection.Confirmed, tables.ShowOne):
    """
    Delete all snapshots of systems; show the tasks.

    A system keeps its current state, and can be undefined afterwards.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--force',
            action='store_true',
            default=None,
            help='Delete locked snapshots as well.',
        )
        options.add_dry_run(parser)
        return parser

    def _going(self, chosen: selection.Selection, forced: bool) -> tables.Rows:
        rows = []
        for target in chosen.targets:
            members = self.client.snapshots(target.identity).get_members()
            rows += [losses.going(target.name, one) for one in members]
            self.foretell(
                target.name, 'purge', losses.hindering_all(members, forced)
            )
        return tables.Rows(rows, len(rows))

    def _loss(self, chosen: selection.Selection, forced: bool) -> str:
        reads = (
            self.client.snapshots(target.identity).get_members
            for target in chosen.targets
        )
        number = losses.count(reads, lambda one: losses.purged(one, forced))
        return losses.of_deletes(number)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        chosen = self.select(parsed_args)
        forced = bool(parsed_args.force)
        if parsed_args.dry_run:
            return losses.GOING, self._going(chosen, forced)
        self.confirm(
            chosen,
            parsed_args,
            'Delete all snapshots of',
            '',
            lambda: self._loss(chosen, forced),
        )
        return self.operate_on(
            chosen,
            parsed_args,
            lambda system: self.client.snapshots(system).purge(
                parsed_args.force
            ),
            lambda _, task: tasks.fields(task),
            tasks.BRIEF,
        )


class ShowTree(many.OnEach):
    """Draw the snapshot tree of systems."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        chosen = self.select(parsed_args)
        if chosen.single:
            lines = self._lines(chosen.targets[0].identity)
            self._write(lines)
            if not lines:
                self.app.LOG.info('There are no snapshots.')
            return
        found = self.try_each(chosen, self._lines)
        for target, lines in found.items():
            self._write([f'{output.printable(target.name)}:'])
            self._write(f'  {line}' for line in lines)
        tables.Rows([()] * len(found), len(chosen.targets)).raise_failures()

    def _lines(self, system: str) -> list[str]:
        members = self.client.snapshots(system).get_members()
        width = output.width(self.app.stdout)
        return list(tree.draw(members, time.time(), width=width))

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.app.stdout.write(f'{line}\n')


class RevertSnapshot(
    many.OperateOnEach, OfSnapshot, selection.Confirmed, tables.ShowOne
):
    """
    Revert systems to a snapshot; show the tasks.

    Everything a system has written since its current snapshot is lost.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_revert_options(parser)
        options.add_revert_dry_run(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        name = parsed_args.snapshot
        given = (
            parsed_args.power,
            parsed_args.safety_snapshot,
            parsed_args.force,
        )

        def preview(system: str) -> dict[str, Any]:
            snapshot = self.client.snapshots(system).get(name)
            return snapshot.preview_revert(*given)

        if parsed_args.dry_run:
            seen: list[dict[str, Any]] = []

            def look(system: str) -> tasks.Fields:
                seen.append(preview(system))
                return losses.of_preview(seen[-1])

            shown = self.ask_each(parsed_args, look, losses.PREVIEW_BRIEF)
            self.foretell_reverts(seen)
            return shown
        chosen = self.select(parsed_args)
        self.confirm(
            chosen,
            parsed_args,
            'Revert',
            f'to {name}',
            lambda: losses.of_reverts(
                functools.partial(preview, target.identity)
                for target in chosen.targets
            ),
        )
        return self.operate_on(
            chosen,
            parsed_args,
            lambda system: (
                self.client.snapshots(system).get(name).revert(*given)
            ),
            lambda _, task: tasks.fields(task),
            tasks.BRIEF,
        )
