# SPDX-License-Identifier: Apache-2.0
"""
What every request passes before the emulator's own authentication.

Owns which paths are open, the tokens of sessions, and the headers that every
answer has, a refusal by the emulator's middleware included.  That middleware
stays the judge of passwords: what has no good token goes to it.
"""

import logging
from collections.abc import Iterable
from typing import Any

import flask

from hawkfish_plugin import exceptions, messages, redfish
from hawkfish_plugin.api import sessions as sessions_api
from hawkfish_plugin.emulator.headers import ODATA_VERSION
from hawkfish_plugin.redfish import schemas

LOG = logging.getLogger(__name__)

# DSP0266 wants them open, beside those that the emulator leaves open; and to
# log in one cannot be logged in.
OPEN = frozenset(
    (
        ('GET', schemas.ODATA),
        ('HEAD', schemas.ODATA),
        ('GET', schemas.METADATA),
        ('HEAD', schemas.METADATA),
        ('POST', redfish.SESSIONS),
        ('POST', f'{redfish.SESSIONS}/Members'),
    )
)

_HEADERS = {'OData-Version': ODATA_VERSION, 'Cache-Control': 'no-store'}

Environ = dict[str, Any]
Answer = Iterable[bytes]


def stand_before(app: flask.Flask, plugin: Any) -> None:
    """
    Let every request of *app* come through here first.

    The emulator wraps ``app.wsgi_app`` when it has read its configuration,
    which may be before or after this, and twice where it does not find its
    own wrapper there; so that is left alone, and the class is changed.
    """
    entrance = Entrance(app, plugin)
    kind: Any = type(app)

    class Guarded(kind):  # type: ignore[misc]
        def __call__(self, environ: Environ, start: Any) -> Answer:
            return entrance(environ, start)

    app.__class__ = Guarded


class Entrance:
    def __init__(self, app: flask.Flask, plugin: Any) -> None:
        self._app = app
        self._plugin = plugin

    def __call__(self, environ: Environ, start: Any) -> Answer:
        start = _with_headers(start)
        wsgi: Any = self._app.wsgi_app
        users = sessions_api.users_file(self._app)
        token = environ.pop('HTTP_X_AUTH_TOKEN', None)
        if users is not None:
            if _is_open(environ):
                wsgi = wsgi.app
            elif user := token and self._user(users, token):
                # As the middleware does for a password that it has checked.
                environ.pop('HTTP_AUTHORIZATION', None)
                environ['HTTP_X_USER'] = user
                environ['HTTP_X_USER_NAME'] = user
                wsgi = wsgi.app
        answer: Answer = wsgi(environ, start)
        return answer

    def _user(self, users: str, token: str) -> str | None:
        # It builds what is below, once, whoever comes first.
        self._plugin.start()
        try:
            user: str | None = self._plugin.sessions.user(users, token)
        except exceptions.HawkFishError as exc:
            LOG.error('No token is good now: %s', messages.text(exc))
            return None
        return user


def _is_open(environ: Environ) -> bool:
    path = '/' + environ.get('PATH_INFO', '').strip('/')
    return (environ['REQUEST_METHOD'], path) in OPEN


def _with_headers(start: Any) -> Any:
    """*start* of WSGI, which adds the headers that an answer lacks."""

    def start_response(
        status: str, headers: list[tuple[str, str]], *args: Any
    ) -> Any:
        there = {name.lower() for name, _ in headers}
        lacking = [
            (name, value)
            for name, value in _HEADERS.items()
            if name.lower() not in there
        ]
        return start(status, [*headers, *lacking], *args)

    return start_response
