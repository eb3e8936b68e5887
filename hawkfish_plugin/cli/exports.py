# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish snapshot export`` and the like: bundles.

Owns where the file goes. The bytes come from the client, which goes on where
a connection broke.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from hawkfish_plugin.cli import (
    base,
    errors,
    groups,
    many,
    output,
    selection,
    snapshots,
    tables,
    waiting,
)

if TYPE_CHECKING:
    from hawkfish_plugin import client

STDOUT = '-'


class _Exporting(waiting.Waiting):
    """Writes an export to a file, and deletes it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '-o',
            '--output',
            metavar='FILE',
            type=base.filled,
            help=f'File to write, or the directory to write it to; - is '
            f'standard output. By default, {self.file_name}.',
        )
        parser.add_argument(
            '--compress',
            action='store_true',
            help='Compress the file with zstd, while it is written; by '
            'default its name ends in .zst then. An import takes it as it is.',
        )
        return parser

    file_name = 'SYSTEM.tar'

    def export(
        self,
        begin: 'Callable[[], client.TaskHandle[client.Export]]',
        parsed_args: argparse.Namespace,
        *names: str,
    ) -> None:
        """
        Make an export by *begin*, and write it to the file that was given.

        By default, and in a folder, it is called after *names*.
        """
        compress = parsed_args.compress
        target = _target(parsed_args.output, compress, names)
        export, _ = self.wait(begin(), waiting.FOREVER)
        with _deleted(export):
            self._fetch(export, target, compress)
        if target != STDOUT:
            size = output.size(export.size_bytes)
            self.app.LOG.info('%s: %s', output.printable(target), size)

    def _fetch(
        self, export: 'client.Export', target: str, compress: bool
    ) -> None:
        begin = time.monotonic()
        with self.progress() as progress:

            def show(done: int, whole: int) -> None:
                seconds = time.monotonic() - begin
                progress.draw([output.transfer(done, whole, seconds)])

            try:
                if target == STDOUT:
                    export.write(sys.stdout.buffer, show, compress)
                    sys.stdout.buffer.flush()
                else:
                    export.save(target, show, compress)
            except OSError as error:
                # Those of requests are of this kind as well.
                if error.filename is None and error.strerror is None:
                    raise
                raise errors.CommandError(f'{target}: {error.strerror}') from (
                    None
                )


class ExportSnapshot(_Exporting, many.OnEach, snapshots.OfSnapshot):
    """
    Write a snapshot to a file, as a bundle that any host can bring up.

    The system can be used meanwhile. The file is a tar; a pipe gets
    it with '-o -'. Of several systems, each gets a file of its own.
    """

    file_name = 'SYSTEM-SNAPSHOT.tar'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--memory',
            action='store_true',
            default=None,
            help='Export the memory of the snapshot as well.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        chosen = self.select(parsed_args)
        if chosen.single:
            (target,) = chosen.targets
            self._export(target.identity, target.name, parsed_args)
            return
        self._check(chosen, parsed_args)
        names = {target.identity: target.name for target in chosen.targets}
        done = self.try_each(
            chosen,
            lambda system: self._export(system, names[system], parsed_args),
        )
        rows = tables.Rows([()] * len(done), len(chosen.targets))
        rows.raise_failures()

    def _check(
        self, chosen: selection.Selection, parsed_args: argparse.Namespace
    ) -> None:
        """Refuse what would write two bundles to one file."""
        given = parsed_args.output
        if given and not os.path.isdir(given):
            raise errors.CommandError(
                '-o FILE is of one system; of several, each is written to '
                f'{self.file_name}, in -o DIRECTORY. Nothing was done.'
            )
        taken: dict[str, str] = {}
        for target in chosen.targets:
            names = target.name, parsed_args.snapshot
            file = _target(given, parsed_args.compress, names)
            other = taken.setdefault(file, target.name)
            if other != target.name:
                raise errors.CommandError(
                    f'{other} and {target.name} would both be written to '
                    f'{file}. Nothing was done.'
                )

    def _export(
        self, system: str, name: str, parsed_args: argparse.Namespace
    ) -> None:
        snapshot = self.client.snapshots(system).get(parsed_args.snapshot)
        self.export(
            lambda: snapshot.export(parsed_args.memory),
            parsed_args,
            name,
            snapshot.name,
        )


class ExportSystem(_Exporting, base.OfSystem):
    """
    Write a system to a file as it is now, as a bundle.

    It can run meanwhile; for the export it gets a snapshot, which is deleted
    again. The file is a tar; a pipe gets it with '-o -'.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--memory',
            action='store_true',
            default=None,
            help='Export the memory of the running system as well.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        system = parsed_args.system
        self.export(
            lambda: self.client.export_system(system, parsed_args.memory),
            parsed_args,
            system,
        )


class ExportGroup(_Exporting, groups.OfGroup):
    """
    Write a snapshot of a group to a file, as one bundle of all its systems.

    'hawkfish group import' brings up the whole lab on any host.
    """

    file_name = 'GROUP-SNAPSHOT.tar'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--snapshot',
            metavar='SNAPSHOT',
            type=base.name,
            required=True,
            help='Name of the snapshot of the group.',
        )
        parser.add_argument(
            '--memory',
            action='store_true',
            default=None,
            help='Export the memory of the systems as well.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        group, name = parsed_args.group_name, parsed_args.snapshot
        snapshot = self.client.group_snapshots(group).get(name)
        self.export(
            lambda: snapshot.export(parsed_args.memory),
            parsed_args,
            group,
            name,
        )


def _target(given: str | None, compress: bool, names: Sequence[str]) -> str:
    """
    Where the bundle goes, as it was *given*.

    Raises CommandError where that cannot be: else it would be seen when the
    snapshot has been copied.
    """
    from hawkfish_plugin.client import exports

    if given == STDOUT:
        if sys.stdout.isatty():
            raise errors.CommandError(
                'a bundle is no text: use -o FILE, or a pipe'
            )
        return STDOUT
    by_default = exports.file_name(*names, compress=compress)
    target = given or by_default
    folder, name = os.path.split(target)
    if not name or os.path.isdir(target):
        folder, target = target, os.path.join(target, by_default)
    try:
        os.stat(folder or os.curdir)
    except OSError as error:
        raise errors.CommandError(f'{target}: {error.strerror}') from None
    return target


@contextlib.contextmanager
def _deleted(export: 'client.Export') -> Iterator[None]:
    """Delete *export* at the end of the block, which may fail."""
    try:
        yield
    finally:
        # Without it the service deletes it when its time has come.
        from sushy import exceptions

        with contextlib.suppress(exceptions.SushyError):
            export.delete()
