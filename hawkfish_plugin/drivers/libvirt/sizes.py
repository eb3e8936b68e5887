# SPDX-License-Identifier: Apache-2.0
"""
How much the snapshots of a domain take.

A snapshot's disks are the files that the domain was backed by when it was
taken: they hold what was written between its parent and itself, and are
written to no more.  The overlays that libvirt lists in it begin what comes
after, and count for its children, or for the present state.  The first
snapshot has the disks that the domain began with, which are not its own.
"""

from collections.abc import Callable, Mapping, Sequence

import libvirt

from hawkfish_plugin import exceptions, tree
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import parsed, plan, snapshots
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host


def measure(
    seen: Sequence[parsed.ParsedSnapshot],
    records: Sequence[contract.Snapshot],
    disks: Mapping[str, Sequence[str]],
    takes: Callable[[str], int],
) -> dict[str, contract.Size]:
    """
    The size of each external snapshot, by its name.

    *seen* and *records* are of all snapshots of a domain, *disks* the files
    of each, and *takes* tells how many bytes a file takes.
    """
    own = {s.record.name: s.own_files for s in seen}
    above, below = tree.ancestors(records), tree.children(records)
    return {
        s.name: contract.Size(
            sum(map(takes, own[s.name])),
            sum(map(takes, disks[s.name])) if s.parent else 0,
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
