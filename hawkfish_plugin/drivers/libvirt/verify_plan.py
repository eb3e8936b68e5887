# SPDX-License-Identifier: Apache-2.0
"""
What a clone of a snapshot is made of, and what stands in the way of any clone.

Owns the look at the files of a snapshot before anything is started: what QEMU
would find out in other words, and what it would not.  Changes nothing.
"""

import dataclasses
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers.libvirt import (
    clone_xml,
    filenames,
    firmware,
    image_heads,
    parsed,
    qcow2,
    revert_xml,
    snapshots,
    space,
    startable,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot
from hawkfish_plugin.drivers.libvirt.storage import Storage
from hawkfish_plugin.drivers.verifying import VerifyRequest

# What a clone may not use up: the file system is also the original's.
SPARE_BYTES = 64 * 2**20
# A disk of 64 TiB has a first table of 1 MiB.
_MOST_TABLE_BYTES = 16 * 2**20


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    A clone that can be made of a snapshot, or a backup.

    *definition* is what the clone's is made of, *disks* those that get an
    overlay, with their files, by target; *image* is the memory image and
    *head* what is before the memory there.  *firmware* is what the state of
    the firmware held, by kind.  *damage* says what is wrong with the files.
    """

    definition: xml.Element
    disks: Mapping[str, tuple[str, str]]
    folder: str
    token: str
    image: str | None = None
    head: image_heads.Head | None = None
    firmware: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    ejected: Sequence[str] = ()
    left_out: Sequence[str] = ()
    damage: exceptions.HawkFishError | None = None


class _Damage(Exception):
    """The files of the snapshot are not what they were."""

    def __init__(self, error: exceptions.HawkFishError) -> None:
        super().__init__(error)
        self.error = error


def make(domain: Domain, request: VerifyRequest, conf: cfg.ConfigOpts) -> Plan:
    """
    The clone that *request* asks for.

    Raises what says nothing of the snapshot's files: SnapshotNotFound,
    VerifyNotPossible, SnapshotNotStartable or InsufficientSpace.
    """
    root = snapshots.describe(domain, request.name)
    seen = parsed.parse(root)
    disks = _disks(domain, seen)
    name = root.findtext('domain/name', '')
    definition, head = revert_xml.next_start(root, name), None
    damage, copies = None, dict[str, bytes]()
    image = seen.memory_file if request.memory else None
    try:
        for path, kind in disks.values():
            _check_disk(domain.host.storage, request.name, path, kind)
        _check_chains(domain.host.storage, request.name, root, disks)
        if image:
            head = _head(domain, request, image)
            definition = head.definition
        copies = _firmware(domain, seen, definition)
    except _Damage as exc:
        damage = exc.error
    left_out = clone_xml.foreign(definition, disks)
    if image and left_out:
        # Its guest would miss a device.
        raise _refusal(seen, f'its guest uses {", ".join(left_out)}')
    exceptions.check(
        [
            exceptions.SnapshotNotStartable(request.name, obstacle)
            for obstacle in obstacles(domain.host, definition, disks)
        ]
    )
    lack = memory_lack(domain.host, definition)
    if lack:
        raise _refusal(seen, lack)
    home = conf.snapshots.overlay_dir or posixpath.dirname(
        next(iter(disks.values()))[0]
    )
    check_space(domain.host.storage, home, disks, image)
    token = filenames.new_token()
    return Plan(
        definition,
        disks,
        filenames.clone_folder(home, token),
        token,
        image,
        head,
        copies,
        [*_ejected(domain.host.storage, definition)],
        left_out,
        damage,
    )


def _refusal(seen: ParsedSnapshot, why: str) -> exceptions.HawkFishError:
    return exceptions.VerifyNotPossible(seen.record.name, why)


def _disks(domain: Domain, seen: ParsedSnapshot) -> dict[str, tuple[str, str]]:
    """The file that each disk is captured in, and its format, by target."""
    if not seen.record.external or not seen.disks:
        raise _refusal(seen, 'its data is not in files of its own')
    found = {}
    for disk in seen.disks:
        path = domain.host.storage.path_of(disk)
        if not path:
            raise _refusal(seen, f'disk {disk.target} is not in a file')
        if disk.encrypted:
            raise _refusal(seen, f'disk {disk.target} is encrypted')
        found[disk.target] = (path, disk.format)
    return found


def _ejected(storage: Storage, definition: xml.Element) -> Iterator[str]:
    """The media that are there no more."""
    for disk in xml.disks(definition):
        if disk.is_removable and disk.path and not storage.exists(disk.path):
            yield disk.path


# What the host has to have ------------------------------------------------


def obstacles(
    host: Host,
    definition: xml.Element,
    disks: Collection[str],
) -> list[str]:
    """What keeps a clone of *definition* from being started, in words."""
    clone = clone_xml.build(
        definition, clone_xml.Clone('', '', dict.fromkeys(disks, ''))
    )
    return list(startable.obstacles(host, clone))


def memory_lack(host: Host, definition: xml.Element) -> str:
    """What memory the host lacks for a clone, in words; empty: none."""
    needed = _kib(definition)
    has = cast(
        Mapping[str, int],
        host.connection.getMemoryStats(
            libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS
        ),
    )
    free = sum(has.get(kind, 0) for kind in ('free', 'buffers', 'cached'))
    if not free or needed <= free:
        return ''
    return (
        f'its guest has {needed // 1024} MiB of memory, and the host has '
        f'{free // 1024} MiB to spare'
    )


_UNITS = {'b': 0, 'k': 10, 'm': 20, 'g': 30, 't': 40}


def _kib(definition: xml.Element) -> int:
    memory = definition.find('memory')
    if memory is None:
        return 0
    shift = _UNITS.get(memory.get('unit', 'KiB')[:1].lower(), 10)
    return (int(memory.text or 0) << shift) >> 10


def check_space(
    storage: Storage,
    folder: str,
    disks: Mapping[str, tuple[str, str]],
    image: str | None,
) -> None:
    if not storage.has_folder(folder):
        raise exceptions.FolderMissing(folder)
    needed = sum(storage.overlay_size(path) for path, _ in disks.values())
    if image:
        needed += storage.size(image)[1]
    space.check(space.for_files(storage, folder, needed + SPARE_BYTES))


# The files of the snapshot -------------------------------------------------


def _check_disk(storage: Storage, name: str, path: str, kind: str) -> None:
    """Raise what is wrong with the file at *path*, or below it."""
    missing = storage.missing([path])
    if missing:
        raise _Damage(exceptions.SnapshotFileMissing(name, missing))
    for each in sorted(storage.chains([path])):
        header = storage.read(each, qcow2.HEADER_BYTES) or b''
        if qcow2.is_one(header) or (each == path and kind == 'qcow2'):
            flaw = _flaw(storage, each, header)
            if flaw:
                raise _Damage(exceptions.SnapshotFileDamaged(name, each, flaw))


def _flaw(storage: Storage, path: str, header: bytes) -> str | None:
    size = storage.file_size(path) or 0
    flaw = qcow2.flaw(header, size)
    table = qcow2.first_table(header) if not flaw else None
    if table is None or table.length > _MOST_TABLE_BYTES:
        return flaw
    entries = storage.read(path, table.length, table.offset) or b''
    if qcow2.reaches(entries) > size:
        return f'it was cut off: it has {size} bytes, and its data is after'
    return None


def _check_chains(
    storage: Storage,
    name: str,
    root: xml.Element,
    disks: Mapping[str, tuple[str, str]],
) -> None:
    """
    Raise where a disk has lost its backing file.

    QEMU would read zeros in its place.
    """
    captured = root.find('domain')
    said = {} if captured is None else xml.chains(captured)
    for target, (path, kind) in disks.items():
        files = [source.path for source in said.get(target, ())]
        if kind != 'qcow2' or len(files) < 2 or files[0] != path:
            continue
        header = storage.read(path, qcow2.HEADER_BYTES) or b''
        # What libvirt has noted may be older than a merge.
        if (
            not qcow2.has_backing_file(header)
            and files[1]
            and storage.exists(files[1])
        ):
            raise _Damage(
                exceptions.SnapshotFileDamaged(
                    name, path, f'it is not backed by {files[1]} any more'
                )
            )


def _head(
    domain: Domain, request: VerifyRequest, path: str
) -> image_heads.Head:
    storage = domain.host.storage

    def damage(reason: object) -> _Damage:
        return _Damage(
            exceptions.SnapshotFileDamaged(request.name, path, reason)
        )

    header = storage.read(path, image_heads.HEADER_BYTES)
    if header is None:
        raise _Damage(exceptions.SnapshotFileMissing(request.name, path))
    try:
        size = image_heads.length(header)
        rest = storage.read(path, size, image_heads.HEADER_BYTES) or b''
        head = image_heads.parse(header, rest)
    except image_heads.Damaged as exc:
        raise damage(exc) from exc
    theirs = head.definition.findtext('uuid')
    if theirs != domain.uuid:
        raise damage(f'it is of the system {theirs}')
    now, then = storage.file_size(path), request.memory_size
    if then is not None and now != then:
        raise damage(f'it has {now} bytes and had {then}')
    return head


def _firmware(
    domain: Domain, seen: ParsedSnapshot, definition: xml.Element
) -> dict[str, bytes]:
    """What the copies of the firmware's state hold, by kind."""
    storage, found = domain.host.storage, dict[str, bytes]()
    for kind, path in seen.copies.items():
        try:
            data = firmware.read_copy(storage, seen.record.name, path)
        except exceptions.SnapshotFileMissing:
            # One that virsh has made has none.
            continue
        except exceptions.SnapshotFileDamaged as exc:
            raise _Damage(exc) from exc
        if data:
            found[kind] = data
    if clone_xml.NVRAM not in found and seen.memory_file:
        # Loading the memory overwrites it, but for its size.
        now = firmware.files(storage, definition, False).get(clone_xml.NVRAM)
        present = storage.read(now, firmware.MOST_BYTES) if now else None
        if present:
            found[clone_xml.NVRAM] = present
    return found


def words(error: exceptions.HawkFishError) -> str:
    return messages.text(error).rstrip('.')
