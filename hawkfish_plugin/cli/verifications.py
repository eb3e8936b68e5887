# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish snapshot verify``: whether a snapshot can be brought up.
"""

import argparse
import pathlib
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import (
    base,
    cells,
    errors,
    many,
    selection,
    snapshots,
    tables,
    tasks,
    times,
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
        parser.add_argument(
            '--run',
            metavar='SECONDS',
            type=_seconds,
            help='How long the clone has to run; 5 if not given.',
        )
        parser.add_argument(
            '--agent',
            action='store_true',
            default=None,
            help='Require the guest agent to answer.',
        )
        parser.add_argument(
            '--console',
            metavar='PATTERN',
            type=base.filled,
            help='Require a line of the console to contain this text; * '
            'stands for any text.',
        )
        parser.add_argument(
            '--command',
            metavar='COMMAND',
            type=_words,
            help='Require a program of the guest to return 0: its path and '
            'its arguments, as one word for the shell.',
        )
        parser.add_argument(
            '--screenshot',
            metavar='FILE',
            type=base.filled,
            help='Write a screenshot of the clone to a file, as PNG; of one '
            'system only.',
        )
        parser.add_argument(
            '--deadline',
            metavar='SECONDS',
            type=_seconds,
            help='Time for each check; 120 seconds if not given.',
        )
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        super().check(parsed_args, refuse)
        if parsed_args.screenshot and parsed_args.wait is None:
            refuse('argument --screenshot: not allowed with --no-wait')

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
            self._save(
                self._of(target.identity, parsed_args), parsed_args.screenshot
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
            parsed_args.run,
            parsed_args.agent,
            parsed_args.console,
            parsed_args.command,
            True if parsed_args.screenshot else None,
            parsed_args.deadline,
        )

    def _show(
        self, task: 'client.Task', parsed_args: argparse.Namespace
    ) -> tasks.Fields:
        if parsed_args.wait is None or not task.system:
            return tasks.fields(task)
        return _fields(self._of(task.system, parsed_args))

    def _save(self, snapshot: 'client.Snapshot', target: str) -> None:
        picture = snapshot.screenshot()
        if picture is None:
            self.app.LOG.warning('There is no screenshot')
            return
        try:
            pathlib.Path(target).write_bytes(picture)
        except OSError as error:
            raise errors.CommandError(f'{target}: {error.strerror}') from None


def _fields(snapshot: 'client.Snapshot') -> tasks.Fields:
    found = snapshot.verification or {}
    values = {
        'Name': snapshot.name,
        'Verify Result': cells.state(snapshot.verify_result),
        'Last Verified': cells.moment(snapshot.last_verified),
        'Memory Loaded': found.get('MemoryLoaded'),
        'Checks': [_line(check) for check in found.get('Checks', ())],
        'Left Out': found.get('LeftOut'),
    }
    return tuple(values), tuple(values.values())


def _line(check: dict[str, object]) -> str:
    detail = f': {check["Detail"]}' if check['Detail'] else ''
    return f'{check["Check"]} {check["Result"]}{detail}'


def _seconds(text: str) -> int:
    seconds = times.span(text)
    if not seconds:
        raise argparse.ArgumentTypeError('it has to be a second or more')
    return seconds


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not words:
        raise argparse.ArgumentTypeError('it is empty')
    return words
