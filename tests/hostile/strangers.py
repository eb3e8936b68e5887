# SPDX-License-Identifier: Apache-2.0
"""
Ways past authentication, for every route and method.

Owns what a stranger tries, and what he may see of it: nothing but what is
open to everybody.
"""

import base64
import itertools
import posixpath
import secrets
import urllib.parse
from collections.abc import Iterator

from hawkfish_plugin.emulator import authentication
from tests.hostile.target import (
    HUSHED,
    PASSWORD,
    ROOT,
    USER,
    Answer,
    Request,
    Target,
    digest,
)

METHODS = (
    *('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
    *('TRACE', 'CONNECT', 'PROPFIND', 'get', 'GET '),
)
_REFUSED = frozenset((400, 401, 404, 405, 308))
# The emulator leaves them open for every method.
_OPEN = ('/', '/redfish', ROOT)
_LOGIN = {path for method, path in authentication.OPEN if method == 'POST'}


def requests(target: Target) -> Iterator[Request]:
    """Every route, by every method, with each header or a path of a trick."""
    headers = list(_headers(target))
    for route, method in itertools.product(target.routes(), METHODS):
        for one in headers:
            yield Request(method, route.path, one)
        for path in _paths(route.path):
            yield Request(method, path)


def fault(request: Request, answer: Answer) -> str | None:
    """What is wrong with the *answer* to a stranger's *request*."""
    path = urllib.parse.unquote(request.path.partition('?')[0])
    plain = '/' + posixpath.normpath(path).strip('/')
    told = answer.text.replace(path, '')
    for way in (request.path, urllib.parse.quote(path)):
        told = told.replace(way, '')
    if HUSHED in told:
        return 'it tells what is here'
    method = request.method
    if answer.status in _REFUSED or plain in _OPEN:
        return None
    if plain in _LOGIN and method == 'POST' and answer.status in (413, 415):
        return None
    is_open = (method.upper(), plain) in authentication.OPEN
    return None if is_open else 'it is served'


def _headers(target: Target) -> Iterator[tuple[tuple[str, str], ...]]:
    """What is sent instead of a password, or of a token."""

    def basic(text: str, kind: str = 'Basic') -> str:
        encoded = base64.b64encode(text.encode('latin-1')).decode()
        return f'{kind} {encoded}'

    right = f'{USER}:{PASSWORD}'
    entry = (target.folder / 'users').read_text().strip()
    for value in (
        *('', ' ', 'Basic', 'Basic ', 'Basic  ', 'Basic =', 'Basic !!!'),
        *('Basic YQ', 'Basic YQ==', 'Basic \xff\xfe', 'Bearer', 'Digest x'),
        *(basic(':'), basic(f'{USER}:'), basic(f':{PASSWORD}'), basic(USER)),
        *(basic(f'{USER}:wrong'), basic(f'nobody:{PASSWORD}'), basic(entry)),
        *(basic(f'{USER.upper()}:{PASSWORD}'), basic(f'{right}\0')),
        *(basic(f'{right} '), basic(f'{USER}:{"x" * 100}'), basic('\0:\0')),
        *(basic(f' {right}'), basic(f'{USER}\n:{PASSWORD}')),
        *(basic(right, 'Bearer'), basic(right, 'Digest'), right),
        *(basic(right, 'Basic,'), f'Basic {right}', basic(right)[:-3]),
        *(f'Basic Basic {basic(right)}', f'Bearer {target.token}'),
        *(f'Basic {"A" * 5000}', f'x, {basic(right)}'),
    ):
        yield (('Authorization', value),)
    token = target.token
    for value in (
        *('', ' ', '0', 'null', '*', '%', "' OR 1=1 --", '\xff', '[]'),
        *(token[:-1], f'{token}x', token.swapcase(), token[::-1], 'A' * 43),
        *(digest(token), 'x' * 5000, f'{token},{token}', f'"{token}"'),
        *(target.gone, secrets.token_urlsafe(32)),
    ):
        yield (('X-Auth-Token', value),)
    yield ()
    for name, value in (
        *(('Cookie', f'X-Auth-Token={token}'), ('Cookie', 'session=admin')),
        *(('X-User', USER), ('X-User-Name', USER), ('Remote-User', USER)),
        *(('X-Remote-User', USER), ('X-Forwarded-User', USER)),
        *(('X-Forwarded-For', '127.0.0.1'), ('X-Real-IP', '127.0.0.1')),
        *(('Proxy-Authorization', basic(right)), ('Host', '127.0.0.1')),
        *(('X-Original-URL', ROOT), ('X-Rewrite-URL', f'{ROOT}/odata')),
        *(('X-HTTP-Method-Override', 'GET'), ('X-Forwarded-Prefix', ROOT)),
        *(('Origin', 'null'), ('Expect', '100-continue'), ('Upgrade', 'h2c')),
        *(('X-Authorization', basic(right)), ('Content-Length', 'x')),
        *(('X-Csrf-Token', token), ('Forwarded', 'for=127.0.0.1')),
    ):
        yield ((name, value),)


def _paths(path: str) -> Iterator[str]:
    """Other words for *path*, and ways to it from what is open."""
    below = path.removeprefix(f'{ROOT}/')
    yield from (f'/{path}', f'{path}/', f'{path}//', f'{path}/.', f'{path}/..')
    yield from (f'{path}%2f', f'{path}%00', f'{path}%20', f'{path}.json')
    yield from (f'{path};a=b', f'{path}?x', f'{path}%3fx', f'{path}%23')
    yield from (path.upper(), path.title(), path.replace('/', '//'))
    yield from (path.replace('/', '/./'), path.replace('/', '%2f'))
    yield from (path.replace('/', '\\'), path.replace('e', '%65'))
    yield from (path.replace('/redfish', '/redfish/x/..'), path[1:])
    for start in ('odata', '$metadata', 'SessionService/Sessions', ''):
        for up in ('..', '%2e%2e', '.%2e', '%2e%2e%2f..'):
            yield f'{ROOT}/{start}/{up}/{below}'
    yield f'{path}?X-Auth-Token=a&access_token=a'
    yield f'http://localhost{path}'
