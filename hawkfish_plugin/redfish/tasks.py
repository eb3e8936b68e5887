# SPDX-License-Identifier: Apache-2.0
"""The task service in Redfish, and its tasks."""

import json
from collections.abc import Sequence

from hawkfish_plugin import audit, bounds, messages
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    collection,
    condition,
    link,
    timestamp,
)
from hawkfish_plugin.tasks.task import CANCELLED, EXCEPTION, Task

_STATUS = {EXCEPTION: 'Critical', CANCELLED: 'Warning'}


def task_service(now: float, health: str, why: str) -> Resource:
    """The service; *why* its *health* is not OK is among its conditions."""
    status: Resource = {'State': 'Enabled', 'Health': health}
    if health != 'OK':
        told = messages.message(messages.SERVICE_DEGRADED, [why])
        status['Conditions'] = [{**condition(told, now), 'Severity': health}]
    return {
        '@odata.id': uris.TASK_SERVICE,
        '@odata.type': '#TaskService.v1_3_0.TaskService',
        'Id': 'TaskService',
        'Name': 'Tasks Service',
        'DateTime': timestamp(now),
        'CompletedTaskOverWritePolicy': 'Oldest',
        'LifeCycleEventOnTaskStateChange': True,
        'ServiceEnabled': True,
        'Status': status,
        'Tasks': link(uris.TASKS),
    }


def task_collection(members: Sequence[Resource], total: int) -> Resource:
    return _collection(uris.TASKS, members, total)


def sub_task_collection(
    task_id: int, members: Sequence[Resource], total: int
) -> Resource:
    return _collection(uris.sub_tasks_uri(task_id), members, total)


def _collection(uri: str, members: Sequence[Resource], total: int) -> Resource:
    return collection(
        uri,
        '#TaskCollection.TaskCollection',
        'Task Collection',
        members,
        total,
    )


def task(
    record: Task,
    title: str,
    created: Sequence[str] = (),
    has_sub_tasks: bool = False,
) -> Resource:
    """
    One Task, called *title*.

    *created* are the URIs of what it has created, as far as that still exists.
    """
    resource = {
        '@odata.id': uris.task_uri(record.id),
        '@odata.type': '#Task.v1_7_4.Task',
        'Id': str(record.id),
        'Name': title,
        'TaskState': record.state,
        'TaskStatus': _status(record),
        'PercentComplete': record.percent,
        'StartTime': timestamp(record.started or record.created),
        'TaskMonitor': uris.monitor_uri(record.id),
        # A task that the service began itself had no request.
        'HidePayload': not record.payload,
        'Messages': [
            messages.without_deprecated(messages.message(key, args))
            for key, args in record.messages
        ],
        'Links': {'CreatedResources': [link(uri) for uri in created]},
        'Actions': {
            'Oem': {
                f'#{uris.ABANDON_ACTION}': {
                    'target': uris.abandon_uri(record.id)
                }
            }
        },
        'Oem': {'HawkFish': _oem(record)},
    }
    if has_sub_tasks:
        resource['SubTasks'] = link(uris.sub_tasks_uri(record.id))
    if record.payload:
        resource['Payload'] = audit.without_actor(record.payload)
    if record.ended:
        resource['EndTime'] = timestamp(record.ended)
    return resource


def _oem(record: Task) -> Resource:
    system, group = record.system, record.intent.group
    return {
        '@odata.type': '#HawkFishTask.v1_0_0.Task',
        'Operation': record.operation,
        'Snapshot': record.snapshot,
        'Step': record.step or None,
        'System': system and link(uris.system_uri(system.uuid)),
        'Aggregate': group and link(uris.aggregate_uri(group)),
    }


def _status(record: Task) -> str:
    warned = any(
        messages.message(key, args)['MessageSeverity'] != 'OK'
        for key, args in record.messages
    )
    return _STATUS.get(record.state, 'Warning' if warned else 'OK')


def task_accepted(record: Task, title: str) -> Resource:
    """
    The Task as the body of a 202.

    Without its ``@odata.id``: sushy would poll that instead of the monitor,
    and take the Task's 200 for the end of the operation.
    """
    resource = task(record, title)
    del resource['@odata.id']
    return resource


def payload(method: str, uri: str, body: Resource) -> Resource:
    """The ``Payload`` of a Task: the request that it was submitted by."""
    return {
        'HttpOperation': method,
        'TargetUri': uri,
        'HttpHeaders': ['Content-Type: application/json'],
        'JsonBody': json.dumps(body)[: bounds.PAYLOAD_CHARACTERS],
    }
