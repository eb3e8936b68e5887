# SPDX-License-Identifier: Apache-2.0
"""
Base classes of the commands.

Owns how errors are reported, how table cells are rendered, and how a command
waits for a task. Only data is written to standard output.
"""

import argparse
import math
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from cliff import command, lister, show

from hawkfish_plugin.cli import connection, errors, output

if TYPE_CHECKING:
    from collections.abc import Callable

    # The commands have a property called client.
    from hawkfish_plugin import client as sdk
    from hawkfish_plugin.cli import app

FOREVER = math.inf
NAME = 'hawkfish'


class Waitable(Protocol):
    """A task or a task handle."""

    @property
    def identity(self) -> str: ...

    def wait(
        self, timeout_sec: float, progress: 'Callable[[Any], None]'
    ) -> 'sdk.Snapshot | None': ...


def filled(text: str) -> str:
    """Refuse an empty argument, which hints at an unset shell variable."""
    if not text:
        raise argparse.ArgumentTypeError('a name must not be empty')
    return text


def name(text: str) -> str:
    """Refuse a name that would be a path to something else."""
    filled(text)
    if '/' in text or text in ('.', '..'):
        raise argparse.ArgumentTypeError(f'nothing is named {text!r}')
    return text


def seconds(text: str) -> float:
    """Parse a timeout, with a hint for users who type ``--wait NAME``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if value > 0:
        return value
    raise argparse.ArgumentTypeError(
        f'{text!r} is not a number of seconds above 0 '
        '(names come before this option)'
    )


class Command(command.Command):
    """A command that reports errors with the messages of the server."""

    app: 'app.HawkFishApp'

    # Otherwise "openstack" would require Keystone credentials.
    auth_required = False

    @property
    def client(self) -> 'sdk.HawkFish':
        """The client for the service, as configured in the program."""
        return self.app.client_manager.hawkfish

    def explain(self, error: Exception) -> errors.CommandError:
        """Return *error* as it is reported to the user."""
        return errors.explain(error, self.client)

    def command_line(self, *words: str) -> str:
        """Return the command line of a command for the same service."""
        if self.app.NAME == NAME:
            typed = [NAME, *connection.words(self.app.options), *words]
        else:
            options = connection.words(self.app.options, f'{NAME}-')
            typed = [self.app.NAME, *options, NAME, *words]
        return shlex.join(typed)

    def run(self, parsed_args: argparse.Namespace) -> int:
        import requests
        from sushy import exceptions

        try:
            return super().run(parsed_args)
        except (exceptions.SushyError, requests.JSONDecodeError) as error:
            raise self.explain(error) from error

    def wait(
        self, work: Waitable, timeout_sec: float
    ) -> 'tuple[sdk.Snapshot | None, sdk.Task]':
        """
        Wait for *work*, and return the snapshot that it created and its task.

        Warnings of the task are logged to stderr when it has ended.
        """
        from hawkfish_plugin import client

        watch = self.command_line('task', 'wait', work.identity)
        hint = f'watch it with: {watch}'
        quiet = self.app.options.verbose_level == 0
        try:
            with output.Progress(self.app.stderr, quiet) as progress:
                created = work.wait(timeout_sec, progress)
        except KeyboardInterrupt:
            self.app.LOG.error('task %s continues; %s', work.identity, hint)
            raise
        except client.TaskTimeout as error:
            raise errors.CommandError(f'{error}; {hint}') from error
        ended = self.client.task(work.identity)
        for warning in ended.warnings:
            self.app.LOG.warning('Warning: %s', output.printable(warning))
        return created, ended


class OfSystem(Command):
    """A command on one system."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'system',
            metavar='SYSTEM',
            type=name,
            help='Name or UUID of the system.',
        )
        return parser


class Lister(Command, lister.Lister):
    """A command that prints a table with one row per item."""

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        formatter = parsed_args.formatter
        rows = [_cells(row, formatter) for row in data]
        # cliff would print a blank line.
        empty = not rows and formatter == 'table'
        if empty and not parsed_args.print_empty:
            return 0
        return super().produce_output(parsed_args, column_names, rows)


class ShowOne(Command, show.ShowOne):
    """A command that prints the fields of one item."""

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Sequence[Any],
    ) -> int:
        cells = _cells(data, parsed_args.formatter)
        return super().produce_output(parsed_args, column_names, cells)


def _cells(values: Iterable[Any], formatter: str) -> list[Any]:
    # JSON and YAML do their own escaping, and represent null and lists.
    if formatter in ('json', 'yaml'):
        return list(values)
    separator = '\n' if formatter == 'table' else ', '
    return [output.cell(value, separator) for value in values]


class WaitOption(Command):
    """``--wait``: whether and how long to wait for the task to end."""

    waits_by_default = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '--wait',
            nargs='?',
            type=seconds,
            metavar='SECONDS',
            const=FOREVER,
            default=FOREVER if self.waits_by_default else None,
            help='Wait for the task to end, for at most SECONDS if given.',
        )
        if self.waits_by_default:
            group.add_argument(
                '--no-wait',
                dest='wait',
                action='store_const',
                const=None,
                help='Do not wait for the task to end.',
            )
        return parser

    def follow(
        self, handle: 'sdk.TaskHandle[Any]', parsed_args: argparse.Namespace
    ) -> 'tuple[sdk.Snapshot | None, sdk.Task]':
        """Wait if requested; return the created snapshot and the task."""
        if parsed_args.wait is not None:
            return self.wait(handle, parsed_args.wait)
        return None, handle.task or self.client.task(handle.identity)
