# SPDX-License-Identifier: Apache-2.0
"""
One push: a POST whose answer is its status.

Owns that it is over in time, whatever the destination does.  Of the answer no
more than its head is read; a redirect is not followed, and nothing is taken
from the environment: it could name a proxy, passwords and certificates.
"""

import contextlib
import functools
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from urllib import parse

from requests import utils

from hawkfish_plugin import bounds
from hawkfish_plugin.deadlines import Deadlines, Limited
from hawkfish_plugin.events.lookups import Lookups

CONNECT_SECONDS = 5.0
# For all of it: the lookup, the connection, the events, and the head of the
# answer.
PUSH_SECONDS: float = bounds.PUSH_SECONDS


class NotTaken(Exception):
    """A push failed; the text says why, and holds nothing secret."""


class Exchange:
    """A push that can be ended by others while it goes on."""

    def __init__(self, deadlines: Deadlines, names: Lookups) -> None:
        self._deadlines = deadlines
        self._names = names
        self._limited: Limited | None = None
        self._is_ended = False
        # Of ``time.monotonic``.
        self._deadline = 0.0

    def end(self) -> None:
        self._is_ended = True
        if limited := self._limited:
            limited.end()

    def post(
        self,
        destination: str,
        body: bytes,
        headers: Mapping[str, str],
        context: Callable[[], ssl.SSLContext],
    ) -> int:
        """
        The status of the answer.

        *context* is for an https destination.  Raises NotTaken.
        """
        self._deadline = time.monotonic() + PUSH_SECONDS
        try:
            return self._post(
                parse.urlsplit(destination), body, headers, context
            )
        # ValueError: a host name that no resolver takes.
        except (http.client.HTTPException, OSError, ValueError) as exc:
            # Its text would tell the whole URL.
            why = 'it took too long' if self._is_over() else type(exc).__name__
            raise NotTaken(why) from exc
        finally:
            self._limited = None

    def _is_over(self) -> bool:
        return bool(
            self._is_ended
            or self._left() <= 0
            or (self._limited and self._limited.is_over)
        )

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _check(self) -> None:
        if self._is_over():
            raise ConnectionAbortedError

    @contextlib.contextmanager
    def _watched(self, limited: socket.socket) -> Iterator[None]:
        """In the block, *limited* is shut down when this is over."""
        with self._deadlines.limit(limited, self._left()) as self._limited:
            # One that was ended before found nothing to shut down.
            self._check()
            yield

    def _connect(self, host: str, port: int) -> socket.socket:
        """A connection to any address of *host*."""
        error = OSError('no address')
        for found in self._names.find(host, port, self._check):
            family, kind, protocol, _, address = found
            made = socket.socket(family, kind, protocol)
            try:
                with self._watched(made):
                    made.settimeout(min(CONNECT_SECONDS, self._left()))
                    made.connect(address)
                    self._check()
                return made
            except OSError as exc:
                made.close()
                self._check()
                error = exc
            except BaseException:
                made.close()
                raise
        raise error

    def _post(
        self,
        url: parse.SplitResult,
        body: bytes,
        headers: Mapping[str, str],
        context: Callable[[], ssl.SSLContext],
    ) -> int:
        host, secure = url.hostname or '', url.scheme == 'https'
        port = url.port or (443 if secure else 80)
        connection = http.client.HTTPConnection(host, port)
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(self._connect(host, port))
            connection.sock = plain
            plain.settimeout(PUSH_SECONDS)
            if secure:
                connection.sock = stack.enter_context(
                    context().wrap_socket(
                        plain,
                        server_hostname=host,
                        do_handshake_on_connect=False,
                    )
                )
            stack.enter_context(self._watched(connection.sock))
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            path = parse.urlunsplit(('', '', url.path or '/', url.query, ''))
            connection.request(
                'POST', path, body, {**headers, 'Host': url.netloc}
            )
            status = connection.getresponse().status
            # A head that was cut off looks like one that has ended.
            self._check()
            return status


@functools.lru_cache(8)
def tls(verify: bool, ca_file: str | None) -> ssl.SSLContext:
    """How to speak to a destination; public authorities by default."""
    if verify:
        return ssl.create_default_context(
            cafile=ca_file or utils.DEFAULT_CA_BUNDLE_PATH
        )
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
