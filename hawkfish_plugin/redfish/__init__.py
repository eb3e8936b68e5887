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

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract

ROOT = '/redfish/v1'
TASK_SERVICE = f'{ROOT}/TaskService'
TASKS = f'{TASK_SERVICE}/Tasks'
TASK_MONITORS = f'{TASK_SERVICE}/TaskMonitors'
SESSION_SERVICE = f'{ROOT}/SessionService'
EVENT_SERVICE = f'{ROOT}/EventService'
SESSIONS = f'{SESSION_SERVICE}/Sessions'
REVERT_ACTION = 'HawkFishSnapshot.Revert'
PURGE_ACTION = 'HawkFishSnapshotCollection.Purge'

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


def policy_uri(uuid: str) -> str:
    return f'{system_uri(uuid)}/Oem/HawkFish/SnapshotPolicy'


def task_uri(task_id: int) -> str:
    return f'{TASKS}/{task_id}'


def monitor_uri(task_id: int) -> str:
    return f'{TASK_MONITORS}/{task_id}'


def service_root(root: Resource) -> Resource:
    """The emulator's ServiceRoot, with the links to what it lacks."""
    added = {
        'Tasks': link(TASK_SERVICE),
        'EventService': link(EVENT_SERVICE),
        'SessionService': link(SESSION_SERVICE),
        'Registries': link(f'{ROOT}/Registries'),
        'JsonSchemas': link(f'{ROOT}/JsonSchemas'),
    }
    links = {'Sessions': link(SESSIONS)} | root.get('Links', {})
    return {
        **root,
        'Links': links,
        **{name: link for name, link in added.items() if name not in root},
    }


def system_oem(system: str) -> Resource:
    """What a ComputerSystem has under ``Oem.HawkFish``; *system* its URI."""
    return {
        '@odata.type': '#HawkFishComputerSystem.v1_0_0.ComputerSystem',
        'Snapshots': link(f'{system}/Oem/HawkFish/Snapshots'),
        'SnapshotPolicy': link(f'{system}/Oem/HawkFish/SnapshotPolicy'),
    }


def collection(
    uri: str,
    odata_type: str,
    name: str,
    members: Sequence[Resource],
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
    uri = snapshots_uri(uuid)
    shown = collection(
        uri,
        '#HawkFishSnapshotCollection.HawkFishSnapshotCollection',
        'Snapshot Collection',
        members,
        total,
    )
    shown['Actions'] = {
        f'#{PURGE_ACTION}': {'target': f'{uri}/Actions/{PURGE_ACTION}'}
    }
    return shown


def snapshot(uuid: str, view: Any) -> Resource:
    """One HawkFishSnapshot (``views.View``, measured), with its ETag."""
    record, quiesce = view.record, view.note.quiesce
    uri = snapshot_uri(uuid, record.name)
    status, health = _STATUS[view.state]
    action = {
        'target': f'{uri}/Actions/{REVERT_ACTION}',
        'TargetPowerState@Redfish.AllowableValues': list(
            contract.TARGET_POWER_STATES
        ),
    }
    expires = view.note.expires
    return with_etag(
        {
            '@odata.id': uri,
            '@odata.type': '#HawkFishSnapshot.v1_0_0.HawkFishSnapshot',
            'Id': record.name,
            'Name': record.name,
            'Description': record.description or None,
            'CreatedTime': timestamp(record.created),
            'ExpiresTime': None if expires is None else timestamp(expires),
            'Locked': view.note.locked,
            'SnapshotState': view.state,
            'SnapshotType': 'DiskAndMemory' if record.memory else 'Disk',
            'StorageType': 'External' if record.external else 'Internal',
            'SizeBytes': size_bytes(view.size),
            'ExclusiveSizeBytes': exclusive_size_bytes(view.size),
            'PowerState': record.power_state,
            'Current': record.current,
            'Consistency': _consistency(record, quiesce),
            'QuiesceStatus': quiesce and quiesce.status,
            'QuiesceReason': quiesce and (quiesce.reason or None),
            'Status': {'State': status, 'Health': health},
            'Actions': {f'#{REVERT_ACTION}': action},
            'ReferencedByFiles': [
                dependent.name
                for dependent in view.dependents
                if dependent.uuid is None
            ],
            'Links': {
                'ComputerSystem': link(system_uri(uuid)),
                'ParentSnapshot': record.parent
                and link(snapshot_uri(uuid, record.parent)),
                'ChildSnapshots': [
                    link(snapshot_uri(uuid, child)) for child in view.children
                ],
                'ReferencedBy': [
                    *(link(snapshot_uri(uuid, n)) for n in view.referrers),
                    *(
                        link(system_uri(c.uuid))
                        for c in view.dependents
                        if c.uuid
                    ),
                ],
            },
        }
    )


def size_bytes(size: contract.Size | None) -> int | None:
    """What a snapshot takes; of an internal one nobody can say."""
    return None if size is None else size.own + size.disks


def exclusive_size_bytes(size: contract.Size | None) -> int | None:
    """What a delete frees at the least."""
    if size is None:
        return None
    return size.own + (size.disks if size.removable else 0)


def _consistency(
    record: contract.Snapshot, quiesce: contract.Quiesce | None
) -> str | None:
    """What a system that is started from the snapshot will find."""
    if record.power_state is None:
        return None
    if record.memory:
        return 'Memory'
    if record.power_state == contract.OFF:
        return 'Off'
    frozen = quiesce is not None and quiesce.status == contract.QUIESCED
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
        'Tasks': link(TASKS),
    }


def task_collection(members: Sequence[Resource], total: int) -> Resource:
    return collection(
        TASKS,
        '#TaskCollection.TaskCollection',
        'Task Collection',
        members,
        total,
    )


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
        'Name': _task_name(record),
        'TaskState': record.state,
        'TaskStatus': _task_status(record),
        'PercentComplete': record.percent,
        'StartTime': timestamp(record.started or record.created),
        'TaskMonitor': monitor_uri(record.id),
        # What the policy wants was no request of anybody's.
        'HidePayload': not record.payload,
        'Messages': [
            messages.without_deprecated(messages.message(key, args))
            for key, args in record.messages
        ],
        'Links': {
            'CreatedResources': [
                link(snapshot_uri(record.system, record.snapshot))
            ]
            if created
            else [],
        },
        'Oem': {
            'HawkFish': {
                '@odata.type': '#HawkFishTask.v1_0_0.Task',
                'Operation': record.operation,
                'Snapshot': record.snapshot or None,
                'Step': record.step or None,
                'System': link(system_uri(record.system)),
            },
        },
    }
    if record.payload:
        resource['Payload'] = record.payload
    if record.ended:
        resource['EndTime'] = timestamp(record.ended)
    return resource


def has_created(record: Any) -> bool:
    """Whether a task has ended with a snapshot that was not there before."""
    return bool(record.state == 'Completed' and record.operation == 'create')


def _task_name(record: Any) -> str:
    if record.operation == 'purge':
        return f'Purge snapshots of {record.system_name}'
    return f'{record.operation.capitalize()} snapshot {record.snapshot}'


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


def link(uri: str) -> Resource:
    return {'@odata.id': uri}
