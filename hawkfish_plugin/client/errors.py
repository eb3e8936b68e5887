# SPDX-License-Identifier: Apache-2.0
"""
An exception for each message that the service answers a request with.

Made by tools/generrors.  An error with several messages is of the class of
each.  Long, as there are as many classes as messages.
"""

from hawkfish_plugin.client.failures import (
    HawkFishError,
    NotFound,
    Unavailable,
)


class AccountsNotChanged(HawkFishError):
    """A file of accounts could not be changed."""


class AccountsNotWritable(HawkFishError):
    """Accounts cannot be changed through the service."""


class AccountsUnknown(Unavailable):
    """It is not known which accounts there are."""


class ActionParameterMissing(HawkFishError):
    """
    The action %1 requires the parameter %2 to be present in the request
    body.
    """


class ActionParameterUnknown(HawkFishError):
    """The action '%1' was submitted with the invalid parameter '%2'."""


class ActionParameterValueFormatError(HawkFishError):
    """
    The value '%1' for the parameter %2 in the action %3 is not a format
    that the parameter can accept.
    """


class ActionParameterValueNotInList(HawkFishError):
    """
    The value '%1' for the parameter '%2' in the action '%3' is not in the
    list of acceptable values.
    """


class ActionParameterValueTypeError(HawkFishError):
    """
    The value '%1' for the parameter '%2' in the action '%3' is not a type
    that the parameter can accept.
    """


class ArraySizeTooLong(HawkFishError):
    """The array provided for property %1 exceeds the size limit %2."""


class BackupDamaged(HawkFishError):
    """A file of a backup is missing or is not what was written."""


class BackupInUse(HawkFishError):
    """Another operation works on the backups of a system."""


class BackupJobActive(HawkFishError):
    """Somebody else makes a backup of a system."""


class BackupNotConfigured(HawkFishError):
    """There is no repository for backups."""


class BackupReferenced(HawkFishError):
    """A backup cannot be deleted because others stand on it."""


class BackupVerifyFailed(HawkFishError):
    """A clone of a backup failed a check."""


class BackupVerifyNotPossible(HawkFishError):
    """No clone of a backup can be booted on this host."""


class BlockJobActive(HawkFishError):
    """A disk has an active block job."""


class BundleInvalid(HawkFishError):
    """What was sent is no bundle, or is damaged."""


class BundleTooNew(HawkFishError):
    """A bundle has a newer format."""


class ChainTooDeep(HawkFishError):
    """The backing chain of a disk is as long as is safe."""


class CheckpointsLost(HawkFishError):
    """A revert makes the checkpoints of somebody else useless."""


class CheckpointsPresent(HawkFishError):
    """A system that is off has checkpoints."""


class ConfigurationInvalid(Unavailable):
    """The configuration is invalid."""


class CreateFailedMissingReqProperties(HawkFishError):
    """
    The create operation failed because the required property %1 was
    missing from the request.
    """


class CreateLimitReachedForResource(HawkFishError):
    """
    The create operation failed because the resource has reached the limit
    of possible resources.
    """


class DefinitionOnSnapshot(HawkFishError):
    """A system would write to a file that belongs to a snapshot."""


class DefinitionsDiffer(HawkFishError):
    """
    A running system and its definition for the next start are on different
    files.
    """


class DestinationNotAllowed(HawkFishError):
    """
    Events cannot be sent to a destination because the configuration does
    not allow it.
    """


class DeviceHoldsMemory(HawkFishError):
    """A device prevents the memory of a system from being saved."""


class DiskAttachedSince(HawkFishError):
    """A revert detaches a disk."""


class DiskDetachedSince(HawkFishError):
    """A revert attaches a disk again."""


class DiskEncrypted(HawkFishError):
    """QEMU encrypts a disk."""


class DiskExcluded(HawkFishError):
    """The definition of a system excludes a writable disk from snapshots."""


