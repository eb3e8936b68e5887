# SPDX-License-Identifier: Apache-2.0
"""
What a driver may offer besides: backups of its systems.

A part of the driver contract (see ``contract``).  A backup is a number of
files in the repository, a storage pool that need not be on the disk of the
system.  A full one stands alone; an incremental one has what has changed
since its parent, and stands on the files of that.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import LeftOut, Member
from hawkfish_plugin.drivers.contract import System, TaskContext
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.drivers.verifying import Verified, VerifyRequest
from hawkfish_plugin.records import Record


@dataclasses.dataclass(frozen=True)
class Backup(Record):
    """
    A backup of a system, as its driver knows it.

    *pool* is its repository, *token* tells it from every other one, *parent*
    is the token of the one that it stands on; of a full one it is None, and
    *reason* says why it is full.  *members* are its files, each with its name
    in the pool.  *power_state* and *quiesce*, one of the states in
    ``contract``, are of the system when it was made.
    """

    token: str
    pool: str
    parent: str | None
    reason: str
    power_state: str
    quiesce: str
    members: Sequence[Member] = ()
    left_out: Sequence[LeftOut] = ()
    hypervisor: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        found = super().load(stored)
        return dataclasses.replace(
            found,
            members=[Member.load(one) for one in stored['members']],
            left_out=[LeftOut.load(one) for one in stored['left_out']],
        )

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(one.size for one in self.members)


@dataclasses.dataclass(frozen=True)
class Described:
    """
    A backup that was *made* of *system*, under its name of then.

    *created* is in seconds since the epoch.
    """

    system: System
    made: Backup
    description: str
    created: float


@dataclasses.dataclass(frozen=True)
class BackupRequest:
    """
    A backup that will be called *token*.

    It stands on *parent* where what has changed since is known; where there
    is no parent, *reason* says why.  *quiesce* as in
    ``contract.CreateRequest``; *description* is that of the backup.
    """

    token: str
    parent: Backup | None = None
    reason: str = ''
    quiesce: str | None = None
    description: str = ''


def flattened(chain: Sequence[Backup]) -> list[Member]:
    """What a bundle of the first of *chain* would have, by the same names."""
    return [
        dataclasses.replace(one, size=_flat_size(chain, one))
        if one.role == manifest.DISK
        else one
        for one in chain[0].members
    ]


def _flat_size(chain: Sequence[Backup], disk: Member) -> int:
    """What the copy of *disk* takes at the most, in bytes."""
    taken = sum(
        one.size
        for backup in chain
        for one in backup.members
        if (one.role, one.target) == (manifest.DISK, disk.target)
    )
    return min(taken, (disk.capacity or taken) + disk.size)


@runtime_checkable
class BacksUp(Protocol):
    """
    A driver that makes backups, and systems of them.

    A *chain* is a backup and those that it stands on, down to the full one.
    """

    def repository(self) -> str:
        """
        The pool that new backups go to.

        Raises BackupNotConfigured, or PoolNotUsable.
        """

    def check_backup(self, uuid: str, request: BackupRequest) -> None:
        """Raise what stands in the way; changes nothing."""

    def back_up(
        self, uuid: str, request: BackupRequest, context: TaskContext
    ) -> Backup:
        """
        Make a backup of the system as it is at this moment.

        It goes on running, or stays off.  What fails or is cancelled leaves
        nothing.
        """

    def settle_backup(self, uuid: str, context: TaskContext) -> Backup:
        """What was made, if all was; see ``contract.Driver`` for settling."""

    def verify_backup(
        self, chain: Sequence[Backup], context: TaskContext
    ) -> None:
        """
        Raise BackupDamaged where a file of *chain* is not what was written.
        """

    def check_prove(
        self, chain: Sequence[Backup], request: VerifyRequest
    ) -> None:
        """Raise what stands in the way of ``prove_backup``."""

    def prove_backup(
        self,
        chain: Sequence[Backup],
        request: VerifyRequest,
        context: TaskContext,
    ) -> Verified:
        """
        Boot a clone of the first of *chain*, and look at it.

        As ``verifying.Verifies.verify``, and ``remove_clone`` of that removes
        what is left.  The files of *chain* have been verified.
        """

    def settle_prove(self, context: TaskContext) -> Verified:
        """See ``verifying.Verifies.settle_verify``."""

    def definition_of(self, backup: Backup) -> str:
        """The definition of the system; raises BackupDamaged."""

    def check_restore(
        self, request: ImportRequest, chain: Sequence[Backup]
    ) -> None:
        """Raise what stands in the way of a new system; makes nothing."""

    def restore_backup(
        self,
        request: ImportRequest,
        chain: Sequence[Backup],
        context: TaskContext,
    ) -> None:
        """
        Make a new system of the first of *chain*.

        What fails leaves neither it nor a file.
        """

    def settle_restore(
        self, request: ImportRequest, context: TaskContext
    ) -> None:
        """See ``contract.Driver`` for settling."""

    def check_fetch(
        self, chain: Sequence[Backup], files: Mapping[str, str]
    ) -> None:
        """Raise what stands in the way of ``fetch_backup``."""

    def fetch_backup(
        self,
        chain: Sequence[Backup],
        files: Mapping[str, str],
        context: TaskContext,
    ) -> None:
        """
        Make *files*, by the names of the members of the first of *chain*.

        Each disk is whole in its own.  What fails leaves no file; what dies
        may leave any.
        """

    def remove_backup(self, backup: Backup) -> None:
        """Remove its files, those that are there."""

    # What is in the repository, whoever has put it there.

    def stored_backups(self, pool: str) -> Collection[str]:
        """
        The tokens of the backups whose manifests are in the repository *pool*.

        Raises PoolNotUsable.
        """

    def read_manifest(self, pool: str, token: str) -> Described:
        """What the manifest of *token* says; raises BackupDamaged."""
