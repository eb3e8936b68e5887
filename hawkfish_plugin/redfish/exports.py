# SPDX-License-Identifier: Apache-2.0
"""Exports and their collection in Redfish."""

from collections.abc import Sequence

from hawkfish_plugin.bundles.archive import Archive
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.exports import Export, Owner
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    collection,
    link,
    timestamp,
    with_etag,
    with_most,
)


def place(owner: Owner) -> str:
    """The URI of what was exported."""
    if owner.group:
        return uris.aggregate_uri(owner.group)
    return uris.system_uri(owner.uuid)


def export_collection(
    owner: Owner, most: int, members: Sequence[Resource], total: int
) -> Resource:
    """*most* are those of all systems and groups."""
    found = collection(
        uris.exports_uri(place(owner)),
        '#HawkFishExportCollection.HawkFishExportCollection',
        'Export Collection',
        members,
        total,
    )
    # Those of a group are made by an action of its snapshots.
    return found if owner.group else with_most(found, most)


def _file(member: Member) -> Resource:
    found: Resource = {
        'Path': member.name,
        'Role': member.role,
        'SizeBytes': member.size,
    }
    # The resource stays the same when one is known that is late.
    return (
        found if member.sha256 is None else {**found, 'SHA256': member.sha256}
    )


def export(found: Export) -> Resource:
    """One HawkFishExport, with its ETag."""
    bundle, uri = found.bundle, place(found.owner)
    kind = 'Aggregate' if found.owner.group else 'ComputerSystem'
    return with_etag(
        {
            '@odata.id': uris.export_uri(uri, found.id),
            '@odata.type': '#HawkFishExport.v1_0_0.HawkFishExport',
            'Id': str(found.id),
            'Name': f'Export of {bundle.snapshot}',
            'SnapshotName': bundle.snapshot,
            'CreatedTime': timestamp(bundle.created),
            'ExpiresTime': timestamp(found.expires),
            'ExportState': 'Deleting' if found.deleting else 'Ready',
            'SizeBytes': Archive(bundle).size,
            'DataURI': uris.bundle_uri(uri, found.id),
            'Files': [_file(one) for one in bundle.members],
            'LeftOut': [
                {'Part': one.what, 'Reason': one.reason}
                for one in bundle.left_out
            ],
            'Links': {kind: link(uri)},
        }
    )
