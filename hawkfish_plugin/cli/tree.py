# SPDX-License-Identifier: Apache-2.0
"""
The snapshot tree, as text.

One line per snapshot: its name, followed by its state, size, age and flags.
The snapshots are those of a system, or of a group.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import output, times

if TYPE_CHECKING:
    from hawkfish_plugin import client

    Node = client.Snapshot | client.GroupSnapshot

HERE = '* the system is here'


def _here(snapshot: 'Node') -> str | None:
    return HERE if snapshot.is_current else None


def draw(
    members: 'Iterable[Node]',
    now: float,
    here: 'Callable[[Any], str | None]' = _here,
) -> Iterator[str]:
    """
    Yield the lines; older snapshots come first.

    *here* says who stands on a snapshot, or None.
    """
    members = list(members)
    names = {snapshot.name for snapshot in members}
    below: dict[str | None, list[Node]] = {}
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
        if standing := here(snapshot):
            last = '`-- ' if not grown else '|-- '
            yield f'{indent}{last}{standing}'
        if grown:
            grown[-1] = (grown[-1][0], indent, '`-- ', '    ')
        waiting += reversed(grown)


def _describe(snapshot: 'Node', now: float) -> str:
    facts = [
        snapshot.snapshot_state,
        output.size(snapshot.size_bytes),
        snapshot.created_time and times.ago(snapshot.created_time, now),
        _kind(snapshot),
        'locked' if snapshot.locked else None,
        snapshot.expires_time
        and f'expires {times.exact(snapshot.expires_time)}',
    ]
    described = ', '.join(fact for fact in facts if fact)
    return (
        f'{output.printable(snapshot.name)}  ({output.printable(described)})'
    )


def _kind(snapshot: 'Node') -> str | None:
    kind: str | None = getattr(snapshot, 'snapshot_type', None)
    if kind is None:
        return getattr(snapshot, 'consistency', None)
    return 'memory' if kind == 'DiskAndMemory' else None
