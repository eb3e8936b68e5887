# SPDX-License-Identifier: Apache-2.0
"""
Delete: merge the data of a snapshot into what lies below it.

Steps: ``prepare`` notes the memory file, ``merge`` is the libvirt call,
``finish`` removes what libvirt left.  A merge that broke off is begun again,
which libvirt allows; until it has succeeded the snapshot is damaged.
"""

from typing import Any

import libvirt

from hawkfish_plugin import drivers, exceptions
from hawkfish_plugin.drivers.libvirt import (
    connections, plan, storage, waiting, xml,
)  # fmt: skip

_REDEFINE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE

# libvirt says these before it has touched any data.
_REFUSALS = frozenset((
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_OPERATION_INVALID,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_TIMEOUT,
    libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT,
))  # fmt: skip


def check(domain: Any, name: str) -> None:
    """Raise what stands in the way of deleting *name*."""
    find(domain, name)
    if plan.is_paused(domain):
        raise exceptions.SystemPaused(domain.name())


def run(
    hypervisor: connections.Hypervisor, uuid: str, name: str, job: drivers.Job
) -> None:
    with hypervisor.domain(uuid, 'delete') as (connection, domain):
        check(domain, name)
        found = find(domain, name)
        root = xml.parse(
            found.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
        )
        job.step('prepare', memory_file=xml.memory_file(root))
        _forget_media(domain, found, root)
        job.step('merge')
        _merge(find(domain, name), name)
        job.step('finish')
        _remove_memory(connection, domain, job)


def settle(
    hypervisor: connections.Hypervisor, uuid: str, name: str, job: drivers.Job
) -> None:
    waiting.until_idle(hypervisor, uuid, job)
    with hypervisor.domain(uuid, 'delete') as (connection, domain):
        if name not in domain.snapshotListNames():
            _remove_memory(connection, domain, job)
            return
    run(hypervisor, uuid, name, job)


def find(domain: Any, name: str) -> Any:
    """Raises SnapshotNotFound."""
    try:
        return domain.snapshotLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise
        raise exceptions.SnapshotNotFound(name) from exc


def _forget_media(domain: Any, found: Any, root: xml.Element) -> None:
    # libvirt would merge the overlay of a drive that may be long gone, and
    # refuse to delete the snapshot for ever.
    if xml.eject_media(root) and xml.external_disks(root):
        flags = _REDEFINE
        if found.isCurrent():
            flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
        domain.snapshotCreateXML(xml.render(root), flags)


def _merge(found: Any, name: str) -> None:
    try:
        found.delete()
    except libvirt.libvirtError as exc:
        if (
            exc.get_error_code() in _REFUSALS
            or not found.getConnect().isAlive()
        ):
            raise
        raise exceptions.MergeFailed(
            name, str(exc.get_error_message()).strip()
        ) from exc


def _remove_memory(connection: Any, domain: Any, job: drivers.Job) -> None:
    # libvirt before 9.1 leaves it behind.
    path = job.journal['memory_file']
    if path and not any(
        xml.memory_file(xml.parse(other.getXMLDesc())) == path
        for other in domain.listAllSnapshots()
    ):
        storage.remove(connection, path)
