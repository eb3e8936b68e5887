# SPDX-License-Identifier: Apache-2.0
"""
The snapshots of a domain, as libvirt keeps them.

Owns their look-up, the reading of their XML and its redefinition.  A snapshot
may vanish at any time under another client's hands.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import parsed, xml

_SECURE = libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE
# Each look at the times of all snapshots costs a call for every one.
_REMEMBERED_SECONDS = 10.0


def find(domain: Any, name: str) -> Any:
    """Raises SnapshotNotFound."""
    try:
        return domain.snapshotLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise
        raise exceptions.SnapshotNotFound(name) from exc


def exists(domain: Any, name: str) -> bool:
    with contextlib.suppress(exceptions.SnapshotNotFound):
        return bool(find(domain, name))
    return False


def describe(domain: Any, name: str) -> xml.Element:
    """The XML of one snapshot, as it can be redefined."""
    return xml.parse(find(domain, name).getXMLDesc(_SECURE))


def texts(domain: Any) -> list[str]:
    """The XML of every snapshot, but of those that vanish meanwhile."""
    found = []
    for snapshot in domain.listAllSnapshots():
        try:
            found.append(str(snapshot.getXMLDesc()))
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
                raise
    return found


def read_all(domain: Any) -> list[parsed.ParsedSnapshot]:
    """What the XML of every snapshot says."""
    return [parsed.read(text) for text in texts(domain)]


def current(domain: Any) -> str | None:
    """The name of the snapshot that the domain stands on."""
    with contextlib.suppress(libvirt.libvirtError):
        if domain.hasCurrentSnapshot():
            return str(domain.snapshotCurrent().getName())
    return None


def tree(domain: Any) -> list[contract.Snapshot]:
    """The records of all snapshots, oldest first."""
    now = current(domain)
    return records(read_all(domain), now)


def records(
    seen: Sequence[parsed.ParsedSnapshot], current: str | None
) -> list[contract.Snapshot]:
    """The records of *seen*, all snapshots of a domain, oldest first."""
    # A merge that breaks off marks where it was merging to: files of the
    # parent.  What is half overwritten there is the state of the child.
    damaged = {path for s in seen if s.merging for path in s.overlays}
    found = {
        s.record.name: dataclasses.replace(
            s.record,
            current=s.record.name == current,
            damaged=bool(damaged & s.captured),
        )
        for s in seen
    }
    # Those of one second in the order in which they grew.
    return sorted(found.values(), key=lambda r: (r.created, _height(r, found)))


def _height(
    record: contract.Snapshot, records: Mapping[str, contract.Snapshot]
) -> int:
    height = 0
    while record.parent and record.parent in records:
        record = records[record.parent]
        height += 1
    return height


class Orders:
    """
    The order of the snapshots of each domain, oldest first.

    The names are of the moment; the order may be some seconds old, which
    only a snapshot shows that another client has put in the place of one of
    the same name.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, list[str]]] = {}

    def forget(self, uuid: str) -> None:
        with self._lock:
            self._known.pop(uuid, None)

    def names(self, domain: Any) -> list[str]:
        names = {snapshot.getName() for snapshot in domain.listAllSnapshots()}
        order = self._recent(domain.UUIDString())
        if not names <= set(order):
            order = [record.name for record in tree(domain)]
            with self._lock:
                known = time.monotonic(), order
                self._known[domain.UUIDString()] = known
            return order
        return [name for name in order if name in names]

    def _recent(self, uuid: str) -> list[str]:
        with self._lock:
            taken, order = self._known.get(uuid, (0.0, []))
            if time.monotonic() - taken > _REMEMBERED_SECONDS:
                self._known.pop(uuid, None)
                return []
            return order


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
