# SPDX-License-Identifier: Apache-2.0
"""
Which requests are noted in the audit log, and when.

Owns that: all that may change something, of the plugin and of the emulator,
also where they are refused, before their answer is sent.  Whatever is wrong
with the log, they are answered; what could not be noted is in the log of the
process.
"""

import logging
from collections.abc import Callable
from typing import Any
from urllib import parse
from wsgiref.types import StartResponse, WSGIEnvironment

import flask

from hawkfish_plugin import audit, bounds
from hawkfish_plugin.accounts import roles
from hawkfish_plugin.accounts import users as passwords
from hawkfish_plugin.api import noting
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish.common import WRITING
from hawkfish_plugin.services import ForEmulator
from hawkfish_plugin.supervision import describe

LOG = logging.getLogger(__name__)

# A path that leads elsewhere is what a client likes: a URL with a password.
_SERVED = '/redfish/'


class Auditing:
    """The audit log of *app*, the emulator."""

    def __init__(self, app: flask.Flask, services: ForEmulator) -> None:
        self._app = app
        self._services = services

    def noting(
        self, environ: WSGIEnvironment, start: StartResponse
    ) -> StartResponse:
        """*start* of WSGI, but noting the answer to the request first."""
        if environ['REQUEST_METHOD'] not in WRITING:
            return start

        def start_response(
            status: str, headers: list[tuple[str, str]], *args: Any
        ) -> Callable[[bytes], object]:
            code = int(status[:3])
            # Where to ask again has changed nothing, nor has a dry run.
            looks = noting.noted(environ).only_looks
            if not (looks or 300 <= code < 400):
                self._note(environ, code)
            return start(status, headers, *args)

        return start_response

    def _note(self, environ: WSGIEnvironment, status: int) -> None:
        entry = None
        try:
            entry = self._entry(environ, status)
            self._services.audit.note(entry)
        except Exception as exc:
            # The request itself is over, and its client waits.
            LOG.error(
                'Not in the audit log: %s: %r', describe(exc), entry or status
            )

    def _entry(self, environ: WSGIEnvironment, status: int) -> audit.Entry:
        known, users = noting.noted(environ), internals.users_file(self._app)
        actor = noting.actor(environ)
        is_strange = users is not None and not actor.user
        if is_strange and users:
            # Another name may be a password, in the wrong field.
            found = known.claimed in passwords.entries(users)
            actor = audit.Actor(known.claimed if found else '', actor.address)
        return audit.Entry(
            actor,
            environ['REQUEST_METHOD'],
            _uri(environ),
            status,
            known.work,
            tuple(known.systems.values()),
            known.reset,
            known.reason,
            internals.allowed_instances(self._app.config),
            # Nor do those who may change nothing, but of themselves, displace
            # what was changed.
            is_strange or status in (401, 403) or self._only_reads(actor),
        )

    def _only_reads(self, actor: audit.Actor) -> bool:
        if not actor.user:
            return False
        standing = self._services.accounts.standing(actor.user)
        return standing.role == roles.READ_ONLY


def _uri(environ: WSGIEnvironment) -> str:
    path = environ.get('PATH_INFO', '').encode('latin-1')
    text = parse.quote(path.decode(errors='replace'))
    return text[: bounds.URI_CHARACTERS] if text.startswith(_SERVED) else ''
