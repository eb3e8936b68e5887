# SPDX-License-Identifier: Apache-2.0
"""
Base classes of the commands.

Owns how errors are reported, how table cells are rendered, and how a command
waits for a task. Only data is written to standard output.
"""

import argparse
import contextlib
import datetime
import functools
import itertools
import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cliff import command, lister, show

from hawkfish_plugin.cli import connection, errors, output, times

if TYPE_CHECKING:
    # The commands have a property called client.
    from hawkfish_plugin import client as sdk
    from hawkfish_plugin.cli import app

T = TypeVar('T')
Refuse = Callable[[str], None]
"""Ends the program with a usage error"""

FOREVER = math.inf
NAME = 'hawkfish'


class Waitable(Protocol):
    """A task or a task handle."""

    @property
    def identity(self) -> str: ...

    def wait(
        self, timeout_sec: float, progress: Callable[[Any], None]
    ) -> Any: ...


def filled(text: str) -> str:
    """Refuse an empty argument, which hints at an unset shell variable."""
    if not text:
        raise argparse.ArgumentTypeError('a name must not be empty')
    return text


def name(text: str) -> str:
    """Refuse a name that would be a path to something else."""
    filled(text)
    if '/' in text or text in ('.', '..'):
        raise argparse.ArgumentTypeError(
            f'{text!r} cannot be a name: it would be a path'
        )
    return text


def any_case(choices: Sequence[str]) -> Callable[[str], str]:
    """Return a parser of *choices*, which may be typed in any case."""
    known = {choice.lower(): choice for choice in choices}

    def choice(text: str) -> str:
        # argparse tells what there is.
        return known.get(text.lower(), text)

    return choice


