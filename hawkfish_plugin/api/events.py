# SPDX-License-Identifier: Apache-2.0
"""
The event service over HTTP.

Owns the service itself, its test events, and the stream of server-sent
events.  Subscriptions have a file of their own.
"""

import contextlib
import json
import re
import socket
import struct
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import flask

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.api import (
    Body,
    answer,
    blueprint,
    missing,
    moment,
    pointer,
    queries,
    read_body,
    service,
    told,
)
from hawkfish_plugin.events import filters, streams
from hawkfish_plugin.redfish import events as shapes

MAX_FILTER_CHARACTERS = 2000

# How long a client may leave what is sent to it unread.
_SEND_SECONDS = 20

_TEST_PARAMETERS = {
    'MessageId': str,
    'MessageArgs': list,
    'Message': str,
    'MessageSeverity': str,
    'Severity': str,
    'EventId': str,
    'EventType': str,
    'EventTimestamp': str,
    'EventGroupId': int,
    'OriginOfCondition': str,
}
_MESSAGE_ID = re.compile(r'\w+\.\d+\.\d+\.\w+', re.ASCII)


@blueprint.get('/EventService')
def show_event_service() -> flask.Response:
    queries.check(())
    conf = service().conf.events
    return answer(
        shapes.event_service(
            conf.delivery_retry_attempts,
            conf.delivery_retry_interval,
            filters.PROPERTIES,
        )
    )


@blueprint.post('/EventService/Actions/<action>')
def act_on_event_service(action: str) -> flask.Response:
    if action not in (shapes.SUBMIT_TEST, shapes.TEST):
        raise missing()
    body = read_body()
    if action == shapes.SUBMIT_TEST:
        occurrence = _test_event(body)
    else:
        for name in body:
            raise exceptions.ActionParameterUnknown(
                action, name, related=[pointer(name)]
            )
        occurrence = events.Occurrence(
            messages.TEST_MESSAGE, [], events.SERVICE
        )
    service().events.submit(occurrence)
    return answer(None, 204)


def _test_event(body: Body) -> events.Occurrence:
    _check_test(body)
    given = {
        name: value
        for name, value in body.items()
        if name not in ('MessageId', 'MessageArgs')
    }
    severity = body.get('MessageSeverity', body.get('Severity'))
    if severity:
        given |= {'MessageSeverity': severity, 'Severity': severity}
    if 'OriginOfCondition' in body:
        given['OriginOfCondition'] = {'@odata.id': body['OriginOfCondition']}
    return events.Occurrence(
        body['MessageId'],
        body.get('MessageArgs', ()),
        events.Origin(body['OriginOfCondition'], '')
        if 'OriginOfCondition' in body
        else events.SERVICE,
        given,
    )


def _check_test(body: Body) -> None:
    action = shapes.SUBMIT_TEST
    for name, value in body.items():
        related = [pointer(name)]
        wanted = _TEST_PARAMETERS.get(name)
        if wanted is None:
            raise exceptions.ActionParameterUnknown(
                action, name, related=related
            )
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise exceptions.ActionParameterValueTypeError(
                told(value), name, action, related=related
            )
        among = {
            'Severity': shapes.SEVERITIES,
            'MessageSeverity': shapes.SEVERITIES,
            'EventType': shapes.EVENT_TYPES,
        }.get(name)
        if among and value not in among:
            raise exceptions.ActionParameterValueNotInList(
                told(value), name, action, related=related
            )
        if not _is_formed(name, value):
            raise exceptions.ActionParameterValueFormatError(
                told(value), name, action, related=related
            )
    if 'MessageId' not in body:
        raise exceptions.ActionParameterMissing(
            action, 'MessageId', related=['#/MessageId']
        )


def _is_formed(name: str, value: Any) -> bool:
    if name == 'MessageId':
        return bool(_MESSAGE_ID.fullmatch(value))
    if name == 'MessageArgs':
        return all(isinstance(arg, str) for arg in value)
    if name == 'OriginOfCondition':
        plain = value.isascii() and value.isprintable()
        return bool(plain and value.startswith('/'))
    if name == 'EventTimestamp':
        with contextlib.suppress(ValueError):
            return bool(moment(value))
        return False
    if name == 'EventGroupId':
        return bool(abs(value) < 2**63)
    return True


# The stream ---------------------------------------------------------------


@blueprint.get('/EventService/SSE')
def stream_events() -> flask.Response:
    queries.check(('$filter',))
    wanted = _wanted()
    if flask.request.method == 'HEAD':
        return flask.Response(content_type='text/event-stream')
    _limit_sending()
    plugin = service()
    stream = streams.Stream(
        plugin.events,
        plugin.subscriptions,
        plugin.subscriptions.open_stream(_client(), uuid.uuid4().hex),
        _last_event_id(),
        lambda event: plugin.may_show(event) and wanted(event),
    )
    response = flask.Response(_lines(stream), content_type='text/event-stream')
    # A proxy must hand on each event as it comes.
    response.headers['X-Accel-Buffering'] = 'no'
    response.call_on_close(stream.close)
    return response


def _lines(stream: streams.Stream) -> Iterator[str]:
    context = stream.subscription.context
    # An id alone: who loses the stream before its first event can say as well
    # from where to go on.
    yield f': hawkfish\nid: {stream.last}\n\n'
    for found in stream:
        if not found:
            yield ': hawkfish\n\n'
        for event in found:
            body = shapes.event(context, [shapes.entry(event)])
            yield f'id: {event.id}\ndata: {json.dumps(body)}\n\n'


def _wanted() -> filters.Wanted:
    text = flask.request.args.get('$filter')
    if text is None:
        return lambda event: True
    try:
        if len(text) > MAX_FILTER_CHARACTERS:
            raise ValueError('it is too long')
        return filters.parse(text)
    except ValueError:
        raise exceptions.QueryParameterValueFormatError(
            told(text), '$filter'
        ) from None


def _last_event_id() -> int | None:
    # One that is none of ours is ignored, as of any header of a client.
    text = flask.request.headers.get('Last-Event-ID', '')
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    return None


def _client() -> str:
    address = flask.request.remote_addr or '0.0.0.0'  # noqa: S104
    if ':' in address:
        address = f'[{address}]'
    port = flask.request.environ.get('REMOTE_PORT', 0)
    return f'redfish-sse://{address}:{port}'


def _limit_sending() -> None:
    """
    Have a client that reads nothing, or is gone, end its stream.

    Where the server does not give us the socket, its own limits hold.
    """
    environ = flask.request.environ
    client = environ.get('werkzeug.socket') or environ.get('gunicorn.socket')
    if client is None or sys.platform != 'linux':
        return
    with contextlib.suppress(OSError):
        client.setsockopt(
            socket.SOL_SOCKET,
            socket.SO_SNDTIMEO,
            struct.pack('ll', _SEND_SECONDS, 0),
        )
        client.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SEND_SECONDS * 1000
        )
