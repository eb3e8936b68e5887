# SPDX-License-Identifier: Apache-2.0
"""
The bodies of requests: their strict parsing, and how messages quote them.

``validation`` has what a body may hold.
"""

import datetime
import json
import re
from typing import Any

import flask

from hawkfish_plugin import exceptions

Body = dict[str, Any]

MAX_BODY_BYTES = 64 * 1024
_MAX_VALUE_CHARACTERS = 200

_MOMENT = re.compile(
    r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)',
    re.ASCII,
)


def read_body() -> Body:
    """The JSON object of the request; without a body, an empty one."""
    if any(name.startswith('$') for name in flask.request.args):
        raise exceptions.QueryNotSupportedOnOperation()
    data = flask.request.stream.read(MAX_BODY_BYTES + 1)
    if len(data) > MAX_BODY_BYTES:
        raise exceptions.RequestBodyTooLarge(MAX_BODY_BYTES)
    if not data:
        return {}
    if not flask.request.is_json:
        raise exceptions.UnsupportedMediaType(flask.request.mimetype)
    try:
        body = json.loads(data)
    # RecursionError: a body of many brackets.
    except (ValueError, RecursionError):
        raise exceptions.MalformedJSON() from None
    if not isinstance(body, dict):
        raise exceptions.MalformedJSON()
    if flask.request.method != 'PATCH':
        return body
    # Annotations that a client has read and sends back change nothing.
    return {k: v for k, v in body.items() if not k.startswith('@odata.')}


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


def pointer(name: str) -> str:
    """The JSON pointer of a property of the request."""
    return '#/' + name.replace('~', '~0').replace('/', '~1')
