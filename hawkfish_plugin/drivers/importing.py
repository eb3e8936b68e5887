# SPDX-License-Identifier: Apache-2.0
"""
What a driver may offer besides: new systems out of bundles.

A part of the driver contract (see ``contract``).  The files of a bundle are
received one after the other, each in parts; then a task defines the system.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers.contract import TaskContext
from hawkfish_plugin.records import Record


@dataclasses.dataclass(frozen=True)
class ImportRequest(Record):
    """
    A new system *name*, with the identity *uuid*.

    *definition* is that of the system in the bundle, as a driver has written
    it; *pool* is where the disks go, None is where the configuration says.
    *start*: it is started at the end; with its *memory* it goes on where it
    was, or stays paused there unless it is started.  *macs* has the MAC
    address that each interface gets, by the one that it had.
    """

    uuid: str
    name: str
    definition: str
    pool: str | None = None
    start: bool = False
    macs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    memory: bool = False


@dataclasses.dataclass(frozen=True)
class OverRequest(Record):
    """
    A bundle over a system that there is, whose devices stay.

    *start* and *memory* are as in ``ImportRequest``; the system is off at the
    end otherwise.
    """

    start: bool = False
    memory: bool = False


@runtime_checkable
class Imports(Protocol):
    """A driver that makes systems of bundles."""

    def map_macs(
        self, definitions: Sequence[str], keep: bool
    ) -> Mapping[str, str]:
        """
        The MAC address that each interface gets, by the one that it has.

        One that several of *definitions* have stays one.  To *keep* them all
        is to give each its own.  Raises BundleInvalid.
        """

    def plan_import(
        self,
        request: ImportRequest,
        members: Sequence[Member],
        beside: int = 0,
    ) -> Mapping[str, str]:
        """
        The file that each of *members* that is needed goes to, by its name.

        *beside* is how many bytes others need that are imported with it.
        Raises everything that is known to stand in the way; makes nothing.
        """

    def make_file(self, path: str, size: int) -> None:
        """Make a file for *size* bytes; nobody may have it already."""

    def write_file(self, path: str, offset: int, data: bytes) -> None:
        """Let the file have *data* at *offset*."""

    def check_file(self, path: str, member: Member) -> None:
        """Raise BundleInvalid where a disk would lead to other files."""

    def remove_files(self, paths: Sequence[str]) -> None:
        """Remove files that no system names."""

    def import_system(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: TaskContext,
    ) -> None:
        """
        Make the system, of *members* in *files*.

        What fails leaves neither it nor the files.
        """

    def settle_import(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: TaskContext,
    ) -> None:
        """See ``contract.Driver`` for settling."""

    def undo_import(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        context: TaskContext,
    ) -> None:
        """Remove a system that was made, as far as it was, and its files."""


@runtime_checkable
class ImportsOver(Imports, Protocol):
    """A driver that puts bundles over systems that there are, too."""

    def plan_over(
        self, uuid: str, request: OverRequest, members: Sequence[Member]
    ) -> Mapping[str, str]:
        """As ``plan_import``; the disks have to be those of the system."""

    def import_over(
        self,
        uuid: str,
        request: OverRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: TaskContext,
    ) -> None:
        """
        Put the system on *members* in *files*; a running one is stopped.

        No file that it was on is written to, and none that a snapshot holds
        is removed.  What fails leaves the system as it was, but for its
        memory.
        """

    def settle_over(
        self, uuid: str, files: Mapping[str, str], context: TaskContext
    ) -> None:
        """See ``contract.Driver`` for settling."""
