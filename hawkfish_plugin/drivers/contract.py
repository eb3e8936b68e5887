# SPDX-License-Identifier: Apache-2.0
"""
The driver contract.

Owns the records that drivers give and take, what a driver promises, and what
it may ask of the task that it works for.  A driver knows hypervisors and
nothing of HTTP, tasks or tables; whatever goes wrong in it leaves it as a
``HawkFishError``.  ``tests/contract`` holds every driver to this.  Long, as a
contract is read as a whole.
"""

import contextlib
import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from hawkfish_plugin import exceptions
from hawkfish_plugin.records import Record

R = TypeVar('R', bound=Record)

# The names of the operations that a driver knows, as in what it raises.
CREATE, REVERT, DELETE = 'create', 'revert', 'delete'
EXPORT, IMPORT = 'export', 'import'
BACKUP, RESTORE, VERIFY_BACKUP = 'backup', 'restore', 'verify-backup'
RESTORE_OVER = 'restore-over'
VERIFY = 'verify'
REPAIR = 'repair'

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
    *damaged* says that a merge has half overwritten its data, for as long as
    that is not finished; *overwritten* that its system writes to it right now,
    by the definition in use, which nothing mends.
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
    overwritten: bool = False


PREFERRED, REQUIRED, NEVER = 'Preferred', 'Required', 'Never'
QUIESCE_MODES = (PREFERRED, REQUIRED, NEVER)

CONSISTENT, LIVE, DISKS_ONLY = 'Consistent', 'Live', 'DisksOnly'
CONSISTENCIES = (CONSISTENT, LIVE, DISKS_ONLY)

QUIESCED, NOT_NEEDED = 'Quiesced', 'NotNeeded'
NOT_REQUESTED, QUIESCE_FAILED = 'NotRequested', 'Failed'


@dataclasses.dataclass(frozen=True)
class CreateRequest:
    """
    *memory* and *quiesce* None mean: as the configuration says.

    *quiesce* is one of QUIESCE_MODES.  *consistency* is one of CONSISTENCIES
    for a system of a group, and None for one that is captured alone:
    CONSISTENT, all of the group are captured while all of them are paused;
    DISKS_ONLY, likewise, but without memory; LIVE, each as if it were alone.
    """

    name: str
    description: str = ''
    memory: bool | None = None
    quiesce: str | None = None
    consistency: str | None = None

    @property
    def is_common(self) -> bool:
        """Whether all of a group are captured while all are paused."""
        return self.consistency in (CONSISTENT, DISKS_ONLY)


@dataclasses.dataclass(frozen=True)
class RevertRequest:
    """
    *power_state* is one of TARGET_POWER_STATES.

    *created_here*: the snapshot was made by this service, and so has copies
    of the state of the firmware; *force*: go on without those that cannot be
    used.  *memory_size* is what the memory had in bytes when it was captured,
    where that is known.  *has_safety_snapshot*: the present state will have a
    snapshot before.
    """

    name: str
    power_state: str = AS_CAPTURED
    force: bool = False
    created_here: bool = False
    memory_size: int | None = None
    has_safety_snapshot: bool = False


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
    *pause* is for how many seconds its group will be paused for it at the
    most; None where it will not be, or nobody knows.
    """

    external: bool
    memory: bool
    size: Size = Size()
    needs: tuple[tuple[str, int, int], ...] = ()
    pause: float | None = None


@dataclasses.dataclass(frozen=True)
class RevertForecast:
    """
    What a revert would leave.

    *power_state* is ON, OFF or PAUSED, *memory* whether the guest goes on with
    its memory.  *needs* are as in Forecast; *warnings* is what a user should
    know, such as where the data of a disk stays that was attached since.
    """

    power_state: str
    memory: bool
    needs: tuple[tuple[str, int, int], ...] = ()
    warnings: tuple[exceptions.HawkFishError, ...] = ()


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
    and what definitions name is read; but what nobody names may have been
    replaced by another file of its name.  FULL: all is read, as it is before
    anything is deleted; within one decision (``at_one_time``) the look with
    which it began will do, if it is no more than a few seconds old and nothing
    was changed since.
    """

    CACHED, LISTED, FULL = range(3)


