# SPDX-License-Identifier: Apache-2.0
"""
The tree that snapshots grow in, drawn for people.

One line a snapshot: its name, and then what there is to say about it.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hawkfish_plugin.cli import output, times

if TYPE_CHECKING:
    from hawkfish_plugin import client

HERE = '* the system is here'


def draw(members: Iterable['client.Snapshot'], now: float) -> Iterator[str]:
    """Yield the lines; what was made first comes first."""
    members = list(members)
    names = {snapshot.name for snapshot in members}
    below: dict[str | None, list[client.Snapshot]] = {}
    for snapshot in members:
        # The parent of one that is being created may not be known.
        parent = snapshot.parent if snapshot.parent in names else None
        below.setdefault(parent, []).append(snapshot)
    # Not by recursion: a chain can be longer than Python's stack.
    waiting = [(root, '', '', '') for root in reversed(below.get(None, []))]
    while waiting:
        snapshot, before, branch, after = waiting.pop()
        yield f'{before}{branch}{_describe(snapshot, now)}'
        indent = before + after
        grown = [
            (child, indent, '|-- ', '|   ')
            for child in below.get(snapshot.name, [])
        ]
        # What the system does next grows from where it is.
        if snapshot.is_current:
            last = '`-- ' if not grown else '|-- '
            yield f'{indent}{last}{HERE}'
        if grown:
            grown[-1] = (grown[-1][0], indent, '`-- ', '    ')
        waiting += reversed(grown)


def _describe(snapshot: 'client.Snapshot', now: float) -> str:
    facts = [
        snapshot.snapshot_state,
        output.size(snapshot.size_bytes),
        snapshot.created_time and times.ago(snapshot.created_time, now),
        'memory' if snapshot.snapshot_type == 'DiskAndMemory' else None,
        'locked' if snapshot.locked else None,
        snapshot.expires_time and f'expires {snapshot.expires_time}',
    ]
    told = ', '.join(fact for fact in facts if fact)
    return f'{output.printable(snapshot.name)}  ({output.printable(told)})'
