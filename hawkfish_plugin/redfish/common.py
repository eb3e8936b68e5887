# SPDX-License-Identifier: Apache-2.0
"""What the resources have in common: links, collections, times and ETags."""

import datetime
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from hawkfish_plugin.drivers.verifying import Verified
from hawkfish_plugin.redfish import uris

Resource = dict[str, Any]

READING, WRITING = ('GET', 'HEAD'), ('PATCH', 'POST', 'PUT', 'DELETE')
"""The methods that change nothing, and those that may."""


def link(uri: str) -> Resource:
    return {'@odata.id': uri}


def actions(uri: str, names: Iterable[str]) -> Resource:
    """The ``Actions`` of the resource with this *uri*."""
    return {f'#{name}': _action(uri, name) for name in names}


def _action(uri: str, name: str) -> Resource:
    found: Resource = {'target': uris.action_uri(uri, name)}
    if name in uris.ACTIONS_WITH_PARAMETERS:
        found['@Redfish.ActionInfo'] = uris.action_info_uri(name)
    return found


def verification(found: Verified, screenshot: str | None) -> Resource:
    """What a verification has found; *screenshot* is the URI of that."""
    return {
        'Checks': [
            {
                'Check': one.check,
                'Result': one.result,
                'Seconds': one.seconds,
                'Detail': one.detail or None,
            }
            for one in found.checks
        ],
        'LeftOut': list(found.left_out),
        'ScreenshotURI': screenshot,
    }


def collection(
    uri: str,
    odata_type: str,
    name: str,
    members: Sequence[Resource],
    total: int,
) -> Resource:
    """
    A resource collection.

    *members* are links or whole resources; *total* also counts those that
    *members* leaves out.
    """
    return {
        '@odata.id': uri,
        '@odata.type': odata_type,
        'Name': name,
        'Members': list(members),
        'Members@odata.count': total,
    }


def with_most(resource: Resource, most: int) -> Resource:
    """A collection that a POST may add to, until it has *most* members."""
    capabilities = {
        '@odata.type': '#CollectionCapabilities.v1_4_0.CollectionCapabilities',
        'MaxMembers': most,
    }
    return {**resource, '@Redfish.CollectionCapabilities': capabilities}


def with_etag(resource: Resource) -> Resource:
    """*resource* with an ``@odata.etag`` that changes when it does."""
    text = json.dumps(resource, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {**resource, '@odata.etag': f'"{digest}"'}


def condition(message: Resource, seconds: float) -> Resource:
    """What *message* says, since *seconds* after the epoch, of a Status."""
    return {
        'MessageId': message['MessageId'],
        'Message': message['Message'],
        'MessageArgs': message['MessageArgs'],
        'Severity': message['MessageSeverity'],
        'Timestamp': timestamp(seconds),
    }


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as an Edm.DateTimeOffset."""
    moment = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')
