# SPDX-License-Identifier: Apache-2.0
"""
The snapshot tree, as text.

One line per snapshot: its name, followed by its state, size, age and flags.
The snapshots are those of a system, or of a group.
"""

import datetime
import textwrap
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
    width: int | None = None,
) -> Iterator[str]:
    """
    Yield the lines; older snapshots come first.

    *here* says who stands on a snapshot, or None. A line has *width*
    characters, as far as the names leave room: facts are continued below, and
    of a deep indentation the end is shown.
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
        indent = before + after
        standing = here(snapshot)
        grown = [
            (child, indent, '|-- ', '|   ')
            for child in below.get(snapshot.name, [])
            if id(child) not in drawn
        ]
        name = output.printable(snapshot.name)
        below_it = indent + ('|   ' if grown or standing else '    ')
        yield from _lines(
            before + branch, name, _facts(snapshot, now), below_it, width
        )
        # The next snapshot becomes a child of the current one.
        if standing:
            last = '`-- ' if not grown else '|-- '
            yield f'{_end(indent, width)}{last}{standing}'
        if grown:
            grown[-1] = (grown[-1][0], indent, '`-- ', '    ')
        waiting += reversed(grown)


def _lines(
    lead: str, name: str, facts: str, indent: str, width: int | None
) -> Iterator[str]:
    """Yield the line of a snapshot, or the lines if one has no room."""
    whole = f'{_end(lead, width)}{name}  ({facts})'
    if width is None or len(whole) <= width:
        yield whole
        return
    lead, indent = _end(lead, width), _end(indent, width)
    # A name without spaces is broken where the line ends.
    first = max(1, width - len(lead))
    yield f'{lead}{name[:first]}'
    below = max(1, width - len(indent))
    for at in range(first, len(name), below):
        yield f'{indent}{name[at : at + below]}'
    for line in textwrap.wrap(f'({facts})', max(1, width - len(indent))):
        yield f'{indent}{line}'


def _end(indent: str, width: int | None) -> str:
    """Return what is shown of an *indent*: the last half of a line."""
    if width is None or len(indent) <= width // 2:
        return indent
    return f'~ {indent[-(width // 2 - 2) :]}'


def _facts(snapshot: 'Node', now: float) -> str:
    facts = [
        snapshot.snapshot_state,
        output.size(snapshot.size_bytes),
        snapshot.created_time and times.ago(snapshot.created_time, now),
        _kind(snapshot),
        'locked' if snapshot.locked else None,
        snapshot.expires_time and _expiry(snapshot.expires_time, now),
    ]
    return output.printable(', '.join(fact for fact in facts if fact))


def _expiry(moment: datetime.datetime, now: float) -> str:
    left = times.ahead(moment, now)
    return f'expires {left}' if left else 'expired'


def _kind(snapshot: 'Node') -> str | None:
    kind: str | None = getattr(snapshot, 'snapshot_type', None)
    if kind is None:
        return getattr(snapshot, 'consistency', None)
    return 'memory' if kind == 'DiskAndMemory' else None
