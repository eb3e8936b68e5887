# SPDX-License-Identifier: Apache-2.0
"""
Staging a snapshot for a bundle.

Owns what of a snapshot is copied, and to where.  An external snapshot is a
frozen file for each disk, so nothing but libvirt's copy of it is needed,
whatever the system does; that copy has no backing file.
"""

import contextlib
import dataclasses
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import LeftOut, Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.exporting import ExportRequest, Staged
from hawkfish_plugin.drivers.libvirt import (
    connections,
    errors,
    filenames,
    parsed,
    revert_xml,
    snapshots,
    space,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.staging import Staging
from hawkfish_plugin.records import Record

_NAME = contract.EXPORT


@dataclasses.dataclass(frozen=True)
class ExportJournal(Record):
    """
    What an export notes.

    The *folder* of its files, the *members* that are staged, what is
    *left_out*, and the versions of the *hypervisor*; all as JSON has them.
    """

    folder: str = ''
    members: Sequence[Mapping[str, Any]] = ()
    left_out: Sequence[Mapping[str, str]] = ()
    hypervisor: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def staged(self) -> Staged:
        return Staged(
            self.folder,
            tuple(Member.load(one) for one in self.members),
            tuple(LeftOut.load(one) for one in self.left_out),
            self.hypervisor,
        )


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    What is copied of a snapshot, whose XML is *root*.

    *disks* are those that it holds, *memory* is the image, if it is wanted,
    *copies* are those of the firmware's state that are there, by kind.
    """

    root: xml.Element
    disks: Sequence[xml.Disk]
    memory: str | None
    copies: Mapping[str, str]
    left_out: Sequence[LeftOut]
    folder: str
    needs: Sequence[space.Need]


def plan(domain: Domain, request: ExportRequest, conf: cfg.ConfigOpts) -> Plan:
    """
    What is to be copied; raises what stands in the way.

    That is SnapshotNotFound, ExportNotPossible, SnapshotFileMissing,
    FolderMissing or InsufficientSpace.
    """
    root = snapshots.describe(domain, request.name)
    seen = parsed.parse(root)
    _check(seen, request)
    storage = domain.host.storage
    files = [disk.path for disk in seen.disks if disk.path]
    memory = seen.memory_file if request.memory else None
    gone = storage.missing([*files, *([memory] if memory else [])])
    if gone:
        raise exceptions.SnapshotFileMissing(request.name, gone)
    home = conf.backup.export_dir or posixpath.dirname(files[0])
    if not storage.has_folder(home):
        raise exceptions.FolderMissing(home)
    copies = {
        kind: path
        for kind, path in seen.copies.items()
        if storage.exists(path)
    }
    sizes = [(path, storage.size(path)[0]) for path in files]
    others = [*copies.values(), *([memory] if memory else [])]
    needs = space.for_export(storage, home, sizes, others)
    space.check(needs)
    return Plan(
        root,
        seen.disks,
        memory,
        copies,
        _left_out(seen, request, copies),
        filenames.export_folder(home, filenames.new_token()),
        needs,
    )


def _check(seen: parsed.ParsedSnapshot, request: ExportRequest) -> None:
    def refuse(reason: str) -> exceptions.HawkFishError:
        return exceptions.ExportNotPossible(request.name, reason)

    if not seen.record.external or not seen.disks:
        raise refuse('its data is not in files of its own')
    if request.memory and not seen.memory_file:
        raise refuse('it has no memory')
    for disk in seen.disks:
        if not disk.path:
            raise refuse(f'disk {disk.target} is not in a file')
        if disk.encrypted:
            raise refuse(f'disk {disk.target} is encrypted')
        if disk.remapped:
            raise refuse(f'disk {disk.target} is not what its file holds')


def _left_out(
    seen: parsed.ParsedSnapshot,
    request: ExportRequest,
    copies: Mapping[str, str],
) -> list[LeftOut]:
    held = {disk.target for disk in seen.disks}
    found = [
        LeftOut(disk.target, why_not(disk))
        for disk in seen.captured
        if disk.target not in held
    ]
    found += [
        LeftOut(kind, 'the snapshot has no copy of it')
        for kind in seen.copies
        if kind not in copies
    ]
    if seen.memory_file and not request.memory:
        found.append(LeftOut('memory', 'it was not asked for'))
    return found


def why_not(disk: xml.Disk) -> str:
    if disk.is_removable:
        return 'media are not captured'
    return 'it is read-only' if disk.readonly else 'it was not captured'


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: ExportRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> Staged:
    """See ``exporting.Exports.export``."""
    with hypervisor.domain(uuid, _NAME, context.check_active) as domain:
        planned = plan(domain, request, conf)
        journal = ExportJournal(
            planned.folder,
            left_out=[one.dump() for one in planned.left_out],
            hypervisor=versions(domain.host),
        )
        context.step('prepare', journal)
        with _removing(domain.host, planned.folder, context):
            members = _stage(domain.host, planned, context)
        dumped = [one.dump() for one in members]
        journal = dataclasses.replace(journal, members=dumped)
        context.step('finish', journal)
        return journal.staged()


def settle(
    hypervisor: connections.Hypervisor, context: contract.TaskContext
) -> Staged:
    """See ``exporting.Exports.settle_export``."""
    journal = context.recall(ExportJournal)
    if context.last_step == 'finish':
        return journal.staged()
    with hypervisor.host(_NAME, context.check_active) as host:
        if journal.folder:
            Staging(host, journal.folder).remove()
    raise exceptions.OperationInterrupted(_NAME, 'nothing of it was kept')


def versions(host: Host) -> dict[str, str]:
    number = host.connection.getVersion()
    qemu = f'{number // 10**6}.{number // 1000 % 1000}.{number % 1000}'
    return {'libvirt': host.version, 'QEMU': qemu}


@contextlib.contextmanager
def _removing(
    host: Host, folder: str, context: contract.TaskContext
) -> Iterator[None]:
    """Remove what is staged where the block fails; settle can do it later."""
    try:
        yield
    except (libvirt.libvirtError, exceptions.HawkFishError):
        if host.is_alive:
            try:
                Staging(host, folder).remove()
            except libvirt.libvirtError as exc:
                host.raise_if_lost(exc)
                context.add_message(
                    messages.CLEANUP_FAILED, folder, errors.text(exc)
                )
        raise


@dataclasses.dataclass(frozen=True)
class _Part:
    """
    A member to come: what it is, and the file *source* or the *data* of it.

    *weight* says how much of the work it is.
    """

    name: str
    role: str
    source: str = ''
    data: bytes = b''
    target: str | None = None
    format: str | None = None
    weight: int = 1


def _parts(host: Host, planned: Plan) -> Iterator[_Part]:
    name = planned.root.findtext('domain/name', '')
    definition = revert_xml.next_start(planned.root, name)
    yield _text('domain.xml', manifest.DOMAIN, definition)
    yield _text('snapshot.xml', manifest.SNAPSHOT, planned.root)
    for kind, path in planned.copies.items():
        yield _Part(
            f'firmware/{kind}.gz', manifest.FIRMWARE, path, target=kind
        )
    for disk in planned.disks:
        path = disk.path or ''
        yield _Part(
            f'disks/{disk.target}.qcow2',
            manifest.DISK,
            path,
            target=disk.target,
            format=disk.format,
            weight=max(1, host.storage.size(path)[1]),
        )
    if planned.memory:
        weight = max(1, host.storage.size(planned.memory)[1])
        yield _Part(
            'memory.image',
            manifest.MEMORY,
            planned.memory,
            weight=weight,
        )


def _text(name: str, role: str, root: xml.Element) -> _Part:
    return _Part(name, role, data=xml.render(root).encode())


def _stage(
    host: Host,
    planned: Plan,
    context: contract.TaskContext,
) -> list[Member]:
    staging = Staging(host, planned.folder)
    staging.make()
    parts, members = list(_parts(host, planned)), list[Member]()
    whole, done = sum(part.weight for part in parts), 0

    def check() -> None:
        if context.cancelled:
            raise exceptions.OperationCancelled(_NAME)

    for part in parts:
        check()
        context.step('stage', durable=False)
        _copy(staging, part)
        members.append(_member(staging, part, check))
        done += part.weight
        context.progress(100 * done // whole)
    return members


def _copy(staging: Staging, part: _Part) -> None:
    name = posixpath.basename(part.name)
    if part.data:
        staging.write(name, part.data)
    elif part.role == manifest.DISK:
        staging.clone(name, part.source, 'qcow2', part.format or 'raw')
    else:
        staging.clone(name, part.source, 'raw', 'raw')


def _member(
    staging: Staging, part: _Part, check: Callable[[], None]
) -> Member:
    name = posixpath.basename(part.name)
    size = staging.size(name)
    is_disk = part.role == manifest.DISK
    # What is read later must be what is there now, and no file of zeros that
    # a loss of power has left.
    is_late = part.role in manifest.LARGE and staging.keep(name)
    return Member(
        part.name,
        part.role,
        size,
        None if is_late else staging.sha256(name, size, check),
        part.target,
        'qcow2' if is_disk else None,
        staging.capacity(name) if is_disk else None,
    )
