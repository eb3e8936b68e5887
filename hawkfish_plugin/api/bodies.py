# SPDX-License-Identifier: Apache-2.0
"""
The bodies of requests: their strict parsing, and how messages quote them.

``validation`` has what a body may hold.
"""

import datetime
import json
import math
import re
from typing import Any

import flask

from hawkfish_plugin import bounds, exceptions

Body = dict[str, Any]

_MAX_VALUE_CHARACTERS = 200

_MOMENT = re.compile(
    r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)',
    re.ASCII,
)


def read_body(most: int = bounds.BODY_BYTES) -> Body:
    """
    The JSON object of the request; without a body, an empty one.

    Raises RequestBodyTooLarge for one of more than *most* bytes.
    """
    if any(name.startswith('$') for name in flask.request.args):
        raise exceptions.QueryNotSupportedOnOperation()
    data = flask.request.stream.read(most + 1)
    if len(data) > most:
        raise exceptions.RequestBodyTooLarge(most)
    # Also of an empty one: a page of another site can send others.
    if flask.request.mimetype and not flask.request.is_json:
        raise exceptions.UnsupportedMediaType(flask.request.mimetype)
    if not data:
        return {}
    if not flask.request.is_json:
        raise exceptions.UnsupportedMediaType(flask.request.mimetype)
    body = parse(data)
    if not isinstance(body, dict):
        raise exceptions.MalformedJSON()
    if flask.request.method != 'PATCH':
        return body
    # Annotations that a client has read and sends back change nothing.
    return {k: v for k, v in body.items() if not k.startswith('@odata.')}


def parse(data: bytes) -> object:
    """
    The value that *data* is in JSON; raises MalformedJSON.

    Also where it is nested so deeply that what is done with it could fail, or
    has what only Python takes for a number, or one name twice, of which others
    may read the other value.
    """
    try:
        value = json.loads(
            data.decode('utf-8-sig'),
            parse_constant=_no_number,
            parse_float=_number,
            object_pairs_hook=_object,
        )
    # RecursionError: a body of many brackets.
    except (ValueError, RecursionError):
        raise exceptions.MalformedJSON() from None
    level = [value]
    for _ in range(bounds.JSON_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise exceptions.MalformedJSON()
    return value


def _object(pairs: list[tuple[str, Any]]) -> Body:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError('a name is there twice')
    return found


def _no_number(text: str) -> None:
    raise ValueError(f'no number: {text}')


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f'no number: {text}')
    return found


def moment(text: str) -> datetime.datetime:
    """The time that *text* is in Redfish's notation; raises ValueError."""
    # Python would also accept dates, and times without a zone.
    if not _MOMENT.fullmatch(text):
        raise ValueError(f'no time: {text}')
    try:
        # At the ends of the calendar a zone can lead beyond it.
        return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
    except OverflowError as exc:
        raise ValueError(f'no time: {text}') from exc


def quoted(value: object) -> str:
    """A client's value as an argument of a message, cut to a line."""
    return json.dumps(value)[:_MAX_VALUE_CHARACTERS]


def unquoted(value: object) -> str:
    """The same for a message that has quotes of its own around a text."""
    text = json.dumps(value)
    if isinstance(value, str):
        text = text[1:-1]
    return text[:_MAX_VALUE_CHARACTERS]


def pointer(name: str) -> str:
    """The JSON pointer of a property of the request."""
    return '#/' + name.replace('~', '~0').replace('/', '~1')
