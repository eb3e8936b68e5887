# SPDX-License-Identifier: Apache-2.0
"""
Subscriptions to events over HTTP.

Owns the routes below ``EventService/Subscriptions`` and the parsing of what
clients may say about a subscription.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import (
    Body,
    answer,
    blueprint,
    check_if_match,
    missing,
    pointer,
    queries,
    read_body,
    service,
    told,
)
from hawkfish_plugin.events import destinations, subscriptions
from hawkfish_plugin.redfish import events as shapes

COLLECTION = '/EventService/Subscriptions'
MEMBER = f'{COLLECTION}/<subscription_id>'

MAX_CONTEXT_CHARACTERS = 256
MAX_LIST = 64
MAX_WORD_CHARACTERS = 512

_CREATE_PROPERTIES = {
    'Destination': str,
    'Protocol': str,
    'Context': str,
    'SubscriptionType': str,
    'EventFormatType': str,
    'EventTypes': list,
    'DeliveryRetryPolicy': str,
    'VerifyCertificate': bool,
    'HttpHeaders': list,
    'RegistryPrefixes': list,
    'ExcludeRegistryPrefixes': list,
    'MessageIds': list,
    'ExcludeMessageIds': list,
    'ResourceTypes': list,
    'OriginResources': list,
    'SubordinateResources': bool,
    'Severities': list,
}
_WRITABLE = {
    subscriptions.PUSHED: (
        'Context',
        'DeliveryRetryPolicy',
        'HttpHeaders',
        'VerifyCertificate',
    ),
    subscriptions.STREAMED: ('Context',),
}
_COLUMNS = {
    'Context': 'context',
    'DeliveryRetryPolicy': 'retry_policy',
    'VerifyCertificate': 'verify',
}
# What only one value, or a few, can be given for; of a list, each member.
_CHOICES = {
    'Protocol': ('Redfish',),
    'SubscriptionType': (subscriptions.PUSHED,),
    'EventFormatType': ('Event',),
    # Deprecated, but Ironic always sends it. It filters nothing.
    'EventTypes': shapes.EVENT_TYPES,
    'DeliveryRetryPolicy': subscriptions.RETRY_POLICIES,
    'RegistryPrefixes': shapes.REGISTRY_PREFIXES,
    'ExcludeRegistryPrefixes': shapes.REGISTRY_PREFIXES,
    'ResourceTypes': shapes.RESOURCE_TYPES,
    'Severities': shapes.SEVERITIES,
}
_FILTERS = (
    'RegistryPrefixes',
    'ExcludeRegistryPrefixes',
    'MessageIds',
    'ExcludeMessageIds',
    'ResourceTypes',
    'Severities',
)
_MESSAGE_ID = re.compile(r'\w+\.(\d+\.\d+\.(\d+\.)?)?\w+', re.ASCII)
_DURATION = re.compile(
    r'P(?:(\d{1,5})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,7})M)?'
    r'(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?',
    re.ASCII,
)


@blueprint.get(COLLECTION)
def list_subscriptions() -> flask.Response:
    return answer(
        queries.listing(
            service().subscriptions.list(),
            lambda record: shapes.subscription_uri(record.id),
            shapes.destination,
            shapes.subscription_collection,
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_subscription() -> flask.Response:
    body = read_body()
    _check_types(body, _CREATE_PROPERTIES)
    for name in ('Destination', 'Protocol'):
        if name not in body:
            raise exceptions.CreateFailedMissingReqProperties(
                name, related=[pointer(name)]
            )
    _check_values(body)
    _check_destination(body['Destination'])
    if body.get('RegistryPrefixes') and body.get('MessageIds'):
        raise exceptions.PropertyValueConflict(
            'MessageIds',
            'RegistryPrefixes',
            related=['#/MessageIds', '#/RegistryPrefixes'],
        )
    created = service().subscriptions.create(
        body['Destination'],
        body.get('Context', uuid.uuid4().hex),
        body.get('DeliveryRetryPolicy', subscriptions.BACKOFF),
        body.get('VerifyCertificate', True),
        _headers(body),
        _filters(body),
    )
    return answer(
        shapes.destination(created),
        201,
        Location=shapes.subscription_uri(created.id),
    )


@blueprint.get(MEMBER)
def show_subscription(subscription_id: str) -> flask.Response:
    queries.check(())
    return answer(shapes.destination(_find(subscription_id)))


@blueprint.patch(MEMBER)
def change_subscription(subscription_id: str) -> flask.Response:
    record = _find(subscription_id)
    body = read_body()
    for name in body:
        if name not in _WRITABLE[record.type]:
            raise _not_writable(name, shapes.destination(record))
    _check_types(body, _CREATE_PROPERTIES)
    _check_values(body)
    check_if_match(shapes.destination(record))
    changes = {
        column: body[name] for name, column in _COLUMNS.items() if name in body
    }
    if 'HttpHeaders' in body:
        changes['headers'] = subscriptions.as_text(_headers(body))
    if changes:
        service().subscriptions.update(record.id, **changes)
    return answer(shapes.destination(_find(subscription_id)))


@blueprint.delete(MEMBER)
def delete_subscription(subscription_id: str) -> flask.Response:
    record = _find(subscription_id)
    read_body()
    check_if_match(shapes.destination(record))
    service().subscriptions.delete(record.id)
    return answer(None, 204)


@blueprint.post(f'{MEMBER}/Actions/<action>')
def act_on_subscription(subscription_id: str, action: str) -> flask.Response:
    record = _find(subscription_id)
    if record.type != subscriptions.PUSHED:
        raise missing()
    body = read_body()
    if action == shapes.SUSPEND:
        _check_parameters(body, action, ())
        service().subscriptions.update(record.id, suspended=True, failures=0)
    elif action == shapes.RESUME:
        _check_parameters(body, action, ('DeliverBufferedEventDuration',))
        service().subscriptions.resume(record.id, _duration(body, action))
    else:
        raise missing()
    return answer(None, 204)


def _find(subscription_id: str) -> Any:
    text = subscription_id
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise missing()
    try:
        return service().subscriptions.get(int(text))
    except exceptions.SubscriptionNotFound:
        raise missing() from None


# Parsing ------------------------------------------------------------------


def _not_writable(name: str, resource: Body) -> exceptions.HawkFishError:
    related = [pointer(name)]
    if name in resource or name in _CREATE_PROPERTIES:
        return exceptions.PropertyNotWritable(name, related=related)
    return exceptions.PropertyUnknown(name, related=related)


def _check_types(body: Body, known: dict[str, type]) -> None:
    for name, value in body.items():
        if name not in known:
            raise exceptions.PropertyUnknown(name, related=[pointer(name)])
        if not isinstance(value, known[name]):
            raise _wrong_type(value, name)
        if isinstance(value, list) and len(value) > MAX_LIST:
            raise exceptions.ArraySizeTooLong(
                name, MAX_LIST, related=[pointer(name)]
            )


def _wrong_type(value: object, name: str) -> exceptions.HawkFishError:
    return exceptions.PropertyValueTypeError(
        told(value), name, related=[pointer(name)]
    )


def _wrong_format(value: object, name: str) -> exceptions.HawkFishError:
    return exceptions.PropertyValueFormatError(
        told(value), name, related=[pointer(name)]
    )


def _check_values(body: Body) -> None:
    for name, choices in _CHOICES.items():
        value = body.get(name, [])
        for word in value if isinstance(value, list) else [value]:
            _check_choice(word, name, choices)
    for name in ('MessageIds', 'ExcludeMessageIds'):
        _check_each(body, name, _MESSAGE_ID.fullmatch)
    _check_context(body.get('Context', ''))
    _origins(body)
    _headers(body)


def _check_choice(value: object, name: str, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise _wrong_type(value, name)
    if value not in choices:
        raise exceptions.PropertyValueNotInList(
            told(value), name, related=[pointer(name)]
        )


def _check_each(
    body: Body, name: str, is_valid: Callable[[str], object]
) -> None:
    for value in body.get(name, ()):
        if not isinstance(value, str):
            raise _wrong_type(value, name)
        if len(value) > MAX_WORD_CHARACTERS or not is_valid(value):
            raise _wrong_format(value, name)


def _check_context(context: str) -> None:
    if len(context) > MAX_CONTEXT_CHARACTERS:
        raise exceptions.StringValueTooLong(
            told(context), MAX_CONTEXT_CHARACTERS, related=['#/Context']
        )
    if not context.isprintable():
        raise _wrong_format(context, 'Context')


def _check_destination(destination: str) -> None:
    if not destinations.is_valid(destination):
        raise _wrong_format(destination, 'Destination')
    allowed = service().conf.events.allowed_destinations
    if not destinations.is_allowed(destination, allowed):
        raise exceptions.DestinationNotAllowed(
            destinations.shown(destination), related=['#/Destination']
        )


def _origins(body: Body) -> list[str]:
    name = 'OriginResources'
    links = body.get(name, [])
    for link in links:
        if not (isinstance(link, dict) and set(link) == {'@odata.id'}):
            raise _wrong_type(link, name)
    uris = {name: [link['@odata.id'] for link in links]}
    _check_each(uris, name, lambda uri: uri.startswith('/redfish/v1'))
    return uris[name]


def _headers(body: Body) -> subscriptions.Headers:
    """The headers to send; of a wrong one only the name is told."""
    found = []
    for header in body.get('HttpHeaders', ()):
        if not isinstance(header, dict):
            raise _wrong_type(type(header).__name__, 'HttpHeaders')
        for name, value in header.items():
            if not isinstance(value, str):
                raise _wrong_type(name, 'HttpHeaders')
            if not destinations.is_valid_header(name, value):
                raise _wrong_format(name, 'HttpHeaders')
            found.append((name, value))
    return found


def _filters(body: Body) -> Body:
    found = {name: body[name] for name in _FILTERS if body.get(name)}
    if body.get('OriginResources'):
        found['OriginResources'] = _origins(body)
        found['SubordinateResources'] = body.get('SubordinateResources', False)
    return found


def _check_parameters(body: Body, action: str, known: tuple[str, ...]) -> None:
    for name in body:
        if name not in known:
            raise exceptions.ActionParameterUnknown(
                action, name, related=[pointer(name)]
            )


def _duration(body: Body, action: str) -> float | None:
    """The age in seconds that events may have, if any is given."""
    name = 'DeliverBufferedEventDuration'
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise exceptions.ActionParameterValueTypeError(
            told(value), name, action, related=[pointer(name)]
        )
    found = _DURATION.fullmatch(value)
    if not found or value.endswith(('P', 'T')):
        raise exceptions.ActionParameterValueFormatError(
            told(value), name, action, related=[pointer(name)]
        )
    days, hours, minutes, seconds = (float(n or 0) for n in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
