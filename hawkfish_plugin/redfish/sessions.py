# SPDX-License-Identifier: Apache-2.0
"""The shapes of the session service; see ``hawkfish_plugin.redfish``."""

from collections.abc import Sequence
from typing import Any

from hawkfish_plugin.redfish import (
    SESSION_SERVICE,
    SESSIONS,
    Resource,
    collection,
    timestamp,
    with_etag,
)


def session_uri(session_id: int) -> str:
    return f'{SESSIONS}/{session_id}'


def session_service(timeout: int) -> Resource:
    return with_etag(
        {
            '@odata.id': SESSION_SERVICE,
            '@odata.type': '#SessionService.v1_2_0.SessionService',
            'Id': 'SessionService',
            'Name': 'Session Service',
            'ServiceEnabled': True,
            'SessionTimeout': timeout,
            'Status': {'State': 'Enabled', 'Health': 'OK'},
            'Sessions': {'@odata.id': SESSIONS},
        }
    )


def session_collection(members: Sequence[Resource], total: int) -> Resource:
    return collection(
        SESSIONS,
        '#SessionCollection.SessionCollection',
        'Session Collection',
        members,
        total,
    )


def session(record: Any) -> Resource:
    """One Session; *record* is a ``sessions.Session``."""
    return {
        '@odata.id': session_uri(record.id),
        '@odata.type': '#Session.v1_8_0.Session',
        'Id': str(record.id),
        'Name': 'User Session',
        'UserName': record.user,
        'CreatedTime': timestamp(record.created),
        'SessionType': 'Redfish',
    }
