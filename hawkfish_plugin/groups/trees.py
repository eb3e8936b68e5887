# SPDX-License-Identifier: Apache-2.0
"""
Where the snapshots of a group are in the trees of its members.

Pure: it is given what is noted of a group snapshot, and what each system has.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from hawkfish_plugin import tree
from hawkfish_plugin.catalogue import View
from hawkfish_plugin.groups.table import GroupSnapshot
from hawkfish_plugin.groups.views import GroupView, Member, PartView


class Tree:
    """The snapshots of one system, as those of groups are looked up in it."""

    def __init__(self, views: Sequence[View]) -> None:
        records = [view.record for view in views]
        self._by_key = {(v.name, v.record.created): v for v in views}
        self._parents = {record.name: record.parent for record in records}
        current = next((r.name for r in records if r.current), None)
        self.standing = {current, *tree.ancestors(records)}

    def find(self, name: str, created: int) -> View | None:
        """The snapshot *name* that was created then."""
        return self._by_key.get((name, created))

    def named(self, name: str) -> View | None:
        """The snapshot *name*, whenever it was created."""
        return next((v for v in self._by_key.values() if v.name == name), None)

    def above(self, name: str) -> set[str]:
        """The names that the snapshot *name* grows from."""
        found: set[str] = set()
        parent = self._parents.get(name)
        while parent is not None and parent not in found:
            found.add(parent)
            parent = self._parents.get(parent)
        return found


def parts(
    snapshot: GroupSnapshot,
    members: Mapping[str, Member],
    trees: Mapping[str, Tree],
) -> tuple[PartView, ...]:
    """The members' snapshots that *snapshot* is made of."""
    made = []
    for part in snapshot.parts:
        uuid = part.system.uuid
        member = members.get(uuid) or Member(part.system, False)
        found = None
        if uuid in trees:
            found = trees[uuid].find(part.name, part.created)
        stands = bool(found and found.name in trees[uuid].standing)
        made.append(PartView(member, found, stands))
    return tuple(made)


def coming_parts(
    snapshot: GroupSnapshot,
    members: Mapping[str, Member],
    trees: Mapping[str, Tree],
) -> tuple[PartView, ...]:
    """Those of one that is being created, as far as they are there."""
    return tuple(
        PartView(
            members.get(part.system.uuid) or Member(part.system, False),
            trees[part.system.uuid].named(snapshot.name)
            if part.system.uuid in trees
            else None,
        )
        for part in snapshot.parts
    )


def related(
    views: Sequence[GroupView], trees: Mapping[str, Tree]
) -> Sequence[GroupView]:
    """*views* with the next ones above and below each."""
    names = [_names(view) for view in views]
    above = [
        {uuid: trees[uuid].above(name) for uuid, name in mine.items()}
        for mine in names
    ]
    parents: list[str | None] = []
    for mine in above:
        over = [
            (views[i].snapshot.created, i)
            for i, theirs in enumerate(names)
            if (common := mine.keys() & theirs.keys())
            and all(theirs[uuid] in mine[uuid] for uuid in common)
        ]
        parents.append(views[max(over)[1]].name if over else None)
    return [
        dataclasses.replace(
            view,
            parent=parent,
            children=tuple(
                itertools.compress(
                    (other.name for other in views),
                    (other == view.name for other in parents),
                )
            ),
        )
        for view, parent in zip(views, parents, strict=True)
    ]


def _names(view: GroupView) -> dict[str, str]:
    """The names that the snapshots of its members have by now."""
    return {
        part.system.uuid: part.view.name for part in view.parts if part.view
    }
