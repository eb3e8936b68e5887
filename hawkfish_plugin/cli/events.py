# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish event watch``: what happens at the service, as it happens.

Owns how an event is printed: one line each, written out at once, so that a
pipe gets it when a terminal would. A stream that is lost is the client's to
open again; here it is only told.
"""

import argparse
import json
from typing import TYPE_CHECKING

from hawkfish_plugin.cli import base, output

if TYPE_CHECKING:
    from hawkfish_plugin import client


def _line(event: 'client.Event') -> str:
    words = (event.timestamp, event.severity, event.message_id, event.message)
    return output.printable(' '.join(words))


def _json(event: 'client.Event') -> str:
    return json.dumps(event.json)


FORMATS = {'line': _line, 'json': _json}


class WatchEvents(base.Command):
    """
    Print events as they happen, one line each, until Ctrl-C.

    An event that happens while the emulator restarts is printed once it is
    back. Ctrl-C ends the command with the exit status 130.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '-f',
            '--format',
            choices=FORMATS,
            default='line',
            help='How to print an event: in words, or as JSON.',
        )
        parser.add_argument(
            '--filter',
            metavar='EXPRESSION',
            help='Which events to print, as in the $filter of Redfish: '
            '"RegistryPrefix eq HawkFish", say.',
        )
        parser.add_argument(
            '--after',
            metavar='EVENT',
            help='Begin with what happened after the event of this id; with '
            '0, with all events that the service remembers.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        form = FORMATS[parsed_args.format]
        stream = self.client.events(
            parsed_args.after, parsed_args.filter, self._tell_of_loss
        )
        for event in stream:
            self.app.stdout.write(f'{form(event)}\n')
            self.app.stdout.flush()

    def _tell_of_loss(self) -> None:
        self.app.LOG.warning('The stream was lost; trying to open it again.')
