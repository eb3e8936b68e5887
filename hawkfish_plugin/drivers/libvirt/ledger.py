# SPDX-License-Identifier: Apache-2.0
"""
The files of a host: who names them, and what stands on them.

All checks that compare files ask this.  It is computed from what libvirt says
now: the definitions of all domains, live and for the next start, and the
volumes of all active pools and of every folder that anything names.  Files are
told apart by what they are, not by how their paths are spelled
(``identities``).

What was found is kept in one record, with the times when it was listed and
when all of it was read.  The caller decides how old either may be, so this is
no cache whose entries expire by themselves.
"""

import contextlib
import dataclasses
import functools
import posixpath
import threading
import time
from collections.abc import Iterable, Mapping, Sequence, Set

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    definitions,
    domains,
    filenames,
    identities,
    parsed,
    snapshots,
)
from hawkfish_plugin.drivers.libvirt.definitions import Definition, Unsaid
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host

# Each look costs a call for every volume and every domain of the host.
_REMEMBERED_SECONDS = 10.0
# How much older it may be for a list while another thread looks anew.
_WHILE_LOOKING_SECONDS = 20.0
# How often what stands below the files that were found is looked for.
_MOST_ROUNDS = 8

# A dependent, and every file that it is backed by.
Found = tuple[contract.Dependent, set[str]]


