# SPDX-License-Identifier: Apache-2.0
"""Group snapshots and their collection in Redfish."""

from collections.abc import Sequence

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.catalogue import View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.forecast import (
    Going,
    GroupForecast,
    GroupPlan,
    GroupRevertForecast,
    MemberRevert,
)
from hawkfish_plugin.groups.table import GroupSnapshot
from hawkfish_plugin.groups.views import (
    ADDED_SYSTEMS,
    GroupView,
    PartView,
)
from hawkfish_plugin.redfish import schemas, uris
from hawkfish_plugin.redfish.common import (
    Resource,
    actions,
    collection,
    link,
    timestamp,
    with_etag,
)
from hawkfish_plugin.redfish.snapshots import (
    STATUS,
    exclusive_size_bytes,
    finding,
    needs,
    size_bytes,
)

# Status.State and Status.Health of each SnapshotState.
_STATUS = {
    **STATUS,
    'Mixed': ('Enabled', 'Warning'),
    'Incomplete': ('Enabled', 'Warning'),
}


def group_snapshot_collection(
    group: str, members: Sequence[Resource], total: int
) -> Resource:
    uri = uris.group_snapshots_uri(group)
    resource = collection(
        uri,
        '#HawkFishGroupSnapshotCollection.HawkFishGroupSnapshotCollection',
        'Group Snapshot Collection',
        members,
        total,
    )
    names = schemas.actions_of('HawkFishGroupSnapshotCollection')
    return {**resource, 'Actions': actions(uri, names)}


def group_snapshot(view: GroupView) -> Resource:
    """One HawkFishGroupSnapshot, with its ETag; *view* has been measured."""
    snapshot, views = view.snapshot, view.views
    uri = uris.group_snapshot_uri(view.group.name, view.name)
    state, health = _STATUS[view.state]
    descriptions = [v.record.description for v in views]
    expiries = [v.note.expires for v in views if v.note.expires is not None]
    sizes = [size_bytes(v.size) for v in views]
    free = [exclusive_size_bytes(v.size) for v in views]
    return with_etag(
        {
            '@odata.id': uri,
            '@odata.type': (
                '#HawkFishGroupSnapshot.v1_0_0.HawkFishGroupSnapshot'
            ),
            'Id': view.name,
            'Name': view.name,
            'Description': next(filter(None, descriptions), None),
            'CreatedTime': timestamp(snapshot.created),
            'ExpiresTime': timestamp(min(expiries)) if expiries else None,
            'Locked': any(v.note.locked for v in views),
            'SnapshotState': view.state,
            'Consistency': snapshot.consistency,
            'SkewMilliseconds': _milliseconds(snapshot.skew),
            'PauseMilliseconds': _milliseconds(snapshot.pause),
            'SizeBytes': _sum(sizes),
            'ExclusiveSizeBytes': _sum(free),
            'Current': all(v.record.current for v in views)
            and not view.missing,
            'Systems': [_part(part) for part in view.parts],
            'Findings': [_finding(error) for error in view.findings],
            'Status': {'State': state, 'Health': health},
            'Actions': _actions(uri),
            'Links': _links(view),
        }
    )


def _part(part: PartView) -> Resource:
    system, view = part.system, part.view
    quiesce = view and view.note.quiesce
    return {
        'System': link(uris.system_uri(system.uuid))
        if part.member.present
        else None,
        'Name': system.name,
        'UUID': system.uuid,
        'Snapshot': _snapshot_link(part, view),
        'SnapshotState': view.state if view else 'Missing',
        'PowerState': view and view.record.power_state,
        'QuiesceStatus': quiesce and quiesce.status,
        'QuiesceReason': quiesce and (quiesce.reason or None),
        'Current': bool(view and view.record.current),
        'Based': part.stands,
    }


def _snapshot_link(part: PartView, view: View | None) -> Resource | None:
    if view is None:
        return None
    return link(uris.snapshot_uri(part.system.uuid, view.name))


def _finding(error: exceptions.HawkFishError) -> Resource:
    message = messages.without_deprecated(messages.of_error(error)[0])
    del message['@odata.type']
    return message