class DiskIsBackingFile(HawkFishError):
    """A system would write to the backing file of another file."""


class DiskNotCaptured(HawkFishError):
    """A snapshot does not include a writable disk."""


class DiskNotRevertable(HawkFishError):
    """A disk is stored where it cannot be snapshotted."""


class DiskOfRunningSystem(HawkFishError):
    """
    A disk was attached to the running system alone, which is started anew
    without it.
    """


class DiskOfTwoSystems(HawkFishError):
    """Two systems write to one file."""


class DiskPathTooLong(HawkFishError):
    """The path of the file of a disk is too long for a backing file."""


class DiskRemapped(HawkFishError):
    """A disk is something else than what its file holds."""


class DiskReplaced(HawkFishError):
    """Another disk has taken the place of a disk of a snapshot."""


class DiskShareable(HawkFishError):
    """A disk may be shared with other systems."""


class DiskTransient(HawkFishError):
    """A disk is transient."""


class DiskWrittenSince(HawkFishError):
    """
    A disk cannot be put back on its latest overlay, as the file below that
    was written to since.
    """


class DriverNotSupported(HawkFishError):
    """The emulator serves systems that cannot be snapshotted."""


class EventSubscriptionLimitExceeded(Unavailable):
    """
    The event subscription failed due to the number of simultaneous
    subscriptions exceeding the limit of the implementation.
    """


class ExpiryInPast(HawkFishError):
    """The requested expiration time of a snapshot has already passed."""


class ExportFileMissing(HawkFishError):
    """A file of an export is missing or not whole."""


class ExportLimitReached(HawkFishError):
    """There are as many exports as there may be."""


class ExportNotPossible(HawkFishError):
    """A snapshot cannot be exported."""


class ExternalNotSupported(HawkFishError):
    """External snapshots were requested, but libvirt cannot revert to them."""


class ExternalRevertNotSupported(HawkFishError):
    """Libvirt cannot revert to a snapshot because it is external."""


class FolderMissing(HawkFishError):
    """A directory on the hypervisor host does not exist."""


class FolderUnreadable(HawkFishError):
    """The hypervisor cannot read a directory."""


class ForeignOrigin(HawkFishError):
    """A browser sent the request on behalf of another site."""


class GeneralError(HawkFishError):
    """
    A general error has occurred. See Resolution for information on how to
    resolve the error, or @Message.ExtendedInfo if Resolution is not
    provided.
    """


class GroupActionUnfinished(HawkFishError):
    """An action was not carried out for all systems of a group."""


class GroupBusy(HawkFishError):
    """A task of a group is waiting or running."""


class GroupChangeNotUndone(HawkFishError):
    """
    A change of a group snapshot failed in one system and could not be
    undone in others.
    """


class GroupCreateNotUndone(HawkFishError):
    """
    A group snapshot was not created, and parts of it could not be removed.
    """


class GroupCreateUndone(HawkFishError):
    """A group snapshot was not created because one system failed."""


class GroupDeleteUnfinished(HawkFishError):
    """A group snapshot was not deleted in all systems."""


class GroupEmpty(HawkFishError):
    """A group would have no member."""


class GroupLocked(Unavailable):
    """Another request is changing the group, or deciding about it."""


class GroupMemberDuplicate(HawkFishError):
    """A system is named twice, or is already in the group."""


class GroupMemberFailed(HawkFishError):
    """An operation on one system of a group has failed."""


class GroupMemberGone(HawkFishError):
    """A member of a group does not exist any more."""


class GroupMemberRefused(HawkFishError):
    """
    An operation on all systems of a group is not possible on one of them.
    """


class GroupMemberUnknown(HawkFishError):
    """A member of a group is not a system of this service."""


class GroupNameInvalid(HawkFishError):
    """The name of a group is not valid."""


class GroupNotMember(HawkFishError):
    """A system is not a member of the group."""


