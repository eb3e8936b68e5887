# SPDX-License-Identifier: Apache-2.0
"""
What kind of snapshot a domain can have, and what prevents one.

Owns the decision between external and internal snapshots and every reason for
a refusal.  Looks and decides; changes nothing.
"""

import dataclasses
from collections.abc import Iterator

from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backup_jobs,
    firmware,
    memory_blockers,
    new_files,
    snapshots,
    space,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    A snapshot that can be made.

    *pauses*: in the common pause of its group.  *quiesce* is one of
    contract.QUIESCE_MODES, *paths* are the files of the
    disks to capture and *formats* theirs, by target; *volumes* those of them
    that the domain names as pool volumes; *left_out* the targets of media and
    read-only disks; *files* are those to come, *own_bytes* is what all of
    them but the overlays take at the most, *needs* the space for everything.
    """

    external: bool
    memory: bool
    pauses: bool
    quiesce: str
    paths: dict[str, str]
    formats: dict[str, str]
    volumes: dict[str, str]
    left_out: list[str]
    files: new_files.NewFiles
    own_bytes: int
    needs: list[space.Need]


def make(
    domain: Domain, request: contract.CreateRequest, conf: cfg.ConfigOpts
) -> Plan:
    """
    The snapshot that *request* would make.

    Raises Refused with everything that prevents it.
    """
    seen = _look(domain)
    external = _is_external(seen, conf)
    memory = seen.active and _memory_wanted(request, external, conf)
    refusals = _refusals(seen, external, memory, conf)
    if refusals:
        raise exceptions.Refused(refusals)
    storage = domain.host.storage
    paths = _paths(seen)
    files = new_files.NewFiles()
    if external:
        kinds = xml.firmware(seen.root, not seen.active)
        files = new_files.name(paths, memory, kinds, conf)
    # An internal snapshot has the memory in its first disk.
    image = files.memory or next(iter(paths.values()))
    state = firmware.files(storage, seen.root, seen.active)
    copies = {
        p: files.copies[k] for k, p in state.items() if k in files.copies
    }
    own = space.own_bytes(domain, seen.root, image if memory else None, copies)
    headroom = conf.snapshots.space_headroom
    needs = space.for_create(storage, paths, files.overlays, own, headroom)
    space.check(needs)
    return Plan(
        external=external,
        memory=memory,
        pauses=request.is_common,
        quiesce=request.quiesce or conf.snapshots.quiesce.capitalize(),
        paths=paths,
        formats={d.target: d.format for d in seen.captured},
        volumes={d.target: paths[d.target] for d in seen.captured if d.volume},
        left_out=[
            d.target for d in xml.disks(seen.root) if d.target not in paths
        ],
        files=files,
        own_bytes=sum(own.values()) if external else 0,
        needs=needs,
    )


def capabilities(
    domain: Domain, conf: cfg.ConfigOpts
) -> contract.Capabilities:
    """What snapshots the domain can have as it is now, and why no others."""
    seen = _look(domain)
    external = _is_external(seen, conf)
    memory = seen.active and _wants_memory(external, conf)
    findings = _refusals(seen, external, memory, conf)
    general = [*_general_refusals(seen)]
    agent = xml.agent_state(seen.root)
    return contract.Capabilities(
        version=domain.host.version,
        external=not general and not _external_refusals(seen, conf),
        internal=not general and not _internal_refusals(seen, seen.active),
        memory=not _memory_refusals(seen),
        quiesce=agent == 'connected' if seen.active else agent != 'absent',
        storage='External' if external else 'Internal',
        findings=tuple(findings),
        disks=tuple(_report(disk) for disk in xml.disks(seen.root)),
    )


def _report(disk: xml.Disk) -> contract.DiskReport:
    reason = None
    if disk.is_removable:
        reason = 'It is a removable medium.'
    elif disk.readonly:
        reason = 'It is read-only.'
    return contract.DiskReport(
        disk.target, disk.device, disk.kind, disk.format, reason
    )


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A domain, as it is while a decision is made."""

    domain: Domain
    root: xml.Element
    active: bool
    captured: list[xml.Disk]
    has_external: bool
    has_internal: bool


def _look(domain: Domain) -> _Seen:
    root = domain.definition()
    kinds = {s.record.external for s in snapshots.read_all(domain)}
    return _Seen(
        domain,
        root,
        xml.is_running(root),
        [disk for disk in xml.disks(root) if disk.is_captured],
        has_external=True in kinds,
        has_internal=False in kinds,
    )


def _paths(seen: _Seen) -> dict[str, str]:
    """The files of the disks to capture, by target."""
    storage = seen.domain.host.storage
    return {
        disk.target: path
        for disk in seen.captured
        if (path := storage.path_of(disk))
    }


def _is_external(seen: _Seen, conf: cfg.ConfigOpts) -> bool:
    if conf.snapshots.type != 'auto':
        return bool(conf.snapshots.type == 'external')
    # Never both on one system: libvirt lost data that way before 11.0.
    only_internal = seen.has_internal and not seen.has_external
    return seen.domain.host.supports_external and not only_internal


