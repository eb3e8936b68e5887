# SPDX-License-Identifier: Apache-2.0
"""
What the next revert removes.

libvirt removes the overlays that it has noted in the current snapshot: those
of the last revert to it, or else those that began with it.  After the delete
of the newest of several branches these are another branch's, and a revert
would take them from it (seen with 11.3).
"""

import re
from typing import Any

from hawkfish_plugin.drivers.libvirt import leftovers, snapshots, xml

# As libvirt names the overlays of a revert.
_OF_REVERT = re.compile(r'.*\.\d{10}', re.DOTALL)


def files(domain: Any) -> set[str]:
    """The files that the next revert of *domain* removes."""
    seen = _look(domain)
    return {path for path in seen[1].values() if path} if seen else set()


def correct(domain: Any) -> None:
    """Let the next revert remove nothing but what *domain* stands on."""
    seen = _look(domain)
    if seen and xml.noted_overlays(seen[0]) != seen[1]:
        xml.note_overlays(*seen)
        snapshots.redefine(domain, seen[0])


def _look(
    domain: Any,
) -> tuple[xml.Element, dict[str, str | None]] | None:
    """
    The current snapshot, and by target what is to go with a revert.

    None where nothing does.
    """
    name = snapshots.current(domain)
    if name is None:
        return None
    root = snapshots.describe(domain, name)
    noted = xml.noted_overlays(root)
    if not noted:
        return None
    now = {
        disk.target: disk.path
        for disk in xml.disks(xml.parse(domain.XMLDesc(0)))
    }
    captured = {
        path for s in snapshots.read_all(domain) for path in s.captured
    }
    return root, {
        target: path
        if path not in captured
        and (path == noted.get(target) or _is_overlay(path))
        else None
        for target, path in now.items()
        if target in noted
    }


def _is_overlay(path: str | None) -> bool:
    """Whether a file has a name that only snapshots give."""
    return bool(path) and (
        leftovers.is_ours(str(path)) or bool(_OF_REVERT.fullmatch(str(path)))
    )
