# SPDX-License-Identifier: Apache-2.0
"""
The emulator that is asked, in this process, and one of everything in it.

Owns how a request gets there without a client that would mend it, which
routes there are and how their arguments are filled in, and what of the state
no refused request may change.
"""

import dataclasses
import hashlib
import io
import itertools
import json
import os
import pathlib
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import werkzeug.test
from sushy_tools.emulator import main as emulator

from hawkfish_plugin import plugin, services
from hawkfish_plugin.api.validation import RequestBody
from hawkfish_plugin.emulator import routes
from hawkfish_plugin.redfish import uris
from tests.served import FAKE_UUID, fake_system, user_entry

ROOT = uris.ROOT
# No answer to a stranger may have it in it.
HUSHED = 'hushed'
USER, PASSWORD = 'admin', 'secret'

_NODES = [f'00000000-0000-4000-8000-{n:012}' for n in range(2)]
_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Request:
    """What is sent; *path* is quoted as in the request line."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """All that a client gets to see."""
        return f'{dict(self.headers)} {self.body.decode(errors="replace")}'


@dataclasses.dataclass(frozen=True)
class Route:
    """A *path* that there is, with what a write there may hold."""

    endpoint: str
    path: str
    methods: frozenset[str]
    bodies: tuple[RequestBody, ...]

    @property
    def is_ours(self) -> bool:
        return routes.is_ours(self.endpoint)


class Target:
    """
    The emulator with its state in *folder*; one for each process.

    It has systems, a group, snapshots of both, a subscription and a session.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        os.environ['OS_HAWKFISH__STATE_DIR'] = str(folder / 'hawkfish')
        # Each way past a password is to be tried, also after many others.
        os.environ['OS_ACCOUNTS__LOCKOUT_THRESHOLD'] = '0'
        self.app = emulator.app
        self.app.config |= {
            'SUSHY_EMULATOR_FAKE_DRIVER': True,
            'SUSHY_EMULATOR_STATE_DIR': str(folder),
            'SUSHY_EMULATOR_FAKE_SYSTEMS': [
                fake_system(FAKE_UUID, f'{HUSHED}-system'),
                *(
                    fake_system(uuid, f'{HUSHED}-node-{number}')
                    for number, uuid in enumerate(_NODES)
                ),
            ],
        }
        plugin.setup(self.app)
        self._arguments = self._furnish()

    def _furnish(self) -> dict[str, str]:
        """Make one of everything; gives the arguments that name them."""
        aggregates = f'{ROOT}/AggregationService/Aggregates'
        group = f'{HUSHED}-group'
        links = [{'@odata.id': f'{ROOT}/Systems/{u}'} for u in _NODES]
        self.make(aggregates, Name=group, Elements=links)
        name = f'{HUSHED}-snapshot'
        self.make(f'{aggregates}/{group}/Oem/HawkFish/Snapshots', Name=name)
        made = self.make(
            f'{ROOT}/Systems/{FAKE_UUID}/Oem/HawkFish/Snapshots', Name=name
        )
        subscription = self.make(
            f'{ROOT}/EventService/Subscriptions',
            Destination=f'http://127.0.0.1:9/{HUSHED}',
            Protocol='Redfish',
            DeliveryRetryPolicy='SuspendRetries',
        )
        ended, session = self._login(), self._login()
        self.ask(Request('DELETE', ended.headers['Location']))
        # Of a session, and of one that has ended.
        self.token = session.headers['X-Auth-Token']
        self.gone = ended.headers['X-Auth-Token']
        last = [
            answer.headers['Location'].rpartition('/')[2]
            for answer in (made, subscription, session)
        ]
        return {
            'identity': FAKE_UUID,
            'group': group,
            'name': name,
            'task_id': last[0],
            'subscription_id': last[1],
            'session_id': last[2],
            'role': 'ReadOnly',
            'device': 'Cd',
            'file': 'app.js',
        }

    def _login(self) -> Answer:
        return self.make(
            f'{ROOT}/SessionService/Sessions', UserName=USER, Password=PASSWORD
        )

    def make(self, path: str, **body: object) -> Answer:
        """The answer to a POST that succeeds, or whose task does."""
        answer = self.ask(
            Request(
                'POST',
                path,
                (('Content-Type', 'application/json'),),
                json.dumps(body).encode(),
            )
        )
        assert answer.status in (201, 202), answer
        begin = time.monotonic()
        monitor = answer.headers['Location']
        found = answer
        while found.status == 202:
            assert time.monotonic() - begin < _SECONDS, found
            time.sleep(0.01)
            found = self.ask(Request('GET', monitor))
        assert found.status == 201, found
        return answer

    # Routes ---------------------------------------------------------------

    def routes(self) -> Iterator[Route]:
        """Each route with arguments of what there is."""
        rules = sorted(self.app.url_map.iter_rules(), key=lambda r: r.rule)
        for rule in rules:
            if rule.endpoint == 'static':
                continue
            found = bodies_of(self.app.view_functions[rule.endpoint])
            for action in {body.action for body in found} or {None}:
                names = {**self._arguments, 'action': action or 'None'}
                path = re.sub(
                    r'<(?:\w+:)?(\w+)>',
                    lambda match, names=names: urllib.parse.quote(  # type: ignore[misc]
                        names.get(match[1], 'a'), safe=''
                    ),
                    rule.rule,
                )
                yield Route(
                    rule.endpoint,
                    path,
                    frozenset(rule.methods or ()),
                    tuple(b for b in found if b.action == action),
                )

    # Asking ---------------------------------------------------------------

    def ask(self, request: Request) -> Answer:
        """As gunicorn hands it on; of a stream, the start."""
        path, _, query = request.path.partition('?')
        body = request.body or b''
        environ: dict[str, Any] = {
            'REQUEST_METHOD': request.method,
            'SCRIPT_NAME': '',
            'PATH_INFO': urllib.parse.unquote_to_bytes(path).decode('latin-1'),
            'QUERY_STRING': query,
            'REQUEST_URI': request.path,
            'RAW_URI': request.path,
            'REMOTE_ADDR': '192.0.2.1',
            'SERVER_NAME': 'localhost',
            'SERVER_PORT': '80',
            'SERVER_PROTOCOL': 'HTTP/1.1',
            'HTTP_HOST': 'localhost',
            'CONTENT_LENGTH': str(len(body)),
            'wsgi.version': (1, 0),
            'wsgi.url_scheme': 'http',
            'wsgi.input': io.BytesIO(body),
            'wsgi.errors': io.StringIO(),
            'wsgi.multithread': True,
            'wsgi.multiprocess': False,
            'wsgi.run_once': False,
        }
        for name, value in request.headers:
            key = name.upper().replace('-', '_')
            special = key in ('CONTENT_TYPE', 'CONTENT_LENGTH')
            environ[key if special else f'HTTP_{key}'] = value
        chunks, status, headers = werkzeug.test.run_wsgi_app(self.app, environ)
        try:
            is_stream = headers.get('Content-Type', '').startswith(
                'text/event-stream'
            )
            most = 1 if is_stream else None
            return Answer(
                int(status.split()[0]),
                headers,
                b''.join(itertools.islice(chunks, most)),
            )
        finally:
            if hasattr(chunks, 'close'):
                chunks.close()

    # State ----------------------------------------------------------------

    def state(self) -> str:
        """Of all that a request could change, a digest."""
        (path,) = (self.folder / 'hawkfish').glob('*/*.sqlite')
        driver: Any = services.of(self.app).driver
        found = [str(driver.power_states())]
        found += [str(driver.snapshots(uuid)) for uuid in (FAKE_UUID, *_NODES)]
        with sqlite3.connect(path) as connection:
            tables = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
            for (table,) in sorted(tables):
                # Of the process that works, not of what it works on; and the
                # audit log, which has each refusal.
                if table not in ('engine', 'clock', *_LOG):
                    rows = connection.execute(f'SELECT * FROM {table}')
                    found.append(f'{table} {rows.fetchall()}')
        connection.close()
        return '\n'.join(found)


def guard(target: Target, folder: pathlib.Path) -> None:
    """Let nobody in without a password; to be undone by ``unguard``."""
    users = folder / 'users'
    users.write_text(user_entry(USER, PASSWORD))
    target.app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})


def unguard(target: Target) -> None:
    wsgi: Any = target.app.wsgi_app
    target.app.wsgi_app = wsgi.app  # type: ignore[method-assign]
    del target.app.config['SUSHY_EMULATOR_AUTH_FILE']


def digest(text: str) -> str:
    """As the database has the token of a session."""
    return hashlib.sha256(text.encode()).hexdigest()


_LOG = ('audit', 'audit_systems', 'login_failures', 'sqlite_sequence')


def bodies_of(view: Any) -> list[RequestBody]:
    """
    The schemas that the code of *view* checks a body against.

    Or what it calls to read its options.
    """
    found: list[RequestBody] = []
    names = view.__code__.co_names
    for name, value in ((name, view.__globals__.get(name)) for name in names):
        values = value.values() if isinstance(value, dict) else (value,)
        found += [one for one in values if isinstance(one, RequestBody)]
        if name == 'read_options':
            found += bodies_of(value)
    return found
