# SPDX-License-Identifier: Apache-2.0
"""
The snapshots of a system, as libvirt and the storage have them.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    errors,
    firmware,
    merging,
    parsed,
    plan,
    sizes,
    snapshot_xml,
    snapshots,
    unsafe,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.part import Part

LOG = logging.getLogger(__name__)


class Snapshots(Part):
    """See ``contract.ListsSnapshots``."""

    def at_one_time(
        self, *systems: str
    ) -> contextlib.AbstractContextManager[None]:
        return self._hypervisor.moments.at_one_time(*systems)

    def carrying_out(
        self, system: str
    ) -> contextlib.AbstractContextManager[None]:
        return self._hypervisor.moments.carrying_out(system)

    def snapshots(self, uuid: str) -> Sequence[contract.Snapshot]:
        with self._hypervisor.domain(uuid, 'list') as domain:
            return snapshots.tree(domain)

    def names(self, uuid: str) -> Sequence[str]:
        with self._hypervisor.domain(uuid, 'list') as domain:
            return self._orders.names(domain)

    def exists(self, uuid: str, name: str) -> bool:
        with self._hypervisor.domain(uuid, 'list') as domain:
            return snapshots.exists(domain, name)

    def inventory(
        self,
        uuid: str,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> contract.Inventory:
        with (
            self._hypervisor.moments.within(),
            self._hypervisor.domain(uuid, 'list') as domain,
        ):
            current = snapshots.current(domain)
            seen = snapshots.read_all(domain)
            disks = {
                s.record.name: sizes.disk_files(domain.host, s) for s in seen
            }
            # The freshest look first: it will do for the others, and tells
            # what the definition is.
            dependents = self._find_dependents(domain, seen, disks, freshness)
            written = snapshots.written(domain, seen)
            records = snapshots.records(seen, current, written)
            return contract.Inventory(
                records,
                self._measure(domain, seen, records, disks),
                dependents,
                self._find_written(domain, disks),
            )

    def _measure(
        self,
        domain: Domain,
        seen: Sequence[parsed.ParsedSnapshot],
        records: Sequence[contract.Snapshot],
        disks: Mapping[str, Sequence[str]],
    ) -> Mapping[str, contract.Size]:
        paths = {path for s in seen for path in s.own_files}
        paths = paths.union(*disks.values())
        try:
            files = self._ledger.all_of(domain.host, paths)
        except exceptions.NotAnswering as exc:
            LOG.warning('Not measured: %s', messages.text(exc))
            return {}
        except libvirt.libvirtError as exc:
            # A pool that is busy, say; the snapshots can be listed.
            domain.host.raise_if_lost(exc)
            LOG.warning('Not measured: %s', errors.text(exc))
            return {}
        return sizes.measure(seen, records, disks, files.allocation)

    def _find_dependents(
        self,
        domain: Domain,
        seen: Sequence[parsed.ParsedSnapshot],
        disks: Mapping[str, Sequence[str]],
        freshness: contract.Freshness,
    ) -> Mapping[str, Sequence[contract.Dependent]]:
        try:
            return self._ledger.of(domain, seen, disks, freshness)
        except exceptions.NotAnswering as exc:
            if freshness != contract.Freshness.CACHED:
                raise
            LOG.warning('Dependents not found: %s', messages.text(exc))
            return {}
        except libvirt.libvirtError as exc:
            # Before a delete it has to be known.
            if freshness != contract.Freshness.CACHED:
                raise
            domain.host.raise_if_lost(exc)
            LOG.warning('Dependents not found: %s', errors.text(exc))
            return {}

    def _find_written(
        self, domain: Domain, disks: Mapping[str, Sequence[str]]
    ) -> Mapping[str, tuple[str, float]]:
        try:
            return self._ledger.written(domain, disks)
        except exceptions.NotAnswering as exc:
            LOG.warning('Times not found: %s', messages.text(exc))
        except libvirt.libvirtError as exc:
            domain.host.raise_if_lost(exc)
            LOG.warning('Times not found: %s', errors.text(exc))
        return {}

    def referrers(
        self, snapshots: Sequence[contract.Snapshot]
    ) -> Mapping[str, Sequence[str]]:
        return merging.referrers(snapshots)

    def capabilities(self, uuid: str) -> contract.Capabilities:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            found = plan.capabilities(domain, self._conf)
            cached = contract.Freshness.CACHED
            unsafe_for = unsafe.violations(domain, self._ledger, cached)
        return dataclasses.replace(
            found, findings=(*unsafe_for, *found.findings)
        )

    def describe(self, uuid: str, name: str, description: str) -> None:
        with self._hypervisor.domain(uuid, 'change') as domain:
            root = snapshots.describe(domain, name)
            snapshot_xml.set_description(root, description)
            snapshots.redefine(domain, root)

    def renamed(self, uuid: str, old: str, new: str) -> None:
        with self._hypervisor.domain(uuid, 'change') as domain:
            root = snapshots.describe(domain, new)
            now = parsed.parse(root)
            snapshot_xml.set_name(root, old)
            former = parsed.parse(root)
            firmware.keep(domain.host.storage, now.copies, former.copies)


if TYPE_CHECKING:
    _: type[contract.ListsSnapshots] = Snapshots
