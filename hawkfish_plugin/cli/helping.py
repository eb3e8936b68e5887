# SPDX-License-Identifier: Apache-2.0
"""
The help of ``hawkfish`` and of its commands.

Owns its layout. cliff counts the codes of colours as width, and never wraps
its list of the commands.
"""

import argparse
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cliff import help as cliff_help

from hawkfish_plugin.cli import output

if TYPE_CHECKING:
    from hawkfish_plugin.cli import app

_GAP = 2


class Layout(argparse.HelpFormatter):
    """That of Python, which the parsers of cliff would replace."""


class Help(cliff_help.HelpCommand):
    """Explain a command, or all of them in a line each."""

    app: 'app.HawkFishApp'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.formatter_class = Layout
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        if not parsed_args.cmd:
            write(self.app)
            return 0
        try:
            kind, name, _ = self.app.command_manager.find_command(
                parsed_args.cmd
            )
        except ValueError:
            # It tells what begins so.
            return super().take_action(parsed_args)
        if not self.app.interactive_mode:
            name = f'{self.app.NAME} {name}'
        # cliff would open a pager.
        parser = kind(self.app, None).get_parser(name)
        parser.print_help(self.app.stdout)
        return 0


def write(program: 'app.HawkFishApp') -> None:
    """Show the options and the commands of *program*."""
    width = output.width(program.stdout)
    names = [name for name, _ in program.command_manager]
    out = program.stdout
    program.parser.print_help(out)
    out.write('\nCommands:\n')
    for line in commands(program, names, width):
        out.write(f'{line}\n')


def commands(
    program: 'app.HawkFishApp', names: Sequence[str], width: int | None
) -> Iterator[str]:
    """
    Yield lines that tell what each of the commands *names* is for.

    They are as long as they get if *width* is None.
    """
    known = dict(iter(program.command_manager))
    column = _GAP + max(map(len, names)) + _GAP
    for name in sorted(names):
        what = (inspect.getdoc(known[name].load()) or '').partition('\n')[0]
        line = f'{"":{_GAP}}{name}'.ljust(column) + what.rstrip('.')
        if width is None:
            yield line
            continue
        yield from textwrap.wrap(
            line,
            width,
            subsequent_indent=' ' * column,
            break_on_hyphens=False,
            drop_whitespace=True,
        )
