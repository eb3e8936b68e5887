# SPDX-License-Identifier: Apache-2.0
"""
What the definitions of the domains of a host say of files.

Owns the reading of all of them, the live ones and those of the next start,
and the paths of disks that are named as volumes of a pool.  A pool that is
not active has its files all the same: its domains may be started tomorrow.
"""

import contextlib
import dataclasses
import functools
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import (
    backing,
    domains,
    filenames,
    pools,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host


class Unsaid(NamedTuple):
    """
    The file of a disk, of whose backing files the definition says nothing.

    *pool* is the one that it is named as a volume of, if it is; it has no
    *path* where that pool cannot be found.
    """

    path: str | None
    pool: str | None = None


@dataclasses.dataclass(frozen=True)
class Definition:
    """
    What the definitions of a domain say of files.

    *files* are all that are named, *written* those that the domain may write
    to, and *shared* those of them that it writes to beside others on purpose;
    *unsaid* are those that have to be read to know what they stand on.
    *formats* are files with the format that they are read in: raw, only where
    the guest can write to it.
    """

    name: str
    files: frozenset[str]
    written: frozenset[str] = frozenset()
    unsaid: frozenset[Unsaid] = frozenset()
    shared: frozenset[str] = frozenset()
    formats: frozenset[tuple[str, str]] = frozenset()


class Definitions:
    """The definitions of the domains of *host*: what they *say*, by UUID."""

    def __init__(self, host: Host, said: Mapping[str, '_Said']) -> None:
        self._host = host
        self._said = said

    def files(
        self, volumes: Mapping[backing.Place, str]
    ) -> dict[str, Definition]:
        """
        What each domain names, by its UUID.

        *volumes* are the paths of those that are known.
        """
        paths = _Paths(self._host, volumes)
        return {
            uuid: _resolve(said, paths) for uuid, said in self._said.items()
        }


def read(host: Host) -> Definitions:
    """The definitions of all domains of *host*."""
    found = {}
    for domain in domains.all_of(host):
        # What merges the files of a system writes to them in its place; a
        # clone only has overlays, and nothing is merged while it is there.
        if filenames.is_own_domain(domain.uuid):
            continue
        with vanished():
            found[domain.uuid] = _read(domain)
    return Definitions(host, found)


def files_of(domain: Domain) -> frozenset[str]:
    """Every file that the definitions of *domain* name."""
    return _resolve(_read(domain), _Paths(domain.host, {})).files


@contextlib.contextmanager
def vanished() -> Iterator[None]:
    """Mind no domain that is undefined meanwhile."""
    try:
        yield
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


class _Paths:
    """The paths of volumes; each pool is asked for its folder once."""

    def __init__(self, host: Host, known: Mapping[backing.Place, str]) -> None:
        self._host = host
        self._known = known
        self._folders: dict[str, str | None] = {}

    def of(self, volume: backing.Place) -> str | None:
        """The path of *volume*; None where its pool cannot be found."""
        pool, name = volume
        if volume in self._known:
            return self._known[volume]
        if pool not in self._folders:
            self._folders[pool] = self._folder(pool)
        folder = self._folders[pool]
        return folder and posixpath.join(folder, name)

    def _folder(self, pool: str) -> str | None:
        storage = self._host.storage
        with contextlib.suppress(exceptions.NotAnswering):
            return storage.ask(
                pool, lambda: pools.folder_of(storage.connection, pool)
            )
        return None


class _Said(NamedTuple):
    """The *texts* of a domain; of one that hangs, the files *noted* of it."""

    name: str
    texts: Sequence[str]
    noted: frozenset[str] = frozenset()


def _read(domain: Domain) -> _Said:
    try:
        return _Said(domain.name, _texts(domain))
    except exceptions.NotAnswering:
        # One whose QEMU hangs is in nobody's way; what it stands on is known.
        return _Said(domain.name, (), frozenset(domain.noted_files()))


def _resolve(domain: _Said, paths: _Paths) -> Definition:
    files, written, shared = set(domain.noted), set[str](), set[str]()
    said, unsaid = set[Unsaid](), set[Unsaid]()
    # How one that hangs reads its files is not known.
    formats = {(path, '') for path in domain.noted}
    for text in domain.texts:
        named = _named_in(text)
        files |= named.files
        for disk in named.tops:
            path = paths.of(disk.volume) if disk.volume else disk.path
            if path:
                files.add(path)
            if path and disk.is_written:
                written.add(path)
            if path and disk.is_shared:
                shared.add(path)
            if path and disk.format:
                formats.add((path, disk.format))
            if path or disk.volume:
                pool = disk.volume[0] if disk.volume else None
                (said if disk.is_said else unsaid).add(Unsaid(path, pool))
    return Definition(
        domain.name,
        frozenset(files),
        frozenset(written),
        frozenset(unsaid - said),
        frozenset(shared),
        frozenset(formats),
    )


def _texts(domain: Domain) -> list[str]:
    texts = [domain.text()]
    # Of a domain that is off, that is its only definition.
    if _named_in(texts[0]).running and domain.is_persistent:
        texts.append(domain.text(inactive=True))
    return texts


class _Top(NamedTuple):
    """
    The file of a disk.

    *is_written*: the domain may write to it; *is_shared*: as others do.
    *is_said*: what it stands on is in the definition as well.  *format* is
    None where the definition says nothing of who has written the file.
    """

    path: str | None
    volume: backing.Place | None
    is_written: bool
    is_shared: bool
    is_said: bool
    format: str | None


class _Named(NamedTuple):
    """The *files* and *tops* in a definition, of a *running* domain."""

    files: frozenset[str]
    tops: tuple[_Top, ...]
    running: bool


# A text that was parsed before still says the same.
@functools.lru_cache(maxsize=1024)
def _named_in(text: str) -> _Named:
    """What *text*, the definition of a domain, names."""
    root = xml.parse(text)
    running = xml.is_running(root)
    tops = tuple(
        _Top(
            disk.path or disk.block,
            disk.volume,
            disk.is_captured,
            disk.shareable,
            # What libvirt writes down of a chain without a guest may be old.
            # Whatever a device holds, it is looked at by its pool alone.
            running or disk.format == 'raw' or disk.block is not None,
            # Whoever reads an image as it is, such as a backup, has not made
            # it.
            disk.format if disk.is_captured or disk.format != 'raw' else None,
        )
        for disk in xml.disks(root)
    )
    files = {*xml.files(root), *xml.devices(root)}
    return _Named(frozenset(files), tops, running)
