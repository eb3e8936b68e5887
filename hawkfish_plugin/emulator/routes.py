# SPDX-License-Identifier: Apache-2.0
"""
Which routes of the application are the plugin's.

Owns the list of its blueprints, and what can be told of a path from the
routes alone.
"""

import functools
from typing import Any

import flask
from werkzeug import exceptions as http_errors

from hawkfish_plugin import bounds

# Importing a file of the API is what registers its routes.
from hawkfish_plugin.api import (
    action_infos,  # noqa: F401
    aggregates,  # noqa: F401
    backups,  # noqa: F401
    events,  # noqa: F401
    exports,  # noqa: F401
    group_snapshots,  # noqa: F401
    imports,  # noqa: F401
    log,  # noqa: F401
    monitoring,
    policy,  # noqa: F401
    prefer,  # noqa: F401
    schemas,  # noqa: F401
    sessions,  # noqa: F401
    snapshots,  # noqa: F401
    subscriptions,  # noqa: F401
    summaries,  # noqa: F401
    tasks,  # noqa: F401
)
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.emulator import page

BLUEPRINTS = (blueprint, monitoring.blueprint, page.blueprint)

_NAMES = frozenset(blueprint.name for blueprint in BLUEPRINTS)


def register(app: flask.Flask) -> None:
    """Add all routes of the plugin to *app*."""
    for ours in BLUEPRINTS:
        app.register_blueprint(ours)


def is_ours(endpoint: str | None) -> bool:
    """Whether *endpoint*, of a request or a rule, is the plugin's."""
    return endpoint is not None and endpoint.partition('.')[0] in _NAMES


def is_our_path() -> bool:
    """Whether the path of the request is the plugin's, for any method."""
    if flask.request.endpoint:
        return is_ours(flask.request.endpoint)
    return any(map(is_ours, _endpoints().values()))


def allowed_methods() -> frozenset[str]:
    """The methods that some route has for the path of the request."""
    path = flask.request.path
    if len(path) > bounds.PATH_CHARACTERS:
        # What is remembered of it would be as long as a client likes.
        methods = _methods.__wrapped__(flask.current_app.url_map, path)
    else:
        methods = _methods(flask.current_app.url_map, path)
    # That knows nothing of a path whose last slash is missing.
    if not methods and flask.request.url_rule:
        methods |= flask.request.url_rule.methods or set()
    return methods - {'OPTIONS'}


@functools.lru_cache(4096)
def _methods(_routes: Any, _path: str) -> frozenset[str]:
    # All routes are tried for it; those of an application do not change.
    ours = {
        method: is_ours(endpoint)
        for method, endpoint in _endpoints().items()
        if method != 'OPTIONS'
    }
    # A resource of the emulator's may match one of our patterns as well.
    return frozenset(
        method
        for method, mine in ours.items()
        if mine == ours.get('GET', mine)
    )


def _endpoints() -> dict[str, str]:
    """The endpoints of the path of the request, by their methods."""
    try:
        adapter: Any = flask.current_app.create_url_adapter(flask.request)
        return {
            method: adapter.match(method=method)[0]
            for method in adapter.allowed_methods()
        }
    # It leads elsewhere, or its Host is none.
    except (http_errors.HTTPException, UnicodeError):
        return {}
