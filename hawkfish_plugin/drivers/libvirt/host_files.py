# SPDX-License-Identifier: Apache-2.0
"""
What is known of the files of a host: one record of the ledger.

Owns what follows from it: which file is backed by which, who is backed by a
file, who writes to one, and where that is not known.  Looks at nothing.
"""

import dataclasses
import functools
import posixpath
from collections.abc import Iterable, Mapping, Sequence, Set

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import backing, formats, identities
from hawkfish_plugin.drivers.libvirt.definitions import Definition, Unsaid
from hawkfish_plugin.drivers.libvirt.identities import Stamp, folders_of
from hawkfish_plugin.drivers.sharing import FarImage

# Each look costs a call for every volume and every domain of the host.
_REMEMBERED_SECONDS = 10.0
# What QEMU may need to leave a file for the overlay that was made over it.
_CAPTURE_SECONDS = 1

# A dependent, and every file that it is backed by.
Found = tuple[contract.Dependent, set[str]]


@dataclasses.dataclass(frozen=True)
class HostFiles:
    """
    Which file of a host is backed by which.

    *definitions* has what each domain names, by its UUID.  *volumes* are what
    was read, of the *active* pools and of *folders*; they were last *listed*,
    and all *read*, then; those *carried* over were not read since.  *unread*
    is why a pool, a folder or a file was not.  *device_paths* has one path
    for all of each device.  *far* are images that are remembered and were not
    looked for.  *were_raw* are paths of files that guests wrote to as raw, as
    far as that was said before.
    """

    folders: frozenset[str]
    volumes: Mapping[backing.Place, backing.Backed]
    definitions: Mapping[str, Definition]
    listed: float
    read: float
    is_certain: bool = False
    unread: Mapping[str, exceptions.HawkFishError] = dataclasses.field(
        default_factory=dict
    )
    active: frozenset[str] = frozenset()
    carried: frozenset[backing.Place] = frozenset()
    device_paths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    far: Sequence[FarImage] = ()
    were_raw: Set[str] = frozenset()

    @functools.cached_property
    def certain(self) -> 'HostFiles':
        """The same, where no two files may be taken for one."""
        return dataclasses.replace(self, is_certain=True)

    @functools.cached_property
    def identities(self) -> identities.Identities:
        stamps = ((v.path, v.stamp) for v in self.volumes.values())
        return identities.Identities(
            stamps, self.is_certain, self.device_paths
        )

    @functools.cached_property
    def below(self) -> Mapping[str, str]:
        """
        The path of the backing file of each file, in terms of ``identities``.

        What is only ever read as raw has none, whatever its header says: a
        guest has written that.
        """
        of, raw = self.identities.of, self._raw
        return {
            file: volume.below
            for volume in self.volumes.values()
            if volume.below and (file := of(volume.path)) not in raw
        }

    @functools.cached_property
    def raw_paths(self) -> frozenset[str]:
        """
        The paths of what guests write to as raw, or wrote to before.

        Once a disk is detached nothing says that its header is of a guest's
        making.  It is believed where it keeps somebody from something, as an
        image that was put there since may be what it says; but it leads
        nowhere, and is not remembered.
        """
        of = self.identities.of
        return frozenset(
            volume.path
            for volume in self.volumes.values()
            if (file := of(volume.path)) in self._raw
            or (volume.path in self.were_raw and file not in self._formats)
        )

    @functools.cached_property
    def leads(self) -> Mapping[str, str]:
        """As ``below`` of each path, where no guest has chosen what is."""
        of, below = self.identities.of, self.below
        return {
            volume.path: volume.below
            # Somebody's pool may have what an image stood on before.
            for _, volume in sorted(
                self.volumes.items(),
                key=lambda item: posixpath.isabs(item[0][0]),
            )
            if volume.below
            and of(volume.path) in below
            and volume.path not in self.raw_paths
        }

    @functools.cached_property
    def _raw(self) -> Set[str]:
        """What guests write to as raw, and nobody reads as anything else."""
        return {f for f, said in self._formats.items() if said == {'raw'}}

    @functools.cached_property
    def _formats(self) -> Mapping[str, Set[str]]:
        return formats.said(
            self.definitions.values(),
            self.volumes.values(),
            self.identities.of,
        )

    @functools.cached_property
    def backing(self) -> Mapping[str, str]:
        """The same, and these files in terms of ``identities`` as well."""
        of = self.identities.of
        return {file: of(below) for file, below in self.below.items()}

    def chain(self, path: str) -> set[str]:
        """What *path* is, and what every backing file of it is."""
        found: set[str] = set()
        below: str | None = self.identities.of(path)
        while below and below not in found:
            found.add(below)
            below = self.backing.get(below)
        return found

    def chains(self, paths: Iterable[str]) -> set[str]:
        """The same of all of *paths*."""
        return set[str]().union(*map(self.chain, paths))

    def chains_seen(self, paths: Iterable[str]) -> set[str]:
        """The same of those that were looked at, and as far as they were."""
        of, found = self.identities, set[str]()
        pending = of.all_seen(paths)
        while pending:
            found |= pending
            named = filter(None, map(self.below.get, pending))
            pending = of.all_seen(named) - found
        return found

    def dependents(
        self, uuid: str, own: Set[str], wanted: Set[str]
    ) -> tuple[list[Found], list[tuple[str, set[str]]]]:
        """
        The other domains that are backed by a file of *wanted*.

        Besides, those files that are, each with its chain, and that no
        domain has.  *own* are the files of the domain *uuid* itself; what
        they stand on is no file of others.
        """
        found: list[Found] = []
        # Whose file is taken for another one's is lost.
        certain = self.certain.identities
        attached = self.certain.chains_seen(own)
        of, wanted = self.identities.of, self.identities.of_all(wanted)
        for other, definition in self.definitions.items():
            attached |= certain.all_seen(definition.files)
            chain = self.chains(definition.files)
            if other != uuid and chain & wanted:
                found.append(
                    (contract.Dependent(definition.name, other), chain)
                )
        loose = {
            file: chain
            for path in (v.path for v in self.volumes.values())
            if (file := certain.of(path)) not in attached
            and of(path) in self.backing
            and (chain := self.chain(path)) - {of(path)} & wanted
        }
        return found, sorted(loose.items())

    def others_on(
        self, bases: Iterable[str], known: Iterable[str]
    ) -> set[str]:
        """The volumes that any of *bases* backs and that are not *known*."""
        certain = self.certain.identities
        wanted, but = self.identities.of_all(bases), certain.of_all(known)
        paths = {volume.path for volume in self.volumes.values()}
        return {p for p in paths if self.chain(p) & wanted} - {
            p for p in paths if certain.of(p) in but
        }

    def check_known(self, uuid: str = '') -> None:
        """
        Raise where it is not known what a disk stands on.

        That is NotAnswering, FolderUnreadable or PoolNotActive.  The disks of
        the domain *uuid* do not matter.
        """
        for other, definition in self.definitions.items():
            for disk in definition.unsaid if other != uuid else ():
                self._check_known(definition.name, disk)

    def _check_known(self, name: str, disk: Unsaid) -> None:
        if disk.path and self.identities.seen(disk.path) is not None:
            paths = self.chain(disk.path)
        else:
            paths = {disk.path or ''}
        for path in paths:
            if self.identities.seen(path) is not None:
                continue
            places = [path, posixpath.dirname(path)]
            if disk.pool:
                places += [disk.pool, backing.POOLS]
            for unread in places:
                if unread in self.unread:
                    raise self.unread[unread]
            # What is gone stands on nothing; but a pool may come back.
            if disk.pool and disk.pool not in self.active:
                raise exceptions.PoolNotActive(disk.pool, name)

    def above(self, path: str) -> list[str]:
        """The paths of the volumes that are backed by *path*."""
        of = self.identities.of
        file = of(path)
        # A pool of others may still have what a volume stood on before.
        return [
            above
            for above in dict.fromkeys(v.path for v in self.volumes.values())
            if self.backing.get(of(above)) == file
        ]

    def is_newer(self, path: str, other: str) -> bool:
        """Whether *path* was written to after *other* was, by a while."""
        one, two = self._stamps.get(path), self._stamps.get(other)
        if not one or not two:
            return False
        return one.written > two.written + _CAPTURE_SECONDS

    def written_since(self, path: str) -> float | None:
        """
        When *path* was written to, if that was since anything stands on it.

        In seconds since the epoch.  Who merges a file into the one below lets
        those above know, and so writes to them later.
        """
        # An image that was not looked at tells nothing.
        above = [one for one in self.above(path) if one in self._stamps]
        if not above or not all(self.is_newer(path, one) for one in above):
            return None
        return float(self._stamps[path].written)

    def unseen(self, paths: Set[str]) -> frozenset[str]:
        """Those of *paths* that were not seen, where that could be."""
        return frozenset(
            path
            for path in paths
            if path not in self._allocations
            and self.identities.seen(path) is None
            and posixpath.dirname(path) not in self.unread
        )

    def allocation(self, path: str) -> int:
        """The bytes that the file at *path* takes; none where it is gone."""
        if path not in self._allocations:
            path = self.identities.of(path)
        return self._allocations.get(path, 0)

    @functools.cached_property
    def _allocations(self) -> Mapping[str, int]:
        of = self.identities.of
        found = {
            path: int(s.allocation or 0) for path, s in self._stamps.items()
        }
        return {of(path): size for path, size in found.items()} | found

    @functools.cached_property
    def _stamps(self) -> Mapping[str, Stamp]:
        return {v.path: v.stamp for v in self.volumes.values() if v.stamp}

    @functools.cached_property
    def far_found(self) -> Mapping[str, str]:
        """
        The images that were seen to stand on files of another directory.

        By its path, the path of the backing file of each.
        """
        unseen = self._far_paths
        return {
            path: below
            for path, below in self.leads.items()
            if folders_of([path]) != folders_of([below])
            and path not in unseen
            and posixpath.dirname(path) not in self.unread
        }

    @functools.cached_property
    def _far_paths(self) -> Set[str]:
        return {image.path for image in self.far}

    def far_on(self, paths: Set[str]) -> frozenset[str]:
        """The folders of those in ``far`` that may stand on any of *paths*."""
        if not paths or not self.far:
            return frozenset()
        of, wanted = self.identities.of, self.identities.of_all(paths)
        below = {of(image.path): of(image.base) for image in self.far}
        below |= self.backing

        def may_be(file: str | None) -> bool:
            seen = set[str]()
            while file and file not in seen and posixpath.isabs(file):
                if file in wanted or not self._is_told(file):
                    return True
                seen.add(file)
                file = below.get(file)
            return False

        return folders_of(i.path for i in self.far if may_be(of(i.base)))

    def _is_told(self, file: str) -> bool:
        """Whether a look has told what *file* is, or that it is not there."""
        folder = posixpath.dirname(file)
        is_looked_for = folder in self.folders and folder not in self.unread
        return self.identities.seen(file) is not None or is_looked_for

    def is_far(self, path: str) -> bool:
        """Whether *path* is of one in ``far``."""
        return path in self._far_paths

    def named(self) -> set[str]:
        """What any definition names, in terms of ``identities``."""
        return set[str]().union(
            *(
                self.identities.of_all(d.files)
                for d in self.definitions.values()
            )
        )

    def writers(self, path: str, but_shared: bool = False) -> list[str]:
        """
        The UUIDs of whoever may write to *path*.

        *but_shared*: without those that know that others do as well.
        """
        file = self.identities.of(path)
        return [
            uuid
            for uuid, definition in self.definitions.items()
            if file
            in self.identities.of_all(
                definition.written
                - (definition.shared if but_shared else set())
            )
        ]

    def will_do(
        self,
        paths: frozenset[str],
        freshness: contract.Freshness,
        asked: float,
        oldest: float = 0.0,
    ) -> bool:
        """
        Whether it has what was *asked* for of *paths* at that time.

        Nothing that was listed before *oldest* has.
        """
        since = {
            contract.Freshness.CACHED: self.listed + _REMEMBERED_SECONDS,
            contract.Freshness.LISTED: self.listed,
            contract.Freshness.FULL: self.read,
        }[freshness]
        if self.listed < oldest or since <= asked:
            return False
        if not folders_of(paths) <= self.folders:
            return False
        if freshness == contract.Freshness.CACHED:
            return True
        return self._carried.isdisjoint(self.chains(paths)) and not (
            self.far_on(paths)
        )

    @functools.cached_property
    def _carried(self) -> frozenset[str]:
        of = self.identities.of
        return frozenset(
            of(self.volumes[place].path) for place in self.carried
        )
