# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish event watch``: print events as they happen.

Owns how an event is printed: one line each, flushed immediately, so that a
pipe receives it as soon as a terminal would. The client reopens a stream that
is lost; this module only reports the loss.
"""

import argparse
import json
import os
import select
import signal
import threading
from typing import TYPE_CHECKING, TextIO

from hawkfish_plugin.cli import base, output, times

if TYPE_CHECKING:
    from hawkfish_plugin import client


def _line(event: 'client.Event') -> str:
    when = times.exact(event.timestamp) if event.timestamp else ''
    words = [when, event.severity, event.message_id, event.message]
    if event.message_id.startswith('ResourceEvent.'):
        # Its message does not say which resource.
        words.append(event.origin)
    return output.printable(' '.join(words).rstrip())


def _json(event: 'client.Event') -> str:
    return json.dumps(event.json)


FORMATS = {'line': _line, 'json': _json}


class WatchEvents(base.Command):
    """
    Print events as they happen, one line each, until Ctrl-C is pressed.

    Events that occur while the emulator restarts are printed when it is
    available again. Ctrl-C ends the command with exit status 130.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '-f',
            '--format',
            choices=FORMATS,
            default='line',
            help='Output format: a line of text, or JSON.',
        )
        parser.add_argument(
            '--filter',
            metavar='EXPRESSION',
            help='Events to print, as a Redfish $filter, for example '
            '"RegistryPrefix eq HawkFish".',
        )
        parser.add_argument(
            '--after',
            metavar='EVENT',
            help='Start after the event with this ID; 0 starts with all '
            'events that the service still has.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        form = FORMATS[parsed_args.format]
        _end_with_reader(self.app.stdout)
        stream = self.client.events(
            parsed_args.after, parsed_args.filter, self._tell_of_loss
        )
        for event in stream:
            self.app.stdout.write(f'{form(event)}\n')
            self.app.stdout.flush()

    def _tell_of_loss(self) -> None:
        self.app.LOG.warning('The event stream was lost; reconnecting.')


def _end_with_reader(stream: TextIO) -> None:
    """
    End the program as soon as nobody reads *stream* any more.

    A write would tell it as well, but there may be no event for hours.
    """
    try:
        poll = select.poll()
        poll.register(stream, 0)
    except (OSError, ValueError):
        # It is no file, as in a test.
        return

    def wait() -> None:
        poll.poll()
        os._exit(128 + signal.SIGPIPE)

    threading.Thread(target=wait, daemon=True).start()