@dataclasses.dataclass(frozen=True)
class Inventory:
    """
    All snapshots of a system, oldest first, and what the storage tells.

    *sizes* is what they take, by name; internal ones are left out.
    *dependents* are who else is backed by the files of which, by name.
    *written* are those of which a file seems to have been written to since,
    by name, with its path, and when in seconds since the epoch.
    """

    snapshots: Sequence[Snapshot]
    sizes: Mapping[str, Size] = dataclasses.field(default_factory=dict)
    dependents: Mapping[str, Sequence[Dependent]] = dataclasses.field(
        default_factory=dict
    )
    written: Mapping[str, tuple[str, float]] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True)
class Capture:
    """
    The moment that a snapshot of a running system shows.

    *time* is in seconds since the epoch, *monotonic* the same moment by
    ``time.monotonic``, to be compared with that of others of its group.
    *pause* is for how many seconds the system was paused for it; None where
    the hypervisor has done so, and does not tell.
    """

    time: float
    monotonic: float
    pause: float | None = None


@dataclasses.dataclass(frozen=True)
class Created:
    """
    What is to be noted of a new snapshot.

    *created* as in ``Snapshot``, *memory_size* in bytes.  *capture* is left
    out where the system did not run, or the create was interrupted.
    """

    created: int
    quiesce: Quiesce
    memory_size: int | None = None
    capture: Capture | None = None


@dataclasses.dataclass(frozen=True)
class DeleteJournal(Record):
    """
    What every driver notes of a delete.

    *merging* is noted before any data is touched: from then on the snapshot
    may be half overwritten, unless it is noted that it is not.
    """

    merging: bool = False


# The steps that a driver may note of each of its operations, in their order.
STEPS: Mapping[str, Sequence[str]] = {
    CREATE: ('prepare', 'freeze', 'capture', 'finish'),
    REVERT: ('prepare', 'revert', 'finish', 'start'),
    DELETE: ('prepare', 'merge', 'finish'),
    EXPORT: ('prepare', 'stage', 'finish'),
    IMPORT: ('prepare', 'define', 'finish'),
    BACKUP: ('prepare', 'freeze', 'copy', 'finish'),
    RESTORE: ('prepare', 'define', 'finish'),
    VERIFY: ('prepare', 'start', 'check', 'finish'),
    VERIFY_BACKUP: ('prepare', 'start', 'check', 'finish'),
}

UNTOUCHED = ('', *STEPS[REVERT][:1])
"""
The last steps of a revert that has not changed its system yet.

One that ends with OperationInterrupted has not changed it either.
"""


class Meeting(enum.Enum):
    """
    Where the systems of a group wait for each other, in this order.

    In a create: FLUSHED, nothing is paused yet; FROZEN, nor then, but who is
    to be captured without memory writes no more; PAUSED, all that ran are;
    CAPTURED, none needs to be paused any more.  In a revert: PREPARED, none is
    stopped yet; LOADED, each is paused with its memory loaded, or is about to
    start.  *words* are for people.
    """

    FLUSHED, FROZEN, PAUSED, CAPTURED, PREPARED, LOADED = range(1, 7)

    @property
    def words(self) -> str:
        """What all systems of the group would have been."""
        return self.name.lower()


class Abandoned(BaseException):
    """
    The task has ended meanwhile, as somebody has abandoned it.

    Not an error that an operation may handle: nothing more is to be done.
    """


class Journal(Protocol):
    """What the operation of a task has noted."""

    def recall(self, kind: type[R]) -> R:
        """What the journal holds of a record of *kind*."""


class TaskContext(Journal, Protocol):
    """
    What an operation may ask of the task that it runs for.

    Its journal outlives the process: recovering an interrupted operation
    begins with what was noted in it.  Whatever is asked of a task that has
    ended raises Abandoned, but for what is known without a look.
    """

    @property
    def last_step(self) -> str:
        """The step that was begun last; empty before the first."""

    def step(
        self, name: str, noted: Record | None = None, durable: bool = True
    ) -> None:
        """
        Note that step *name* begins, and what is *noted*, before it does.

        A driver's step is one of STEPS.
        Fields that *noted* does not have keep their values.  Not *durable*, a
        host that fails may forget it; after a kill of the process it is
        there.
        """

    def meet(self, point: Meeting, seconds: float | None = None) -> None:
        """
        Wait until all others of the group have come to *point* as well.

        At most for *seconds*, None: for as long as the operation may take.  At
        once, where this operation is not part of one of a group.  All of them
        pass a point, or none.  Raises MeetingMissed as soon as another one
        has ended before it, or does not come in time, and OperationCancelled
        where that has happened meanwhile: undo what was done, then.
        """

    def progress(self, percent: int) -> None: ...

    def add_message(self, message_id: str, *args: object) -> None: ...

    @property
    def cancelled(self) -> bool: ...

    @property
    def overdue(self) -> bool: ...

    def check_active(self) -> None:
        """
        Raise Abandoned where the task has ended.

        Before whatever cannot be taken back: it may have waited long, and
        others may work on the system by now.
        """


