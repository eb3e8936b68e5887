# SPDX-License-Identifier: Apache-2.0
"""
Which systems a command is for.

Owns the arguments that say so: systems by name or UUID, globs, ``--all`` and
``--group``. One system that is named is not looked up, so that a command on
it makes the requests that it always made. Of several each has to exist before
any is touched.
"""

import argparse
import dataclasses
import fnmatch
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import asking, base, errors, losses, missing

if TYPE_CHECKING:
    from hawkfish_plugin import client

_GLOB = frozenset('*?[')


@dataclasses.dataclass(frozen=True)
class Target:
    """A system: how requests name it, and how it is shown."""

    identity: str
    name: str


@dataclasses.dataclass(frozen=True)
class Selection:
    """
    The systems that a command is for.

    *single* tells one that was named from several, which may still be one.
    *guessed* tells that the user has not named each of them.
    """

    targets: Sequence[Target]
    single: bool = False
    guessed: bool = False


class OfSystems(base.Command):
    """A command on one system or on several."""

    looks_up_one = False
    """Whether even one system that is named is looked up"""

    systems_help = (
        'Names or UUIDs of the systems, or globs such as node-[0-4].'
    )

    group_metavar = 'GROUP'
    group_help = (
        'The systems of this group, each by itself, instead of SYSTEM.'
    )

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        chosen = parser.add_mutually_exclusive_group()
        chosen.add_argument(
            '--all',
            dest='all_systems',
            action='store_true',
            help='All systems, instead of SYSTEM.',
        )
        chosen.add_argument(
            '--group',
            type=base.name,
            metavar=self.group_metavar,
            help=self.group_help,
        )
        self.add_systems(parser, chosen)
        return parser

    def add_systems(
        self, parser: argparse.ArgumentParser, chosen: Any
    ) -> None:
        """Add the systems; *chosen* is the group of what excludes them."""
        parser.add_argument(
            'systems',
            metavar='SYSTEM',
            type=base.name,
            nargs='*',
            help=self.systems_help,
        )

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        super().check(parsed_args, refuse)
        other = parsed_args.all_systems or parsed_args.group is not None
        if other and parsed_args.systems:
            refuse('argument SYSTEM: not allowed with --all or --group')
        if not other and not parsed_args.systems:
            refuse('the following arguments are required: SYSTEM')

    def select(self, parsed_args: argparse.Namespace) -> Selection:
        """
        Return the systems; raises CommandError if one does not exist.

        There is always one at least.
        """
        if parsed_args.group is not None:
            group = self.client.group(parsed_args.group)
            return Selection(_members(group))
        words = parsed_args.systems
        is_one = len(words) == 1 and not _is_glob(words[0])
        if is_one and not self.looks_up_one:
            return Selection([Target(words[0], words[0])], single=True)
        known = self._known()
        if parsed_args.all_systems:
            if not known:
                raise errors.CommandError('There is no system.')
            return Selection(known, guessed=True)
        if len(words) == 1 and _named(known, words[0]):
            # A system may be called like a glob.
            return Selection([Target(words[0], words[0])], single=True)
        chosen = [target for word in words for target in _matches(known, word)]
        return Selection(
            list(dict.fromkeys(chosen)),
            guessed=any(_is_glob(word) for word in words),
        )

    def _known(self) -> list[Target]:
        return [Target(s.uuid, s.name) for s in self.client.systems()]

    def is_system(self, word: str) -> bool:
        """Whether *word* names systems."""
        return bool(_found(self._known(), word))


class Confirmed(OfSystems, asking.Asking):
    """A command that discards data; it asks, if systems were not named."""

    def confirm(
        self,
        selection: Selection,
        parsed_args: argparse.Namespace,
        verb: str,
        rest: str,
        find_loss: losses.Find,
    ) -> None:
        """
        Ask whether to do it: *verb*, then the systems, then the *rest*.

        *find_loss* finds what will be lost. Raises CommandError if the user
        does not agree, or if there is no terminal to ask at.
        """
        names = ', '.join(t.name for t in selection.targets)
        question = f'{verb} {names} {rest}'.rstrip()
        self.ask(parsed_args, question, find_loss, selection.guessed)


def _is_glob(word: str) -> bool:
    return not _GLOB.isdisjoint(word)


def _named(known: Iterable[Target], word: str) -> list[Target]:
    return [
        target for target in known if word in (target.name, target.identity)
    ]


def _matches(known: Sequence[Target], word: str) -> list[Target]:
    found = _found(known, word)
    if not found:
        told = missing.none('system', word, [target.name for target in known])
        raise errors.CommandError(f'{told} Nothing was done.')
    return found


def _found(known: Iterable[Target], word: str) -> list[Target]:
    found = _named(known, word)
    if not found and _is_glob(word):
        found = [t for t in known if fnmatch.fnmatchcase(t.name, word)]
    return found


def _members(group: 'client.Group') -> list[Target]:
    # One that does not exist any more is reported when it is asked for.
    return [Target(one['UUID'], one['Name']) for one in group.systems]
