# SPDX-License-Identifier: Apache-2.0
"""
What becomes of each file of a snapshot when the snapshot is deleted.

Decided by the files alone: what the disks of the system are backed by now,
and what the other snapshots are.  A disk that the system no longer has, or
that has got a layer that libvirt does not know, is thus seen as it is.  Looks
and decides; changes nothing.
"""

import dataclasses
import functools
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)

from hawkfish_plugin import exceptions, tree
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    filenames,
    identities,
    parsed,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.ledger import Ledger, holds_data


@dataclasses.dataclass(frozen=True)
class Merge:
    """
    *top* is to be committed into *base*, the file below it.

    Both are of the chain of the disk *target*, and *above* is what stands on
    *top* there; None where the system writes to *top* itself.
    """

    target: str
    base: str
    top: str
    above: str | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    The *merges* of a delete, and what it leaves.

    *merged* are those that were carried out before it was interrupted.
    *unmerged* are the disks whose files stay as they are, as the system does
    not stand on what would be merged.  *kept* are by target the files, the
    uppermost first, that hold data of a disk that the system does not have;
    of these disks, the targets in *replaced* are those of another one now.
    *unneeded* are files that nothing may need any more, the uppermost first.
    *of* is what is the same for every path of one file.
    """

    merges: Sequence[Merge] = ()
    merged: Sequence[Merge] = ()
    unmerged: Sequence[str] = ()
    kept: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    replaced: Sequence[str] = ()
    unneeded: Sequence[str] = ()
    of: Callable[[str], str] = identities.plain


# By target a file whose merge was begun, and what stood on it.
Tried = Mapping[str, tuple[str, str | None]]


def plan(
    domain: Domain,
    name: str,
    tried: Tried,
    ledger: Ledger,
    freshness: contract.Freshness = contract.Freshness.LISTED,
    useless: Collection[str] = (),
) -> Plan:
    """
    What a delete of the snapshot *name*, an external one, does.

    What stands on the base itself of those *tried* was merged; *ledger* tells
    which paths are of one file, and what stands on them.  Of the files that
    no disk has, *useless* are those that nobody needs.

    Raises SnapshotReferenced where another snapshot stands on what would be
    overwritten, and SnapshotFileMissing where that cannot be known.
    """
    return _Planner(domain, name, ledger, freshness, useless).plan(tried)


@dataclasses.dataclass(frozen=True)
class _Disk:
    """
    A captured disk of a snapshot.

    *base* is its file, and *chain* what backs the disk of the system that has
    its *target*, the uppermost file first; the base is in it *at* this place,
    if it is.  *child* is the file that the child of the snapshot has captured,
    if there is one.
    """

    target: str
    base: str
    chain: Sequence[str]
    at: int | None
    child: str | None


def _ended(
    disk: _Disk, at: int, top: str | None, above: str | None
) -> Merge | None:
    """The merge of *top*, where what was *above* stands on the base now."""
    if top is None or above != (disk.chain[at - 1] if at else None):
        return None
    return Merge(disk.target, disk.chain[at], top, above)


def _find(
    of: Callable[[str], str], path: str, chain: Sequence[str]
) -> int | None:
    """Where the file at *path* is in *chain*, by whatever path."""
    files = [of(one) for one in chain]
    return files.index(of(path)) if of(path) in files else None


class _Planner:
    def __init__(
        self,
        domain: Domain,
        name: str,
        ledger: Ledger,
        freshness: contract.Freshness,
        useless: Collection[str],
    ) -> None:
        self._host, self._storage = domain.host, domain.host.storage
        seen = snapshots.read_all(domain)
        records = snapshots.records(seen, snapshots.current(domain))
        self._snapshot = next(s for s in seen if s.record.name == name)
        self._others = [s for s in seen if s is not self._snapshot]
        self._on_branch = name in tree.ancestors(records) or any(
            s.current for s in records if s.name == name
        )
        self._chains, self._below = _files(domain, seen)
        paths = {*self._below}.union(*self._chains.values())
        files = ledger.files(domain.host, paths, freshness)
        self._files, self._useless = files, useless
        self._of = files.certain.identities.of
        self._may_be = files.identities.of

    def plan(self, tried: Tried) -> Plan:
        merges, merged = list[Merge](), list[Merge]()
        unmerged, replaced = list[str](), list[str]()
        kept, unneeded = dict[str, Sequence[str]](), list[str]()
        for disk in self._disks():
            if disk.at is not None:
                begun = tried.get(disk.target, (None, None))
                ended = _ended(disk, disk.at, *begun)
                if ended:
                    merged.append(ended)
                    unneeded += self._made([ended.top])
                    continue
                merge = self._merge(disk, disk.at)
                if merge is None:
                    unmerged.append(disk.target)
                    continue
                self._check(merge)
                merges.append(merge)
                unneeded += self._made([merge.top])
            elif self._on_branch and not (
                self._has_gone_on(disk) or self._was_discarded(disk)
            ):
                kept[disk.target] = [*self._after(disk), disk.base]
                replaced += [disk.target] if disk.chain else []
            else:
                unneeded += self._made(self._chain(disk.base))
        kept |= self._former()
        return Plan(
            merges, merged, unmerged, kept, replaced, unneeded, self._of
        )

    def _former(self) -> dict[str, list[str]]:
        """By target, what a disk that it did not capture was on then."""
        now = {self._of(p) for chain in self._chains.values() for p in chain}
        return {
            disk.target: [path]
            for disk in self._snapshot.captured
            if disk.target not in self._snapshot.external
            and disk.is_captured
            and (path := self._storage.file_of(disk))
            and self._of(path) not in now
            and [*self._made([path])]
        }

    def _disks(self) -> Iterator[_Disk]:
        """The disks of the snapshot that a delete has to do with."""
        children = [
            s
            for s in self._others
            if s.record.parent == self._snapshot.record.name
        ]
        for disk in self._snapshot.disks:
            base = self._storage.file_of(disk)
            if base is None or not disk.is_captured:
                continue
            chain = self._chains.get(disk.target, ())
            captured = [
                path
                for child in children
                for theirs in child.disks
                if theirs.target == disk.target
                and (path := self._storage.file_of(theirs))
            ]
            yield _Disk(
                disk.target,
                base,
                chain,
                _find(self._of, base, chain),
                captured[0] if captured else None,
            )

    def _merge(self, disk: _Disk, at: int) -> Merge | None:
        """
        What is to be merged into the base; None where it need not be.

        The base has its path in the chain of the system, as QEMU knows it.
        """
        if not at:
            return None
        top = disk.chain[at - 1]
        if disk.child is not None:
            own = self._chain(disk.child)
            place = _find(self._of, disk.base, own)
            # Of a merge that QEMU has ended and libvirt not noticed, the
            # system stands on the base without it.
            if place and self._of(own[place - 1]) != self._of(top):
                return None
        above = disk.chain[at - 2] if at > 1 else None
        return Merge(disk.target, disk.chain[at], top, above)

    def _check(self, merge: Merge) -> None:
        """Raise where it would overwrite what another snapshot needs."""
        found = [
            other.record.name
            for other in self._others
            for disk in other.disks
            if self._would_change(other, disk, merge)
        ]
        if found:
            names = ', '.join(sorted(set(found)))
            raise exceptions.SnapshotReferenced(
                self._snapshot.record.name, names
            )
        parted = [
            path
            for path, chain in self._parted.items()
            if self._is_on(path, chain, merge)
        ]
        if parted:
            raise exceptions.SnapshotCloned(
                self._snapshot.record.name, ', '.join(parted)
            )

    @functools.cached_property
    def _parted(self) -> Mapping[str, Sequence[str]]:
        """
        What is of no disk and may stand on the snapshot, with its chain.

        As the overlay of a disk that was detached: a revert attaches the disk
        again, as it was, on another overlay.  libvirt lets the snapshot name
        it, but no longer than there are later ones; then it is what stands on
        the files of the snapshot that nobody knows.
        """
        named = {
            path
            for seen in (self._snapshot, *self._others)
            for path in seen.files - seen.paths - {'', *seen.own_files}
        }
        known = {path for chain in self._chains.values() for path in chain}
        known |= self._below.keys()
        bases = [disk.base for disk in self._disks()]
        others = self._files.others_on(bases, known.union(self._useless))
        parted = sorted((named - known).union(others))
        below = self._storage.backing(parted)
        return {path: _follow([path], below) for path in parted}

    def _is_on(self, path: str, chain: Sequence[str], merge: Merge) -> bool:
        """Whether a file would read something else after the merge."""
        return (
            _find(self._of, merge.base, chain[1:]) is not None
            and _find(self._of, merge.top, chain) is None
            and holds_data(self._host, path)
        )

    def _would_change(
        self, other: parsed.ParsedSnapshot, disk: xml.Disk, merge: Merge
    ) -> bool:
        path = self._storage.file_of(disk)
        if path is None:
            return False
        chain = self._chain(path)
        # Of two disks files may look alike that were made at once.
        same = disk.target == merge.target
        of = self._may_be if same else self._of
        at = _find(of, merge.base, chain)
        if at is not None:
            return at == 0 or of(chain[at - 1]) != of(merge.top)
        # Whose chain is broken may stand on it all the same.
        if disk.target == merge.target and chain[-1] not in self._below:
            raise exceptions.SnapshotFileMissing(other.record.name, chain[-1])
        return False

    def _has_gone_on(self, disk: _Disk) -> bool:
        """Whether the system stands on what came after the snapshot."""
        after = map(self._of, self._after(disk))
        return not set(map(self._of, disk.chain)).isdisjoint(after)

    def _was_discarded(self, disk: _Disk) -> bool:
        """Whether nothing came after that is there, as after an import."""
        after = self._after(disk)
        if not disk.chain or not after:
            return False
        return not any(self._storage.exists(path) for path in after)

    def _after(self, disk: _Disk) -> list[str]:
        """The files that were written after the snapshot."""
        found = [self._snapshot.external.get(disk.target), disk.child]
        return [path for path in found if path]

    def _chain(self, path: str) -> list[str]:
        """*path* and its backing files; the last one may be missing."""
        found: list[str] = []
        below: str | None = path
        while below and below not in found:
            found.append(below)
            below = self._below.get(below)
        return found

    def _made(self, paths: Iterable[str]) -> Iterator[str]:
        """Those of *paths* up to the first that no snapshot has made."""
        overlays = self._snapshot.overlays.union(
            *(s.overlays for s in self._others)
        )
        for path in paths:
            below = self._below.get(path)
            of_revert = below and filenames.is_revert_overlay_of(below, path)
            if not (path in overlays or filenames.is_ours(path) or of_revert):
                return
            yield path


def _files(
    domain: Domain, seen: Sequence[parsed.ParsedSnapshot]
) -> tuple[dict[str, list[str]], dict[str, str | None]]:
    """The chain of each disk of *domain*, and what each file is backed by."""
    storage = domain.host.storage
    root = domain.definition()
    chains = {
        target: [path for s in sources if (path := storage.file_of(s))]
        for target, sources in xml.chains(root).items()
    }
    captured = {
        path
        for s in seen
        for disk in s.disks
        if (path := storage.file_of(disk))
    }
    if not xml.is_running(root):
        # libvirt may have noted none, or another one than there is.
        below = storage.backing(
            captured.union(*(chain[:1] for chain in chains.values()))
        )
        return {
            target: _follow(chain[:1], below)
            for target, chain in chains.items()
        }, below
    known = dict[str, str | None]()
    for chain in chains.values():
        known.update(zip(chain, [*chain[1:], None], strict=False))
    return chains, storage.backing(captured - known.keys()) | known


def _follow(tops: Iterable[str], below: Mapping[str, str | None]) -> list[str]:
    found: list[str] = []
    path = next(iter(tops), None)
    while path and path not in found:
        found.append(path)
        path = below.get(path)
    return found
