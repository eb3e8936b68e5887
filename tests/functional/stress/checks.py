# SPDX-License-Identifier: Apache-2.0
"""What must hold after every round, and at the end of a tree."""

import random
from collections.abc import Callable

import libvirt

from tests.functional.stress import acts, disks, images, service
from tests.functional.stress.model import Content, System
from tests.functional.stress.world import GOLDEN, Broken, World, sources
from tests.waiting import wait_for

# With these, a task names a file that stays.
_LEFT = frozenset(
    (
        'CleanupFailed',
        'CleanupUndecided',
        'OverlayLeft',
        'DiskDataKept',
        'DiskAttachedSince',
        'DiskDetachedSince',
    )
)


def check(world: World) -> None:
    """Everything reads what it must, and nobody is left behind."""
    wanted = [('the golden image', GOLDEN, world.golden)]
    for system in world.systems:
        wanted += _of_system(world, system)
        _check_life(world, system)
    wanted += [('a clone', path, c) for path, c in world.clones.items()]
    wanted += [
        ('a detached disk', path, disk.content)
        for path, disk in world.kept.items()
    ]
    _check_contents(world, wanted)
    check_files(world)


def _of_system(world: World, system: System) -> list[tuple[str, str, Content]]:
    tops = world.tops(system)
    if tops.keys() != system.disks.keys():
        raise Broken(f'{system.name} has {tops}, not {[*system.disks]}')
    wanted = [
        (f'{target} of {system.name}', tops[target], disk.content)
        for target, disk in system.disks.items()
    ]
    for snapshot in system.snapshots.values():
        paths = world.captured(system, snapshot.name)
        if paths.keys() != snapshot.disks.keys():
            raise Broken(f'{snapshot.name} holds {paths}')
        for target, disk in snapshot.disks.items():
            if not snapshot.damaged:
                what = f'{target} of {system.name}/{snapshot.name}'
                wanted.append((what, paths[target], disk.content))
    return wanted


def _check_contents(
    world: World, wanted: list[tuple[str, str, Content]]
) -> None:
    if world.away:
        missing = world.away[0]
        wanted = [
            one for one in wanted if missing not in world.files.chain(one[1])
        ]
    found = world.files.read([(path, content) for _, path, content in wanted])
    wrong = []
    for (what, path, content), read in zip(wanted, found, strict=True):
        if read is None or not content.settle(read):
            chain = ' < '.join(world.files.chain(path))
            wrong.append(f'{what}: {read}, not {content}\n    {chain}')
    if wrong:
        raise Broken('\n  '.join(['it reads:', *wrong]))


def _check_life(world: World, system: System) -> None:
    """It is on or off, and writes to nothing that a snapshot holds."""

    def settled() -> bool:
        # A QEMU that was killed is missed by libvirt a bit later.
        state = world.domain(system).state()[0]
        return state in (
            libvirt.VIR_DOMAIN_RUNNING,
            libvirt.VIR_DOMAIN_SHUTOFF,
        )

    wait_for(
        settled,
        lambda: f'{system.name} to run: {world.domain(system).state()}',
        20,
        0.05,
    )
    if not world.is_on(system):
        return
    tops = sources(world.domain(system).XMLDesc())
    for one in world.systems:
        for name in one.snapshots:
            paths = world.captured(one, name).values()
            spoiled = {*tops.values()} & world.files.below(paths)
            if spoiled:
                raise Broken(
                    f'{system.name} writes to {spoiled}, which '
                    f'{one.name}/{name} holds'
                )


def check_word(world: World, system: System) -> None:
    """Its memory is that of the snapshot that it was reverted to."""
    if system.word is not None and world.is_on(system):
        wait_for(
            lambda: world.word(system) == system.word,
            lambda: (
                f'{system.word} in the memory of {system.name}, '
                f'and not {world.word(system)}'
            ),
            3,
        )


