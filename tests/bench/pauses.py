# SPDX-License-Identifier: Apache-2.0
"""
How long a guest stands still, as its QEMU tells it and as it shows itself.

The clocks of a guest stand still with it, so its beats are timed outside.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import libvirt_qemu

from tests.lab.shell import Guest

# What the guest's shell can wait for without a process of its own.
_BEAT = (
    'mkfifo /run/beat; '
    '(exec 3<>/run/beat; while :; do read -t 0.002 x <&3; echo; done)'
    ' </dev/null >/dev/ttyS1 2>/dev/null &'
)


class Stops:
    """
    How long QEMU had the processors of a domain stopped, by its events.

    *stopped* and *resumed* is when it did so last.
    """

    def __init__(self, connection: Any, name: str) -> None:
        self._total = self._since = self.stopped = self.resumed = 0.0
        domain = connection.lookupByName(name)
        libvirt_qemu.qemuMonitorEventRegister(
            connection, domain, None, self._note, None
        )

    def _note(
        self,
        _connection: Any,
        _domain: Any,
        event: str,
        whole: int,
        micro: int,
        _details: str,
        _opaque: Any,
    ) -> None:
        now = whole + micro / 1e6
        if event == 'STOP':
            self._since = self.stopped = now
        elif event == 'RESUME':
            self.resumed = now
            if self._since:
                self._total += now - self._since
                self._since = 0.0

    @contextlib.contextmanager
    def during(self, samples: list[float]) -> Iterator[None]:
        """Add the seconds of all stops in the block to *samples*."""
        self._total = 0.0
        yield
        # The events come by another thread.
        time.sleep(0.1)
        samples.append(self._total)


class Beats:
    """The longest time between two beats of a guest, of some 2 ms each."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        guest.run(_BEAT)

    @contextlib.contextmanager
    def during(self, samples: list[float]) -> Iterator[None]:
        """Add the longest silence in the block, in seconds, to *samples*."""
        with self._guest.connected(timeout=10) as port:
            port.recv(1)
            done, gaps = threading.Event(), []

            def listen() -> None:
                last = time.monotonic()
                while not done.is_set():
                    port.recv(4096)
                    now = time.monotonic()
                    gaps.append(now - last)
                    last = now

            thread = threading.Thread(target=listen, daemon=True)
            thread.start()
            yield
            done.set()
            thread.join()
        samples.append(max(gaps))
