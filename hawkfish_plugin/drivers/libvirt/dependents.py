# SPDX-License-Identifier: Apache-2.0
"""
Who else is backed by the files of a domain's snapshots.

Found through the libvirt API alone: what other domains name in their chains,
and what the volumes of all active pools, and of the folders of the snapshots,
are backed by.  A delete merges into such a file, or removes it, and would
take the ground from under whoever stands on it.
"""

import contextlib
import dataclasses
import functools
import posixpath
import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    connections,
    parsed,
    snapshots,
    storage,
    xml,
)

# Each look costs a call for every volume and every domain of the host.
_REMEMBERED_SECONDS = 10.0
# How much older it may be for a list while another thread looks anew.
_WHILE_LOOKING_SECONDS = 20.0

# What a broken-off operation has left, of this plugin or of a revert.
_LEFTOVER = re.compile(r'hawkfish-[0-9a-f]{12}-.*|.*\.\d{10}')


@dataclasses.dataclass(frozen=True)
class Host:
    """
    What stands on what: the *backing* file of each file, and name and files
    of each domain, by its UUID.  *volumes* are what that was read from, of
    all pools and of *folders*; they were last *listed*, and all *read*, then.
    """

    folders: frozenset[str]
    volumes: Mapping[storage.Place, storage.Layers]
    backing: Mapping[str, str]
    domains: Mapping[str, tuple[str, frozenset[str]]]
    listed: float
    read: float

    def chain(self, path: str) -> set[str]:
        """*path* and every file below it."""
        found: set[str] = set()
        below: str | None = path
        while below and below not in found:
            found.add(below)
            below = self.backing.get(below)
        return found


class Dependents:
    """The dependents of snapshots on one host."""

    def __init__(self) -> None:
        # A list need not wait for the deletes that read everything.
        self._locks = {
            reads_all: threading.Lock() for reads_all in (False, True)
        }
        self._host: Host | None = None

    def of(
        self,
        connection: Any,
        domain: Any,
        read: Sequence[parsed.ParsedSnapshot],
        disks: Mapping[str, Sequence[str]],
        freshness: contract.Freshness,
    ) -> dict[str, list[contract.Dependent]]:
        """
        Who is backed by the files of which snapshots of *domain*.

        *read* are all of these, *disks* the files of each.
        """
        files = {
            s.record.name: {*disks[s.record.name], *filter(None, s.overlays)}
            for s in read
        }
        if not any(files.values()):
            return {}
        wanted = set[str]().union(*files.values())
        users = self._users(connection, domain, read, wanted, freshness)
        return {
            name: found
            for name, paths in files.items()
            if (
                found := [
                    dependent for dependent, chain in users if chain & paths
                ]
            )
        }

    def on(
        self,
        connection: Any,
        domain: Any,
        paths: set[str],
        freshness: contract.Freshness,
    ) -> list[contract.Dependent]:
        """Who but *domain* is backed by any of *paths*."""
        read = snapshots.read_all(domain)
        users = self._users(connection, domain, read, paths, freshness)
        return [dependent for dependent, _ in users]

    def _users(
        self,
        connection: Any,
        domain: Any,
        read: Sequence[parsed.ParsedSnapshot],
        wanted: set[str],
        freshness: contract.Freshness,
    ) -> Sequence[tuple[contract.Dependent, set[str]]]:
        folders = frozenset(posixpath.dirname(path) for path in wanted)
        host = self._look(connection, folders, freshness)
        own = wanted | _files_of(domain, {})
        own = own.union(*(s.named for s in read))
        return _users(connection, host, own, wanted, domain.UUIDString())

    def _look(
        self,
        connection: Any,
        folders: frozenset[str],
        freshness: contract.Freshness,
    ) -> Host:
        asked = time.monotonic()
        lock = self._locks[freshness == contract.Freshness.FULL]
        if freshness == contract.Freshness.CACHED and lock.locked():
            asked -= _WHILE_LOOKING_SECONDS
        host = self._host
        if host and _will_do(host, folders, freshness, asked):
            return host
        with lock:
            host = self._host
            # Another thread may have looked meanwhile.
            if not host or not _will_do(host, folders, freshness, asked):
                before = None if freshness == contract.Freshness.FULL else host
                self._host = host = _look(connection, folders, before)
            return host


