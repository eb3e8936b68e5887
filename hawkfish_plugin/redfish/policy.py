# SPDX-License-Identifier: Apache-2.0
"""
The shape of a SnapshotPolicy, and of what a create would do under it.
"""

from collections.abc import Sequence
from typing import Any

from hawkfish_plugin import redfish, retention

TYPE = '#HawkFishSnapshotPolicy.v1_0_0.HawkFishSnapshotPolicy'
PREVIEW_TYPE = '#HawkFishSnapshotPolicy.v1_0_0.CreatePreview'
PREVIEW_ACTION = 'HawkFishSnapshotPolicy.PreviewCreate'


def policy(
    uuid: str, limits: retention.Limits,
    subjects: Sequence[retention.Subject],
) -> redfish.Resource:
    """One SnapshotPolicy and its use, with its ETag."""
    uri = redfish.policy_uri(uuid)
    return redfish.with_etag({
        '@odata.id': uri,
        '@odata.type': TYPE,
        'Id': 'SnapshotPolicy',
        'Name': 'Snapshot Policy',
        'MaxSnapshots': limits.snapshots,
        'MaxAgeSeconds': limits.age,
        'MaxBytes': limits.size,
        'OnLimit': limits.on_limit,
        'OnLimit@Redfish.AllowableValues': list(retention.ON_LIMIT),
        'Usage': {
            'SnapshotCount': len(subjects),
            'SizeBytes': retention.total(subjects),
        },
        'Actions': {
            f'#{PREVIEW_ACTION}': {
                'target': f'{uri}/Actions/{PREVIEW_ACTION}'
            },
        },
        'Links': {'ComputerSystem': {'@odata.id': redfish.system_uri(uuid)}},
    })


def preview(uuid: str, seen: Any) -> redfish.Resource:
    """What a create would do (``pruning.Preview``)."""
    record, forecast, plan = seen.record, seen.forecast, seen.plan
    return {
        '@odata.type': PREVIEW_TYPE,
        'Name': record.name,
        'SnapshotType': 'DiskAndMemory' if record.memory else 'Disk',
        'StorageType': 'External' if record.external else 'Internal',
        'SizeBytes': redfish.size_bytes(
            forecast.size if record.external else None
        ),
        'Needs': [
            {
                'Folder': folder,
                'NeededBytes': needed,
                'AvailableBytes': available,
            }
            for folder, needed, available in forecast.needs
        ],
        'Pruned': [
            {
                'Snapshot': {'@odata.id': redfish.snapshot_uri(uuid, name)},
                'Name': name,
                'Reason': reason,
            }
            for name, reason in plan.pruned
        ],
        'PrunedFirst': seen.first,
        'Kept': [
            {'Name': name, 'Reasons': list(reasons)}
            for name, reasons in plan.kept.items()
        ],
        'UnmetLimits': list(plan.unmet),
    }
