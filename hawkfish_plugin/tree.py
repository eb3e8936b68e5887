# SPDX-License-Identifier: Apache-2.0
"""
The tree that the snapshots of a system are.

Pure: children, ancestors and descendants of records that name their parents.
A tree comes from anywhere, so one with a cycle, or two of a name, ends here
too, and ``flaws`` tells it.
"""

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence

from hawkfish_plugin.drivers.contract import Snapshot


def children(snapshots: Iterable[Snapshot]) -> dict[str, list[str]]:
    """The names of the children of each snapshot that has any."""
    found: dict[str, list[str]] = {}
    for snapshot in snapshots:
        if snapshot.parent is not None:
            found.setdefault(snapshot.parent, []).append(snapshot.name)
    return found


def flaws(snapshots: Collection[Snapshot]) -> list[str]:
    """The names that make *snapshots* no tree: of two, or in a cycle."""
    counted = collections.Counter(snapshot.name for snapshot in snapshots)
    parents = {snapshot.name: snapshot.parent for snapshot in snapshots}
    found = {name for name, times in counted.items() if times > 1}
    sound: set[str] = set()
    for name in parents:
        path: dict[str, None] = {}
        above: str | None = name
        while above in parents and above not in sound and above not in path:
            path[above] = None
            above = parents[above]
        if above in path:
            found.add(above)
        sound.update(path)
    return sorted(found)


def ancestors(snapshots: Iterable[Snapshot]) -> set[str]:
    """The names above the current snapshot, without itself."""
    parents, current = {}, None
    for snapshot in snapshots:
        parents[snapshot.name] = snapshot.parent
        current = snapshot.name if snapshot.current else current
    found: set[str] = set()
    above = parents.get(current) if current else None
    while above is not None and above not in found:
        found.add(above)
        above = parents.get(above)
    return found


def descendants(
    below: Mapping[str, Sequence[str]], name: str
) -> Sequence[str]:
    """Every name that grows from *name*, near ones first; see ``children``."""
    found = list(dict.fromkeys(below.get(name, ())))
    # Chains of a thousand are not rare, and this is asked of each in them.
    seen = set(found)
    for child in found:
        new = [n for n in below.get(child, ()) if n not in seen]
        seen.update(new)
        found += new
    return found
