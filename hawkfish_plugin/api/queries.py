# SPDX-License-Identifier: Apache-2.0
"""
Query parameters.

Owns which of them are supported and in which order they take effect:
``$filter``, ``$skip``, ``$top``, then ``$expand`` and ``$select``; or ``only``
alone.  Our own collections alone support them, so the service root announces
none of them: what it announces holds for every resource of the service.
"""

import re
from collections.abc import (
    Callable,
    Container,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any, TypeVar
from urllib import parse

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.redfish import filters
from hawkfish_plugin.redfish.common import Resource

Record = TypeVar('Record')

Collection = Callable[[Sequence[Resource], int], Resource]
"""Renders the collection of some members, and of how many there are."""

COLLECTION = ('$expand', '$filter', '$select', '$skip', '$top', 'only')

_SELECT = re.compile(r'[\w@.#-]+(/[\w@.#-]+)*(,[\w@.#-]+(/[\w@.#-]+)*)*')
# Without these it would be no collection.
_MEMBERS, _COUNT = 'Members', 'Members@odata.count'
_ALWAYS = (_MEMBERS, _COUNT)


def check_text() -> None:
    """
    Raise for a query that is no text.

    Servers hand it on as it came, and whoever reads it would fail.
    """
    query = flask.request.query_string
    try:
        query.decode()
    except UnicodeDecodeError:
        raise exceptions.QueryParameterValueFormatError(
            parse.quote(query)[:200], '?'
        ) from None


def check(supported: Container[str]) -> None:
    """Raise for a standard query parameter that is not *supported* here."""
    for name in flask.request.args:
        if name not in supported and (name.startswith('$') or name == 'only'):
            if name in ('$top', '$skip', 'only', '$filter'):
                raise exceptions.QueryNotSupportedOnResource()
            raise exceptions.QueryParameterUnsupported(name)


def listing(
    records: Sequence[Record],
    link: Callable[[Record], str],
    render: Callable[[Record], Resource],
    collection: Collection,
) -> Resource:
    """
    What the query asks for of a collection of *records*.

    *link* gives the URI of a record, *render* its resource.
    """
    return listing_of(
        records,
        link,
        lambda shown: ((record, render(record)) for record in shown),
        collection,
    )


def listing_of(
    records: Sequence[Record],
    link: Callable[[Record], str],
    load: Callable[[Sequence[Record]], Iterable[tuple[Record, Resource]]],
    collection: Collection,
    most: int | None = None,
    whole: bool = False,
) -> Resource:
    """
    As ``listing``, of records that are not worth reading if not shown.

    *load* gives the resources of some; those that are gone it leaves out.
    With *most*, no more are shown; *whole*, also where no $expand asks for it.
    """
    check(COLLECTION)
    only, whole = _only(), _expand() or whole
    wanted, paths = _filter(), _select()
    first, count = _window()
    if most is not None:
        count = most if count is None else min(count, most)
    found = records
    if wanted is not None:
        found = [r for r, resource in load(records) if wanted(resource)]
    if only and len(found) == 1:
        for _, resource in load(found):
            return resource
    shown = found[first:] if count is None else found[first : first + count]
    if whole:
        members = [resource for _, resource in load(shown)]
    else:
        members = [{'@odata.id': link(record)} for record in shown]
    body = collection(members, len(found))
    return body if paths is None else _selected(body, paths)


def pages_of(
    records: Sequence[Record],
    load: Callable[[Sequence[Record]], Iterable[tuple[Record, Resource]]],
    collection: Collection,
    most: int,
) -> Resource:
    """
    As ``listing_of``, but with whole members, and *most* of them at a time.

    Further ones are on the page that the response links to.
    """
    body = listing_of(records, str, load, collection, most, whole=True)
    first, count = _window()
    following = first + most
    is_last = count is not None and count <= most
    if is_last or following >= body.get(_COUNT, 0):
        return body
    args = {**flask.request.args, '$skip': str(following)}
    if count is not None:
        args['$top'] = str(count - most)
    query = parse.urlencode(args, safe='$')
    uri = f'{parse.quote(flask.request.path)}?{query}'
    return {**body, f'{_MEMBERS}@odata.nextLink': uri}


def wants_links() -> bool:
    """Whether the URIs of the records are all that the query asks for."""
    check(COLLECTION)
    args = flask.request.args
    return 'only' not in args and '$filter' not in args and not _expand()


def links(uris: Sequence[str], collection: Collection) -> Resource:
    """``listing`` for a query that asks for no more than links."""
    return listing(uris, str, lambda uri: {'@odata.id': uri}, collection)


def _window() -> tuple[int, int | None]:
    """How many of the first are not wanted, and how many of the others."""
    return _whole_number('$skip') or 0, _whole_number('$top')


def _only() -> bool:
    value = flask.request.args.get('only')
    if value:
        raise exceptions.QueryParameterValueFormatError(value, 'only')
    if value is not None and set(flask.request.args) & set(COLLECTION[:-1]):
        raise exceptions.QueryCombinationInvalid()
    return value is not None


def _expand() -> bool:
    """Whether $expand asks for whole members instead of links."""
    value = flask.request.args.get('$expand')
    if value is None:
        return False
    kind, _, levels = value.partition('(')
    # '~' expands what is under Links, which no collection has.
    if kind not in ('.', '*', '~') or levels not in ('', '$levels=1)'):
        raise exceptions.QueryParameterValueFormatError(value, '$expand')
    return kind != '~'


def _filter() -> filters.Predicate[Mapping[str, Any]] | None:
    value = flask.request.args.get('$filter')
    if value is None:
        return None
    try:
        return filters.of_resource(value)
    except ValueError:
        raise exceptions.QueryParameterValueFormatError(
            value[:200], '$filter'
        ) from None


def _select() -> list[list[str]] | None:
    value = flask.request.args.get('$select')
    if value is None:
        return None
    if not _SELECT.fullmatch(value):
        raise exceptions.QueryParameterValueFormatError(value[:200], '$select')
    return [path.split('/') for path in value.split(',')]


def _whole_number(name: str) -> int | None:
    value = flask.request.args.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise exceptions.QueryParameterValueFormatError(value[:200], name)
    return int(value)


def _selected(body: Resource, paths: list[list[str]]) -> Resource:
    """
    Of *body*, what *paths* lead to, and the annotations on the way.

    ``Members/Name`` leads to the names of expanded members.
    """
    kept = _pick(body, paths)
    return {
        name: kept.get(name, value)
        for name, value in body.items()
        if name in kept or name in _ALWAYS
    }


def _pick(value: Any, paths: list[list[str]]) -> Any:
    if not all(paths):
        return value
    if isinstance(value, list):
        return [_pick(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    below: dict[str, list[list[str]]] = {}
    for head, *tail in paths:
        below.setdefault(head, []).append(tail)
    return {
        name: _pick(item, below[name]) if name in below else item
        for name, item in value.items()
        if name in below or name.startswith('@odata.')
    }
