# SPDX-License-Identifier: Apache-2.0
"""
Commands that discard data.

Owns when they say what will be lost, to people at a terminal, and when they
ask: only where ``-i`` or the environment says so, or where a command has
reasons of its own.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

from hawkfish_plugin.cli import base, connection, errors, losses, output

_VARIABLE = 'HAWKFISH_INTERACTIVE'


def _known(seen: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: seen


class Asking(base.Command):
    """A command that discards data, and can ask first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '-i',
            '--interactive',
            action='store_true',
            help='Say what would be lost, and ask before it is done '
            f'({_VARIABLE}=1).',
        )
        group.add_argument(
            '--yes',
            action='store_true',
            help='Never ask, as for systems that --all or a glob selects.',
        )
        return parser

    def ask(
        self,
        parsed_args: argparse.Namespace,
        question: str,
        find_loss: losses.Find,
        always: bool = False,
    ) -> None:
        """
        Say what will be lost, and ask the *question* if that is wanted.

        *find_loss* is called for people only. What it raises is raised where
        there is a question; else the command goes on without a word.

        Raises CommandError if the user does not agree, or if there is no
        terminal to ask at.
        """
        wanted = parsed_args.interactive or connection.is_true(
            os.environ.get(_VARIABLE, '')
        )
        asks = (wanted or always) and not parsed_args.yes
        question = output.printable(question)
        stdin, stderr = self.app.stdin, self.app.stderr
        if asks and not stdin.isatty():
            raise errors.CommandError(f'{question}: use --yes to confirm.')
        if asks:
            lost = find_loss()
        else:
            told = stderr.isatty() and not parsed_args.yes
            lost = losses.found(find_loss) if told else ''
        if lost:
            self.app.LOG.info('%s', output.printable(lost))
        if not asks:
            return
        stderr.write(f'{question}? [y/N] ')
        stderr.flush()
        if stdin.readline().strip().lower() not in ('y', 'yes'):
            raise errors.CommandError('Nothing was changed.')

    def foretell_reverts(self, previews: Sequence[dict[str, Any]]) -> None:
        """Say what reverts with these *previews* would lose."""
        if previews:
            told = losses.of_reverts(map(_known, previews), 'would')
            self.app.LOG.info('%s', output.printable(told))

    def foretell(
        self, name: str, what: str, hindrances: Sequence[str]
    ) -> None:
        """Say that *what* would be refused for *name*, if any hinders it."""
        if hindrances:
            reasons = '; '.join(hindrances)
            told = f'{name}: The {what} would be refused: {reasons}.'
            self.app.LOG.warning('%s', output.printable(told))

    def ask_over(
        self,
        parsed_args: argparse.Namespace,
        source: str,
        find: Callable[[], object] = lambda: None,
    ) -> None:
        """
        As ``ask``, before the disks of *source* replace a system's.

        *find* raises what says that there is no *source*.
        """

        def find_loss() -> str:
            find()
            return (
                f'The disks of {parsed_args.over} will be replaced; only a '
                'safety snapshot will keep what they hold now.'
            )

        self.ask(
            parsed_args,
            f'Put {parsed_args.over} on the disks of {source}',
            find_loss,
        )
