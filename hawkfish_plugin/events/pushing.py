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
from collections.abc import Callable, Mapping
from urllib import parse

from requests import utils

from hawkfish_plugin import bounds
from hawkfish_plugin.deadlines import Deadlines, Limited

CONNECT_SECONDS = 5.0
# For all of it: the connection, the events, and the head of the answer.
PUSH_SECONDS: float = bounds.PUSH_SECONDS


class NotTaken(Exception):
    """A push failed; the text says why, and holds nothing secret."""


class Exchange:
    """A push that can be ended by others while it goes on."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._limited: Limited | None = None
        self._is_ended = False

    def end(self) -> None:
        self._is_ended = True
        if self._limited:
            self._limited.end()

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
        return bool(self._limited and self._limited.is_over)

    def _post(
        self,
        url: parse.SplitResult,
        body: bytes,
        headers: Mapping[str, str],
        context: Callable[[], ssl.SSLContext],
    ) -> int:
        host, begin = url.hostname or '', time.monotonic()
        secure = url.scheme == 'https'
        connection = http.client.HTTPConnection(
            host, url.port or (443 if secure else 80)
        )
        plain = socket.create_connection(
            (host, connection.port), CONNECT_SECONDS
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(plain)
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
            self._limited = stack.enter_context(
                self._deadlines.limit(
                    connection.sock, begin + PUSH_SECONDS - time.monotonic()
                )
            )
            if self._is_ended:
                raise ConnectionAbortedError
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            path = parse.urlunsplit(('', '', url.path or '/', url.query, ''))
            connection.request(
                'POST', path, body, {**headers, 'Host': url.netloc}
            )
            status = connection.getresponse().status
            # A head that was cut off looks like one that has ended.
            if self._is_over():
                raise ConnectionAbortedError
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
