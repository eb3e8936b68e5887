# SPDX-License-Identifier: Apache-2.0
"""SnapshotPolicy in Redfish, and the preview of a create under it."""

from collections.abc import Sequence

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import Resource, actions, link, with_etag
from hawkfish_plugin.redfish.snapshots import (
    finding,
    needs,
    size_bytes,
    snapshot_type,
    storage_type,
)
from hawkfish_plugin.retention import rules


def policy(
    uuid: str,
    limits: rules.Limits,
    subjects: Sequence[rules.Subject],
    can: contract.Capabilities,
) -> Resource:
    """One SnapshotPolicy and its use, with its ETag."""
    uri = uris.policy_uri(uuid)
    return with_etag(
        {
            '@odata.id': uri,
            '@odata.type': (
                '#HawkFishSnapshotPolicy.v1_0_0.HawkFishSnapshotPolicy'
            ),
            'Id': 'SnapshotPolicy',
            'Name': 'Snapshot Policy',
            'MaxSnapshots': limits.snapshots,
            'MaxAgeSeconds': limits.age,
            'MaxBytes': limits.size,
            'OnLimit': limits.on_limit,
            'OnLimit@Redfish.AllowableValues': list(rules.ON_LIMIT),
            'KeepNewestVerified': limits.keep_verified,
            'Usage': {
                'SnapshotCount': len(subjects),
                'SizeBytes': rules.total(subjects),
            },
            'Capabilities': _capabilities(can),
            'Actions': actions(uri, [uris.PREVIEW_ACTION]),
            'Links': {'ComputerSystem': link(uris.system_uri(uuid))},
        }
    )


def _capabilities(can: contract.Capabilities) -> Resource:
    return {
        'ExternalSupported': can.external,
        'InternalSupported': can.internal,
        'MemorySupported': can.memory,
        'QuiesceSupported': can.quiesce,
        'StorageType': can.storage,
        'LibvirtVersion': can.version,
        'Findings': [finding(error) for error in can.findings],
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


def preview(uuid: str, seen: rules.Preview) -> Resource:
    """What a create would do."""
    record, forecast, plan = seen.record, seen.forecast, seen.plan
    return {
        '@odata.type': '#HawkFishSnapshotPolicy.v1_0_0.CreatePreview',
        'Name': record.name,
        'SnapshotType': snapshot_type(record),
        'StorageType': storage_type(record),
        'SizeBytes': size_bytes(forecast.size if record.external else None),
        'Needs': needs(forecast.needs),
        'Pruned': [
            {
                'Snapshot': link(uris.snapshot_uri(uuid, name)),
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