def _actions(uri: str) -> Resource:
    found = actions(uri, [uris.GROUP_REVERT_ACTION, uris.GROUP_EXPORT_ACTION])
    found[f'#{uris.GROUP_REVERT_ACTION}'] |= {
        'TargetPowerState@Redfish.AllowableValues': list(
            contract.TARGET_POWER_STATES
        ),
        'AddedSystems@Redfish.AllowableValues': list(ADDED_SYSTEMS),
    }
    return found


def _links(view: GroupView) -> Resource:
    group = view.group.name
    return {
        'Aggregate': link(uris.aggregate_uri(group)),
        'Snapshots': [
            found
            for part in view.parts
            if (found := _snapshot_link(part, part.view))
        ],
        'ParentSnapshot': view.parent
        and link(uris.group_snapshot_uri(group, view.parent)),
        'ChildSnapshots': [
            link(uris.group_snapshot_uri(group, child))
            for child in view.children
        ],
    }


def revert_preview(seen: GroupRevertForecast) -> Resource:
    """What a group revert would do."""
    return {
        '@odata.type': '#HawkFishGroupSnapshot.v1_0_0.RevertPreview',
        'Name': seen.name,
        'SafetySnapshot': seen.kept,
        'Systems': [_reverted(one, seen.kept) for one in seen.members],
        'LeftAlone': [system.name for system in seen.alone],
        'Needs': needs(seen.needs),
    }


def _reverted(one: MemberRevert, kept: bool) -> Resource:
    return {
        'System': link(uris.system_uri(one.system.uuid)),
        'Name': one.system.name,
        'PowerState': one.forecast.power_state,
        'MemoryRestored': one.forecast.memory,
        'DiscardedSince': None if kept else one.current,
        'Warnings': [finding(warning) for warning in one.forecast.warnings],
    }


def preview(seen: GroupForecast, plan: GroupPlan) -> Resource:
    """What a group create would do."""
    return {
        '@odata.type': '#HawkFishGroupSnapshotCollection.CreatePreview',
        'Name': seen.name,
        'Consistency': seen.consistency,
        'PauseMilliseconds': _milliseconds(seen.pause),
        'PauseLimitMilliseconds': _milliseconds(seen.limit),
        'MemoryBytes': seen.memory,
        'WriteBytesPerSecond': int(seen.speed),
        'SizeBytes': _sum(
            [
                size_bytes(found.size if found.external else None)
                for found in seen.forecasts
            ]
        ),
        'Needs': needs(seen.needs),
        'Systems': [
            _system(system, found)
            for system, found in zip(seen.systems, seen.forecasts, strict=True)
        ],
        'Pruned': [
            {
                'Snapshot': _going_link(one),
                'Name': one.snapshot or one.name,
                'Reason': one.reason,
            }
            for one in plan.going
        ],
        'Kept': [
            {'Name': name, 'Reasons': list(reasons)}
            for name, reasons in plan.kept.items()
        ],
        'UnmetLimits': list(plan.unmet),
    }


def _going_link(one: Going) -> Resource:
    """To the group snapshot, or to that of a system alone."""
    if one.group:
        return link(uris.group_snapshot_uri(one.group, one.snapshot))
    return link(uris.snapshot_uri(one.system.uuid, one.name))


def _system(system: contract.System, found: contract.Forecast) -> Resource:
    return {
        'System': link(uris.system_uri(system.uuid)),
        'Name': system.name,
        'SnapshotType': 'DiskAndMemory' if found.memory else 'Disk',
        'StorageType': 'External' if found.external else 'Internal',
        'SizeBytes': size_bytes(found.size if found.external else None),
    }


def adoption(found: Sequence[GroupSnapshot]) -> Resource:
    """What has become a snapshot of the group, or would."""
    return {
        '@odata.type': '#HawkFishGroupSnapshotCollection.Adoption',
        'Adopted': [
            {
                'Name': snapshot.name,
                'CreatedTime': timestamp(snapshot.created),
            }
            for snapshot in found
        ],
    }


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _sum(values: Sequence[int | None]) -> int | None:
    """Their sum; unknown where one of them is."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