def _memory_wanted(
    request: contract.CreateRequest, external: bool, conf: cfg.ConfigOpts
) -> bool:
    if request.consistency == contract.DISKS_ONLY:
        return False
    if request.memory is not None:
        return request.memory
    return _wants_memory(external, conf)


def _wants_memory(external: bool, conf: cfg.ConfigOpts) -> bool:
    # An internal snapshot of a running system has it in any case.
    return bool(conf.snapshots.include_memory) or not external


def _refusals(
    seen: _Seen, external: bool, memory: bool, conf: cfg.ConfigOpts
) -> list[exceptions.HawkFishError]:
    refusals = [*_general_refusals(seen)]
    if external:
        refusals += _external_refusals(seen, conf)
        storage = seen.domain.host.storage
        paths = _paths(seen)
        refusals += new_files.refusals(storage, paths, memory, conf)
    else:
        refusals += _internal_refusals(seen, memory)
    if memory:
        refusals += _memory_refusals(seen)
    return refusals


def _general_refusals(seen: _Seen) -> Iterator[exceptions.HawkFishError]:
    domain = seen.domain
    if not domain.is_persistent:
        yield exceptions.SystemTransient(domain.name)
    if seen.active and domain.is_suspended:
        yield exceptions.SystemSuspended(domain.name)
    if domain.has_managed_save:
        yield exceptions.ManagedSavePresent(domain.name)
    if not seen.captured:
        yield exceptions.NoDisks(domain.name)
    for disk in seen.captured:
        yield from _disk_refusals(seen, disk)
    try:
        backup_jobs.check_free(domain)
    except exceptions.BackupJobActive as exc:
        yield exc
    else:
        yield from _busy_disks(seen)


def _disk_refusals(
    seen: _Seen, disk: xml.Disk
) -> Iterator[exceptions.HawkFishError]:
    if disk.shareable:
        yield exceptions.DiskShareable(disk.target)
    if disk.transient:
        yield exceptions.DiskTransient(disk.target)
    if disk.encrypted:
        # An overlay, and the memory, would have in plain text what is in it.
        yield exceptions.DiskEncrypted(disk.target)
    if disk.remapped:
        # An overlay stands on the file as a whole.
        yield exceptions.DiskRemapped(disk.target, disk.remapped)
    if disk.snapshot == 'no':
        yield exceptions.DiskExcluded(disk.target)
    if seen.domain.host.storage.path_of(disk) is None:
        yield exceptions.DiskNotRevertable(disk.target, disk.kind)


def _busy_disks(seen: _Seen) -> Iterator[exceptions.HawkFishError]:
    for disk in seen.captured if seen.active else ():
        if seen.domain.block_job(disk.target):
            yield exceptions.BlockJobActive(disk.target)


def _external_refusals(
    seen: _Seen, conf: cfg.ConfigOpts
) -> list[exceptions.HawkFishError]:
    found: list[exceptions.HawkFishError] = []
    if not seen.domain.host.supports_external:
        found.append(exceptions.ExternalNotSupported(seen.domain.host.version))
    if seen.has_internal:
        found.append(
            exceptions.SnapshotKindMixed(seen.domain.name, 'internal')
        )
    found += _checkpoint_refusals(seen)
    longest = seen.domain.host.longest_chain
    limit = conf.snapshots.max_chain_depth or longest
    found += [
        exceptions.ChainTooDeep(disk.target, depth, limit)
        for disk in seen.captured
        if (depth := _depth(seen, disk)) >= limit
    ]
    return found


def _checkpoint_refusals(seen: _Seen) -> list[exceptions.HawkFishError]:
    if seen.active:
        return []
    names = backup_jobs.checkpoints(seen.domain)
    if not names:
        return []
    return [exceptions.CheckpointsPresent(seen.domain.name, ', '.join(names))]


def _depth(seen: _Seen, disk: xml.Disk) -> int:
    """How many backing files a disk has."""
    storage = seen.domain.host.storage
    path = None if seen.active else storage.path_of(disk)
    if path is None:
        return disk.depth
    # libvirt writes the chain of a domain down when it starts it.
    return len(storage.chains([path])) - 1


def _internal_refusals(
    seen: _Seen, memory: bool
) -> list[exceptions.HawkFishError]:
    name = seen.domain.name
    found: list[exceptions.HawkFishError] = [
        exceptions.InternalNeedsQcow2(disk.target, disk.format)
        for disk in seen.captured
        if disk.format != 'qcow2'
    ]
    if seen.active and not memory:
        found.append(exceptions.InternalNeedsMemory(name))
    if xml.nvram_format(seen.root) == 'raw':
        found.append(
            exceptions.InternalNeedsQcow2Nvram(name, seen.domain.host.version)
        )
    if seen.has_external:
        found.append(exceptions.SnapshotKindMixed(name, 'external'))
    return found


def _memory_refusals(seen: _Seen) -> list[exceptions.HawkFishError]:
    return [
        exceptions.DeviceHoldsMemory(seen.domain.name, reason)
        for reason in memory_blockers.find(seen.domain, seen.root, seen.active)
    ]
