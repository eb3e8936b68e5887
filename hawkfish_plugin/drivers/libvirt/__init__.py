# SPDX-License-Identifier: Apache-2.0
"""
The libvirt driver: the only place that imports libvirt.

Owns the translation between the driver contract and libvirt's domains and
snapshots.  ``plan`` decides what can be made; ``create``, ``revert`` and
``delete`` each hold an operation and its settling.
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    connections,
    create,
    delete,
    dependents,
    leftovers,
    parsed,
    plan,
    revert,
    revert_disks,
    sizes,
    snapshots,
    xml,
)

LOG = logging.getLogger(__name__)

DEFAULT_URI = 'qemu:///system'
_DRIVES = {'cdrom': 'Cd', 'floppy': 'Floppy'}


class LibvirtDriver:
    """See ``contract.Driver``; serves the domains of the emulator's URI."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        emulator: Mapping[str, Any],
        systems: Callable[[], Any],
    ) -> None:
        self._conf = conf
        self.target = emulator.get('SUSHY_EMULATOR_LIBVIRT_URI') or DEFAULT_URI
        self._hypervisor = connections.Hypervisor(self.target)
        self._sizes = sizes.Sizes()
        self._clones = dependents.Dependents()
        self._orders = snapshots.Orders()

    def losses(self) -> int:
        return self._hypervisor.losses()

    def resolve(self, identity: str) -> contract.System:
        with self._hypervisor.connection('look-up') as connection:
            domain = connections.find_any(connection, identity)
            return contract.System(domain.UUIDString(), domain.name())

    def changes_when_read(self, uuid: str) -> bool:
        with self._hypervisor.domain(uuid, 'look-up') as (_, domain):
            text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        return not xml.has_emulator_defaults(xml.parse(text))

    def drives(self, uuid: str) -> Mapping[str, str]:
        with self._hypervisor.domain(uuid, 'look-up') as (_, domain):
            text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        return {
            _DRIVES[disk.device]: disk.path
            for disk in xml.disks(xml.parse(text))
            if disk.device in _DRIVES and disk.path
        }

    def snapshots(self, uuid: str) -> Sequence[contract.Snapshot]:
        with self._hypervisor.domain(uuid, 'list') as (_, domain):
            return snapshots.tree(domain)

    def systems(self) -> Sequence[contract.System]:
        with self._hypervisor.connection('list') as connection:
            return [
                contract.System(domain.UUIDString(), domain.name())
                for domain in connection.listAllDomains(
                    libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT
                )
            ]

    def names(self, uuid: str) -> Sequence[str]:
        with self._hypervisor.domain(uuid, 'list') as (_, domain):
            return self._orders.names(domain)

    def exists(self, uuid: str, name: str) -> bool:
        with self._hypervisor.domain(uuid, 'list') as (_, domain):
            return snapshots.exists(domain, name)

    def inventory(
        self,
        uuid: str,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> contract.Inventory:
        with self._hypervisor.domain(uuid, 'list') as (connection, domain):
            current = snapshots.current(domain)
            read = snapshots.read_all(domain)
            records = snapshots.records(read, current)
            disks = {s.record.name: sizes.files(connection, s) for s in read}
            return contract.Inventory(
                records,
                self._measure(connection, uuid, read, records, disks),
                self._look_for_clones(
                    connection, domain, read, disks, freshness
                ),
            )

    def _look_for_clones(
        self,
        connection: Any,
        domain: Any,
        read: Sequence[parsed.ParsedSnapshot],
        disks: Mapping[str, Sequence[str]],
        freshness: contract.Freshness,
    ) -> Mapping[str, Sequence[contract.Dependent]]:
        try:
            return self._clones.of(connection, domain, read, disks, freshness)
        except libvirt.libvirtError as exc:
            # Before a delete it has to be known.
            if (
                freshness != contract.Freshness.CACHED
                or not connection.isAlive()
            ):
                raise
            LOG.warning('Not looked for: %s', exc.get_error_message())
            return {}

    def _measure(
        self,
        connection: Any,
        uuid: str,
        read: Sequence[parsed.ParsedSnapshot],
        records: Sequence[contract.Snapshot],
        disks: Mapping[str, Sequence[str]],
    ) -> Mapping[str, contract.Size]:
        try:
            return sizes.measure(
                connection, uuid, read, records, disks, self._sizes
            )
        except libvirt.libvirtError as exc:
            # A pool that is busy, say; the snapshots can be listed.
            if not connection.isAlive():
                raise
            LOG.warning('Not measured: %s', exc.get_error_message())
            return {}

    def describe(self, uuid: str, name: str, description: str) -> None:
        with self._hypervisor.domain(uuid, 'change') as (_, domain):
            root = snapshots.describe(domain, name)
            xml.set_description(root, description)
            snapshots.redefine(domain, root)

    def sweep(self, noted: Collection[str]) -> Sequence[str]:
        with self._hypervisor.connection('sweep') as connection:
            return leftovers.sweep(connection, noted)

    def capabilities(self, uuid: str) -> contract.Capabilities:
        with self._hypervisor.domain(uuid, 'look-up') as (connection, domain):
            return plan.capabilities(connection, domain, self._conf)

    def check_create(
        self, uuid: str, request: contract.CreateRequest
    ) -> contract.Forecast:
        with self._hypervisor.domain(uuid, 'create') as (connection, domain):
            planned = plan.make(connection, domain, request, self._conf)
            return sizes.forecast(
                connection,
                domain,
                planned,
                self._conf.snapshots.space_headroom,
            )

    def check_revert(self, uuid: str, request: contract.RevertRequest) -> None:
        with self._hypervisor.domain(uuid, 'revert') as (connection, domain):
            revert.check(connection, domain, request)
        if not request.kept:
            self._check_discarded(uuid, contract.Freshness.LISTED)

    def _check_discarded(
        self, uuid: str, freshness: contract.Freshness
    ) -> None:
        """Raise where a revert would take the ground from under others."""
        with self._hypervisor.domain(uuid, 'revert') as (connection, domain):
            files = revert_disks.files(domain)
            if files and (
                found := self._clones.on(connection, domain, files, freshness)
            ):
                raise exceptions.SystemCloned(
                    domain.name(),
                    ', '.join(dependent.name for dependent in found),
                )

    def check_delete(self, uuid: str, name: str) -> None:
        with self._hypervisor.domain(uuid, 'delete') as (connection, domain):
            delete.check(connection, domain, name)

    def create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        context: contract.TaskContext,
    ) -> contract.Created:
        with self._changing(uuid):
            return create.run(
                self._hypervisor, uuid, request, self._conf, context
            )

    def revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        with self._changing(uuid):
            self._check_discarded(uuid, contract.Freshness.FULL)
            revert.run(self._hypervisor, uuid, request, self._conf, context)

    def delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        with self._changing(uuid):
            delete.run(self._hypervisor, uuid, name, context)

    def settle_create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        context: contract.TaskContext,
    ) -> contract.Created:
        with self._changing(uuid):
            return create.settle(
                self._hypervisor, uuid, request, self._conf, context
            )

    def settle_revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        with self._changing(uuid):
            revert.settle(self._hypervisor, uuid, request, self._conf, context)

    def settle_delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        with self._changing(uuid):
            delete.settle(self._hypervisor, uuid, name, context)

    @contextlib.contextmanager
    def _changing(self, uuid: str) -> Iterator[None]:
        """
        Remember nothing of the domain *uuid* from before the block's end.
        """
        try:
            yield
        finally:
            self._sizes.forget(uuid)
            self._orders.forget(uuid)
