# SPDX-License-Identifier: Apache-2.0
"""
Which snapshots libvirt can delete.

Owns libvirt's rule of merging.  Pure: the tree need not be one that exists.
"""

from collections.abc import Mapping, Sequence

from hawkfish_plugin import tree
from hawkfish_plugin.drivers import contract


def referrers(
    snapshots: Sequence[contract.Snapshot],
) -> dict[str, Sequence[str]]:
    """
    Which snapshots keep which from being deleted.

    libvirt merges an external snapshot into its backing files only where
    nothing else grows from there: a leaf, or an ancestor of the current
    snapshot with exactly one child.  Internal snapshots are
    independent of each other.

    Nor where, further up, another branch grows from a snapshot that was made
    while the system was off: libvirtd 11.3 crashes in that merge.
    """
    above, below = tree.ancestors(snapshots), tree.children(snapshots)
    branch = above | {s.name for s in snapshots if s.current}
    aside = _aside(snapshots, below, branch)
    found: dict[str, Sequence[str]] = {}
    for name in [s.name for s in snapshots if s.external]:
        if name not in below:
            continue
        if len(below[name]) > 1 or name not in above:
            found[name] = below[name]
        elif aside and (beside := _beside(below, name, aside)):
            found[name] = beside
    return found


def _aside(
    snapshots: Sequence[contract.Snapshot],
    below: Mapping[str, Sequence[str]],
    branch: set[str],
) -> dict[str, Sequence[str]]:
    """The children beside *branch* of each snapshot that was made off."""
    found: dict[str, Sequence[str]] = {}
    for name in [s.name for s in snapshots if s.power_state == contract.OFF]:
        others = [
            child for child in below.get(name, ()) if child not in branch
        ]
        if others:
            found[name] = others
    return found


def _beside(
    below: Mapping[str, Sequence[str]],
    name: str,
    aside: Mapping[str, Sequence[str]],
) -> Sequence[str]:
    """What of *aside* grows from above *name*."""
    return [
        child
        for parent in tree.descendants(below, name)
        for child in aside.get(parent, ())
    ]
