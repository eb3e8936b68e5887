# SPDX-License-Identifier: Apache-2.0
"""
The addresses of destinations.

Owns the threads that ask the resolver, which knows no deadline and cannot be
interrupted: whoever waits for one can give up.  Whoever asks for the same name
meanwhile waits for the same answer.
"""

import concurrent.futures
import ipaddress
import itertools
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from hawkfish_plugin import bounds
from hawkfish_plugin.supervision import Supervisor

# As of ``socket.getaddrinfo``.
Address = tuple[int, int, int, str, Any]
_Answer = concurrent.futures.Future[Sequence[Address]]

_POLL_SECONDS = 0.1


class Lookups:
    """The lookups of this process."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, int], _Answer] = {}
        self._numbers = itertools.count()

    def find(
        self, host: str, port: int, check: Callable[[], None]
    ) -> Sequence[Address]:
        """
        The addresses of *host*; *check* is called now and then, and may raise.

        Raises OSError, and ValueError for a name that no resolver takes.
        """
        if _is_address(host):
            return _look_up(host, port)
        answer = self._ask(host, port)
        while not answer.done():
            check()
            concurrent.futures.wait([answer], _POLL_SECONDS)
        return answer.result()

    def _ask(self, host: str, port: int) -> _Answer:
        key = host, port
        with self._lock:
            if key in self._asked:
                return self._asked[key]
            if len(self._asked) >= bounds.LOOKUPS:
                raise OSError('too many names are being looked up')
            answer: _Answer = concurrent.futures.Future()

            def work() -> None:
                try:
                    answer.set_result(_look_up(host, port))
                except Exception as exc:
                    answer.set_exception(exc)
                finally:
                    with self._lock:
                        del self._asked[key]

            self._supervisor.once(f'lookup-{next(self._numbers)}', work)
            self._asked[key] = answer
            return answer


def _look_up(host: str, port: int) -> Sequence[Address]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
