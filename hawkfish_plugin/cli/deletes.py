# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish snapshot delete``, or ``snaps-rm``.

They take several snapshots, so the first word alone is a system, unless an
option says which. Snapshots are deleted one after the other, in the order
that the user gives; systems work on each of them in parallel.
"""

import argparse
import collections
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import (
    base,
    losses,
    many,
    options,
    selection,
    tables,
    waiting,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client

COLUMNS = ('Snapshot', 'Task', 'State')


class DeleteSnapshots(many.OperateOnEach, selection.Confirmed, tables.Lister):
    """
    Delete snapshots; list the tasks.

    A system keeps its current state. If a snapshot cannot be deleted, the
    command continues with the others. SECONDS apply to each snapshot.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        options.add_dry_run(parser)
        return parser

    def add_systems(
        self, parser: argparse.ArgumentParser, chosen: Any
    ) -> None:
        chosen.add_argument(
            '--system',
            action='append',
            dest='named',
            type=base.name,
            metavar='SYSTEM',
            help='A system, instead of SYSTEM; may be repeated.',
        )
        parser.add_argument(
            'systems',
            metavar='SYSTEM',
            type=base.name,
            nargs='?',
            help='Name or UUID of the system, or a glob such as node-[0-4].',
        )
        options.add_snapshots(parser)

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        first, named = parsed_args.systems, parsed_args.named
        if named or parsed_args.all_systems or parsed_args.group is not None:
            # All words are snapshots then.
            parsed_args.snapshots[:0] = [first] if first is not None else []
            parsed_args.systems = named or []
        elif first is None:
            refuse('the following arguments are required: SNAPSHOT')
        else:
            parsed_args.systems = [first]

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        chosen, names = self.select(parsed_args), parsed_args.snapshots
        if parsed_args.dry_run:
            return losses.GOING, self._going(chosen, names)
        self.confirm(
            chosen,
            parsed_args,
            f'Delete {", ".join(names)} of',
            '',
            lambda: self._loss(chosen, names),
        )
        if chosen.single:
            rows = self._delete_each(chosen.targets[0].identity, parsed_args)
            return COLUMNS, tables.Rows(rows, len(names))
        rows = []
        for name in names:
            handles = self.try_each(chosen, self._submit(name))
            ended = self.follow_each(handles, parsed_args)
            rows += [
                (target.name, *_row(name, task))
                for target, (_, task) in ended.items()
            ]
        asked = len(names) * len(chosen.targets)
        return ('System', *COLUMNS), tables.Rows(rows, asked)

    def _going(
        self, chosen: selection.Selection, names: Sequence[str]
    ) -> tables.Rows:
        rows = []
        gone: dict[selection.Target, list[str]] = collections.defaultdict(list)
        for name in names:
            found = self.try_each(chosen, self._find(name))
            for target, snapshot in found.items():
                rows.append(losses.going(target.name, snapshot))
                hindrances = losses.hindrances(snapshot, gone[target])
                self.foretell(target.name, 'delete', hindrances)
                if not hindrances:
                    gone[target].append(name)
        return tables.Rows(rows, len(names) * len(chosen.targets))

    def _loss(self, chosen: selection.Selection, names: Sequence[str]) -> str:
        gone: dict[selection.Target, list[str]] = collections.defaultdict(list)

        def read(
            name: str, target: selection.Target
        ) -> tuple[selection.Target, 'client.Snapshot']:
            return target, self._find(name)(target.identity)

        def goes(found: tuple[selection.Target, 'client.Snapshot']) -> bool:
            target, snapshot = found
            if losses.hindrances(snapshot, gone[target]):
                return False
            gone[target].append(snapshot.name)
            return True

        reads = (
            functools.partial(read, name, target)
            for name in names
            for target in chosen.targets
        )
        return losses.of_deletes(losses.count(reads, goes))

    def _find(self, name: str) -> 'Callable[[str], client.Snapshot]':
        return lambda system: self.client.snapshots(system).get(name)

    def _submit(self, name: str) -> many.Submit:
        return lambda system: self._find(name)(system).delete()

    def _delete_each(
        self, system: str, parsed_args: argparse.Namespace
    ) -> list[tuple[Any, ...]]:
        def delete(name: str) -> tuple[Any, ...]:
            handle = self._submit(name)(system)
            _, task = self.follow(handle, parsed_args)
            return _row(name, task)

        return self.each(parsed_args.snapshots, delete)


def _row(name: str, task: 'client.Task') -> tuple[Any, ...]:
    return name, task.identity, waiting.state(task)
