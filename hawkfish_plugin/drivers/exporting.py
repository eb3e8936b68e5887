# SPDX-License-Identifier: Apache-2.0
"""
What a driver may offer besides: its snapshots as bundles.

A part of the driver contract (see ``contract``).  An export is staged: its
files are copied into a folder of their own, flat and independent of the chain
that they came from, and read from there for as long as that takes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from hawkfish_plugin.bundles.manifest import LeftOut, Member
from hawkfish_plugin.drivers.contract import TaskContext


@dataclasses.dataclass(frozen=True)
class ExportRequest:
    """The snapshot *name*, with its *memory* if that is wanted."""

    name: str
    memory: bool = False


@dataclasses.dataclass(frozen=True)
class Staged:
    """
    What is staged in *folder*: the *members*, each by the last part of its
    name; *hypervisor* has versions, by name.
    """

    folder: str
    members: Sequence[Member]
    left_out: Sequence[LeftOut] = ()
    hypervisor: Mapping[str, str] = dataclasses.field(default_factory=dict)


@runtime_checkable
class Exports(Protocol):
    """A driver that makes bundles of its snapshots."""

    def check_export(
        self, uuid: str, request: ExportRequest
    ) -> Sequence[tuple[str, int, int]]:
        """
        The bytes that are needed and available in each folder.

        Raises what stands in the way; needs no more than a look.
        """

    def export(
        self, uuid: str, request: ExportRequest, context: TaskContext
    ) -> Staged:
        """
        Stage the snapshot; nobody may change its chain meanwhile.

        What fails or is cancelled leaves nothing.
        """

    def settle_export(
        self, uuid: str, request: ExportRequest, context: TaskContext
    ) -> Staged:
        """
        What was staged, if all was; see ``contract.Driver`` for settling.
        """

    def read_staged(
        self, folder: str, name: str, offset: int, length: int
    ) -> bytes:
        """
        *length* bytes of the staged file *name*, from *offset* on.

        Raises ExportFileMissing where it is gone, or shorter.
        """

    def remove_staged(self, folder: str) -> None:
        """Remove all that is staged in *folder*; nothing if that is gone."""
