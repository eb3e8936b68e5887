# SPDX-License-Identifier: Apache-2.0
"""
Rounds, and the killing in them.

A tree is the life of two systems for some rounds; then everything is
reverted to and deleted, and a new tree begins.  Each round chooses by the
seed and its number, so that a failure is repeated from its tree on, but for
the moments at which the machine gets to each kill.
"""

import collections
import contextlib
import dataclasses
import os
import pathlib
import random
import re
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping

import libvirt

from tests.functional.stress import acts, checks, service
from tests.functional.stress.model import System
from tests.functional.stress.service import Begun
from tests.functional.stress.world import World
from tests.lab.host import Host, HostError

ROUNDS_OF_A_TREE = 40
_MOST_SNAPSHOTS = 5
# How long a round may take before its libvirtd counts as wedged.
_ROUND_SECONDS = 900.0

# Each with how often it is chosen.
_OPERATIONS: dict[Callable[..., Begun | None], int] = {
    service.create: 10,
    service.revert: 10,
    service.delete: 9,
    service.purge: 1,
    service.create_pruned: 2,
}
# How long one takes until it has been measured, and how much the last one
# counts.
_SECONDS, _WEIGHT = 0.5, 0.2
_VICTIMS = {'': 10, 'emulator': 2, 'libvirtd': 4, 'qemu': 4}


class Failure(Exception):
    """A round is broken; says which, how, and how to repeat it."""


@dataclasses.dataclass
class Result:
    """What was done, how often."""

    rounds: int = 0
    trees: int = 0
    counts: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )

    def __str__(self) -> str:
        lines = [
            f'{count:6} {what}' for what, count in sorted(self.counts.items())
        ]
        return '\n'.join(
            [*lines, f'{self.rounds} rounds in {self.trees} trees']
        )


def run(
    release: str,
    seed: int,
    rounds: int,
    first: int,
    seconds: float | None,
    tell: Callable[[str], None],
) -> Result:
    """
    So many *rounds*, but no more *seconds*, from the tree of *first* on.

    Raises Failure.  A host that is wedged by libvirt itself is thrown away,
    and its tree with it.
    """
    print(f'stress: seed {seed}', flush=True)
    result, begin = Result(), time.monotonic()
    start = (first - 1) // ROUNDS_OF_A_TREE * ROUNDS_OF_A_TREE + 1
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(Host(f'stress-{release}', release))
        for tree in range(start, rounds + 1, ROUNDS_OF_A_TREE):
            numbers = range(tree, min(tree + ROUNDS_OF_A_TREE, rounds + 1))
            end = None if seconds is None else begin + seconds
            if end and time.monotonic() > end:
                break
            try:
                _Tree(host, seed, result, tell).run(numbers, end)
            except _Wedged as exc:
                print(f'a new host, as libvirtd was wedged by {exc}')
                result.counts['hosts that were wedged'] += 1
                host.stop()
                host.start()
    return result


class _Wedged(Exception):
    """libvirtd does not answer; the round that did it."""


