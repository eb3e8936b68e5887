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
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    domains,
    filenames,
    identities,
    parsed,
    snapshots,
    xml,
)
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
class Definition:
    """
    What the definitions of a domain say of files.

    *files* are all that are named, *written* those that the domain may write
    to, with the target of their disk.
    """

    name: str
    files: frozenset[str]
    written: frozenset[tuple[str, str]] = frozenset()


@dataclasses.dataclass(frozen=True)
class HostFiles:
    """
    Which file of a host is backed by which.

    *definitions* has what each domain names, by its UUID.  *volumes* are what
    was read, of all pools and of *folders*; they were last *listed*, and all
    *read*, then.
    """

    folders: frozenset[str]
    volumes: Mapping[backing.Place, backing.Backed]
    definitions: Mapping[str, Definition]
    listed: float
    read: float
    is_certain: bool = False

    @property
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
        attached = self.identities.of_all(own)
        wanted = self.identities.of_all(wanted)
        for other, definition in self.definitions.items():
            attached |= self.identities.of_all(definition.files)
            chain = self.chains(definition.files)
            if other != uuid and chain & wanted:
                found.append(
                    (contract.Dependent(definition.name, other), chain)
                )
        return found, [
            (path, chain)
            for path in sorted(set(self.backing) - attached)
            if (chain := self.chain(path)) & wanted
        ]

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
        """What is known of the host of *paths*."""
        folders = frozenset(posixpath.dirname(path) for path in paths)
        return self._look(host, folders, freshness)

    def _find(
        self,
        domain: Domain,
        seen: Iterable[parsed.ParsedSnapshot],
        wanted: set[str],
        freshness: contract.Freshness,
    ) -> tuple[HostFiles, list[Found]]:
        """All others that are backed by a file of *wanted*."""
        files = self.files(domain.host, wanted, freshness)
        own = wanted | _definition(domain, {}).files
        own = own.union(*(s.files for s in seen))
        uuid = domain.uuid
        found, loose = files.dependents(uuid, own, wanted)
        for path, chain in loose:
            # A pool of others may list files that are gone.
            if not domain.host.storage.exists(path) or _is_left_behind(
                domain.host, path
            ):
                continue
            dependent = _owner(domain.host, files, path)
            if dependent.uuid != uuid:
                found.append((dependent, chain))
        return files, found

    def _look(
        self,
        host: Host,
        folders: frozenset[str],
        freshness: contract.Freshness,
    ) -> HostFiles:
        asked = time.monotonic()
        lock = self._locks[freshness == contract.Freshness.FULL]
        if freshness == contract.Freshness.CACHED and lock.locked():
            asked -= _WHILE_LOOKING_SECONDS
        known = self._known
        if known and known.will_do(folders, freshness, asked):
            return known
        with lock:
            known = self._known
            # Another thread may have looked meanwhile.
            if not known or not known.will_do(folders, freshness, asked):
                full = freshness == contract.Freshness.FULL
                known = _look(host, folders, None if full else known)
                self._known = known
            return known


# Looking ---------------------------------------------------------------------


def of_now(host: Host, paths: Iterable[str]) -> HostFiles:
    """What there is on the host of *paths*, all of it looked at anew."""
    return _look(host, frozenset(map(posixpath.dirname, paths)), None)


def _look(
    host: Host, folders: frozenset[str], before: HostFiles | None
) -> HostFiles:
    """What is there now; volumes that *before* knows are not read again."""
    listed = time.monotonic()
    known: Mapping[backing.Place, backing.Backed] = {}
    if before:
        known, folders = before.volumes, folders | before.folders
    asked = folders | _named_folders(host)
    found = backing.of_all(host.storage, asked, known)
    for _ in range(_MOST_ROUNDS):
        # What a file stands on may lie elsewhere.
        more = _unseen(found, asked)
        if not more:
            break
        asked |= more
        found |= backing.of_all(host.storage, more, found)
    return HostFiles(
        folders=asked,
        volumes=found,
        definitions=_definitions(host, found),
        listed=listed,
        read=before.read if before else listed,
    )


