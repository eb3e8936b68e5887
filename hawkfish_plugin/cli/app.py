# SPDX-License-Identifier: Apache-2.0
"""
The ``hawkfish`` program: options that every command shares.

Owns how a service is reached and what is logged. The commands are entry
points of the group ``hawkfish.cli``. Importing this module, or asking for
help, imports neither sushy nor requests: the first use of ``client`` does.
"""

import argparse
import functools
import logging
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cliff import app, commandmanager

if TYPE_CHECKING:
    from hawkfish_plugin import client

DISTRIBUTION = 'hawkfish-snapshots'
DEFAULT_URL = 'http://127.0.0.1:8000'


def _url(text: str) -> str:
    if not text.startswith(('http://', 'https://')):
        raise argparse.ArgumentTypeError(
            f'{text!r} does not start with http:// or https://'
        )
    return text


def _is_true(text: str) -> bool:
    return text.strip().lower() in ('1', 'true', 'yes', 'on')


class HawkFishApp(app.App):
    """Snapshots of the systems of a Redfish emulator."""

    NAME = 'hawkfish'
    LOG = logging.getLogger(NAME)

    def __init__(self) -> None:
        super().__init__(
            description=self.__doc__,
            version=metadata.version(DISTRIBUTION),
            command_manager=commandmanager.CommandManager('hawkfish.cli'),
            # Otherwise "hawkfish snapshot list --help" explains hawkfish.
            deferred_help=True,
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        parser = super().build_option_parser(
            description, version, argparse_kwargs
        )
        group = parser.add_argument_group('service')
        group.add_argument(
            '--url',
            type=_url,
            default=os.environ.get('HAWKFISH_URL') or DEFAULT_URL,
            help=f'Where the emulator listens (HAWKFISH_URL; {DEFAULT_URL}).',
        )
        group.add_argument(
            '--username',
            default=os.environ.get('HAWKFISH_USERNAME'),
            help='User for HTTP Basic authentication (HAWKFISH_USERNAME).',
        )
        group.add_argument(
            '--password',
            default=os.environ.get('HAWKFISH_PASSWORD'),
            help='Password of that user (HAWKFISH_PASSWORD).',
        )
        group.add_argument(
            '--ca-file',
            metavar='FILE',
            default=os.environ.get('HAWKFISH_CACERT') or None,
            help='CA certificates to trust for https (HAWKFISH_CACERT).',
        )
        group.add_argument(
            '--insecure',
            action='store_true',
            default=_is_true(os.environ.get('HAWKFISH_INSECURE', '')),
            help='Do not verify the certificate (HAWKFISH_INSECURE).',
        )
        return parser

    def configure_logging(self) -> None:
        super().configure_logging()
        if self.options.verbose_level < 2:
            # They tell of each error what the command is about to say.
            logging.getLogger('sushy').setLevel(logging.CRITICAL)
            logging.getLogger('urllib3').setLevel(logging.CRITICAL)

    def run_subcommand(self, argv: list[str]) -> int:
        try:
            self.command_manager.find_command(argv)
        except ValueError:
            # cliff's own suggestions would go to stdout, among the data.
            near = ', '.join(self.get_fuzzy_matches(argv[0])) or 'none'
            self.LOG.error(
                "'%s' is not a hawkfish command; near to it: %s. "
                "See 'hawkfish --help'.",
                ' '.join(argv),
                near,
            )
            return 2
        return super().run_subcommand(argv)

    @functools.cached_property
    def client(self) -> 'client.HawkFish':
        """The service that the options name."""
        from hawkfish_plugin import client

        ca_file = self.options.ca_file
        return client.HawkFish(
            self.options.url,
            username=self.options.username or None,
            password=self.options.password,
            verify=False if self.options.insecure else ca_file or True,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; logging is left as it was found."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        return HawkFishApp().run(arguments)
    finally:
        root.handlers[:] = handlers
