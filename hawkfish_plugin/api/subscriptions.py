# SPDX-License-Identifier: Apache-2.0
"""
Subscriptions to events over HTTP.

Owns the routes below ``EventService/Subscriptions``, and what the bodies of
their requests may hold.
"""

import contextlib
import functools
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib import parse

import flask

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.api import asking, queries, validation
from hawkfish_plugin.api.access import (
    check_if_match,
    find_number,
    found_by_uri,
    missing,
    services,
)
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body, unquoted
from hawkfish_plugin.api.validation import RequestBody, Schema, read_nothing
from hawkfish_plugin.events import destinations, subscriptions
from hawkfish_plugin.redfish import durations, events, uris
from hawkfish_plugin.redfish.common import Resource

COLLECTION = '/EventService/Subscriptions'
MEMBER = f'{COLLECTION}/<subscription_id>'

_MAX_MEMBERS = 64
_MAX_MEMBER_CHARACTERS = 512

_MESSAGE_ID = re.compile(r'\w+\.(\d+\.\d+\.(\d+\.)?)?\w+', re.ASCII)


# What may be in a body ----------------------------------------------------


def _is_message_id(text: str) -> bool:
    return len(text) <= _MAX_MEMBER_CHARACTERS and bool(
        _MESSAGE_ID.fullmatch(text)
    )


def _is_resource(text: str) -> bool:
    return len(text) <= _MAX_MEMBER_CHARACTERS and text.startswith(uris.ROOT)


validation.add_format('destination', destinations.is_valid)
validation.add_format('message-id', _is_message_id)
validation.add_format('resource-uri', _is_resource)
validation.add_format('duration', durations.is_valid)


def _choice(*values: str) -> Schema:
    return {'type': 'string', 'enum': values}


def _list(items: Schema) -> dict[str, Any]:
    return {'type': 'array', 'maxItems': _MAX_MEMBERS, 'items': items}


_NAME = {'type': 'string', 'maxLength': 256, 'format': 'printable'}
# Whatever a client names in these, see ``_without_unknown``.
_OPEN_LISTS = {
    'RegistryPrefixes': events.REGISTRY_PREFIXES,
    'ExcludeRegistryPrefixes': events.REGISTRY_PREFIXES,
    'ResourceTypes': events.RESOURCE_TYPES,
}
_LINK = {
    'type': 'object',
    'properties': {'@odata.id': {'type': 'string', 'format': 'resource-uri'}},
    'required': ['@odata.id'],
    'additionalProperties': False,
}
_WRITABLE: Mapping[str, Schema] = {
    'Context': {'type': 'string', 'maxLength': 256, 'format': 'printable'},
    'DeliveryRetryPolicy': _choice(*subscriptions.RETRY_POLICIES),
    'VerifyCertificate': {'type': 'boolean'},
    'HttpHeaders': {
        **_list(
            {'type': 'object', 'additionalProperties': {'type': 'string'}}
        ),
        'secret': True,
    },
}
_CREATE = RequestBody(
    {
        **_WRITABLE,
        'Destination': {'type': 'string', 'format': 'destination'},
        'Protocol': _choice('Redfish'),
        'SubscriptionType': _choice(subscriptions.PUSHED),
        'EventFormatType': _choice('Event'),
        # Deprecated, but Ironic always sends it.  It filters nothing.
        'EventTypes': _list(_choice(*events.EVENT_TYPES)),
        'RegistryPrefixes': _list(_NAME),
        'ExcludeRegistryPrefixes': _list(_NAME),
        'MessageIds': _list({'type': 'string', 'format': 'message-id'}),
        'ExcludeMessageIds': _list({'type': 'string', 'format': 'message-id'}),
        'ResourceTypes': _list(_NAME),
        'OriginResources': _list(_LINK),
        'SubordinateResources': {'type': 'boolean'},
        'Severities': _list(_choice(*events.SEVERITIES)),
    },
    required=('Destination', 'Protocol'),
    missing=exceptions.CreateFailedMissingReqProperties,
)
_READ_ONLY = frozenset(_CREATE.properties)
_CHANGE = {
    subscriptions.PUSHED: RequestBody(_WRITABLE, read_only=_READ_ONLY),
    subscriptions.STREAMED: RequestBody(
        {'Context': _WRITABLE['Context']}, read_only=_READ_ONLY
    ),
}
_SUSPEND = RequestBody({}, action=uris.SUSPEND_ACTION)
RESUME = RequestBody(
    {
        'DeliverBufferedEventDuration': {
            'type': ['string', 'null'],
            'format': 'duration',
        }
    },
    action=uris.RESUME_ACTION,
)