def _named_folders(host: Host) -> frozenset[str]:
    """The folders of all files that any definition names."""
    found = set()
    for domain in domains.all_of(host):
        with _vanished():
            found |= {posixpath.dirname(path) for path in _files(domain)}
    return frozenset(found)


def _files(domain: Domain) -> Set[str]:
    try:
        named = [_named_in(text).files for text in _texts(domain)]
        return frozenset().union(*named)
    except exceptions.NotAnswering:
        return domain.disk_files()


def _unseen(
    volumes: Mapping[backing.Place, backing.Backed], asked: Set[str]
) -> frozenset[str]:
    """The folders of backing files that were not looked into yet."""
    seen = {posixpath.dirname(volume.path) for volume in volumes.values()}
    below = {
        posixpath.dirname(volume.below)
        for volume in volumes.values()
        if volume.below and posixpath.isabs(volume.below)
    }
    return frozenset(below - seen - asked)


def _definitions(
    host: Host, volumes: Mapping[backing.Place, backing.Backed]
) -> dict[str, Definition]:
    paths = {place: volume.path for place, volume in volumes.items()}
    found = {}
    for domain in domains.all_of(host):
        # What merges the files of a system writes to them in its place.
        if filenames.is_merger(domain.uuid):
            continue
        with _vanished():
            found[domain.uuid] = _definition(domain, paths)
    return found


@contextlib.contextmanager
def _vanished() -> Iterator[None]:
    """Mind no domain that is undefined meanwhile."""
    try:
        yield
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def _definition(
    domain: Domain, volumes: Mapping[backing.Place, str]
) -> Definition:
    """What the definitions of *domain* name."""
    files, written = set[str](), set[tuple[str, str]]()
    try:
        texts = _texts(domain)
    except exceptions.NotAnswering:
        # One whose QEMU hangs is in nobody's way; what it stands on is known.
        found = frozenset(domain.disk_files())
        return Definition(domain.name, found, frozenset())
    for text in texts:
        named = _named_in(text)
        files |= named.files
        written |= named.written
        for target, volume, is_written in named.volumes:
            if volume in volumes:
                files.add(volumes[volume])
                if is_written:
                    written.add((target, volumes[volume]))
    return Definition(domain.name, frozenset(files), frozenset(written))


def _texts(domain: Domain) -> list[str]:
    texts = [domain.text()]
    # Of a domain that is off, that is its only definition.
    if _named_in(texts[0]).running and domain.is_persistent:
        texts.append(domain.text(inactive=True))
    return texts


@dataclasses.dataclass(frozen=True)
class Named:
    """
    The *files* and *volumes* in a definition, of a *running* domain.

    *written* are the targets and files of the disks that are written to; of
    each volume there is the target, where it is, and whether it is one.
    """

    files: frozenset[str]
    written: frozenset[tuple[str, str]]
    volumes: frozenset[tuple[str, backing.Place, bool]]
    running: bool


# A text that was parsed before still says the same.
@functools.lru_cache(maxsize=1024)
def _named_in(text: str) -> Named:
    """What *text*, the definition of a domain, names."""
    root = xml.parse(text)
    return Named(
        frozenset(xml.files(root)),
        frozenset(
            (disk.target, disk.path)
            for disk in xml.disks(root)
            if disk.path and disk.is_captured and not disk.shareable
        ),
        frozenset(
            (disk.target, disk.volume, disk.is_captured and not disk.shareable)
            for disk in xml.disks(root)
            if disk.volume
        ),
        root.get('id') is not None,
    )


def _is_left_behind(host: Host, path: str) -> bool:
    """Whether a file is an overlay of ours that holds nothing."""
    return filenames.is_ours(path) and not host.storage.is_written(path)


def _owner(host: Host, files: HostFiles, path: str) -> contract.Dependent:
    """Whose snapshot a file belongs to; the file itself where nobody's."""
    of = files.identities.of
    for uuid, definition in files.definitions.items():
        with contextlib.suppress(exceptions.SystemNotFound):
            domain = domains.find(host, uuid)
            for seen in snapshots.read_all(domain):
                if any(of(named) == path for named in seen.files):
                    return contract.Dependent(definition.name, uuid)
    return contract.Dependent(path)
