# SPDX-License-Identifier: Apache-2.0
"""
Base classes of the commands.

Owns the words that commands take, and how errors are reported. Tables are in
``tables``, and how to wait for a task in ``waiting``. Only data is written to
standard output.
"""

import argparse
import contextlib
import functools
import itertools
import math
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from cliff import command

from hawkfish_plugin.cli import connection, errors, helping, output, times

if TYPE_CHECKING:
    # The commands have a property called client.
    from hawkfish_plugin import client as sdk
    from hawkfish_plugin.cli import app

T = TypeVar('T')
Refuse = Callable[[str], None]
"""Ends the program with a usage error"""

NAME = 'hawkfish'


def filled(text: str) -> str:
    """Refuse an empty argument, which hints at an unset shell variable."""
    if not text:
        raise argparse.ArgumentTypeError('a name must not be empty')
    return text


def name(text: str) -> str:
    """Refuse a name that would be a path to something else."""
    filled(text)
    if '/' in text:
        raise argparse.ArgumentTypeError(f'{text!r}: a name has no slash')
    if text in ('.', '..'):
        raise argparse.ArgumentTypeError(f'{text!r} is not a name')
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
        parser.formatter_class = helping.Layout
        errors.tell_in_one_line(parser)
        # Otherwise the words would have to come all before an option.
        parse = functools.partial(_parse, parser, self.check)
        parser.parse_args = parse  # type: ignore[method-assign, assignment]
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

    def all_of(
        self, names: Sequence[str], call: Callable[[str], T], done: str
    ) -> None:
        """
        As ``each``, but tell that it is *done* with each of them.

        Raises CommandError where some have failed.
        """

        def tell(name: str) -> None:
            call(name)
            self.app.LOG.info('%s %s.', done, output.printable(name))

        failed = len(names) - len(self.each(names, tell))
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
    words = list(itertools.takewhile(lambda word: word != '--', args or ()))
    if not {'-h', '--help'}.isdisjoint(words):
        # The action of cliff would open a pager.
        parser.print_help()
        parser.exit()
    parsed = parser.parse_intermixed_args(args, namespace)
    check(parsed, parser.error)
    return parsed
