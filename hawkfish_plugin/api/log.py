# SPDX-License-Identifier: Apache-2.0
"""
The audit log over HTTP.

Owns the routes of the log of the service, which is below a manager of its own,
and of the logs of the systems.
"""

import functools
import time
from collections.abc import Iterator, Sequence

import flask

from hawkfish_plugin import bounds
from hawkfish_plugin.api import queries
from hawkfish_plugin.api.access import (
    find_number,
    find_system,
    missing,
    services,
)
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.validation import read_nothing
from hawkfish_plugin.audit import View
from hawkfish_plugin.redfish import log, uris
from hawkfish_plugin.redfish.common import Resource

MANAGER = uris.MANAGER.removeprefix(uris.ROOT)
SYSTEM = '/Systems/<identity>'


@blueprint.get(MANAGER)
def show_service_manager() -> flask.Response:
    queries.check(())
    return answer(log.manager())


@blueprint.get(uris.logs_uri(MANAGER))
@blueprint.get(uris.logs_uri(SYSTEM))
def list_logs(identity: str | None = None) -> flask.Response:
    queries.check(())
    owner, _ = _log_of(identity)
    return answer(log.log_services(owner))


@blueprint.get(uris.audit_uri(MANAGER))
@blueprint.get(uris.audit_uri(SYSTEM))
def show_log(identity: str | None = None) -> flask.Response:
    queries.check(())
    owner, _ = _log_of(identity)
    return answer(log.log_service(owner, services().audit.most, time.time()))


@blueprint.post(
    uris.action_uri(uris.audit_uri(MANAGER), uris.CLEAR_LOG_ACTION)
)
@blueprint.post(uris.action_uri(uris.audit_uri(SYSTEM), uris.CLEAR_LOG_ACTION))
def clear_log(identity: str | None = None) -> flask.Response:
    _, view = _log_of(identity)
    read_nothing(uris.CLEAR_LOG_ACTION)
    services().audit.clear(view)
    return answer(None, 204)


@blueprint.get(uris.entries_uri(MANAGER))
@blueprint.get(uris.entries_uri(SYSTEM))
def list_entries(identity: str | None = None) -> flask.Response:
    owner, view = _log_of(identity)

    def load(ids: Sequence[int]) -> Iterator[tuple[int, Resource]]:
        for record in services().audit.load(ids):
            yield record.id, log.entry(owner, record)

    return answer(
        queries.pages_of(
            services().audit.ids(view),
            load,
            functools.partial(log.entries, owner),
            bounds.AUDIT_PAGE,
        )
    )


@blueprint.get(f'{uris.entries_uri(MANAGER)}/<entry_id>')
@blueprint.get(f'{uris.entries_uri(SYSTEM)}/<entry_id>')
def show_entry(entry_id: str, identity: str | None = None) -> flask.Response:
    queries.check(())
    owner, view = _log_of(identity)
    number = find_number(entry_id)
    if number in services().audit.ids(view):
        for record in services().audit.load([number]):
            return answer(log.entry(owner, record))
    raise missing()


def _log_of(identity: str | None) -> tuple[str, View]:
    """Whose log it is, by its URI, and what the client may see of it."""
    allowed = services().allowed.own()
    if identity is None:
        return uris.MANAGER, View(allowed)
    system = find_system(identity)
    return uris.system_uri(system.uuid), View(allowed, system.uuid)
