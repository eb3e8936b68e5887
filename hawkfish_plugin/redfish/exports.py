# SPDX-License-Identifier: Apache-2.0
"""Exports and their collection in Redfish."""

from collections.abc import Sequence

from hawkfish_plugin.bundles.archive import Archive
from hawkfish_plugin.exports import Export
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    collection,
    link,
    timestamp,
    with_etag,
)


def export_collection(
    uuid: str, members: Sequence[Resource], total: int
) -> Resource:
    return collection(
        uris.exports_uri(uuid),
        '#HawkFishExportCollection.HawkFishExportCollection',
        'Export Collection',
        members,
        total,
    )


def export(found: Export) -> Resource:
    """One HawkFishExport, with its ETag."""
    source = found.manifest.source
    return with_etag(
        {
            '@odata.id': uris.export_uri(found.uuid, found.id),
            '@odata.type': '#HawkFishExport.v1_0_0.HawkFishExport',
            'Id': str(found.id),
            'Name': f'Export of {source.snapshot}',
            'SnapshotName': source.snapshot,
            'CreatedTime': timestamp(found.manifest.created),
            'ExpiresTime': timestamp(found.expires),
            'ExportState': 'Deleting' if found.deleting else 'Ready',
            'SizeBytes': Archive(found.manifest).size,
            'DataURI': uris.bundle_uri(found.uuid, found.id),
            'Files': [
                {
                    'Path': one.name,
                    'Role': one.role,
                    'SizeBytes': one.size,
                    'SHA256': one.sha256,
                }
                for one in found.manifest.members
            ],
            'LeftOut': [
                {'Part': one.what, 'Reason': one.reason}
                for one in found.manifest.left_out
            ],
            'Links': {'ComputerSystem': link(uris.system_uri(found.uuid))},
        }
    )
