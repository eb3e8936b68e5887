# SPDX-License-Identifier: Apache-2.0
"""
Destinations of events that lead where they must not.

Owns the ways in which a URL looks like an allowed one and is none, and what a
receiver answers to have the events, or a request of the emulator's, go on to
somebody else.
"""

import contextlib
import itertools
import json
from collections.abc import Iterator

from hawkfish_plugin import services
from tests.hostile.target import ROOT, Request, Target
from tests.unit.receiver import Receiver
from tests.waiting import wait_for

SUBSCRIPTIONS = f'{ROOT}/EventService/Subscriptions'
_GOOD = 'events.example'
_ALLOWED = [f'https://{_GOOD}/ok/', '10.0.0.*', '[fd00:*]', f'*.{_GOOD}']
_EVIL = (
    *('evil.example', '127.0.0.1', 'localhost', 'LOCALHOST', 'localhost.'),
    *('127.1', '0', '2130706433', '0x7f000001', '017700000001', '127.0.1'),
    *('[::1]', '[::ffff:127.0.0.1]', '[::ffff:10.0.0.1]', '[::]'),
    *('169.254.169.254', '10.0.1.1', '110.0.0.1', '10.0.0.evil.example'),
    *('10.0.0', '10.0.0.1x', '0xa.0.0.1', '[fd01::1]', '[fd00.evil.example]'),
    *(f'{_GOOD}.evil.example', f'evil-{_GOOD}', f'{_GOOD}evil'),
    *('10.0.0.1.evil.example', 'events.exampl', f'evil\u3002{_GOOD}'),
    *('\u2460\u2461\u2466.0.0.1', '\uff11\uff10.0.0.1'),
)
_FORMS = (
    *('http://{e}/', 'https://{e}/ok/', 'HTTP://{e}/', 'http://{e}:80/ok/'),
    *('http://{g}@{e}/', 'https://{g}:443@{e}/ok/', 'http://{e}@{g}/'),
    *('http://{e}:x@{a}/', 'http://{g}%40{e}/', 'http://{e}\\@{a}/'),
    *('http://{e}\\{a}/', 'http://{e}#@{a}/', 'http://{a}#@{e}/', '//{e}/'),
    *('http://{e}?@{a}/', 'http://{e};{a}/', 'http://{e},{a}/', 'http:{e}'),
    *('http://{e} {a}/', 'http://{e}\t/', 'http://{e}\r\nHost: {a}/', '{e}'),
    *('http://{e}%00.{g}/', 'http://{e}%2f{g}/', 'http://{e}[::1]/'),
    *('http://[{e}]/', 'http://{a}:80@{e}', 'http://{e}:99999/', 'http:/{e}'),
    *('http://{e}:-1/', 'http://{e}:0/', 'http://{e}:0x50/', 'http:\\\\{e}/'),
    *('ftp://{e}/', 'file://{e}/etc/passwd', 'gopher://{e}:25/_x', 'ws://{e}'),
    *('unix://{e}', 'http+unix://{e}/', 'data:text/plain,{e}', 'https:///{e}'),
    *('javascript://{e}/', 'ldap://{e}/', 'jar:http://{e}!/', 'dict://{e}:1/'),
)
_PATHS = (
    *('', '/', '/okx', '/ok/../x', '/ok/./../x', '/ok/%2e%2e/x', '/OK/'),
    *('/ok/%2e./x', '/ok/..%2fx', '/ok\\..\\x', '/x/ok/', '/%6fk/', '//ok/'),
    *('?/ok/', '#/ok/', ';/ok/', ':444/ok/', ':80/ok/', '@evil.example/ok/'),
)
_HEADERS = (
    *(('Host', 'evil'), ('Content-Length', '0'), ('a b', 'x'), ('', 'x')),
    *(('Transfer-Encoding', 'chunked'), ('X\r\nY', 'x'), ('X', 'a\r\nY: b')),
    *(('X', 'a\nb'), ('X', 'a\0b'), ('X', '\u00e9'), ('Connection', 'x')),
    *(('Proxy-Authorization', 'x'), ('X:', 'y'), ('Upgrade', 'h2c')),
)
# Where a receiver points to; each is followed by somebody.
_STATUSES = (300, 301, 302, 303, 305, 307, 308, 201, 401, 407, 426)


@contextlib.contextmanager
def restricted(target: Target) -> Iterator[None]:
    """In the block, only a few destinations are allowed."""
    options = services.of(target.app).conf
    options.set_override('allowed_destinations', _ALLOWED, 'events')
    try:
        yield
    finally:
        options.clear_override('allowed_destinations', 'events')


def requests() -> Iterator[Request]:
    """Subscriptions that must not be made while it is ``restricted``."""
    for form, evil in itertools.product(_FORMS, _EVIL):
        for allowed in (_GOOD, '10.0.0.1', '[fd00::1]'):
            if '{a}' in form or allowed == _GOOD:
                yield _subscribe(form.format(e=evil, g=_GOOD, a=allowed))
    for scheme, path in itertools.product(('http', 'https'), _PATHS):
        yield _subscribe(f'{scheme}://{_GOOD}{path}')
    for header in _HEADERS:
        yield _subscribe(f'https://{_GOOD}/ok/', header)


def _subscribe(destination: str, *headers: tuple[str, str]) -> Request:
    body = {
        'Destination': destination,
        'Protocol': 'Redfish',
        'HttpHeaders': [{name: value} for name, value in headers],
    }
    kind = (('Content-Type', 'application/json'),)
    return Request('POST', SUBSCRIPTIONS, kind, json.dumps(body).encode())


def redirected(target: Target) -> tuple[int, list[str]]:
    """
    Let a receiver send the events elsewhere, in every way.

    Returns how many pushes it took, and what arrived elsewhere.
    """
    receiver, elsewhere = Receiver(), Receiver()
    own, other = receiver.url, elsewhere.url
    places = (other, other.removeprefix('http:'), f'{own}/../', f' {other}')
    try:
        for status, location in itertools.product(_STATUSES, places):
            receiver.status = status
            receiver.headers = {
                'Location': location,
                'Refresh': f'0; url={other}',
                'Alt-Svc': f'h2="127.0.0.1:{elsewhere.port}"',
                'WWW-Authenticate': 'Basic realm="x"',
            }
            _push(target, receiver)
        return len(receiver.pushes), [str(push) for push in elsewhere.pushes]
    finally:
        receiver.stop()
        elsewhere.stop()


def _push(target: Target, receiver: Receiver) -> None:
    """Have one event pushed to *receiver*."""
    made, count = target.ask(_subscribe(receiver.url)), len(receiver.pushes)
    assert made.status == 201, made
    _submit(target)
    wait_for(lambda: len(receiver.pushes) > count, 'a push')
    target.ask(Request('DELETE', made.headers['Location']))


def _submit(target: Target) -> None:
    path = f'{ROOT}/EventService/Actions/EventService.SubmitTestEvent'
    body = json.dumps({'MessageId': 'HawkFish.1.0.SnapshotCreated'})
    kind = (('Content-Type', 'application/json'),)
    answer = target.ask(Request('POST', path, kind, body.encode()))
    assert answer.status == 204, answer
