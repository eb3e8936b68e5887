# SPDX-License-Identifier: Apache-2.0
"""
What the protocol wants of every answer, the emulator's own included.

Owns the headers of DSP0266 that say nothing of a resource but where its
schema is and what can be done with it, and the refusal of another version of
OData.  The body of an answer of the emulator stays as it is.
"""

import functools
import json
from typing import Any

import flask

from hawkfish_plugin import exceptions, redfish
from hawkfish_plugin.api import answer, blueprint
from hawkfish_plugin.redfish import schemas

ODATA_VERSION = '4.0'

_READING = ('GET', 'HEAD')


def before_request() -> flask.Response | None:
    """Refuse a request of another version of OData."""
    version = flask.request.headers.get('OData-Version')
    if version in (None, ODATA_VERSION):
        return None
    return _refusal(exceptions.HeaderInvalid(f'OData-Version: {version}'))


def after_request(response: flask.Response) -> flask.Response:
    """Add the headers that an answer lacks."""
    if response.status_code == 405:
        if _is_ours():
            response = _refusal(exceptions.OperationNotAllowed())
        _allow(response)
    elif flask.request.method in _READING:
        _allow(response)
        _describe(response)
        if _is_ours() and response.status_code == 200:
            return _acceptable(response)
    return response


def _refusal(error: exceptions.HawkFishError) -> flask.Response:
    return answer(redfish.error(error), error.status)


def _adapter() -> Any:
    return flask.current_app.create_url_adapter(flask.request)


def _allow(response: flask.Response) -> None:
    """Say which methods some route has for the path of the request."""
    # A monitor has said it already: sushy reads it there.
    if 'Allow' in response.headers:
        return
    methods = _methods(flask.current_app.url_map, flask.request.path)
    # That knows nothing of a path whose last slash is missing.
    if flask.request.url_rule:
        methods |= flask.request.url_rule.methods or set()
    if methods:
        response.headers['Allow'] = ', '.join(sorted(methods - {'OPTIONS'}))


@functools.lru_cache(4096)
def _methods(_routes: Any, _path: str) -> frozenset[str]:
    # All routes are tried for it; those of an application do not change.
    return frozenset(_adapter().allowed_methods())


def _is_ours() -> bool:
    """Whether the path of the request is, whatever the method."""
    if flask.request.endpoint:
        return flask.request.blueprint == blueprint.name
    adapter = _adapter()
    endpoints = {
        adapter.match(method=method)[0] for method in adapter.allowed_methods()
    }
    return any(e.startswith(f'{blueprint.name}.') for e in endpoints)


def _describe(response: flask.Response) -> None:
    """Say where the schema of the resource is."""
    # Ours say it themselves: a long body is not parsed for it.
    if 'Link' in response.headers:
        return
    odata_type = _odata_type(response)
    if odata_type:
        response.headers['Link'] = schemas.described_by(odata_type)


def _odata_type(response: flask.Response) -> str | None:
    # Not get_data() of a stream, which would wait for its end.
    if response.is_streamed or response.mimetype != 'application/json':
        return None
    try:
        body = json.loads(response.get_data() or 'null')
    except ValueError:
        return None
    found = body.get('@odata.type') if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def _acceptable(response: flask.Response) -> flask.Response:
    accepted = flask.request.headers.get('Accept')
    served = response.mimetype or ''
    # Parameters such as charset and odata.metadata change nothing here.
    wanted = {
        value.partition(';')[0].strip().lower()
        for value, quality in flask.request.accept_mimetypes
        if quality
    }
    kind = served.partition('/')[0]
    if not accepted or wanted & {'*/*', f'{kind}/*', served}:
        return response
    response.close()
    return _refusal(exceptions.NotAcceptable(accepted[:200]))
