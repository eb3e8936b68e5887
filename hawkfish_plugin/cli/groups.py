# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish group``: systems that belong together, and what a group is made of.

A group is a Redfish Aggregate. Its snapshots are in ``group_snapshots``.
"""

import argparse
import fnmatch
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import base, selection, tables, tasks

if TYPE_CHECKING:
    from hawkfish_plugin import client

COLUMNS = ('Name', 'Systems', 'Missing')


def add_group(parser: argparse.ArgumentParser) -> None:
    """Add the name of a group."""
    # "group" is the option that selects systems.
    parser.add_argument(
        'group_name',
        metavar='GROUP',
        type=base.name,
        help='Name of the group.',
    )


def _fields(group: 'client.Group') -> tasks.Fields:
    members = group.systems
    values = {
        'Name': group.name,
        'Systems': _names(members),
        'UUIDs': [one['UUID'] for one in members],
        'Missing': _missing(group),
    }
    return tuple(values), tuple(values.values())


def _names(members: Iterable[dict[str, Any]]) -> list[str]:
    return [one['Name'] for one in members]


def _missing(group: 'client.Group') -> list[str]:
    """The names of the members that do not exist any more."""
    return _names(one for one in group.systems if not one['Present'])


class OfGroup(base.Command):
    """A command on one group."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_group(parser)
        return parser

    def group(self, parsed_args: argparse.Namespace) -> 'client.Group':
        return self.client.group(parsed_args.group_name)


class ChosenSystems(selection.OfSystems):
    """A command on one group and on systems that need not be in it."""

    # The service would refuse a link, which the user has not typed.
    looks_up_one = True

    group_metavar = 'OTHER'
    group_help = 'The systems of another group, instead of SYSTEM.'

    def add_systems(
        self, parser: argparse.ArgumentParser, chosen: Any
    ) -> None:
        add_group(parser)
        super().add_systems(parser, chosen)

    def chosen(self, parsed_args: argparse.Namespace) -> list[str]:
        return [one.identity for one in self.select(parsed_args).targets]


class ListGroups(tables.Lister):
    """List the groups of systems."""

    nothing = 'groups'

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], list[Any]]:
        return COLUMNS, [
            (group.name, _names(group.systems), _missing(group))
            for group in self.client.groups()
        ]


class ShowGroup(OfGroup, tables.ShowOne):
    """Show one group."""

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        return _fields(self.group(parsed_args))


class CreateGroup(ChosenSystems, tables.ShowOne):
    """
    Create a group of systems.

    A system can belong to several groups. --group OTHER copies a group.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        systems = self.chosen(parsed_args)
        return _fields(
            self.client.create_group(systems, parsed_args.group_name)
        )


class AddSystems(ChosenSystems, tables.ShowOne):
    """
    Add systems to a group.

    They are not in the snapshots that the group has already.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        group = self.client.group(parsed_args.group_name)
        return _fields(group.add(self.chosen(parsed_args)))


class RemoveSystems(OfGroup, tables.ShowOne):
    """Remove systems from a group; they keep their snapshots."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'systems',
            metavar='SYSTEM',
            type=base.name,
            nargs='+',
            help='Names or UUIDs of members, or globs such as node-[0-4].',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        group = self.group(parsed_args)
        leaving = [
            uuid
            for word in parsed_args.systems
            for uuid in _matching(group, word)
        ]
        return _fields(group.remove(dict.fromkeys(leaving)))


def _matching(group: 'client.Group', word: str) -> list[str]:
    """The UUIDs of the members that *word* names, or matches."""
    tests: tuple[Callable[[dict[str, Any]], bool], ...] = (
        lambda one: word in (one['Name'], one['UUID']),
        lambda one: fnmatch.fnmatchcase(one['Name'], word),
    )
    for test in tests:
        found = [one['UUID'] for one in group.systems if test(one)]
        if found:
            return found
    # The service knows why.
    return [word]


class DeleteGroups(base.Command):
    """Delete groups; their systems keep their snapshots."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'group_names',
            metavar='GROUP',
            type=base.name,
            nargs='+',
            help='Names of the groups.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.all_of(
            parsed_args.group_names,
            lambda name: self.client.group(name).delete(),
            'Deleted group',
        )
