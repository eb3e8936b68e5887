# SPDX-License-Identifier: Apache-2.0
"""
The driver contract.

Owns the records that drivers give and take, what a driver may ask of the job
it works for, and the loading of a driver by name (entry points of the group
``hawkfish.drivers``).  A driver knows hypervisors and nothing of HTTP, tasks
or tables; whatever goes wrong in it leaves it as a ``HawkFishError``.
"""

import dataclasses
import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from hawkfish_plugin import exceptions

ON, OFF, PAUSED = 'On', 'Off', 'Paused'
AS_CAPTURED = 'AsCaptured'
TARGET_POWER_STATES = (AS_CAPTURED, ON, OFF, PAUSED)


@dataclasses.dataclass(frozen=True)
class System:
    """A virtual machine: its UUID is its identity, its name may change."""

    uuid: str
    name: str


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """
    What the hypervisor knows of one snapshot.

    *created* is in seconds since the epoch, *power_state* the system's when
    it was captured (None until then), *external* whether its data is in files
    of its own.
    *damaged* says that its data is known to be half overwritten.
    """

    name: str
    description: str
    created: int
    power_state: str | None
    memory: bool
    external: bool
    parent: str | None = None
    current: bool = False
    damaged: bool = False


PREFERRED, REQUIRED, NEVER = 'Preferred', 'Required', 'Never'
QUIESCE_MODES = (PREFERRED, REQUIRED, NEVER)

QUIESCED, NOT_NEEDED = 'Quiesced', 'NotNeeded'
NOT_REQUESTED, QUIESCE_FAILED = 'NotRequested', 'Failed'


@dataclasses.dataclass(frozen=True)
class CreateRequest:
    """
    *memory* and *quiesce* None mean: as the configuration says.

    *quiesce* is one of QUIESCE_MODES.
    """

    name: str
    description: str = ''
    memory: bool | None = None
    quiesce: str | None = None


@dataclasses.dataclass(frozen=True)
class RevertRequest:
    """
    *power_state* is one of TARGET_POWER_STATES.

    *ours*: the snapshot was made by this service, and so has copies of the
    state of the firmware; *force*: go on without those that cannot be used.
    *memory_size* is what the memory had in bytes when it was captured, where
    that is known.  *kept*: the present state will have a snapshot before.
    """

    name: str
    power_state: str = AS_CAPTURED
    force: bool = False
    ours: bool = False
    memory_size: int | None = None
    kept: bool = False


@dataclasses.dataclass(frozen=True)
class Quiesce:
    """How it went with the file systems; *reason* where it failed."""

    status: str
    reason: str = ''


@dataclasses.dataclass(frozen=True)
class DiskReport:
    """*reason* says why the disk is left out of snapshots, where it is."""

    target: str
    device: str
    kind: str
    format: str
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """
    What snapshots a system can have as it is now.

    *storage* is where the next one would be kept, External or Internal;
    *findings* is what stands in its way, the same as the refusal of a create.
    """

    version: str
    external: bool
    internal: bool
    memory: bool
    quiesce: bool
    storage: str
    findings: tuple[exceptions.HawkFishError, ...] = ()
    disks: tuple[DiskReport, ...] = ()


@dataclasses.dataclass(frozen=True)
class Size:
    """
    The bytes on disk of one external snapshot.

    *own* are those that no other snapshot needs: memory, firmware variables.
    *disks* hold what the disks had got since the parent; nothing for the
    first snapshot, whose disks are those that the system began with.
    *removable* says that a delete would free them, and merge nothing.
    """

    own: int = 0
    disks: int = 0
    removable: bool = False


