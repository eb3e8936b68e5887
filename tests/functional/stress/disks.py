# SPDX-License-Identifier: Apache-2.0
"""Disks that are attached, detached, swapped and grown."""

import random
from xml.etree import ElementTree

import libvirt

from tests.functional.stress.model import Content, Disk, System
from tests.functional.stress.world import World
from tests.lab.host import IMAGES

_MOST_DISKS = 3
_NEW_MIB = 4
_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


def attach(world: World, system: System, rng: random.Random) -> str | None:
    """A new disk, or one that was detached before."""
    free = [t for t in ('sda', 'sdb', 'sdc') if t not in system.disks]
    if len(system.disks) >= _MOST_DISKS or not free:
        return None
    target = rng.choice(free)
    return _attach(world, system, rng, target)


def _attach(
    world: World, system: System, rng: random.Random, target: str
) -> str:
    held = world.captured_by_all()
    again = [
        path
        for path in world.kept
        if path not in held
        and not _stands_under(world, path)
        and world.may_borrow(system, path)
    ]
    if again and rng.random() < 0.5:
        path = rng.choice(again)
        disk = world.kept.pop(path)
        world.attached_again.add(path)
    else:
        path = f'{IMAGES}/disk-{next(world.numbers)}.qcow2'
        world.files.make(path, _NEW_MIB)
        disk = Disk(next(world.numbers), Content.blank(_NEW_MIB))
        disk.content.write(0, rng.randrange(1, 256))
        (value,) = disk.content.cells[0]
        world.files.write(path, 0, value)
    bus = 'virtio' if target == 'vda' else 'scsi'
    world.domain(system).attachDeviceFlags(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{path}'/><target dev='{target}' bus='{bus}'/></disk>",
        _flags(world, system),
    )
    system.disks[target] = disk
    return f'attach {path} as {target}'


def _stands_under(world: World, path: str) -> bool:
    """Whether something else that is kept stands on it."""
    return any(
        path in world.files.chain(other)[1:]
        for other in (*world.kept, *world.clones)
    )


def detach(world: World, system: System, rng: random.Random) -> str | None:
    able = _detachable(world, system)
    if not able or len(system.disks) < 2:
        return None
    return detach_disk(world, system, rng.choice(able))


def _detachable(world: World, system: System) -> list[str]:
    # That of virtio goes when the guest has let go of it.
    return sorted(
        system.disks.keys() - ({'vda'} if world.is_on(system) else set())
    )


def detach_disk(world: World, system: System, target: str) -> str:
    path = world.tops(system)[target]
    domain = world.domain(system)
    text = domain.XMLDesc(0 if domain.isActive() else _INACTIVE)
    (disk,) = ElementTree.fromstring(text).findall(
        f"devices/disk/target[@dev='{target}']/.."
    )
    domain.detachDeviceFlags(
        ElementTree.tostring(disk, 'unicode'), _flags(world, system)
    )
    world.keep(path, system.disks.pop(target))
    return f'detach {target} with {path}'


def swap(world: World, system: System, rng: random.Random) -> str | None:
    """Another disk at the target of one."""
    able = _detachable(world, system)
    if not able:
        return None
    target = rng.choice(able)
    first = detach_disk(world, system, target)
    return f'{first}, {_attach(world, system, rng, target)}'


def grow(world: World, system: System, rng: random.Random) -> str | None:
    target = rng.choice(sorted(system.disks))
    content = system.disks[target].content
    mib = rng.randrange(1, 4)
    if len(content.cells) > 20:
        return None
    if world.is_on(system):
        world.domain(system).blockResize(
            target,
            (len(content.cells) + mib) * 2**20,
            libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES,
        )
    else:
        path = world.tops(system)[target]
        if path in world.held():
            return None
        world.files.grow(path, mib)
    content.grow(mib)
    return f'grow {target} by {mib} MiB'


def _flags(world: World, system: System) -> int:
    return _CONFIG | _LIVE if world.is_on(system) else _CONFIG
