# SPDX-License-Identifier: Apache-2.0
"""
The Redfish service, one file per resource.

Owns the blueprint and what all of its views share: access, strict parsing of
bodies, answers and errors.  A view checks, calls once downwards and renders.
"""

import datetime
import json
import logging
import re
import urllib.parse
from collections.abc import Collection, Mapping
from typing import Any

import flask
from werkzeug import exceptions as http_errors

from hawkfish_plugin import exceptions, messages, redfish
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.redfish import schemas as _schemas

LOG = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
_MAX_TOLD_CHARACTERS = 200
_CHALLENGE = 'Basic realm="Redfish"'

blueprint = flask.Blueprint('hawkfish', __name__, url_prefix=redfish.ROOT)

Body = dict[str, Any]
_MOMENT = re.compile(
    r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)',
    re.ASCII,
)


def service() -> Any:
    """The plugin of the running app: its ``snapshots`` and ``tasks``."""
    return flask.current_app.extensions['hawkfish']


# Access -------------------------------------------------------------------


def find_system(identity: str) -> contract.System:
    """
    The system of a URI, by UUID or name.

    Raises ResourceMissingAtURI, also for one that the emulator may not serve.
    """
    try:
        system: contract.System = service().snapshots.system(identity)
    except exceptions.SystemNotFound:
        raise missing() from None
    if not may_serve(flask.current_app, system):
        raise missing()
    return system


def is_allowed(uuid: str, name: str) -> bool:
    """``may_serve`` of the running app."""
    return may_serve(flask.current_app, contract.System(uuid, name))


def may_serve(app: flask.Flask, system: contract.System) -> bool:
    """Whether SUSHY_EMULATOR_ALLOWED_INSTANCES lets a system be served."""
    allowed = app.config.get('SUSHY_EMULATOR_ALLOWED_INSTANCES')
    return allowed is None or system.uuid in allowed or system.name in allowed


def missing() -> exceptions.HawkFishError:
    return exceptions.ResourceMissingAtURI(request_uri())


def request_uri() -> str:
    """The path of the request, as a client has to write it."""
    return urllib.parse.quote(flask.request.path)


def check_if_match(resource: Body) -> None:
    """Raise PreconditionFailed where If-Match names another ETag."""
    wanted = flask.request.if_match
    if 'If-Match' in flask.request.headers and not wanted.contains(
        resource['@odata.etag'].strip('"')
    ):
        raise exceptions.PreconditionFailed()


# Parsing ------------------------------------------------------------------


def read_body() -> Body:
    """The JSON object of the request; without a body, an empty one."""
    if any(name.startswith('$') for name in flask.request.args):
        raise exceptions.QueryNotSupportedOnOperation()
    data = flask.request.stream.read(MAX_BODY_BYTES + 1)
    if len(data) > MAX_BODY_BYTES:
        raise exceptions.RequestBodyTooLarge(MAX_BODY_BYTES)
    if not data:
        return {}
    if not flask.request.is_json:
        raise exceptions.UnsupportedMediaType(flask.request.mimetype)
    try:
        body = json.loads(data)
    # RecursionError: a body of many brackets.
    except (ValueError, RecursionError):
        raise exceptions.MalformedJSON() from None
    if not isinstance(body, dict):
        raise exceptions.MalformedJSON()
    if flask.request.method != 'PATCH':
        return body
    # What a client has read and sends back; nothing is to be done about it.
    return {k: v for k, v in body.items() if not k.startswith('@odata.')}


def check_properties(
    body: Body,
    known: Mapping[str, tuple[type, ...]],
    readonly: Collection[str] = (),
) -> None:
    """Raise all properties that are not of their type in *known*."""
    found: list[exceptions.HawkFishError] = []
    for name, value in body.items():
        related = [pointer(name)]
        if name in readonly:
            found.append(exceptions.PropertyNotWritable(name, related=related))
        elif name not in known:
            found.append(exceptions.PropertyUnknown(name, related=related))
        # To Python true is a number.
        elif type(value) not in known[name]:
            found.append(
                exceptions.PropertyValueTypeError(
                    told(value), name, related=related
                )
            )
    exceptions.check(found)


def moment(text: str) -> datetime.datetime:
    """The time that *text* is, as Redfish has it; raises ValueError."""
    # Python would take times without a zone, and dates, as well.
    if not _MOMENT.fullmatch(text):
        raise ValueError
    return datetime.datetime.fromisoformat(text)


def told(value: object) -> str:
    """A client's value as an argument of a message, cut to a line."""
    return json.dumps(value)[:_MAX_TOLD_CHARACTERS]


def pointer(name: str) -> str:
    """The JSON pointer of a property of the request."""
    return '#/' + name.replace('~', '~0').replace('/', '~1')


# Answers ------------------------------------------------------------------


def answer(
    body: Body | None, status: int = 200, **headers: str
) -> flask.Response:
    """A JSON response; a body with an ETag can be answered by a 304."""
    response = flask.Response(
        '' if body is None else json.dumps(body),
        status,
        headers,
        content_type='application/json',
    )
    if (
        flask.request.method in ('GET', 'HEAD')
        and body
        and ('@odata.type' in body)
    ):
        response.headers['Link'] = _schemas.described_by(body['@odata.type'])
    if body and '@odata.etag' in body:
        response.set_etag(body['@odata.etag'].strip('"'))
        response.make_conditional(flask.request)
        # The server adds it, to every answer.
        response.headers.pop('Date', None)
    return response


def accepted(task: Any) -> flask.Response:
    """The 202 that says where to watch *task*."""
    # No Retry-After: sushy cannot sleep for a number of seconds.
    return answer(
        redfish.task_accepted(task), 202, Location=redfish.monitor_uri(task.id)
    )


@blueprint.after_request
def _headers(response: flask.Response) -> flask.Response:
    if response.status_code == 401:
        response.headers.setdefault('WWW-Authenticate', _CHALLENGE)
    return response


@blueprint.errorhandler(exceptions.HawkFishError)
def _refuse(error: exceptions.HawkFishError) -> flask.Response:
    if error.status >= 500:
        LOG.error(
            '%s %r: %r',
            flask.request.method,
            flask.request.path,
            messages.text(error),
        )
    return answer(redfish.error(error), error.status)


@blueprint.errorhandler(Exception)
def _crash(error: Exception) -> flask.Response:
    if isinstance(error, http_errors.HTTPException) and error.code:
        body = redfish.error(exceptions.GeneralError())
        body['error']['message'] = error.description or str(error)
        return answer(body, error.code)
    LOG.exception('%s %r', flask.request.method, flask.request.path)
    return answer(redfish.error(exceptions.InternalError()), 500)
