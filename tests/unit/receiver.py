# SPDX-License-Identifier: Apache-2.0
"""Real HTTP receivers of events, good ones and bad ones."""

import http.server
import json
import ssl
import threading
import time

from tests.waiting import patience


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Say nothing: here clients are meant to give up."""


class Receiver:
    """
    Takes what is pushed to ``url``, and remembers it.

    *begun* counts what has come, answered or not.  *status* is what it
    answers, after *delay* seconds and with *headers*; *refuse* is how many
    pushes it first answers with a 500.
    """

    def __init__(self, context=None, port=0):
        self.status, self.delay, self.headers = 204, 0.0, {}
        self.refuse = 0
        self.body = b''
        self.pushes, self.begun = [], 0
        self.changed = threading.Condition()
        self._server = _Server(('127.0.0.1', port), self._handler())
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True
            )
        self.port = self._server.server_address[1]
        scheme = 'https' if context else 'http'
        self.url = f'{scheme}://127.0.0.1:{self.port}/events'
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()

    def _handler(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers['Content-Length'])
                receiver.take(self, self.rfile.read(length))

            def log_message(self, *args):
                """Keep the log of the tests readable."""

        return Handler

    def take(self, handler, body):
        with self.changed:
            self.begun += 1
            self.changed.notify_all()
        time.sleep(self.delay)
        with self.changed:
            status = self.status
            if self.refuse:
                self.refuse, status = self.refuse - 1, 500
            handler.send_response(status)
            for name, value in self.headers.items():
                handler.send_header(name, value)
            handler.send_header('Content-Length', str(len(self.body)))
            handler.end_headers()
            handler.wfile.write(self.body)
            self.pushes.append(
                (status, dict(handler.headers), len(body), json.loads(body))
            )
            self.changed.notify_all()

    @property
    def taken(self):
        """The events that were taken, as often as they were."""
        return [
            event
            for status, _, _, body in list(self.pushes)
            if 200 <= status < 300
            for event in body['Events']
        ]

    @property
    def ids(self):
        return [int(event['EventId']) for event in self.taken]

    @property
    def messages(self):
        return [e['MessageId'].rpartition('.')[2] for e in self.taken]

    def wait(self, condition, seconds=20):
        """Wait until *condition* of this receiver is true; return it."""
        with self.changed:
            longest = patience(seconds)
            assert self.changed.wait_for(lambda: condition(self), longest), (
                self.pushes
            )
            return condition(self)

    def wait_for(self, message, seconds=20):
        """Wait for a message, by its key."""
        return self.wait(lambda r: message in r.messages, seconds)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def tls_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
