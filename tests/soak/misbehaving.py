# SPDX-License-Identifier: Apache-2.0
"""
``python -m tests.soak.misbehaving URL COUNT``: clients that mean no good.

They run until they are killed, in a process of their own: elsewhere they would
not compute in that of the others either.  Each does one thing at a time, and
rests in between as a limit of requests would make it (see the page on exposing
the service): how much one client may ask for at all is the proxy's matter.
"""

import contextlib
import itertools
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from urllib import parse

import requests

from tests.soak.clients import SECONDS, SERVICE, SNAPSHOTS

Client = Callable[[str], None]


def _connect(url: str) -> socket.socket:
    parts = parse.urlsplit(url)
    address = parts.hostname or '', parts.port or 80
    return socket.create_connection(address, SECONDS)


def idle(url: str) -> None:
    """Connects, and says nothing."""
    with _connect(url):
        time.sleep(random.uniform(1, 20))


def slow(url: str) -> None:
    """Sends a request a byte at a time."""
    with _connect(url) as connection:
        for byte in f'GET {SERVICE} HTTP/1.1\r\nHost: a\r\nX: '.encode():
            connection.sendall(bytes([byte]))
            time.sleep(0.2)


def huge(url: str) -> None:
    """Sends far more than is taken."""
    requests.post(
        url + SNAPSHOTS,
        data=b'{' * 4_000_000,
        headers={'Content-Type': 'application/json'},
        timeout=SECONDS,
    )


def deaf(url: str) -> None:
    """Asks for a lot, and reads nothing."""
    with _connect(url) as connection:
        path = f'{SERVICE}/TaskService/Tasks?$expand=.'
        connection.sendall(f'GET {path} HTTP/1.1\r\nHost: a\r\n\r\n'.encode())
        time.sleep(random.uniform(1, 5))


def wrong(url: str) -> None:
    """Sends what is no request at all."""
    with _connect(url) as connection:
        connection.sendall(random.randbytes(2000))
        connection.recv(1000)


def nonsense(url: str) -> None:
    """Sends what is no body, and names what there is not."""
    for path in ('/Aggregates', '/Aggregates/none/Oem/HawkFish/Snapshots'):
        requests.post(
            f'{url}{SERVICE}/AggregationService{path}',
            json={'Elements': [{'@odata.id': 'x' * 60}] * 600, 'Name': 7},
            timeout=SECONDS,
        )


def streams(url: str) -> None:
    """Opens a stream, and goes away."""
    with requests.get(
        f'{url}{SERVICE}/EventService/SSE', stream=True, timeout=SECONDS
    ) as response:
        next(response.iter_content(10))


ALL: tuple[Client, ...] = (idle, slow, huge, deaf, wrong, nonsense, streams)


def _forever(client: Client, url: str) -> None:
    while True:
        with contextlib.suppress(
            requests.RequestException, OSError, StopIteration
        ):
            client(url)
        time.sleep(random.uniform(0.2, 0.8))


def main(url: str, count: str) -> None:
    os.nice(5)
    for client in itertools.islice(itertools.cycle(ALL), int(count)):
        threading.Thread(
            target=_forever, args=(client, url), daemon=True
        ).start()
    threading.Event().wait()


if __name__ == '__main__':
    main(*sys.argv[1:])
