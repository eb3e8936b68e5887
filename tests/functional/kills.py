# SPDX-License-Identifier: Apache-2.0
"""
Kills at random moments of operations on a group.

``python -m tests.functional.kills``: three real systems are captured and
reverted as one, over HTTP, and in each round the emulator, libvirtd or the
QEMU of one of them is killed.  Then nobody may be paused, no task may go on,
no group snapshot may be half, no file may belong to nothing, and each disk has
to hold what it must.
"""

import collections
import contextlib
import pathlib
import random
import sys
import time
from typing import Any

import libvirt
import libvirt_qemu
import requests

from tests.functional.conftest import SMALL, System
from tests.functional.emulator import Emulator
from tests.functional.killing import (
    VICTIMS,
    Broken,
    killing,
    number_on,
    play,
)
from tests.functional.labs import ServedGroup
from tests.lab import domains
from tests.lab.host import Host
from tests.waiting import wait_for

MEMBERS = 3
MOST_SNAPSHOTS = 3
_DEVICE = '/machine/peripheral/virtio-disk0/virtio-backend'
# How long each operation takes, until one has been seen.
_SECONDS = {'create': 1.0, 'revert': 3.0, 'delete': 1.0}
# What says that a system is left in a state that its messages tell.
_TOLD = {'GroupRevertNotUndone', 'GroupCreateNotUndone'}