_COLUMNS = {
    'Context': 'context',
    'DeliveryRetryPolicy': 'retry_policy',
    'VerifyCertificate': 'verify',
}
_FILTERS = (
    'RegistryPrefixes',
    'ExcludeRegistryPrefixes',
    'MessageIds',
    'ExcludeMessageIds',
    'ResourceTypes',
    'Severities',
)


def _destination_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    destination = body.get('Destination')
    allowed = services().conf.events.allowed_destinations
    if destination and not destinations.is_allowed(destination, allowed):
        yield exceptions.DestinationNotAllowed(
            destinations.shown(destination), related=['#/Destination']
        )


def _header_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    """Those of a header tell its name, and never its value."""
    for name, value in _headers(body):
        if not destinations.is_valid_header(name, value):
            yield exceptions.PropertyValueFormatError(
                unquoted(name), 'HttpHeaders', related=['#/HttpHeaders']
            )


def _conflicts(body: Body) -> Iterator[exceptions.HawkFishError]:
    if body.get('RegistryPrefixes') and body.get('MessageIds'):
        yield exceptions.PropertyValueConflict(
            'MessageIds',
            'RegistryPrefixes',
            related=['#/MessageIds', '#/RegistryPrefixes'],
        )


def _read() -> Body:
    """The body; where it has one object of headers, in a list of that."""
    body = read_body()
    headers = body.get('HttpHeaders')
    # So does gofish.
    if isinstance(headers, dict):
        body['HttpHeaders'] = [headers]
    return body


def _without_unknown(body: Body) -> tuple[Body, Resource]:
    """
    Leave out what the service does not have, and tell what that is.

    Clients list all that they understand, whatever the service.  Where nothing
    of it is left the list stays, as it says what is wanted: no event at all.
    An empty one would be all events, unless it excludes them.  The second
    value are annotations for the answer.
    """
    changed, told = dict(body), {}
    for name, known in _OPEN_LISTS.items():
        listed = body.get(name)
        if not isinstance(listed, list) or not all(
            isinstance(i, str) for i in listed
        ):
            continue
        kept = [i for i in listed if i in known]
        if kept == listed:
            continue
        excluded = name == 'ExcludeRegistryPrefixes'
        changed[name] = kept if excluded else kept or listed
        told[f'{name}@Message.ExtendedInfo'] = [
            entry
            for unknown in listed
            if unknown not in known
            for entry in messages.of_error(
                exceptions.PropertyValueNotInList(unquoted(unknown), name)
            )
        ]
    return changed, told


# Routes -------------------------------------------------------------------