class ServesSystems(Protocol):
    """The systems of a hypervisor, by UUID but for ``resolve``."""

    target: str
    """Which hypervisor this is: what tells it from every other one."""

    def resolve(self, identity: str) -> System:
        """The system with this UUID or name; raises SystemNotFound."""

    def systems(self) -> Sequence[System]:
        """Every system that has snapshots."""

    def power_states(self) -> Mapping[System, str]:
        """Every system that there is, and whether it is ON, OFF or PAUSED."""


class ListsSnapshots(Protocol):
    """The snapshots that a hypervisor has, and what can be had."""

    def at_one_time(
        self, *systems: str
    ) -> contextlib.AbstractContextManager[None]:
        """
        A block in which what is asked is one decision, on *systems* if given.

        What this thread asks in it may be answered by one look, whatever
        freshness is asked for: one made in the block, and since what this
        thread has changed last.
        """

    def carrying_out(
        self, system: str
    ) -> contextlib.AbstractContextManager[None]:
        """
        The same for a task, which was decided on for *system*.

        Where that was a moment ago, and this process has changed nothing
        since, what it has seen of files may do for the task.
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

    def inventory(
        self, uuid: str, freshness: Freshness = Freshness.CACHED
    ) -> Inventory:
        """Every snapshot, with its size and its dependents."""

    def referrers(
        self, snapshots: Sequence[Snapshot]
    ) -> Mapping[str, Sequence[str]]:
        """
        Which of *snapshots* keep which from being deleted.

        A pure function of the tree, which need not be one that exists.
        Without any, or where *snapshots* are a tree, one can be deleted.
        """

    def capabilities(self, uuid: str) -> Capabilities:
        """What snapshots the system can have as it is now."""

    def describe(self, uuid: str, name: str, description: str) -> None:
        """Give the snapshot *name* another description."""

    def renamed(self, uuid: str, old: str, new: str) -> None:
        """
        Know the snapshot *new* that another client has renamed from *old*.

        What the driver keeps by name follows.  May be told more than once.
        """


class ChangesSnapshots(Protocol):
    """
    The operations of a driver, and what stands in their way.

    Each has a settling twin: called after its process died, or after the
    hypervisor went away, it waits until the hypervisor is done, cleans up what
    is half made, returns normally if the operation did take place and raises
    OperationInterrupted, saying what it found, if it did not; of a revert that
    was undone, or of which nobody can know, RevertUndone, RevertNotUndone or
    RevertUnknown.
    """

    def check_create(self, uuid: str, request: CreateRequest) -> Forecast:
        """What would be made; raises what stands in the way of it."""

    def check_revert(
        self, uuid: str, request: RevertRequest
    ) -> RevertForecast:
        """What would be left; raises what stands in the way of it."""

    def check_delete(self, uuid: str, name: str, forced: bool = False) -> None:
        """
        Raise what stands in the way of deleting *name*.

        Not, where it is *forced*, that files with data would be left behind.
        """

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

    def made_by(self, uuid: str, name: str, journal: Journal) -> int | None:
        """
        When the snapshot *name* was created, by the create of *journal*.

        That has failed.  None where there is no such snapshot, or nothing
        proves that it was not made by somebody else.
        """

    def settle_revert(
        self, uuid: str, request: RevertRequest, context: TaskContext
    ) -> None:
        """Raises what became of the system, also where its target is gone."""

    def settle_delete(
        self, uuid: str, name: str, context: TaskContext
    ) -> None: ...

    def resume_delete(
        self, uuid: str, name: str, context: TaskContext
    ) -> None:
        """
        Go on with the merge of a delete that was abandoned.

        The journal in *context* is that delete's, which may be long ago.  So
        what others do to the system by now is in the way, as of a new one.
        """


class Driver(ServesSystems, ListsSnapshots, ChangesSnapshots, Protocol):
    """A hypervisor that can snapshot its systems."""