def check_files(world: World) -> None:
    """No file of the service's is there that nobody needs or was told of."""
    ours = world.files.ours() - _needed(world)
    if not ours:
        return
    for path in ours & _told(world):
        world.abandoned.add(path)
        world.counts['files that a task has named as left'] += 1
    text = world.texts() + ''.join(s.astray or '' for s in world.systems)
    ours -= world.files.below(
        filter(world.files.exists, world.abandoned | world.files.of_others())
    )
    left = sorted(path for path in ours if path not in text)
    if left:
        raise Broken(f'nothing names {[world.files.chain(p) for p in left]}')


def _needed(world: World) -> set[str]:
    """All that somebody stands on."""
    tops = {p for s in world.systems for p in world.tops(s).values()}
    away = world.away[1:] if world.away else ()
    others = world.files.below(
        {GOLDEN, *tops, *world.kept, *world.clones, *away}
    )
    return others | world.captured_by_all()


def _told(world: World) -> set[str]:
    """What tasks have said that they leave behind."""
    return {
        argument
        for task in world.emulator.tasks()
        for message in task['Messages']
        if message['MessageId'].rpartition('.')[2] in _LEFT
        for argument in message['MessageArgs']
    }


# The end of a tree -----------------------------------------------------------


def check_end(
    world: World, rng: random.Random, tell: Callable[[str], None]
) -> None:
    """All is reverted to and deleted, and nothing is left."""
    for system in world.systems:
        for act in acts.MENDING:
            act(world, system, rng)
    while images.remove_clone(world, world.systems[0], rng):
        pass
    _clean_up(world)
    for system in world.systems:
        snapshots = [s for s in system.snapshots.values() if not s.damaged]
        rng.shuffle(snapshots)
        for snapshot in snapshots:
            if not snapshot.left_out <= system.disks.keys():
                # An earlier revert has detached what this one leaves alone.
                continue
            begun = service.revert(world, system, rng, snapshot.name, 'Off')
            _complete(world, begun, tell)
            check(world)
    _clean_up(world)
    # Who has attached a disk of the other one stands on what that holds.
    for system in sorted(world.systems, key=world.is_borrower, reverse=True):
        if system.snapshots:
            _purge(world, system, rng, tell)
        for target in world.borrowed(system):
            disks.detach_disk(world, system, target)
        _clean_up(world)
        check(world)


def _purge(
    world: World,
    system: System,
    rng: random.Random,
    tell: Callable[[str], None],
) -> None:
    begun = service.purge(world, system, rng)
    ended = _end(world, begun, tell)
    if 'SnapshotCloned' in ended:
        # What it has kept and named, or a layer of the operator's that was
        # above what is deleted, stands on a file of the next snapshot.
        check_files(world)
        _clean_up(world)
        begun = service.purge(world, system, rng)
        ended = _end(world, begun, tell)
    _check_completed(begun, ended)


def _clean_up(world: World) -> None:
    """
    Let an operator do away with what is his.

    That are disks that were detached, and files of snapshots that he has
    made libvirt forget; and all that these stand on and nobody else does.
    """
    his = world.abandoned | world.files.of_others() | world.kept.keys()
    world.abandoned |= world.files.below(filter(world.files.exists, his))
    world.kept.clear()
    for path in world.abandoned - _needed(world):
        world.files.remove(path)


def _complete(
    world: World, begun: service.Begun | None, tell: Callable[[str], None]
) -> None:
    _check_completed(begun, _end(world, begun, tell))


def _end(
    world: World, begun: service.Begun | None, tell: Callable[[str], None]
) -> str:
    assert begun
    service.wait_all(world, [begun])
    ended = service.resolve(world, begun, '')
    tell(f'at the end: {begun}: {ended}')
    return ended


def _check_completed(begun: service.Begun | None, ended: str) -> None:
    if not ended.startswith('Completed'):
        raise Broken(f'{begun}, at the end: {ended}')
