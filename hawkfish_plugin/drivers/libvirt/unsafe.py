# SPDX-License-Identifier: Apache-2.0
"""
What makes a system unsafe, and how that is mended.

Owns the invariants: no definition writes to a file that a snapshot holds, or
to what that or anything else stands on; a running system and its definition
for the next start are on the same files; no two definitions write to one file.
Somebody who defines an older definition again breaks them, and the next boot
would ruin every snapshot.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    domains,
    errors,
    revert_xml,
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.host_files import HostFiles
from hawkfish_plugin.drivers.libvirt.ledger import Ledger, holds_data
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot

# By the target of a disk, the file that is written to.
Tops = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Seen:
    """
    A domain: what it writes to now, and what it would after its next start.

    *held* is what its snapshots hold, in terms of ``files.identities``, with
    the name of a snapshot; *above* is what stands on what it writes to, by
    path.
    """

    uuid: str
    now: Tops
    later: Tops
    held: Mapping[str, str]
    files: HostFiles
    above: Mapping[str, Sequence[str]] = dataclasses.field(
        default_factory=dict
    )


def violations(
    domain: Domain, ledger: Ledger, freshness: contract.Freshness
) -> list[exceptions.Unsafe]:
    """What makes *domain* unsafe; nothing where it is safe."""
    return [*broken(_look(domain, ledger, freshness))]


def check_start(
    domain: Domain, ledger: Ledger, freshness: contract.Freshness
) -> None:
    """
    Raise the first finding by which a start of *domain* would destroy data.

    Two definitions of one disk, such as one for BIOS and one for UEFI, may
    take turns; but not while the other one runs, nor where a snapshot of
    either relies on what is written.
    """
    seen = _look(domain, ledger, freshness)
    for target, path in seen.later.items():
        for found in _overwritten(seen, target, path):
            raise found
        for uuid, name in _other_writers(seen, path):
            other = domains.find(domain.host, uuid)
            if other.is_active or any(map(snapshots.names, (domain, other))):
                raise exceptions.DiskOfTwoSystems(target, path, name)


def broken(seen: Seen) -> Iterator[exceptions.Unsafe]:
    """The invariants that do not hold."""
    of = seen.files.identities.of
    for target, path in sorted({*seen.now.items(), *seen.later.items()}):
        yield from _overwritten(seen, target, path)
        yield from _written_by_others(seen, target, path)
    for target in sorted(seen.now.keys() & seen.later.keys()):
        now, later = seen.now[target], seen.later[target]
        if of(now) != of(later):
            yield exceptions.DefinitionsDiffer(target, now, later)
    for path in sorted(seen.held):
        yield from _written_by_others(seen, seen.held[path], path)


def _overwritten(
    seen: Seen, target: str, path: str
) -> Iterator[exceptions.Unsafe]:
    """What is destroyed by writing to *path*."""
    snapshot = seen.held.get(seen.files.identities.of(path))
    if snapshot:
        yield exceptions.DefinitionOnSnapshot(target, path, snapshot)
        return
    for above in seen.above.get(path, ())[:1]:
        yield exceptions.DiskIsBackingFile(target, path, above)


def _written_by_others(
    seen: Seen, what: str, path: str
) -> Iterator[exceptions.Unsafe]:
    for _, name in _other_writers(seen, path):
        yield exceptions.DiskOfTwoSystems(what, path, name)


def _other_writers(seen: Seen, path: str) -> Iterator[tuple[str, str]]:
    """The UUID and the name of each other system that may write to *path*."""
    for uuid, _ in seen.files.writers(path):
        if uuid != seen.uuid:
            yield uuid, seen.files.definitions[uuid].name


def _look(
    domain: Domain, ledger: Ledger, freshness: contract.Freshness
) -> Seen:
    now = _tops(domain, domain.definition())
    later = _tops(domain, domain.definition(inactive=True))
    snapshots_seen = snapshots.read_all(domain)
    captured = {path for s in snapshots_seen for path in _held_by(domain, s)}
    named = {*now.values(), *later.values(), *captured}
    files = ledger.files(domain.host, named, freshness).certain
    held = {
        file: s.record.name
        for s in snapshots_seen
        for file in files.chains(_held_by(domain, s))
    }
    return Seen(
        domain.uuid,
        now,
        later,
        _others(domain, files, now, later) | held,
        files,
        _above(domain, files, now, later),
    )


def _above(
    domain: Domain, files: HostFiles, *tops: Tops
) -> dict[str, list[str]]:
    """What stands on each file of *tops*, by its path."""
    named, of = files.named(), files.identities.of
    return {
        path: [
            above
            for above in files.above(path)
            if of(above) in named or holds_data(domain.host, above)
        ]
        for path in {path for found in tops for path in found.values()}
    }


def _held_by(domain: Domain, snapshot: ParsedSnapshot) -> list[str]:
    """The files that hold the disks of an external snapshot."""
    return [*_paths(domain, snapshot.disks).values()]


def _others(domain: Domain, files: HostFiles, *tops: Tops) -> dict[str, str]:
    """What the snapshots of others hold of the files of *domain*."""
    written = files.identities.of_all(p for t in tops for p in t.values())
    found = {}
    for uuid, definition in files.definitions.items():
        # Whose snapshots hold a file stands on it, too.
        if uuid == domain.uuid or not files.chains(definition.files) & written:
            continue
        other = domains.find(domain.host, uuid)
        for s in snapshots.read_all(other):
            for file in files.chains(_held_by(other, s)) & written:
                found[file] = f'{s.record.name} of {definition.name}'
    return found


def _tops(domain: Domain, definition: xml.Element) -> dict[str, str]:
    """By target, the files that *definition* writes to."""
    return _paths(
        domain,
        [
            disk
            for disk in xml.disks(definition)
            if disk.is_captured and not disk.shareable
        ],
    )


def _paths(domain: Domain, disks: Iterable[xml.Disk]) -> dict[str, str]:
    """The file of each of *disks*, by its target."""
    found = {}
    for disk in disks:
        # The pool of a volume may be gone.
        with errors.ignored(domain.host.connection):
            path = domain.host.storage.path_of(disk)
            if path:
                found[disk.target] = path
    return found


# Mending ---------------------------------------------------------------------


def plan(domain: Domain, ledger: Ledger) -> list[contract.Repair]:
    """
    What would make *domain* safe without a loss.

    Raises what cannot be mended.
    """
    seen = _look(domain, ledger, contract.Freshness.LISTED)
    wrong = [*broken(seen)]
    if domain.is_active:
        mended = [
            contract.Repair(target, later, seen.now[target])
            for target, later in seen.later.items()
            if target in seen.now and _differ(seen, target)
        ]
    else:
        mended = [*_last_overlays(domain, seen)]
    after = {repair.target: repair.after for repair in mended}
    later = {**seen.later, **after}
    now = seen.now if domain.is_active else {**seen.now, **after}
    # Whose latest state stands on such an overlay would lose it.
    above = _above(domain, seen.files, now, later)
    then = dataclasses.replace(seen, later=later, now=now, above=above)
    exceptions.check([*broken(then)])
    return mended if wrong else []


def _differ(seen: Seen, target: str) -> bool:
    of = seen.files.identities.of
    return of(seen.now[target]) != of(seen.later[target])


def _last_overlays(domain: Domain, seen: Seen) -> Iterator[contract.Repair]:
    """
    The overlays that the system was on, over the snapshot it grows from.

    Only those that are there, and that stand on what the snapshot holds.
    """
    current = snapshots.current(domain)
    if current is None:
        return
    root = snapshots.describe(domain, current)
    base = {
        disk.target: disk.path for disk in snapshot_xml.captured_disks(root)
    }
    of = seen.files.identities.of
    for target, overlay in snapshot_xml.revert_disks(root).items():
        below, now = base.get(target), seen.later.get(target)
        if not overlay or not below or now is None or of(now) not in seen.held:
            continue
        if domain.host.storage.exists(overlay) and of(
            below
        ) in seen.files.chain(overlay):
            yield contract.Repair(target, now, overlay)


def repair(domain: Domain, ledger: Ledger) -> None:
    """Do what ``plan`` says; can be repeated."""
    mended = plan(domain, ledger)
    if not mended:
        return
    later = domain.definition(inactive=True, secure=True)
    overlays = {} if domain.is_active else _by_target(mended)
    present = domain.definition(secure=True)
    root = revert_xml.put_on(later, overlays, present, ())
    domains.define(domain.host, xml.render(root))


def _by_target(mended: Iterable[contract.Repair]) -> dict[str, str]:
    return {one.target: one.after for one in mended}
