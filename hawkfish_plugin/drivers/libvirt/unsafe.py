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
from collections.abc import (
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.drivers.libvirt import (
    definitions,
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

    *shared* are the targets of the disks that others may write to as well.
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
    shared: Set[str] = frozenset()


def violations(
    domain: Domain, ledger: Ledger, freshness: contract.Freshness
) -> list[exceptions.Unsafe]:
    """What makes *domain* unsafe; nothing where it is safe."""
    return [*broken(_look(domain, ledger, freshness))]


def check_start(
    domain: Domain,
    ledger: Ledger,
    freshness: contract.Freshness,
    next_start: xml.Element | None = None,
    fresh: Collection[str] = (),
) -> None:
    """
    Raise the first finding by which a start of *domain* would destroy data.

    That is with the definition *next_start*, or else with the one that libvirt
    would start it with.  Whatever a snapshot of any system holds counts, also
    where that system has left it for another branch; but *fresh* files were
    made just now, and are nobody else's.

    Two definitions of one disk, such as one for BIOS and one for UEFI, may
    take turns; but not while the other one runs, nor where a snapshot of
    either relies on what is written.
    """
    if next_start is None:
        next_start = domain.next_start()
    tops = _tops(domain, next_start)
    checked = {t: path for t, path in tops.items() if path not in fresh}
    if not checked:
        return
    seen = _look(domain, ledger, freshness, next_start, True)
    for target, path in checked.items():
        for found in _overwritten(seen, target, path):
            raise found
        writers = dict(_other_writers(seen, path, target in seen.shared))
        for other in domains.those_of(domain.host, writers):
            if other.is_active or any(map(snapshots.names, (domain, other))):
                name = writers[other.uuid]
                raise exceptions.DiskOfTwoSystems(target, path, name)


def broken(seen: Seen) -> Iterator[exceptions.Unsafe]:
    """The invariants that do not hold."""
    of = seen.files.identities.of
    for target, path in sorted({*seen.now.items(), *seen.later.items()}):
        yield from _overwritten(seen, target, path)
        yield from _written_by_others(
            seen, target, path, target in seen.shared
        )
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
    seen: Seen, what: str, path: str, shared: bool = False
) -> Iterator[exceptions.Unsafe]:
    for _, name in _other_writers(seen, path, shared):
        yield exceptions.DiskOfTwoSystems(what, path, name)


def _other_writers(
    seen: Seen, path: str, shared: bool
) -> Iterator[tuple[str, str]]:
    """
    The UUID and the name of each other system that may write to *path*.

    Of a disk that is *shared*, without those that share theirs.
    """
    for uuid in seen.files.writers(path, shared):
        if uuid != seen.uuid:
            yield uuid, seen.files.definitions[uuid].name


def _look(
    domain: Domain,
    ledger: Ledger,
    freshness: contract.Freshness,
    next_start: xml.Element | None = None,
    everybody: bool = False,
) -> Seen:
    """
    What there is to be said of *domain*; see ``check_start`` for *next_start*.

    *everybody*: what all snapshots of the host hold, and not only those of
    who has the files of *domain* in use.
    """
    used = domain.definition()
    if next_start is None:
        next_start = domain.definition(inactive=True)
    now, later = _tops(domain, used), _tops(domain, next_start)
    snapshots_seen = snapshots.read_all(domain)
    captured = {path for s in snapshots_seen for path in _held_by(domain, s)}
    named = {*now.values(), *later.values(), *captured}
    files = ledger.files(domain.host, named, freshness).certain
    held = {
        file: s.record.name
        for s in snapshots_seen
        for file in files.chains(_held_by(domain, s))
    }
    others = _with_snapshots(domain, files, (now, later), everybody)
    return Seen(
        domain.uuid,
        now,
        later,
        _held_by_others(others, files, (now, later)) | held,
        files,
        _above(domain, files, now, later),
        _shared(used) & _shared(next_start),
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


def _with_snapshots(
    domain: Domain, files: HostFiles, tops: Collection[Tops], everybody: bool
) -> list[Domain]:
    """Whose snapshots may hold a file of *tops*, but for *domain* itself."""
    if everybody:
        flag = libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT
        every = domains.all_of(domain.host, flag)
        return [other for other in every if other.uuid != domain.uuid]
    written = _written(files, tops)
    # Who stands on it, too.  To ask all others costs a call for every snapshot
    # of the host; so that is done before a start alone.
    wanted = [
        uuid
        for uuid, definition in files.definitions.items()
        if uuid != domain.uuid and files.chains(definition.files) & written
    ]
    return [*domains.those_of(domain.host, wanted)]


def _written(files: HostFiles, tops: Iterable[Tops]) -> set[str]:
    return files.identities.of_all(p for t in tops for p in t.values())


def _held_by_others(
    others: Iterable[Domain], files: HostFiles, tops: Collection[Tops]
) -> dict[str, str]:
    """What the snapshots of *others* hold of *tops*."""
    written, found = _written(files, tops), dict[str, str]()
    for other in others:
        with definitions.vanished():
            for s in snapshots.read_all(other):
                for file in files.chains(_held_by(other, s)) & written:
                    found[file] = f'{s.record.name} of {other.name}'
    return found


def _tops(domain: Domain, definition: xml.Element) -> dict[str, str]:
    """By target, the files that *definition* writes to."""
    return _paths(domain, _written_disks(definition))


def _written_disks(definition: xml.Element) -> list[xml.Disk]:
    return [disk for disk in xml.disks(definition) if disk.is_captured]


def _shared(definition: xml.Element) -> set[str]:
    """The targets of the disks that others may write to as well."""
    return {d.target for d in _written_disks(definition) if d.shareable}


def _paths(domain: Domain, disks: Iterable[xml.Disk]) -> dict[str, str]:
    """The file of each of *disks*, by its target."""
    found = {}
    for disk in disks:
        # The pool of a volume may be gone.
        with errors.ignored(domain.host.connection):
            path = domain.host.storage.path_of(disk) or disk.block
            if path:
                found[disk.target] = path
    return found


# Mending ---------------------------------------------------------------------


def plan(domain: Domain, ledger: Ledger) -> list[sharing.Repair]:
    """
    What would make *domain* safe without a loss.

    Raises what cannot be mended.
    """
    seen = _look(domain, ledger, contract.Freshness.LISTED)
    wrong = [*broken(seen)]
    if domain.is_active:
        mended = [
            sharing.Repair(target, later, seen.now[target])
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


def _last_overlays(domain: Domain, seen: Seen) -> Iterator[sharing.Repair]:
    """
    The overlays that the system was on, over the snapshot it grows from.

    Only those that are there, and that stand on what the snapshot holds.
    Raises DiskWrittenSince where that was written to after the overlay: by a
    guest that somebody has let run on it, or by a merge of its overlay.
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
        if not domain.host.storage.exists(overlay) or of(
            below
        ) not in seen.files.chain(overlay):
            continue
        if seen.files.is_newer(below, overlay):
            raise exceptions.DiskWrittenSince(target, below, overlay, current)
        yield sharing.Repair(target, now, overlay)


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


def _by_target(mended: Iterable[sharing.Repair]) -> dict[str, str]:
    return {one.target: one.after for one in mended}
