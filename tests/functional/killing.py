# SPDX-License-Identifier: Apache-2.0
"""
Kills at random moments, and what the programs that play them share.

A world has operations, and knows what must hold after each; the kill of a
round is the emulator's, libvirtd's or that of a QEMU.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import libvirt

from tests.functional.emulator import Emulator
from tests.lab.host import Host
from tests.lab.roots import default
from tests.waiting import patience, wait_for

VICTIMS = ('emulator', 'libvirtd', 'qemu')


class Broken(Exception):
    """What must hold does not."""


def number_on(host: Host, path: str) -> int:
    """The number that the disk at *path* holds."""
    read = ['qemu-io', '-r', '-U', '-c', 'read -v 0 16', path]
    done = subprocess.run(
        ['chroot', str(host.root), *read],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split(':')[1].split()[0], 16)


class World(Protocol):
    """What is played, and how often what has come of it."""

    emulator: Emulator
    counts: collections.Counter[str]

    def play(self) -> str:
        """One operation and one kill; what was done."""

    def check_all(self) -> None:
        """What must hold at the end."""

    def stop(self) -> None: ...


@contextlib.contextmanager
def killing(
    host: Host, emulator: Emulator, victim: str, system: str, after: float
) -> Iterator[None]:
    """
    Kill *victim* so long after the beginning of the block.

    A QEMU is that of *system*.  What was killed runs again at the end, but
    for a QEMU.
    """
    process = emulator.process
    assert process
    pid = {
        'emulator': process.pid,
        'libvirtd': host.daemon_pid(),
        'qemu': host.qemu_pid(system),
    }[victim]

    def kill() -> None:
        # A revert may have ended that QEMU before.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(after, kill)
    timer.start()
    yield
    timer.join()
    if victim == 'emulator':
        process.wait(patience(60))
        emulator.start()
    elif victim == 'libvirtd':
        wait_for(lambda: host.daemon_pid() != pid)
        host.start_daemon()


def play(
    make: Callable[[Host, pathlib.Path, int], World],
    name: str,
    description: str | None,
) -> int:
    """Play as often as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--minutes', type=float, help='end after so many')
    parser.add_argument(
        '--seed',
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help='what is chosen; by default a new one',
    )
    parser.add_argument('--release', default=default()[0])
    arguments = parser.parse_args()
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    until = time.monotonic() + 60 * (arguments.minutes or 10**6)
    with (
        tempfile.TemporaryDirectory() as folder,
        Host(name, arguments.release) as host,
    ):
        world = make(host, pathlib.Path(folder), arguments.seed)
        played = 0
        try:
            while played < arguments.kills and time.monotonic() < until:
                played += 1
                print(f'{played}: {world.play()}', flush=True)
            world.check_all()
        except (Broken, AssertionError) as exc:
            print(f'seed {arguments.seed}, round {played}: {exc}')
            print(world.emulator.log())
            return 1
        finally:
            world.stop()
    for what, count in sorted(world.counts.items()):
        print(f'{count:5} {what}')
    print(f'seed {arguments.seed}: all is well after {played} kills')
    return 0
