# SPDX-License-Identifier: Apache-2.0
"""The two systems, and what is done to their disks from outside."""

import collections
import contextlib
import itertools
import pathlib
import random
import re
import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import libvirt
import libvirt_qemu

from tests.functional.emulator import Emulator
from tests.functional.stress.files import Files, is_overlay
from tests.functional.stress.model import (
    CELL,
    STRIDE,
    Content,
    Disk,
    Snapshot,
    System,
)
from tests.lab import domains
from tests.lab.host import IMAGES, Host
from tests.waiting import wait_for

SIZE_MIB = 8
GOLDEN = f'{IMAGES}/golden.qcow2'
# A byte of another address may look like it a few times.
_READS = 10
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


class Broken(Exception):
    """A promise does not hold; says which."""


class World:
    """
    Two systems on one golden image, as they are and as they must be.

    *kept* are files of disks that were detached, *clones* images on top of a
    snapshot's file.  *away* is a file and where an operator has put it.
    *abandoned* are files that somebody else than the service has to remove,
    *unseen* those that it has not seen yet.
    """

    def __init__(self, host: Host, folder: pathlib.Path) -> None:
        self.host = host
        self.emulator = Emulator(folder, host.uri)
        self.files = Files(host)
        self.numbers = itertools.count(1)
        self.kept: dict[str, Disk] = {}
        self.clones: dict[str, Content] = {}
        self.away: tuple[str, str] | None = None
        self.abandoned: set[str] = set()
        self.unseen: set[str] = set()
        self.attached_again: set[str] = set()
        self.saved: dict[str, list[str]] = collections.defaultdict(list)
        self.counts: collections.Counter[str] = collections.Counter()
        self._connection: Any = None
        self.golden = Content.blank(SIZE_MIB)
        self.emulator.start()
        self.files.make(GOLDEN, SIZE_MIB)
        for cell in range(SIZE_MIB):
            self.golden.write(cell, 100 + cell)
            self.files.write(GOLDEN, cell, 100 + cell)
        self.systems = [self._define(name) for name in ('node-a', 'node-b')]

    def _define(self, name: str) -> System:
        blank = domains.Disk(size_mib=SIZE_MIB, formatted=False)
        described = domains.Domain(
            name,
            machine='pc',
            boot_guest=False,
            agent=False,
            memory_mib=16,
            disks=(
                blank,
                # QEMU detaches it from a guest that does not answer.
                domains.Disk(size_mib=SIZE_MIB, formatted=False, bus='scsi'),
            ),
        )
        uuid = domains.define(self.host, described)
        self.files.make(domains.disk_path(described, 1), SIZE_MIB, GOLDEN)
        contents = {'vda': self.golden.copy(), 'sda': Content.blank(SIZE_MIB)}
        return System(
            name,
            uuid,
            {
                target: Disk(next(self.numbers), content)
                for target, content in contents.items()
            },
        )

    # libvirt --------------------------------------------------------------

    @property
    def connection(self) -> Any:
        # A client without an event loop learns of a dead daemon by trying.
        with contextlib.suppress(libvirt.libvirtError, AttributeError):
            self._connection.getLibVersion()
            return self._connection
        self._connection = self.host.connect()
        return self._connection

    def domain(self, system: System) -> Any:
        return self.connection.lookupByUUIDString(system.uuid)

    def is_on(self, system: System) -> bool:
        return bool(self.domain(system).isActive())

    def definition(self, system: System) -> str:
        """The definition for the next start, also where it is no more so."""
        return str(system.astray or self.domain(system).XMLDesc(_INACTIVE))

    def define(self, text: str) -> Any:
        return self.connection.defineXML(text)

    def tops(self, system: System) -> dict[str, str]:
        """By target, the files that a system writes to."""
        if self.is_on(system):
            return sources(self.domain(system).XMLDesc())
        return sources(self.definition(system))

    def captured(self, system: System, name: str) -> dict[str, str]:
        """By target, the files that a snapshot holds."""
        text = self.describe(system, name)
        root = ElementTree.fromstring(text)
        holds = {
            disk.get('name')
            for disk in root.iterfind('disks/disk')
            if disk.get('snapshot') == 'external'
        }
        wanted = root.find('domain')
        assert wanted is not None
        found = sources(ElementTree.tostring(wanted, 'unicode'))
        return {
            target: path for target, path in found.items() if target in holds
        }

    def captured_by_all(self) -> set[str]:
        """What snapshots hold, and what that is based on."""
        return self.files.below(
            path
            for system in self.systems
            for name in system.snapshots
            for path in self.captured(system, name).values()
        )

    # Disks that the other system had before -------------------------------

    def borrowed(self, system: System) -> list[str]:
        """The targets whose disks stand on what the other's snapshots hold."""
        held = self._held_by_other(system)
        return [
            target
            for target, path in self.tops(system).items()
            if held.intersection(self.files.chain(path))
        ]

    def is_borrower(self, system: System) -> bool:
        """Whether a disk or a snapshot of *system* stands there."""
        own = self.files.below(
            [*self.tops(system).values(), *self._held(system)]
        )
        return not own.isdisjoint(self._held_by_other(system))

    def may_borrow(self, system: System, path: str) -> bool:
        """
        Whether *system* may have the disk at *path*.

        Where each stood on what the other holds, neither could be purged.
        """
        other = self._other(system)
        return not self.is_borrower(other) or self._held(other).isdisjoint(
            self.files.chain(path)
        )

    def _other(self, system: System) -> System:
        return next(one for one in self.systems if one is not system)

    def _held_by_other(self, system: System) -> set[str]:
        return self._held(self._other(system))

    def _held(self, system: System) -> set[str]:
        """The files that the snapshots of *system* hold."""
        return {
            path
            for name in system.snapshots
            for path in self.captured(system, name).values()
        }

    def describe(self, system: System, name: str) -> str:
        domain = self.domain(system)
        return str(domain.snapshotLookupByName(name).getXMLDesc())

    def held(self) -> set[str]:
        """What nobody may write to."""
        others = self.files.below({GOLDEN, *self.kept, *self.clones})
        return others | self.captured_by_all()

    def texts(self) -> str:
        """All that libvirt has noted, in one."""
        found = []
        for domain in self.connection.listAllDomains():
            found += [domain.XMLDesc(), domain.XMLDesc(_INACTIVE)]
            found += [s.getXMLDesc() for s in domain.listAllSnapshots()]
        return '\n'.join(found)

    def layout(self) -> str:
        """All images, oldest first: what each is backed by, and whose."""
        users = collections.defaultdict(list)
        with contextlib.suppress(libvirt.libvirtError):
            for system in self.systems:
                for target, path in self.tops(system).items():
                    users[path].append(f'{target} of {system.name}')
                for name in system.snapshots:
                    for path in self.captured(system, name).values():
                        users[path].append(f'{system.name}/{name}')
        for path in {*self.kept, *self.clones, *self.abandoned}:
            users[path].append('an operator')
        return '\n  '.join(
            ' '.join([*(['<'.join(self.files.chain(path)[:2])]), *users[path]])
            for path in self.files.images()
        )

    # Data -----------------------------------------------------------------

    def write(
        self,
        system: System,
        rng: random.Random,
        begun: bool = False,
        snapshot: Snapshot | None = None,
    ) -> None:
        """
        Write somewhere.

        Where an operation has *begun* nobody but the guest writes, and the
        *snapshot* that is being made may have it.
        """
        target = rng.choice(sorted(system.disks))
        disk = system.disks[target]
        content = disk.content
        cell, value = rng.randrange(len(content.cells)), rng.randrange(1, 256)
        if snapshot and target in snapshot.disks:
            snapshot.disks[target].content.may_write(cell, value)
        try:
            if self.is_on(system):
                content.may_write(cell, value)
                self._write_live(system, target, cell, value)
            elif begun or not self._is_writable(system, target):
                return
            else:
                path = self.tops(system)[target]
                self.files.write(path, cell, value)
            content.write(cell, value)
            disk.written = True
        except libvirt.libvirtError:
            # QEMU or libvirtd has been killed: it is written, or it is not.
            content.may_write(cell, value)

    def _is_writable(self, system: System, target: str) -> bool:
        if system.is_odd or self.away:
            return False
        return self.tops(system)[target] not in self.held()

    def _write_live(
        self, system: System, target: str, cell: int, value: int
    ) -> None:
        device = self._device(system, target)
        write = f'write -q -P {value} {cell * STRIDE} {CELL}'
        self.ask(system, f'qemu-io -d {device} "{write}"')
        self.flush(system, target)

    def flush(self, system: System, target: str) -> None:
        """Let QEMU write down all that it has in memory of an image."""
        device = self._device(system, target)
        self.ask(system, f'qemu-io -d {device} flush')

    def _device(self, system: System, target: str) -> str:
        root = ElementTree.fromstring(self.domain(system).XMLDesc())
        alias = root.findall(f"devices/disk/target[@dev='{target}']/../alias")[
            0
        ].get('name', '')
        if alias.startswith('virtio'):
            return f'/machine/peripheral/{alias}/virtio-backend'
        return str(alias)

    def ask(self, system: System, command: str) -> str:
        """What the monitor of QEMU answers."""
        return str(
            libvirt_qemu.qemuMonitorCommand(
                self.domain(system),
                command,
                libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP,
            )
        )

    # A word of memory: a byte of the clock's, which no firmware uses --------

    def set_word(self, system: System, rng: random.Random) -> None:
        system.word = None
        value = rng.randrange(1, 256)
        with contextlib.suppress(libvirt.libvirtError):
            if self.is_on(system):
                self.ask(system, 'o /b 0x70 0x50')
                self.ask(system, f'o /b 0x71 {value:#x}')
                # Firmware that is starting chooses others, between these and
                # between those that read it, too.
                if all(self.word(system) == value for _ in range(_READS)):
                    system.word = value

    def word(self, system: System) -> int:
        self.ask(system, 'o /b 0x70 0x50')
        answer = self.ask(system, 'i /b 0x71')
        found = re.search(r'= (0x[0-9a-f]+)', answer)
        assert found, answer
        return int(found[1], 16)

    # Others ---------------------------------------------------------------

    def keep(self, path: str, disk: Disk) -> None:
        """
        Let nobody touch the file of a disk that is detached.

        An empty overlay of the service's is one that nobody needs: what it
        stands on goes with its snapshot. An image in a folder without a pool
        that the service has not looked into is known to nobody.
        """
        is_known = self.unseen.isdisjoint(self.files.chain(path))
        if is_known and (disk.written or not is_overlay(path)):
            self.kept[path] = disk
        else:
            self.abandoned.add(path)

    def wait_job(self, domain: Any, target: str, pivot: bool) -> None:
        """Wait for a block job, and end it where it has to be told so."""

        def ended() -> bool:
            info = domain.blockJobInfo(target)
            return not info or (
                pivot and info['cur'] == info['end'] and info['end'] > 0
            )

        wait_for(ended, f'the block job of {target}')
        for _ in range(100 if pivot else 0):
            try:
                domain.blockJobAbort(
                    target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
                )
                return
            except libvirt.libvirtError:
                # It is not in sync yet, or just ready.
                time.sleep(0.05)

    def remove(self) -> None:
        """Forget both systems, and all files."""
        self.emulator.stop()
        for domain in self.connection.listAllDomains():
            if domain.isActive():
                domain.destroy()
            domain.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            )
        for path in self.host.path(IMAGES).iterdir():
            if path.is_file():
                path.unlink()


def sources(text: str) -> dict[str, str]:
    """By target, the files of the disks of a definition."""
    return dict(_sources(ElementTree.fromstring(text)))


def _sources(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for disk in root.iterfind('devices/disk'):
        source, target = disk.find('source'), disk.find('target')
        assert source is not None and target is not None
        yield target.get('dev', ''), source.get('file', '')
