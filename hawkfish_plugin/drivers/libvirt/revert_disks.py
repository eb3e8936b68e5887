# SPDX-License-Identifier: Apache-2.0
"""
What the next revert removes.

libvirt removes the overlays that it has noted in the current snapshot, as its
``<revertDisks>``: those of the last revert to it, or else those that began
with it.  After the delete of the newest of several branches these are another
branch's, and a revert would take them from it (seen with 11.3).
"""

import posixpath
from collections.abc import (
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)

from hawkfish_plugin.drivers.libvirt import (
    errors,
    filenames,
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot

# By the target of a disk, the file that goes; None where it stays.
Removed = dict[str, str | None]


def unneeded(
    domain: Domain, targets: Container[str] | None = None
) -> list[str]:
    """
    The files that nothing may need after a revert, the uppermost first.

    Those are what the next revert of *domain* removes, and the overlays of
    ours below, down to what a snapshot has captured: that needs all that it
    stands on, which may be another system's.  *targets* are those of the disks
    that are meant, where not all are.
    """
    found = _look(domain)
    removed = found[1] if found else {}
    paths = [
        path
        for target, path in removed.items()
        if path and (targets is None or target in targets)
    ]
    captured = _captured(domain)
    for target, chain in xml.chains(domain.definition()).items():
        if targets is None or target in targets:
            paths += _ours_above(_files_of(domain, chain), captured)
    # Each once.
    return [*dict.fromkeys(paths)]


def _files_of(domain: Domain, chain: Sequence[xml.Source]) -> Iterator[str]:
    """The paths of *chain*, a disk's; the name of a volume without one."""
    yield from (s.path or (s.volume or ('', ''))[1] for s in chain)
    top = chain[0] if chain else None
    # Of a disk without a guest the definition says no more.
    if top and top.path and top.index is None:
        below = domain.host.storage.backing([top.path])
        path = below.get(top.path)
        for _ in below:
            if path:
                yield path
                path = below.get(path)


def _ours_above(
    chain: Iterable[str], captured: Collection[str]
) -> Iterator[str]:
    """The overlays of ours in *chain* above all that is *captured*."""
    for path in chain:
        if _is_in(path, captured):
            return
        if filenames.is_ours(path):
            yield path


def others(domain: Domain, targets: Collection[str]) -> dict[str, str]:
    """
    By target, the file of each disk that did not grow from the snapshots.

    Of *targets* alone.  It has taken the place of the disk that snapshots
    hold, or has come back after the current one was created without it: a
    revert, which discards what was written since the current snapshot,
    discards nothing of it, whatever its name.
    """
    storage, present = domain.host.storage, domain.definition()
    known, held = xml.chains(present), _held(domain)
    found = {}
    for disk in xml.disks(present):
        path = storage.path_of(disk)
        if disk.target in targets and disk.is_captured and path:
            noted = {source.path for source in known[disk.target]}
            # A folder that cannot be read says nothing of its files.
            chain = noted.union(storage.chains([path]))
            if not is_based_on(chain, held.get(disk.target, ())):
                found[disk.target] = path
    return found


def _held(domain: Domain) -> dict[str, list[str]]:
    """By target, the files that the present disks can have grown from."""
    seen = {s.record.name: s for s in snapshots.read_all(domain)}
    current, found = snapshots.current(domain), dict[str, list[str]]()
    line = [*seen.values()] if current is None else _line(seen, current)
    gone: set[str] = set()
    for snapshot in line:
        for disk in snapshot.disks:
            # The pool of a volume may be gone.
            with errors.ignored(domain.host.connection):
                path = domain.host.storage.path_of(disk)
                if path and disk.target not in gone:
                    found.setdefault(disk.target, []).append(path)
        if current is not None:
            # It grew from the newest that holds it, as long as it was there.
            gone |= _all_targets(seen) - _targets(snapshot)
            gone |= {disk.target for disk in snapshot.disks}
    return found


def _line(
    seen: Mapping[str, ParsedSnapshot], current: str
) -> list[ParsedSnapshot]:
    """The snapshot *current* and those before it, the newest first."""
    found, name = list[ParsedSnapshot](), current
    while name in seen and seen[name] not in found:
        found.append(seen[name])
        name = seen[name].record.parent or ''
    return found


def _all_targets(seen: Mapping[str, ParsedSnapshot]) -> set[str]:
    return set[str]().union(*map(_targets, seen.values()))


def _targets(snapshot: ParsedSnapshot) -> set[str]:
    """The targets of the disks that the system had then, or next."""
    disks = (*snapshot.captured, *snapshot.configured)
    return {disk.target for disk in disks}


def is_based_on(chain: Collection[str | None], held: Collection[str]) -> bool:
    """
    Whether any file of *chain* is one of *held*.

    Told by the names, as there may be several paths to one file.
    """
    names = {posixpath.basename(path) for path in held}
    return any(path and posixpath.basename(path) in names for path in chain)


def correct(domain: Domain) -> None:
    """Let the next revert remove nothing but what is only *domain*'s own."""
    found = _look(domain)
    if found and snapshot_xml.revert_disks(found[0]) != found[1]:
        snapshot_xml.set_revert_disks(*found)
        snapshots.redefine(domain, found[0])


def _look(domain: Domain) -> tuple[xml.Element, Removed] | None:
    """The current snapshot, and what is to go; None where nothing does."""
    name = snapshots.current(domain)
    if name is None:
        return None
    root = snapshots.describe(domain, name)
    noted = snapshot_xml.revert_disks(root)
    if not noted:
        return None
    now = {disk.target: disk.path for disk in xml.disks(domain.definition())}
    return root, to_remove(noted, now, _captured(domain))


def _captured(domain: Domain) -> set[str]:
    """What any snapshot has captured; see ``Storage.files_of``."""
    seen = snapshots.read_all(domain)
    return domain.host.storage.files_of(d for s in seen for d in s.captured)


def _is_in(path: str, captured: Collection[str]) -> bool:
    return path in captured or posixpath.basename(path) in captured


def to_remove(
    noted: Mapping[str, str | None],
    now: Mapping[str, str | None],
    captured: Collection[str],
) -> Removed:
    """
    What a revert may remove of the files that the disks are in *now*.

    *noted* is what libvirt would remove; of these disks, only an overlay
    that no snapshot has *captured* may go: one that libvirt has noted, or that
    has a name that only this driver gives.
    """
    return {
        target: path
        if path
        and not _is_in(path, captured)
        and (path == noted[target] or filenames.is_ours(path))
        else None
        for target, path in now.items()
        if target in noted
    }
