# SPDX-License-Identifier: Apache-2.0
"""
The connections of clients.

Owns how many there may be to the server of ``sushy-emulator``, which would
take any number and wait for each for ever, and for how long a client may take
to send its request, or leave what is sent to it unread, on any server that
gives access to its sockets.
"""

import collections
import contextlib
import math
import resource
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug import serving

from hawkfish_plugin import bounds
from hawkfish_plugin.deadlines import Deadlines, Limited

# Of what a client must read of a long answer; bytes in a second.
_LEAST_RATE = 65536

_FULL = (
    b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n'
    b'Retry-After: 5\r\nConnection: close\r\n\r\n'
)


def limit(environ: WSGIEnvironment, deadlines: Deadlines) -> None:
    """Let the client of the request be in time, where that can be done."""
    client = _client_of(environ)
    if client is None:
        return
    with contextlib.suppress(OSError):
        client.setsockopt(
            socket.SOL_SOCKET,
            socket.SO_SNDTIMEO,
            struct.pack('ll', bounds.SEND_SECONDS, 0),
        )
        client.setsockopt(
            socket.IPPROTO_TCP,
            socket.TCP_USER_TIMEOUT,
            bounds.SEND_SECONDS * 1000,
        )
    body = _Timely(client, deadlines)
    environ['wsgi.input'] = _Awaited(environ['wsgi.input'], body.waiting)


def in_time(
    environ: WSGIEnvironment, answer: Iterable[bytes], deadlines: Deadlines
) -> Iterable[bytes]:
    """*answer*, each part of which the client has to take in time."""
    client = _client_of(environ)
    return answer if client is None else _Answer(answer, client, deadlines)


def _client_of(environ: WSGIEnvironment) -> socket.socket | None:
    client = environ.get('werkzeug.socket') or environ.get('gunicorn.socket')
    return client if isinstance(client, socket.socket) else None


class _Answer:
    """*parts* for *client*; an answer that is no stream has one."""

    def __init__(
        self, parts: Iterable[bytes], client: socket.socket, watch: Deadlines
    ) -> None:
        self._parts = parts
        self._client = client
        self._deadlines = watch
        self._sending = self._send()

    def __iter__(self) -> Iterator[bytes]:
        return self._sending

    def _send(self) -> Generator[bytes]:
        for part in self._parts:
            seconds = bounds.SEND_SECONDS + len(part) / _LEAST_RATE
            # The server sends the part before it asks for the next.
            with self._deadlines.limit(self._client, seconds):
                yield part

    def close(self) -> None:
        self._sending.close()
        if hasattr(self._parts, 'close'):
            self._parts.close()


class _Awaited:
    """*stream*; while something is read of it, one is *waiting* for it."""

    def __init__(
        self,
        stream: Any,
        waiting: Callable[[], contextlib.AbstractContextManager[object]],
    ) -> None:
        self._stream = stream
        self._waiting = waiting

    def renew(self, seconds: float) -> None:
        """Let what is left of a long body have *seconds* from now on."""
        self._left = seconds

    def read(self, *args: Any) -> Any:
        with self._waiting():
            return self._stream.read(*args)

    def readline(self, *args: Any) -> Any:
        with self._waiting():
            return self._stream.readline(*args)

    def readlines(self, *args: Any) -> Any:
        with self._waiting():
            return self._stream.readlines(*args)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line


class _Timely:
    """The time that *client* has for its body."""

    def __init__(self, client: socket.socket, deadlines: Deadlines) -> None:
        self._client = client
        self._deadlines = deadlines
        self._left = float(bounds.REQUEST_SECONDS)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        begin = time.monotonic()
        with self._deadlines.limit(self._client, self._left):
            yield
        self._left -= time.monotonic() - begin


class Connections:
    """The connections to the emulator's own server."""

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(bounds.CONNECTIONS, max(8, soft // 2))
        self._lock = threading.Lock()
        self._open = 0
        # Whose request or body is waited for, the oldest first.
        self._silent: collections.OrderedDict[Limited, None] = (
            collections.OrderedDict()
        )

    @contextlib.contextmanager
    def place(self, waiting: Limited) -> Iterator[bool]:
        """
        In the block, *waiting* has a place; or none, where it gives False.

        Where all are taken, that of the longest silent one is taken.
        """
        with self._lock:
            has_place = self._open < self._most or bool(self._silent)
            if has_place and self._open >= self._most:
                self._silent.popitem(last=False)[0].end()
            if has_place:
                self._open += 1
                self._silent[waiting] = None
        try:
            yield has_place
        finally:
            with self._lock:
                self._silent.pop(waiting, None)
                self._open -= has_place

    def has_spoken(self, waiting: Limited) -> None:
        """What was waited for of *waiting* has arrived."""
        with self._lock:
            self._silent.pop(waiting, None)
        waiting.deadline = math.inf

    @contextlib.contextmanager
    def listening(self, waiting: Limited) -> Iterator[None]:
        """In the block, *waiting* is silent: more is waited for."""
        with self._lock:
            if not waiting.is_over:
                self._silent[waiting] = None
        try:
            yield
        finally:
            self.has_spoken(waiting)


def handler(deadlines: Deadlines) -> type[serving.WSGIRequestHandler]:
    """The class that handles a connection to the emulator's own server."""
    connections = Connections()

    class Handler(serving.WSGIRequestHandler):
        def handle(self) -> None:
            with (
                deadlines.limit(
                    self.connection, bounds.REQUEST_SECONDS
                ) as self.waiting,
                connections.place(self.waiting) as has_place,
            ):
                if has_place:
                    super().handle()
                else:
                    self.wfile.write(_FULL)

        def log(self, type: str, message: str, *args: Any) -> None:
            # Numbers stay what they are: a format may ask for one.
            cut = (
                arg[: bounds.LOG_CHARACTERS] if isinstance(arg, str) else arg
                for arg in args
            )
            super().log(type, message, *cut)

        def run_wsgi(self) -> None:
            connections.has_spoken(self.waiting)
            body = _Timely(self.connection, deadlines)

            @contextlib.contextmanager
            def waiting() -> Iterator[None]:
                with connections.listening(self.waiting), body.waiting():
                    yield

            # What follows a request is read away after the answer, as well.
            stream: Any = self.rfile
            self.rfile = _Awaited(stream, waiting)  # type: ignore[assignment]
            try:
                super().run_wsgi()
            finally:
                self.rfile = stream

    return Handler


def speak_tls_later(context: ssl.SSLContext) -> None:
    """
    Let *context* shake hands with a client when it is read from.

    Otherwise the server does it before it takes the next connection: a client
    that says nothing would keep out all others.
    """

    class Later(type(context)):  # type: ignore[misc]
        def wrap_socket(self, sock: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs['do_handshake_on_connect'] = False
            return super().wrap_socket(sock, *args, **kwargs)

    context.__class__ = Later
