# SPDX-License-Identifier: Apache-2.0
"""
The opening of connections.

A daemon that accepts connections and says nothing keeps whoever opens one for
ever; keep-alive begins only after the opening.  So one thread opens them for
all, one after the other: a daemon that hangs costs one thread and one socket,
and who comes while it is known to hang need not wait.
"""

import contextlib
import queue
import threading
import time

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import errors

# A daemon that is silent for this long is given up by those who wait.
_OPEN_SECONDS = 15.0

_Opened = libvirt.virConnect | libvirt.libvirtError
# Whoever waits for a connection, and has not given up.
_Waiting = queue.SimpleQueue[_Opened]


class Opener:
    """Opens connections to *uri*, for one who waits at a time."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        # When the opening that goes on has begun.
        self._began: float | None = None

    def open(self) -> libvirt.virConnect:
        """A new connection; raises HypervisorUnavailable."""
        mine = _Waiting()
        with self._lock:
            self._waiting.append(mine)
            if self._began is None:
                threading.Thread(
                    target=self._serve, daemon=True, name='hawkfish-open'
                ).start()
                self._began = time.monotonic()
        outcome = self._wait(mine)
        if isinstance(outcome, libvirt.libvirtError):
            raise exceptions.HypervisorUnavailable(
                self._uri, errors.text(outcome)
            ) from outcome
        return outcome

    def _wait(self, mine: _Waiting) -> _Opened:
        while True:
            left = self._left()
            with contextlib.suppress(queue.Empty):
                return mine.get(timeout=max(0, left))
            with self._lock:
                # Served at the last moment, or while others were.
                if mine in self._waiting and self._left() <= 0:
                    self._waiting.remove(mine)
                    said = f'it has not answered for {_OPEN_SECONDS:g} seconds'
                    raise exceptions.HypervisorUnavailable(self._uri, said)

    def _left(self) -> float:
        """How long it is worth to wait for the opening that goes on."""
        began = self._began
        if began is None:
            return _OPEN_SECONDS
        return began + _OPEN_SECONDS - time.monotonic()

    def _serve(self) -> None:
        """Open connections while anybody waits."""
        while True:
            outcome: _Opened
            try:
                outcome = libvirt.open(self._uri)
            except libvirt.libvirtError as exc:
                outcome = exc
            with self._lock:
                if self._waiting:
                    self._waiting.pop(0).put(outcome)
                elif isinstance(outcome, libvirt.virConnect):
                    # Too late for all who wanted it.
                    with contextlib.suppress(libvirt.libvirtError):
                        outcome.close()
                if not self._waiting:
                    self._began = None
                    return
                self._began = time.monotonic()
