# SPDX-License-Identifier: Apache-2.0
"""
What is asked: requests to every route, made by hypothesis.

Owns their strategies.  They know the routes of the application and the JSON
schemas of what its bodies may hold, so that many requests get past the first
check; the rest of each is anything.
"""

import dataclasses
import json
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import flask
from hypothesis import strategies as st

from hawkfish_plugin.api import queries
from hawkfish_plugin.api.validation import RequestBody
from hawkfish_plugin.emulator import routes
from hawkfish_plugin.redfish import uris
from tests.hostile.target import bodies_of
from tests.served import FAKE_UUID

METHODS = ('GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS', 'ODD')
Schemas = Mapping[str, Sequence[RequestBody]]
# A stream has no end, and a download goes wherever it is told to.
LEFT_OUT = ('hawkfish.stream_events', 'VirtualMedia.virtual_media_insert')


@dataclasses.dataclass(frozen=True)
class Request:
    """One request as it is sent; *endpoint* says whose it is."""

    endpoint: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


_WORDS = st.sampled_from(
    [
        *('', 'a', 'b', ' ', '.', '..', '*', '/', '\\', '%', '\0', '\n'),
        *('é', '\U0001f600', '‮', "a'b", '<a>', '{0}', '$top', 'null'),
        *('0', '-1', '42', '43', '9' * 25, '1e999', '2030-01-01T00:00:00Z'),
        *('P1D', 'PT0S', 'http://127.0.0.1:9/', uris.EVENT_SERVICE),
        *('x' * 129, 'x' * 3000, FAKE_UUID, 'fake', '"0"', '*/*'),
        *(f'{uris.ROOT}/Systems/{FAKE_UUID}', f'{uris.ROOT}/Systems/fake'),
    ]
)
_TEXTS = st.one_of(_WORDS, st.text(max_size=40))
_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=True), st.booleans()
)
_ANYTHING = st.recursive(
    st.one_of(st.none(), _NUMBERS, _TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(_TEXTS, inner, max_size=4),
    ),
    max_leaves=8,
)


_FORMATS = {
    'destination': 'http://127.0.0.1:9/',
    'date-time': '2099-01-01T00:00:00Z',
    'duration': 'PT1S',
    'resource-uri': f'{uris.ROOT}/Systems',
    'local-uri': uris.EVENT_SERVICE,
    'full-message-id': 'HawkFish.1.0.SnapshotCreated',
    'message-id': 'HawkFish.1.0.SnapshotCreated',
}


