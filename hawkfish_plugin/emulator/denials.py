# SPDX-License-Identifier: Apache-2.0
"""
What the emulator's authentication answers where it lets nobody in, mended.

Owns the messages of those answers, which no hook of Flask sees.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib import parse
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.api import noting
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish import errors

Headers = list[tuple[str, str]]


def mended(wsgi: WSGIApplication) -> WSGIApplication:
    """*wsgi*, the authentication of the emulator, with our messages."""

    def answer(
        environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        held: list[tuple[str, Headers]] = []

        def start_response(
            status: str, headers: Headers, *args: Any
        ) -> Callable[[bytes], object]:
            # Behind it, there is a user, or what needs none and is mended.
            if int(status[:3]) < 400 or internals.user_of(environ):
                return start(status, headers, *args)
            held.append((status, headers))
            return lambda _: None

        body = wsgi(environ, start_response)
        if not held:
            return body
        status, headers = held[0]
        return _denial(environ, start, status, headers, b''.join(body))

    return answer


def _denial(
    environ: WSGIEnvironment,
    start: StartResponse,
    status: str,
    headers: Headers,
    body: bytes,
) -> Iterable[bytes]:
    told = internals.told_by_error(body)
    if told is not None:
        error = _error(environ, int(status[:3]), told, dict(headers))
        noting.noted(environ).reason = error.parts[0].message_id
        content = errors.error(error)
        # It says more than the text of a registry, and clients know it.
        content['error']['message'] = told
        body = json.dumps(content).encode()
        headers = [(k, v) for k, v in headers if k.lower() != 'content-length']
        headers.append(('Content-Length', str(len(body))))
    start(status, headers)
    return [] if environ['REQUEST_METHOD'] == 'HEAD' else [body]


def _error(
    environ: WSGIEnvironment, code: int, told: str, headers: dict[str, str]
) -> exceptions.HawkFishError:
    if code == 401:
        path = environ.get('PATH_INFO', '').encode('latin-1')
        uri = parse.quote(path.decode(errors='replace'))
        return exceptions.ResourceAtUriUnauthorized(
            uri[: bounds.URI_CHARACTERS], told
        )
    if code == 429:
        return exceptions.TooManyFailedLogins(int(headers['Retry-After']))
    return exceptions.GeneralError()
