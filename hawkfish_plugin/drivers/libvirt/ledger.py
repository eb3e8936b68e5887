# SPDX-License-Identifier: Apache-2.0
"""
The files of a host: who names them, and what stands on them.

All checks that compare files ask this.  It is computed from what libvirt says
now: the definitions of all domains, live and for the next start, and the
volumes of all active pools and of every folder that anything names.  Files are
told apart by what they are, not by how their paths are spelled
(``identities``).

Nothing leads to an image in another folder that no domain has any more
(``far_images``).  Who decides about files that one may stand on has it looked
for; for all others it is as it was last seen, as its file system may hang.

What was found is kept in one record, with the times when it was listed and
when all of it was read.  The caller decides how old either may be, so this is
no cache whose entries expire by themselves.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    definitions,
    domains,
    filenames,
    looking,
    parsed,
    snapshots,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.host_files import Found, HostFiles
from hawkfish_plugin.drivers.libvirt.hosts import Host

# How much older it may be for a list while another thread looks anew.
_WHILE_LOOKING_SECONDS = 20.0
# How long the look of another thread is waited for; in one, whatever hangs is
# given up after a minute.
_TURN_SECONDS = 120.0


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
            if not files.is_far(path) and not holds_data(domain.host, path):
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
                known = looking.look(host, paths, known, freshness)
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


def of_now(host: Host, paths: Iterable[str]) -> HostFiles:
    """What there is on the host of *paths*, all of it looked at anew."""
    return looking.look(host, frozenset(paths), None, contract.Freshness.FULL)


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
