# SPDX-License-Identifier: Apache-2.0
"""
The base error and its subclasses.

Owns the HTTP status and the registry message of each error.  The texts are in
the message registries (``data/registries``), the JSON is built by
``redfish``.  The arguments of an error are the arguments of its message, in
the order of the registry.  Long, as there is one class for each message.
"""

import datetime
from collections.abc import Iterable, Sequence

BASE = 'Base.1.22'
HAWKFISH = 'HawkFish.1.0'


class HawkFishError(Exception):
    """
    An error that is reported to the user.

    *args* are the arguments of the message, *related* the JSON pointers to
    the request properties that caused it.

    *unsettled*: the operation has ended in the middle, and nobody has found
    out what has become of the system.  *retry_after* is in how many seconds
    the same request may be answered otherwise, where that is known.
    """

    status = 500
    unsettled = False
    retry_after: int | None = None
    registry = HAWKFISH
    key = ''

    def __init__(self, *args: object, related: Iterable[str] = ()) -> None:
        super().__init__(*(str(arg) for arg in args))
        self.related = tuple(related)

    @property
    def message_id(self) -> str:
        return f'{self.registry}.{self.key or type(self).__name__}'

    @classmethod
    def has_id(cls, message_id: str) -> bool:
        """Whether its message has *message_id*, in any release of it."""
        registry, _, key = message_id.rpartition('.')
        return key == (cls.key or cls.__name__) and (
            registry.partition('.')[0] == cls.registry.partition('.')[0]
        )

    @property
    def parts(self) -> Sequence['HawkFishError']:
        """The individual errors, if this one combines several."""
        return (self,)

    @property
    def disk(self) -> str | None:
        """The target name of the disk that caused the error, if any."""
        return None


class Refused(HawkFishError):
    """Several errors at once, each of which is reported."""

    registry = BASE
    key = 'GeneralError'

    def __init__(self, errors: Sequence[HawkFishError]) -> None:
        super().__init__()
        self.errors = tuple(errors)
        self.status = max(error.status for error in errors)

    @property
    def parts(self) -> Sequence[HawkFishError]:
        return self.errors

    def __str__(self) -> str:
        return '; '.join(map(str, self.errors))


