# SPDX-License-Identifier: Apache-2.0
"""The operations of the service, and what becomes of the model by them."""

import dataclasses
import random
from collections.abc import Collection, Sequence
from typing import Any

import requests

from tests.functional.stress.files import is_ours
from tests.functional.stress.model import Snapshot, System
from tests.functional.stress.world import Broken, World, sources
from tests.served import message_ids
from tests.waiting import holds_for, patience, wait_for

_ANSWER_SECONDS = 90.0
# How long after a create its deletes may begin, on an idle machine.
_FOLLOW_SECONDS = 0.3
# How a task ends whose system has been reverted for all that.
_REVERTED = {'RevertUnfinished', 'RevertNotStarted'}
_RUNS = {'New', 'Running', 'Cancelling'}


@dataclasses.dataclass
class Begun:
    """
    An operation that was asked for.

    *tops* are the files that the system wrote to then, and *chains* these and
    what they are based on; *snapshot* is what is being made, and *safety* what
    may be made besides.
    """

    operation: str
    system: System
    name: str
    response: requests.Response
    tops: dict[str, str]
    snapshot: Snapshot | None = None
    chains: set[str] = dataclasses.field(default_factory=set)
    safety: Snapshot | None = None
    power: str | None = None
    paused: bool = False

    @property
    def lets_write(self) -> bool:
        """Whether its system may be written to meanwhile."""
        return not (self.operation == 'revert' or self.paused or self.refused)

    @property
    def refused(self) -> bool:
        if self.response.status_code in (409, 503):
            return True
        if self.response.status_code != 202:
            raise Broken(f'{self.response.status_code}: {self.response.text}')
        return False

    def __str__(self) -> str:
        power = f' {self.power}' if self.power else ''
        memory = ' with memory' if self.paused else ''
        return (
            f'{self.operation} {self.system.name}/{self.name}{power}{memory}'
        )


def create(world: World, system: System, rng: random.Random) -> Begun:
    memory = rng.random() < 0.6
    name = f's{next(world.numbers)}'
    tops, running = world.tops(system), world.is_on(system)
    snapshot = system.capture(name, memory, running, ())
    response = world.emulator.post_create(
        system.uuid, Name=name, IncludeMemory=memory
    )
    return Begun(
        'create',
        system,
        name,
        response,
        tops,
        snapshot,
        paused=memory and running,
    )


def create_pruned(
    world: World, system: System, rng: random.Random
) -> Begun | None:
    """A create under a policy that allows fewer snapshots."""
    if len(system.snapshots) < 2:
        return None
    _set_limit(world, system, rng.randrange(1, len(system.snapshots) + 1))
    begun = create(world, system, rng)
    begun.operation = 'prune'
    return begun


def revert(
    world: World,
    system: System,
    rng: random.Random,
    name: str = '',
    power: str | None = '',
) -> Begun | None:
    """A revert; *name* and *power*, where given, are not chosen."""
    able = [
        snapshot.name
        for snapshot in system.snapshots.values()
        if snapshot.left_out <= system.disks.keys()
    ]
    if not able:
        return None
    name = name or rng.choice(able)
    power = rng.choice([None, 'On', 'Off']) if power == '' else power
    body: dict[str, Any] = {'TargetPowerState': power} if power else {}
    if system.snapshots[name].left_out or rng.random() < 0.1:
        body['Force'] = True
    tops, safety = world.tops(system), None
    chains = world.files.below(tops.values())
    if rng.random() < 0.1:
        body['SafetySnapshot'] = True
        safety = system.capture('', True, world.is_on(system), ())
    response = world.emulator.post_revert(system.uuid, name, **body)
    return Begun(
        'revert',
        system,
        name,
        response,
        tops,
        chains=chains,
        safety=safety,
        power=power,
    )


def delete(world: World, system: System, rng: random.Random) -> Begun | None:
    if not system.snapshots:
        return None
    name = rng.choice(list(system.snapshots))
    uri = world.emulator.snapshot(system.uuid, name)['@odata.id']
    tops = world.tops(system)
    response = requests.delete(
        world.emulator.url + uri, timeout=_ANSWER_SECONDS
    )
    return Begun('delete', system, name, response, tops)