@dataclasses.dataclass(frozen=True)
class Forecast:
    """
    What a create would make, of *size* at the most.

    *needs* are the bytes that are needed and available in each folder.
    """

    external: bool
    memory: bool
    size: Size = Size()
    needs: tuple[tuple[str, int, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class Dependent:
    """
    Who else is backed by a file of a snapshot.

    The name and UUID of a system, or the path of a file that belongs to none.
    """

    name: str
    uuid: str | None = None


class Freshness(enum.Enum):
    """
    How much of the storage is looked at anew for dependents.

    CACHED: what was found seconds ago will do.  LISTED: no new file is missed,
    but one may have been replaced by another of its name.  FULL: all is read,
    as it is before anything is deleted.
    """

    CACHED, LISTED, FULL = range(3)


@dataclasses.dataclass(frozen=True)
class Inventory:
    """
    All snapshots of a system, oldest first, and what the storage tells.

    *sizes* is what they take, by name; internal ones are left out.
    *dependents*
    are who else is backed by the files of which, by name.
    """

    snapshots: Sequence[Snapshot]
    sizes: Mapping[str, Size] = dataclasses.field(default_factory=dict)
    dependents: Mapping[str, Sequence[Dependent]] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True)
class Created:
    """What is to be noted of a new snapshot; *memory_size* is in bytes."""

    quiesce: Quiesce
    memory_size: int | None = None


class TaskContext(Protocol):
    """
    What an operation may ask of the task it runs for.

    *journal* holds the facts that were noted at the steps so far; it outlives
    the process, and settling a broken-off operation starts from it.  Its
    ``step`` is the last one; a delete notes ``merging`` in it before it
    touches data.
    """

    @property
    def journal(self) -> Mapping[str, Any]: ...

    def step(self, name: str, durable: bool = True, **facts: object) -> None:
        """
        Note that step *name* begins, and *facts*, before it does.

        Not *durable*, a host that fails may forget it; after a kill of the
        process it is there.
        """

    def progress(self, percent: int) -> None: ...

    def tell(self, message_id: str, *args: object) -> None: ...

    @property
    def cancelled(self) -> bool: ...

    @property
    def overdue(self) -> bool: ...


class Driver(Protocol):
    """
    A hypervisor that can snapshot its systems.

    Systems are named by UUID, but for ``resolve``.  Each operation has a
    settling twin: called after its process died, or after the hypervisor
    went away, it waits until the hypervisor is done, cleans up what is half
    made, returns normally if the operation did take place and raises
    OperationInterrupted, saying what it found, if it did not.
    """

    target: str
    """Which hypervisor this is: what tells it from every other one."""

    def losses(self) -> int:
        """How often the hypervisor went away; more means: it restarted."""

    def resolve(self, identity: str) -> System:
        """The system with this UUID or name; raises SystemNotFound."""

    def changes_when_read(self, uuid: str) -> bool:
        """Whether the emulator would redefine the system to show it."""

    def drives(self, uuid: str) -> Mapping[str, str] | None:
        """
        The files in the drives of the definition, by Redfish's name.

        Cd and Floppy; without those that are empty. None where the emulator
        alone knows.
        """

    def snapshots(self, uuid: str) -> Sequence[Snapshot]:
        """Every snapshot of the system, oldest first."""

    def names(self, uuid: str) -> Sequence[str]:
        """
        The name of every snapshot, oldest first.

        The names are of this moment, their order may be seconds old.
        """

    def exists(self, uuid: str, name: str) -> bool:
        """Whether there is such a snapshot, for less than a list of them."""

    def sweep(self, noted: Collection[str]) -> Sequence[str]:
        """
        Remove files of broken-off operations; returns what is unclear.

        *noted* are files that an operation wanted to remove and could not.
        Returned are files that are named like ours and that nothing refers
        to, but that are left alone.
        """

    def capabilities(self, uuid: str) -> Capabilities:
        """What snapshots the system can have as it is now."""

    def systems(self) -> Sequence[System]:
        """Every system that has snapshots."""

    def inventory(
        self, uuid: str, freshness: Freshness = Freshness.CACHED
    ) -> Inventory:
        """Every snapshot, with its size and its dependents."""

    def describe(self, uuid: str, name: str, description: str) -> None:
        """Give the snapshot *name* another description."""

    def check_create(self, uuid: str, request: CreateRequest) -> Forecast:
        """What would be made; raises what stands in the way of it."""

    def check_revert(self, uuid: str, request: RevertRequest) -> None:
        """Raise what stands in the way of this revert."""

    def check_delete(self, uuid: str, name: str) -> None:
        """Raise what stands in the way of deleting *name*."""

    def create(
        self, uuid: str, request: CreateRequest, context: TaskContext
    ) -> Created: ...

    def revert(
        self, uuid: str, request: RevertRequest, context: TaskContext
    ) -> None: ...

    def delete(self, uuid: str, name: str, context: TaskContext) -> None: ...

    def settle_create(
        self, uuid: str, request: CreateRequest, context: TaskContext
    ) -> Created: ...

    def settle_revert(
        self, uuid: str, request: RevertRequest, context: TaskContext
    ) -> None: ...

    def settle_delete(
        self, uuid: str, name: str, context: TaskContext
    ) -> None: ...


def referrers(snapshots: Sequence[Snapshot], name: str) -> list[str]:
    """Which snapshots keep *name* from being deleted."""
    return all_referrers(snapshots).get(name, [])


def all_referrers(snapshots: Sequence[Snapshot]) -> dict[str, list[str]]:
    """
    Which snapshots keep which from being deleted.

    libvirt merges an external snapshot into what lies below it only where
    nothing else grows from there: a leaf, or an ancestor of the current
    snapshot with exactly one child.  Internal snapshots stand alone.

    Nor where, further up, another branch grows from a snapshot that was made
    while the system was off: libvirtd 11.3 crashes in that merge.
    """
    above, below = ancestors(snapshots), children(snapshots)
    branch = above | {s.name for s in snapshots if s.current}
    made_off = {s.name for s in snapshots if s.power_state == OFF}
    found = {}
    for name in [s.name for s in snapshots if s.external]:
        if name not in below:
            continue
        if len(below[name]) > 1 or name not in above:
            found[name] = below[name]
            continue
        beside = [
            child for parent in _descendants(below, name)
            if parent in made_off
            for child in below.get(parent, ()) if child not in branch
        ]  # fmt: skip
        if beside:
            found[name] = beside
    return found


def _descendants(below: Mapping[str, list[str]], name: str) -> list[str]:
    """Every snapshot that grows from *name*, near ones first."""
    found = list(below.get(name, ()))
    for child in found:
        found += below.get(child, ())
    return found


def children(snapshots: Iterable[Snapshot]) -> dict[str, list[str]]:
    """The names of the children of each snapshot that has any."""
    found: dict[str, list[str]] = {}
    for snapshot in snapshots:
        if snapshot.parent is not None:
            found.setdefault(snapshot.parent, []).append(snapshot.name)
    return found


def ancestors(snapshots: Iterable[Snapshot]) -> set[str]:
    """The names above the current snapshot, without itself."""
    snapshots = list(snapshots)
    parents = {s.name: s.parent for s in snapshots}
    current = next((s.name for s in snapshots if s.current), None)
    found: set[str] = set()
    above = parents.get(current) if current else None
    while above is not None and above not in found:
        found.add(above)
        above = parents.get(above)
    return found
