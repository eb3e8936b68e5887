# SPDX-License-Identifier: Apache-2.0
"""
The lifecycle events of snapshots.

What the end of an operation is for others.  The task table writes them with
the end itself, so none is lost and none tells of what did not happen.
"""

from collections.abc import Sequence

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.drivers.contract import System
from hawkfish_plugin.tasks.task import Task

# Their words name other systems of the group.
_OF_OTHERS = exceptions.MeetingMissed, exceptions.RevertGivenUp


def created(system: System, name: str) -> Sequence[events.NewEvent]:
    origin = events.snapshot_origin(system, name)
    return [
        events.NewEvent(
            messages.SNAPSHOT_CREATED, [name, system.name], origin
        ),
        events.NewEvent(messages.RESOURCE_CREATED, [], origin),
    ]


def reverted(system: System, name: str) -> Sequence[events.NewEvent]:
    return [
        events.NewEvent(
            messages.SNAPSHOT_REVERTED,
            [name, system.name],
            events.snapshot_origin(system, name),
        )
    ]


def verified(
    system: System, name: str, checks: Sequence[str]
) -> Sequence[events.NewEvent]:
    """*checks* are those that have passed."""
    return [
        events.NewEvent(
            messages.SNAPSHOT_VERIFIED,
            [name, system.name, ', '.join(checks)],
            events.snapshot_origin(system, name),
        )
    ]


def verify_failed(
    system: System, error: exceptions.VerifyFailed
) -> Sequence[events.NewEvent]:
    name, check, found = map(str, error.args)
    return [
        events.NewEvent(
            messages.SNAPSHOT_VERIFY_FAILED,
            [name, system.name, check, found],
            events.snapshot_origin(system, name),
        )
    ]


def deleted(
    system: System, name: str, reason: str
) -> Sequence[events.NewEvent]:
    """*reason* is a retention limit, or ``Request``."""
    origin = events.snapshot_origin(system, name, gone=True)
    return [
        events.NewEvent(
            messages.SNAPSHOT_DELETED, [name, system.name, reason], origin
        ),
        events.NewEvent(messages.RESOURCE_REMOVED, [], origin),
    ]


def unsafe(system: System, error: exceptions.HawkFishError) -> events.NewEvent:
    """That *system* must not be started, because of *error*."""
    return events.NewEvent(
        messages.SYSTEM_UNSAFE,
        [system.name, messages.text(error).rstrip('.')],
        events.snapshot_origin(system, ''),
    )


def failed(
    task: Task, error: exceptions.HawkFishError, gone: bool = False
) -> Sequence[events.NewEvent]:
    """
    The event that tells the failure of any operation.

    A cancelled one has not failed, and one without a system has failed at no
    snapshot.  *gone* says that there is no such snapshot, whatever the error
    is.
    """
    system = task.system
    if isinstance(error, exceptions.OperationCancelled) or system is None:
        return []
    gone = gone or isinstance(error, exceptions.SnapshotNotFound)
    tells = any(isinstance(p, _OF_OTHERS) for p in error.parts)
    others = task.above if tells else ()
    return [
        events.NewEvent(
            messages.SNAPSHOT_FAILED,
            [
                task.snapshot or '*',
                system.name,
                task.operation,
                messages.text(error).rstrip('.'),
            ],
            events.snapshot_origin(system, task.snapshot or '', gone, others),
        )
    ]


# Of groups -----------------------------------------------------------------


def group_created(
    group: str, name: str, systems: Sequence[System]
) -> Sequence[events.NewEvent]:
    """*systems* are those of the group: who sees all of them may hear it."""
    origin = events.group_snapshot_origin(group, name, systems)
    return [
        events.NewEvent(
            messages.GROUP_SNAPSHOT_CREATED, [name, group], origin
        ),
        events.NewEvent(messages.RESOURCE_CREATED, [], origin),
    ]


def group_reverted(
    group: str, name: str, systems: Sequence[System]
) -> Sequence[events.NewEvent]:
    return [
        events.NewEvent(
            messages.GROUP_SNAPSHOT_REVERTED,
            [name, group],
            events.group_snapshot_origin(group, name, systems),
        )
    ]


def group_deleted(
    group: str, name: str, systems: Sequence[System], reason: str
) -> Sequence[events.NewEvent]:
    """*reason* is a retention limit, or ``Request``."""
    origin = events.group_snapshot_origin(group, name, systems, gone=True)
    return [
        events.NewEvent(
            messages.GROUP_SNAPSHOT_DELETED, [name, group, reason], origin
        ),
        events.NewEvent(messages.RESOURCE_REMOVED, [], origin),
    ]


def group_failed(
    task: Task,
    group: str,
    name: str,
    error: exceptions.HawkFishError,
    gone: bool = False,
) -> Sequence[events.NewEvent]:
    """As ``failed``, of an operation on the group snapshot *name*."""
    if isinstance(error, exceptions.OperationCancelled):
        return []
    return [
        events.NewEvent(
            messages.GROUP_SNAPSHOT_FAILED,
            [
                name,
                group,
                task.operation,
                messages.text(error).rstrip('.'),
            ],
            events.group_snapshot_origin(group, name, task.systems, gone),
        )
    ]


# Of backups ----------------------------------------------------------------


def backup_created(system: System, backup: int) -> Sequence[events.NewEvent]:
    origin = events.backup_origin(system, backup)
    return [
        events.NewEvent(
            messages.BACKUP_CREATED, [backup, system.name], origin
        ),
        events.NewEvent(messages.RESOURCE_CREATED, [], origin),
    ]


def backup_restored(
    system: System, backup: int, name: str
) -> Sequence[events.NewEvent]:
    """*name* is that of the system that it is now."""
    return [
        events.NewEvent(
            messages.BACKUP_RESTORED,
            [backup, system.name, name],
            events.backup_origin(system, backup),
        )
    ]


def backup_verified(
    system: System, backup: int, checks: Sequence[str]
) -> Sequence[events.NewEvent]:
    """*checks* are those that a clone has passed, if one was booted."""
    origin = events.backup_origin(system, backup)
    found = [
        events.NewEvent(
            messages.BACKUP_VERIFIED, [backup, system.name], origin
        )
    ]
    if checks:
        found.append(
            events.NewEvent(
                messages.BACKUP_CLONE_VERIFIED,
                [backup, system.name, ', '.join(checks)],
                origin,
            )
        )
    return found


def backup_deleted(
    system: System, backup: int, reason: str
) -> Sequence[events.NewEvent]:
    """*reason* is a limit, or ``Request``."""
    origin = events.backup_origin(system, backup, gone=True)
    return [
        events.NewEvent(
            messages.BACKUP_DELETED, [backup, system.name, reason], origin
        ),
        events.NewEvent(messages.RESOURCE_REMOVED, [], origin),
    ]


def backup_failed(
    task: Task, error: exceptions.HawkFishError, backup: int | None = None
) -> Sequence[events.NewEvent]:
    """As ``failed``, of an operation on *backup*, or on none yet."""
    if isinstance(error, exceptions.OperationCancelled):
        return []
    system = task.one_system
    return [
        events.NewEvent(
            messages.BACKUP_FAILED,
            [system.name, task.operation, messages.text(error).rstrip('.')],
            events.backup_origin(system, backup),
        )
    ]
