# SPDX-License-Identifier: Apache-2.0
"""
The page for a browser.

Owns how the files of ``hawkfish_plugin/page`` are served below ``/hawkfish/``:
to everybody, as they hold nothing of the systems, and under a policy that lets
a browser run nothing else.  Whatever the page shows or does goes through the
Redfish API, with a token of the session service.
"""

import importlib.resources
import pathlib

import flask

from hawkfish_plugin.api.access import check_if_match, missing

PATH = '/hawkfish'

_FOLDER = importlib.resources.files('hawkfish_plugin') / 'page'
_START = 'index.html'
# What the system has for them differs, and a browser believes nothing else.
_TYPES = {
    '.css': 'text/css; charset=utf-8',
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
}
_FILES = {file.name: file for file in _FOLDER.iterdir()}

PATHS = frozenset((PATH, *(f'{PATH}/{name}' for name in _FILES)))
"""What there is, without a last slash."""

_HEADERS = {
    'Content-Security-Policy': '; '.join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    # Asked for again each time, so that no page is of two releases.
    'Cache-Control': 'no-cache',
}

blueprint = flask.Blueprint('hawkfish-page', __name__, url_prefix=PATH)


@blueprint.get('/')
def show_page() -> flask.Response:
    if not flask.request.path.endswith('/'):
        # The emulator takes either, but links are relative to a folder.
        found = flask.Response(status=308)
        found.headers['Location'] = f'{PATH.strip("/")}/'
        return found
    return show_file(_START)


@blueprint.get('/<file>')
def show_file(file: str) -> flask.Response:
    if file not in _FILES:
        raise missing()
    response = flask.Response(
        _FILES[file].read_bytes(),
        content_type=_TYPES[pathlib.PurePath(file).suffix],
    )
    response.headers.update(_HEADERS)
    response.add_etag()
    check_if_match(lambda: {'@odata.etag': response.headers['ETag']})
    environ = dict(flask.request.environ)
    environ.pop('HTTP_IF_MATCH', None)
    response.make_conditional(environ)
    return response
