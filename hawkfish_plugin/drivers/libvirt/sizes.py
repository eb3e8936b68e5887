# SPDX-License-Identifier: Apache-2.0
"""
How much the snapshots of a domain take.

A snapshot's disks are the files that the domain was backed by when it was
taken: they hold what was written between its parent and itself, and are
written to no more.  The overlays that libvirt lists in it begin what comes
after, and count for its children, or for the present state.  The first
snapshot has the disks that the domain began with, which are not its own.
"""

import math
import posixpath
import threading
from collections.abc import Mapping, Sequence

import cachetools
import libvirt

from hawkfish_plugin import exceptions, tree
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import parsed, plan, snapshots
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.storage import Storage

# Each look costs a refresh of the pool that holds the files.
_REMEMBERED_SECONDS = 10.0


class Sizes:
    """What the files of each domain take, as seen a few seconds ago."""

    def __init__(self) -> None:
        # By the UUID of the domain, the bytes by the path.
        self._seen: cachetools.TTLCache[str, dict[str, int]] = (
            cachetools.TTLCache(math.inf, _REMEMBERED_SECONDS)
        )
        self._lock = threading.Lock()

    def forget(self, uuid: str) -> None:
        """Look again, as an operation may have changed the domain's files."""
        with self._lock:
            self._seen.pop(uuid, None)

    def of(
        self, storage: Storage, uuid: str, paths: Sequence[str]
    ) -> dict[str, int]:
        """The bytes that *paths* take; those that are gone take none."""
        with self._lock:
            takes = self._seen.setdefault(uuid, {})
            seen = dict(takes)
        # Not under the lock: another domain need not wait for this look.
        found = _look(storage, [path for path in paths if path not in seen])
        with self._lock:
            # Forgotten meanwhile, it is not remembered.
            takes |= found
        seen |= found
        return {path: seen[path] for path in paths}


def _look(storage: Storage, paths: Sequence[str]) -> dict[str, int]:
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        by_folder.setdefault(posixpath.dirname(path), []).append(path)
    found = dict.fromkeys(paths, 0)
    for folder, wanted in by_folder.items():
        found |= storage.allocations(folder, wanted)
    return found


def measure(
    seen: Sequence[parsed.ParsedSnapshot],
    records: Sequence[contract.Snapshot],
    disks: Mapping[str, Sequence[str]],
    takes: Mapping[str, int],
) -> dict[str, contract.Size]:
    """
    The size of each external snapshot, by its name.

    *seen* and *records* are of all snapshots of a domain, *disks* the files
    of each, and *takes* the bytes that every file takes.
    """
    own = {s.record.name: s.own_files for s in seen}
    above, below = tree.ancestors(records), tree.children(records)
    return {
        s.name: contract.Size(
            sum(takes[path] for path in own[s.name]),
            sum(takes[path] for path in disks[s.name]) if s.parent else 0,
            not (s.current or s.name in above or s.name in below),
        )
        for s in records
        if s.external
    }


def forecast(domain: Domain, planned: plan.Plan) -> contract.Forecast:
    """What *planned* would make, and how big it would be at the most."""
    disks = 0
    if planned.external and snapshots.current(domain) is not None:
        storage = domain.host.storage
        disks = sum(storage.size(path)[1] for path in planned.paths.values())
    return contract.Forecast(
        planned.external,
        planned.memory,
        contract.Size(planned.own_bytes, disks),
        tuple((n.folder, n.needed, n.available) for n in planned.needs),
    )


def disk_files(host: Host, snapshot: parsed.ParsedSnapshot) -> Sequence[str]:
    """The files that an external snapshot holds the disks in."""
    try:
        found = [host.storage.path_of(disk) for disk in snapshot.disks]
    except libvirt.libvirtError as exc:
        # The pool of a volume may be gone.
        host.raise_if_lost(exc)
        return []
    except exceptions.NotAnswering:
        return []
    return [path for path in found if path]
