# SPDX-License-Identifier: Apache-2.0
"""
Who else is backed by the files of a domain's snapshots.

Found through the libvirt API alone: what other domains name in their chains,
and what the volumes of all active pools, and of the folders of the snapshots,
are backed by.  A delete merges into such a file, or removes it, and would
destroy whatever is backed by it.

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
from collections.abc import Iterable, Mapping, Sequence

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    domains,
    filenames,
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

# A dependent, and every file that it is backed by.
Found = tuple[contract.Dependent, set[str]]


@dataclasses.dataclass(frozen=True)
class HostFiles:
    """
    Which file of a host is backed by which.

    *backing* is the backing file of each file, and *domains* has the name and
    the files of each domain, by its UUID.  *volumes* are what that was read
    from, of all pools and of *folders*; they were last *listed*, and all
    *read*, then.
    """

    folders: frozenset[str]
    volumes: Mapping[backing.Place, backing.Backed]
    backing: Mapping[str, str]
    domains: Mapping[str, tuple[str, frozenset[str]]]
    listed: float
    read: float

    def chain(self, path: str) -> set[str]:
        """*path* and every backing file of it."""
        found: set[str] = set()
        below: str | None = path
        while below and below not in found:
            found.add(below)
            below = self.backing.get(below)
        return found

    def dependents(
        self, uuid: str, own: set[str], wanted: set[str]
    ) -> tuple[list[Found], list[tuple[str, set[str]]]]:
        """
        The other domains that are backed by a file of *wanted*.

        Besides, those files that are, each with its chain, and that no
        domain has.  *own* are the files of the domain *uuid* itself.
        """
        found: list[Found] = []
        attached = set(own)
        for other, (name, paths) in self.domains.items():
            attached |= paths
            chain = set[str]().union(*map(self.chain, paths))
            if other != uuid and chain & wanted:
                found.append((contract.Dependent(name, other), chain))
        return found, [
            (path, chain)
            for path in sorted(set(self.backing) - attached)
            if (chain := self.chain(path)) & wanted
            and not filenames.may_be_left_behind(path)
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


class Dependents:
    """The dependents of snapshots on one host."""

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
        files = {
            s.record.name: {*disks[s.record.name], *s.overlays} for s in seen
        }
        if not any(files.values()):
            return {}
        wanted = set[str]().union(*files.values())
        found = self._find(domain, seen, wanted, freshness)
        by_name = {
            name: [dependent for dependent, chain in found if chain & paths]
            for name, paths in files.items()
        }
        return {name: them for name, them in by_name.items() if them}

    def on(
        self, domain: Domain, paths: set[str], freshness: contract.Freshness
    ) -> list[contract.Dependent]:
        """Who but *domain* is backed by any of *paths*."""
        seen = snapshots.read_all(domain)
        found = self._find(domain, seen, paths, freshness)
        return [dependent for dependent, _ in found]

    def _find(
        self,
        domain: Domain,
        seen: Iterable[parsed.ParsedSnapshot],
        wanted: set[str],
        freshness: contract.Freshness,
    ) -> list[Found]:
        """All others that are backed by a file of *wanted*."""
        folders = frozenset(posixpath.dirname(path) for path in wanted)
        files = self._look(domain.host, folders, freshness)
        own = wanted | _files_of(domain, {})
        own = own.union(*(s.files for s in seen))
        uuid = domain.uuid
        found, loose = files.dependents(uuid, own, wanted)
        for path, chain in loose:
            dependent = _owner(domain.host, files, path)
            if dependent.uuid != uuid:
                found.append((dependent, chain))
        return found

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


def _look(
    host: Host, folders: frozenset[str], before: HostFiles | None
) -> HostFiles:
    """What is there now; volumes that *before* knows are not read again."""
    listed = time.monotonic()
    known: Mapping[backing.Place, backing.Backed] = {}
    if before:
        known, folders = before.volumes, folders | before.folders
    volumes = backing.of_all(host.storage, folders, known)
    return HostFiles(
        folders=folders,
        volumes=volumes,
        backing={path: below for path, below in volumes.values() if below},
        domains=_domains(host, volumes),
        listed=listed,
        read=before.read if before else listed,
    )


def _domains(
    host: Host, volumes: Mapping[backing.Place, backing.Backed]
) -> dict[str, tuple[str, frozenset[str]]]:
    paths = {place: path for place, (path, _) in volumes.items()}
    found = {}
    for domain in domains.all_of(host):
        try:
            files = frozenset(_files_of(domain, paths))
            found[domain.uuid] = domain.name, files
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return found


def _files_of(
    domain: Domain, volumes: Mapping[backing.Place, str]
) -> set[str]:
    """Every file that the definitions of *domain* name."""
    named = [named_in(domain.text())]
    # Of a domain that is off, that is its only definition.
    if named[0].running and domain.is_persistent:
        named.append(named_in(domain.text(inactive=True)))
    found = set[str]()
    for one in named:
        found |= one.files
        found |= {volumes[v] for v in one.volumes if v in volumes}
    return found


@dataclasses.dataclass(frozen=True)
class Named:
    """The *files* and *volumes* in a definition, of a *running* domain."""

    files: frozenset[str]
    volumes: frozenset[backing.Place]
    running: bool


# A text that was parsed before still says the same.
@functools.lru_cache(maxsize=1024)
def named_in(text: str) -> Named:
    """What *text*, the definition of a domain, names."""
    root = xml.parse(text)
    return Named(
        frozenset(xml.files(root)),
        frozenset(disk.volume for disk in xml.disks(root) if disk.volume),
        root.get('id') is not None,
    )


def _owner(host: Host, files: HostFiles, path: str) -> contract.Dependent:
    """Whose snapshot a file belongs to; the file itself where nobody's."""
    for uuid, (name, _) in files.domains.items():
        with contextlib.suppress(exceptions.SystemNotFound):
            domain = domains.find(host, uuid)
            if any(path in s.files for s in snapshots.read_all(domain)):
                return contract.Dependent(name, uuid)
    return contract.Dependent(path)
