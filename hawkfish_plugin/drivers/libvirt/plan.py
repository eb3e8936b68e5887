# SPDX-License-Identifier: Apache-2.0
"""
What kind of snapshot a domain can have, and what stands in the way.

Owns the decision between external and internal snapshots and every reason for
a refusal.  Looks and decides; changes nothing.
"""

import dataclasses
import posixpath
from collections.abc import Iterator
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import snapshots, space, storage, xml

# json-c in libvirt 10.8 to 11.x cannot parse QEMU's answers about longer
# chains; a domain with more does not start, and a daemon restart kills it.
_JSON_BUG_SINCE, _JSON_BUG_UNTIL = 10_008_000, 12_000_000
_DEPTH_WITH_JSON_BUG, _DEPTH = 20, 150
# By the version of libvirt.
_external: dict[int, bool] = {}


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    A snapshot that can be made.

    *quiesce* is one of contract.QUIESCE_MODES, *paths* are the files of the
    disks to capture and *formats* theirs, by target; *volumes* those of them
    that the domain names as pool volumes; *left_out* the targets of media and
    read-only disks; *needs* the space that it takes at the most.
    """

    external: bool
    memory: bool
    quiesce: str
    paths: dict[str, str]
    formats: dict[str, str]
    volumes: dict[str, str]
    left_out: list[str]
    needs: list[space.Need]

    def folder(self) -> str:
        """Where the memory goes: beside the first disk."""
        return posixpath.dirname(next(iter(self.paths.values())))


def make(
    connection: Any,
    domain: Any,
    request: contract.CreateRequest,
    conf: cfg.ConfigOpts,
) -> Plan:
    """
    The snapshot that *request* would make.

    Raises Refused with everything that stands in its way.
    """
    seen = _look(connection, domain)
    external = _is_external(seen, conf)
    wanted = request.memory
    if wanted is None:
        wanted = _wants_memory(external, conf)
    memory = seen.active and wanted
    refusals = _refusals(seen, external, memory, conf)
    if refusals:
        raise exceptions.Refused(refusals)
    paths = {d.target: file_of(connection, d) or '' for d in seen.captured}
    needs = space.for_create(
        connection,
        domain,
        paths.values(),
        memory,
        conf.snapshots.space_headroom,
    )
    space.check(needs)
    return Plan(
        external=external,
        memory=memory,
        quiesce=request.quiesce or conf.snapshots.quiesce.capitalize(),
        paths=paths,
        formats={d.target: d.format for d in seen.captured},
        volumes={d.target: paths[d.target] for d in seen.captured if d.volume},
        left_out=[
            d.target for d in xml.disks(seen.root) if d.target not in paths
        ],
        needs=needs,
    )


def capabilities(
    connection: Any, domain: Any, conf: cfg.ConfigOpts
) -> contract.Capabilities:
    """What snapshots the domain can have as it is now, and why no others."""
    seen = _look(connection, domain)
    external = _is_external(seen, conf)
    memory = seen.active and _wants_memory(external, conf)
    findings = _refusals(seen, external, memory, conf)
    general = [*_general_refusals(seen)]
    return contract.Capabilities(
        version=version(connection),
        external=not general and not _external_refusals(seen, conf),
        internal=not general and not _internal_refusals(seen, seen.active),
        memory=not _memory_refusals(seen),
        quiesce=xml.agent_state(seen.root) != 'absent'
        and (not seen.active or xml.agent_state(seen.root) == 'connected'),
        storage='External' if external else 'Internal',
        findings=tuple(findings),
        disks=tuple(_report(disk) for disk in xml.disks(seen.root)),
    )


def _report(disk: xml.Disk) -> contract.DiskReport:
    reason = None
    if disk.is_media:
        reason = 'It is a removable medium.'
    elif disk.readonly:
        reason = 'It is read-only.'
    return contract.DiskReport(
        disk.target, disk.device, disk.kind, disk.format, reason
    )


def supports_external(connection: Any) -> bool:
    """Whether this libvirt can revert to and delete external snapshots."""
    # It is the driver's, and its capabilities are slow to write down.
    version = connection.getLibVersion()
    if version not in _external:
        root = xml.parse(connection.getCapabilities())
        found = root.find('guest/features/externalSnapshot')
        _external[version] = found is not None
    return _external[version]


def version(connection: Any) -> str:
    number = connection.getLibVersion()
    return f'{number // 10**6}.{number // 1000 % 1000}.{number % 1000}'


def file_of(connection: Any, disk: xml.Disk) -> str | None:
    """The path of the file that holds *disk*; None where it is no file."""
    if disk.kind == 'volume' and disk.volume:
        return storage.volume_path(connection, *disk.volume)
    return disk.path if disk.kind == 'file' else None


def is_captured(disk: xml.Disk) -> bool:
    return not disk.is_media and not disk.readonly


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A domain, as it is while a decision is made."""

    connection: Any
    domain: Any
    root: xml.Element
    active: bool
    captured: list[xml.Disk]
    has_external: bool
    has_internal: bool


