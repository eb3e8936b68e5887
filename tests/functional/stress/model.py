# SPDX-License-Identifier: Apache-2.0
"""What disks, snapshots and files must read; knows no hypervisor."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

# Where a disk is written to: 64 KiB at the beginning of each MiB.
CELL = 64 * 1024
STRIDE = 2**20


class Content:
    """
    What is at the beginning of each MiB of a disk.

    More than one value may be there when a write was interrupted, until it
    has been read.
    """

    def __init__(self, cells: Iterable[frozenset[int]]) -> None:
        self.cells = list(cells)

    @classmethod
    def blank(cls, mib: int) -> Content:
        return cls([frozenset({0})] * mib)

    def copy(self) -> Content:
        return Content(self.cells)

    def write(self, cell: int, value: int) -> None:
        self.cells[cell] = frozenset({value})

    def may_write(self, cell: int, value: int) -> None:
        self.cells[cell] |= {value}

    def grow(self, mib: int) -> None:
        self.cells += [frozenset({0})] * mib

    def settle(self, read: list[int | None]) -> bool:
        """Whether *read* is what may be there; then it is that."""
        if len(read) != len(self.cells) or not all(
            value in cell for value, cell in zip(read, self.cells, strict=True)
        ):
            return False
        self.cells = [frozenset({value or 0}) for value in read]
        return True

    def __str__(self) -> str:
        return ' '.join(
            '|'.join(str(value) for value in sorted(cell))
            for cell in self.cells
        )


@dataclasses.dataclass
class Disk:
    """
    What is attached at a target; *number* tells it from any other.

    *written* says that its file, the uppermost of a chain, has data.
    """

    number: int
    content: Content
    written: bool = True

    def copy(self) -> Disk:
        return Disk(self.number, self.content.copy(), False)


@dataclasses.dataclass
class Snapshot:
    """
    What a revert must bring back.

    *word* is what the memory holds, if there is a memory image.  *left_out*
    are targets that a revert leaves as they are.  Of a *damaged* one nothing
    is known but that it can be deleted.
    """

    name: str
    disks: dict[str, Disk]
    word: int | None = None
    running: bool = False
    left_out: set[str] = dataclasses.field(default_factory=set)
    damaged: bool = False


@dataclasses.dataclass
class System:
    """
    A system, as it must be.

    *word* is what its memory holds, None where that is not known.  *astray*
    is its right definition while an older one is defined, and *second* the
    name of another domain on its disks.
    """

    name: str
    uuid: str
    disks: dict[str, Disk]
    snapshots: dict[str, Snapshot] = dataclasses.field(default_factory=dict)
    word: int | None = None
    astray: str | None = None
    second: str | None = None

    @property
    def is_odd(self) -> bool:
        """Whether an operator has to put something right."""
        return bool(self.astray or self.second)

    def capture(
        self, name: str, memory: bool, running: bool, without: Iterable[str]
    ) -> Snapshot:
        """What a snapshot of right now holds."""
        left_out = set(without)
        return Snapshot(
            name,
            {
                target: disk.copy()
                for target, disk in self.disks.items()
                if target not in left_out
            },
            self.word if memory and running else None,
            running,
            left_out & self.disks.keys(),
        )

    def add(self, snapshot: Snapshot) -> None:
        self.snapshots[snapshot.name] = snapshot
        self.cover(snapshot.left_out)

    def cover(self, but: Iterable[str] = ()) -> None:
        """New files are on top of all disks."""
        for target in self.disks.keys() - set(but):
            self.disks[target].written = False

    def parted(self, name: str) -> list[str]:
        """The targets whose disks a revert to *name* detaches."""
        wanted = self.snapshots[name]
        return [
            target
            for target, disk in self.disks.items()
            if target not in wanted.left_out
            and (
                target not in wanted.disks
                or wanted.disks[target].number != disk.number
            )
        ]

    def is_discarded(self, target: str, name: str) -> bool:
        """
        Whether a revert to *name* discards what the disk at *target* has.

        That is what was written since a snapshot of it; of a disk that no
        snapshot holds, nothing is discarded.
        """
        number = self.disks[target].number
        return target in self.snapshots[name].disks and any(
            target in one.disks and one.disks[target].number == number
            for one in self.snapshots.values()
        )

    def revert(self, name: str) -> None:
        wanted = self.snapshots[name]
        left = {
            target: disk
            for target, disk in self.disks.items()
            if target in wanted.left_out
        }
        self.disks = {t: disk.copy() for t, disk in wanted.disks.items()}
        self.disks |= left
        self.word = wanted.word
