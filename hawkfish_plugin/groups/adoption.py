# SPDX-License-Identifier: Apache-2.0
"""
Which snapshots of several systems were one of their group.

Pure: tells by names and times what a lost database has forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence

from hawkfish_plugin.catalogue import View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.table import GroupSnapshot, Part

# Of one group, all snapshots are begun at one moment.  Their times have no
# parts, and those of different hosts may differ a bit.
_SAME_SECONDS = 30
# One snapshot alone agrees with nothing.
_AGREEING = 2


def candidates(
    views: Mapping[contract.System, Sequence[View]],
) -> Iterator[GroupSnapshot]:
    """
    What could be a snapshot of a group that has *views* of each member.

    Snapshots of one name, created at about the same time, in all members; or
    in two of them at least, where these are of no other group snapshot.  The
    other members then miss their part: whether they have lost it, or came
    later, nobody knows any more.
    """
    by_name: dict[str, dict[contract.System, View]] = {}
    for system, theirs in views.items():
        for view in theirs:
            if view.task is None:
                by_name.setdefault(view.name, {})[system] = view
    for name, found in by_name.items():
        parts = _together(found)
        whole = len(parts) == len(views)
        alone = not any(found[system].groups for system in parts)
        if whole or (len(parts) >= _AGREEING and alone):
            first = min(parts.values())
            yield GroupSnapshot(
                name,
                tuple(
                    Part(system, name, parts.get(system, first))
                    for system in views
                ),
            )


def _together(
    found: Mapping[contract.System, View],
) -> Mapping[contract.System, int]:
    """The times of most of *found* that were created within one moment."""
    times = {system: view.record.created for system, view in found.items()}
    near = [
        {s: at for s, at in times.items() if 0 <= at - begin <= _SAME_SECONDS}
        for begin in sorted(set(times.values()))
    ]
    return max(near, key=len)