def _look(connection: Any, domain: Any) -> _Seen:
    root = xml.parse(domain.XMLDesc(0))
    kinds = {s.record.external for s in snapshots.read_all(domain)}
    return _Seen(
        connection,
        domain,
        root,
        bool(domain.isActive()),
        [disk for disk in xml.disks(root) if is_captured(disk)],
        has_external=True in kinds,
        has_internal=False in kinds,
    )


def _is_external(seen: _Seen, conf: cfg.ConfigOpts) -> bool:
    if conf.snapshots.type != 'auto':
        return bool(conf.snapshots.type == 'external')
    # Never both on one system: libvirt lost data that way before 11.0.
    only_internal = seen.has_internal and not seen.has_external
    return supports_external(seen.connection) and not only_internal


def _wants_memory(external: bool, conf: cfg.ConfigOpts) -> bool:
    # An internal snapshot of a running system has it in any case.
    return bool(conf.snapshots.include_memory) or not external


def _refusals(
    seen: _Seen, external: bool, memory: bool, conf: cfg.ConfigOpts
) -> list[exceptions.HawkFishError]:
    refusals = [*_general_refusals(seen)]
    if external:
        refusals += _external_refusals(seen, conf)
    else:
        refusals += _internal_refusals(seen, memory)
    if memory:
        refusals += _memory_refusals(seen)
    return refusals


def _general_refusals(seen: _Seen) -> Iterator[exceptions.HawkFishError]:
    domain = seen.domain
    if not domain.isPersistent():
        yield exceptions.SystemTransient(domain.name())
    if domain.hasManagedSaveImage():
        yield exceptions.ManagedSavePresent(domain.name())
    if not seen.captured:
        yield exceptions.NoDisks(domain.name())
    for disk in seen.captured:
        yield from _disk_refusals(seen, disk)


def _disk_refusals(
    seen: _Seen, disk: xml.Disk
) -> Iterator[exceptions.HawkFishError]:
    if disk.shareable:
        yield exceptions.DiskShareable(disk.target)
    if disk.transient:
        yield exceptions.DiskTransient(disk.target)
    if disk.snapshot == 'no':
        yield exceptions.DiskExcluded(disk.target)
    if file_of(seen.connection, disk) is None:
        yield exceptions.DiskNotRevertable(disk.target, disk.kind)
    if seen.active and seen.domain.blockJobInfo(disk.target):
        yield exceptions.BlockJobActive(disk.target)


def _external_refusals(
    seen: _Seen, conf: cfg.ConfigOpts
) -> list[exceptions.HawkFishError]:
    found: list[exceptions.HawkFishError] = []
    if not supports_external(seen.connection):
        found.append(exceptions.ExternalNotSupported(version(seen.connection)))
    if seen.has_internal:
        found.append(
            exceptions.SnapshotKindMixed(seen.domain.name(), 'internal')
        )
    limit = conf.snapshots.max_chain_depth or _safe_depth(seen.connection)
    found += [
        exceptions.ChainTooDeep(disk.target, depth, limit)
        for disk in seen.captured
        if (depth := _depth(seen, disk)) >= limit
    ]
    return found


def _depth(seen: _Seen, disk: xml.Disk) -> int:
    """How many files lie below a disk."""
    path = None if seen.active else file_of(seen.connection, disk)
    if path is None:
        return disk.depth
    # libvirt writes the chain of a domain down when it starts it.
    return len(storage.chains(seen.connection, [path])) - 1


def _internal_refusals(
    seen: _Seen, memory: bool
) -> list[exceptions.HawkFishError]:
    name = seen.domain.name()
    found: list[exceptions.HawkFishError] = [
        exceptions.InternalNeedsQcow2(disk.target, disk.format)
        for disk in seen.captured
        if disk.format != 'qcow2'
    ]
    if seen.active and not memory:
        found.append(exceptions.InternalNeedsMemory(name))
    if xml.nvram_format(seen.root) == 'raw':
        found.append(
            exceptions.InternalNeedsQcow2Nvram(name, version(seen.connection))
        )
    if seen.has_external:
        found.append(exceptions.SnapshotKindMixed(name, 'external'))
    return found


def _memory_refusals(seen: _Seen) -> list[exceptions.HawkFishError]:
    return [
        exceptions.DeviceHoldsMemory(seen.domain.name(), device)
        for device in xml.devices_of_the_host(seen.root)
    ]


def _safe_depth(connection: Any) -> int:
    has_bug = _JSON_BUG_SINCE <= connection.getLibVersion() < _JSON_BUG_UNTIL
    return _DEPTH_WITH_JSON_BUG if has_bug else _DEPTH


def check_unsaved(domain: Any) -> None:
    """Raise ManagedSavePresent; its memory would not fit other disks."""
    if domain.hasManagedSaveImage():
        raise exceptions.ManagedSavePresent(domain.name())


def is_paused(domain: Any) -> bool:
    return bool(domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED)


def power_state(domain: Any) -> str:
    if not domain.isActive():
        return contract.OFF
    return contract.PAUSED if is_paused(domain) else contract.ON