@dataclasses.dataclass(frozen=True)
class HostFiles:
    """
    Which file of a host is backed by which.

    *definitions* has what each domain names, by its UUID.  *volumes* are what
    was read, of the *active* pools and of *folders*; they were last *listed*,
    and all *read*, then.  *unread* is why a pool, a folder or a file was not.
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

    @functools.cached_property
    def certain(self) -> 'HostFiles':
        """The same, where no two files may be taken for one."""
        return dataclasses.replace(self, is_certain=True)

    @functools.cached_property
    def identities(self) -> identities.Identities:
        stamps = ((v.path, v.stamp) for v in self.volumes.values())
        return identities.Identities(stamps, self.is_certain)

    @functools.cached_property
    def backing(self) -> Mapping[str, str]:
        """The backing file of each file, in terms of ``identities``."""
        of = self.identities.of
        return {
            of(volume.path): of(volume.below)
            for volume in self.volumes.values()
            if volume.below
        }

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

    def dependents(
        self, uuid: str, own: Set[str], wanted: Set[str]
    ) -> tuple[list[Found], list[tuple[str, set[str]]]]:
        """
        The other domains that are backed by a file of *wanted*.

        Besides, those files that are, each with its chain, and that no
        domain has.  *own* are the files of the domain *uuid* itself.
        """
        found: list[Found] = []
        # Whose file is taken for another one's is lost.
        certain = self.certain.identities
        attached = certain.all_seen(own)
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

    def check_known(self, uuid: str) -> None:
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
            for unread in (path, posixpath.dirname(path), disk.pool or path):
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

    def named(self) -> set[str]:
        """What any definition names, in terms of ``identities``."""
        return set[str]().union(
            *(
                self.identities.of_all(d.files)
                for d in self.definitions.values()
            )
        )

    def writers(self, path: str) -> list[tuple[str, str]]:
        """The UUIDs and the targets of whoever may write to *path*."""
        file = self.identities.of(path)
        return [
            (uuid, target)
            for uuid, definition in self.definitions.items()
            for target, written in definition.written
            if self.identities.of(written) == file
        ]

    def will_do(
        self,
        folders: frozenset[str],
        freshness: contract.Freshness,
        asked: float,
    ) -> bool:
        """Whether it has what was *asked* for at that time."""
        since = {
            contract.Freshness.CACHED: self.listed + _REMEMBERED_SECONDS,
            contract.Freshness.LISTED: self.listed,
            contract.Freshness.FULL: self.read,
        }[freshness]
        return folders <= self.folders and since > asked


class Ledger:
    """The files of one host."""

    def __init__(self) -> None:
        # A list need not wait for the deletes that read everything.
        self._locks = {
            reads_all: threading.Lock() for reads_all in (False, True)
        }
        self._known: HostFiles | None = None

    def of(
        self,
        domain: Domain,
        seen: Sequence[parsed.ParsedSnapshot],
        disks: Mapping[str, Sequence[str]],
        freshness: contract.Freshness,
    ) -> dict[str, list[contract.Dependent]]:
        """
        Who is backed by the files of which snapshots of *domain*.

        *seen* are all of these, *disks* the files of each.
        """
        paths = {
            s.record.name: {*disks[s.record.name], *s.overlays} for s in seen
        }
        if not any(paths.values()):
            return {}
        wanted = set[str]().union(*paths.values())
        files, found = self._find(domain, seen, wanted, freshness)
        by_name = {
            name: [
                dependent
                for dependent, chain in found
                if chain & files.identities.of_all(held)
            ]
            for name, held in paths.items()
        }
        return {name: them for name, them in by_name.items() if them}

    def on(
        self, domain: Domain, paths: set[str], freshness: contract.Freshness
    ) -> list[contract.Dependent]:
        """Who but *domain* is backed by any of *paths*."""
        seen = snapshots.read_all(domain)
        _, found = self._find(domain, seen, paths, freshness)
        return [dependent for dependent, _ in found]

    def files(
        self,
        host: Host,
        paths: Iterable[str],
        freshness: contract.Freshness,
    ) -> HostFiles:
        """What is known of the host of *paths*, which are read anew."""
        return self._look(host, frozenset(paths), freshness)

    def _find(
        self,
        domain: Domain,
        seen: Iterable[parsed.ParsedSnapshot],
        wanted: set[str],
        freshness: contract.Freshness,
    ) -> tuple[HostFiles, list[Found]]:
        """All others that are backed by a file of *wanted*."""
        seen, uuid = [*seen], domain.uuid
        own = wanted | definitions.files_of(domain)
        own = own.union(*(s.files for s in seen))
        files = self.files(domain.host, wanted, freshness)
        if freshness != contract.Freshness.CACHED:
            files.check_known(uuid)
        found, loose = files.dependents(uuid, own, wanted)
        for path, chain in loose:
            if not holds_data(domain.host, path):
                continue
            dependent = _owner(domain.host, files, path)
            if dependent.uuid != uuid:
                found.append((dependent, chain))
        return files, found

    def _look(
        self,
        host: Host,
        paths: frozenset[str],
        freshness: contract.Freshness,
    ) -> HostFiles:
        asked = time.monotonic()
        folders = _folders(paths)
        full = freshness == contract.Freshness.FULL
        lock = self._locks[full]
        if freshness == contract.Freshness.CACHED and lock.locked():
            asked -= _WHILE_LOOKING_SECONDS
        known = self._known
        if known and known.will_do(folders, freshness, asked):
            return known
        with lock:
            known = self._known
            # Another thread may have looked meanwhile.
            if not known or not known.will_do(folders, freshness, asked):
                known = _look(host, paths, known, full)
                self._known = known
            return known


# Looking ---------------------------------------------------------------------


def of_now(host: Host, paths: Iterable[str]) -> HostFiles:
    """What there is on the host of *paths*, all of it looked at anew."""
    return _look(host, frozenset(paths), None, True)


def _folders(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(map(posixpath.dirname, filter(posixpath.isabs, paths)))


def _look(
    host: Host, paths: frozenset[str], before: HostFiles | None, full: bool
) -> HostFiles:
    """
    What there is now.

    *before* is what was found last.  Unless all is to be read in *full*, what
    nothing names is not read again while no strange file appears: two stamps
    tell of one file only if both are of now.
    """
    listed = time.monotonic()
    former = before.volumes if before else {}
    named = _named(host, former)
    asked = _folders(paths | named)
    known: Mapping[backing.Place, backing.Backed] = {}
    if before and not full:
        asked |= before.folders
        known = _unnamed(before, paths, named)
    found, folders = _read(host, asked, known, former)
    if known and _has_strange(found.found, former):
        known = {}
        found, folders = _read(host, asked, known, former)
    return HostFiles(
        folders=folders,
        volumes=found.found,
        definitions=definitions.all_of(host, _paths(found.found)),
        listed=listed,
        read=before.read if before and known else listed,
        unread=found.unread,
        active=found.active,
    )


def _paths(
    volumes: Mapping[backing.Place, backing.Backed],
) -> dict[backing.Place, str]:
    return {place: volume.path for place, volume in volumes.items()}


def _named(
    host: Host, volumes: Mapping[backing.Place, backing.Backed]
) -> frozenset[str]:
    """All files that any definition names."""
    found = definitions.all_of(host, _paths(volumes)).values()
    return frozenset[str]().union(*(d.files for d in found))


def _unnamed(
    before: HostFiles, paths: Set[str], named: Set[str]
) -> dict[backing.Place, backing.Backed]:
    """What need not be read again, as it has nothing to do with *paths*."""
    of = before.identities.of
    again = before.chains(paths) | before.identities.of_all(named)
    return {
        place: volume
        for place, volume in before.volumes.items()
        if of(volume.path) not in again
    }


def _has_strange(
    found: Mapping[backing.Place, backing.Backed],
    former: Mapping[backing.Place, backing.Backed],
) -> bool:
    """Whether a file has appeared that may be another path of a former one."""
    names = {name for _, name in former}
    return any(
        # A name of ours is given once.
        not filenames.is_ours(place[1]) or place[1] in names
        for place in found.keys() - former.keys()
    )


def _read(
    host: Host,
    folders: frozenset[str],
    known: Mapping[backing.Place, backing.Backed],
    former: Mapping[backing.Place, backing.Backed],
) -> tuple[backing.Volumes, frozenset[str]]:
    """
    What is in all pools, in *folders*, and wherever that leads to.

    Besides, all folders that were looked into.
    """
    all_of = backing.of_all(host.storage, folders, known, former)
    for _ in range(_MOST_ROUNDS):
        # What a file stands on may lie elsewhere.
        more = _unseen(all_of.found, folders)
        if not more:
            break
        folders |= more
        found = backing.of_all(host.storage, more, all_of.found, former)
        all_of.found.update(found.found)
        all_of.unread.update(found.unread)
    return all_of, folders


def _unseen(
    volumes: Mapping[backing.Place, backing.Backed], asked: Set[str]
) -> frozenset[str]:
    """The folders of backing files that were not looked into yet."""
    seen = {posixpath.dirname(volume.path) for volume in volumes.values()}
    below = {v.below for v in volumes.values() if v.below}
    return _folders(below) - seen - asked


def holds_data(host: Host, path: str) -> bool:
    """Whether the file at *path* is there, and no empty overlay of ours."""
    # A pool of others may list files that are gone.
    return host.storage.exists(path) and not _is_left_behind(host, path)


def _is_left_behind(host: Host, path: str) -> bool:
    """Whether a file is an overlay of ours that holds nothing."""
    return filenames.is_ours(path) and not host.storage.is_written(path)


def _owner(host: Host, files: HostFiles, path: str) -> contract.Dependent:
    """Whose snapshot a file belongs to; the file itself where nobody's."""
    # Not by its name alone: it may be a copy.
    of = files.certain.identities
    for uuid, definition in files.definitions.items():
        with contextlib.suppress(exceptions.SystemNotFound):
            domain = domains.find(host, uuid)
            for seen in snapshots.read_all(domain):
                if path in of.all_seen(seen.files):
                    return contract.Dependent(definition.name, uuid)
    return contract.Dependent(path)
