# SPDX-License-Identifier: Apache-2.0
"""
The HTTP headers that Redfish requires, on the emulator's responses too.

Owns the response headers of DSP0266 that do not depend on the resource, the
refusal of other OData versions and of what the client does not accept.  The
body of a response of the emulator stays as it is.
"""

import json
from collections.abc import Callable
from typing import Any
from wsgiref.types import StartResponse

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api.answers import refusal
from hawkfish_plugin.emulator import routes
from hawkfish_plugin.redfish import schemas
from hawkfish_plugin.redfish.common import READING

ODATA_VERSION = '4.0'

_ALWAYS = {'OData-Version': ODATA_VERSION, 'Cache-Control': 'no-store'}


def adding_to(start: StartResponse) -> StartResponse:
    """*start* of WSGI, but adding what every response must have."""

    def start_response(
        status: str, headers: list[tuple[str, str]], *args: Any
    ) -> Callable[[bytes], object]:
        present = {name.lower() for name, _ in headers}
        missing = [
            (name, value)
            for name, value in _ALWAYS.items()
            if name.lower() not in present
        ]
        return start(status, [*headers, *missing], *args)

    return start_response


def check_odata_version() -> flask.Response | None:
    """Refuse a request of another OData version; a ``before_request``."""
    version = flask.request.headers.get('OData-Version')
    if version in (None, ODATA_VERSION):
        return None
    return refusal(exceptions.HeaderInvalid(f'OData-Version: {version}'))


def complete(response: flask.Response) -> flask.Response:
    """Add ``Allow`` and ``Link`` where missing; an ``after_request``."""
    if response.status_code == 405:
        # Where a view has refused, it has said why.
        if not flask.request.endpoint and routes.is_our_path():
            response = refusal(exceptions.OperationNotAllowed())
        _allow(response)
    elif flask.request.method in READING:
        _allow(response)
        _link_schema(response)
        if response.status_code == 200 and routes.is_our_path():
            return _acceptable(response)
    return response


def _allow(response: flask.Response) -> None:
    # A task monitor has set it: sushy reads there whether it can cancel.
    if 'Allow' in response.headers:
        return
    methods = routes.allowed_methods()
    if methods:
        response.headers['Allow'] = ', '.join(sorted(methods))


def _link_schema(response: flask.Response) -> None:
    # Ours have it already: no long body needs to be parsed for it.
    if 'Link' in response.headers:
        return
    odata_type = _odata_type(response)
    if odata_type:
        response.headers['Link'] = schemas.described_by(odata_type)


def _odata_type(response: flask.Response) -> str | None:
    # get_data() of a stream would wait for its end.
    if response.is_streamed or response.mimetype != 'application/json':
        return None
    try:
        body = json.loads(response.get_data() or 'null')
    except ValueError:
        return None
    found = body.get('@odata.type') if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def _acceptable(response: flask.Response) -> flask.Response:
    """*response*, or a 406 where the client accepts no such content."""
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
    return refusal(exceptions.NotAcceptable(accepted[:200]))
