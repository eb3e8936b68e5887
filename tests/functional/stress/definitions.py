# SPDX-License-Identifier: Apache-2.0
"""Definitions: other names, older ones, and second ones on a disk."""

import random
import re

from tests.functional.stress import service
from tests.functional.stress.model import System
from tests.functional.stress.world import Broken, World, sources
from tests.served import message_ids

_MOST_SAVED = 5


def rename(world: World, system: System, rng: random.Random) -> str | None:
    if world.is_on(system):
        return None
    before = system.name
    stem = before.removesuffix('-new')
    system.name = stem if stem != before else f'{stem}-new'
    world.domain(system).rename(system.name)
    return f'rename {before} to {system.name}'


def save_definition(
    world: World, system: System, rng: random.Random
) -> str | None:
    """Keep a definition, to define it again when it is an old one."""
    if system.is_odd:
        return None
    saved = world.saved[system.uuid]
    saved.append(world.definition(system))
    del saved[:-_MOST_SAVED]
    return 'save the definition'


def redefine(world: World, system: System, rng: random.Random) -> str | None:
    """Define an older definition again, as playbooks do."""
    saved = world.saved[system.uuid]
    if not saved:
        return None
    right, old = world.definition(system), rng.choice(saved)
    old = re.sub('<name>.*?</name>', f'<name>{system.name}</name>', old)
    if sources(old) == sources(right):
        return None
    world.define(old)
    system.astray = right
    if not {*sources(old).values()} & world.captured_by_all():
        # Other disks, and nothing that a snapshot could lose.
        world.define(right)
        system.astray = None
        return 'define an old definition, and the right one again'
    _try_start(world, system)
    return f'define an old definition, on {sources(old)}'


def _try_start(world: World, system: System) -> None:
    """It is not started, as it would write to what a snapshot holds."""
    if world.is_on(system):
        return
    answer = service.reset(world, system, 'On')
    assert answer is not None
    if answer.status_code != 409:
        raise Broken(f'Reset On: {answer.status_code} {answer.text}')
    world.counts[f'start refused: {message_ids(answer)[0]}'] += 1


def correct(world: World, system: System, rng: random.Random) -> str | None:
    """An operator defines the right definition again."""
    if not system.astray:
        return None
    world.define(system.astray)
    system.astray = None
    return 'define the right definition again'


def define_second(
    world: World, system: System, rng: random.Random
) -> str | None:
    """Another domain on the disks of the system."""
    text = re.sub('<uuid>.*?</uuid>', '', world.definition(system))
    system.second = f'{system.name}-second'
    world.define(
        re.sub('<name>.*?</name>', f'<name>{system.second}</name>', text)
    )
    return f'define {system.second}'


def undefine_second(
    world: World, system: System, rng: random.Random
) -> str | None:
    if not system.second:
        return None
    said = f'undefine {system.second}'
    world.connection.lookupByName(system.second).undefine()
    system.second = None
    return said
