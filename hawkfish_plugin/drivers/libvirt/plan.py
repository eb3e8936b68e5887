# SPDX-License-Identifier: Apache-2.0
"""
What kind of snapshot a domain can have, and what stands in the way.

Owns the decision between external and internal snapshots and every reason for
a refusal.  Looks and decides; changes nothing.
"""

import dataclasses
import posixpath
from collections.abc import Iterator, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import drivers, exceptions
from hawkfish_plugin.drivers.libvirt import snapshots, space, storage, xml

# json-c in libvirt 10.8 to 11.x cannot parse QEMU's answers about longer
# chains; a domain with more does not start, and a daemon restart kills it.
_JSON_BUG_SINCE, _JSON_BUG_UNTIL = 10_008_000, 12_000_000
_DEPTH_WITH_JSON_BUG, _DEPTH = 20, 150


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    A snapshot that can be made.

    *quiesce* is one of drivers.QUIESCE_MODES, *paths* are the files of the
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
    connection: Any, domain: Any, request: drivers.CreateRequest,
    conf: cfg.ConfigOpts,
) -> Plan:
    """
    The snapshot that *request* would make.

    Raises Refused with everything that stands in its way.
    """
    active = bool(domain.isActive())
    root = xml.parse(domain.XMLDesc(0))
    captured = [disk for disk in xml.disks(root) if _is_captured(disk)]
    wanted = request.memory
    if wanted is None:
        wanted = conf.snapshots.include_memory
    refusals = [*_domain_refusals(domain, captured)]
    for disk in captured:
        refusals += _disk_refusals(connection, domain, disk, active)
    external, reasons = _choose_kind(
        connection, domain, root, captured, request.memory, active, conf
    )
    refusals += reasons
    if external:
        refusals += _too_deep(connection, captured, conf)
    if refusals:
        raise exceptions.Refused(refusals)
    paths = {d.target: file_of(connection, d) or '' for d in captured}
    memory = active and wanted
    needs = space.for_create(
        connection, domain, paths.values(), memory,
        conf.snapshots.space_headroom,
    )  # fmt: skip
    space.check(needs)
    return Plan(
        external=external,
        memory=memory,
        quiesce=request.quiesce or conf.snapshots.quiesce.capitalize(),
        paths=paths,
        formats={d.target: d.format for d in captured},
        volumes={d.target: paths[d.target] for d in captured if d.volume},
        left_out=[
            d.target for d in xml.disks(root) if d.target not in paths
        ],
        needs=needs,
    )  # fmt: skip


def supports_external(connection: Any) -> bool:
    """Whether this libvirt can revert to and delete external snapshots."""
    capabilities = xml.parse(connection.getCapabilities())
    return capabilities.find('guest/features/externalSnapshot') is not None


def version(connection: Any) -> str:
    number = connection.getLibVersion()
    return f'{number // 10**6}.{number // 1000 % 1000}.{number % 1000}'


def file_of(connection: Any, disk: xml.Disk) -> str | None:
    """The path of the file that holds *disk*; None where it is no file."""
    if disk.kind == 'volume' and disk.volume:
        return storage.volume_path(connection, *disk.volume)
    return disk.path if disk.kind == 'file' else None


def _is_captured(disk: xml.Disk) -> bool:
    return not disk.is_media and not disk.readonly


def _domain_refusals(
    domain: Any, captured: Sequence[xml.Disk]
) -> Iterator[exceptions.HawkFishError]:
    if not domain.isPersistent():
        yield exceptions.SystemTransient(domain.name())
    if domain.hasManagedSaveImage():
        yield exceptions.ManagedSavePresent(domain.name())
    if not captured:
        yield exceptions.NoDisks(domain.name())


def _disk_refusals(
    connection: Any, domain: Any, disk: xml.Disk, active: bool
) -> Iterator[exceptions.HawkFishError]:
    if disk.shareable:
        yield exceptions.DiskShareable(disk.target)
    if disk.transient:
        yield exceptions.DiskTransient(disk.target)
    if disk.snapshot == 'no':
        yield exceptions.DiskExcluded(disk.target)
    if file_of(connection, disk) is None:
        yield exceptions.DiskNotRevertable(disk.target, disk.kind)
    if active and domain.blockJobInfo(disk.target):
        yield exceptions.BlockJobActive(disk.target)


def _choose_kind(
    connection: Any, domain: Any, root: xml.Element,
    captured: Sequence[xml.Disk], memory: bool | None, active: bool,
    conf: cfg.ConfigOpts,
) -> tuple[bool, list[exceptions.HawkFishError]]:
    """Whether to make it external, and what stands in the way of that."""
    existing = _existing_kinds(domain)
    supported = supports_external(connection)
    kind = conf.snapshots.type
    if kind == 'auto':
        # Never both on one system: libvirt lost data that way before 11.0.
        kind = 'internal' if not supported or existing == {False} else (
            'external'
        )  # fmt: skip
    if kind == 'external':
        if not supported:
            return True, [exceptions.ExternalNotSupported(version(connection))]
        if False in existing:
            return True, [
                exceptions.SnapshotKindMixed(domain.name(), 'internal')
            ]
        return True, []
    refusals = list(_internal_refusals(domain, root, captured, memory, active))
    if True in existing:
        refusals.append(
            exceptions.SnapshotKindMixed(domain.name(), 'external')
        )
    return False, refusals


def _existing_kinds(domain: Any) -> set[bool]:
    return {
        xml.snapshot(root, None).external
        for root in snapshots.describe_all(domain)
    }


def _internal_refusals(
    domain: Any, root: xml.Element, captured: Sequence[xml.Disk],
    memory: bool | None, active: bool,
) -> Iterator[exceptions.HawkFishError]:
    for disk in captured:
        if disk.format != 'qcow2':
            yield exceptions.InternalNeedsQcow2(disk.target, disk.format)
    if active and memory is False:
        yield exceptions.InternalNeedsMemory(domain.name())
    if xml.nvram_format(root) == 'raw':
        yield exceptions.InternalNeedsQcow2Nvram(
            domain.name(), version(domain.connect())
        )


def _too_deep(
    connection: Any, captured: Sequence[xml.Disk], conf: cfg.ConfigOpts
) -> Iterator[exceptions.HawkFishError]:
    limit = conf.snapshots.max_chain_depth or _safe_depth(connection)
    for disk in captured:
        if disk.depth >= limit:
            yield exceptions.ChainTooDeep(disk.target, disk.depth, limit)


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
        return drivers.OFF
    return drivers.PAUSED if is_paused(domain) else drivers.ON
