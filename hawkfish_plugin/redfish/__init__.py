# SPDX-License-Identifier: Apache-2.0
"""
From records to Redfish.

Owns every URI, every @odata.type and the shape of every resource that is
served.  Pure functions of their arguments: nothing here reads a request, a
database or a hypervisor.
"""

import datetime
import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib import parse

from hawkfish_plugin import drivers, exceptions, messages

ROOT = '/redfish/v1'
TASK_SERVICE = f'{ROOT}/TaskService'
TASKS = f'{TASK_SERVICE}/Tasks'
TASK_MONITORS = f'{TASK_SERVICE}/TaskMonitors'
SESSION_SERVICE = f'{ROOT}/SessionService'
EVENT_SERVICE = f'{ROOT}/EventService'
SESSIONS = f'{SESSION_SERVICE}/Sessions'
REVERT_ACTION = 'HawkFishSnapshot.Revert'

_STATUS = {
    'Creating': ('Starting', 'OK'),
    'Ready': ('Enabled', 'OK'),
    'Reverting': ('Updating', 'OK'),
    'Deleting': ('Updating', 'OK'),
    'Failed': ('UnavailableOffline', 'Critical'),
}
_TASK_STATUS = {'Exception': 'Critical', 'Cancelled': 'Warning'}

Resource = dict[str, Any]


def system_uri(uuid: str) -> str:
    return f'{ROOT}/Systems/{uuid}'


def snapshots_uri(uuid: str) -> str:
    return f'{system_uri(uuid)}/Oem/HawkFish/Snapshots'


def snapshot_uri(uuid: str, name: str) -> str:
    return f'{snapshots_uri(uuid)}/{parse.quote(name, safe="")}'


def task_uri(task_id: int) -> str:
    return f'{TASKS}/{task_id}'


def monitor_uri(task_id: int) -> str:
    return f'{TASK_MONITORS}/{task_id}'


def service_root(root: Resource) -> Resource:
    """The emulator's ServiceRoot, with the links to what it lacks."""
    added = {
        'Tasks': _link(TASK_SERVICE),
        'EventService': _link(EVENT_SERVICE),
        'SessionService': _link(SESSION_SERVICE),
        'Registries': _link(f'{ROOT}/Registries'),
        'JsonSchemas': _link(f'{ROOT}/JsonSchemas'),
    }
    links = {'Sessions': _link(SESSIONS)} | root.get('Links', {})
    return {**root, 'Links': links, **{
        name: link for name, link in added.items() if name not in root
    }}  # fmt: skip


def system_oem(system: str) -> Resource:
    """What a ComputerSystem has under ``Oem.HawkFish``; *system* its URI."""
    return {
        '@odata.type': '#HawkFishComputerSystem.v1_0_0.ComputerSystem',
        'Snapshots': _link(f'{system}/Oem/HawkFish/Snapshots'),
    }


def collection(
    uri: str, odata_type: str, name: str, members: Sequence[Resource],
    total: int,
) -> Resource:
    """
    A resource collection.

    *members* are links or whole resources, *total* counts those beyond them
    too.
    """
    return {
        '@odata.id': uri,
        '@odata.type': odata_type,
        'Name': name,
        'Members': list(members),
        'Members@odata.count': total,
    }


def snapshot_collection(
    uuid: str, members: Sequence[Resource], total: int
) -> Resource:
    return collection(
        snapshots_uri(uuid),
        '#HawkFishSnapshotCollection.HawkFishSnapshotCollection',
        'Snapshot Collection', members, total,
    )  # fmt: skip


def snapshot(
    uuid: str, record: drivers.Snapshot, state: str,
    quiesce: drivers.Quiesce | None, children: Sequence[str],
) -> Resource:
    """One HawkFishSnapshot, with its ETag; *quiesce* None: not known."""
    uri = snapshot_uri(uuid, record.name)
    status, health = _STATUS[state]
    action = {
        'target': f'{uri}/Actions/{REVERT_ACTION}',
        'TargetPowerState@Redfish.AllowableValues': list(
            drivers.TARGET_POWER_STATES
        ),
    }
    return with_etag({
        '@odata.id': uri,
        '@odata.type': '#HawkFishSnapshot.v1_0_0.HawkFishSnapshot',
        'Id': record.name,
        'Name': record.name,
        'Description': record.description or None,
        'CreatedTime': timestamp(record.created),
        'SnapshotState': state,
        'SnapshotType': 'DiskAndMemory' if record.memory else 'Disk',
        'StorageType': 'External' if record.external else 'Internal',
        'PowerState': record.power_state,
        'Current': record.current,
        'Consistency': _consistency(record, quiesce),
        'QuiesceStatus': quiesce and quiesce.status,
        'QuiesceReason': quiesce and (quiesce.reason or None),
        'Status': {'State': status, 'Health': health},
        'Actions': {f'#{REVERT_ACTION}': action},
        'Links': {
            'ComputerSystem': _link(system_uri(uuid)),
            'ParentSnapshot': record.parent and _link(
                snapshot_uri(uuid, record.parent)
            ),
            'ChildSnapshots': [
                _link(snapshot_uri(uuid, child)) for child in children
            ],
        },
    })  # fmt: skip


