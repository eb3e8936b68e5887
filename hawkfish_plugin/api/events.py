# SPDX-License-Identifier: Apache-2.0
"""
The event service over HTTP.

Owns the service itself, its test events, and the stream of server-sent
events.  Subscriptions have a file of their own.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator

import flask

from hawkfish_plugin import bounds, events, exceptions, messages
from hawkfish_plugin.accounts.table import Account
from hawkfish_plugin.api import asking, queries, validation
from hawkfish_plugin.api.access import missing, services
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body, unquoted
from hawkfish_plugin.api.validation import RequestBody
from hawkfish_plugin.events import filters, streams
from hawkfish_plugin.redfish import errors, uris
from hawkfish_plugin.redfish import events as rendering
from hawkfish_plugin.redfish.common import link

_MESSAGE_ID = re.compile(r'\w+\.\d+\.\d+\.\w+', re.ASCII)


def _is_local_uri(text: str) -> bool:
    return text.isascii() and text.isprintable() and text.startswith('/')


validation.add_format(
    'full-message-id', lambda text: bool(_MESSAGE_ID.fullmatch(text))
)
validation.add_format('local-uri', _is_local_uri)
validation.add_format('int64', lambda number: abs(number) < 2**63, int)
validation.add_format(
    'strings', lambda items: all(isinstance(i, str) for i in items), list
)

_STRING = {'type': 'string'}
_SEVERITY = {**_STRING, 'enum': rendering.SEVERITIES}
SUBMIT_TEST = RequestBody(
    {
        'MessageId': {**_STRING, 'format': 'full-message-id'},
        'MessageArgs': {'type': 'array', 'format': 'strings'},
        'Message': _STRING,
        'MessageSeverity': _SEVERITY,
        'Severity': _SEVERITY,
        'EventId': _STRING,
        'EventType': {**_STRING, 'enum': rendering.EVENT_TYPES},
        'EventTimestamp': {**_STRING, 'format': 'date-time'},
        'EventGroupId': {'type': 'integer', 'format': 'int64'},
        'OriginOfCondition': {**_STRING, 'format': 'local-uri'},
    },
    required=('MessageId',),
    action=uris.SUBMIT_TEST_ACTION,
    missing=exceptions.ActionParameterMissing,
)
_TEST = RequestBody({}, action=uris.TEST_ACTION)


@blueprint.get('/EventService')
def show_event_service() -> flask.Response:
    queries.check(())
    conf = services().conf.events
    return answer(
        rendering.event_service(
            conf.delivery_retry_attempts,
            conf.delivery_retry_interval,
            filters.PROPERTIES,
        )
    )


@blueprint.post('/EventService/Actions/<action>')
def act_on_event_service(action: str) -> flask.Response:
    if action not in (uris.SUBMIT_TEST_ACTION, uris.TEST_ACTION):
        raise missing()
    body = read_body(bounds.TEST_EVENT_BYTES)
    left_out: list[exceptions.HawkFishError] = []
    if action == uris.SUBMIT_TEST_ACTION:
        body, left_out = _as_standard(body)
        SUBMIT_TEST.check(body)
        event = _test_event(body)
    else:
        _TEST.check(body)
        event = _test_event({'MessageId': messages.TEST_MESSAGE})
    services().events.submit(event)
    if left_out:
        return answer(errors.success(*left_out))
    return answer(None, 204)


def _as_standard(body: Body) -> tuple[Body, list[exceptions.HawkFishError]]:
    """
    A test event with the types of the standard, and what is left out of it.

    Clients send what no other event may have, gofish always.  A parameter
    that is null is not given.  Where there is no such message, the text is
    that of the client.  The string of gofish as EventGroupId comes with a time
    in no format; any other wrong parameter is an error.
    """
    kept = {name: value for name, value in body.items() if value is not None}
    if 'MessageId' in body:
        kept['MessageId'] = body['MessageId']
    left_out: list[exceptions.HawkFishError] = []

    def leave_out(kind: type[exceptions.HawkFishError], name: str) -> None:
        value = unquoted(str(body[name]))
        left_out.append(kind(value, name, uris.SUBMIT_TEST_ACTION))
        kept.pop(name, None)

    if isinstance(kept.get('EventGroupId'), str):
        leave_out(exceptions.ActionParameterValueTypeError, 'EventGroupId')
        if 'EventTimestamp' in kept:
            leave_out(
                exceptions.ActionParameterValueFormatError, 'EventTimestamp'
            )
    for name in ('Severity', 'MessageSeverity'):
        if kept.get(name) == 'Informational':
            leave_out(exceptions.ActionParameterValueNotInList, name)
            kept[name] = 'OK'
    named = kept.get('MessageId')
    if isinstance(named, str) and not _MESSAGE_ID.fullmatch(named):
        leave_out(exceptions.ActionParameterValueFormatError, 'MessageId')
        kept.pop('MessageArgs', None)
        kept['MessageId'] = messages.TEST_MESSAGE
    return kept, left_out


def _test_event(body: Body) -> events.NewEvent:
    given = {
        name: value
        for name, value in body.items()
        if name not in ('MessageId', 'MessageArgs')
    }
    severity = body.get('MessageSeverity', body.get('Severity'))
    if severity:
        given |= {'MessageSeverity': severity, 'Severity': severity}
    origin = events.SERVICE
    if 'OriginOfCondition' in body:
        origin = events.Origin(body['OriginOfCondition'], '')
    # Also where it is what it would be anyway: what is given tells the tests
    # from the others.
    given['OriginOfCondition'] = link(origin.uri)
    return events.NewEvent(
        body['MessageId'], body.get('MessageArgs', ()), origin, given
    )


# The stream ---------------------------------------------------------------


@blueprint.get('/EventService/SSE')
def stream_events() -> flask.Response:
    queries.check(('$filter',))
    wanted = _wanted()
    if flask.request.method == 'HEAD':
        return flask.Response(content_type='text/event-stream')
    available = services()
    if not available.rooms.streams.enter():
        raise exceptions.EventSubscriptionLimitExceeded()
    try:
        stream = streams.Stream(
            available.events,
            available.subscriptions,
            available.subscriptions.open_stream(
                _client(), uuid.uuid4().hex, asking.owner()
            ),
            _last_event_id(),
            lambda event: available.may_show(event) and wanted(event),
        )
    except BaseException:
        available.rooms.streams.leave()
        raise
    lines = _lines(stream, _may_still_listen())
    response = flask.Response(lines, content_type='text/event-stream')
    # A proxy must pass on each event as it comes.
    response.headers['X-Accel-Buffering'] = 'no'
    response.call_on_close(available.rooms.streams.leave)
    response.call_on_close(stream.close)
    return response


def _may_still_listen() -> Callable[[], bool]:
    """Whether the user of this request could still send it; for later."""
    available, owner = services(), asking.owner()
    if owner is None:
        return lambda: True

    def find() -> Account | None:
        return available.accounts.find(owner.file, owner.name)

    # Another password is another entry.
    begun = find()

    def may() -> bool:
        account = find()
        return bool(
            begun
            and account
            and account.enabled
            and account.entry == begun.entry
        )

    return may


def _lines(
    stream: streams.Stream, may_listen: Callable[[], bool]
) -> Iterator[str]:
    context = stream.subscription.context
    # An id alone: a client that loses the stream before its first event can
    # resume it too.
    yield f': hawkfish\nid: {stream.last}\n\n'
    for found in stream:
        if not may_listen():
            return
        if not found:
            yield ': hawkfish\n\n'
        for event in found:
            body = rendering.event(context, [rendering.entry(event)])
            yield f'id: {event.id}\ndata: {json.dumps(body)}\n\n'


def _wanted() -> filters.Wanted:
    text = flask.request.args.get('$filter')
    if text is None:
        return lambda event: True
    try:
        return filters.parse(text)
    except ValueError:
        raise exceptions.QueryParameterValueFormatError(
            unquoted(text), '$filter'
        ) from None


def _last_event_id() -> int | None:
    # An id that this service cannot have given is ignored.
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