class World:
    """The lab, and what each of its disks and snapshots has to hold."""

    def __init__(self, host: Host, folder: pathlib.Path, seed: int) -> None:
        self.host = host
        self.rng = random.Random(seed)
        self.emulator = Emulator(folder, host.uri)
        self.emulator.start()
        self.systems = [
            System(host, domains.Domain(f'member-{number}', **SMALL))
            for number in range(MEMBERS)
        ]
        for system in self.systems:
            system.domain.create()
        self.group = ServedGroup(self.emulator, self.systems)
        self.snapshots: dict[str, list[int]] = {}
        self.now = [0] * MEMBERS
        self.made = 0
        self.seconds = dict(_SECONDS)
        self.counts: collections.Counter[str] = collections.Counter()

    # A round ---------------------------------------------------------------

    def play(self) -> str:
        """One operation and one kill; what was done."""
        self._start_all()
        self._write()
        kind, name = self._choose()
        victim = self.rng.choice(VICTIMS)
        after = self.rng.uniform(0, 1.1 * self.seconds[kind])
        last = self._last_task()
        begin = time.monotonic()
        target = self.rng.choice(self.systems).name
        with killing(self.host, self.emulator, victim, target, after):
            with contextlib.suppress(requests.ConnectionError):
                self._submit(kind, name)
        task = self._ended(kind, last)
        done = bool(task and task['TaskState'] == 'Completed')
        if done and time.monotonic() - begin < after:
            self.seconds[kind] = max(0.2, time.monotonic() - begin)
        self._note(kind, name, done, task)
        outcome = 'done' if done else 'failed' if task else 'not begun'
        self.counts[f'{kind}, {victim}: {outcome}'] += 1
        played = f'{kind} {name}, {victim} after {after:.3f} s: {outcome}'
        try:
            self._check()
        except Broken as exc:
            raise Broken(f'{played}: {exc}; {self._messages(task)}') from exc
        return played

    def _messages(self, task: dict[str, Any] | None) -> list[str]:
        """What *task* and its sub-tasks have said."""
        if not task:
            return []
        tasks = [
            one
            for one in self.emulator.tasks()
            if int(one['Id']) >= int(task['Id'])
        ]
        return [
            f'{one["Name"]}: {message["Message"]}'
            for one in tasks
            for message in one['Messages']
        ]

    def _choose(self) -> tuple[str, str]:
        kinds = ['create'] if len(self.snapshots) < MOST_SNAPSHOTS else []
        if self.snapshots:
            kinds += ['revert', 'revert', 'delete']
        kind = self.rng.choice(kinds)
        if kind == 'create':
            self.made += 1
            return kind, f's{self.made}'
        return kind, self.rng.choice(sorted(self.snapshots))

    def _submit(self, kind: str, name: str) -> None:
        call = {
            'create': self.group.post_create,
            'revert': self.group.post_revert,
            'delete': self.group.send_delete,
        }[kind]
        answer = call(name)
        if answer.status_code not in (202, 409, 503):
            raise Broken(f'{kind} {name}: {answer.status_code} {answer.text}')

    def _ended(self, kind: str, last: int) -> dict[str, Any] | None:
        """The task of the round, when all tasks have ended."""
        wait_for(
            lambda: all('EndTime' in task for task in self.emulator.tasks()),
            lambda: f'the end of {self.emulator.tasks()[-4:]}',
            180,
            0.1,
        )
        found = [
            task
            for task in self.emulator.tasks()
            if int(task['Id']) > last
            and task['Oem']['HawkFish']['Operation'] == f'group-{kind}'
        ]
        return found[0] if found else None

    def _last_task(self) -> int:
        return max((int(t['Id']) for t in self.emulator.tasks()), default=0)

    def _note(
        self, kind: str, name: str, done: bool, task: dict[str, Any] | None
    ) -> None:
        """What has to be true from now on."""
        if done and kind == 'create':
            self.snapshots[name] = list(self.now)
        if done and kind == 'revert':
            self.now = list(self.snapshots[name])
        if kind == 'delete':
            # Begun, it is done again until it is done.
            if not done and task:
                self._delete(name)
            if done or task:
                del self.snapshots[name]
        if not task or done:
            return
        keys = {
            message['MessageId'].rpartition('.')[2]
            for message in task['Messages']
        }
        if keys & _TOLD:
            self.counts[f'{kind}: told as not undone'] += 1
            self.now = [self._read(system) for system in self.systems]

    def _delete(self, name: str) -> None:
        wait_for(
            lambda: (
                name not in self.group.names()
                or self.emulator.wait(self.group.send_delete(name)).ok
            ),
            f'the delete of {name}',
        )

    # What must hold ----------------------------------------------------------

    def _check(self) -> None:
        states = [system.domain.state()[0] for system in self.systems]
        if libvirt.VIR_DOMAIN_PAUSED in states:
            raise Broken(f'somebody is paused: {states}')
        for name in self.group.names():
            # One that could not be deleted, as a task has told.
            if name.startswith('safety-'):
                self.counts['safety snapshots that were left'] += 1
                self._delete(name)
        listed, theirs = sorted(self.group.names()), self.group.theirs()
        wanted = sorted(self.snapshots)
        if [listed, *theirs] != [wanted] * (MEMBERS + 1):
            raise Broken(f'there should be {wanted}: {listed}, {theirs}')
        for name in wanted:
            shown = self.group.show(name)
            if shown['SnapshotState'] not in ('Ready', 'Mixed'):
                raise Broken(f'{name} is {shown["SnapshotState"]}')
        left = self.group.orphans()
        if left:
            raise Broken(f'nothing names {left}')
        self._start_all()
        found = [self._read(system) for system in self.systems]
        if found != self.now:
            raise Broken(f'the disks hold {found}, not {self.now}')

    def check_all(self) -> None:
        """Each snapshot brings back what it has captured."""
        for name in sorted(self.snapshots):
            self.group.revert(name)
            self._start_all()
            found = [self._read(system) for system in self.systems]
            if found != self.snapshots[name]:
                raise Broken(f'{name} holds {found}: {self.snapshots[name]}')
            self.now = found

    # The disks ---------------------------------------------------------------

    def _start_all(self) -> None:
        for system in self.systems:
            with contextlib.suppress(libvirt.libvirtError):
                system.domain.create()

    def _write(self) -> None:
        """Let each disk hold a number of its own."""
        for number, system in enumerate(self.systems):
            value = self.rng.randrange(1, 256)
            self._command(system, f'write -P {value} 0 64k')
            self._command(system, 'flush')
            self.now[number] = value
        found = [self._read(system) for system in self.systems]
        if found != self.now:
            raise Broken(f'{self.now} was written, and {found} read')

    def _command(self, system: System, command: str) -> None:
        """Let QEMU carry out a command of qemu-io on a disk."""
        libvirt_qemu.qemuMonitorCommand(
            system.domain,
            f'qemu-io -d {_DEVICE} "{command}"',
            libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP,
        )

    def _read(self, system: System) -> int:
        """The number that its disk holds."""
        (path,) = system.sources()
        return number_on(self.host, path)

    def stop(self) -> None:
        self.emulator.stop()


def main() -> int:
    return play(World, 'kills', __doc__)


if __name__ == '__main__':
    sys.exit(main())
