# SPDX-License-Identifier: Apache-2.0
"""
How much the snapshots of a domain take.

A snapshot's disks are the files that the domain stood on when it was taken:
they hold what was written between its parent and itself, and are written to
no more.  The overlays that libvirt lists in it begin what comes after, and
count for its children, or for the present state.  The first snapshot stands
on the disks that the domain began with, which are not the snapshot's.
"""

import posixpath
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import libvirt

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import parsed, plan, snapshots, storage

# Each look costs a refresh of the pool that holds the files.
_REMEMBERED_SECONDS = 10.0


class Sizes:
    """What the files of each domain take, as seen a few seconds ago."""

    def __init__(self) -> None:
        # By the UUID of the domain: since when, and the bytes by the path.
        self._seen: dict[str, tuple[float, dict[str, int]]] = {}
        self._lock = threading.Lock()

    def forget(self, uuid: str) -> None:
        """Look again, as an operation may have changed the domain's files."""
        with self._lock:
            self._seen.pop(uuid, None)

    def of(
        self, connection: Any, uuid: str, paths: Sequence[str]
    ) -> dict[str, int]:
        """The bytes that *paths* take; those that are gone take none."""
        with self._lock:
            now = time.monotonic()
            self._seen = {
                key: (since, takes)
                for key, (since, takes) in self._seen.items()
                if now - since <= _REMEMBERED_SECONDS
            }
            _, takes = self._seen.setdefault(uuid, (now, {}))
            seen = dict(takes)
        # Not under the lock: another domain need not wait for this look.
        unknown: dict[str, list[str]] = {}
        for path in paths:
            if path not in seen:
                folder = posixpath.dirname(path)
                unknown.setdefault(folder, []).append(path)
        found: dict[str, int] = {}
        for folder, missing in unknown.items():
            found |= dict.fromkeys(missing, 0)
            found |= storage.allocations(connection, folder, missing)
        with self._lock:
            # Forgotten meanwhile, it is not remembered.
            takes |= found
        seen |= found
        return {path: seen[path] for path in paths}


def measure(
    connection: Any,
    uuid: str,
    read: Sequence[parsed.ParsedSnapshot],
    records: Sequence[contract.Snapshot],
    disks: Mapping[str, Sequence[str]],
    seen: Sizes,
) -> dict[str, contract.Size]:
    """
    The size of each external snapshot, by its name.

    *read* and *records* are of all snapshots of the domain *uuid*, *disks*
    the files of each.
    """
    own = {s.record.name: s.own for s in read}
    takes = seen.of(
        connection,
        uuid,
        [
            p
            for found in (own, disks)
            for paths in found.values()
            for p in paths
        ],
    )
    above, below = contract.ancestors(records), contract.children(records)
    return {
        s.name: contract.Size(
            sum(takes[path] for path in own[s.name]),
            sum(takes[path] for path in disks[s.name]) if s.parent else 0,
            not (s.current or s.name in above or s.name in below),
        )
        for s in records
        if s.external
    }


def forecast(
    connection: Any, domain: Any, planned: plan.Plan, headroom_mib: int
) -> contract.Forecast:
    """What *planned* would make, and how big it would be at the most."""
    # Beside the headroom that each folder keeps, only memory is written.
    memory = sum(n.needed - headroom_mib * 2**20 for n in planned.needs)
    grown = planned.external and snapshots.current(domain) is not None
    disks = (
        sum(
            storage.size(connection, path)[1]
            for path in planned.paths.values()
        )
        if grown
        else 0
    )
    return contract.Forecast(
        planned.external,
        planned.memory,
        contract.Size(memory if planned.external else 0, disks),
        tuple((n.folder, n.needed, n.available) for n in planned.needs),
    )


def files(connection: Any, snapshot: parsed.ParsedSnapshot) -> Sequence[str]:
    """The files that an external snapshot holds the disks in."""
    try:
        found = [plan.file_of(connection, disk) for disk in snapshot.disks]
    except libvirt.libvirtError:
        # The pool of a volume may be gone.
        if not connection.isAlive():
            raise
        return []
    return [path for path in found if path]
