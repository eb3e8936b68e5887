# SPDX-License-Identifier: Apache-2.0
"""Image files that are cloned, moved and gone."""

import random

from tests.functional.stress import service
from tests.functional.stress.files import MOVED
from tests.functional.stress.model import System
from tests.functional.stress.world import Broken, World
from tests.lab.host import IMAGES


def clone(world: World, system: System, rng: random.Random) -> str | None:
    """A linked clone of what a snapshot holds, with a domain or without."""
    sound = [s for s in system.snapshots.values() if not s.damaged]
    if len(world.clones) > 1 or not sound:
        return None
    snapshot = rng.choice(sound)
    captured = world.captured(system, snapshot.name)
    target = rng.choice(sorted(captured))
    number = next(world.numbers)
    folder = rng.choice([IMAGES, '/srv/clones'])
    world.files.run('mkdir', '-p', folder)
    path = f'{folder}/clone-{number}.qcow2'
    content = snapshot.disks[target].content.copy()
    world.files.make(path, 0, captured[target])
    world.clones[path] = content
    if folder != IMAGES or rng.random() < 0.5:
        # Nothing else leads to that folder.
        world.define(
            f"<domain type='qemu'><name>clone-{number}</name>"
            "<memory unit='MiB'>16</memory>"
            "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>"
            "<disk type='file' device='disk'>"
            "<driver name='qemu' type='qcow2'/>"
            f"<source file='{path}'/><target dev='vda' bus='virtio'/></disk>"
            '</devices></domain>'
        )
    return f'clone {captured[target]} as {path}'


def remove_clone(
    world: World, system: System, rng: random.Random
) -> str | None:
    if not world.clones:
        return None
    path = rng.choice(sorted(world.clones))
    world.clones.pop(path)
    name = path.rpartition('/')[2].removesuffix('.qcow2')
    for domain in world.connection.listAllDomains():
        if domain.name() == name:
            domain.undefine()
    world.files.remove(path)
    return f'remove {path}'


def move(world: World, system: System, rng: random.Random) -> str | None:
    """Another place for the file that a system that is off writes to."""
    if world.is_on(system):
        return None
    path = rng.choice(sorted(world.tops(system).values()))
    if path in world.held():
        return None
    folder = rng.choice([IMAGES, MOVED])
    new = f'{folder}/moved-{next(world.numbers)}.qcow2'
    world.files.move(path, new)
    world.define(world.definition(system).replace(path, new))
    if not service.look(world, system):
        world.unseen.add(new)
    return f'move {path} to {new}'


def take_away(world: World, system: System, rng: random.Random) -> str | None:
    """A file of a snapshot is gone: nothing is reverted to it."""
    sound = [s for s in system.snapshots.values() if not s.damaged]
    if world.away or not sound:
        return None
    snapshot = rng.choice(sound)
    path = rng.choice(sorted(world.captured(system, snapshot.name).values()))
    away = f'/srv/away/{next(world.numbers)}'
    world.files.move(path, away)
    world.away = (path, away)
    begun = service.revert(world, system, rng, snapshot.name)
    if begun is None:
        return f'take {path} away'
    service.wait_all(world, [begun])
    ended = service.resolve(world, begun, '')
    if ended.startswith('Completed'):
        raise Broken(f'reverted to {snapshot.name} without {path}: {ended}')
    return f'take {path} away; revert to {snapshot.name}: {ended}'


def bring_back(world: World, system: System, rng: random.Random) -> str | None:
    if not world.away:
        return None
    path, away = world.away
    if world.files.exists(path):
        raise Broken(f'{path} was made anew')
    world.files.move(away, path)
    world.away = None
    return f'bring {path} back'