def _fitting(
    schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> st.SearchStrategy[Any]:
    """Values that *schema* is likely to take."""
    if '$ref' in schema:
        name = schema['$ref'].rpartition('/')[2]
        return _fitting(definitions.get(name, {}), definitions)
    if 'anyOf' in schema:
        return st.one_of(
            [_fitting(part, definitions) for part in schema['anyOf']]
        )
    if schema.get('format') in _FORMATS:
        return st.one_of(st.just(_FORMATS[schema['format']]), _TEXTS)
    if 'enum' in schema:
        return st.sampled_from(list(schema['enum']))
    kinds = schema.get('type', 'string')
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == 'array':
        items = schema.get('items', {})
        return st.lists(_fitting(items, definitions), max_size=3)
    if kind == 'object':
        return st.fixed_dictionaries(
            {
                name: _fitting(part, definitions)
                for name, part in schema.get('properties', {}).items()
            }
        )
    return {
        'integer': st.integers(-5, 100_000),
        'number': st.floats(0, 1e6),
        'boolean': st.booleans(),
        'null': st.none(),
    }.get(kind, st.one_of(st.sampled_from('abc'), _TEXTS))


@st.composite
def _bodies(draw: st.DrawFn, endpoint: str, schemas: Schemas) -> bytes | None:
    kind = draw(st.sampled_from(['none', 'fitting', 'odd', 'any', 'raw']))
    if kind == 'none':
        return None
    if kind == 'raw':
        return draw(st.binary(max_size=200))
    if kind == 'any':
        return json.dumps(draw(_ANYTHING)).encode()
    # What takes no body gets one of others.
    other = draw(st.sampled_from(sorted(schemas)))
    schema = draw(st.sampled_from(schemas.get(endpoint, schemas[other])))
    known = st.sampled_from(sorted(schema.properties) or ['x'])
    names = draw(st.sets(known)) & schema.properties.keys()
    made = {
        name: draw(_fitting(schema.properties[name], schema.definitions))
        for name in sorted({*names, *schema.required})
    }
    if kind == 'odd':
        made |= draw(st.dictionaries(_TEXTS, _ANYTHING, max_size=2))
        for name in draw(st.sets(known)):
            made[name] = draw(_ANYTHING)
    return json.dumps(made).encode()


@st.composite
def _queries(draw: st.DrawFn) -> str:
    names = st.sampled_from([*queries.COLLECTION, '$count', 'x', '$'])
    values = st.one_of(
        st.sampled_from(
            [
                *('.', '*', '~', '.($levels=1)', '0', '1', '-1', '9' * 30),
                *("Name eq 'a'", 'not (Name ne null)', 'Id gt 3', '((((('),
                *("Name eq 'a' or" * 20, '(' * 100, 'Members/Name', 'Name'),
            ]
        ),
        _TEXTS,
    )
    pairs = draw(st.lists(st.tuples(names, values), max_size=3))
    return urllib.parse.urlencode(pairs, errors='replace')


_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *('Accept', 'If-Match', 'If-None-Match', 'OData-Version'),
                *('X-Auth-Token', 'Authorization', 'Origin', 'Host'),
                *('Sec-Fetch-Site', 'Last-Event-ID', 'Content-Type'),
                *('Accept-Encoding', 'Range', 'X-Forwarded-For', 'Cookie'),
            ]
        ),
        st.one_of(
            st.sampled_from(
                [
                    *('*', '"0"', '4.0', '9.9', 'application/json', ','),
                    *('text/plain', 'null', 'a..b', '[::1', 'Basic YQ=='),
                    *('W/"', 'bytes=0-', 'same-origin', ';q=', '*/*;q=x'),
                ]
            ),
            st.text(
                st.characters(min_codepoint=32, max_codepoint=255),
                max_size=30,
            ),
        ),
    ),
    max_size=3,
)


def requests_to(app: flask.Flask) -> st.SearchStrategy[Request]:
    """Requests to any route of *app*."""
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in LEFT_OUT and rule.endpoint != 'static'
    ]
    schemas = {
        rule.endpoint: found
        for rule in rules
        if (found := bodies_of(app.view_functions[rule.endpoint]))
    }
    actions = sorted(
        {one.action for found in schemas.values() for one in found} - {None}
    )
    # Ours are those that we can mend.
    rules += 2 * [rule for rule in rules if routes.is_ours(rule.endpoint)]
    likely = {
        'identity': st.sampled_from([FAKE_UUID, FAKE_UUID, 'fake', 'none']),
        'name': st.sampled_from(['a', 'b', 'c', 'HawkFish.1.0']),
        'file': st.sampled_from(['app.js', 'index.html', 'none']),
        'action': st.sampled_from(actions),
        'group': st.sampled_from(['a', 'b', 'group-1']),
        'task_id': st.integers(40, 80).map(str),
        'export_id': st.integers(1, 9).map(str),
        'backup_id': st.integers(1, 9).map(str),
        'subscription_id': st.integers(1, 9).map(str),
        'session_id': st.integers(1, 9).map(str),
    }

    @st.composite
    def made(draw: st.DrawFn) -> Request:
        rule = draw(st.sampled_from(rules))
        part = st.one_of(_TEXTS, st.just('a'))

        def fill(match: re.Match[str]) -> str:
            usual = likely.get(match[1], part)
            choice = st.one_of(usual, usual, usual, part)
            text = draw(choice).encode(errors='replace')
            return urllib.parse.quote(text, safe='') or 'a'

        path = re.sub(r'<(?:\w+:)?(\w+)>', fill, rule.rule)
        query = draw(_queries()) if not draw(st.integers(0, 2)) else ''
        method = draw(
            st.one_of(
                st.sampled_from(sorted(rule.methods or ())),
                st.sampled_from(METHODS),
            )
        )
        body = (
            draw(_bodies(rule.endpoint, schemas))
            if method not in ('GET', 'HEAD')
            else None
        )
        headers = draw(_HEADERS) if not draw(st.integers(0, 2)) else []
        if body and draw(st.integers(0, 9)):
            headers.append(('Content-Type', 'application/json'))
        return Request(
            rule.endpoint,
            method,
            f'{path}?{query}' if query else path,
            tuple((n, v) for n, v in headers if v == v.strip()),
            body,
        )

    return made()
