# SPDX-License-Identifier: Apache-2.0
"""
The messages that the service sends, by their registry id.

Owns the reading of the registries under ``data/registries`` and the putting
of arguments into their texts.  ``HawkFish.1.0`` is ours and whole; of the
DMTF's registries only the messages that are sent are kept.
"""

import functools
import importlib.resources
import json
import re
from collections.abc import Sequence
from typing import Any

from hawkfish_plugin import exceptions

TASK_STARTED = 'TaskEvent.1.0.TaskStarted'
TASK_COMPLETED = 'TaskEvent.1.0.TaskCompletedOK'
TASK_WARNED = 'TaskEvent.1.0.TaskCompletedWarning'
TASK_ABORTED = 'TaskEvent.1.0.TaskAborted'
TASK_CANCELLED = 'TaskEvent.1.0.TaskCancelled'
WAITING_FOR_JOB = 'HawkFish.1.0.WaitingForJob'
CLEANUP_FAILED = 'HawkFish.1.0.CleanupFailed'
CLEANUP_UNDECIDED = 'HawkFish.1.0.CleanupUndecided'
CLONE_NOT_REMOVED = 'HawkFish.1.0.CloneNotRemoved'
SUCCESS = 'Base.1.22.Success'

RESOURCE_CREATED = 'ResourceEvent.1.4.ResourceCreated'
RESOURCE_REMOVED = 'ResourceEvent.1.4.ResourceRemoved'
TEST_MESSAGE = 'ResourceEvent.1.4.TestMessage'
SNAPSHOT_CREATED = 'HawkFish.1.0.SnapshotCreated'
SNAPSHOT_REVERTED = 'HawkFish.1.0.SnapshotReverted'
SNAPSHOT_DELETED = 'HawkFish.1.0.SnapshotDeleted'
SNAPSHOT_PRUNED = 'HawkFish.1.0.SnapshotPruned'
SNAPSHOT_FAILED = 'HawkFish.1.0.SnapshotFailed'
SNAPSHOT_VERIFIED = 'HawkFish.1.0.SnapshotVerified'
SNAPSHOT_VERIFY_FAILED = 'HawkFish.1.0.SnapshotVerifyFailed'
GROUP_SNAPSHOT_CREATED = 'HawkFish.1.0.GroupSnapshotCreated'
GROUP_SNAPSHOT_REVERTED = 'HawkFish.1.0.GroupSnapshotReverted'
GROUP_SNAPSHOT_DELETED = 'HawkFish.1.0.GroupSnapshotDeleted'
GROUP_SNAPSHOT_FAILED = 'HawkFish.1.0.GroupSnapshotFailed'
GROUP_MEMBER_REVERTED = 'HawkFish.1.0.GroupMemberReverted'
GROUP_MEMBER_LEFT_ALONE = 'HawkFish.1.0.GroupMemberLeftAlone'
GROUP_MEMBER_UNTOUCHED = 'HawkFish.1.0.GroupMemberUntouched'
GROUP_MEMBER_RESTORED = 'HawkFish.1.0.GroupMemberRestored'
GROUP_MEMBER_WARNED = 'HawkFish.1.0.GroupMemberWarned'
GROUP_SAFETY_LEFT = 'HawkFish.1.0.GroupSafetyLeft'
EXPORT_SNAPSHOT_LEFT = 'HawkFish.1.0.ExportSnapshotLeft'
SYSTEM_IMPORTED = 'HawkFish.1.0.SystemImported'
BACKUP_CREATED = 'HawkFish.1.0.BackupCreated'
BACKUP_RESTORED = 'HawkFish.1.0.BackupRestored'
BACKUP_DELETED = 'HawkFish.1.0.BackupDeleted'
BACKUP_VERIFIED = 'HawkFish.1.0.BackupVerified'
BACKUP_CLONE_VERIFIED = 'HawkFish.1.0.BackupCloneVerified'
BACKUP_FAILED = 'HawkFish.1.0.BackupFailed'
SCHEDULE_SKIPPED = 'HawkFish.1.0.ScheduleRunSkipped'
SCHEDULE_REFUSED = 'HawkFish.1.0.ScheduleRunRefused'
SCHEDULE_DELAYED = 'HawkFish.1.0.ScheduleRunDelayed'
OWNER_REMOVED = 'HawkFish.1.0.OwnerRemoved'
OWNER_DISABLED = 'HawkFish.1.0.OwnerDisabled'
OWNER_NOT_PRIVILEGED = 'HawkFish.1.0.OwnerNotPrivileged'
SYSTEM_UNSAFE = 'HawkFish.1.0.SystemUnsafe'
SERVICE_DEGRADED = 'HawkFish.1.0.ServiceDegraded'
SERVICE_RESTORED = 'HawkFish.1.0.ServiceRestored'
QUIESCE_FAILED = 'HawkFish.1.0.SnapshotQuiesceFailed'
REQUEST_SERVED = 'HawkFish.1.0.RequestServed'
REQUEST_REFUSED = 'HawkFish.1.0.RequestRefused'
REQUEST_FAILED = 'HawkFish.1.0.RequestFailed'
REQUEST_BEGUN_TASK = 'HawkFish.1.0.RequestBegunTask'
REQUEST_TASK_COMPLETED = 'HawkFish.1.0.RequestTaskCompleted'
REQUEST_TASK_CANCELLED = 'HawkFish.1.0.RequestTaskCancelled'
REQUEST_TASK_FAILED = 'HawkFish.1.0.RequestTaskFailed'
EVENTS_LOST = 'Base.1.22.EventBufferExceeded'
# What the tasks of a driver say besides.
BACKUP_IS_FULL = 'HawkFish.1.0.BackupIsFull'
CLOCK_NOT_SET = 'HawkFish.1.0.ClockNotSet'
DISK_DATA_KEPT = 'HawkFish.1.0.DiskDataKept'
FIRMWARE_NOT_CAPTURED = 'HawkFish.1.0.FirmwareNotCaptured'
FIRMWARE_NOT_RESTORED = 'HawkFish.1.0.FirmwareNotRestored'
IMPORT_LEFT_OUT = 'HawkFish.1.0.ImportLeftOut'
MEDIA_EJECTED = 'HawkFish.1.0.MediaEjected'
MERGE_STOPPED = 'HawkFish.1.0.MergeStopped'
OVERLAY_LEFT = 'HawkFish.1.0.OverlayLeft'
SNAPSHOT_NOT_MERGED = 'HawkFish.1.0.SnapshotNotMerged'
SPACE_ESTIMATED = 'HawkFish.1.0.SpaceEstimated'
STATE_DISCARDED = 'HawkFish.1.0.StateDiscarded'
SYSTEM_REPAIRED = 'HawkFish.1.0.SystemRepaired'
THAW_FAILED = 'HawkFish.1.0.ThawFailed'
TPM_NOT_CAPTURED = 'HawkFish.1.0.TpmNotCaptured'