def purge(world: World, system: System, rng: random.Random) -> Begun | None:
    if not system.snapshots:
        return None
    return Begun(
        'purge',
        system,
        '',
        _act(world, system, 'Purge', Force=rng.random() < 0.5),
        world.tops(system),
    )


def repair(world: World, system: System, rng: random.Random) -> Begun | None:
    if not system.astray:
        return None
    response = _act(world, system, 'Repair')
    return Begun('repair', system, '', response, world.tops(system))


def look(world: World, system: System) -> bool:
    """Let the service look at the files of the host; whether it has."""
    try:
        return _act(world, system, 'Repair', DryRun=True).status_code == 200
    except requests.RequestException:
        return False


def _act(
    world: World, system: System, action: str, **body: object
) -> requests.Response:
    collection = world.emulator.collection(system.uuid)
    return requests.post(
        f'{collection}/Actions/HawkFishSnapshotCollection.{action}',
        json=body,
        timeout=_ANSWER_SECONDS,
    )


def _set_limit(world: World, system: System, limit: int | None) -> None:
    policy = (
        f'{world.emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy'
    )
    response = requests.patch(
        policy, json={'MaxSnapshots': limit}, timeout=_ANSWER_SECONDS
    )
    assert response.ok, response.text


# The end ---------------------------------------------------------------------


def wait_all(world: World, begun: Sequence[Begun]) -> None:
    """Wait for the end of what was accepted, and of what follows it."""
    for one in begun:
        if not one.refused:
            world.emulator.watch(one.response.headers['Location'], 120)

    def going_on() -> list[str]:
        return [
            task['Name']
            for task in world.emulator.tasks()
            if task['TaskState'] in _RUNS
        ]

    def wait_idle() -> None:
        wait_for(
            lambda: not going_on(), lambda: f'{going_on()} to end', 120, 0.05
        )

    wait_idle()
    if any(one.operation == 'prune' and not one.refused for one in begun):
        # What is pruned is decided when the create has ended.
        holds_for(lambda: not going_on(), patience(_FOLLOW_SECONDS))
        wait_idle()


def resolve(world: World, begun: Begun, killed: str) -> str:
    """
    Bring the model to what the operation says that it has done.

    Returns how it ended.
    """
    system = begun.system
    if begun.operation == 'prune':
        _set_limit(world, system, None)
        # Nothing more is pruned, and what is goes on to its end; where
        # libvirtd was killed that may have begun only now.
        wait_all(world, [])
    if begun.refused:
        keys = message_ids(begun.response)
        world.counts[f'{begun.operation} refused: {keys[0]}'] += 1
        if begun.operation == 'repair':
            _define_again(world, system)
        info = begun.response.json()['error']['@Message.ExtendedInfo']
        return f'refused: {" ".join(entry["Message"] for entry in info)}'
    task = _task(world, begun)
    done = task['TaskState'] == 'Completed'
    keys = [m['MessageId'].rpartition('.')[2] for m in task['Messages']]
    _set_snapshots(world, begun, done, killed)
    if begun.operation == 'revert':
        _resolve_revert(world, begun, done, keys)
    if begun.operation == 'repair':
        _resolve_repair(world, begun, done)
    ended = ' '.join([task['TaskState'], *map(_said, task['Messages'])])
    what = 'done' if done else f'failed: {keys[-1] if keys else ""}'
    world.counts[f'{begun.operation} {what}'] += 1
    if not (done or killed):
        world.counts['failed though nothing was killed'] += 1
    return ended


def _said(message: dict[str, Any]) -> str:
    """A message of a task, with its arguments where it is a warning."""
    key = message['MessageId'].rpartition('.')[2]
    if message.get('MessageSeverity', 'OK') == 'OK':
        return str(key)
    return f'{key}({", ".join(message["MessageArgs"])})'


