# SPDX-License-Identifier: Apache-2.0
"""Snapshots and their collection in Redfish."""

from collections.abc import Iterable, Sequence

from hawkfish_plugin import exceptions, messages, notes
from hawkfish_plugin.catalogue import View
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.redfish import schemas, uris
from hawkfish_plugin.redfish.common import (
    Resource,
    actions,
    collection,
    condition,
    link,
    timestamp,
    verification,
    with_etag,
)
from hawkfish_plugin.retention import rules

# Status.State and Status.Health of each SnapshotState.
STATUS = {
    'Creating': ('Starting', 'OK'),
    'Ready': ('Enabled', 'OK'),
    'Reverting': ('Updating', 'OK'),
    'Deleting': ('Updating', 'OK'),
    'Failed': ('UnavailableOffline', 'Critical'),
}


def snapshot_collection(
    uuid: str, members: Sequence[Resource], total: int
) -> Resource:
    uri = uris.snapshots_uri(uuid)
    resource = collection(
        uri,
        '#HawkFishSnapshotCollection.HawkFishSnapshotCollection',
        'Snapshot Collection',
        members,
        total,
    )
    names = schemas.actions_of('HawkFishSnapshotCollection')
    return {**resource, 'Actions': actions(uri, names)}


def repairs(found: Sequence[sharing.Repair]) -> Resource:
    """What a repair would change."""
    return {
        '@odata.type': '#HawkFishSnapshotCollection.RepairPreview',
        'Repairs': [
            {
                'Disk': one.target,
                'PathBefore': one.before,
                'PathAfter': one.after,
            }
            for one in found
        ],
    }


def revert_preview(name: str, seen: rules.RevertPreview) -> Resource:
    """What a revert to the snapshot *name* would do."""
    forecast, safety = seen.forecast, seen.safety
    return {
        '@odata.type': '#HawkFishSnapshot.v1_0_0.RevertPreview',
        'Name': name,
        'PowerState': forecast.power_state,
        'MemoryRestored': forecast.memory,
        'DiscardedSince': None if safety else seen.current,
        'SafetySnapshot': safety is not None,
        'Pruned': [pruned for pruned, _ in safety.plan.pruned]
        if safety
        else [],
        'Needs': needs(
            [*forecast.needs, *(safety.forecast.needs if safety else ())]
        ),
        'Warnings': [finding(warning) for warning in forecast.warnings],
    }


def needs(found: Iterable[tuple[str, int, int]]) -> list[Resource]:
    return [
        {
            'Folder': folder,
            'NeededBytes': needed,
            'AvailableBytes': available,
        }
        for folder, needed, available in found
    ]


def finding(error: exceptions.HawkFishError) -> Resource:
    """*error* as its error response has it, and the disk that it is of."""
    message = messages.of_error(error)[0]
    del message['@odata.type']
    return {**message, 'Disk': error.disk}


def snapshot(uuid: str, view: View) -> Resource:
    """One HawkFishSnapshot, with its ETag; *view* has been measured."""
    record, note = view.record, view.note
    uri = uris.snapshot_uri(uuid, record.name)
    state, health = STATUS[view.state]
    return with_etag(
        {
            '@odata.id': uri,
            '@odata.type': '#HawkFishSnapshot.v1_0_0.HawkFishSnapshot',
            'Id': record.name,
            'Name': record.name,
            'Description': record.description or None,
            'CreatedTime': timestamp(record.created),
            'ExpiresTime': None
            if note.expires is None
            else timestamp(note.expires),
            'Locked': note.locked,
            'SnapshotState': view.state,
            'SnapshotType': snapshot_type(record),
            'StorageType': storage_type(record),
            'SizeBytes': size_bytes(view.size),
            'ExclusiveSizeBytes': exclusive_size_bytes(view.size),
            'PowerState': record.power_state,
            'Current': record.current,
            'Consistency': _consistency(record, note.quiesce),
            'QuiesceStatus': note.quiesce and note.quiesce.status,
            'QuiesceReason': note.quiesce and (note.quiesce.reason or None),
            **_verification(uuid, record.name, note.verification),
            'Status': {'State': state, 'Health': health, **_conditions(view)},
            'Actions': _actions(uri),
            'ReferencedByFiles': [
                dependent.name
                for dependent in view.dependents
                if dependent.uuid is None
            ],
            'Links': _links(uuid, view),
        }
    )


def _conditions(view: View) -> Resource:
    """What puts the data of a snapshot that is Ready in doubt."""
    if view.written is None or view.state != 'Ready':
        return {}
    path, written = view.written
    doubt = exceptions.SnapshotFileWritten(
        view.name, path, exceptions.moment(written)
    )
    told = messages.of_error(doubt)[0]
    return {'Health': 'Warning', 'Conditions': [condition(told, written)]}


def _verification(
    uuid: str, name: str, last: notes.Verification | None
) -> Resource:
    if last is None:
        return {
            'LastVerified': None,
            'VerifyResult': None,
            'Verification': None,
        }
    return {
        'LastVerified': timestamp(last.time),
        'VerifyResult': 'Passed' if last.passed else 'Failed',
        'Verification': {
            'MemoryLoaded': last.found.memory,
            **verification(
                last.found,
                uris.screenshot_uri(uuid, name) if last.pictured else None,
            ),
        },
    }


def _actions(uri: str) -> Resource:
    found = actions(
        uri, [uris.REVERT_ACTION, uris.EXPORT_ACTION, uris.VERIFY_ACTION]
    )
    found[f'#{uris.REVERT_ACTION}'][
        'TargetPowerState@Redfish.AllowableValues'
    ] = list(contract.TARGET_POWER_STATES)
    return found


def _links(uuid: str, view: View) -> Resource:
    parent = view.record.parent
    return {
        'ComputerSystem': link(uris.system_uri(uuid)),
        'ParentSnapshot': parent and link(uris.snapshot_uri(uuid, parent)),
        'ChildSnapshots': [
            link(uris.snapshot_uri(uuid, child)) for child in view.children
        ],
        'GroupSnapshots': [
            link(uris.group_snapshot_uri(group, name))
            for group, name in view.groups
        ],
        'ReferencedBy': [
            *(link(uris.snapshot_uri(uuid, n)) for n in view.referrers),
            *(
                link(uris.system_uri(dependent.uuid))
                for dependent in view.dependents
                if dependent.uuid
            ),
        ],
    }


def snapshot_type(record: contract.Snapshot) -> str:
    return 'DiskAndMemory' if record.memory else 'Disk'


def storage_type(record: contract.Snapshot) -> str:
    return 'External' if record.external else 'Internal'


def size_bytes(size: contract.Size | None) -> int | None:
    """What a snapshot takes; unknown for an internal one."""
    return None if size is None else size.own + size.disks


def exclusive_size_bytes(size: contract.Size | None) -> int | None:
    """What a delete frees at least."""
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
