# SPDX-License-Identifier: Apache-2.0
"""
The snapshots of a domain, as libvirt keeps them.

Owns their look-up, the reading of their XML and its redefinition.  A snapshot
may vanish at any time under another client's hands.
"""

import contextlib
from typing import Any

import libvirt

from hawkfish_plugin import drivers, exceptions
from hawkfish_plugin.drivers.libvirt import xml

_SECURE = libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE


def find(domain: Any, name: str) -> Any:
    """Raises SnapshotNotFound."""
    try:
        return domain.snapshotLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise
        raise exceptions.SnapshotNotFound(name) from exc


def describe(domain: Any, name: str) -> xml.Element:
    """The XML of one snapshot, as it can be redefined."""
    return xml.parse(find(domain, name).getXMLDesc(_SECURE))


def describe_all(domain: Any) -> list[xml.Element]:
    """The XML of every snapshot, but of those that vanish meanwhile."""
    roots = []
    for found in domain.listAllSnapshots():
        try:
            roots.append(xml.parse(found.getXMLDesc()))
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
                raise
    return roots


def current(domain: Any) -> str | None:
    """The name of the snapshot that the domain stands on."""
    with contextlib.suppress(libvirt.libvirtError):
        if domain.hasCurrentSnapshot():
            return str(domain.snapshotCurrent().getName())
    return None


def tree(domain: Any) -> list[drivers.Snapshot]:
    """The records of all snapshots, oldest first."""
    now = current(domain)
    return xml.tree(describe_all(domain), now)


def redefine(domain: Any, root: xml.Element) -> None:
    """
    Let libvirt keep *root* of a snapshot that exists.

    Without CREATE_CURRENT, also for the current one, which stays current:
    with it libvirt forgets the overlays of the last revert, and the next one
    then deletes those that other snapshots need (seen with 11.3).
    """
    domain.snapshotCreateXML(
        xml.render(root), libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    )


def make_current(domain: Any, name: str) -> None:
    """Let the domain stand on *name*, where it stands on nothing."""
    domain.snapshotCreateXML(
        xml.render(describe(domain, name)),
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT,
    )
