# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish snapshot verify``: whether a snapshot can be brought up.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import (
    base,
    cells,
    checks,
    errors,
    many,
    selection,
    snapshots,
    tables,
    tasks,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client

BRIEF = ('Name', 'Verify Result', 'Last Verified')


class VerifySnapshot(many.OperateOnEach, snapshots.OfSnapshot, tables.ShowOne):
    """
    Start a clone of a snapshot, check it, and remove it.

    The clone has no network, and neither the system nor the snapshot is
    touched. Fails if a check does.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--no-memory',
            action='store_true',
            help='Boot the clone, even if the snapshot has the memory.',
        )
        checks.add_options(parser)
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        super().check(parsed_args, refuse)
        checks.check(parsed_args, refuse)

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        chosen = self.select(parsed_args)
        if parsed_args.screenshot:
            return self._picture(chosen, parsed_args)
        return self.operate_on(
            chosen,
            parsed_args,
            lambda system: self._submit(system, parsed_args),
            lambda _, task: self._show(task, parsed_args),
            tasks.BRIEF if parsed_args.wait is None else BRIEF,
        )

    def _picture(
        self, chosen: selection.Selection, parsed_args: argparse.Namespace
    ) -> tasks.Fields:
        """Verify with a screenshot, which goes to one file."""
        if not chosen.single:
            raise errors.CommandError(
                '--screenshot FILE is of one system. Nothing was done.'
            )
        (target,) = chosen.targets
        handle = self._submit(target.identity, parsed_args)
        try:
            _, task = self.follow(handle, parsed_args)
        finally:
            # Also of one that has failed; that is what it is for.
            checks.save(
                self._of(target.identity, parsed_args),
                parsed_args.screenshot,
                self.app.LOG,
            )
        return self._show(task, parsed_args)

    def _of(
        self, system: str, parsed_args: argparse.Namespace
    ) -> 'client.Snapshot':
        return self.client.snapshots(system).get(parsed_args.snapshot)

    def _submit(
        self, system: str, parsed_args: argparse.Namespace
    ) -> 'client.TaskHandle[Any]':
        return self._of(system, parsed_args).verify(
            False if parsed_args.no_memory else None,
            **checks.asked(parsed_args),
        )

    def _show(
        self, task: 'client.Task', parsed_args: argparse.Namespace
    ) -> tasks.Fields:
        if parsed_args.wait is None or not task.system:
            return tasks.fields(task)
        return _fields(self._of(task.system, parsed_args))


def _fields(snapshot: 'client.Snapshot') -> tasks.Fields:
    found = snapshot.verification or {}
    values = {
        'Name': snapshot.name,
        'Verify Result': cells.state(snapshot.verify_result),
        'Last Verified': cells.moment(snapshot.last_verified),
        'Memory Loaded': found.get('MemoryLoaded'),
        'Checks': checks.lines(found),
        'Left Out': found.get('LeftOut'),
    }
    return tuple(values), tuple(values.values())
