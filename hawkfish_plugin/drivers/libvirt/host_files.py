# SPDX-License-Identifier: Apache-2.0
"""
What is known of the files of a host: one record of the ledger.

Owns what follows from it: which file is backed by which, who is backed by a
file, who writes to one, and where that is not known.  Looks at nothing.
"""

import dataclasses
import functools
import posixpath
from collections.abc import Iterable, Mapping, Set

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import backing, identities
from hawkfish_plugin.drivers.libvirt.definitions import Definition, Unsaid
from hawkfish_plugin.drivers.libvirt.identities import Stamp

# Each look costs a call for every volume and every domain of the host.
_REMEMBERED_SECONDS = 10.0
# What QEMU may need to leave a file for the overlay that was made over it.
_CAPTURE_SECONDS = 1

# A dependent, and every file that it is backed by.
Found = tuple[contract.Dependent, set[str]]


def folders_of(paths: Iterable[str]) -> frozenset[str]:
    """The folders of those of *paths* that are no names of the network."""
    return frozenset(map(posixpath.dirname, filter(posixpath.isabs, paths)))


@dataclasses.dataclass(frozen=True)
class HostFiles:
    """
    Which file of a host is backed by which.

    *definitions* has what each domain names, by its UUID.  *volumes* are what
    was read, of the *active* pools and of *folders*; they were last *listed*,
    and all *read*, then; those *carried* over were not read since.  *unread*
    is why a pool, a folder or a file was not.  *device_paths* has one path
    for all of each device.
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
        of = self.identities.of
        raw = self._raw()
        return {
            file: volume.below
            for volume in self.volumes.values()
            if volume.below and (file := of(volume.path)) not in raw
        }

    def _raw(self) -> set[str]:
        """
        What guests write to as raw, and nobody reads as anything else.

        Told by the definitions, and by the headers of those files that QEMU
        alone has written, as these are never read as raw.
        """
        of, formats = self.identities.of, dict[str, set[str]]()
        for definition in self.definitions.values():
            for path, kind in definition.formats:
                formats.setdefault(of(path), set()).add(kind)
        volumes = {of(v.path): v for v in self.volumes.values() if v.below}
        pending = [*formats]
        while pending:
            file = pending.pop()
            volume, said = volumes.get(file), formats[file]
            if volume is None or not volume.below or said & {'raw', ''}:
                continue
            below, kind = of(volume.below), volume.kind or ''
            known = formats.setdefault(below, set())
            if kind not in known:
                known.add(kind)
                pending.append(below)
        return {file for file, said in formats.items() if said == {'raw'}}

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
        above = self.above(path)
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
    def far(self) -> Mapping[str, str]:
        """
        The images that stand on files of another directory.

        By its path, the path of the backing file of each.
        """
        of, below = self.identities.of, self.below
        # Somebody's pool may have what an image stood on before.
        fresh_last = sorted(
            self.volumes.items(), key=lambda item: posixpath.isabs(item[0][0])
        )
        return {
            volume.path: volume.below
            for _, volume in fresh_last
            if volume.below
            and folders_of([volume.path]) != folders_of([volume.below])
            # What a guest has written leads nowhere.
            and of(volume.path) in below
        }

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
        is_cached = freshness == contract.Freshness.CACHED
        return is_cached or self._carried.isdisjoint(self.chains(paths))

    @functools.cached_property
    def _carried(self) -> frozenset[str]:
        of = self.identities.of
        return frozenset(
            of(self.volumes[place].path) for place in self.carried
        )
