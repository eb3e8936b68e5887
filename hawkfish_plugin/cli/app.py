# SPDX-License-Identifier: Apache-2.0
"""
The ``hawkfish`` program.

Owns its set of commands, its client manager and its logging. The commands are
the entry points that ``openstack`` reads as well, here without the leading
word ``hawkfish``. Importing this module or showing help imports neither sushy
nor requests; the first use of the client does.
"""

import argparse
import difflib
import functools
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, TextIO

from cliff import app, commandmanager

from hawkfish_plugin.cli import connection, errors, helping, output

if TYPE_CHECKING:
    from hawkfish_plugin import client
    from hawkfish_plugin.cli import shell

DISTRIBUTION = 'hawkfish-snapshots'
COMMANDS = 'openstack.hawkfish.v1'
NAME = 'hawkfish'


# Who presses TAB would rather have nothing than wait.
_COMPLETION_SEC = 1.0
_INSIDES = ('sushy', 'stevedore', 'cliff', 'asyncio')


def _is_request(record: logging.LogRecord) -> bool:
    # Its arguments begin with the scheme, the host and the port.
    return str(record.msg).startswith('%s://')


class _Console(logging.Formatter):
    """What *stream* gets of the messages; those for people fit it."""

    def __init__(self, layout: str, stream: TextIO) -> None:
        super().__init__(layout)
        self._stream = stream

    def formatMessage(self, record: logging.LogRecord) -> str:
        text = super().formatMessage(record)
        if record.name != NAME:
            return text
        return output.wrapped(text, self._stream)


class Commands(commandmanager.CommandManager):
    """The commands, under the names they have in a standalone program."""

    def load_commands(self, namespace: str) -> None:
        # That of cliff imports the modules of all commands, by stevedore.
        points = metadata.distribution(DISTRIBUTION).entry_points
        for point in points.select(group=namespace):
            name = point.name.replace('_', ' ').removeprefix(f'{NAME} ')
            self.commands[name] = point

    def beginning(self, words: str) -> list[str]:
        """Return the commands that have *words* and more."""
        return [name for name, _ in self if name.startswith(f'{words} ')]

    def near(self, argv: Sequence[str]) -> list[str]:
        """Return the commands that *argv* may have been meant to be."""
        names = sorted(name for name, _ in self)
        typed = [word for word in argv[:2] if not word.startswith('-')]
        if not typed:
            return []
        # Such as "group tree", where a word in between is missing.
        longer = [name for name in names if {*typed} <= {*name.split()}]
        if longer:
            return longer
        close = difflib.get_close_matches(' '.join(typed), names)
        close += difflib.get_close_matches(typed[0], names)
        of_word = [name for name in names if name.split()[0] == typed[0]]
        return list(dict.fromkeys(close or of_word))

    def first_words(self) -> list[str]:
        """Return the words that commands of several words begin with."""
        return sorted({n.split()[0] for n, _ in self if ' ' in n})