def _will_do(
    host: Host,
    folders: frozenset[str],
    freshness: contract.Freshness,
    asked: float,
) -> bool:
    """Whether *host* has what was *asked* for at that time."""
    return (
        folders <= host.folders
        and {
            contract.Freshness.CACHED: host.listed
            > asked - _REMEMBERED_SECONDS,
            contract.Freshness.LISTED: host.listed > asked,
            contract.Freshness.FULL: host.read > asked,
        }[freshness]
    )


def _look(
    connection: Any, folders: frozenset[str], before: Host | None
) -> Host:
    """What is there now; volumes that *before* knows are not read again."""
    listed = time.monotonic()
    known: Mapping[storage.Place, storage.Layers] = {}
    if before:
        known, folders = before.volumes, folders | before.folders
    volumes = storage.layers(connection, folders, known)
    paths = {place: path for place, (path, _) in volumes.items()}
    backing = {path: below for path, below in volumes.values() if below}
    domains = {}
    for domain in connection.listAllDomains():
        try:
            domains[domain.UUIDString()] = (
                domain.name(),
                frozenset(_files_of(domain, paths)),
            )
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    read = before.read if before else listed
    return Host(folders, volumes, backing, domains, listed, read)


def _files_of(domain: Any, volumes: Mapping[storage.Place, str]) -> set[str]:
    """Every file that the definitions of *domain* name."""
    named = [_named_in(domain.XMLDesc(0))]
    # Of a domain that is off, that is its only definition.
    if named[0].running and domain.isPersistent():
        named.append(
            _named_in(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        )
    found = set[str]()
    for one in named:
        found |= one.files
        found |= {volumes[v] for v in one.volumes if v in volumes}
    return found


@dataclasses.dataclass(frozen=True)
class _Named:
    """The *files* and *volumes* in a definition, of a *running* domain."""

    files: frozenset[str]
    volumes: frozenset[storage.Place]
    running: bool


# A text that was read before still says the same.
@functools.lru_cache(maxsize=1024)
def _named_in(text: str) -> _Named:
    root = xml.parse(text)
    return _Named(
        frozenset(xml.chain(root)),
        frozenset(disk.volume for disk in xml.disks(root) if disk.volume),
        root.get('id') is not None,
    )


def _users(
    connection: Any, host: Host, own: set[str], wanted: set[str], uuid: str
) -> Sequence[tuple[contract.Dependent, set[str]]]:
    """
    All others that stand on a file of *wanted*, with all they stand on.

    *own* are the files of the domain *uuid* itself.
    """
    found: list[tuple[contract.Dependent, set[str]]] = []
    attached = set(own)
    for other, (name, paths) in host.domains.items():
        attached |= paths
        chain = set[str]().union(*map(host.chain, paths))
        if other != uuid and chain & wanted:
            found.append((contract.Dependent(name, other), chain))
    for path in sorted(set(host.backing) - attached):
        chain = host.chain(path)
        leftover = _LEFTOVER.fullmatch(posixpath.basename(path))
        if chain & wanted and not leftover:
            dependent = _owner(connection, host, path) or contract.Dependent(
                path
            )
            if dependent.uuid != uuid:
                found.append((dependent, chain))
    return found


def _owner(
    connection: Any, host: Host, path: str
) -> contract.Dependent | None:
    """Whose snapshot a file belongs to."""
    for uuid, (name, _) in host.domains.items():
        with contextlib.suppress(exceptions.SystemNotFound):
            domain = connections.find(connection, uuid)
            if any(path in s.named for s in snapshots.read_all(domain)):
                return contract.Dependent(name, uuid)
    return None
