# SPDX-License-Identifier: Apache-2.0
"""The event service in Redfish: the service, its subscriptions, its events."""

from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import messages
from hawkfish_plugin.events import Event
from hawkfish_plugin.events.subscriptions import PUSHED, Subscription
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    actions,
    collection,
    link,
    timestamp,
    with_etag,
    with_most,
)

REGISTRY_PREFIXES = ('Base', 'HawkFish', 'ResourceEvent', 'TaskEvent')
RESOURCE_TYPES = (
    'EventService',
    'HawkFishGroupSnapshot',
    'HawkFishSnapshot',
    'HawkFishSnapshotCollection',
    'Job',
    'Task',
)
SEVERITIES = ('OK', 'Warning', 'Critical')
EVENT_TYPES = (
    'StatusChange',
    'ResourceUpdated',
    'ResourceAdded',
    'ResourceRemoved',
    'Alert',
    'MetricReport',
    'Other',
)


def event_service(
    attempts: int, interval: int, stream_filters: Sequence[str]
) -> Resource:
    """*stream_filters* are the properties that ``$filter`` supports."""
    return with_etag(
        {
            '@odata.id': uris.EVENT_SERVICE,
            '@odata.type': '#EventService.v1_12_0.EventService',
            'Id': 'EventService',
            'Name': 'Event Service',
            'ServiceEnabled': True,
            'Status': {'State': 'Enabled', 'Health': 'OK'},
            'DeliveryRetryAttempts': attempts,
            'DeliveryRetryIntervalSeconds': interval,
            'EventFormatTypes': ['Event'],
            'RegistryPrefixes': list(REGISTRY_PREFIXES),
            'ResourceTypes': list(RESOURCE_TYPES),
            'Severities': list(SEVERITIES),
            'SubordinateResourcesSupported': True,
            'OriginResourcesSupported': True,
            'ExcludeRegistryPrefix': True,
            'ExcludeMessageId': True,
            'ServerSentEventUri': uris.EVENT_STREAM,
            'SSEFilterPropertiesSupported': dict.fromkeys(
                stream_filters, True
            ),
            'Subscriptions': link(uris.SUBSCRIPTIONS),
            'Actions': actions(
                uris.EVENT_SERVICE,
                (uris.SUBMIT_TEST_ACTION, uris.TEST_ACTION),
            ),
        }
    )


def subscription_collection(
    most: int, members: Sequence[Resource], total: int
) -> Resource:
    """Those with a destination, and open streams: *most* of both."""
    found = collection(
        uris.SUBSCRIPTIONS,
        '#EventDestinationCollection.EventDestinationCollection',
        'Event Subscriptions',
        members,
        total,
    )
    return with_most(found, most)


def destination(record: Subscription) -> Resource:
    """One EventDestination, with its ETag."""
    uri = uris.subscription_uri(record.id)
    resource: Resource = {
        '@odata.id': uri,
        '@odata.type': '#EventDestination.v1_16_0.EventDestination',
        'Id': str(record.id),
        'Name': f'Event Subscription {record.id}',
        'Destination': record.destination,
        'Context': record.context,
        'Protocol': 'Redfish',
        'SubscriptionType': record.type,
        'EventFormatType': 'Event',
        'Status': _status(record),
    }
    if record.type == PUSHED:
        resource |= {
            'DeliveryRetryPolicy': record.retry_policy,
            'VerifyCertificate': record.verify,
            # They may hold secrets, so they are never shown.
            'HttpHeaders': [],
            **_filters(record.filters),
            'Actions': actions(uri, (uris.SUSPEND_ACTION, uris.RESUME_ACTION)),
        }
    return with_etag(resource)


def _filters(filters: Mapping[str, Any]) -> Resource:
    shown = dict(filters)
    if 'OriginResources' in shown:
        shown['OriginResources'] = [
            link(uri) for uri in shown['OriginResources']
        ]
    return shown


def _status(record: Subscription) -> Resource:
    if record.suspended:
        health = 'Critical' if record.failures else 'OK'
        return {'State': 'Disabled', 'Health': health}
    health = 'Warning' if record.failures else 'OK'
    return {'State': 'Enabled', 'Health': health}


def event(context: str, entries: Sequence[Resource]) -> Resource:
    """
    An Event with one or more *entries* (see ``entry``).

    Its Id is that of the last entry.
    """
    return {
        '@odata.type': '#Event.v1_13_0.Event',
        'Id': entries[-1]['MemberId'],
        'Name': 'Event Array',
        'Context': context,
        'Events': list(entries),
    }


def entry(record: Event) -> Resource:
    """A member of ``Events`` in an Event."""
    message = messages.message(record.message_id, record.args)
    resource = {
        'MemberId': str(record.id),
        'EventType': 'Other',
        'EventId': str(record.id),
        'EventGroupId': record.group,
        'EventTimestamp': timestamp(record.time),
        **{
            key: message[key]
            for key in (
                'MessageId',
                'Message',
                'MessageArgs',
                'MessageSeverity',
                'Severity',
                'Resolution',
            )
        },
        'OriginOfCondition': link(record.origin.uri),
    }
    if record.origin.gone:
        resource['OriginOfConditionUnavailable'] = True
    resource.update(record.given)
    return resource