def _task(world: World, begun: Begun) -> dict[str, Any]:
    monitor = begun.response.headers['Location']
    uri = monitor.replace('TaskMonitors', 'Tasks')
    answer = requests.get(world.emulator.url + uri, timeout=_ANSWER_SECONDS)
    task: dict[str, Any] = answer.json()
    return task


def _set_snapshots(
    world: World, begun: Begun, done: bool, killed: str
) -> None:
    """What there is has to be what was there, as far as it goes."""
    system, known = begun.system, begun.system.snapshots
    listed = world.emulator.snapshots(system.uuid)
    states = {one['Name']: one['SnapshotState'] for one in listed}
    if begun.snapshot and begun.name in states:
        if not done:
            raise Broken(f'{begun.name} is there, but its task has failed')
        if killed:
            # It may have been made when QEMU was gone.
            begun.snapshot.word = None
        system.add(begun.snapshot)
    for name in [n for n in states if n.startswith('safety-')]:
        if name not in known and begun.safety:
            begun.safety.name = name
            if killed:
                begun.safety.word = None
            system.add(begun.safety)
    may_go = {
        'delete': {begun.name},
        'purge': set(known),
        'prune': set(known) - {begun.name},
    }.get(begun.operation, set())
    gone = known.keys() - states.keys()
    if gone - may_go or states.keys() - known.keys():
        raise Broken(f'there are {states}, and not {list(known)}')
    if done and begun.operation in ('delete', 'purge') and may_go - gone:
        raise Broken(f'{may_go - gone} are still there')
    for name in gone:
        known.pop(name)
    for name, state in states.items():
        if state == 'Failed' and may_go:
            known[name].damaged = True
        elif (state == 'Failed') is not known[name].damaged:
            raise Broken(f'the state of {name} is {state}')
        if state not in ('Ready', 'Failed'):
            raise Broken(f'the state of {name} is {state}')


def _resolve_revert(
    world: World, begun: Begun, done: bool, keys: Sequence[str]
) -> None:
    system = begun.system
    if not (done or _REVERTED & {*keys}):
        if 'RevertNotUndone' in keys:
            raise Broken('a revert was not undone')
        return
    # With a safety snapshot, its files are the former tops, and what is
    # detached is an empty overlay that the task names.
    captured = _saved(begun)
    for target in system.parted(begun.name):
        if target not in captured and not system.is_discarded(
            target, begun.name
        ):
            world.keep(begun.tops[target], system.disks[target])
    system.revert(begun.name)
    if system.astray:
        # Who had defined the old one has left these: no definition and no
        # snapshot names them, and nothing removes what it does not know.
        world.abandoned |= {*sources(system.astray).values()}
        system.astray = None
    if not done or 'MemoryNotRestored' in keys or begun.power == 'Off':
        system.word = None
    # What an operator has made, or attached again, is not the service's.
    world.abandoned |= {
        path
        for path in begun.chains
        if path in world.attached_again or not is_ours(path)
    }


def _saved(begun: Begun) -> Collection[str]:
    """The targets of which a safety snapshot has been made."""
    safety = begun.safety
    if safety is None or safety.name not in begun.system.snapshots:
        return ()
    return safety.disks


def _resolve_repair(world: World, begun: Begun, done: bool) -> None:
    if not done:
        return
    system = begun.system
    system.astray = None
    if world.tops(system) != begun.tops:
        raise Broken(f'repaired: {world.tops(system)}, not {begun.tops}')


def _define_again(world: World, system: System) -> None:
    """What an operator does where a repair cannot."""
    assert system.astray
    world.define(system.astray)
    system.astray = None


def reset(world: World, system: System, kind: str) -> requests.Response | None:
    """The emulator's own Reset; None where it was killed meanwhile."""
    try:
        return requests.post(
            f'{world.emulator.system(system.uuid)}'
            '/Actions/ComputerSystem.Reset',
            json={'ResetType': kind},
            timeout=patience(_ANSWER_SECONDS),
        )
    except requests.ConnectionError:
        return None
