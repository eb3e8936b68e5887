# SPDX-License-Identifier: Apache-2.0
"""``hawkfish system import``: a bundle becomes a system."""

import argparse
import time

from hawkfish_plugin.cli import base, errors, output, tasks


class ImportSystem(base.WaitOption, base.ShowOne):
    """
    Make a new system of a bundle, and show the task.

    It gets a new UUID and new MAC addresses. The file is checked while it is
    sent; what is damaged leaves nothing.
    """

    waits_by_default = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('file', metavar='FILE', help='The bundle.')
        parser.add_argument(
            '--name',
            type=base.name,
            help='Name of the system; by default that of the one that was '
            'exported.',
        )
        parser.add_argument(
            '--pool',
            type=base.filled,
            help='Storage pool for the disks; by default the one that the '
            'service is configured with.',
        )
        parser.add_argument(
            '--start',
            action='store_true',
            default=None,
            help='Start the system.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        begin = time.monotonic()
        with self.progress() as progress:

            def show(done: int, whole: int) -> None:
                seconds = time.monotonic() - begin
                progress.draw([output.transfer(done, whole, seconds)])

            try:
                handle = self.client.import_system(
                    parsed_args.file,
                    parsed_args.name,
                    parsed_args.pool,
                    parsed_args.start,
                    show,
                )
            except OSError as error:
                if error.filename is None:
                    raise
                raise errors.CommandError(
                    f'{error.filename}: {error.strerror}'
                ) from None
        return tasks.fields(self.follow(handle, parsed_args)[1])
