# SPDX-License-Identifier: Apache-2.0
"""
Which routes of the application are the plugin's.

Owns the list of its blueprints, and what can be told of a path from the
routes alone.
"""

import functools
from urllib import parse

import flask
from werkzeug import exceptions as http_errors
from werkzeug.routing import Map

from hawkfish_plugin import bounds

# Importing a file of the API is what registers its routes.
from hawkfish_plugin.api import (
    accounts,  # noqa: F401
    action_infos,  # noqa: F401
    aggregates,  # noqa: F401
    backups,  # noqa: F401
    events,  # noqa: F401
    exports,  # noqa: F401
    group_snapshots,  # noqa: F401
    imports,  # noqa: F401
    jobs,  # noqa: F401
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
from hawkfish_plugin.emulator import internals, page

BLUEPRINTS = (blueprint, monitoring.blueprint, page.blueprint)

_NAMES = frozenset(blueprint.name for blueprint in BLUEPRINTS)


def register(app: flask.Flask) -> None:
    """Add all routes of the plugin to *app*."""
    for ours in BLUEPRINTS:
        app.register_blueprint(ours)
    internals.serve_bios_by_its_name(app)


def is_ours(endpoint: str | None) -> bool:
    """Whether *endpoint*, of a request or a rule, is the plugin's."""
    return endpoint is not None and endpoint.partition('.')[0] in _NAMES


def is_our_path() -> bool:
    """Whether the path of the request is the plugin's, for any method."""
    if flask.request.endpoint:
        return is_ours(flask.request.endpoint)
    found = _endpoints(flask.current_app.url_map, flask.request.path)
    return any(map(is_ours, found.values()))


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


def is_served(uri: str, method: str = 'GET') -> bool:
    """Whether any route of the application answers *method* on *uri*."""
    return _is_served(flask.current_app.url_map, uri, method)


@functools.lru_cache(4096)
def _is_served(url_map: Map, uri: str, method: str) -> bool:
    try:
        # What a server finds routes by is decoded.
        url_map.bind('').match(parse.unquote(uri), method)
    except (http_errors.NotFound, http_errors.MethodNotAllowed):
        return False
    # One that leads elsewhere.
    except http_errors.HTTPException:
        return True
    return True


@functools.lru_cache(4096)
def _methods(url_map: Map, path: str) -> frozenset[str]:
    # All routes are tried for it; those of an application do not change.
    ours = {
        method: is_ours(endpoint)
        for method, endpoint in _endpoints(url_map, path).items()
        if method != 'OPTIONS'
    }
    # A resource of the emulator's may match one of our patterns as well.
    return frozenset(
        method
        for method, mine in ours.items()
        if mine == ours.get('GET', mine)
    )


def _endpoints(url_map: Map, path: str) -> dict[str, str]:
    """The endpoints of *path*, by their methods, whatever host is named."""
    adapter = url_map.bind('')
    try:
        return {
            method: adapter.match(path, method)[0]
            for method in adapter.allowed_methods(path)
        }
    # It leads elsewhere.
    except http_errors.HTTPException:
        return {}
