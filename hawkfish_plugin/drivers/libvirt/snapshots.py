# SPDX-License-Identifier: Apache-2.0
"""
The snapshots of a domain, as libvirt keeps them.

Owns their look-up, the reading of their XML and its redefinition.  A snapshot
may vanish at any time under another client's hands.
"""

import contextlib
import dataclasses
import math
import threading
from collections.abc import Collection, Mapping, Sequence

import cachetools
import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import identities, parsed, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain

_SECURE = libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE
# Each look at the times of all snapshots costs a call for every one.
_REMEMBERED_SECONDS = 10.0


def find(domain: Domain, name: str) -> libvirt.virDomainSnapshot:
    """Raises SnapshotNotFound."""
    try:
        return domain.handle.snapshotLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise
        raise exceptions.SnapshotNotFound(name) from exc


def exists(domain: Domain, name: str) -> bool:
    with contextlib.suppress(exceptions.SnapshotNotFound):
        return bool(find(domain, name))
    return False


def names(domain: Domain) -> set[str]:
    """The names of all snapshots."""
    return {s.getName() for s in domain.handle.listAllSnapshots()}


def describe(domain: Domain, name: str) -> xml.Element:
    """The XML of one snapshot, as it can be redefined."""
    return xml.parse(find(domain, name).getXMLDesc(_SECURE))


def texts(domain: Domain) -> list[str]:
    """The XML of every snapshot, but of those that vanish meanwhile."""
    found = []
    for snapshot in domain.handle.listAllSnapshots():
        try:
            found.append(snapshot.getXMLDesc())
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
                raise
    return found


def read_all(domain: Domain) -> list[parsed.ParsedSnapshot]:
    """What the XML of every snapshot says."""
    return [domain.host.parsed.read(text) for text in texts(domain)]


def current(domain: Domain) -> str | None:
    """The name of the current snapshot, which the domain grows from."""
    with contextlib.suppress(libvirt.libvirtError):
        if domain.handle.hasCurrentSnapshot():
            return domain.handle.snapshotCurrent().getName()
    return None


def tree(domain: Domain) -> list[contract.Snapshot]:
    """The records of all snapshots, oldest first."""
    now, seen = current(domain), read_all(domain)
    return records(seen, now, written(domain, seen))


def written(domain: Domain, seen: Sequence[parsed.ParsedSnapshot]) -> set[str]:
    """
    The captured files of *seen* that the running *domain* writes to.

    That is so where somebody has started it with an old definition.
    """
    captured = {
        identities.plain(disk.path): disk.path
        for s in seen
        for disk in s.disks
        if disk.path
    }
    # Most are answered without their QEMU.
    if not captured or not domain.is_active:
        return set()
    with contextlib.suppress(exceptions.NotAnswering, libvirt.libvirtError):
        tops = map(identities.plain, domain.top_files())
        if not captured.keys() & set(tops):
            return set()
        # libvirt lists a snapshot before it has captured anything. Asked for
        # after the list and before the definition: where no job goes on, the
        # definition is that after the capture.
        if domain.has_job:
            return set()
        # Read-only, or shared with somebody, it is not overwritten for sure.
        now = {
            identities.plain(disk.path)
            for disk in xml.disks(domain.definition())
            if disk.path and disk.is_captured and not disk.shareable
        }
        return {path for plain, path in captured.items() if plain in now}
    return set()


def records(
    seen: Sequence[parsed.ParsedSnapshot],
    current: str | None,
    written: Collection[str] = (),
) -> list[contract.Snapshot]:
    """
    The records of *seen*, all snapshots of a domain, oldest first.

    *written* are the captured files that the domain writes to.
    """
    # An interrupted merge has marked where it was merging to: files of the
    # parent.  What is half overwritten there is the state of the child.
    damaged = {path for s in seen if s.merging for path in s.overlays}
    found = {
        s.record.name: dataclasses.replace(
            s.record,
            current=s.record.name == current,
            damaged=bool(damaged & s.paths),
        )
        for s in seen
    }
    for name in _overwritten(seen, written):
        found[name] = dataclasses.replace(found[name], overwritten=True)
    # Those of one second in the order in which they grew.
    return sorted(found.values(), key=lambda r: (r.created, _height(r, found)))


def _overwritten(
    seen: Sequence[parsed.ParsedSnapshot], written: Collection[str]
) -> set[str]:
    """What holds a file of *written*, and what has grown from that since."""
    found: set[str] = set()
    ours = {s.record.name: s for s in seen}
    for name, snapshot in ours.items():
        above: parsed.ParsedSnapshot | None = snapshot
        while above is not None:
            if any(disk.path in written for disk in above.disks):
                found.add(name)
                break
            above = ours.get(above.record.parent or '')
    return found


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

    The names are always current; the order may be some seconds old.  It is
    wrong only where another client has replaced a snapshot by one of the same
    name.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: cachetools.TTLCache[str, list[str]] = cachetools.TTLCache(
            math.inf, _REMEMBERED_SECONDS
        )

    def forget(self, uuid: str) -> None:
        with self._lock:
            self._known.pop(uuid, None)

    def names(self, domain: Domain) -> list[str]:
        present, uuid = names(domain), domain.uuid
        with self._lock:
            order = self._known.get(uuid, [])
        if present <= set(order):
            return [name for name in order if name in present]
        order = [record.name for record in tree(domain)]
        with self._lock:
            self._known[uuid] = order
        return order


def redefine(domain: Domain, root: xml.Element) -> None:
    """
    Let libvirt keep *root* of a snapshot that exists.

    Without CREATE_CURRENT, also for the current one, which stays current:
    with it libvirt forgets the overlays of the last revert, and the next one
    then deletes those that other snapshots need (seen with 11.3).
    """
    _redefine(domain, root, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)


def make_current(domain: Domain, root: xml.Element) -> None:
    """Let libvirt keep *root*, and let that snapshot be the current one."""
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    if current(domain) != root.findtext('name'):
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
    _redefine(domain, root, flags)


def _redefine(domain: Domain, root: xml.Element, flags: int) -> None:
    text = xml.render(root)
    domain.changed(lambda: domain.handle.snapshotCreateXML(text, flags))


def forget(domain: Domain, name: str) -> None:
    """Take a snapshot off libvirt's list; its children get its parent."""
    snapshot = find(domain, name)
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
    domain.changed(lambda: snapshot.delete(flags))
