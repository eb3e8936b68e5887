# SPDX-License-Identifier: Apache-2.0
"""
The shape of a SnapshotPolicy, and of what a create would do under it.
"""

from collections.abc import Sequence
from typing import Any

from hawkfish_plugin import exceptions, messages, redfish, retention
from hawkfish_plugin.drivers import contract

TYPE = '#HawkFishSnapshotPolicy.v1_0_0.HawkFishSnapshotPolicy'
PREVIEW_TYPE = '#HawkFishSnapshotPolicy.v1_0_0.CreatePreview'
PREVIEW_ACTION = 'HawkFishSnapshotPolicy.PreviewCreate'


def policy(
    uuid: str,
    limits: retention.Limits,
    subjects: Sequence[retention.Subject],
    can: contract.Capabilities,
) -> redfish.Resource:
    """One SnapshotPolicy and its use, with its ETag."""
    uri = redfish.policy_uri(uuid)
    return redfish.with_etag(
        {
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
            'Capabilities': _capabilities(can),
            'Actions': {
                f'#{PREVIEW_ACTION}': {
                    'target': f'{uri}/Actions/{PREVIEW_ACTION}'
                },
            },
            'Links': {
                'ComputerSystem': redfish.link(redfish.system_uri(uuid))
            },
        }
    )


def _capabilities(can: contract.Capabilities) -> redfish.Resource:
    return {
        'ExternalSupported': can.external,
        'InternalSupported': can.internal,
        'MemorySupported': can.memory,
        'QuiesceSupported': can.quiesce,
        'StorageType': can.storage,
        'LibvirtVersion': can.version,
        'Findings': [_finding(error) for error in can.findings],
        'Disks': [
            {
                'Target': disk.target,
                'Device': disk.device,
                'StorageKind': disk.kind,
                'Format': disk.format,
                'Captured': disk.reason is None,
                'Reason': disk.reason,
            }
            for disk in can.disks
        ],
    }


def _finding(error: exceptions.HawkFishError) -> redfish.Resource:
    """What stands in the way of a create, in the words of its refusal."""
    told = messages.of_error(error)[0]
    del told['@odata.type']
    return {**told, 'Disk': error.disk}


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
                'Snapshot': redfish.link(redfish.snapshot_uri(uuid, name)),
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
