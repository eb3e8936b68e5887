# SPDX-License-Identifier: Apache-2.0
"""Snapshots and merges of virsh, and its start and destroy."""

import random
from typing import Any
from xml.etree import ElementTree

import libvirt

from tests.functional.stress.model import System
from tests.functional.stress.world import World
from tests.lab.host import IMAGES

_DISK_ONLY = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY

_KEEPS_CHILDREN = 11_000_000


def snapshot(world: World, system: System, rng: random.Random) -> str | None:
    """Of all disks or of some, with and without memory."""
    domain, running = world.domain(system), world.is_on(system)
    name = f'v{next(world.numbers)}'
    memory, without, part = False, set[str](), ''
    flags = _DISK_ONLY
    if running and rng.random() < 0.4:
        memory, flags = True, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE
        part = f"<memory snapshot='external' file='{IMAGES}/{name}.mem'/>"
    elif len(system.disks) > 1 and rng.random() < 0.2:
        without = {rng.choice(sorted(system.disks))}
    snapshot = system.capture(name, memory, running, without)
    modes = {t: 'no' if t in without else 'external' for t in system.disks}
    domain.snapshotCreateXML(
        f'<domainsnapshot><name>{name}</name>{part}{_disks(modes)}'
        '</domainsnapshot>',
        flags,
    )
    system.add(snapshot)
    # Its definition names that file, so that no revert discards it.
    world.abandoned |= {world.tops(system)[target] for target in without}
    return f'snapshot-create-as {name}{part} without {without or "none"}'


def layer(world: World, system: System, rng: random.Random) -> str | None:
    """A layer that libvirt does not know as a snapshot, as backups make."""
    if not world.is_on(system):
        return None
    number = next(world.numbers)
    disks = ''.join(
        f"<disk name='{target}' snapshot='external'>"
        f"<source file='{IMAGES}/layer-{number}-{target}.qcow2'/></disk>"
        for target in system.disks
    )
    world.domain(system).snapshotCreateXML(
        f'<domainsnapshot><disks>{disks}</disks></domainsnapshot>',
        _DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA,
    )
    system.cover()
    return f'snapshot-create-as --no-metadata, layer {number}'


def _disks(modes: dict[str, str]) -> str:
    found = ''.join(
        f"<disk name='{target}' snapshot='{mode}'/>"
        for target, mode in modes.items()
    )
    return f'<disks>{found}</disks>'


def forget_snapshot(
    world: World, system: System, rng: random.Random
) -> str | None:
    """``snapshot-delete --metadata``: its files are the operator's now."""
    if not system.snapshots:
        return None
    name = rng.choice(list(system.snapshots))
    handle = world.domain(system).snapshotLookupByName(name)
    # Older ones rewrite the later snapshots; see tools/flaws/28.
    old = world.connection.getLibVersion() < _KEEPS_CHILDREN
    if old and handle.numChildren():
        return None
    paths = world.captured(system, name).values()
    world.abandoned |= world.files.below(paths)
    world.abandoned |= {*_memory_files(world.describe(system, name))}
    handle.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    system.snapshots.pop(name)
    return f'snapshot-delete --metadata {name}'


def _memory_files(text: str) -> list[str]:
    """The memory of a snapshot, and what the service names like it."""
    memory = ElementTree.fromstring(text).find('memory')
    assert memory is not None
    return [path for path in [memory.get('file')] if path]


def commit(world: World, system: System, rng: random.Random) -> str | None:
    """``blockcommit --active --pivot`` of what no snapshot holds."""
    if not world.is_on(system):
        return None
    held = world.held()
    able = []
    for target, top in sorted(world.tops(system).items()):
        below = world.files.backing(top)
        if below and below not in held:
            able.append((target, top, below))
    if not able:
        return None
    target, top, below = rng.choice(able)
    domain = world.domain(system)
    domain.blockCommit(
        target, below, top, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
    )
    world.wait_job(domain, target, pivot=True)
    world.flush(system, target)
    if top not in world.texts():
        world.files.remove(top)
    else:
        world.abandoned.add(top)
    return f'blockcommit {target}: {top} into {below}'


def pull(world: World, system: System, rng: random.Random) -> str | None:
    """``blockpull``: a disk that needs nothing below it."""
    if not world.is_on(system):
        return None
    target = rng.choice(sorted(system.disks))
    top = world.tops(system)[target]
    if not world.files.backing(top):
        return None
    domain: Any = world.domain(system)
    world.abandoned |= {*world.files.chain(top)}
    domain.blockPull(target, 0, 0)
    world.wait_job(domain, target, pivot=False)
    world.flush(system, target)
    return f'blockpull {target}: {top}'


def start(world: World, system: System, rng: random.Random) -> str | None:
    if world.is_on(system):
        return None
    world.domain(system).create()
    system.word = None
    return 'start'


def destroy(world: World, system: System, rng: random.Random) -> str | None:
    if not world.is_on(system):
        return None
    world.domain(system).destroy()
    system.word = None
    return 'destroy'