def check(errors: Sequence[HawkFishError]) -> None:
    """Raise *errors*, as one error, if there are any."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Refused(errors)


def moment(seconds: float) -> str:
    """*seconds* since the epoch as an argument of a message."""
    found = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    return f'{found:%Y-%m-%dT%H:%M:%SZ}'


class InternalError(HawkFishError):
    registry = BASE


class GeneralError(HawkFishError):
    """A request that the web framework refused before calling a view."""

    registry = BASE


# The request --------------------------------------------------------------


class BadRequest(HawkFishError):
    status = 400
    registry = BASE


class MalformedJSON(BadRequest):
    """The body is not a JSON object."""


class PropertyUnknown(BadRequest):
    """(property)"""


class PropertyMissing(BadRequest):
    """(property)"""


class PropertyNotWritable(BadRequest):
    """(property)"""


class PropertyValueOutOfRange(BadRequest):
    """(value, property)"""


class PropertyValueTypeError(BadRequest):
    """(value, property)"""


class PropertyValueFormatError(BadRequest):
    """(value, property)"""


class PropertyValueNotInList(BadRequest):
    """(value, property)"""


class StringValueTooLong(BadRequest):
    """(string, limit)"""


class PropertyValueConflict(BadRequest):
    """(property, conflicting property)"""


class ArraySizeTooLong(BadRequest):
    """(property, limit)"""


class CreateFailedMissingReqProperties(BadRequest):
    """(property)"""


class DestinationNotAllowed(BadRequest):
    """(destination)"""

    registry = HAWKFISH


class SnapshotNameInvalid(BadRequest):
    """(name, rule it breaks)"""

    registry = HAWKFISH


class ActionParameterMissing(BadRequest):
    """(action, parameter)"""


class ActionParameterValueFormatError(BadRequest):
    """(value, parameter, action)"""


class BundleInvalid(BadRequest):
    """(reason)"""

    registry = HAWKFISH


class BundleTooNew(BadRequest):
    """(its version, newest supported version)"""

    registry = HAWKFISH


class LengthRequired(BadRequest):
    """()"""

    status = 411
    registry = HAWKFISH


class SystemNameInvalid(BadRequest):
    """(name, rule it breaks)"""

    registry = HAWKFISH


class ExpiryInPast(BadRequest):
    """(time)"""

    registry = HAWKFISH


class CreateLimitReachedForResource(BadRequest):
    """()"""


class ScheduleNeverRuns(BadRequest):
    """()"""

    registry = HAWKFISH


class ScheduleTargetInvalid(BadRequest):
    """(URI)"""

    registry = HAWKFISH


class ScheduleBodyInvalid(BadRequest):
    """(property)"""

    registry = HAWKFISH


class SnapshotLimitReached(BadRequest):
    """(system, limit, value of the limit, deletable snapshots)"""

    registry = HAWKFISH


class GroupNameInvalid(BadRequest):
    """(name, rule it breaks)"""

    registry = HAWKFISH


class GroupEmpty(BadRequest):
    """()"""

    registry = HAWKFISH


class GroupMemberUnknown(BadRequest):
    """(uri)"""

    registry = HAWKFISH


class GroupMemberDuplicate(BadRequest):
    """(system)"""

    registry = HAWKFISH


class GroupNotMember(BadRequest):
    """(system, group)"""

    registry = HAWKFISH


class ActionParameterUnknown(BadRequest):
    """(action, parameter)"""


class ActionParameterValueTypeError(BadRequest):
    """(value, parameter, action)"""


class ActionParameterValueNotInList(BadRequest):
    """(value, parameter, action)"""


class QueryParameterValueFormatError(BadRequest):
    """(value, parameter)"""


class QueryNotSupportedOnResource(BadRequest):
    """()"""


class QueryNotSupportedOnOperation(BadRequest):
    """()"""


class QueryParameterUnsupported(BadRequest):
    """(parameter)"""

    status = 501


class QueryCombinationInvalid(BadRequest):
    """()"""


class HeaderInvalid(BadRequest):
    """(header)"""

    status = 412


class NotAcceptable(BadRequest):
    """(value of the Accept header)"""

    status = 406
    registry = HAWKFISH


class OperationNotAllowed(BadRequest):
    """()"""

    status = 405


class ResourceAtUriUnauthorized(BadRequest):
    """(uri, reason)"""

    status = 401


class RequestBodyTooLarge(BadRequest):
    """(limit in bytes)"""

    status = 413
    registry = HAWKFISH


class InsufficientPrivilege(BadRequest):
    """()"""

    status = 403


class StringValueTooShort(BadRequest):
    """(string, limit)"""


class TooManyFailedLogins(BadRequest):
    """(seconds)"""

    status = 429
    registry = HAWKFISH

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.retry_after = seconds


class AccountsNotWritable(BadRequest):
    """()"""

    status = 405
    registry = HAWKFISH


class UnsupportedMediaType(BadRequest):
    """(content type)"""

    status = 415
    registry = HAWKFISH


class ForeignOrigin(BadRequest):
    """(origin)"""

    status = 403
    registry = HAWKFISH


class PreconditionFailed(BadRequest):
    status = 412


class ResourceMissingAtURI(BadRequest):
    """(uri)"""

    status = 404


# Missing and existing resources --------------------------------------------


class NotFound(HawkFishError):
    """(type, name)"""

    status = 404
    registry = BASE
    key = 'ResourceNotFound'


class SystemNotFound(NotFound):
    def __init__(self, identity: str) -> None:
        super().__init__('System', identity)


class SnapshotNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__('Snapshot', name)


class ExportNotFound(NotFound):
    def __init__(self, export_id: object) -> None:
        super().__init__('HawkFishExport', export_id)


class TaskNotFound(NotFound):
    def __init__(self, task_id: object) -> None:
        super().__init__('Task', task_id)


class SubscriptionNotFound(NotFound):
    def __init__(self, subscription_id: object) -> None:
        super().__init__('EventDestination', subscription_id)


class ScheduleNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__('Job', name)


class ScheduleExists(HawkFishError):
    status = 409
    registry = BASE
    key = 'ResourceAlreadyExists'

    def __init__(self, name: str) -> None:
        super().__init__('Job', 'Name', name, related=['#/Name'])


class GroupNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__('Aggregate', name)


class GroupExists(HawkFishError):
    status = 409
    registry = BASE
    key = 'ResourceAlreadyExists'

    def __init__(self, name: str) -> None:
        super().__init__('Aggregate', 'Name', name, related=['#/Name'])


class SnapshotExists(HawkFishError):
    status = 409
    registry = BASE
    key = 'ResourceAlreadyExists'

    def __init__(self, name: str) -> None:
        super().__init__('Snapshot', 'Name', name, related=['#/Name'])


class GroupSnapshotExists(HawkFishError):
    """(group, snapshot)"""

    status = 409

    def __init__(self, group: str, name: str) -> None:
        super().__init__(group, name, related=['#/Name'])


class GroupSnapshotNameTaken(HawkFishError):
    """(snapshot, systems)"""

    status = 409

    def __init__(self, name: str, systems: str) -> None:
        super().__init__(name, systems, related=['#/Name'])


# Conflicts with the current state -----------------------------------------


class Conflict(HawkFishError):
    status = 409


class OfDisk(Conflict):
    """A conflict caused by one disk, which is the first argument."""

    @property
    def disk(self) -> str | None:
        return str(self.args[0])


class Unsafe(Conflict):
    """What makes a system unsafe: it would write to what others need."""


class DiskOfRunningSystem(Conflict):
    """(disk, snapshot, its file)"""


class DiskWrittenSince(Conflict):
    """(disk, its file, the overlay that it was on, snapshot)"""


class SnapshotFileWritten(Conflict):
    """(snapshot, its file, when)"""


class SnapshotBusy(Conflict):
    """(snapshot, operation, task)"""


class SnapshotReferenced(Conflict):
    """(snapshot, names of the snapshots that depend on it)"""


class SnapshotCloned(Conflict):
    """(snapshot, systems and files backed by it)"""


class SnapshotLocked(Conflict):
    """(snapshot)"""


class GroupBusy(Conflict):
    """(group, operation, task)"""


class GroupMemberGone(Conflict):
    """(system, group)"""


class GroupMemberRefused(Conflict):
    """(system)"""


class GroupSnapshotIncomplete(Conflict):
    """(snapshot, systems)"""


class GroupSnapshotMixed(Conflict):
    """(snapshot, systems that stand on it, the others)"""


class GroupSnapshotPartBusy(Conflict):
    """(group snapshot, systems and what is done in each)"""


class GroupPauseTooLong(Conflict):
    """(group, forecast in milliseconds, limit in milliseconds)"""


class GroupSystemsAdded(Conflict):
    """(snapshot, systems)"""


class GroupCreateUndone(Conflict):
    """(snapshot)"""


class GroupCreateNotUndone(Conflict):
    """(snapshot, systems)"""


class GroupRevertNotStarted(Conflict):
    """(snapshot)"""


class GroupRevertUndone(Conflict):
    """(snapshot)"""


class GroupRevertNotUndone(Conflict):
    """(snapshot, systems, safety snapshot)"""


class GroupDeleteUnfinished(Conflict):
    """(snapshot, systems)"""


class GroupChangeNotUndone(Conflict):
    """(snapshot, systems)"""


class GroupActionUnfinished(Conflict):
    """(operation, systems that it was done for, all systems, group)"""


class GroupMemberFailed(Conflict):
    """(system, error)"""


class SystemBeingPurged(Conflict):
    """(system, task)"""


class SnapshotReplaced(Conflict):
    """(snapshot)"""


class SystemCloned(Conflict):
    """(system, systems and files backed by its files)"""


class SnapshotTreeInvalid(Conflict):
    """(system, names that are used twice or are their own ancestors)"""


class SnapshotDamaged(Conflict):
    """(snapshot)"""


class SnapshotFileMissing(Conflict):
    """(snapshot, path)"""


class MemoryNotLoadable(Conflict):
    """(snapshot, reason)"""


class MemoryNotRestored(Conflict):
    """(snapshot, reason)"""


class SnapshotNotStartable(Conflict):
    """(snapshot, obstacle)"""


class SnapshotFileDamaged(Conflict):
    """(snapshot, path, reason)"""


class FolderUnusable(Conflict):
    """A directory in which nothing can be done."""


class FolderMissing(FolderUnusable):
    """(directory)"""


class FolderUnreadable(FolderUnusable):
    """(directory, hypervisor error)"""


class PoolNotActive(Conflict):
    """(storage pool, system)"""


class SnapshotKindMixed(Conflict):
    """(system, existing kind)"""


class ExternalNotSupported(Conflict):
    """(libvirt version)"""


class ExternalRevertNotSupported(Conflict):
    """(snapshot, libvirt version)"""


class InternalNeedsMemory(Conflict):
    """(system)"""


class InternalNeedsQcow2(OfDisk):
    """(disk, format)"""


class InternalNeedsQcow2Nvram(Conflict):
    """(system, libvirt version)"""


class DeviceHoldsMemory(Conflict):
    """(system, reason)"""


class DiskNotCaptured(OfDisk):
    """(target, snapshot)"""


class DefinitionOnSnapshot(Unsafe, OfDisk):
    """(target, path, snapshot)"""


class DiskIsBackingFile(Unsafe, OfDisk):
    """(target, path, path of a file that is backed by it)"""


class DefinitionsDiffer(Unsafe, OfDisk):
    """(target, path of the running system, path of its next start)"""


class DiskOfTwoSystems(Unsafe):
    """(target or snapshot, path, name of the other system)"""


class DiskAttachedSince(OfDisk):
    """(target, snapshot, where its data stays)"""


class DiskDetachedSince(OfDisk):
    """(target, snapshot, where its data stays)"""


class DiskNotRevertable(OfDisk):
    """(disk, source type)"""


class DiskRemapped(OfDisk):
    """(disk, element of its source)"""


class DiskReplaced(OfDisk):
    """(target, snapshot, file that holds the disk's data)"""


class DiskShareable(OfDisk):
    """(disk)"""


class DiskTransient(OfDisk):
    """(disk)"""


class DiskExcluded(OfDisk):
    """(disk)"""


class DiskEncrypted(OfDisk):
    """(disk)"""


class DiskPathTooLong(OfDisk):
    """(disk, bytes of the path, limit)"""


class NoDisks(Conflict):
    """(system)"""


class ChainTooDeep(OfDisk):
    """(disk, depth, limit)"""


class BlockJobActive(OfDisk):
    """(disk)"""


class ManagedSavePresent(Conflict):
    """(system)"""


class InsufficientSpace(Conflict):
    """(directory, bytes needed, bytes available)"""

    status = 507


class ImportNotPossible(Conflict):
    """(reason)"""


class SystemExists(Conflict):
    """(name)"""


class PoolNotUsable(Conflict):
    """(pool, reason)"""


class NetworkMissing(Conflict):
    """(network)"""


class ExportNotPossible(Conflict):
    """(snapshot, reason)"""


class ExportFileMissing(Conflict):
    """(file)"""


class ExportLimitReached(Conflict):
    """(limit)"""


class QuiesceFailed(Conflict):
    """(system, reason)"""


class SystemPaused(Conflict):
    """(system)"""


class SystemSuspended(Conflict):
    """(system)"""


class SystemTransient(Conflict):
    """(system)"""


class TaskNotCancellable(Conflict):
    """(task, operation)"""


class SystemHalfChanged(Conflict):
    """(system, operation, task, step)"""


class TaskEnded(Conflict):
    """(task, state)"""


# How an operation ended ---------------------------------------------------


class OperationFailed(Conflict):
    """(operation, hypervisor error)"""


class MergeFailed(Conflict):
    """(snapshot, hypervisor error)"""


class OperationInterrupted(Conflict):
    """(operation, state that was found)"""


class TaskTooNew(Conflict):
    """(task, operation, its version)"""

    unsettled = True


class OperationTimedOut(Conflict):
    """(operation, seconds)"""


class OperationCancelled(Conflict):
    """(operation)"""


class MeetingMissed(Conflict):
    """(other systems, what all would have been, why they were not)"""


class OperationUnsettled(Conflict):
    """(operation, step, why it ended)"""

    unsettled = True


class JobNotEnding(Conflict):
    """(system)"""

    unsettled = True


class SafetySnapshotFailed(Conflict):
    """(target snapshot, safety snapshot, task)"""


class RevertNotStarted(Conflict):
    """(snapshot, hypervisor error)"""


class RevertUndone(Conflict):
    """(snapshot, hypervisor error, current state of the system)"""


class RevertGivenUp(Conflict):
    """(snapshot, which others failed, current state of the system)"""


class RevertUnfinished(Conflict):
    """(snapshot, hypervisor error)"""


class RevertUnknown(Conflict):
    """(snapshot, hypervisor error, power state)"""


class RevertNotUndone(Conflict):
    """(snapshot, hypervisor error, why it could not be undone)"""


# Temporarily unavailable --------------------------------------------------


class Unavailable(HawkFishError):
    status = 503


class HypervisorAway(Unavailable):
    """The hypervisor, or what is asked of it, is not available for a while."""

    retry_after = 10


class HypervisorUnavailable(HypervisorAway):
    """(uri, client library error)"""


class NotAnswering(HypervisorAway):
    """(system or directory, seconds)"""


class HypervisorBusy(Unavailable):
    """(operation, hypervisor error)"""

    retry_after = 10


class SystemLocked(Unavailable):
    """(system, seconds waited)"""

    retry_after = 5


class GroupLocked(Unavailable):
    """(group, seconds waited)"""

    retry_after = 5


class SystemUnsettled(Unavailable):
    """(system, operation, task)"""


class StateUnavailable(Unavailable):
    """(directory, operating system error)"""


class StateTooNew(Unavailable):
    """(database, its version, newest supported version)"""


class TooManyTransfers(Unavailable):
    """(limit)"""

    retry_after = 10


class TooManyDownloads(Unavailable):
    """(limit)"""

    retry_after = 10


class QueueFull(Unavailable):
    """(limit)"""

    retry_after = 10


class EventSubscriptionLimitExceeded(Unavailable):
    """()"""

    registry = BASE


class ConfigurationInvalid(Unavailable):
    """(reason)"""


class DriverNotSupported(HawkFishError):
    """(driver)"""

    status = 501


# Accounts -----------------------------------------------------------------


class AccountNotFound(NotFound):
    def __init__(self, name: object) -> None:
        super().__init__('ManagerAccount', name)


class AccountExists(Conflict):
    registry = BASE
    key = 'ResourceAlreadyExists'

    def __init__(self, name: str) -> None:
        super().__init__('ManagerAccount', 'UserName', name)


class LastAdministrator(Conflict):
    """(user)"""


class AccountsUnknown(Unavailable):
    """(file, reason)"""


class RolesNotKept(Conflict):
    """()"""


class AccountsNotChanged(HawkFishError):
    """(file, reason)"""


# Backups ------------------------------------------------------------------


class BackupNotFound(NotFound):
    def __init__(self, backup_id: object) -> None:
        super().__init__('HawkFishBackup', backup_id)


class BackupNotConfigured(Conflict):
    """()"""


class BackupJobActive(Conflict):
    """(system, files that it writes)"""


class BackupReferenced(Conflict):
    """(backup, backups that stand on it)"""


class BackupDamaged(Conflict):
    """(file, reason)"""


class BackupInUse(Conflict):
    """(system, operation, task)"""


class CheckpointsPresent(Conflict):
    """(system, checkpoints)"""


class CheckpointsLost(Conflict):
    """(system, checkpoints)"""


# Verification --------------------------------------------------------------


class VerifyNotPossible(Conflict):
    """(snapshot, reason)"""


class VerifyFailed(Conflict):
    """(snapshot, check, what was found)"""


class BackupVerifyNotPossible(Conflict):
    """(backup, reason)"""


class BackupVerifyFailed(Conflict):
    """(backup, check, what was found)"""
