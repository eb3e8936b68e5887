# SPDX-License-Identifier: Apache-2.0
"""
The sending of requests, and what is made of their answers.

Owns what an answer must not be.
"""

import collections
import dataclasses
import http.client
import json

from hawkfish_plugin.emulator import routes
from tests.fuzz.asking import Request
from tests.served import Served

# Those of ours that a request can bring about, and that tell of no fault.
_EXPECTED = frozenset((501, 503, 507))


class Fault(AssertionError):
    """An answer that there must not be."""


@dataclasses.dataclass
class Report:
    """
    What came of it: how many answers of each status, by whose they are.

    *stock* are the requests that the emulator's own views fail on.
    """

    ours: collections.Counter[int] = dataclasses.field(
        default_factory=collections.Counter
    )
    stock: collections.Counter[int] = dataclasses.field(
        default_factory=collections.Counter
    )

    def text(self) -> str:
        faults = sum(
            count
            for status, count in self.ours.items()
            if status >= 500 and status not in _EXPECTED
        )
        return '\n'.join(
            (
                f'inputs: {sum((self.ours + self.stock).values())}',
                f'5xx of ours, but 501, 503 and 507: {faults}',
                f'ours: {dict(sorted(self.ours.items()))}',
                f'sushy-tools: {dict(sorted(self.stock.items()))}',
            )
        )


def ask(process: Served, request: Request, report: Report) -> None:
    """Send *request* and note its answer; raises Fault."""
    status, body = _send(process, request)
    mine = routes.is_ours(request.endpoint)
    (report.ours if mine else report.stock)[status] += 1
    if mine and status >= 500 and status not in _EXPECTED:
        raise Fault(f'{status} for {request}: {body[:1000]!r}')
    if mine and body and status >= 400:
        try:
            json.loads(body)['error']['@Message.ExtendedInfo']
        except (ValueError, KeyError) as exc:
            raise Fault(f'no message: {request}: {body[:500]!r}') from exc
    if not process.is_running:
        raise Fault(f'the emulator has ended: {request}')


def _send(process: Served, request: Request) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(
        '127.0.0.1', process.port, timeout=60
    )
    named = {name for name, _ in request.headers}
    try:
        connection.putrequest(
            request.method, request.path, skip_host='Host' in named
        )
        for name, value in request.headers:
            connection.putheader(name, value.encode('latin-1'))
        connection.putheader('Content-Length', str(len(request.body or b'')))
        connection.endheaders(request.body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