class GroupPauseTooLong(HawkFishError):
    """The systems of a group would be paused for too long."""


class GroupRevertNotStarted(HawkFishError):
    """
    The systems of a group were not reverted because their safety snapshot
    failed.
    """


class GroupRevertNotUndone(HawkFishError):
    """The revert of a group failed and could not be undone in all systems."""


class GroupRevertUndone(HawkFishError):
    """The revert of a group was undone because one system failed."""


class GroupSnapshotExists(HawkFishError):
    """A group already has a snapshot of this name."""


class GroupSnapshotIncomplete(HawkFishError):
    """Some systems have no part of a group snapshot."""


class GroupSnapshotMixed(HawkFishError):
    """
    Some systems of a group are based on a group snapshot and others are
    not.
    """


class GroupSnapshotNameTaken(HawkFishError):
    """
    Some systems of a group already have a snapshot of the name that a
    group snapshot is to have.
    """


class GroupSnapshotPartBusy(HawkFishError):
    """Parts of a group snapshot are being changed by themselves."""


class GroupSystemsAdded(HawkFishError):
    """
    Systems have been added to a group since a group snapshot was created.
    """


class HeaderInvalid(HawkFishError):
    """Header '%1' is invalid."""


class HypervisorBusy(Unavailable):
    """Another libvirt client is working on a system."""


class HypervisorUnavailable(Unavailable):
    """The hypervisor cannot be reached."""


class ImportNotPossible(HawkFishError):
    """The system of a bundle cannot be made on this host."""


class InsufficientPrivilege(HawkFishError):
    """
    There are insufficient privileges for the account or credentials
    associated with the current session to perform the requested operation.
    """


class InsufficientSpace(HawkFishError):
    """There is not enough free space for an operation."""


class InternalError(HawkFishError):
    """
    The request failed due to an internal service error. The service is
    still operational.
    """


class InternalNeedsMemory(HawkFishError):
    """
    An internal snapshot without memory was requested for a running system.
    """


class InternalNeedsQcow2(HawkFishError):
    """
    A disk cannot hold an internal snapshot because its format is not
    qcow2.
    """


class InternalNeedsQcow2Nvram(HawkFishError):
    """
    A UEFI system that stores its variables in a raw file cannot have
    internal snapshots.
    """


class JobNotEnding(HawkFishError):
    """A job of libvirt on a system does not end."""


class LastAdministrator(HawkFishError):
    """
    The only account that could manage others was to be removed, disabled,
    or given another role.
    """


class LengthRequired(HawkFishError):
    """The request does not say how long its body is."""


class MalformedJSON(HawkFishError):
    """
    The request body submitted was malformed JSON and could not be parsed
    by the receiving service.
    """


class ManagedSavePresent(HawkFishError):
    """A system has a managed save image."""


class MeetingMissed(HawkFishError):
    """
    An operation on a system of a group was stopped because of another
    system of the group.
    """


class MemoryNotLoadable(HawkFishError):
    """The memory of a snapshot cannot be loaded."""


class MemoryNotRestored(HawkFishError):
    """A revert brought back the disks of a snapshot without its memory."""


class MergeFailed(HawkFishError):
    """Merging a snapshot into the files below it failed partway."""


class NetworkMissing(HawkFishError):
    """A network that a system needs does not exist."""


class NoDisks(HawkFishError):
    """A system has no writable disk."""


class NotAcceptable(HawkFishError):
    """A resource is not available in any format that the client accepts."""


class NotAnswering(Unavailable):
    """
    The hypervisor does not answer about one system, directory or storage
    pool.
    """


class OperationCancelled(HawkFishError):
    """An operation was cancelled."""


class OperationFailed(HawkFishError):
    """The hypervisor could not carry out an operation."""


class OperationInterrupted(HawkFishError):
    """An operation was interrupted."""


class OperationNotAllowed(HawkFishError):
    """The HTTP method is not allowed on this resource."""


