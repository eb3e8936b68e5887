# SPDX-License-Identifier: Apache-2.0
"""
What the bodies of requests for snapshots may hold, of systems and of groups.
"""

import time
from collections.abc import Iterator
from typing import Any

from hawkfish_plugin import exceptions, names
from hawkfish_plugin.api import validation
from hawkfish_plugin.api.bodies import Body, moment
from hawkfish_plugin.redfish import uris

# CSDL knows no format of a string, and gives an inherited property no length.
TEXT = {
    **validation.parameters(uris.PREVIEW_ACTION).properties['Description'],
    'format': 'text',
}
"""What people write about a resource"""

_FIELDS = {
    'Description': 'description',
    'Locked': 'locked',
    'ExpiresTime': 'expires',
}


def of_create(preview: str) -> validation.RequestBody:
    """The body of the action that previews a create."""
    return validation.parameters(preview).with_properties(Description=TEXT)


def of_change(kind: str) -> validation.RequestBody:
    """The body of a PATCH of a resource of *kind*."""
    return validation.changes(kind).with_properties(
        Description={**TEXT, 'type': ['string', 'null']}
    )


def common_options(body: Body) -> dict[str, Any]:
    """The SnapshotOptions of a create in *body*, by their names."""
    return {
        'description': body.get('Description', ''),
        'quiesce': body.get('Quiesce'),
        'locked': body.get('Locked', False),
        'expires': seconds_of(body.get('ExpiresTime')),
    }


def changes_of(body: Body) -> dict[str, Any]:
    """The columns that a PATCH sets, by their names."""
    changes = {_FIELDS[name]: value for name, value in body.items()}
    if 'description' in changes:
        changes['description'] = changes['description'] or ''
    if 'expires' in changes:
        changes['expires'] = seconds_of(changes['expires'])
    return changes


def name_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    try:
        if 'Name' in body:
            names.check(body['Name'])
    except exceptions.HawkFishError as exc:
        yield exc


def expiry_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    text = body.get('ExpiresTime')
    seconds = seconds_of(text)
    if seconds is not None and seconds <= time.time():
        yield exceptions.ExpiryInPast(text, related=['#/ExpiresTime'])


def seconds_of(text: str | None) -> int | None:
    """An ExpiresTime in seconds since the epoch."""
    return None if text is None else int(moment(text).timestamp())
