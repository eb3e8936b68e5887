# SPDX-License-Identifier: Apache-2.0
"""
The libvirt driver: the only place that imports libvirt.

Owns the translation between the driver contract and libvirt's domains and
snapshots.  ``plan`` decides what can be made; ``create``, ``revert`` and
``delete`` each hold an operation and its settling.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import drivers
from hawkfish_plugin.drivers.libvirt import (
    connections, create, delete, plan, revert, snapshots, xml,
)  # fmt: skip

DEFAULT_URI = 'qemu:///system'
_DRIVES = {'cdrom': 'Cd', 'floppy': 'Floppy'}


class LibvirtDriver:
    """See ``drivers.Driver``; serves the domains of the emulator's URI."""

    def __init__(
        self, conf: cfg.ConfigOpts, emulator: Mapping[str, Any],
        systems: Callable[[], Any],
    ) -> None:
        self._conf = conf
        self.target = emulator.get('SUSHY_EMULATOR_LIBVIRT_URI') or DEFAULT_URI
        self._hypervisor = connections.Hypervisor(self.target)

    def losses(self) -> int:
        return self._hypervisor.losses()

    def resolve(self, identity: str) -> drivers.System:
        with self._hypervisor.connection('look-up') as connection:
            domain = connections.find_any(connection, identity)
            return drivers.System(domain.UUIDString(), domain.name())

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

    def snapshots(self, uuid: str) -> Sequence[drivers.Snapshot]:
        with self._hypervisor.domain(uuid, 'list') as (_, domain):
            current = snapshots.current(domain)
            roots = snapshots.describe_all(domain)
        return xml.tree(roots, current)

    def capabilities(self, uuid: str) -> drivers.Capabilities:
        with self._hypervisor.domain(uuid, 'look-up') as (connection, domain):
            return plan.capabilities(connection, domain, self._conf)

    def check_create(
        self, uuid: str, request: drivers.CreateRequest
    ) -> None:
        with self._hypervisor.domain(uuid, 'create') as (connection, domain):
            plan.make(connection, domain, request, self._conf)

    def check_revert(
        self, uuid: str, request: drivers.RevertRequest
    ) -> None:
        with self._hypervisor.domain(uuid, 'revert') as (connection, domain):
            revert.check(connection, domain, request)

    def check_delete(self, uuid: str, name: str) -> None:
        with self._hypervisor.domain(uuid, 'delete') as (connection, domain):
            delete.check(connection, domain, name)

    def create(
        self, uuid: str, request: drivers.CreateRequest, job: drivers.Job
    ) -> drivers.Quiesce:
        return create.run(self._hypervisor, uuid, request, self._conf, job)

    def revert(
        self, uuid: str, request: drivers.RevertRequest, job: drivers.Job
    ) -> None:
        revert.run(self._hypervisor, uuid, request, self._conf, job)

    def delete(self, uuid: str, name: str, job: drivers.Job) -> None:
        delete.run(self._hypervisor, uuid, name, job)

    def settle_create(
        self, uuid: str, request: drivers.CreateRequest, job: drivers.Job
    ) -> drivers.Quiesce:
        return create.settle(
            self._hypervisor, uuid, request, self._conf, job
        )

    def settle_revert(
        self, uuid: str, request: drivers.RevertRequest, job: drivers.Job
    ) -> None:
        revert.settle(self._hypervisor, uuid, request, self._conf, job)

    def settle_delete(self, uuid: str, name: str, job: drivers.Job) -> None:
        delete.settle(self._hypervisor, uuid, name, job)
