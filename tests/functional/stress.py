# SPDX-License-Identifier: Apache-2.0
"""
Random operations with random kills: ``python -m tests.functional.stress``.

A seed makes a run that can be repeated, but for the moments at which the
machine gets to each kill.  After every round the task has ended with the
truth, the guest reads what it has to, and no file belongs to nothing.
"""

import argparse
import contextlib
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import libvirt
import requests

from tests.functional.conftest import System
from tests.functional.emulator import Emulator
from tests.lab import domains
from tests.lab.host import Host
from tests.lab.roots import default
from tests.lab.shell import CommandError

MOST_SNAPSHOTS = 4
VICTIMS = ('nobody', 'emulator', 'libvirtd', 'qemu')
LONGEST_SECONDS = {'create': 0.6, 'revert': 3.0, 'delete': 0.6}


class Broken(Exception):
    """An invariant does not hold; says which, and in which round."""


class Stress:
    """A running guest, what it has to read, and what each snapshot holds."""

    def __init__(
        self, host: Host, emulator: Emulator, system: System, seed: int
    ) -> None:
        self._host, self._emulator, self._system = host, emulator, system
        self._random = random.Random(seed)
        self._now = 'first'
        self._held: dict[str, str] = {}
        system.boot()
        system.write(self._now)

    def round(self, number: int) -> str:
        """One operation and one fault; returns what was done."""
        operation = self._choose_operation()
        victim = self._random.choice(VICTIMS)
        delay = self._random.uniform(0, LONGEST_SECONDS[operation])
        name = self._choose_name(operation, number)
        memory = self._random.random() < 0.7
        self._write(f'text-{number}')
        what = f'{number}: {operation} {name}, {victim} after {delay:.2f} s'
        accepted = self._begin(operation, name, memory)
        self._kill(victim, delay, operation)
        try:
            task = self._wait(accepted)
            self._check(operation, name, task)
        except (Broken, AssertionError) as exc:
            raise Broken(f'{what}: {exc}\n{self._tell()}') from exc
        return f'{what}: {task["TaskState"]}'

    def _tell(self) -> str:
        """What libvirt knows of the system and its snapshots."""
        domain = self._system.domain
        return '\n'.join(
            [
                f'{self._held} now {self._now}',
                str(self._system.leftovers()),
                domain.XMLDesc(0),
                *(s.getXMLDesc() for s in domain.listAllSnapshots()),
            ]
        )

    def check_all(self) -> None:
        """Every snapshot still holds what it held, and can be deleted."""
        for name, text in self._held.items():
            self._emulator.revert(
                self._system.uuid, name, TargetPowerState='On'
            )
            self._read({text})
        for name in list(self._held):
            response = self._emulator.send_delete(self._system.uuid, name)
            if response.status_code == 409:
                continue
            self._emulator.wait(response)
        purge = requests.post(
            f'{self._emulator.system(self._system.uuid)}/Oem/HawkFish/'
            'Snapshots/Actions/HawkFishSnapshotCollection.Purge',
            json={},
            timeout=30,
        )
        assert self._emulator.wait(purge).ok
        if self._system.orphans():
            raise Broken(f'nothing knows {self._system.orphans()}')

    # Choices --------------------------------------------------------------

    def _choose_operation(self) -> str:
        if not self._held:
            return 'create'
        kinds = ['revert', 'delete']
        if len(self._held) < MOST_SNAPSHOTS:
            kinds += ['create', 'create']
        return self._random.choice(kinds)

    def _choose_name(self, operation: str, number: int) -> str:
        if operation == 'create':
            return f's{number}'
        return self._random.choice(sorted(self._held))

    # One round ------------------------------------------------------------

    def _write(self, text: str) -> None:
        self._system.write(text)
        self._now = text

    def _begin(
        self, operation: str, name: str, memory: bool
    ) -> requests.Response:
        uuid = self._system.uuid
        if operation == 'create':
            return self._emulator.post_create(
                uuid, Name=name, IncludeMemory=memory
            )
        if operation == 'revert':
            return self._emulator.post_revert(
                uuid, name, TargetPowerState='On'
            )
        return self._emulator.send_delete(uuid, name)

    def _kill(self, victim: str, delay: float, operation: str) -> None:
        time.sleep(delay)
        if victim == 'emulator':
            self._emulator.stop()
            self._emulator.start()
        if victim == 'qemu' or (victim, operation) == ('libvirtd', 'delete'):
            # libvirtd 11.3 does not start again beside a QEMU in whose merge
            # it was killed.
            with contextlib.suppress(OSError, ValueError):
                pid = self._host.qemu_pid(self._system.name)
                if victim == 'libvirtd':
                    self._host.kill_daemon()
                os.kill(pid, signal.SIGKILL)
        if victim == 'libvirtd':
            self._host.kill_daemon()
            self._host.start_daemon()

    def _wait(self, accepted: requests.Response) -> dict[str, Any]:
        if accepted.status_code == 409:
            return {'TaskState': 'Refused'}
        assert accepted.status_code == 202, accepted.text
        monitor = accepted.headers['Location']
        self._emulator.watch(monitor, 120)
        task: dict[str, Any] = requests.get(
            self._emulator.url + monitor.replace('TaskMonitors', 'Tasks'),
            timeout=30,
        ).json()
        return task

    # Invariants -----------------------------------------------------------

    def _check(self, operation: str, name: str, task: dict[str, Any]) -> None:
        done = task['TaskState'] == 'Completed'
        listed = {
            s['Name']: s['SnapshotState']
            for s in self._emulator.snapshots(self._system.uuid)
        }
        before = self._now
        if operation == 'create' and done:
            self._held[name] = before
        elif operation == 'revert' and done:
            self._now = self._held[name]
        elif operation == 'delete' and done:
            self._held.pop(name)
        if listed.keys() != self._held.keys():
            raise Broken(f'listed are {listed}, held {self._held}')
        if set(listed.values()) - {'Ready', 'Failed'}:
            raise Broken(f'the states are {listed}')
        for failed in [n for n, s in listed.items() if s == 'Failed']:
            self._emulator.delete(self._system.uuid, failed)
            self._held.pop(failed)
        if any(
            t['TaskState'] in ('New', 'Running', 'Cancelling')
            for t in self._emulator.tasks()
        ):
            raise Broken('a task goes on')
        self._read({self._now})
        orphans = self._system.orphans()
        if orphans:
            raise Broken(f'nothing knows {orphans}')

    def _read(self, expected: set[str]) -> None:
        deadline = time.monotonic() + 90
        while True:
            try:
                found = self._read_once()
                break
            except (CommandError, OSError, libvirt.libvirtError) as exc:
                # A QEMU that was killed is missed by libvirt a bit later.
                if time.monotonic() > deadline:
                    raise Broken(f'the guest does not answer: {exc}') from exc
            time.sleep(0.5)
        if found != expected:
            raise Broken(f'the guest reads {found}, not {expected}')

    def _read_once(self) -> set[str]:
        domain = self._system.domain
        if not domain.isActive():
            domain.create()
        if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            domain.resume()
        self._system.guest.wait_booted()
        return self._system.read()


@contextlib.contextmanager
def prepared(
    release: str, folder: pathlib.Path
) -> Iterator[tuple[Host, Emulator, System]]:
    """A host of its own with an emulator and a guest."""
    with Host(f'stress-{release}', release) as host:
        emulator = Emulator(folder, host.uri)
        emulator.start()
        system = System(host, domains.Domain('node-0'))
        try:
            yield host, emulator, system
        finally:
            emulator.stop()


def run(stress: Stress, rounds: int, tell: Callable[[str], None]) -> None:
    """So many rounds, and the look at everything at the end."""
    for number in range(1, rounds + 1):
        tell(stress.round(number))
    stress.check_all()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=200)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--release', default=default()[0])
    arguments = parser.parse_args()
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with (
        tempfile.TemporaryDirectory() as folder,
        prepared(arguments.release, pathlib.Path(folder)) as parts,
    ):
        stress = Stress(*parts, arguments.seed)
        try:
            run(stress, arguments.rounds, print)
        except Broken as exc:
            print(f'BROKEN in round {exc}')
            print(parts[1].log())
            return 1
    print(f'{arguments.rounds} rounds with seed {arguments.seed}: all is well')
    return 0


if __name__ == '__main__':
    sys.exit(main())
