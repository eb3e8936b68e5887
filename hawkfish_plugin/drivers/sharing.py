# SPDX-License-Identifier: Apache-2.0
"""
What a driver may offer besides: of a hypervisor that it is not alone with.

A part of the driver contract (see ``contract``).  The emulator changes the
same definitions, other clients change systems behind our back, and what was
interrupted lies about among the files of others.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from hawkfish_plugin import exceptions


@dataclasses.dataclass(frozen=True)
class Repair:
    """
    What a repair changes: the file of the disk *target* in the definition.

    *before* and *after* are paths on the hypervisor host.
    """

    target: str
    before: str
    after: str


@runtime_checkable
class SharesDefinitions(Protocol):
    """A driver of definitions that the emulator reads and writes too."""

    def connection_losses(self) -> int:
        """How often the hypervisor went away; more means: it restarted."""

    def changes_when_read(self, uuid: str) -> bool:
        """Whether the emulator would redefine the system to show it."""

    def is_own(self, uuid: str) -> bool:
        """Whether this is nobody's system, but a tool of the driver."""

    def removable_media(self, uuid: str) -> Mapping[str, str]:
        """
        The files in the drives of the definition, by Redfish's name.

        Cd and Floppy; without those that are empty.
        """


@runtime_checkable
class KnowsVersion(Protocol):
    """A driver of a hypervisor that has a version."""

    def known_version(self) -> str | None:
        """
        What that was when it was last connected to.

        It is not asked; None where this process has not done so yet.
        """


@runtime_checkable
class FindsUnsafe(Protocol):
    """
    A driver of systems that others can make unsafe.

    It refuses to create and delete snapshots of such a system, with an
    exceptions.Unsafe for each finding.
    """

    def violations(self, uuid: str) -> Sequence[exceptions.Unsafe]:
        """What makes the system unsafe; nothing where it is safe."""

    def check_start(self, uuid: str) -> None:
        """
        Raise the finding by which the next start would destroy something.

        That is DefinitionOnSnapshot, DiskIsBackingFile, or DiskOfTwoSystems
        where the other one runs, or either has snapshots.
        """

    def plan_repair(self, uuid: str) -> Sequence[Repair]:
        """
        What makes an unsafe system safe without a loss; nothing if it is.

        Raises what cannot be mended.
        """

    def repair(self, uuid: str) -> None:
        """Do that; may be interrupted, and called again."""


class FarImage(NamedTuple):
    """
    An image at *path* that stands on the file *base* of another directory.

    Since *missed*, in seconds since the epoch, no look has found it there; 0,
    where the last one did.
    """

    path: str
    base: str
    missed: int = 0


class FarImageNotes(Protocol):
    """Where a driver writes down such images."""

    def all(self) -> Sequence[FarImage]:
        """All that are noted."""

    def change(
        self, noted: Collection[FarImage], gone: Collection[FarImage]
    ) -> None:
        """Note those *noted*, in the place of former ones; forget *gone*."""


@runtime_checkable
class RemembersImages(Protocol):
    """A driver whose hypervisor does not lead it to all images of disks."""

    def remember_images(self, notes: Callable[[], FarImageNotes]) -> None:
        """Write down in what *notes* returns what is not to be forgotten."""


@runtime_checkable
class LeavesFiles(Protocol):
    """A driver whose interrupted operations can leave files behind."""

    def sweep(self, noted: Collection[str]) -> Sequence[str]:
        """
        Remove files of interrupted operations; returns what is unclear.

        *noted* are files that an operation wanted to remove and could not.
        Returned are files that are named like ours and that nothing refers
        to, but that are left alone.
        """