@blueprint.get(COLLECTION)
def list_subscriptions() -> flask.Response:
    conf = services().conf.events
    most = conf.max_subscriptions + conf.max_streams
    return answer(
        queries.listing(
            [s for s in services().subscriptions.list() if _may_show(s)],
            lambda record: uris.subscription_uri(record.id),
            events.destination,
            functools.partial(events.subscription_collection, most),
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_subscription() -> flask.Response:
    body, told = _without_unknown(_read())
    _CREATE.check(body, _destination_errors, _header_errors, _conflicts)
    created = services().subscriptions.create(
        body['Destination'],
        body.get('Context', uuid.uuid4().hex),
        body.get('DeliveryRetryPolicy', subscriptions.BACKOFF),
        body.get('VerifyCertificate', True),
        _headers(body),
        _filters(body),
        services().allowed.own(),
        asking.owner(),
    )
    return answer(
        events.destination(created) | told,
        201,
        Location=uris.subscription_uri(created.id),
    )


@blueprint.get(MEMBER)
def show_subscription(subscription_id: str) -> flask.Response:
    queries.check(())
    return answer(events.destination(_find(subscription_id)))


@blueprint.patch(MEMBER)
def change_subscription(subscription_id: str) -> flask.Response:
    record = _find(subscription_id)
    body = _read()
    resource = events.destination(record)
    _CHANGE[record.type].check(body, _header_errors, resource=resource)
    changes = {
        column: body[name] for name, column in _COLUMNS.items() if name in body
    }
    if 'HttpHeaders' in body:
        changes['headers'] = subscriptions.as_text(_headers(body))
    with _missing():
        services().subscriptions.change(record.id, _check_if_match, changes)
    return answer(events.destination(_find(subscription_id)))


@blueprint.delete(MEMBER)
def delete_subscription(subscription_id: str) -> flask.Response:
    record = _find(subscription_id)
    read_nothing()
    with _missing():
        services().subscriptions.remove(record.id, _check_if_match)
    return answer(None, 204)


@blueprint.post(f'{MEMBER}/Actions/<action>')
def act_on_subscription(subscription_id: str, action: str) -> flask.Response:
    record = _find(subscription_id)
    if record.type != subscriptions.PUSHED:
        raise missing()
    body = read_body()
    if action == uris.SUSPEND_ACTION:
        _SUSPEND.check(body)
        services().subscriptions.update(record.id, suspended=True, failures=0)
    elif action == uris.RESUME_ACTION:
        RESUME.check(body)
        services().subscriptions.resume(record.id, _duration(body))
    else:
        raise missing()
    return answer(None, 204)


def _check_if_match(record: subscriptions.Subscription) -> None:
    check_if_match(lambda: events.destination(record))


@contextlib.contextmanager
def _missing() -> Iterator[None]:
    with found_by_uri(exceptions.SubscriptionNotFound):
        yield


def _find(subscription_id: str) -> subscriptions.Subscription:
    with _missing():
        found = services().subscriptions.get(find_number(subscription_id))
    if not _may_show(found):
        raise missing()
    return found


def _may_show(record: subscriptions.Subscription) -> bool:
    """
    Whether *record* names no system that the emulator may not serve.

    What a client of this emulator has named itself tells it nothing: nor is
    it told whether there is such a system.
    """
    own = services().allowed.own()
    if own is None or set(record.allowed or ('',)) <= set(own):
        return True
    named = record.filters.get('OriginResources', ())
    return all(_is_of_served_system(uri) for uri in named)


def _is_of_served_system(uri: str) -> bool:
    prefix = f'{uris.ROOT}/Systems/'
    if not uri.startswith(prefix):
        return False
    identity = parse.unquote(uri.removeprefix(prefix).partition('/')[0])
    try:
        return services().may_serve(services().catalogue.system(identity))
    except exceptions.SystemNotFound:
        return False


# What is in a body --------------------------------------------------------


def _headers(body: Body) -> subscriptions.Headers:
    return [
        (name, value)
        for header in body.get('HttpHeaders', ())
        for name, value in header.items()
    ]


def _filters(body: Body) -> Body:
    found = {name: body[name] for name in _FILTERS if body.get(name)}
    if body.get('OriginResources'):
        found['OriginResources'] = [
            link['@odata.id'] for link in body['OriginResources']
        ]
        found['SubordinateResources'] = body.get('SubordinateResources', False)
    return found


def _duration(body: Body) -> float | None:
    """The age in seconds that events may have, where one is given."""
    text = body.get('DeliverBufferedEventDuration')
    return None if text is None else durations.seconds(text)