def seconds(text: str) -> float:
    """Parse a timeout, with a hint for users who type ``--wait NAME``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
        with contextlib.suppress(argparse.ArgumentTypeError):
            value = times.span(text)
    if value > 0:
        return value
    raise argparse.ArgumentTypeError(
        f'{text!r} is neither a number of seconds above 0 nor a span such as '
        '5m (names come before this option)'
    )


class Command(command.Command):
    """A command that reports errors with the messages of the server."""

    app: 'app.HawkFishApp'

    # Otherwise "openstack" would require Keystone credentials.
    auth_required = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        errors.tell_in_one_line(parser)
        # Otherwise the words would have to come all before an option.
        parse = functools.partial(_parse, parser, self.check)
        parser.parse_args = parse
        return parser

    def check(self, parsed_args: argparse.Namespace, refuse: Refuse) -> None:
        """Refuse a command line that says nothing, or two things."""

    @property
    def client(self) -> 'sdk.HawkFish':
        """The client for the service, as configured in the program."""
        return self.app.client_manager.hawkfish

    def explain(self, error: Exception) -> errors.CommandError:
        """Return *error* as it is reported to the user."""
        return errors.explain(error, self.client)

    def blame(self, name: str, error: Exception) -> None:
        """Report that what is called *name* has failed."""
        reason = self.explain(error)
        self.app.LOG.error('%s: %s', output.printable(name), reason)

    def each(self, names: Sequence[str], call: Callable[[str], T]) -> list[T]:
        """
        Return what *call* returns for each of *names*, but for failures.

        Failures are reported; that of the only one is raised.
        """
        from sushy import exceptions

        found = []
        for name in names:
            try:
                found.append(call(name))
            except (exceptions.SushyError, errors.CommandError) as error:
                if len(names) == 1:
                    raise
                self.blame(name, error)
        return found

    def all_of(self, names: Sequence[str], call: Callable[[str], T]) -> None:
        """As ``each``; raises CommandError where some have failed."""
        failed = len(names) - len(self.each(names, call))
        if failed:
            raise errors.CommandError(f'{failed} of {len(names)} failed')

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
    ) -> 'tuple[Any, sdk.Task]':
        """
        Wait for *work*, and return what it has created and its task.

        Warnings of the task are logged to stderr when it has ended.
        """
        from hawkfish_plugin import client

        try:
            with self.progress() as progress:
                created = work.wait(
                    timeout_sec, lambda task: self.show(progress, task)
                )
        except client.CreatedGone:
            # It did succeed; the task tells what it was.
            created = None
        except KeyboardInterrupt:
            self.app.LOG.error(
                'task %s continues; %s', work.identity, self._hint(work)
            )
            raise
        except client.TaskTimeout as error:
            raise self.with_hint(error, work) from error
        ended = self.client.task(work.identity)
        self.warn(ended)
        return created, ended

    def show(self, progress: output.Progress, task: 'sdk.Task') -> None:
        """Show how far the *task* is that is waited for."""
        if not progress.is_shown:
            return
        lines = [output.bar(task)]
        if task.group:
            # Of each member what is done last.
            latest = {sub.system: sub for sub in task.sub_tasks()}
            names = self._names_in(task.group)
            lines += [
                output.bar(sub, names.get(system, system))
                for system, sub in latest.items()
                if system
            ]
        progress.draw(lines)

    @functools.cache  # noqa: B019
    def _names_in(self, group: str) -> dict[str, str]:
        """The names of the members of *group*, by UUID."""
        systems = self.client.group(group).systems
        return {one['UUID']: one['Name'] for one in systems}

    def wait_all(
        self,
        handles: 'Sequence[sdk.TaskHandle[Any]]',
        timeout_sec: float,
        labels: Mapping[str, str],
    ) -> 'list[sdk.Outcome[Any]]':
        """
        Wait for all *handles*, and return their outcomes.

        *labels* are the names of their progress, by the ID of the task.
        """
        from hawkfish_plugin import client

        lines = dict.fromkeys(labels, '')
        with self.progress() as progress:

            def show(task: 'sdk.Task') -> None:
                lines[task.identity] = output.bar(task, labels[task.identity])
                progress.draw([line for line in lines.values() if line])

            outcomes = []
            try:
                for outcome in client.wait_all(handles, timeout_sec, show):
                    lines.pop(outcome.handle.identity)
                    outcomes.append(outcome)
            except KeyboardInterrupt:
                self.app.LOG.error(
                    'tasks %s continue; watch them with: %s',
                    ', '.join(lines),
                    self.command_line('task', 'list'),
                )
                raise
        return outcomes

    def progress(self) -> output.Progress:
        """Return where progress is shown."""
        quiet = self.app.options.verbose_level == 0
        return output.Progress(self.app.stderr, quiet)

    def warn(self, task: 'sdk.Task', prefix: str = '') -> None:
        """Log the warnings of a *task* that has ended."""
        for warning in task.warnings:
            text = output.printable(f'{prefix}{warning}')
            self.app.LOG.warning('Warning: %s', text)

    def with_hint(self, error: Exception, work: Waitable) -> Exception:
        """Return *error* of *work*, for a timeout with how to go on."""
        from hawkfish_plugin import client

        if not isinstance(error, client.TaskTimeout):
            return error
        return errors.CommandError(f'{error}; {self._hint(work)}')

    def _hint(self, work: Waitable) -> str:
        watch = self.command_line('task', 'wait', work.identity)
        return f'watch it with: {watch}'


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


def _parse(
    parser: argparse.ArgumentParser,
    check: Callable[[argparse.Namespace, Refuse], None],
    args: Sequence[str] | None = None,
    namespace: argparse.Namespace | None = None,
) -> argparse.Namespace:
    parsed = parser.parse_intermixed_args(args, namespace)
    check(parsed, parser.error)
    return parsed


class Rows(list[Sequence[Any]]):
    """
    The rows of what was done to several items, *asked* in number.

    An item without a row has failed. *brief* are the columns of a table where
    the user asks for none; empty means all.
    """

    def __init__(
        self,
        rows: Iterable[Sequence[Any]],
        asked: int,
        brief: Sequence[str] = (),
    ) -> None:
        super().__init__(rows)
        self.asked = asked
        self.brief = brief

    def raise_failures(self) -> None:
        """Raise CommandError if an item has failed."""
        if len(self) < self.asked:
            failed = self.asked - len(self)
            raise errors.CommandError(f'{failed} of {self.asked} failed')


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
        if not empty or parsed_args.print_empty:
            super().produce_output(parsed_args, column_names, rows)
        if isinstance(data, Rows):
            data.raise_failures()
        return 0


class ShowOne(Command, show.ShowOne):
    """A command that prints the fields of one item, or ``Rows``."""

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Sequence[Any],
    ) -> int:
        if isinstance(data, Rows):
            return self._produce_rows(parsed_args, column_names, data)
        # cliff would print a blank line.
        if not data and parsed_args.formatter == 'table':
            return 0
        cells = _cells(data, parsed_args.formatter)
        return super().produce_output(parsed_args, column_names, cells)

    def _produce_rows(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Rows,
    ) -> int:
        formatter = parsed_args.formatter
        if formatter == 'table' and not parsed_args.columns:
            parsed_args.columns = list(data.brief)
        if data or formatter != 'table':
            columns, selector = self._generate_columns_and_selector(
                parsed_args, column_names
            )
            wanted = selector or [True] * len(column_names)
            rows = [
                _cells(itertools.compress(row, wanted), formatter)
                for row in data
            ]
            # Those of one item can do several, but for "shell".
            several: Any = self.formatter
            several.emit_list(columns, rows, self.app.stdout, parsed_args)
        data.raise_failures()
        return 0


def _cells(values: Iterable[Any], formatter: str) -> list[Any]:
    values = [
        times.exact(one) if isinstance(one, datetime.datetime) else one
        for one in values
    ]
    # JSON and YAML do their own escaping, and represent null and lists.
    if formatter in ('json', 'yaml'):
        return values
    separator = '\n' if formatter == 'table' else ', '
    return [output.cell(value, separator) for value in values]


class WaitOption(Command):
    """``--no-wait``: whether and how long to wait for the task to end."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '--wait',
            nargs='?',
            type=seconds,
            metavar='SECONDS',
            const=FOREVER,
            default=FOREVER,
            help='Wait for the task to end, as without it, but for at most '
            'SECONDS.',
        )
        group.add_argument(
            '--no-wait',
            dest='wait',
            action='store_const',
            const=None,
            help='Do not wait for the task to end; show the task.',
        )
        return parser

    def follow(
        self, handle: 'sdk.TaskHandle[Any]', parsed_args: argparse.Namespace
    ) -> 'tuple[Any, sdk.Task]':
        """Wait if requested; return what was created, and the task."""
        if parsed_args.wait is not None:
            return self.wait(handle, parsed_args.wait)
        return None, handle.task or self.client.task(handle.identity)
