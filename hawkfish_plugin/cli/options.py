# SPDX-License-Identifier: Apache-2.0
"""
What commands on a snapshot of one system and of a group have in common.

Owns their arguments, and how the space is shown that a create needs.
"""

import argparse
from collections.abc import Iterable
from typing import Any

from hawkfish_plugin.cli import base, cells, output, times

QUIESCE_MODES = ('Preferred', 'Required', 'Never')
POWER_STATES = ('AsCaptured', 'On', 'Off', 'Paused')


def add_name(parser: argparse.ArgumentParser, dest: str) -> None:
    """Add the name of a new snapshot, as a word."""
    parser.add_argument(
        dest,
        metavar='NAME',
        # The service knows the rules of new names.
        type=base.filled,
        nargs='?',
        help='Name of the snapshot; generated from the time if not given.',
    )


def add_create_options(parser: argparse.ArgumentParser) -> None:
    """Add what a create takes of one system and of a group."""
    parser.add_argument(
        '--name',
        type=base.filled,
        help='The same as NAME.',
    )
    parser.add_argument('--description', help='Description of the snapshot.')
    parser.add_argument(
        '--quiesce',
        type=base.any_case(QUIESCE_MODES),
        choices=QUIESCE_MODES,
        help='Whether to quiesce the file systems through the guest '
        'agent: if possible (Preferred), or fail if not (Required), or '
        'do not try (Never).',
    )
    parser.add_argument(
        '--lock',
        action='store_true',
        default=None,
        help='Protect the snapshot from being deleted or pruned.',
    )
    times.add_option(parser)
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='Create nothing; show what would be created, what it needs, '
        'and which snapshots would be pruned or kept, and why.',
    )


def add_snapshots(parser: argparse.ArgumentParser) -> None:
    """Add the names of the snapshots that are deleted."""
    parser.add_argument(
        'snapshots',
        metavar='SNAPSHOT',
        type=base.name,
        nargs='+',
        help='Names of the snapshots, in the order of deletion.',
    )


def add_pool(parser: argparse.ArgumentParser) -> None:
    """Add where the disks of a new system go."""
    parser.add_argument(
        '--pool',
        type=base.filled,
        help='Storage pool for the disks; by default the one that the '
        'service is configured with.',
    )


def add_revert_options(parser: argparse.ArgumentParser) -> None:
    """Add what a revert takes of one system and of a group."""
    parser.add_argument(
        '--power',
        type=base.any_case(POWER_STATES),
        choices=POWER_STATES,
        help='Power state after the revert; AsCaptured if not given.',
    )
    parser.add_argument(
        '--safety-snapshot',
        action='store_true',
        default=None,
        help='Create a snapshot of the current state first.',
    )
    parser.add_argument(
        '--force',
        action='store_true',
        default=None,
        help='Continue without restoring the UEFI variables and the '
        'virtual TPM if their copies cannot be used.',
    )


def add_changes(parser: argparse.ArgumentParser) -> None:
    """Add what can be changed of a snapshot."""
    parser.add_argument('--description', help='Description of the snapshot.')
    lock = parser.add_mutually_exclusive_group()
    lock.add_argument(
        '--lock',
        dest='locked',
        action='store_true',
        default=None,
        help='Protect the snapshot from being deleted or pruned.',
    )
    lock.add_argument(
        '--unlock',
        dest='locked',
        action='store_false',
        help='Allow deleting and pruning the snapshot again.',
    )
    expiry = parser.add_mutually_exclusive_group()
    times.add_option(expiry)
    expiry.add_argument(
        '--no-expiry',
        action='store_true',
        help='Remove the expiration of the snapshot.',
    )


def check_changes(
    parsed_args: argparse.Namespace, refuse: base.Refuse
) -> None:
    """Refuse a change of nothing."""
    if not changes(parsed_args):
        refuse('there is nothing to change')


def changes(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """Return what is to be changed, for ``update``."""
    given = {
        'description': parsed_args.description,
        'locked': parsed_args.locked,
        'expires_time': parsed_args.expires,
    }
    found: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if parsed_args.no_expiry:
        found['expires_time'] = None
    return found


def add_snapshot(parser: argparse.ArgumentParser) -> None:
    """Add the name of a snapshot."""
    parser.add_argument(
        'snapshot',
        metavar='SNAPSHOT',
        type=base.name,
        help='Name of the snapshot.',
    )


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add what shows the snapshots that a command would delete."""
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='Delete nothing; show what would be deleted, how much space is '
        'freed at least, and what stands in the way.',
    )


def add_revert_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add what shows what a revert would do."""
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='Revert nothing; show the power state after the revert, what '
        'would be discarded, what it needs, and which disks were attached '
        'or detached since.',
    )


def needs(found: Iterable[dict[str, Any]]) -> list[str]:
    """Return how much of what each folder has would be needed."""
    return [
        f'{need["Folder"]}: {output.size(need["NeededBytes"])} of '
        f'{output.size(need["AvailableBytes"])}'
        for need in found
    ]


def room(
    pruned: Iterable[dict[str, Any]], kept: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """Return what a create would prune, what it would keep, and why."""
    gone = [(one['Name'], [one['Reason']]) for one in pruned]
    rest = [(one['Name'], one['Reasons']) for one in kept]
    return {'Pruned': _reasons(gone), 'Kept': _reasons(rest)}


def _reasons(found: Iterable[tuple[str, list[str]]]) -> Any:
    """Names, each with its reasons, which a table has in words."""
    pairs = list(found)
    exact = [f'{name}: {", ".join(why)}' for name, why in pairs]
    words = [
        f'{name}: {", ".join(map(cells.words, why))}' for name, why in pairs
    ]
    return cells.shown(exact, *words)
