# SPDX-License-Identifier: Apache-2.0
"""The image files of a host: what they read, and what backs them."""

import re
import struct
import subprocess
from collections.abc import Iterable, Sequence

from tests.functional.stress.model import CELL, STRIDE, Content
from tests.lab.host import IMAGES, Host

MOVED = '/srv/moved'
_FOLDERS = (IMAGES, MOVED, '/srv/clones', '/srv/away')
_BYTE = re.compile(r'[0-9a-f]{8}:  ([0-9a-f]{2})')
_SIZE = re.compile(r'(\d+) MiB')
# What the service names its files; libvirt's own names are not these.
_OURS = re.compile(
    r'hawkfish-[0-9a-f]{12}(-\w+\.qcow2|\.mem|\.(nvram|varstore|tpm)\.gz)'
)


class Files:
    """The images of *host*."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(self, *command: str) -> str:
        """What a program of the host prints."""
        done = subprocess.run(
            ['chroot', str(self._host.root), *command],
            capture_output=True,
            text=True,
        )
        assert not done.returncode, (command, done.stdout, done.stderr)
        return done.stdout

    def exists(self, path: str) -> bool:
        return self._host.path(path).exists()

    def remove(self, path: str) -> None:
        self._host.path(path).unlink(missing_ok=True)

    def move(self, path: str, target: str) -> None:
        self._host.path(target).parent.mkdir(parents=True, exist_ok=True)
        self._host.path(path).rename(self._host.path(target))

    def make(self, path: str, mib: int, below: str | None = None) -> None:
        """Make an empty image of *mib* MiB, or one on top of *below*."""
        create = ['qemu-img', 'create', '-q', '-f', 'qcow2']
        if below:
            create += ['-F', 'qcow2', '-b', below]
        self.run(*create, path, *([] if below else [f'{mib}M']))

    def write(self, path: str, cell: int, value: int) -> None:
        """Write to an image that nobody else has open."""
        where = f'{cell * STRIDE} {CELL}'
        write = f'write -q -P {value} {where}'
        self.run('qemu-io', '-f', 'qcow2', '-c', write, path)

    def grow(self, path: str, mib: int) -> None:
        self.run('qemu-img', 'resize', '-q', '-f', 'qcow2', path, f'+{mib}M')

    def read(
        self, wanted: Sequence[tuple[str, Content]]
    ) -> list[list[int | None] | None]:
        """
        What each of the paths reads; None for what cannot be opened.

        So much is read of each as is expected; a disk of another size has as
        many values as it is MiB big.
        """
        sound = [
            (path, content)
            for path, content in wanted
            if all(self.exists(below) for below in self.chain(path))
        ]
        found = self._read(sound)
        if len(found) != len(sound):
            # It does not say which of them it cannot open.
            one_by_one = [self._read([one]) for one in sound]
            found = [(read or [[]])[0] for read in one_by_one]
        by_path = dict(zip((path for path, _ in sound), found, strict=True))
        return [by_path.get(path) for path, _ in wanted]

    def _read(
        self, wanted: Sequence[tuple[str, Content]]
    ) -> list[list[int | None]]:
        commands = []
        for path, content in wanted:
            commands += [f'open -r -U -o driver=qcow2 {path}', 'length']
            commands += [
                f'read -v {cell * STRIDE} 1'
                for cell in range(len(content.cells))
            ]
            commands.append('close')
        done = subprocess.run(
            [
                *('chroot', str(self._host.root), 'qemu-io'),
                *(word for command in commands for word in ('-c', command)),
            ],
            capture_output=True,
            text=True,
        )
        found: list[list[int | None]] = []
        for line in done.stdout.splitlines():
            size, byte = _SIZE.fullmatch(line), _BYTE.match(line)
            if size:
                expected = len(wanted[len(found)][1].cells)
                found.append([])
                if int(size[1]) != expected:
                    found[-1] = [None] * int(size[1])
            elif byte and None not in found[-1]:
                found[-1].append(int(byte[1], 16))
            elif line.startswith('read failed') and None not in found[-1]:
                found[-1].append(None)
        return found

    def backing(self, path: str) -> str | None:
        """The file that an image names as its backing file."""
        with self._host.path(path).open('rb') as file:
            magic, _, offset, length = struct.unpack('>4sIQI', file.read(20))
            if magic != b'QFI\xfb' or not offset:
                return None
            file.seek(offset)
            named = file.read(length).decode()
        return named if named.startswith('/') else f'{IMAGES}/{named}'

    def chain(self, path: str) -> list[str]:
        """*path* and all below it, as far as they are there."""
        found = []
        below: str | None = path
        while below and self.exists(below):
            found.append(below)
            below = self.backing(below)
        return [*found, below] if below else found

    def below(self, paths: Iterable[str]) -> set[str]:
        return {below for path in paths for below in self.chain(path)}

    def of_others(self) -> set[str]:
        """What operators have moved, and what virsh has made."""
        return {
            path
            for folder in (IMAGES, MOVED)
            for path in self._listing(folder)
            if _is_of_others(path)
        }

    def _listing(self, folder: str) -> list[str]:
        where = self._host.path(folder)
        names = [p.name for p in where.iterdir()] if where.exists() else []
        return [f'{folder}/{name}' for name in names]

    def images(self) -> list[str]:
        """Every image, the oldest first."""
        return sorted(
            (p for f in _FOLDERS for p in self._listing(f)),
            key=lambda path: self._host.path(path).stat().st_ctime_ns,
        )

    def ours(self) -> set[str]:
        """The files that the service has named."""
        return {path for path in self._listing(IMAGES) if is_ours(path)}


def _is_of_others(path: str) -> bool:
    return bool(re.search(r'/(moved|layer)-|\.v\d+$', path))


def is_overlay(path: str) -> bool:
    """Whether it is a snapshot that has made a file, by its name."""
    return is_ours(path) or bool(re.search(r'\.v\d+$', path))


def is_ours(path: str) -> bool:
    """Whether it is the service that has named a file so."""
    return bool(_OURS.fullmatch(path.rpartition('/')[2]))
