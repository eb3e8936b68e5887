# SPDX-License-Identifier: Apache-2.0
"""The audit log in Redfish: its manager, its services and its entries."""

from collections.abc import Sequence

from hawkfish_plugin import messages
from hawkfish_plugin.audit import Entry, Work
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    actions,
    collection,
    link,
    timestamp,
)
from hawkfish_plugin.redfish.service_root import plugin_version
from hawkfish_plugin.tasks.task import CANCELLED, COMPLETED, EXCEPTION

# Of the task of a request, and of one that the service has begun itself.
_OF_REQUEST = {
    COMPLETED: messages.REQUEST_TASK_COMPLETED,
    CANCELLED: messages.REQUEST_TASK_CANCELLED,
    EXCEPTION: messages.REQUEST_TASK_FAILED,
}
_OF_TASK = {
    COMPLETED: messages.TASK_COMPLETED,
    CANCELLED: messages.TASK_CANCELLED,
    EXCEPTION: messages.TASK_ABORTED,
}


def manager() -> Resource:
    """The service itself, which no system is managed by."""
    return {
        '@odata.id': uris.MANAGER,
        '@odata.type': '#Manager.v1_4_0.Manager',
        'Id': 'HawkFish',
        'Name': 'HawkFish Snapshots',
        'ManagerType': 'Service',
        'FirmwareVersion': plugin_version(),
        'Status': {'State': 'Enabled', 'Health': 'OK'},
        'LogServices': link(uris.logs_uri(uris.MANAGER)),
    }


def log_services(owner: str) -> Resource:
    """The logs of the system, or manager, with the URI *owner*."""
    return collection(
        uris.logs_uri(owner),
        '#LogServiceCollection.LogServiceCollection',
        'Log Services',
        [link(uris.audit_uri(owner))],
        1,
    )


def log_service(owner: str, most: int, now: float) -> Resource:
    """The audit log, which has *most* entries at most."""
    uri = uris.audit_uri(owner)
    return {
        '@odata.id': uri,
        '@odata.type': '#LogService.v1_9_0.LogService',
        'Id': 'Audit',
        'Name': 'Audit Log',
        'Description': 'Who has changed what, and what came of it.',
        'ServiceEnabled': True,
        'LogEntryType': 'Event',
        'LogPurposes': ['Operations', 'Security'],
        'OverWritePolicy': 'WrapsWhenFull',
        'MaxNumberOfRecords': most,
        'Persistency': True,
        'DateTime': timestamp(now),
        'DateTimeLocalOffset': '+00:00',
        'Status': {'State': 'Enabled', 'Health': 'OK'},
        'Entries': link(uris.entries_uri(owner)),
        'Actions': actions(uri, [uris.CLEAR_LOG_ACTION]),
    }


def entries(owner: str, members: Sequence[Resource], total: int) -> Resource:
    return collection(
        uris.entries_uri(owner),
        '#LogEntryCollection.LogEntryCollection',
        'Audit Log Entries',
        members,
        total,
    )


def entry(owner: str, record: Entry) -> Resource:
    """One LogEntry of the log of *owner*."""
    told = _message(record)
    resource = {
        '@odata.id': uris.entry_uri(owner, record.id),
        '@odata.type': '#LogEntry.v1_21_0.LogEntry',
        'Id': str(record.id),
        'Name': f'Audit Log Entry {record.id}',
        'EntryType': 'Event',
        'Created': timestamp(record.time),
        'Severity': told['MessageSeverity'],
        'OriginatorType': 'Client' if record.method else 'Internal',
        **{
            key: told[key]
            for key in ('MessageId', 'Message', 'MessageArgs', 'Resolution')
        },
        'Oem': {'HawkFish': _oem(record)},
    }
    if record.changed is not None:
        resource['Modified'] = timestamp(record.changed)
    if record.actor.user:
        resource['Username'] = record.actor.user
    if record.actor.address:
        resource['OriginAddress'] = record.actor.address
    return resource


def _message(record: Entry) -> Resource:
    work, asked = record.work, [record.method, record.uri]
    if work and not record.method:
        key = _OF_TASK.get(work.state or '', messages.TASK_STARTED)
        return messages.message(key, [work.task])
    if work:
        key = _OF_REQUEST.get(work.state or '', messages.REQUEST_BEGUN_TASK)
        return messages.message(key, [*asked, work.operation, work.task])
    if not record.method:
        return messages.message(record.reason, [record.uri])
    status = record.status or 0
    key = messages.REQUEST_SERVED
    if status >= 400:
        key = messages.REQUEST_REFUSED
    if status >= 500:
        key = messages.REQUEST_FAILED
    return messages.message(key, [*asked, status])


def _oem(record: Entry) -> Resource:
    work = record.work or Work(0, '', None)
    return {
        '@odata.type': '#HawkFishLogEntry.v1_0_0.LogEntry',
        'HttpOperation': record.method or None,
        'TargetUri': record.uri or None,
        'HttpStatus': record.status,
        'ResetType': record.reset or None,
        'Reason': record.reason or None,
        # No links: all of these may be gone when the entry is read.
        'SystemNames': [system.name for system in record.systems],
        'SystemUUIDs': [system.uuid for system in record.systems],
        'Task': uris.task_uri(work.task) if work.task else None,
        'Operation': work.operation or None,
        'Snapshot': work.snapshot,
        'TaskState': work.state,
    }
