# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish system import`` and ``hawkfish group import``: bundles.
"""

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hawkfish_plugin.cli import (
    asking,
    base,
    errors,
    options,
    output,
    tables,
    tasks,
    waiting,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client


Show = Callable[[int, int], None]


class _Importing(waiting.WaitOption, tables.ShowOne):
    """Sends a bundle, and shows the task."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('file', metavar='FILE', help='The bundle.')
        options.add_pool(parser)
        parser.add_argument(
            '--start',
            action='store_true',
            default=None,
            help='Start what is imported.',
        )
        parser.add_argument(
            '--keep-identity',
            action='store_true',
            default=None,
            help='Keep UUIDs and MAC addresses, which no other system of the '
            'host may have.',
        )
        parser.add_argument(
            '--memory',
            action='store_true',
            default=None,
            help='Let guests go on where they were, with the memory in the '
            'bundle; needs --keep-identity.',
        )
        return parser

    def send(
        self,
        parsed_args: argparse.Namespace,
        begin: 'Callable[[Show], client.TaskHandle[None]]',
    ) -> tasks.Fields:
        """Send the bundle by *begin*, which is given what shows progress."""
        from hawkfish_plugin.client import compression

        started = time.monotonic()
        with self.progress() as progress:

            def show(done: int, whole: int) -> None:
                seconds = time.monotonic() - started
                progress.draw([output.transfer(done, whole, seconds)])

            try:
                handle = begin(show)
            except compression.Damaged as error:
                raise errors.CommandError(
                    f'{parsed_args.file}: {error}'
                ) from None
            except OSError as error:
                if error.filename is None:
                    raise
                raise errors.CommandError(
                    f'{error.filename}: {error.strerror}'
                ) from None
        return tasks.fields(self.follow(handle, parsed_args)[1])


class ImportSystem(_Importing, asking.Asking):
    """
    Create a new system from a bundle, and show the task.

    It gets a new UUID and new MAC addresses, unless told otherwise. The file
    is checked while it is sent; what is damaged leaves nothing.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--name',
            type=base.name,
            help='Name of the system; by default that of the one that was '
            'exported.',
        )
        parser.add_argument(
            '--over',
            metavar='SYSTEM',
            type=base.name,
            help='Make no new system, but let this one have the disks of the '
            'bundle; a safety snapshot keeps what it is now.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        if parsed_args.over is not None:
            return self._replace(parsed_args)
        return self.send(
            parsed_args,
            lambda show: self.client.import_system(
                parsed_args.file,
                parsed_args.name,
                parsed_args.pool,
                parsed_args.start,
                show,
                parsed_args.keep_identity,
                parsed_args.memory,
            ),
        )

    def _replace(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        given = (parsed_args.name, parsed_args.pool, parsed_args.keep_identity)
        if any(one is not None for one in given):
            raise errors.CommandError(
                '--over leaves name, identity and place of the system alone'
            )
        self.ask_over(parsed_args, parsed_args.file)
        return self.send(
            parsed_args,
            lambda show: self.client.import_over(
                parsed_args.file,
                parsed_args.over,
                parsed_args.start,
                parsed_args.memory,
                show,
            ),
        )


class ImportGroup(_Importing):
    """
    Make a new group of systems of a bundle, and show the task.

    All systems are made, or none. Each gets a new UUID and new MAC addresses,
    unless told otherwise.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--name',
            type=base.name,
            help='Name of the group; by default that of the one that was '
            'exported.',
        )
        parser.add_argument(
            '--name-prefix',
            metavar='PREFIX',
            type=base.name,
            help='What the name of each system begins with, before that of '
            'the one that was exported.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        return self.send(
            parsed_args,
            lambda show: self.client.import_group(
                parsed_args.file,
                parsed_args.name,
                parsed_args.name_prefix,
                parsed_args.pool,
                parsed_args.start,
                parsed_args.keep_identity,
                show,
                parsed_args.memory,
            ),
        )