class OperationTimedOut(HawkFishError):
    """An operation exceeded its deadline."""


class OperationUnsettled(HawkFishError):
    """
    An operation ended in the middle, and what has become of the system is
    not known.
    """


class PoolNotActive(HawkFishError):
    """It is not known what a disk in a storage pool is backed by."""


class PoolNotUsable(HawkFishError):
    """A storage pool cannot have the disks of a system."""


class PreconditionFailed(HawkFishError):
    """
    The ETag supplied did not match the ETag required to change this
    resource.
    """


class PropertyMissing(HawkFishError):
    """
    The property %1 is a required property and must be included in the
    request.
    """


class PropertyNotWritable(HawkFishError):
    """
    The property %1 is a read-only property and cannot be assigned a value.
    """


class PropertyUnknown(HawkFishError):
    """
    The property '%1' is not in the list of valid properties for the
    resource.
    """


class PropertyValueConflict(HawkFishError):
    """
    The property '%1' could not be written because its value would conflict
    with the value of the '%2' property.
    """


class PropertyValueFormatError(HawkFishError):
    """
    The value '%1' for the property '%2' is not a format that the property
    can accept.
    """


class PropertyValueNotInList(HawkFishError):
    """
    The value '%1' for the property '%2' is not in the list of acceptable
    values.
    """


class PropertyValueOutOfRange(HawkFishError):
    """
    The value '%1' for the property %2 is not in the supported range of
    acceptable values.
    """


class PropertyValueTypeError(HawkFishError):
    """
    The value '%1' for the property '%2' is not a type that the property
    can accept.
    """


class QueryCombinationInvalid(HawkFishError):
    """Two or more query parameters in the request cannot be used together."""


class QueryNotSupportedOnOperation(HawkFishError):
    """Querying is not supported with the requested operation."""


class QueryNotSupportedOnResource(HawkFishError):
    """Querying is not supported on the requested resource."""


class QueryParameterUnsupported(HawkFishError):
    """Query parameter '%1' is not supported."""


class QueryParameterValueFormatError(HawkFishError):
    """
    The value '%1' for the parameter '%2' is not a format that the
    parameter can accept.
    """


class QueueFull(Unavailable):
    """Too many tasks are waiting."""


class QuiesceFailed(HawkFishError):
    """
    A snapshot was not created because the file systems could not be
    quiesced.
    """


class RequestBodyTooLarge(HawkFishError):
    """The request body is too large."""


class ResourceAlreadyExists(HawkFishError):
    """
    The requested resource of type '%1' with the property '%2' with the
    value '%3' already exists.
    """


class ResourceAtUriUnauthorized(HawkFishError):
    """
    While accessing the resource at '%1', the service received an
    authorization error '%2'.
    """


class ResourceMissingAtURI(NotFound):
    """The resource at the URI '%1' was not found."""


class ResourceNotFound(NotFound):
    """The requested resource of type '%1' named '%2' was not found."""


class RevertGivenUp(HawkFishError):
    """A revert was undone because other systems of the group have failed."""


class RevertNotStarted(HawkFishError):
    """A system was reverted, but could not be started."""


class RevertNotUndone(HawkFishError):
    """A revert failed and could not be undone."""


class RevertUndone(HawkFishError):
    """A revert failed and was undone."""


class RevertUnfinished(HawkFishError):
    """A revert took place, but its remaining steps failed."""


class RevertUnknown(HawkFishError):
    """
    A revert to an internal snapshot was interrupted and its outcome is
    unknown.
    """


class RolesNotKept(HawkFishError):
    """
    A user was to have another role than Administrator, or to be disabled,
    and there is no file for that.
    """


class SafetySnapshotFailed(HawkFishError):
    """
    A revert did not take place because its safety snapshot could not be
    created.
    """


class ScheduleBodyInvalid(HawkFishError):
    """
    The request of a schedule has a property that cannot be the same for
    each run.
    """


