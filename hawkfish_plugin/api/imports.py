# SPDX-License-Identifier: Apache-2.0
"""
Imports over HTTP: a bundle is pushed to one URI.

As ``HttpPushUri`` of Redfish's UpdateService, and for its reason: a body that
is no JSON, and as long as it is, belongs to no resource.  Owns how it is read:
in parts, each of which has to come in time, and never as a whole.
"""

import contextlib
import time

import flask

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.api.access import named_system, payload, services
from hawkfish_plugin.api.answers import accepted
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.receiving import ImportOptions
from hawkfish_plugin.redfish import uris

_TAR = ('application/x-tar', 'application/octet-stream')
_PARAMETERS = (
    'Name',
    'Pool',
    'Start',
    'Prefix',
    'KeepIdentity',
    'Memory',
    'Over',
)
# What says how a new system is made.
_ONLY_NEW = frozenset(('Name', 'Pool', 'Prefix', 'KeepIdentity'))
_BOOLEANS = {'true': True, 'false': False}
# What is read of a bundle that was refused: a client that still sends would
# not see why.
_DRAINED_BYTES, _DRAINED_SECONDS = 256 * 2**20, 10.0
_PART_BYTES = 2**20


@blueprint.post(uris.IMPORT.removeprefix(uris.ROOT))
def import_bundle() -> flask.Response:
    request, room = flask.request, services().rooms.transfers
    options = _options()
    if request.mimetype not in _TAR:
        raise exceptions.UnsupportedMediaType(request.mimetype)
    length = request.content_length
    if length is None:
        raise exceptions.LengthRequired()
    if not room.enter():
        raise exceptions.TooManyTransfers(room.most)
    body = _Body(length)
    try:
        task = services().receiving.receive(
            body.read, length, options, _payload(options)
        )
    except exceptions.HawkFishError:
        body.drain()
        raise
    finally:
        room.leave()
    return accepted(task)


def _options() -> ImportOptions:
    given = flask.request.args
    for name in given:
        if name not in _PARAMETERS:
            raise exceptions.QueryParameterUnsupported(name[:200])
    return ImportOptions(
        given.get('Name'),
        given.get('Pool'),
        _boolean('Start'),
        given.get('Prefix', ''),
        _boolean('KeepIdentity'),
        _boolean('Memory'),
        _over(),
    )


def _over() -> contract.System | None:
    """The system that the bundle goes over; raises SystemNotFound."""
    given = flask.request.args
    if 'Over' not in given:
        return None
    if not _ONLY_NEW.isdisjoint(given):
        raise exceptions.QueryCombinationInvalid()
    return named_system(given['Over'])


def _boolean(name: str) -> bool:
    text = flask.request.args.get(name, 'false')
    if text not in _BOOLEANS:
        raise exceptions.QueryParameterValueFormatError(text[:200], name)
    return _BOOLEANS[text]


def _payload(options: ImportOptions) -> Body:
    asked = {
        'Name': options.name,
        'Pool': options.pool,
        'Start': options.start,
        'Prefix': options.prefix,
        'KeepIdentity': options.keep,
        'Memory': options.memory,
        'Over': options.over and options.over.name,
    }
    return payload(asked)


class _Body:
    """The *length* bytes of the request's body."""

    def __init__(self, length: int) -> None:
        # Flask's own stream has the bound of bodies that are read as a whole.
        self._stream = flask.request.environ['wsgi.input']
        self._left = length

    def read(self, most: int) -> bytes:
        """At most so many bytes; none at the end, or where it broke."""
        count = min(most, self._left, _PART_BYTES)
        if not count:
            return b''
        # The time that a body may take is for each part of this one.
        with contextlib.suppress(AttributeError):
            self._stream.renew(bounds.REQUEST_SECONDS)
        try:
            part: bytes = self._stream.read(count)
        except (OSError, ValueError):
            part = b''
        self._left = self._left - len(part) if part else 0
        return part

    def drain(self) -> None:
        """Read what the client still sends, for a while."""
        until = time.monotonic() + _DRAINED_SECONDS
        drained = 0
        while drained < _DRAINED_BYTES and time.monotonic() < until:
            part = self.read(_PART_BYTES)
            if not part:
                return
            drained += len(part)
