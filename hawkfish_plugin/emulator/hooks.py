# SPDX-License-Identifier: Apache-2.0
"""
The hooks around every request of the emulator.

Owns their order, and what happens before a request of the emulator's own.
Whatever of ours is missing or broken, the emulator goes on; only where it
could destroy data is its request refused.
"""

import contextlib
import functools
import logging
import os
import ssl
import urllib.parse
from typing import Any

import flask

from hawkfish_plugin import bounds, exceptions, messages
from hawkfish_plugin.api import noting, queries
from hawkfish_plugin.api.access import named_system
from hawkfish_plugin.api.answers import refusal
from hawkfish_plugin.drivers import sharing
from hawkfish_plugin.emulator import (
    authentication,
    bodies,
    handles,
    headers,
    internals,
    locking,
    mending,
    origins,
    privileges,
    resources,
    routes,
    serving,
    virtual_media,
    visibility,
)
from hawkfish_plugin.redfish import aggregates
from hawkfish_plugin.redfish.common import WRITING
from hawkfish_plugin.services import ForEmulator

LOG = logging.getLogger(__name__)


def install(app: flask.Flask, services: ForEmulator) -> None:
    """
    Add the plugin's routes and hooks to *app*, the emulator; only once.

    Nothing of *services* is used before the first request, or ``app.run``.
    """
    hooks = Hooks(app, services)
    routes.register(app)
    if app.config['MAX_CONTENT_LENGTH'] is None:
        app.config['MAX_CONTENT_LENGTH'] = bounds.ANY_BODY_BYTES
    app.before_request(headers.check_odata_version)
    app.before_request(hooks.before_request)
    # The last one that is registered is the first one that is called.
    app.after_request(headers.complete)
    app.after_request(hooks.after_request)
    app.register_error_handler(exceptions.HawkFishError, refusal)
    internals.mend_denials()
    internals.mend_connections()
    internals.mend_downloads(bounds.IMAGE_BYTES, bounds.IMAGE_SECONDS)
    internals.bound_checks(
        bounds.PASSWORD_CHECKS, bounds.PASSWORD_CHECK_SECONDS
    )
    app.teardown_request(hooks.teardown_request)
    authentication.install(app, services)
    app.run = _starting(app, services)  # type: ignore[method-assign]


class Hooks:
    """What is done before and after a request of *app*, the emulator."""

    def __init__(self, app: flask.Flask, services: ForEmulator) -> None:
        self._services = services
        self._handles = handles.Handles(app)
        self._visibility = visibility.Visibility(app, services)
        self._locks = locking.RequestLocks(services)

    def before_request(self) -> flask.Response | None:
        """Prepare a request of the emulator, or answer in its place."""
        # A configuration that is invalid is told by what is ours.
        with contextlib.suppress(exceptions.ConfigurationInvalid):
            self._services.rooms.bound(
                'werkzeug.socket' not in flask.request.environ
            )
        self._services.start()
        origins.check()
        privileges.check(self._services)
        if routes.is_ours(flask.request.endpoint):
            queries.check_text()
            return None
        bodies.check()
        _note_reset()
        self._visibility.check()
        return resources.replacement() or self._prepare()

    def after_request(self, response: flask.Response) -> flask.Response:
        """Complete a response of the emulator."""
        _stay_here(response)
        _note_refused(response)
        if routes.is_ours(flask.request.endpoint):
            return response
        if mending.is_wanted(self._services):
            mending.mend(response)
        return self._visibility.filter(resources.add_links(response))

    def teardown_request(self, _error: BaseException | None) -> None:
        self._locks.release()

    def _prepare(self) -> flask.Response | None:
        try:
            self._handles.drop_stale(self._services.driver)
            if internals.is_virtual_media(flask.request):
                self._name_media()
            self._locks.acquire()
            if flask.request.endpoint == internals.VIRTUAL_MEDIA:
                self._update_media_note()
        except exceptions.HawkFishError as exc:
            if not self._locks.may_go_without(exc):
                self._locks.release()
                return refusal(exc)
            LOG.debug('Not locked: %r', messages.text(exc))
        return None

    def _name_media(self) -> None:
        """
        Let the request name the system of virtual media by its UUID.

        The emulator notes media under any name that it is asked for, whether
        there is such a system or not.
        """
        request = flask.request
        name = internals.system_of(request) or ''
        try:
            uuid = self._services.driver.resolve(name).uuid
        except exceptions.SystemNotFound:
            raise internals.not_found() from None
        except exceptions.HawkFishError as exc:
            if internals.may_note_media(flask.current_app, request):
                flask.abort(refusal(exc))
            raise
        internals.name_media_by(flask.current_app, request, uuid)

    def _update_media_note(self) -> None:
        driver = self._services.driver
        if not isinstance(driver, sharing.SharesDefinitions):
            return
        uuid = self._locks.uuid_of(internals.system_of(flask.request) or '')
        # While an operation or an insertion is going on nothing is known.
        with (
            contextlib.suppress(exceptions.SystemLocked),
            self._services.locks.media(uuid, 0),
            self._services.locks.system(uuid, 0, shared=True),
        ):
            media = driver.removable_media(uuid)
            virtual_media.update_note(flask.request, uuid, media)


def _note_reset() -> None:
    """Let the audit log say which Reset it is."""
    request = flask.request
    if request.endpoint == internals.RESET:
        kind = internals.reset_type(request)
        if kind in aggregates.RESET_TYPES:
            noting.of_request().reset = str(kind)


def _note_refused(response: flask.Response) -> None:
    """
    Let the log of a system have what was refused before that was looked at.

    But not where it is not there, or its hypervisor has just not answered.
    """
    request, known = flask.request, noting.of_request()
    identity = internals.system_of(request)
    if (
        identity is not None
        and request.method in WRITING
        and 400 <= response.status_code < 500
        and response.status_code != 404
        and not known.systems
    ):
        with contextlib.suppress(exceptions.HawkFishError):
            named_system(identity)


def _stay_here(response: flask.Response) -> None:
    """
    Let a redirection to another path be relative.

    Behind a proxy the emulator does not know by which scheme it is reached:
    a client that followed an absolute one would repeat its password in clear.
    """
    location = response.headers.get('Location', '')
    if response.status_code == 308:
        parts = urllib.parse.urlsplit(location)
        if parts.netloc == flask.request.host:
            relative = parts._replace(scheme='', netloc='')
            response.headers['Location'] = urllib.parse.urlunsplit(relative)


def _starting(app: flask.Flask, services: ForEmulator) -> Any:
    """``app.run``, but starting *services* first."""
    run = app.run

    @functools.wraps(run)
    def start_and_run(*args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault(
            'request_handler', serving.handler(services.deadlines)
        )
        if isinstance(kwargs.get('ssl_context'), ssl.SSLContext):
            serving.speak_tls_later(kwargs['ssl_context'])
        # Under --debug the outer of the two processes only watches files.
        if not app.debug or os.environ.get('WERKZEUG_RUN_MAIN'):
            services.start()
        return run(*args, **kwargs)

    return start_and_run