def _consistency(
    record: drivers.Snapshot, quiesce: drivers.Quiesce | None
) -> str | None:
    """What a system that is started from the snapshot will find."""
    if record.power_state is None:
        return None
    if record.memory:
        return 'Memory'
    if record.power_state == drivers.OFF:
        return 'Off'
    frozen = quiesce is not None and quiesce.status == drivers.QUIESCED
    return 'FileSystem' if frozen else 'Crash'


def task_service(now: float) -> Resource:
    return {
        '@odata.id': TASK_SERVICE,
        '@odata.type': '#TaskService.v1_3_0.TaskService',
        'Id': 'TaskService',
        'Name': 'Tasks Service',
        'DateTime': timestamp(now),
        'CompletedTaskOverWritePolicy': 'Oldest',
        'LifeCycleEventOnTaskStateChange': True,
        'ServiceEnabled': True,
        'Status': {'State': 'Enabled', 'Health': 'OK'},
        'Tasks': _link(TASKS),
    }


def task_collection(members: Sequence[Resource], total: int) -> Resource:
    return collection(
        TASKS, '#TaskCollection.TaskCollection', 'Task Collection', members,
        total,
    )  # fmt: skip


def task(record: Any, gone: bool = False) -> Resource:
    """
    One Task; *record* is a row of the task table (``tasks.Task``).

    *gone* says that what it has created is no longer there to link to.
    """
    created = not gone and has_created(record)
    resource = {
        '@odata.id': task_uri(record.id),
        '@odata.type': '#Task.v1_7_4.Task',
        'Id': str(record.id),
        'Name': f'{record.operation.capitalize()} snapshot {record.snapshot}',
        'TaskState': record.state,
        'TaskStatus': _task_status(record),
        'PercentComplete': record.percent,
        'StartTime': timestamp(record.started or record.created),
        'TaskMonitor': monitor_uri(record.id),
        'HidePayload': False,
        'Payload': record.payload,
        'Messages': [
            messages.without_deprecated(messages.message(key, args))
            for key, args in record.messages
        ],
        'Links': {
            'CreatedResources': [
                _link(snapshot_uri(record.system, record.snapshot))
            ] if created else [],
        },
        'Oem': {
            'HawkFish': {
                '@odata.type': '#HawkFishTask.v1_0_0.Task',
                'Operation': record.operation,
                'Snapshot': record.snapshot or None,
                'Step': record.step or None,
                'System': _link(system_uri(record.system)),
            },
        },
    }  # fmt: skip
    if record.ended:
        resource['EndTime'] = timestamp(record.ended)
    return resource


def has_created(record: Any) -> bool:
    """Whether a task has ended with a snapshot that was not there before."""
    return bool(record.state == 'Completed' and record.operation == 'create')


def task_accepted(record: Any) -> Resource:
    """
    The Task as the body of a 202.

    Without its ``@odata.id``: sushy would poll that instead of the monitor,
    and take the Task's 200 for the end of the operation.
    """
    resource = task(record)
    del resource['@odata.id']
    return resource


def payload(method: str, uri: str, body: Resource) -> Resource:
    """What a Task tells about the request that began it."""
    return {
        'HttpOperation': method,
        'TargetUri': uri,
        'HttpHeaders': ['Content-Type: application/json'],
        'JsonBody': json.dumps(body),
    }


def error(error: exceptions.HawkFishError) -> Resource:
    """The body of an error response."""
    return _error_body(messages.of_error(error))


def error_of_task(told: Sequence[tuple[str, Sequence[str]]]) -> Resource:
    """The body of an error that a task has kept."""
    return _error_body([messages.message(key, args) for key, args in told])


def success() -> Resource:
    """The body of a success that has nothing else to say."""
    return _error_body([messages.message(messages.SUCCESS)])


def with_etag(resource: Resource) -> Resource:
    """*resource* with an ``@odata.etag`` that changes when it does."""
    text = json.dumps(resource, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {**resource, '@odata.etag': f'"{digest}"'}


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as an Edm.DateTimeOffset."""
    moment = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


def _task_status(record: Any) -> str:
    warned = any(
        messages.message(key, args)['MessageSeverity'] != 'OK'
        for key, args in record.messages
    )
    return _TASK_STATUS.get(record.state, 'Warning' if warned else 'OK')


def _error_body(told: list[Resource]) -> Resource:
    if len(told) == 1:
        code, text = told[0]['MessageId'], told[0]['Message']
    else:
        code = f'{exceptions.BASE}.GeneralError'
        # The general text says nothing, and some clients show only this.
        text = ' '.join(entry['Message'] for entry in told)
    return {
        'error': {
            'code': code,
            'message': text,
            '@Message.ExtendedInfo': told,
        }
    }


def _link(uri: str) -> Resource:
    return {'@odata.id': uri}
