# SPDX-License-Identifier: Apache-2.0
"""The ``hawkfish`` command behind a proxy, and on terminals of all kinds."""

import http.server
import os
import socket
import subprocess
import sys
import threading

import pytest

from tests.served import Served

PROGRAM = (
    sys.executable,
    '-c',
    'import sys; from hawkfish_plugin.cli import app; sys.exit(app.main())',
)
SYSTEM = '27946b59-9e44-4fa7-8e91-f3527a1ef094'


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    emulator = Served(tmp_path_factory.mktemp('emulator'))
    emulator.start()
    yield emulator
    emulator.stop()


@pytest.fixture(params=[404, 502, 200, 407, 401])
def proxy(request):
    """A proxy that answers by itself; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'<html>no such host</html>'
            self.send_response(request.param)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


@pytest.fixture
def port():
    """A port at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(('127.0.0.1', 0))
        yield bound.getsockname()[1]


def hawkfish(url, *words, **environment):
    kept = {
        name: value
        for name, value in os.environ.items()
        if 'proxy' not in name.lower() and not name.startswith('HAWKFISH_')
    }
    return subprocess.run(
        [*PROGRAM, *words],
        capture_output=True,
        timeout=120,
        env={**kept, 'HAWKFISH_URL': url, **environment},
    )


def test_a_proxy_in_between(service, proxy):
    """What it says is told as the proxy's, and its password is not."""
    done = hawkfish(
        service.url,
        *('snapshot', 'list', SYSTEM),
        http_proxy=f'http://me:secret@{proxy}',
    )

    said = done.stderr.decode()
    assert done.returncode == 1
    assert f'The proxy http://{proxy} ' in said
    assert 'no_proxy' in said
    assert 'secret' not in said
    assert 'activated' not in said


def test_a_proxy_that_is_dead(service, port):
    """What cannot be reached is told, and its password is not."""
    done = hawkfish(
        service.url,
        *('snapshot', 'list', SYSTEM),
        http_proxy=f'http://me:secret@127.0.0.1:{port}',
    )

    said = ' '.join(done.stderr.decode().split())
    assert done.returncode == 1
    assert f'{service.url} through the proxy http://127.0.0.1:{port}:' in said
    assert 'no_proxy' in said
    assert 'secret' not in said


def test_a_proxy_that_is_not_used(service, proxy):
    """no_proxy is heard."""
    done = hawkfish(
        service.url,
        *('snapshot', 'list', SYSTEM),
        http_proxy=f'http://{proxy}',
        no_proxy='127.0.0.1',
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('encoding', ['iso-8859-1:strict', 'ascii'])
@pytest.mark.parametrize(
    'words',
    [
        ('snapshot', 'list', SYSTEM),
        ('snapshot', 'tree', SYSTEM),
        ('snapshot', 'list', SYSTEM, '-f', 'csv'),
        ('task', 'list'),
    ],
)
def test_a_name_that_the_terminal_lacks(service, words, encoding):
    """It is escaped, and all others are listed."""
    if not service.snapshots(SYSTEM):
        for name in ('日本', 'plain'):
            service.create(SYSTEM, Name=name)

    done = hawkfish(service.url, *words, PYTHONIOENCODING=encoding)

    assert done.returncode == 0, done.stderr.decode('latin-1')
    assert rb'\u65e5\u672c' in done.stdout
    assert b'plain' in done.stdout
