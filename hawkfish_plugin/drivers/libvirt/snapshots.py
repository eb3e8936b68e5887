# SPDX-License-Identifier: Apache-2.0
"""
The snapshots of a domain, as libvirt keeps them.

Owns their look-up, the reading of their XML and its redefinition.  A snapshot
may vanish at any time under another client's hands.
"""

import contextlib
import dataclasses
import math
import posixpath
import threading
from collections.abc import Collection, Mapping, Sequence

import cachetools
import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import errors, identities, parsed, xml
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
    text = domain.once(
        'snapshot', lambda: find(domain, name).getXMLDesc(_SECURE), name
    )
    return xml.parse(text)


def texts(domain: Domain) -> list[str]:
    """The XML of every snapshot, but of those that vanish meanwhile."""
    return [*domain.once('snapshots', lambda: _texts(domain))]


def _texts(domain: Domain) -> Sequence[str]:
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


def read(domain: Domain, name: str) -> parsed.ParsedSnapshot:
    """The same of the snapshot *name*; raises SnapshotNotFound."""
    for snapshot in read_all(domain):
        if snapshot.record.name == name:
            return snapshot
    raise exceptions.SnapshotNotFound(name)


def current(domain: Domain) -> str | None:
    """The name of the current snapshot, which the domain grows from."""
    return domain.once('current snapshot', lambda: _current(domain))


def _current(domain: Domain) -> str | None:
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
    The names of those of *seen* that the running *domain* writes to.

    That is so where somebody has started it with an old definition.
    """
    if not any(s.disks for s in seen) or not domain.was_active:
        return set()
    with contextlib.suppress(exceptions.NotAnswering, libvirt.libvirtError):
        # libvirt lists a snapshot before it has captured anything.  Where no
        # job goes on after the list, the next look is at what came of it.
        if _written(domain, seen) and not domain.has_job:
            with domain.host.moments.at_one_time():
                return _written(domain, seen)
    return set()


def _written(
    domain: Domain, seen: Sequence[parsed.ParsedSnapshot]
) -> set[str]:
    # Read-only, or shared with somebody, it is not overwritten for sure.
    now = [
        path
        for disk in xml.disks(domain.definition())
        if disk.is_captured and not disk.shareable
        if (path := domain.host.storage.path_of(disk))
    ]
    return {
        s.record.name
        for s in seen
        for disk in s.disks
        if (held := _path_of(domain, disk))
        and any(_is_one_file(domain, held, path) for path in now)
    }


def _path_of(domain: Domain, disk: xml.Disk) -> str | None:
    # The pool of a volume may be gone.
    with errors.ignored(domain.host.connection):
        return domain.host.storage.path_of(disk)
    return None


def _is_one_file(domain: Domain, one: str, other: str) -> bool:
    if identities.plain(one) == identities.plain(other):
        return True
    # A folder may have several paths, and to ask costs a look at each.
    names = {posixpath.basename(path) for path in (one, other)}
    return len(names) == 1 and domain.host.storage.is_one_file(one, other)


def records(
    seen: Sequence[parsed.ParsedSnapshot],
    current: str | None,
    written: Collection[str] = (),
) -> list[contract.Snapshot]:
    """
    The records of *seen*, all snapshots of a domain, oldest first.

    *written* are the names of those that the domain writes to.
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
    """Those that are *written* to, and what has grown from these since."""
    found: set[str] = set()
    ours = {s.record.name: s for s in seen}
    for name, snapshot in ours.items():
        above: parsed.ParsedSnapshot | None = snapshot
        while above is not None:
            if above.record.name in written:
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
