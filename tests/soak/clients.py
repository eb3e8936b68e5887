# SPDX-License-Identifier: Apache-2.0
"""
The clients of the soak, good ones and bad ones.

Each is a function that is called again and again with the URL of the
emulator; what fails because the emulator is being killed is no fault.
"""

import contextlib
import random
import socket
import time
from collections.abc import Callable
from urllib import parse

import requests

from tests.served import FAKE_UUID

SERVICE = '/redfish/v1'
SNAPSHOTS = f'{SERVICE}/Systems/{FAKE_UUID}/Oem/HawkFish/Snapshots'
_SECONDS = 30.0

Client = Callable[[str], None]


def _connect(url: str) -> socket.socket:
    parts = parse.urlsplit(url)
    address = parts.hostname or '', parts.port or 80
    return socket.create_connection(address, _SECONDS)


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
        timeout=_SECONDS,
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


def streams(url: str) -> None:
    """Opens a stream, and goes away."""
    with requests.get(
        f'{url}{SERVICE}/EventService/SSE', stream=True, timeout=_SECONDS
    ) as response:
        next(response.iter_content(10))


BAD: tuple[Client, ...] = (idle, slow, huge, deaf, wrong, streams)


def lists(url: str) -> None:
    requests.get(url + SNAPSHOTS, timeout=_SECONDS).raise_for_status()


def forever(client: Client, url: str, is_over: Callable[[], bool]) -> None:
    """Let *client* do what it does until the end."""
    while not is_over():
        with contextlib.suppress(
            requests.RequestException, OSError, StopIteration
        ):
            client(url)
        time.sleep(random.uniform(0, 0.1))
