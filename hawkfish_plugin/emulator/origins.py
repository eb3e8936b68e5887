# SPDX-License-Identifier: Apache-2.0
"""
Requests that a browser sends on behalf of another site.

Owns their refusal, for the emulator's resources as well: a browser adds the
password that its user has given, whichever site makes it send a request.  What
only reads is let pass, as the other site cannot see it; a stream is not, as it
occupies a thread.
"""

from urllib import parse

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.redfish.common import READING

_HARMLESS = (*READING, 'OPTIONS')
_STREAM = 'hawkfish.stream_events'
_OWN = ('same-origin', 'none')


def check() -> None:
    """Raise ForeignOrigin where the request is another site's."""
    request = flask.request
    if request.method in _HARMLESS and request.endpoint != _STREAM:
        return
    site = request.headers.get('Sec-Fetch-Site')
    if site is not None and site not in _OWN:
        raise exceptions.ForeignOrigin(site[:100])
    origin = request.headers.get('Origin')
    if origin is not None and not _is_own(origin):
        raise exceptions.ForeignOrigin(origin[:100])


def _is_own(origin: str) -> bool:
    try:
        parts = parse.urlsplit(origin)
        # A proxy in front may speak TLS where this server does not.
        return bool(
            parts.scheme in ('http', 'https')
            and parts.netloc
            and parts.netloc.lower() == (flask.request.host or '').lower()
        )
    except ValueError:
        return False
