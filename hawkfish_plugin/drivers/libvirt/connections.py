# SPDX-License-Identifier: Apache-2.0
"""
Connections to one libvirt daemon.

Owns the opening, keeping and reopening of connections, and the translation of
libvirt's errors into ours.  Each user has a connection to itself while it
uses it: calls that share one can wait seconds behind a long call.
"""

import collections
import contextlib
import logging
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import libvirt

from hawkfish_plugin import exceptions

LOG = logging.getLogger(__name__)

# A daemon that is silent for so long is given up, with all that waits for it.
_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT = 10, 3
_OPEN_SECONDS = 15

_event_loop = threading.Lock()
_event_loop_running = False


class Hypervisor:
    """The libvirt daemon at *uri*."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._idle: collections.deque[Any] = collections.deque()
        self._losses = 0
        self._watching = False

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
        if not self._idle and not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, daemon=True).start()
        return self._losses

    def _watch(self) -> None:
        try:
            with self.connection('watch'):
                pass
        except exceptions.HawkFishError as exc:
            LOG.debug('Not watched: %s', exc)
        finally:
            self._watching = False

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
        connection = self._open_in_time()
        # Connections without a daemon behind them have neither.
        with contextlib.suppress(libvirt.libvirtError):
            connection.registerCloseCallback(self._lose, None)
            connection.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT)
        return connection

    def _open_in_time(self) -> Any:
        """
        ``libvirt.open``, given up after a while.

        A daemon that accepts connections and says nothing would keep its
        caller for ever; keep-alive begins only after the opening.
        """
        opened: queue.Queue[Any] = queue.Queue()
        threading.Thread(
            target=self._put_opened,
            args=(opened,),
            daemon=True,
            name='hawkfish-open',
        ).start()
        try:
            outcome = opened.get(timeout=_OPEN_SECONDS)
        except queue.Empty:
            said = f'it has not answered for {_OPEN_SECONDS} seconds'
            raise exceptions.HypervisorUnavailable(self.uri, said) from None
        if isinstance(outcome, libvirt.libvirtError):
            raise exceptions.HypervisorUnavailable(
                self.uri, _text(outcome)
            ) from outcome
        return outcome

    def _put_opened(self, opened: 'queue.Queue[Any]') -> None:
        try:
            opened.put(libvirt.open(self.uri))
        except libvirt.libvirtError as exc:
            opened.put(exc)

    def _lose(self, _connection: Any, _reason: int, _opaque: None) -> None:
        self._losses += 1


def find(connection: Any, uuid: str) -> Any:
    """The domain *uuid*, looked up anew; raises SystemNotFound."""
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        raise exceptions.SystemNotFound(uuid) from exc


def find_any(connection: Any, identity: str) -> Any:
    """The domain with this UUID, else with this name."""
    with contextlib.suppress(ValueError, exceptions.SystemNotFound):
        return find(connection, str(uuid.UUID(identity)))
    try:
        return connection.lookupByName(identity)
    except ValueError as exc:
        # The binding refuses a name with a zero in it.
        raise exceptions.SystemNotFound(identity) from exc
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        raise exceptions.SystemNotFound(identity) from exc


def translate(
    error: libvirt.libvirtError, operation: str
) -> exceptions.HawkFishError:
    """What libvirt said, as an error of ours."""
    if error.get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT:
        return exceptions.HypervisorBusy(operation, _text(error))
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
    """Run what keep-alive messages need; before the first open."""
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
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as exc:
            LOG.error('The event loop of libvirt failed: %s', _text(exc))
            time.sleep(1)
