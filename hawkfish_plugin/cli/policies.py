# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish policy``: the limits of a system, and their effect.

Owns how limits are typed and shown, and how a preview of a create is shown,
for ``snapshot create --dry-run`` as well.
"""

import argparse
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import base, cells, options, tables, tasks, times

if TYPE_CHECKING:
    from hawkfish_plugin import client

ON_LIMIT = ('Prune', 'Refuse')
DEFAULT = 'default'
PREVIEW_BRIEF = ('Type', 'Size', 'Needs', 'Pruned', 'Unmet Limits')
"""What a table of several creates to come shows"""
# A table says that they are of a snapshot that there is not.
_OF_NEW = frozenset(('Name', 'Type', 'Storage'))
_YES_NO = {'yes': True, 'no': False}
_YES_NO_DEFAULT = (*_YES_NO, DEFAULT)


def explain(
    policy: 'client.SnapshotPolicy',
    name: str | None = None,
    description: str | None = None,
    include_memory: bool | None = None,
    quiesce: str | None = None,
    locked: bool | None = None,
    expires_time: str | None = None,
) -> tasks.Fields:
    """Return the columns and the values that show what a create would do."""
    seen = policy.preview(
        name, description, include_memory, quiesce, locked, expires_time
    )
    values = {
        'Name': seen.name,
        'Type': seen.snapshot_type,
        'Storage': seen.storage_type,
        'Size': cells.size(seen.size_bytes),
        'Needs': options.needs(seen.needs),
        **options.room(seen.pruned, seen.kept),
        'Unmet Limits': seen.unmet_limits,
    }
    return tuple(values), tuple(values.values())


def _fields(policy: 'client.SnapshotPolicy') -> tasks.Fields:
    values = {
        'Max Snapshots': cells.limit(policy.max_snapshots),
        'Max Age': cells.span_limit(int(policy.max_age.total_seconds())),
        'Max Bytes': cells.size_limit(policy.max_bytes),
        'On Limit': policy.on_limit,
        'Keep Verified': policy.keep_newest_verified,
        'Snapshots': policy.snapshot_count,
        'Size': cells.size(policy.size_bytes),
        'Findings': [one['Message'] for one in policy.findings],
    }
    return tuple(values), tuple(values.values())


def _number(text: str) -> int | str:
    if text == DEFAULT:
        return text
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a whole number of 0 or more'
        )
    return int(text)


def _span(text: str) -> int | str:
    return text if text == DEFAULT else times.span(text)


def _bytes(text: str) -> int | str:
    return text if text == DEFAULT else times.size(text)


class OfSystem(base.OfSystem):
    """A command on the policy of one system."""

    def policy(
        self, parsed_args: argparse.Namespace
    ) -> 'client.SnapshotPolicy':
        return self.client.policy(parsed_args.system)


class ShowPolicy(OfSystem, tables.ShowOne):
    """
    Show the limits of a system and their usage; 0 means no limit.

    The findings are what prevents a snapshot of the system.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--explain',
            action='store_true',
            help='Also show what a create would do now, what it needs, and '
            'which snapshots would be pruned or kept, and why.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        from sushy import exceptions

        policy = self.policy(parsed_args)
        names, values = _fields(policy)
        if parsed_args.explain:
            try:
                more_names, more_values = explain(policy)
            except exceptions.HTTPError as error:
                self.app.LOG.warning(
                    'A create would be refused: %s', self.explain(error)
                )
                return names, values
            # The current values are shown; these would be the new ones.
            is_table = parsed_args.formatter == 'table'
            names += tuple(
                f'New {name}'
                if name in names or (is_table and name in _OF_NEW)
                else name
                for name in more_names
            )
            values += more_values
        return names, values


class SetPolicy(OfSystem, tables.ShowOne):
    """
    Set limits of a system.

    0 means no limit, "default" the value in the configuration. Limits that
    are not given do not change.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--max-snapshots',
            metavar='N',
            type=_number,
            help='Maximum number of snapshots.',
        )
        parser.add_argument(
            '--max-age',
            metavar='SPAN',
            type=_span,
            help='Maximum age of a snapshot: in seconds, or as 12h, 2d12h, '
            '"4 weeks" or P2D.',
        )
        parser.add_argument(
            '--max-bytes',
            metavar='SIZE',
            type=_bytes,
            help='Maximum size of all snapshots: in bytes, or as 500M, 1.5G '
            'or 20GiB (powers of 1024), or 20GB (of 1000).',
        )
        parser.add_argument(
            '--on-limit',
            type=base.any_case((*ON_LIMIT, DEFAULT)),
            choices=(*ON_LIMIT, DEFAULT),
            help='Whether to delete the oldest or to refuse a create.',
        )
        parser.add_argument(
            '--keep-verified',
            type=base.any_case(_YES_NO_DEFAULT),
            choices=_YES_NO_DEFAULT,
            help='Whether to keep the newest verified snapshot.',
        )
        return parser

    def check(
        self, parsed_args: argparse.Namespace, refuse: base.Refuse
    ) -> None:
        if not _changes(parsed_args):
            refuse('there is no limit to set')

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        changes = _changes(parsed_args)
        return _fields(self.policy(parsed_args).update(**changes))


def _changes(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """Return the limits that are given, for ``update``."""
    given: dict[str, Any] = {
        'max_snapshots': parsed_args.max_snapshots,
        'max_age': parsed_args.max_age,
        'max_bytes': parsed_args.max_bytes,
        'on_limit': parsed_args.on_limit,
        'keep_newest_verified': _YES_NO.get(
            parsed_args.keep_verified, parsed_args.keep_verified
        ),
    }
    return {
        name: None if value == DEFAULT else value
        for name, value in given.items()
        if value is not None
    }
