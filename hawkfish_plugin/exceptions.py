# SPDX-License-Identifier: Apache-2.0
"""
One base error and its leaves.

Owns which HTTP status and which registry message an error has.  Leaves the
words to the message registries (``data/registries``) and the JSON to
``redfish``.  The arguments of an error are the arguments of its message, in
the registry's order.
"""

from collections.abc import Iterable, Sequence

BASE = 'Base.1.22'
HAWKFISH = 'HawkFish.1.0'


class HawkFishError(Exception):
    """
    An error that a user sees.

    *args* are the arguments of the message, *related* the JSON pointers of
    the properties of the request that are at fault.
    """

    status = 500
    registry = HAWKFISH
    key = ''

    def __init__(self, *args: object, related: Iterable[str] = ()) -> None:
        super().__init__(*(str(arg) for arg in args))
        self.related = tuple(related)

    @property
    def message_id(self) -> str:
        return f'{self.registry}.{self.key or type(self).__name__}'

    @property
    def parts(self) -> Sequence['HawkFishError']:
        """The single errors, where this one stands for several."""
        return (self,)

    @property
    def disk(self) -> str | None:
        """The target name of the disk that is at fault, if it is one."""
        return None


class Refused(HawkFishError):
    """Several things stand in the way; each is told."""

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
    """Raise what *errors* say stands in the way, if anything does."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Refused(errors)


class InternalError(HawkFishError):
    registry = BASE


class GeneralError(HawkFishError):
    """What the web framework refused before a view was reached."""

    registry = BASE


# The request --------------------------------------------------------------


class BadRequest(HawkFishError):
    status = 400
    registry = BASE


class MalformedJSON(BadRequest):
    """The body is no JSON, or no JSON object."""


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
    """(property, property that it conflicts with)"""


class ArraySizeTooLong(BadRequest):
    """(property, limit)"""


class CreateFailedMissingReqProperties(BadRequest):
    """(property)"""


class DestinationNotAllowed(BadRequest):
    """(destination)"""

    registry = HAWKFISH


class SnapshotNameInvalid(BadRequest):
    """(name, rule that it breaks)"""

    registry = HAWKFISH


class ActionParameterMissing(BadRequest):
    """(action, parameter)"""


class ActionParameterValueFormatError(BadRequest):
    """(value, parameter, action)"""


class ExpiryInPast(BadRequest):
    """(time)"""

    registry = HAWKFISH


class CreateLimitReachedForResource(BadRequest):
    """()"""


class SnapshotLimitReached(BadRequest):
    """(system, limit, its value, snapshots that can be deleted)"""

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
    """(what the client accepts)"""

    status = 406
    registry = HAWKFISH


class OperationNotAllowed(BadRequest):
    """()"""

    status = 405


class ResourceAtUriUnauthorized(BadRequest):
    """(uri, what is wrong)"""

    status = 401


class RequestBodyTooLarge(BadRequest):
    """(limit in bytes)"""

    status = 413
    registry = HAWKFISH


class UnsupportedMediaType(BadRequest):
    """(content type)"""

    status = 415
    registry = HAWKFISH


class PreconditionFailed(BadRequest):
    status = 412


class ResourceMissingAtURI(BadRequest):
    """(uri)"""

    status = 404


# What is not there, or there already --------------------------------------


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


class TaskNotFound(NotFound):
    def __init__(self, task_id: object) -> None:
        super().__init__('Task', task_id)


class SubscriptionNotFound(NotFound):
    def __init__(self, subscription_id: object) -> None:
        super().__init__('EventDestination', subscription_id)


class SnapshotExists(HawkFishError):
    status = 409
    registry = BASE
    key = 'ResourceAlreadyExists'

    def __init__(self, name: str) -> None:
        super().__init__('Snapshot', 'Name', name, related=['#/Name'])


# What cannot be done now --------------------------------------------------


class Conflict(HawkFishError):
    status = 409


class OfDisk(Conflict):
    """What one disk stands in the way of; it is the first argument."""

    @property
    def disk(self) -> str | None:
        return str(self.args[0])


class SnapshotBusy(Conflict):
    """(snapshot, operation, task)"""


class SnapshotReferenced(Conflict):
    """(snapshot, names of the snapshots that refer to it)"""


class SnapshotCloned(Conflict):
    """(snapshot, systems and files that are backed by it)"""


class SnapshotLocked(Conflict):
    """(snapshot)"""


class SystemBeingPurged(Conflict):
    """(system, task)"""


class SnapshotReplaced(Conflict):
    """(snapshot)"""


class SnapshotBelowSystem(Conflict):
    """(snapshot, path)"""


class SystemCloned(Conflict):
    """(system, who is backed by its files)"""


class CurrentUnknown(Conflict):
    """(system)"""


class SnapshotDamaged(Conflict):
    """(snapshot)"""


class SnapshotFileMissing(Conflict):
    """(snapshot, path)"""


class SnapshotFileDamaged(Conflict):
    """(snapshot, path, what is wrong with it)"""


class FolderMissing(Conflict):
    """(folder)"""


class SnapshotKindMixed(Conflict):
    """(system, kind that it has)"""


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
    """(system, device)"""


class DiskNamesCollide(OfDisk):
    """(target, the target of the other disk, what is common of their names)"""


class DiskNotCaptured(OfDisk):
    """(target, snapshot)"""


class DiskNotRevertable(OfDisk):
    """(disk, source type)"""


class DiskShareable(OfDisk):
    """(disk)"""


class DiskTransient(OfDisk):
    """(disk)"""


class DiskExcluded(OfDisk):
    """(disk)"""


class NoDisks(Conflict):
    """(system)"""


class ChainTooDeep(OfDisk):
    """(disk, depth, limit)"""


class BlockJobActive(OfDisk):
    """(disk)"""


class ManagedSavePresent(Conflict):
    """(system)"""


class InsufficientSpace(Conflict):
    """(folder, bytes needed, bytes available)"""

    status = 507


class QuiesceFailed(Conflict):
    """(system, why)"""


class SystemPaused(Conflict):
    """(system)"""


class SystemTransient(Conflict):
    """(system)"""


class TaskNotCancellable(Conflict):
    """(task, operation)"""


# How an operation ended ---------------------------------------------------


class OperationFailed(Conflict):
    """(operation, what the hypervisor said)"""


class MergeFailed(Conflict):
    """(snapshot, what the hypervisor said)"""


class OperationInterrupted(Conflict):
    """(operation, what was found)"""


class OperationTimedOut(Conflict):
    """(operation, seconds)"""


class OperationCancelled(Conflict):
    """(operation)"""


class SafetySnapshotFailed(Conflict):
    """(snapshot to revert to, safety snapshot, task)"""


class RevertNotStarted(Conflict):
    """(snapshot, what the hypervisor said)"""


class RevertUndone(Conflict):
    """(snapshot, what the hypervisor said, state the system is in now)"""


class RevertUnfinished(Conflict):
    """(snapshot, what the hypervisor said)"""


class RevertUnknown(Conflict):
    """(snapshot, what the hypervisor said, power state)"""


class RevertNotUndone(Conflict):
    """(snapshot, what the hypervisor said, why it could not be undone)"""


# What is not there for the moment -----------------------------------------


class Unavailable(HawkFishError):
    status = 503


class HypervisorUnavailable(Unavailable):
    """(uri, what the client library said)"""


class HypervisorBusy(Unavailable):
    """(operation, what the hypervisor said)"""


class SystemLocked(Unavailable):
    """(system, seconds waited)"""


class SystemUnsettled(Unavailable):
    """(system, operation, task)"""


class StateUnavailable(Unavailable):
    """(folder, what the operating system said)"""


class StateTooNew(Unavailable):
    """(database, its version, newest version known)"""


class QueueFull(Unavailable):
    """(limit)"""


class EventSubscriptionLimitExceeded(Unavailable):
    """()"""

    registry = BASE


class ConfigurationInvalid(Unavailable):
    """(what is wrong)"""


class DriverNotSupported(HawkFishError):
    """(driver)"""

    status = 501
