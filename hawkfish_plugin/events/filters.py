# SPDX-License-Identifier: Apache-2.0
"""
Which events a listener wants.

Owns the meaning of the filter properties of a subscription and of the
``$filter`` of a stream.  Pure: the same filter always gives the same answer
for the same event.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib import parse as url

from hawkfish_plugin import events
from hawkfish_plugin.redfish import filters as expressions

Wanted = expressions.Predicate[events.Event]

PROPERTIES = (
    'EventFormatType',
    'MessageId',
    'OriginResource',
    'RegistryPrefix',
    'ResourceType',
    'SubordinateResources',
)


def of_subscription(filters: Mapping[str, Any]) -> Wanted:
    """The filter that the filter properties of a subscription are."""

    def wanted(event: events.Event) -> bool:
        prefix, message = _prefix(event.message_id), event.message_id
        return (
            _among(filters, 'RegistryPrefixes', [prefix])
            and _among(filters, 'MessageIds', [message], _without_version)
            and not _named(filters, 'ExcludeRegistryPrefixes', [prefix])
            and not _named(
                filters, 'ExcludeMessageIds', [message], _without_version
            )
            and _among(filters, 'ResourceTypes', [event.origin.type])
            and _among(filters, 'Severities', [events.severity(event)])
            and _is_from(
                event,
                filters.get('OriginResources'),
                filters.get('SubordinateResources', False),
            )
        )

    return wanted


def _among(
    filters: Mapping[str, Any],
    name: str,
    values: Iterable[str],
    form: Callable[[str], str] = str,
) -> bool:
    return not filters.get(name) or _named(filters, name, values, form)


def _named(
    filters: Mapping[str, Any],
    name: str,
    values: Iterable[str],
    form: Callable[[str], str] = str,
) -> bool:
    named = {form(value) for value in filters.get(name) or ()}
    return any(form(value) in named for value in values)


def _prefix(message_id: str) -> str:
    return message_id.partition('.')[0]


def _without_version(message_id: str) -> str:
    # The standard wants the versions in a filter ignored.
    prefix, _, rest = message_id.partition('.')
    return f'{prefix}.{rest.rpartition(".")[2]}'


def _is_from(
    event: events.Event, resources: Iterable[str] | None, below: bool
) -> bool:
    if not resources:
        return True
    wanted = [resource.rstrip('/') for resource in resources]
    return any(
        uri == resource or (below and uri.startswith(f'{resource}/'))
        for uri in _uris(event.origin)
        for resource in wanted
    )


def _uris(origin: events.Origin) -> list[str]:
    """The origin's URI, and the one that names its system by name."""
    uris = [origin.uri]
    if origin.system:
        name = url.quote(origin.system.name, safe='')
        uris.append(
            origin.uri.replace(
                f'/Systems/{origin.system.uuid}', f'/Systems/{name}', 1
            )
        )
    return uris


def parse(text: str) -> Wanted:
    """
    The filter that the ``$filter`` of a stream is.

    Raises ValueError where it is none.
    """
    return expressions.parse(text, _Comparisons().predicate)


class _Comparisons:
    """The comparisons of one ``$filter``, of which one can affect another."""

    def __init__(self) -> None:
        self._with_subordinates = False

    def predicate(self, name: str, sign: str, literal: str) -> Wanted:
        if name not in PROPERTIES or sign not in ('eq', 'ne'):
            raise ValueError(f'not supported: {name} {sign}')
        equals = self._equals(name, literal)
        if sign == 'eq':
            # It may come behind the OriginResource that it is about.
            if (name, literal) == ('SubordinateResources', 'true'):
                self._with_subordinates = True
            return equals
        return lambda event: not equals(event)

    def _equals(self, name: str, literal: str) -> Wanted:
        value = literal
        if expressions.is_quoted(literal):
            value = expressions.unquote(literal)
        if name == 'SubordinateResources':
            if value not in ('true', 'false'):
                raise ValueError(f'neither true nor false: {value}')
            # It says how an OriginResource is meant, and filters nothing.
            return lambda event: True
        if name == 'EventFormatType':
            return lambda event: value == 'Event'
        if name == 'OriginResource':
            return lambda event: _is_from(
                event, [value], self._with_subordinates
            )
        if name == 'RegistryPrefix':
            return lambda event: _prefix(event.message_id) == value
        if name == 'ResourceType':
            return lambda event: event.origin.type == value
        wanted = _without_version(value)
        return lambda event: _without_version(event.message_id) == wanted
