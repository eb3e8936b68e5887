# SPDX-License-Identifier: Apache-2.0
"""The session service in Redfish, and its sessions."""

from collections.abc import Sequence

from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import (
    Resource,
    collection,
    link,
    timestamp,
    with_etag,
    with_most,
)
from hawkfish_plugin.sessions import MAX_SESSIONS, Session


def session_service(timeout: int) -> Resource:
    return with_etag(
        {
            '@odata.id': uris.SESSION_SERVICE,
            '@odata.type': '#SessionService.v1_2_0.SessionService',
            'Id': 'SessionService',
            'Name': 'Session Service',
            'ServiceEnabled': True,
            'SessionTimeout': timeout,
            'Status': {'State': 'Enabled', 'Health': 'OK'},
            'Sessions': link(uris.SESSIONS),
        }
    )


def session_collection(members: Sequence[Resource], total: int) -> Resource:
    found = collection(
        uris.SESSIONS,
        '#SessionCollection.SessionCollection',
        'Session Collection',
        members,
        total,
    )
    return with_most(found, MAX_SESSIONS)


def session(record: Session, role: str) -> Resource:
    return {
        '@odata.id': uris.session_uri(record.id),
        '@odata.type': '#Session.v1_8_0.Session',
        'Id': str(record.id),
        'Name': 'User Session',
        'UserName': record.user,
        'Roles': [role],
        'CreatedTime': timestamp(record.created),
        'SessionType': 'Redfish',
    }