MESSAGE_TYPE = '#Message.v1_3_0.Message'
REGISTRY_TYPE = '#MessageRegistry.v1_7_0.MessageRegistry'

# The registries of the DMTF whose messages are in standard.json.
FULL_VERSIONS = {
    'Base.1.22': '1.22.1',
    'ResourceEvent.1.4': '1.4.3',
    'TaskEvent.1.0': '1.0.5',
}


@functools.cache
def registry() -> dict[str, dict[str, Any]]:
    """Every message that the service may send, by its MessageId."""
    ours = {exceptions.HAWKFISH: _own()['Messages']}
    return {
        f'{name}.{key}': message
        for name, keys in {**_standard(), **ours}.items()
        for key, message in keys.items()
    }


@functools.cache
def published() -> dict[str, dict[str, Any]]:
    """
    The registries as they are served, by what their MessageIds begin with.

    Of a registry of the DMTF it has the messages that are sent, so that a
    client without a way to the Internet can read those.
    """
    made = {name: _excerpt(name, keys) for name, keys in _standard().items()}
    made[exceptions.HAWKFISH] = _own()
    return made


def _standard() -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, Any] = json.loads(_read('standard.json'))
    return found


def _own() -> dict[str, Any]:
    own: dict[str, Any] = json.loads(_read('HawkFish.1.0.0.json'))
    return own


def _read(name: str) -> str:
    folder = importlib.resources.files('hawkfish_plugin') / 'data/registries'
    return (folder / name).read_text()


def _excerpt(name: str, keys: dict[str, dict[str, Any]]) -> dict[str, Any]:
    prefix = name.split('.')[0]
    version = FULL_VERSIONS[name]
    return {
        '@odata.type': REGISTRY_TYPE,
        'Id': f'{prefix}.{version}',
        'Name': f'{prefix} Message Registry',
        'Language': 'en',
        'Description': 'The messages of the DMTF registry that are sent.',
        'RegistryPrefix': prefix,
        'RegistryVersion': version,
        'OwningEntity': 'DMTF',
        'Messages': {
            key: {
                'Description': message['Message'],
                'NumberOfArgs': _number_of_args(message['Message']),
                # Deprecated, but required; sushy reads no other.
                'Severity': message['MessageSeverity'],
                **message,
            }
            for key, message in keys.items()
        },
    }


def _number_of_args(template: str) -> int:
    return max(map(int, re.findall(r'%(\d+)', template)), default=0)


def message(
    message_id: str, args: Sequence[object] = (), related: Sequence[str] = ()
) -> dict[str, Any]:
    """A Redfish Message object; *related* are JSON pointers."""
    # A task of a newer release may have kept a message that is not known.
    entry = registry().get(message_id) or _unknown(message_id, args)
    rendered = {
        '@odata.type': MESSAGE_TYPE,
        'MessageId': message_id,
        'Message': _fill(entry['Message'], args),
        'MessageArgs': [str(arg) for arg in args],
        'MessageSeverity': entry['MessageSeverity'],
        # Deprecated, but sushy picks the text of its exception by it.
        'Severity': entry['MessageSeverity'],
        'Resolution': entry['Resolution'],
    }
    if related:
        rendered['RelatedProperties'] = list(related)
    return rendered


def without_deprecated(message: dict[str, Any]) -> dict[str, Any]:
    """
    *message* for a resource, where nobody needs its ``Severity``.

    In an error it stays, as sushy looks for it there; that of a task it takes
    from the registry, so here it would be no more than a warning of the
    DMTF's validator.
    """
    return {k: v for k, v in message.items() if k != 'Severity'}


def _unknown(message_id: str, args: Sequence[object]) -> dict[str, Any]:
    return {
        'Message': f'{message_id}: {", ".join(map(str, args))}',
        'MessageSeverity': 'Warning',
        'Resolution': 'None.',
    }


def of_error(error: exceptions.HawkFishError) -> list[dict[str, Any]]:
    """The messages that tell *error*, one for each of its parts."""
    return [
        message(part.message_id, part.args, part.related)
        for part in error.parts
    ]


def text(error: exceptions.HawkFishError) -> str:
    """*error* as one line for a log or for another message's argument."""
    return ' '.join(entry['Message'] for entry in of_error(error))


def _fill(template: str, args: Sequence[object]) -> str:
    # From the highest number down, so that %1 does not eat into %10.
    for number in range(len(args), 0, -1):
        template = template.replace(f'%{number}', f'\0{number}\0')
    for number, arg in enumerate(args, 1):
        template = template.replace(f'\0{number}\0', str(arg))
    return template
