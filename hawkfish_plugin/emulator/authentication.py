# SPDX-License-Identifier: Apache-2.0
"""
Session tokens, in front of the emulator's own authentication.

Owns which paths need no authentication, and the WSGI middleware that accepts
the tokens of sessions.  Whatever has no valid token is left to the emulator's
middleware, which alone checks passwords; what becomes of it is counted.
"""

import contextlib
import functools
import itertools
import logging
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.accounts import addresses
from hawkfish_plugin.accounts import users as passwords
from hawkfish_plugin.api import monitoring, noting
from hawkfish_plugin.emulator import (
    auditing,
    denials,
    headers,
    internals,
    mending,
    page,
    serving,
)
from hawkfish_plugin.redfish import schemas, uris
from hawkfish_plugin.redfish.common import READING
from hawkfish_plugin.services import ForEmulator

LOG = logging.getLogger(__name__)

# DSP0266 requires access to them without authentication, as to what the
# emulator leaves open itself; and nobody is authenticated before login.
# A probe never is.
OPEN = frozenset(
    (
        ('POST', uris.SESSIONS),
        ('POST', f'{uris.SESSIONS}/Members'),
        *itertools.product(
            READING,
            (
                schemas.ODATA,
                schemas.METADATA,
                monitoring.HEALTH,
                *page.PATHS,
            ),
        ),
    )
)


def install(app: flask.Flask, services: ForEmulator) -> None:
    """
    Put the middleware in front of *app*.

    The emulator wraps ``app.wsgi_app`` when it has read its configuration,
    before or after this, and once more where it does not find its own
    wrapper there.  So that attribute is left alone, and the class of *app*
    is replaced instead.
    """
    middleware = TokenMiddleware(app, services)
    kind: Any = type(app)

    class Guarded(kind):  # type: ignore[misc]
        def __call__(
            self, environ: WSGIEnvironment, start: StartResponse
        ) -> Iterable[bytes]:
            return middleware(environ, start)

    app.__class__ = Guarded


class TokenMiddleware:
    """WSGI middleware: *app*, but a valid ``X-Auth-Token`` will do."""

    def __init__(self, app: flask.Flask, services: ForEmulator) -> None:
        self._app = app
        self._services = services
        self._auditing = auditing.Auditing(app, services)

    def __call__(
        self, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        # Routes are found by the one, and what is written of a request by the
        # other.
        environ['REQUEST_METHOD'] = environ['REQUEST_METHOD'].upper()
        serving.limit(environ, self._services.deadlines)
        wsgi = self._application(environ)
        start = self._auditing.noting(environ, headers.adding_to(start))
        answer = wsgi(environ, start)
        return serving.in_time(environ, answer, self._services.deadlines)

    def _application(self, environ: WSGIEnvironment) -> WSGIApplication:
        """What serves the request: behind the authentication, or with it."""
        # What a client says of itself is not what authentication has found.
        internals.forget_user(environ)
        noting.noted(environ).address = self._address(environ)
        token = environ.pop('HTTP_X_AUTH_TOKEN', None)
        users = internals.users_file(self._app)
        if users is None:
            return self._app.wsgi_app
        if _is_open(environ):
            return internals.unauthenticated(self._app)
        user = self._user(users, token) if token else None
        if user is None:
            checked = functools.partial(self._check, users=users)
            if mending.is_wanted(self._services):
                return denials.mended(checked)
            return checked
        internals.set_user(environ, user)
        return internals.unauthenticated(self._app)

    def _address(self, environ: WSGIEnvironment) -> str:
        try:
            proxies = self._services.conf.accounts.trusted_proxies
        except exceptions.ConfigurationInvalid:
            # What is ours tells of it, and nobody is believed.
            proxies = []
        return addresses.client(environ, proxies)

    def _user(self, users: str, token: str) -> str | None:
        """Whose *token* is; None where it is not valid."""
        # The first request of a process may have one.
        self._services.start()
        try:
            return self._services.sessions.user(users, token)
        except exceptions.HawkFishError as exc:
            LOG.error('No token can be checked: %s', messages.text(exc))
            return None

    def _check(
        self, environ: WSGIEnvironment, start: StartResponse, users: str
    ) -> Iterable[bytes]:
        """
        What the emulator serves after its own check, which is counted.

        It crashes on credentials that it cannot read, and refuses an unknown
        user at once, which tells that there is none: so it is made to fail as
        it should, and as slowly.
        """
        wsgi: WSGIApplication = self._app.wsgi_app
        found = internals.authorization(environ)
        if found is None or not passwords.may_be_password(found[1]):
            environ.pop('HTTP_AUTHORIZATION', None)
            return wsgi(environ, start)
        name, password = found
        noting.noted(environ).claimed = name
        try:
            with self._counting(environ, users, name):
                passwords.waste_time(users, name, password)
                return wsgi(environ, start)
        except internals.CheckRefused as exc:
            return internals.refusal(self._app, exc)(environ, start)

    def _counting(
        self, environ: WSGIEnvironment, users: str, name: str
    ) -> contextlib.AbstractContextManager[None]:
        try:
            address = noting.noted(environ).address
            return self._services.logins.counting(address, users, name)
        except exceptions.HawkFishError as exc:
            # Of a configuration that is invalid the emulator knows nothing.
            LOG.error('No login is counted: %s', messages.text(exc))
            return contextlib.nullcontext()


def _is_open(environ: WSGIEnvironment) -> bool:
    path = '/' + environ.get('PATH_INFO', '').strip('/')
    return (environ['REQUEST_METHOD'], path) in OPEN
