# SPDX-License-Identifier: Apache-2.0
"""
The event service in Redfish: the service, its subscriptions, its events.

Pure functions of records (``events.Event``, ``events.subscriptions``), as
all of this package.
"""

from collections.abc import Sequence
from typing import Any

from hawkfish_plugin import messages
from hawkfish_plugin.redfish import (
    EVENT_SERVICE,
    Resource,
    collection,
    timestamp,
    with_etag,
)

SUBSCRIPTIONS = f'{EVENT_SERVICE}/Subscriptions'
STREAM = f'{EVENT_SERVICE}/SSE'

REGISTRY_PREFIXES = ('Base', 'HawkFish', 'ResourceEvent', 'TaskEvent')
RESOURCE_TYPES = (
    'EventService',
    'HawkFishSnapshot',
    'HawkFishSnapshotCollection',
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

SUBMIT_TEST = 'EventService.SubmitTestEvent'
TEST = 'EventService.TestEventSubscription'
SUSPEND = 'EventDestination.SuspendSubscription'
RESUME = 'EventDestination.ResumeSubscription'


def subscription_uri(subscription_id: int) -> str:
    return f'{SUBSCRIPTIONS}/{subscription_id}'


def event_service(
    attempts: int, interval: int, stream_filters: Sequence[str]
) -> Resource:
    """*stream_filters* are the properties that ``$filter`` knows."""
    return with_etag(
        {
            '@odata.id': EVENT_SERVICE,
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
            'ServerSentEventUri': STREAM,
            'SSEFilterPropertiesSupported': dict.fromkeys(
                stream_filters, True
            ),
            'Subscriptions': {'@odata.id': SUBSCRIPTIONS},
            'Actions': {
                f'#{name}': {'target': f'{EVENT_SERVICE}/Actions/{name}'}
                for name in (SUBMIT_TEST, TEST)
            },
        }
    )


def subscription_collection(
    members: Sequence[Resource], total: int
) -> Resource:
    return collection(
        SUBSCRIPTIONS,
        '#EventDestinationCollection.EventDestinationCollection',
        'Event Subscriptions',
        members,
        total,
    )


def destination(record: Any) -> Resource:
    """One EventDestination, with its ETag."""
    uri = subscription_uri(record.id)
    resource = {
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
    if record.type == 'RedfishEvent':
        resource |= {
            'DeliveryRetryPolicy': record.retry_policy,
            'VerifyCertificate': record.verify,
            # They may hold secrets, so they are never shown.
            'HttpHeaders': [],
            **_filters(record.filters),
            'Actions': {
                f'#{name}': {'target': f'{uri}/Actions/{name}'}
                for name in (SUSPEND, RESUME)
            },
        }
    return with_etag(resource)


def _filters(filters: Resource) -> Resource:
    shown = dict(filters)
    if 'OriginResources' in shown:
        shown['OriginResources'] = [
            {'@odata.id': uri} for uri in shown['OriginResources']
        ]
    return shown


def _status(record: Any) -> Resource:
    if record.suspended:
        health = 'Critical' if record.failures else 'OK'
        return {'State': 'Disabled', 'Health': health}
    health = 'Warning' if record.failures else 'OK'
    return {'State': 'Enabled', 'Health': health}


def event(context: str, entries: Sequence[Resource]) -> Resource:
    """
    What is sent, with one or more *entries* (see ``entry``).

    Its Id is that of the last of them.
    """
    return {
        '@odata.type': '#Event.v1_13_0.Event',
        'Id': entries[-1]['MemberId'],
        'Name': 'Event Array',
        'Context': context,
        'Events': list(entries),
    }


def entry(record: Any) -> Resource:
    """One event as it stands in an Event's ``Events``."""
    told = messages.message(record.message_id, record.args)
    resource = {
        'MemberId': str(record.id),
        'EventType': 'Other',
        'EventId': str(record.id),
        'EventGroupId': record.group,
        'EventTimestamp': timestamp(record.time),
        **{
            key: told[key]
            for key in (
                'MessageId',
                'Message',
                'MessageArgs',
                'MessageSeverity',
                'Severity',
                'Resolution',
            )
        },
        'OriginOfCondition': {'@odata.id': record.origin.uri},
    }
    if record.origin.gone:
        resource['OriginOfConditionUnavailable'] = True
    resource.update(record.given)
    return resource
