# SPDX-License-Identifier: Apache-2.0
"""The connections of clients, to a server of its own."""

import contextlib
import socket
import threading

import pytest
from werkzeug.serving import make_server

from hawkfish_plugin import bounds
from hawkfish_plugin.deadlines import Deadlines
from hawkfish_plugin.emulator import serving
from hawkfish_plugin.supervision import Supervisor
from tests.waiting import patience, wait_for

PLACES = 4
GET = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
POST = b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n'
CHUNKED = (
    b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n'
)


def read_body(environ, start_response):
    """What every answer of the emulator is at the least."""
    all_of_it = -1 if 'wsgi.input_terminated' in environ else 0
    environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or all_of_it))
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']


@pytest.fixture
def serve(monkeypatch):
    """Serve an application, behind what the plugin puts in front of it."""
    monkeypatch.setattr(bounds, 'CONNECTIONS', PLACES)
    deadlines = Deadlines(Supervisor())
    with contextlib.ExitStack() as stack:

        def start(application):
            def limited(environ, start_response):
                serving.limit(environ, deadlines)
                return serving.in_time(
                    environ, application(environ, start_response), deadlines
                )

            server = make_server(
                '127.0.0.1',
                0,
                limited,
                threaded=True,
                request_handler=serving.handler(deadlines),
            )
            threading.Thread(
                target=server.serve_forever, args=(0.05,), daemon=True
            ).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)

            def connect(sent):
                client = stack.enter_context(
                    socket.create_connection(server.server_address, 60)
                )
                client.sendall(sent)
                return client

            return connect

        yield start


@pytest.mark.parametrize(
    'sent', [b'', GET[:-2], POST, POST + b'{', CHUNKED, GET + b'more']
)
def test_who_is_waited_for_gives_way(serve, sent):
    """Whatever of the request it is that does not come, or is too much."""
    connect = serve(read_body)
    waited_for = [connect(sent) for _ in range(PLACES)]
    if sent.startswith(GET):
        for client in waited_for:
            assert client.recv(12) == b'HTTP/1.1 200'

    # Until it is waited for, it is being served.
    wait_for(lambda: connect(GET).recv(12) == b'HTTP/1.1 200')


def test_who_is_served_does_not_give_way(serve):
    """Where all are, one more is told to come back."""
    go_on, served = threading.Event(), threading.Semaphore(0)

    def slow(environ, start_response):
        served.release()
        go_on.wait(patience())
        return read_body(environ, start_response)

    connect = serve(slow)
    clients = [connect(GET) for _ in range(PLACES)]
    for _ in clients:
        assert served.acquire(timeout=patience())

    assert connect(GET).recv(12) == b'HTTP/1.1 503'
    go_on.set()
    assert {c.recv(12) for c in clients} == {b'HTTP/1.1 200'}


@pytest.mark.parametrize('sent', [b'', POST, GET + b'more'])
def test_nothing_is_waited_for_without_end(serve, monkeypatch, sent):
    """Neither a request nor its body, nor what follows it."""
    monkeypatch.setattr(bounds, 'REQUEST_SECONDS', 0.3)
    client = serve(read_body)(sent)

    wait_for(lambda: not client.recv(1000))


class Answer:
    """An answer of *parts* that says when it is over."""

    def __init__(self, *parts):
        self._parts = parts
        self.closed = threading.Event()

    def __call__(self, environ, start_response):
        start_response('200 OK', [('Content-Length', str(self.length))])
        return self

    def __iter__(self):
        for part in self._parts:
            # As a stream that has nothing to tell for a while.
            self.closed.wait(0.2)
            yield part

    @property
    def length(self):
        return sum(map(len, self._parts))

    def close(self):
        self.closed.set()


def test_an_answer_is_read_in_time(serve, monkeypatch):
    """Not a little of it now and then."""
    monkeypatch.setattr(bounds, 'SEND_SECONDS', 1)
    monkeypatch.setattr(serving, '_LEAST_RATE', 2**30)
    answer = Answer(b'x' * 2**25)
    client = serve(answer)(GET)

    wait_for(lambda: client.recv(4096) and answer.closed.wait(0.02))


def test_a_stream_lasts(serve, monkeypatch):
    """Each part of it has a time of its own."""
    monkeypatch.setattr(bounds, 'SEND_SECONDS', 1)
    answer = Answer(*[b'x'] * 8)
    client = serve(answer)(GET)

    head, _, body = client.makefile('rb').read().partition(b'\r\n\r\n')

    assert head
    assert body == b'x' * answer.length
