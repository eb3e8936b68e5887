# SPDX-License-Identifier: Apache-2.0
"""
Connections to one libvirt daemon.

Owns the opening, keeping and reopening of connections, and the translation of
libvirt's errors into ours.  Each user has a connection to itself while it
uses it: calls that share one can wait seconds behind a long call.
"""

import collections
import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import libvirt

from hawkfish_plugin import drivers, exceptions

# A daemon that is silent for so long is given up, with all that waits for it.
_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT = 10, 3

_event_loop = threading.Lock()
_event_loop_running = False


class Hypervisor:
    """The libvirt daemon at *uri*."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._idle: collections.deque[Any] = collections.deque()
        self._losses = 0

    @contextlib.contextmanager
    def connection(self, operation: str) -> Iterator[Any]:
        """
        A connection for one user.

        Raises HypervisorUnavailable where there is none or where it breaks.
        Whatever else libvirt says in the block leaves it as an error of ours,
        told as a failure of *operation*.
        """
        connection = self._take()
        try:
            yield connection
        except libvirt.libvirtError as exc:
            if not _is_alive(connection):
                raise exceptions.HypervisorUnavailable(
                    self.uri, _text(exc)
                ) from exc
            raise translate(exc, operation) from exc
        finally:
            if _is_alive(connection):
                self._idle.append(connection)
            else:
                _close(connection)

    @contextlib.contextmanager
    def domain(self, uuid: str, operation: str) -> Iterator[tuple[Any, Any]]:
        """A connection and the domain *uuid*; raises SystemNotFound."""
        with self.connection(operation) as connection:
            yield connection, find(connection, uuid)

    def losses(self) -> int:
        """How many connections were lost so far; sees to it that one is up."""
        with self.connection('watch'):
            return self._losses

    def _take(self) -> Any:
        while True:
            try:
                connection = self._idle.popleft()
            except IndexError:
                return self._open()
            if _is_alive(connection):
                return connection
            _close(connection)

    def _open(self) -> Any:
        _run_event_loop()
        try:
            connection = libvirt.open(self.uri)
        except libvirt.libvirtError as exc:
            raise exceptions.HypervisorUnavailable(
                self.uri, _text(exc)
            ) from exc
        # Connections without a daemon behind them have neither.
        with contextlib.suppress(libvirt.libvirtError):
            connection.registerCloseCallback(self._lose, None)
            connection.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT)
        return connection

    def _lose(self, _connection: Any, _reason: int, _opaque: None) -> None:
        self._losses += 1


def find(connection: Any, identity: str) -> Any:
    """The domain with this UUID, else with this name."""
    try:
        with contextlib.suppress(ValueError):
            return connection.lookupByUUIDString(str(uuid.UUID(identity)))
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    try:
        return connection.lookupByName(identity)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        raise exceptions.SystemNotFound(identity) from exc


def system_of(domain: Any) -> drivers.System:
    return drivers.System(domain.UUIDString(), domain.name())


def translate(
    error: libvirt.libvirtError, operation: str
) -> exceptions.HawkFishError:
    """What libvirt said, as an error of ours."""
    return exceptions.OperationFailed(operation, _text(error))


def _text(error: libvirt.libvirtError) -> str:
    return str(error.get_error_message() or error).strip()


def _is_alive(connection: Any) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def _close(connection: Any) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        connection.close()


def _run_event_loop() -> None:
    """Keep-alive messages need the event loop, before the first open."""
    global _event_loop_running
    with _event_loop:
        if _event_loop_running:
            return
        # Errors are raised; libvirt need not print them as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(
            target=_loop, name='hawkfish-libvirt-events', daemon=True
        ).start()
        _event_loop_running = True


def _loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
