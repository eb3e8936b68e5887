# SPDX-License-Identifier: Apache-2.0
"""
What commands on snapshots would discard, and what keeps them from it.

It is read before a person is told or asked: what does not exist is not lost,
and neither is what the service would keep. The service itself decides in the
end.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from hawkfish_plugin.cli import cells, options, tasks

if TYPE_CHECKING:
    from hawkfish_plugin import client

T = TypeVar('T')

Find = Callable[[], str]
"""Finds what will be lost, in a sentence: an empty one if that is nothing"""


PREVIEW_BRIEF = ('Power State', 'Discarded Since', 'Pruned', 'Warnings')
"""What a table of several reverts to come shows"""

GOING = ('System', 'Name', 'Created', 'Frees', 'Locked', 'Referenced By')
"""What is shown of a snapshot that would be deleted"""


def going(system: str, snapshot: 'client.Snapshot') -> tuple[Any, ...]:
    """Return the values of ``GOING``."""
    return (
        system,
        snapshot.name,
        cells.moment(snapshot.created_time),
        cells.size(snapshot.exclusive_size_bytes),
        snapshot.locked,
        _users(snapshot),
    )


def _users(snapshot: 'client.Snapshot') -> list[str]:
    return [
        *(snapshot.referenced_by or ()),
        *(snapshot.referenced_by_files or ()),
    ]


def count(reads: Iterable[Callable[[], T]], states: Callable[[T], int]) -> int:
    """
    Return how many states will be lost: *states* of what *reads* read.

    What does not exist is none, and what cannot be read counts as one. Where
    nothing can be read, the error of the first is raised.
    """
    from sushy import exceptions

    from hawkfish_plugin import client

    lost, failures = [], []
    for read in reads:
        try:
            lost.append(states(read()))
        except exceptions.SushyError as error:
            failures.append(error)
    if failures and not lost:
        raise failures[0]
    unread = [e for e in failures if not isinstance(e, client.NotFound)]
    return sum(lost) + len(unread)


def found(find: Find) -> str:
    """Return what *find* finds, or nothing where it cannot look."""
    from sushy import exceptions

    from hawkfish_plugin.cli import errors

    try:
        return find()
    except (exceptions.SushyError, errors.CommandError):
        # The command itself reports it, if it meets it as well.
        return ''


def hindrances(
    snapshot: 'client.Snapshot', gone: Collection[str], forced: bool = False
) -> list[str]:
    """
    Say what keeps *snapshot* from being deleted, once those *gone* are.

    What only the service can tell is not said. A *forced* delete minds no
    lock.
    """
    users = _users(snapshot)
    needing = [user for user in users if user not in gone]
    if len(needing) == 1 < len(users) and needing[0] in snapshot.children:
        # One child is no hindrance, unless the system stands on it.
        needing = []
    found = []
    if snapshot.locked and not forced:
        found.append(f'{snapshot.name} is locked')
    if needing:
        found.append(f'{snapshot.name} is referenced by {", ".join(needing)}')
    return found


def hindering_all(
    members: 'Sequence[client.Snapshot]', forced: bool
) -> list[str]:
    """Say what keeps all *members* of a system from being deleted at once."""
    names = [one.name for one in members]
    return [
        found for one in members for found in hindrances(one, names, forced)
    ]


def purged(members: 'Sequence[client.Snapshot]', forced: bool) -> int:
    """Return how many of the *members* of a system a purge deletes."""
    return 0 if hindering_all(members, forced) else len(members)


def of_deletes(number: int) -> str:
    """Return what is lost with a *number* of snapshots, as ``Find`` does."""
    if not number:
        return ''
    if number == 1:
        return '1 snapshot will be deleted; this cannot be undone.'
    return f'{number} snapshots will be deleted; this cannot be undone.'


def of_reverts(
    previews: Iterable[Callable[[], dict[str, Any]]], will: str = 'will'
) -> str:
    """
    Return what is lost by reverts that have these *previews*.

    *will* is 'would' for reverts that are not to happen.
    """
    pruned: list[str] = []

    def lost(seen: dict[str, Any]) -> int:
        # What a group loses to its safety snapshot, a later create says.
        pruned.extend(seen.get('Pruned', ()))
        return not seen['SafetySnapshot']

    said = of_present(count(previews, lost), will)
    if pruned:
        names = ', '.join(dict.fromkeys(pruned))
        said += f' To make room for it, {names} {will} be deleted.'
    return said


def of_present(number: int, will: str = 'will') -> str:
    """
    Return what is lost of the present state, as ``Find`` does.

    The *number* is that of reverts without a safety snapshot.
    """
    if number:
        return f'Everything written since the current snapshot {will} be lost.'
    return f'The current state {will} be kept in a safety snapshot.'


def of_preview(seen: dict[str, Any]) -> tasks.Fields:
    """Return the columns and the values that show what a revert would do."""
    values = {
        'Power State': seen['PowerState'],
        'Memory Restored': seen['MemoryRestored'],
        'Discarded Since': seen['DiscardedSince'],
        'Safety Snapshot': seen['SafetySnapshot'],
        'Pruned': seen['Pruned'],
        'Needs': options.needs(seen['Needs']),
        'Warnings': [warning['Message'] for warning in seen['Warnings']],
    }
    return tuple(values), tuple(values.values())
