# SPDX-License-Identifier: Apache-2.0
"""
Malformed bodies, for every route of ours that takes one.

Owns what makes a body malformed: from the JSON schemas of the route, or on the
way to its parser.  None of them may be accepted.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hawkfish_plugin import bounds
from hawkfish_plugin.api.validation import RequestBody
from hawkfish_plugin.redfish import uris
from tests.hostile.target import Answer, Request, Route, Target

_JSON = 'application/json'
_WRITES = ('POST', 'PATCH', 'DELETE')

# By type of JSON, as they are written.
_VALUES: Mapping[str, tuple[str, ...]] = {
    'null': ('null',),
    'boolean': ('true', 'false'),
    'integer': ('0', '-1', '42', '9' * 25, '-' + '9' * 400),
    'number': ('1.5', '-0.5', '1e300', '0.1e-9'),
    'string': ('""', '"x"', '"null"', '"0"', '"{}"', json.dumps('x' * 3000)),
    'array': ('[]', '[1]', '["x"]', '[[]]', '[{}]', f'[{"1," * 900}1]'),
    'object': ('{}', '{"a": 1}', '{"@odata.id": "x"}', '{"": {"": {}}}'),
}
# In the place of any value, of whatever type: it is no JSON, or no text.
_NEVER = (
    *('NaN', 'Infinity', '-Infinity', '1e999', '-1e999', '9' * 5000),
    *('01', '+1', '.5', '1.', '0x10', "'x'", 'x', 'undefined', 'None', ''),
    *('"\\x"', '"\\u12"', '"\t"', '"\n"', '"\0"', '"x', '[1,]', '{"a":1,}'),
    *('/* x */ 1', '1 // x', '[' * 70 + ']' * 70, '[' * 20000, '{"a":' * 5000),
)
# Halves of characters.  What only others read is passed on as it is.
_HALVES = ('"\\ud800"', '"\\udfff\\ud800"', '["\\udead"]')
_PASSED_ON = ('Message', 'MessageArgs', 'EventId', 'EventGroupId', 'Password')
_NAMES = (
    *('', ' ', 'x', '@odata', '__proto__', 'constructor', '$ref', 'é'),
    *('\\u0000', '#', '..', 'x' * 3000, 'Members', 'Actions', '\\ud800'),
)
_KINDS = (
    *('text/plain', 'text/html', 'application/xml', 'image/png', 'x', '*/*'),
    *('multipart/form-data; boundary=x', 'application/x-www-form-urlencoded'),
    *('application/octet-stream', 'application/jsonx', 'text/json'),
)


def requests(target: Target) -> Iterator[Request]:
    """Each write of ours, with every body that must not be taken."""
    for route in target.routes():
        if not route.is_ours:
            continue
        for method in _WRITES:
            if method in route.methods:
                yield from _of_route(route, method)


def fault(request: Request, answer: Answer) -> str | None:
    """What is wrong with the *answer* to a malformed *request*."""
    if not 400 <= answer.status < 500:
        return f'{answer.status}'
    try:
        found = json.loads(answer.body)['error']['@Message.ExtendedInfo']
    except (ValueError, KeyError):
        return 'no message'
    return None if found and found[0]['MessageId'] else 'no message'


def _of_route(route: Route, method: str) -> Iterator[Request]:
    def sent(text: str | bytes, kind: str = _JSON) -> Request:
        body = text.encode() if isinstance(text, str) else text
        headers = (('Content-Type', kind),)
        return Request(method, route.path, headers, body)

    example: dict[str, Any] = {'a': 1}
    for body in route.bodies:
        example = _example(body)
        for text in _with_faults(body, example):
            yield sent(text)
    text = json.dumps(example, ensure_ascii=False)
    for whole in (*_NEVER, *_wrong(('object',))):
        # Without any there is none: then it is a question of the schema.
        if whole:
            yield sent(whole)
    for broken in _broken(text.encode()):
        yield sent(broken)
    for kind in _KINDS:
        yield sent(text, kind)
        yield sent('', kind)


def _broken(text: bytes) -> Iterator[bytes]:
    """What becomes of a body on a bad way."""
    for end in range(1, len(text)):
        yield text[:end]
        for byte in (b'\xff', b'\0', b'\xc3', b'\x80', b'\x1f', b'\xf8'):
            yield text[:end] + byte + text[end + 1 :]
    for more in (b'}', b'{}', b'\0', b',', b'\xff', text):
        yield text + more
    for start in (b'\xff\xfe', b'{', b'\0', b')]}\','):
        yield start + text
    yield text + b' ' * bounds.BODY_BYTES
    yield text.decode().encode('utf-16')[:-1]
    if text != b'{}':
        # Readers differ in which of the two they take.
        yield text[:-1] + b', ' + text[1:]


def _with_faults(body: RequestBody, example: dict[str, Any]) -> Iterator[str]:
    """*example*, a sound one, with one fault in each."""
    for name in _NAMES:
        # Annotations that were read may be sent back.
        yield _spliced(example, name, '1')
    for name in body.properties:
        for other in (name.lower(), f'{name} ', f'{name}\\u0000', f'{name}@x'):
            yield _spliced(example, other, '1')
    for name in body.required:
        yield json.dumps({k: v for k, v in example.items() if k != name})
    for name, schema in body.properties.items():
        for text in (
            *(*_NEVER, *_HALVES),
            *_unfit(schema, body.definitions),
        ):
            if not _is_taken(body, name, text):
                yield _spliced(example, name, text)


def _is_taken(body: RequestBody, name: str, text: str) -> bool:
    if text in _HALVES:
        # To adopt what there is not is no fault.
        return name in _PASSED_ON or body.action == uris.ADOPT_ACTION
    # See ``api.events._as_standard``.
    return name == 'EventGroupId' and text in _VALUES['string']


def _spliced(example: dict[str, Any], name: str, text: str) -> str:
    """*example* with *text* for the value of the property *name*."""
    rest = {k: v for k, v in example.items() if k != name}
    before = json.dumps(rest)[:-1]
    return f'{before}{", " if rest else ""}"{name}": {text}}}'


def _wrong(types: tuple[str, ...]) -> Iterator[str]:
    """Values of none of *types*."""
    for kind, texts in _VALUES.items():
        if kind not in types and not (kind == 'integer' and 'number' in types):
            yield from texts


def _unfit(
    schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Iterator[str]:
    """Values that *schema* has no place for, of all that it says."""
    schema = _resolved(schema, definitions)
    if 'anyOf' in schema:
        parts = [_resolved(p, definitions) for p in schema['anyOf']]
        yield from _wrong(tuple(t for part in parts for t in _types(part)))
        return
    yield from _wrong(_types(schema))
    if 'enum' in schema:
        yield from ('"x"', '""', json.dumps(str(schema['enum'][0]) + ' '))
    if 'maximum' in schema:
        yield from (str(schema['maximum'] + 1), '9' * 25)
    if 'minimum' in schema:
        yield from (str(schema['minimum'] - 1), '-' + '9' * 25)
    if 'maxLength' in schema:
        yield json.dumps('x' * (schema['maxLength'] + 1))
    if 'maxItems' in schema:
        yield json.dumps([_fitting(schema['items'], definitions)] * 901)
    if 'items' in schema:
        for text in _unfit(schema['items'], definitions):
            yield f'[{text}]'
    for name, inner in schema.get('properties', {}).items():
        whole = _fitting(schema, definitions)
        for text in _unfit(inner, definitions):
            yield _spliced(whole, name, text)


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = schema.get('type', tuple(_VALUES))
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def _resolved(
    schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Mapping[str, Any]:
    while '$ref' in schema:
        schema = definitions[schema['$ref'].rpartition('/')[2]]
    return schema


# Sound bodies -------------------------------------------------------------

_FORMATS = {
    'destination': 'http://127.0.0.1:9/',
    'date-time': '2099-01-01T00:00:00Z',
    'duration': 'PT1S',
    'resource-uri': f'{uris.ROOT}/Systems',
    'local-uri': uris.EVENT_SERVICE,
    'full-message-id': 'HawkFish.1.0.SnapshotCreated',
    'message-id': 'HawkFish.1.0.SnapshotCreated',
}


def _example(body: RequestBody) -> dict[str, Any]:
    """A body of which each part is sound as far as its schema says."""
    return {
        name: copy.deepcopy(_fitting(schema, body.definitions))
        for name, schema in body.properties.items()
    }


def _fitting(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    schema = _resolved(schema, definitions)
    if 'anyOf' in schema:
        return _fitting(schema['anyOf'][0], definitions)
    if schema.get('format') in _FORMATS:
        return _FORMATS[schema['format']]
    if 'enum' in schema:
        return schema['enum'][0]
    kind = _types(schema)[0]
    if kind == 'array':
        return [_fitting(schema.get('items', {}), definitions)]
    if kind == 'object':
        return {
            name: _fitting(inner, definitions)
            for name, inner in schema.get('properties', {}).items()
        }
    return {
        'integer': schema.get('minimum', 1),
        'number': 1.5,
        'boolean': False,
        'string': 'a',
    }.get(kind)