class ScheduleNeverRuns(HawkFishError):
    """A schedule would never run."""


class ScheduleTargetInvalid(HawkFishError):
    """A schedule cannot have a request to this URI."""


class SnapshotBusy(HawkFishError):
    """Another operation on a snapshot is waiting or running."""


class SnapshotCloned(HawkFishError):
    """
    A snapshot cannot be deleted because other disks are backed by its
    files.
    """


class SnapshotDamaged(HawkFishError):
    """A snapshot cannot be reverted to because it is damaged."""


class SnapshotFileDamaged(HawkFishError):
    """A file of a snapshot cannot be used."""


class SnapshotFileMissing(HawkFishError):
    """A file of a snapshot is missing."""


class SnapshotFileWritten(HawkFishError):
    """
    A file of a snapshot seems to have been written to since the snapshot
    was created.
    """


class SnapshotKindMixed(HawkFishError):
    """A system already has snapshots of the other kind."""


class SnapshotLimitReached(HawkFishError):
    """The snapshots of a system have reached a limit of its policy."""


class SnapshotLocked(HawkFishError):
    """A snapshot cannot be deleted because it is locked."""


class SnapshotNameInvalid(HawkFishError):
    """The name of a snapshot is not valid."""


class SnapshotNotStartable(HawkFishError):
    """A system could not be started after a revert."""


class SnapshotReferenced(HawkFishError):
    """A snapshot cannot be deleted because other snapshots depend on it."""


class SnapshotReplaced(HawkFishError):
    """
    A snapshot was deleted, and another one of the same name created,
    before an operation on it could start.
    """


class SnapshotTreeInvalid(HawkFishError):
    """
    The snapshots of a system do not form a tree, so that nothing can be
    done to them.
    """


class StateTooNew(Unavailable):
    """The state database was written by a newer release."""


class StateUnavailable(Unavailable):
    """The state database cannot be used."""


class StringValueTooLong(HawkFishError):
    """The string '%1' exceeds the length limit %2."""


class StringValueTooShort(HawkFishError):
    """The string '%1' was under the minimum required length %2."""


class SystemBeingPurged(HawkFishError):
    """All snapshots of a system are being deleted."""


class SystemCloned(HawkFishError):
    """
    A system cannot be reverted because other disks are backed by files
    that the revert would remove.
    """


class SystemExists(HawkFishError):
    """There is a system of that name."""


class SystemHalfChanged(HawkFishError):
    """
    An operation ended before it was complete, so a system may be left
    partly changed.
    """


class SystemLocked(Unavailable):
    """A system is locked by another operation."""


class SystemNameInvalid(HawkFishError):
    """A name is not valid for a system."""


class SystemPaused(HawkFishError):
    """An operation is not possible because the system is paused."""


class SystemSuspended(HawkFishError):
    """An operation is not possible because the system is suspended to RAM."""


class SystemTransient(HawkFishError):
    """A transient system cannot have snapshots."""


class SystemUnsettled(Unavailable):
    """An interrupted operation on a system has not been recovered yet."""


class TaskEnded(HawkFishError):
    """A task has already ended."""


class TaskNotCancellable(HawkFishError):
    """A task cannot be cancelled because its operation has started."""


class TaskTooNew(HawkFishError):
    """A task was written by a newer release."""


class TooManyDownloads(Unavailable):
    """Too many images are being downloaded at the same time."""


class TooManyFailedLogins(HawkFishError):
    """Too many wrong passwords were given for an account from one address."""


class TooManyTransfers(Unavailable):
    """Too many bundles are being sent or received at the same time."""


class UnsupportedMediaType(HawkFishError):
    """The request body is not JSON."""


class VerifyFailed(HawkFishError):
    """A snapshot failed its verification."""


class VerifyNotPossible(HawkFishError):
    """A snapshot cannot be verified."""