class _Tree:
    """The life of two systems."""

    def __init__(
        self,
        host: Host,
        seed: int,
        result: Result,
        tell: Callable[[str], None],
    ) -> None:
        self._host, self._seed, self._result = host, seed, result
        self._tell = tell
        self._seconds: dict[str, float] = collections.defaultdict(
            lambda: _SECONDS
        )
        self._steps: list[str] = []

    def run(self, numbers: range, end: float | None) -> None:
        number = numbers[0]
        with tempfile.TemporaryDirectory() as folder:
            world = World(self._host, pathlib.Path(folder))
            world.counts = self._result.counts
            try:
                for number in numbers:
                    if end and time.monotonic() > end:
                        break
                    with self._guarded(world, number):
                        self._round(world, number)
                    self._result.rounds += 1
                with self._guarded(world, number):
                    rng = random.Random(f'{self._seed}/end of {number}')
                    checks.check_end(world, rng, self._step)
                world.remove()
                self._result.trees += 1
            finally:
                world.emulator.stop()

    @contextlib.contextmanager
    def _guarded(self, world: World, number: int) -> Iterator[None]:
        wedged = threading.Event()

        def free() -> None:
            # Who waits for libvirtd goes on when it is gone.
            wedged.set()
            with contextlib.suppress(HostError):
                self._host.kill_daemon()

        timer = threading.Timer(_ROUND_SECONDS, free)
        timer.start()
        try:
            yield
        except Exception as exc:
            if wedged.is_set():
                raise _Wedged(f'round {number}: {self._told()}') from exc
            raise Failure(self._describe(world, number, exc)) from exc
        finally:
            timer.cancel()

    def _told(self) -> str:
        return '\n  '.join(['the tree so far:', *self._steps])

    def _describe(self, world: World, number: int, error: Exception) -> str:
        where = ''.join(traceback.format_exception(error)[-3:])
        with contextlib.suppress(libvirt.libvirtError):
            where += world.texts()
        return (
            f'{where}\n{world.emulator.log()}\n{self._told()}\n'
            f'the files:\n  {world.layout()}\n'
            f'BROKEN in round {number}: {error}\n'
            f'repeat it with --seed {self._seed} --first {number} '
            f'--rounds {number}'
        )

    def _step(self, text: str) -> None:
        self._steps.append(text)
        self._tell(text)

    # One round ------------------------------------------------------------

    def _round(self, world: World, number: int) -> None:
        rng = random.Random(f'{self._seed}/{number}')
        for system in world.systems:
            world.set_word(system, rng)
            for _ in range(rng.randrange(3)):
                world.write(system, rng)
        odd = [one for one in world.systems if one.is_odd]
        system = rng.choice(world.systems)
        if (odd or world.away) and rng.random() < 0.5:
            # There is not much to be learned from it for long.
            system = odd[0] if odd else system
            self._step(f'{number}: {self._mend(world, system, rng)}')
        elif rng.random() < 0.45:
            self._step(f'{number}: {self._act(world, system, rng)}')
        else:
            self._operate(world, system, rng, number)
        for system in world.systems:
            checks.check_word(world, system)
        checks.check(world)

    def _act(self, world: World, system: System, rng: random.Random) -> str:
        if world.away or any(one.is_odd for one in world.systems):
            # A file that two may have is nobody's to touch meanwhile.
            return self._choose(world, system, rng, acts.ALWAYS)
        return self._choose(world, system, rng, acts.USUAL)

    def _mend(self, world: World, system: System, rng: random.Random) -> str:
        return self._choose(world, system, rng, acts.MENDING)

    def _choose(
        self,
        world: World,
        system: System,
        rng: random.Random,
        weights: Mapping[acts.Act, int],
    ) -> str:
        while True:
            (act,) = rng.choices([*weights], [*weights.values()])
            said = act(world, system, rng)
            if said is not None:
                world.counts[_name(act)] += 1
                return f'{system.name}: {said}'
            weights = {a: w for a, w in weights.items() if a is not act}
            if not weights:
                return f'{system.name}: nothing to do'

    def _operate(
        self, world: World, system: System, rng: random.Random, number: int
    ) -> None:
        """One or two operations, a write, and somebody is killed."""
        (victim,) = rng.choices([*_VICTIMS], [*_VICTIMS.values()])
        both = rng.random() < 0.2
        chosen = world.systems if both else [system]
        begin = time.monotonic()
        operations = [o for s in chosen if (o := self._begin(world, s, rng))]
        accepted = [o.operation for o in operations if not o.refused]
        longest = max((self._seconds[name] for name in accepted), default=0.0)
        # Somewhere in it, and a bit later.
        first, second = sorted(rng.uniform(0, 1.1) for _ in range(2))
        time.sleep(first * longest)
        for operation in operations:
            if operation.lets_write:
                system, snapshot = operation.system, operation.snapshot
                world.write(system, rng, True, snapshot)
        if victim:
            time.sleep((second - first) * longest)
        killed = self._kill(world, victim, rng)
        said = ', '.join(map(str, operations)) or 'nothing'
        self._step(f'{number}: {said}; killed: {killed or "nobody"}')
        service.wait_all(world, operations)
        if len(accepted) == 1 and not killed:
            self._measure(accepted[0], time.monotonic() - begin)
        for operation in operations:
            ended = service.resolve(world, operation, killed)
            self._step(f'    {operation.system.name}: {ended}')
        if killed in ('qemu', 'libvirtd'):
            # A guest that was stopped starts without its memory; any may have
            # been the one that was killed.
            changed = [operation.system for operation in operations]
            for system in world.systems if killed == 'qemu' else changed:
                system.word = None

    def _measure(self, operation: str, seconds: float) -> None:
        before = self._seconds[operation]
        self._seconds[operation] += _WEIGHT * (seconds - before)

    def _begin(
        self, world: World, system: System, rng: random.Random
    ) -> Begun | None:
        if system.astray and rng.random() < 0.3:
            return service.repair(world, system, rng)
        damaged = [s for s in system.snapshots.values() if s.damaged]
        weights = dict(_OPERATIONS)
        if len(system.snapshots) >= _MOST_SNAPSHOTS:
            weights[service.create] = 0
        if damaged:
            weights[service.delete] *= 3
        while weights and any(weights.values()):
            (chosen,) = rng.choices([*weights], [*weights.values()])
            begun = chosen(world, system, rng)
            if begun:
                return begun
            del weights[chosen]
        return None

    # Kills ----------------------------------------------------------------

    def _kill(self, world: World, victim: str, rng: random.Random) -> str:
        """Kill *victim*, and let it come back; returns who was killed."""
        if victim == 'emulator':
            world.emulator.stop()
            world.emulator.start()
        if victim == 'libvirtd':
            self._host.kill_daemon()
            _cure(world)
            self._host.start_daemon()
        if victim == 'qemu':
            pids = _guests(self._host)
            if not pids:
                return ''
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(pids), signal.SIGKILL)
        if victim:
            world.counts[f'{victim} killed'] += 1
        return victim


def _name(act: acts.Act) -> str:
    module = act.__module__.rpartition('.')[2]
    return f'{module} {act.__name__}'.replace('_', ' ')


def _guests(host: Host) -> list[int]:
    """The processes of QEMU, in the order of the names of their domains."""
    return [
        int(path.read_text())
        for path in sorted(host.path('/run/libvirt/qemu').glob('*.pid'))
        if path.stem != 'driver'
    ]


def _cure(world: World) -> None:
    """
    Do what the documentation says of a libvirtd that was starting QEMU.

    libvirt 11.3 would keep the domain as "starting up" for ever.
    """
    for path in world.host.path('/run/libvirt/qemu').glob('*.xml'):
        if not re.search(r"<domstatus [^>]*pid='0'", path.read_text()):
            continue
        world.counts['systems that libvirtd was starting as it died'] += 1
        path.unlink()
        for process in world.host.processes():
            words = pathlib.Path(f'/proc/{process}/cmdline').read_bytes()
            if f'guest={path.stem},'.encode() in words:
                os.kill(process, signal.SIGKILL)
