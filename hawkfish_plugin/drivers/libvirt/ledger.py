# SPDX-License-Identifier: Apache-2.0
"""
The files of a host: who names them, and what stands on them.

All checks that compare files ask this.  It is computed from what libvirt says
now: the definitions of all domains, live and for the next start, and the
volumes of all active pools, of every folder that anything names, and of those
in which an image was seen before that stands on another folder's
(``far_images``).  Files are told apart by what they are, not by how their
paths are spelled (``identities``).

What was found is kept in one record, with the times when it was listed and
when all of it was read.  The caller decides how old either may be, so this is
no cache whose entries expire by themselves.
"""

import contextlib
import posixpath
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    definitions,
    devices,
    domains,
    filenames,
    parsed,
    snapshots,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.host_files import (
    Found,
    HostFiles,
    folders_of,
)
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.sharing import FarImage

# How much older it may be for a list while another thread looks anew.
_WHILE_LOOKING_SECONDS = 20.0
# How long the look of another thread is waited for; in one, whatever hangs is
# given up after a minute.
_TURN_SECONDS = 120.0
# How often what stands below the files that were found is looked for.
_MOST_ROUNDS = 8


class Ledger:
    """The files of one host."""

    def __init__(self) -> None:
        # A list need not wait for the deletes that read everything.
        self._locks = {
            reads_all: threading.Lock() for reads_all in (False, True)
        }
        self._known: HostFiles | None = None
        self._outdated = 0.0
        self._missed: tuple[HostFiles | None, frozenset[str]] = (
            None,
            frozenset(),
        )

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

    def written(
        self, domain: Domain, disks: Mapping[str, Sequence[str]]
    ) -> dict[str, tuple[str, float]]:
        """
        Those of *disks*, by snapshot, that were written to since.

        The first file of each, and when in seconds since the epoch.
        """
        paths = frozenset(path for held in disks.values() for path in held)
        files = self._look(domain.host, paths, contract.Freshness.CACHED)
        return {
            name: (path, moment)
            for name, held in disks.items()
            for path in reversed(held)
            if (moment := files.written_since(path)) is not None
        }

    def on(
        self, domain: Domain, paths: set[str], freshness: contract.Freshness
    ) -> list[contract.Dependent]:
        """Who but *domain* is backed by any of *paths*."""
        seen = snapshots.read_all(domain)
        _, found = self._find(domain, seen, paths, freshness)
        return [dependent for dependent, _ in found]

    def all_of(self, host: Host, paths: Set[str]) -> HostFiles:
        """What is known of the host, with *paths* as far as they are there."""
        known = self._look(host, frozenset(paths), contract.Freshness.CACHED)
        if not known.unseen(paths) <= self._gone(known):
            # Another process may have made a snapshot.
            listed = contract.Freshness.LISTED
            known = self._look(host, frozenset(paths), listed)
            self._missed = known, known.unseen(paths)
        return known

    def _gone(self, known: HostFiles) -> frozenset[str]:
        """What was looked for when *known* was found, and is not there."""
        looked, missed = self._missed
        return missed if looked is known else frozenset()

    def outdate(self) -> None:
        """Look again, as an operation may have changed what was seen."""
        self._outdated = time.monotonic()

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
        # A look tells what the definitions are, too.
        files = self.files(domain.host, wanted, freshness)
        own = wanted | definitions.files_of(domain)
        own = own.union(*(s.files for s in seen))
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
        asked = host.moments.since
        full = freshness == contract.Freshness.FULL
        lock = self._locks[full]
        if freshness == contract.Freshness.CACHED and lock.locked():
            asked -= _WHILE_LOOKING_SECONDS
        oldest = self._outdated
        known = self._known
        if known and known.will_do(paths, freshness, asked, oldest):
            return known
        with _turn(lock):
            known = self._known
            # Another thread may have looked meanwhile.
            if not known or not known.will_do(paths, freshness, asked, oldest):
                known = _look(host, paths, known, full)
                self._known = known
            return known


@contextlib.contextmanager
def _turn(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=_TURN_SECONDS):
        raise exceptions.NotAnswering(backing.POOLS, round(_TURN_SECONDS))
    try:
        yield
    finally:
        lock.release()


# Looking ---------------------------------------------------------------------


def of_now(host: Host, paths: Iterable[str]) -> HostFiles:
    """What there is on the host of *paths*, all of it looked at anew."""
    return _look(host, frozenset(paths), None, True)


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
    # Others go by the record as of now: no definition may be as this thread
    # has read it before.
    with host.moments.at_one_time():
        said = definitions.read(host)
    named = _named(said, former)
    remembered = host.far_images.all()
    asked = folders_of(paths | named | {i.path for i in remembered})
    former = {**_as_volumes(remembered), **former}
    known: Mapping[backing.Place, backing.Backed] = {}
    if before and not full:
        asked |= before.folders
        known = _unnamed(before, paths, named)
    found, folders = _read(host, said, asked, known, former)
    if known and before and _has_strange(found.found, before.volumes):
        known = {}
        found, folders = _read(host, said, asked, known, former)
    files = HostFiles(
        folders=folders,
        volumes=found.found,
        definitions=said.files(_paths(found.found)),
        listed=listed,
        read=before.read if before and known else listed,
        unread=found.unread,
        active=found.active,
        carried=frozenset(known.keys() & found.found.keys()),
        device_paths=devices.names(host, paths | named | _below(found.found)),
    )
    host.far_images.note(files.far, remembered)
    return files


def _as_volumes(
    images: Iterable[FarImage],
) -> Mapping[backing.Place, backing.Backed]:
    """What is known of them where they cannot be looked at."""
    return {
        posixpath.split(image.path): backing.Backed(image.path, image.base)
        for image in images
    }


def _below(
    volumes: Mapping[backing.Place, backing.Backed],
) -> frozenset[str]:
    """What is below any volume."""
    return frozenset(v.below for v in volumes.values() if v.below)


def _paths(
    volumes: Mapping[backing.Place, backing.Backed],
) -> dict[backing.Place, str]:
    return {place: volume.path for place, volume in volumes.items()}


def _named(
    said: definitions.Definitions,
    volumes: Mapping[backing.Place, backing.Backed],
) -> frozenset[str]:
    """All files that any definition names."""
    found = said.files(_paths(volumes)).values()
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
    said: definitions.Definitions,
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
        more = _unseen(said, all_of.found, folders)
        if not more:
            break
        folders |= more
        found = backing.of_all(host.storage, more, all_of.found, former)
        all_of.found.update(found.found)
        all_of.unread.update(found.unread)
    return all_of, folders


def _unseen(
    said: definitions.Definitions,
    volumes: Mapping[backing.Place, backing.Backed],
    asked: frozenset[str],
) -> frozenset[str]:
    """The folders of backing files that were not looked into yet."""
    seen = {posixpath.dirname(volume.path) for volume in volumes.values()}
    below = {volume.below for volume in volumes.values() if volume.below}
    if not folders_of(below) - seen - asked:
        return frozenset()
    # No guest may choose where the host is to be looked at.
    files = HostFiles(asked, volumes, said.files(_paths(volumes)), 0.0, 0.0)
    return folders_of(files.below.values()) - seen - asked


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
    for domain in domains.those_of(host, files.definitions):
        for seen in snapshots.read_all(domain):
            if path in of.all_seen(seen.files):
                return contract.Dependent(domain.name, domain.uuid)
    return contract.Dependent(path)
