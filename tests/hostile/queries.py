# SPDX-License-Identifier: Apache-2.0
"""
Queries and headers that nobody should send, to every route of ours.

Owns which they are.  They may be refused or ignored, but fail nowhere.
"""

import itertools
import json
import urllib.parse
from collections.abc import Iterator

from hawkfish_plugin.api import queries
from tests.hostile.target import Answer, Request, Target

_VALUES = (
    *('', '.', '*', '~', '.($levels=1)', '.($levels=9)', '*(', '($levels'),
    *('0', '1', '-1', '+1', '1.5', '9' * 9, '9' * 30, 'NaN', '\u0661', ' 1'),
    *("Name eq 'a'", "Name eq 'a", 'not (Name ne null)', 'Id gt 3', '(((('),
    *("Name eq 'a' or " * 300, '(' * 3000, 'not ' * 3000, "'" * 999, 'and'),
    *('Members/Name', 'Name,', ',', '/', '@odata.id', 'a/b/c/d', '$it'),
    *('x' * 9000, '\0', '\udcff', '\ud800', '\U0001f600', '%', '%00', '<a>'),
    *('\r\nX: y', "Status/Health in ('OK')", 'length(Name) gt 1'),
)
_FIELDS = (
    *('', ' ', ',', '*', '"', 'W/"', 'W/*', '"0"', '"0", "1"', '"' * 99),
    *('x' * 9000, '\xff\xfe', '\0', ';q=', '*/*;q=x', 'a/b;q=-1', '*/*;q=9e9'),
    *('application/json;odata.metadata=none', 'application/xml', 'identity'),
    *('gzip;q=0, *;q=0', 'bytes=0-', 'bytes=9-1', 'bytes=-1,-1', 'bytes=x'),
    *('4.0', '4.01', '9', 'Thu, 32 Foo 2099 99:99:99 GMT', '[::1', 'a..b'),
    *('localhost:x', 'localhost:99999', 'a@b', '..', '\u00e9.example', '-1'),
    *('100-continue', 'chunked', 'h2c', 'null', 'http://[', 'a=b; c="'),
)
_NAMES = (
    *('Accept', 'Accept-Encoding', 'Accept-Language', 'Accept-Charset'),
    *('If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Range'),
    *('If-Unmodified-Since', 'Range', 'Host', 'Origin', 'Sec-Fetch-Site'),
    *('OData-Version', 'OData-MaxVersion', 'Prefer', 'Last-Event-ID'),
    *('Content-Type', 'Content-Encoding', 'Transfer-Encoding', 'Expect'),
    *('Connection', 'Cookie', 'Authorization', 'X-Auth-Token', 'Forwarded'),
    *('X-Forwarded-Host', 'X-Forwarded-Proto', 'Cache-Control', 'Upgrade'),
)
_EVEN_SO = frozenset((501, 503, 507))


def requests(target: Target) -> Iterator[Request]:
    """Each read of ours, with every parameter and every header."""
    parameters = list(_parameters())
    for route in target.routes():
        if route.is_ours and 'GET' in route.methods:
            for query in parameters:
                yield Request('GET', f'{route.path}?{query}')
            for name, value in itertools.product(_NAMES, _FIELDS):
                yield Request('GET', route.path, ((name, value),))


def fault(request: Request, answer: Answer) -> str | None:
    """What is wrong with the *answer* to an odd *request*."""
    if answer.status >= 500 and answer.status not in _EVEN_SO:
        return f'{answer.status}'
    if answer.status >= 400 and answer.body:
        try:
            json.loads(answer.body)['error']['@Message.ExtendedInfo']
        except (ValueError, KeyError):
            return 'no message'
    return None


def _parameters() -> Iterator[str]:
    for name in (*queries.COLLECTION, '$count', '$orderby', 'excerpt', '$'):
        for value in _VALUES:
            quoted = urllib.parse.quote(value, errors='surrogatepass')
            yield f'{urllib.parse.quote(name)}={quoted}'
        yield name
        yield f'{name}=1&{name}=2'
    yield from ('=', '&&', '%', '%zz', '?', '$top=1;$skip=1', '\xff=\xfe')
    for first, second in itertools.permutations(queries.COLLECTION, 2):
        yield f'{first}=1&{second}=1'
