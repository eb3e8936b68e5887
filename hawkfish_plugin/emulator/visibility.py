# SPDX-License-Identifier: Apache-2.0
"""
What the emulator's own resources tell of systems that it may not serve.

Owns that they tell nothing.  The emulator hides such a system in some of its
routes; others serve it, or name it among their links.
"""

import json
import re
from typing import Any

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.allowed import permits
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.services import ForEmulator

_OF_SYSTEM = re.compile(r'/redfish/v1/(?:Systems|Managers)/([^/]+)')


class Visibility:
    """The systems that the emulator of *services* shows."""

    def __init__(self, app: flask.Flask, services: ForEmulator) -> None:
        self._app = app
        self._services = services

    def check(self) -> None:
        """Raise the emulator's own error where the request names another."""
        if self._allowed() is None:
            return
        request, named = flask.request, []
        match = _OF_SYSTEM.match(request.path)
        identity = internals.system_of(request)
        if match and identity is not None:
            named = [identity]
        elif request.endpoint == internals.SIMPLE_UPDATE:
            named = internals.update_targets(request)
        if not all(map(self._shows, named)):
            raise internals.not_found()

    def filter(self, response: flask.Response) -> flask.Response:
        """Leave links to others out of what the emulator has rendered."""
        if (
            self._allowed() is None
            or response.is_streamed
            or response.mimetype != 'application/json'
            or response.status_code != 200
        ):
            return response
        try:
            body = json.loads(response.get_data())
        except ValueError:
            return response
        shown = self._without_hidden(body)
        if shown != body:
            if 'Members' in shown:
                shown['Members@odata.count'] = len(shown['Members'])
            response.set_data(json.dumps(shown))
        return response

    def _allowed(self) -> list[str] | None:
        return internals.allowed_instances(self._app.config)

    def _without_hidden(self, value: Any) -> Any:
        if isinstance(value, list):
            return [
                self._without_hidden(item)
                for item in value
                if not self._is_hidden_link(item)
            ]
        if isinstance(value, dict):
            return {k: self._without_hidden(v) for k, v in value.items()}
        return value

    def _is_hidden_link(self, value: object) -> bool:
        uri = value.get('@odata.id') if isinstance(value, dict) else None
        match = _OF_SYSTEM.match(uri) if isinstance(uri, str) else None
        return match is not None and not self._shows(match[1])

    def _shows(self, identity: str) -> bool:
        allowed = self._allowed()
        if allowed is None or identity in allowed:
            return True
        try:
            system = self._services.driver.resolve(identity)
        except exceptions.HawkFishError:
            # One that there is not looks the same as one that is hidden.
            return False
        return permits(allowed, system)