class ClientManager:
    """The client, under the name it has in ``openstack``."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    @functools.cached_property
    def hawkfish(self) -> 'client.HawkFish':
        return make_client(self.connection)

    @functools.cached_property
    def connection(self) -> connection.Connection:
        return connection.connect(vars(self._options))


def make_client(
    found: connection.Connection, timeout_sec: float | None = None
) -> 'client.HawkFish':
    """Return a client for the service that was *found*."""
    from hawkfish_plugin import client

    return client.HawkFish(
        found.url, found.username, found.password, found.verify, timeout_sec
    )


class HawkFishApp(app.App):
    """Manage snapshots of systems behind a Redfish emulator."""

    NAME = NAME
    LOG = logging.getLogger(NAME)

    command_manager: Commands
    client_manager: ClientManager

    def __init__(self) -> None:
        super().__init__(
            description=self.__doc__,
            version=metadata.version(DISTRIBUTION),
            command_manager=Commands(COMMANDS),
            # Otherwise "hawkfish snapshot list --help" explains hawkfish.
            deferred_help=True,
        )
        self.command_manager.add_command('help', helping.Help)
        # That of cliff knows one shell, and no names.
        self.command_manager.commands['complete'] = metadata.EntryPoint(
            'complete', 'hawkfish_plugin.cli.completion:Complete', COMMANDS
        )
        self._worst_status = 0

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        parser = super().build_option_parser(
            description, version, argparse_kwargs
        )
        errors.tell_in_one_line(parser)
        parser.formatter_class = helping.Layout
        connection.add_options(parser)
        return parser

    def print_help_if_requested(self) -> None:
        if self.options.deferred_help:
            helping.write(self)
            raise SystemExit

    def initialize_app(self, argv: list[str]) -> None:
        self.client_manager = ClientManager(self.options)

    def client_for(self, options: argparse.Namespace) -> 'client.HawkFish':
        """
        Return a client to complete a line with the *options* of the program.

        It does not wait for long. Raises CommandError where it would have to
        prompt for a password.
        """
        found = None
        if self.interactive_mode:
            # Its lines have no options; a command may have prompted already.
            options = self.options
            found = vars(self.client_manager).get('connection')
        found = found or connection.connect(vars(options), prompts=False)
        return make_client(found, _COMPLETION_SEC)

    def configure_logging(self) -> None:
        super().configure_logging()
        console = logging.getLogger().handlers[-1]
        console.setFormatter(
            _Console(self.CONSOLE_MESSAGE_FORMAT, self.stderr)
        )
        # They log each error that the command is about to report.
        quiet = {'sushy': logging.CRITICAL, 'urllib3': logging.CRITICAL}
        if self.options.verbose_level == 2:
            # It shows the requests, not what Python does for them.
            quiet = dict.fromkeys(_INSIDES, logging.WARNING)
            quiet['urllib3'] = logging.DEBUG
            pool = logging.getLogger('urllib3.connectionpool')
            pool.addFilter(_is_request)
        elif self.options.verbose_level > 2:
            quiet = {}
        for name, level in quiet.items():
            logging.getLogger(name).setLevel(level)

    def clean_up(
        self, cmd: Any, result: int, err: BaseException | None
    ) -> None:
        super().clean_up(cmd, result, err)
        # In the shell, cliff turns it into an ordinary error.
        cause = err.__cause__ if err else None
        if isinstance(cause, SystemExit) and cause.code:
            self._worst_status = 2

    def run_subcommand(self, argv: list[str]) -> int:
        try:
            self.command_manager.find_command(argv)
        except ValueError:
            # cliff would print its own suggestions to stdout, among the data.
            self._refuse(argv)
            status = 2
        else:
            status = super().run_subcommand(argv)
        self._worst_status = max(self._worst_status, status)
        return status

    def _refuse(self, argv: Sequence[str]) -> None:
        """Tell that *argv* is no command, and which there are."""
        typed = ' '.join(argv)
        beginning = self.command_manager.beginning(typed)
        if beginning:
            self.LOG.error("'%s' needs one more word:", typed)
            width = output.width(self.stderr)
            for line in helping.commands(self, beginning, width):
                self.LOG.error('%s', line)
            return
        if typed.startswith('-'):
            kind, typed = 'an option of hawkfish', argv[0].partition('=')[0]
            flags = self.parser._option_string_actions
            near, known = difflib.get_close_matches(typed, flags), []
        else:
            kind = 'a hawkfish command'
            near = self.command_manager.near(argv)
            known = self.command_manager.first_words()
        hint = ''
        if near:
            hint = f' Did you mean: {", ".join(near)}?'
        elif known:
            hint = f' There are: {", ".join(known)}.'
        self.LOG.error(
            "'%s' is not %s.%s See 'hawkfish --help'.",
            output.printable(typed),
            kind,
            hint,
        )

    def interact(self) -> None:
        # cmd2 would run the arguments of this process as commands.
        arguments, sys.argv = sys.argv, sys.argv[:1]
        try:
            self._shell().cmdloop()
        finally:
            sys.argv = arguments

    def _shell(self) -> 'shell.Shell':
        # A slow import.
        from hawkfish_plugin.cli import shell

        self.interpreter = shell.Shell(
            self, self.command_manager, self.stdin, self.stdout
        )
        # cmd2 has replaced cliff's prompt with its own.
        on_terminal = self.stdin.isatty()
        self.interpreter.prompt = f'({NAME}) ' if on_terminal else ''
        return self.interpreter

    def run(self, argv: list[str]) -> int:
        status = super().run(argv)
        return self._worst_status if self.interpreter else status


def _write_anything(stream: object) -> None:
    """Let a *stream* escape what its encoding lacks, and not fail."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == 'strict':
        stream.reconfigure(errors='backslashreplace')


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and restore the logging handlers afterwards."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    for stream in (sys.stdout, sys.stderr):
        _write_anything(stream)
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        status = HawkFishApp().run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try it again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    finally:
        root.handlers[:] = handlers
    return status
