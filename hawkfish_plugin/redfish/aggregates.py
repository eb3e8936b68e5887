# SPDX-License-Identifier: Apache-2.0
"""The aggregation service in Redfish, and its aggregates."""

from collections.abc import Sequence

from hawkfish_plugin import bounds
from hawkfish_plugin.groups.views import Member
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    actions,
    collection,
    link,
    with_etag,
    with_most,
)

RESET_TYPES = (
    'On',
    'ForceOff',
    'GracefulShutdown',
    'GracefulRestart',
    'ForceRestart',
    'Nmi',
    'ForceOn',
)


def aggregation_service() -> Resource:
    return {
        '@odata.id': uris.AGGREGATION_SERVICE,
        '@odata.type': '#AggregationService.v1_0_3.AggregationService',
        'Id': 'AggregationService',
        'Name': 'Aggregation Service',
        'ServiceEnabled': True,
        'Status': {'State': 'Enabled', 'Health': 'OK'},
        'Aggregates': link(uris.AGGREGATES),
    }


def aggregate_collection(members: Sequence[Resource], total: int) -> Resource:
    found = collection(
        uris.AGGREGATES,
        '#AggregateCollection.AggregateCollection',
        'Aggregate Collection',
        members,
        total,
    )
    return with_most(found, bounds.AGGREGATES)


def aggregate(name: str, members: Sequence[Member]) -> Resource:
    """One Aggregate, with its ETag."""
    uri = uris.aggregate_uri(name)
    there = [member.system for member in members if member.present]
    return with_etag(
        {
            '@odata.id': uri,
            '@odata.type': '#Aggregate.v1_0_3.Aggregate',
            'Id': name,
            'Name': name,
            'Elements': [link(uris.system_uri(s.uuid)) for s in there],
            'ElementsCount': len(there),
            'Actions': _actions(uri),
            'Oem': {
                'HawkFish': {
                    '@odata.type': '#HawkFishAggregate.v1_0_0.Aggregate',
                    'Snapshots': link(uris.group_snapshots_uri(name)),
                    'Exports': link(uris.exports_uri(uri)),
                    'Systems': [_member(member) for member in members],
                }
            },
        }
    )


def _member(member: Member) -> Resource:
    system = member.system
    return {
        'System': link(uris.system_uri(system.uuid))
        if member.present
        else None,
        'Name': system.name,
        'UUID': system.uuid,
        'Present': member.present,
    }


def _actions(uri: str) -> Resource:
    found = actions(
        uri,
        [
            uris.ADD_ELEMENTS_ACTION,
            uris.REMOVE_ELEMENTS_ACTION,
            uris.RESET_ACTION,
            uris.BOOT_ORDER_ACTION,
        ],
    )
    found[f'#{uris.RESET_ACTION}']['ResetType@Redfish.AllowableValues'] = list(
        RESET_TYPES
    )
    return found
