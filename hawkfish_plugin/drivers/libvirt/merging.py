# SPDX-License-Identifier: Apache-2.0
"""
Which snapshots can be deleted.

Owns the rule of merging.  Pure: the tree need not be one that exists.
"""

from collections.abc import Sequence

from hawkfish_plugin import tree
from hawkfish_plugin.drivers import contract


def referrers(
    snapshots: Sequence[contract.Snapshot],
) -> dict[str, Sequence[str]]:
    """
    Which snapshots keep which from being deleted.

    An external snapshot is merged into its backing files only where nothing
    else grows from there: a leaf, or an ancestor of the current snapshot with
    exactly one child.  Internal snapshots are independent of each other.
    """
    above, below = tree.ancestors(snapshots), tree.children(snapshots)
    return {
        s.name: below[s.name]
        for s in snapshots
        if s.external
        and s.name in below
        and (len(below[s.name]) > 1 or s.name not in above)
    }
