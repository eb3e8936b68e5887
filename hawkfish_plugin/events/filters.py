# SPDX-License-Identifier: Apache-2.0
"""
Which events a listener wants.

Owns the meaning of the filter properties of a subscription and of the
``$filter`` of a stream.  Pure functions: the same event and the same filter
always say the same.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib import parse as url

from hawkfish_plugin import events

Wanted = Callable[[events.Event], bool]

PROPERTIES = (
    'EventFormatType',
    'MessageId',
    'OriginResource',
    'RegistryPrefix',
    'ResourceType',
    'SubordinateResources',
)

_TOKEN = re.compile(r"\s*([()]|'(?:[^']|'')*'|[^\s()']+)")
_MAX_DEPTH = 20


def of_subscription(filters: Mapping[str, Any]) -> Wanted:
    """What the filter properties of a subscription let through."""

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
        uri == resource or below and uri.startswith(f'{resource}/')
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
    What a ``$filter`` lets through: ``eq``, ``ne``, ``and``, ``or``, ``not``
    and brackets.

    Raises ValueError where it is none.
    """
    return _Parser(text).whole()


class _Parser:
    """A ``$filter``, read from left to right; ``and`` binds before ``or``."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._depth = 0
        self._below = any(
            self._tokens[at : at + 3] == ['SubordinateResources', 'eq', 'true']
            for at in range(len(self._tokens))
        )

    def whole(self) -> Wanted:
        wanted = self._either()
        if self._tokens:
            raise ValueError(self._tokens[0])
        return wanted

    def _next(self) -> str:
        if not self._tokens:
            raise ValueError('it ends too early')
        return self._tokens.pop(0)

    def _take(self, word: str) -> bool:
        if self._tokens[:1] != [word]:
            return False
        self._tokens.pop(0)
        return True

    def _either(self) -> Wanted:
        choices = [self._both()]
        while self._take('or'):
            choices.append(self._both())
        return lambda event: any(wanted(event) for wanted in choices)

    def _both(self) -> Wanted:
        parts = [self._single()]
        while self._take('and'):
            parts.append(self._single())
        return lambda event: all(wanted(event) for wanted in parts)

    def _single(self) -> Wanted:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError('it is too deep')
        try:
            if self._take('not'):
                wanted = self._single()
                return lambda event: not wanted(event)
            if self._take('('):
                wanted = self._either()
                if self._next() != ')':
                    raise ValueError('a bracket is not closed')
                return wanted
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Wanted:
        name, operator, value = self._next(), self._next(), self._next()
        if name not in PROPERTIES or operator not in ('eq', 'ne'):
            raise ValueError(name)
        if value in ('(', ')'):
            raise ValueError(value)
        if value.startswith("'"):
            value = value[1:-1].replace("''", "'")
        equals = self._equals(name, value)
        if operator == 'eq':
            return equals
        return lambda event: not equals(event)

    def _equals(self, name: str, value: str) -> Wanted:
        if name == 'SubordinateResources':
            if value not in ('true', 'false'):
                raise ValueError(value)
            # It says how an OriginResource is meant, and filters nothing.
            return lambda event: True
        if name == 'EventFormatType':
            return lambda event: value == 'Event'
        if name == 'OriginResource':
            return lambda event: _is_from(event, [value], self._below)
        if name == 'RegistryPrefix':
            return lambda event: _prefix(event.message_id) == value
        if name == 'ResourceType':
            return lambda event: event.origin.type == value
        wanted = _without_version(value)
        return lambda event: _without_version(event.message_id) == wanted


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise ValueError(text[at:])
        tokens.append(found[1])
        at = found.end()
    return tokens
