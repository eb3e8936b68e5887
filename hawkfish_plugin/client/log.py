# SPDX-License-Identifier: Apache-2.0
"""The audit log: who has changed what, and what came of it."""

import datetime
import itertools
from collections.abc import Iterator
from typing import Any
from urllib import parse

from sushy.resources import base

from hawkfish_plugin.client import common, typed

AUDIT_LOG = '/redfish/v1/Managers/HawkFish/LogServices/Audit'

_OURS = ('Oem', 'HawkFish')


class LogEntry(typed.Resource):
    """A request, or a task that the service has begun itself."""

    identity: str = base.Field('Id', required=True)
    created: datetime.datetime = base.Field('Created', adapter=common.moment)
    """When the request was answered"""

    modified: datetime.datetime | None = base.Field(
        'Modified', adapter=common.moment
    )
    """When its task ended, if it has"""

    severity: str = base.Field('Severity')
    """``OK``, ``Warning`` or ``Critical``"""

    message: str = base.Field('Message')
    message_id: str = base.Field('MessageId')
    user: str | None = base.Field('Username')
    """Who acted; None where it is not known, or the service itself"""

    address: str | None = base.Field('OriginAddress')
    """Where the client was, as ``https://192.0.2.1``"""

    by_service: bool = base.Field(
        'OriginatorType', adapter=lambda kind: kind == 'Internal'
    )
    """Whether the service has begun the task itself"""

    method: str | None = base.Field([*_OURS, 'HttpOperation'])
    target: str | None = base.Field([*_OURS, 'TargetUri'])
    """The path of the request"""

    status: int | None = base.Field([*_OURS, 'HttpStatus'])
    """The HTTP status of the answer; None where there was none"""

    reset_type: str | None = base.Field([*_OURS, 'ResetType'])
    reason: str | None = base.Field([*_OURS, 'Reason'])
    """The MessageId of why it was refused, or has failed"""

    systems: list[str] = base.Field([*_OURS, 'SystemNames'])
    """The names that the systems had"""

    system_uuids: list[str] = base.Field([*_OURS, 'SystemUUIDs'])
    task: str | None = base.Field(
        [*_OURS, 'Task'], adapter=lambda uri: uri and uri.rpartition('/')[2]
    )
    """ID of the task that it began, which may be gone"""

    operation: str | None = base.Field([*_OURS, 'Operation'])
    snapshot: str | None = base.Field([*_OURS, 'Snapshot'])
    task_state: str | None = base.Field([*_OURS, 'TaskState'])
    """``New`` until the task has ended"""

    def __repr__(self) -> str:
        return f'<LogEntry {self.identity}: {self.message}>'


class AuditLog:
    """The log of the service, or of one system; nothing is read before."""

    def __init__(self, conn: Any, path: str) -> None:
        self._conn = conn
        self.path = path

    def __repr__(self) -> str:
        return f'<AuditLog {parse.unquote(self.path)}>'

    def __iter__(self) -> Iterator[LogEntry]:
        return self.entries()

    def entries(
        self, limit: int | None = None, wanted: str | None = None
    ) -> Iterator[LogEntry]:
        """
        Yield the entries, newest first, a page with each request.

        No more than *limit*, and only those that match the ``$filter``
        *wanted*.
        """
        query = {'$top': limit, '$filter': wanted}
        given = {k: v for k, v in query.items() if v is not None}
        path = f'{self.path}/Entries?{parse.urlencode(given, safe="$")}'
        seen: set[str] = set()
        for member in itertools.islice(self._members(path), limit):
            # What is added meanwhile moves the others to the next page.
            if member['Id'] not in seen:
                seen.add(member['Id'])
                yield LogEntry(
                    self._conn, member['@odata.id'], json_doc=member
                )

    def _members(self, first: str) -> Iterator[dict[str, Any]]:
        page: str | None = first
        while page:
            body = self._conn.get(page).json()
            yield from body['Members']
            page = body.get('Members@odata.nextLink')

    def clear(self) -> None:
        """Let the log have no entries."""
        self._conn.post(f'{self.path}/Actions/LogService.ClearLog', data={})
