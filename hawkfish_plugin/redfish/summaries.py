# SPDX-License-Identifier: Apache-2.0
"""SystemSummary in Redfish: where a system stands, in a list of all."""

from collections.abc import Sequence

from hawkfish_plugin.catalogue import View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    collection,
    link,
    with_etag,
)


def summary(
    system: contract.System,
    power_state: str,
    views: Sequence[View],
    groups: Sequence[str],
) -> Resource:
    """
    One SystemSummary, with its ETag.

    *views* are its snapshots, *groups* the names of those it belongs to.
    """
    current = next((v.name for v in views if v.record.current), None)
    return with_etag(
        {
            '@odata.id': uris.summary_uri(system.uuid),
            '@odata.type': (
                '#HawkFishSystemSummary.v1_0_0.HawkFishSystemSummary'
            ),
            'Id': system.uuid,
            'Name': system.name,
            'UUID': system.uuid,
            'PowerState': power_state,
            'SnapshotCount': len(views),
            'Links': {
                'ComputerSystem': link(uris.system_uri(system.uuid)),
                'CurrentSnapshot': current
                and link(uris.snapshot_uri(system.uuid, current)),
                'Aggregates': [link(uris.aggregate_uri(g)) for g in groups],
            },
        }
    )


def summary_collection(members: Sequence[Resource], total: int) -> Resource:
    return collection(
        uris.SYSTEM_SUMMARIES,
        '#HawkFishSystemSummaryCollection.HawkFishSystemSummaryCollection',
        'System Summary Collection',
        members,
        total,
    )
