# SPDX-License-Identifier: Apache-2.0
"""
Commands that print tables.

Owns how values are shown to people, and which columns they see: a table has
ages, sizes with units and few columns; all other formats have all of it,
exactly.
"""

import argparse
import functools
import itertools
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from cliff import lister, show

from hawkfish_plugin.cli import base, cells, errors, output


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


class Printing(base.Command):
    """A command that prints values for people, or for programs."""

    def cells(
        self, values: Iterable[Any], formatter: str, brief: bool = False
    ) -> list[Any]:
        """
        Return *values* as they are printed by *formatter*.

        Those that are *brief* are of several rows.
        """
        if formatter == 'table':
            return [self._human(value, brief) for value in values]
        meant = map(cells.exact, values)
        # JSON and YAML do their own escaping, and represent null and lists.
        if formatter in ('json', 'yaml'):
            return list(meant)
        return [output.cell(value, ', ') for value in meant]

    def _human(self, value: Any, brief: bool) -> Any:
        if isinstance(value, cells.System):
            return value.among(self._names)
        if brief and isinstance(value, cells.Moment):
            value = value.brief()
        return output.cell(value, '\n')

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        """The names of the systems, by UUID, as far as they are known."""
        from sushy import exceptions

        try:
            return {one.uuid: one.name for one in self.client.systems()}
        except exceptions.SushyError:
            return {}


class Lister(Printing, lister.Lister):
    """
    A command that prints a table with one row per item.

    *brief* are the columns of a table where the user asks for none; empty
    means all. *nothing* is what there is none of.
    """

    brief: Sequence[str] = ()
    nothing = ''

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        if self.brief:
            parser.add_argument(
                '--long',
                action='store_true',
                help='Show all columns in a table.',
            )
        return parser

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        formatter = parsed_args.formatter
        rows = [self.cells(row, formatter, brief=True) for row in data]
        is_table = formatter == 'table'
        if is_table and self.brief and not parsed_args.long:
            wanted = ('System', *self.brief)
            parsed_args.columns = parsed_args.columns or [
                name for name in wanted if name in column_names
            ]
        elif is_table and self.brief and not _has_width(parsed_args):
            # Otherwise cliff breaks the names, and it is too wide anyway.
            parsed_args.max_width = sys.maxsize
        # cliff would print a blank line.
        if rows or not is_table or parsed_args.print_empty:
            super().produce_output(parsed_args, column_names, rows)
        elif self.nothing and not getattr(data, 'asked', 0):
            self.app.LOG.info('There are no %s.', self.nothing)
        if isinstance(data, Rows):
            data.raise_failures()
        return 0


def _has_width(parsed_args: argparse.Namespace) -> bool:
    """Whether the user has said how wide a table is."""
    return bool(parsed_args.max_width > 0 or parsed_args.fit_width)


class ShowOne(Printing, show.ShowOne):
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
        shown = self.cells(data, parsed_args.formatter)
        return super().produce_output(parsed_args, column_names, shown)

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
                self.cells(itertools.compress(row, wanted), formatter, True)
                for row in data
            ]
            # Those of one item can do several, but for "shell".
            several: Any = self.formatter
            several.emit_list(columns, rows, self.app.stdout, parsed_args)
        data.raise_failures()
        return 0
