# SPDX-License-Identifier: Apache-2.0
"""
The snapshot tree, as text.

One line per snapshot: its name, followed by its state, size, age and flags.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hawkfish_plugin.cli import output, times

if TYPE_CHECKING:
    from hawkfish_plugin import client

HERE = '* the system is here'


def draw(members: Iterable['client.Snapshot'], now: float) -> Iterator[str]:
    """Yield the lines; older snapshots come first."""
    members = list(members)
    names = {snapshot.name for snapshot in members}
    below: dict[str | None, list[client.Snapshot]] = {}
    for snapshot in members:
        # The parent of a snapshot that is being created may be unknown.
        parent = snapshot.parent if snapshot.parent in names else None
        below.setdefault(parent, []).append(snapshot)
    # Those in a cycle, which no root leads to, come last.
    roots = [*below.get(None, []), *members]
    # Not recursive: a chain can be deeper than the stack of Python.
    waiting = [(root, '', '', '') for root in reversed(roots)]
    drawn: set[int] = set()
    while waiting:
        snapshot, before, branch, after = waiting.pop()
        if id(snapshot) in drawn:
            continue
        drawn.add(id(snapshot))
        yield f'{before}{branch}{_describe(snapshot, now)}'
        indent = before + after
        grown = [
            (child, indent, '|-- ', '|   ')
            for child in below.get(snapshot.name, [])
            if id(child) not in drawn
        ]
        # The next snapshot becomes a child of the current one.
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
    described = ', '.join(fact for fact in facts if fact)
    return (
        f'{output.printable(snapshot.name)}  ({output.printable(described)})'
    )
