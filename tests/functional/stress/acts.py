# SPDX-License-Identifier: Apache-2.0
"""
What operators, virsh and the emulator do, and how often.

An act returns what it did, or None where there is nothing to do it to.
"""

import random
from collections.abc import Callable

from tests.functional.stress import (
    definitions,
    disks,
    images,
    service,
    virsh,
)
from tests.functional.stress.model import System
from tests.functional.stress.world import Broken, World

Act = Callable[[World, System, random.Random], str | None]


def emulator_reset(
    world: World, system: System, rng: random.Random
) -> str | None:
    kind = rng.choice(['On', 'ForceOff', 'ForceRestart'])
    answer = service.reset(world, system, kind)
    assert answer is not None
    # The emulator has no words of its own for a start that fails.
    failed = {500} if world.away else set[int]()
    if answer.status_code not in {204, 409, 503} | failed:
        raise Broken(f'Reset {kind}: {answer.status_code} {answer.text}')
    system.word = None
    return f'Reset {kind}: {answer.status_code}'


def restart_libvirtd(
    world: World, system: System, rng: random.Random
) -> str | None:
    world.host.restart_daemon()
    return 'restart libvirtd'


# How often each, of a system that is as it should be.
USUAL: dict[Act, int] = {
    disks.attach: 4,
    disks.detach: 4,
    disks.swap: 3,
    disks.grow: 4,
    definitions.rename: 3,
    definitions.save_definition: 5,
    definitions.redefine: 6,
    definitions.define_second: 2,
    virsh.snapshot: 5,
    virsh.layer: 3,
    virsh.forget_snapshot: 3,
    virsh.commit: 6,
    virsh.pull: 1,
    images.clone: 3,
    images.remove_clone: 3,
    images.move: 3,
    images.take_away: 3,
    virsh.start: 4,
    virsh.destroy: 3,
    emulator_reset: 6,
    restart_libvirtd: 1,
}
# What puts it right again.
MENDING: dict[Act, int] = {
    images.bring_back: 1,
    definitions.undefine_second: 1,
    definitions.correct: 1,
}
# What disturbs nothing that is not as it should be.
ALWAYS: dict[Act, int] = {
    definitions.save_definition: 1,
    emulator_reset: 2,
    restart_libvirtd: 1,
}
