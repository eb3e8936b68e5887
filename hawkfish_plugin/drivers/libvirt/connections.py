# SPDX-License-Identifier: Apache-2.0
"""
Connections to one libvirt daemon.

Owns the opening, keeping and reopening of connections, and sees to it that no
error of libvirt leaves a block that uses one.  A connection is used by one
caller at a time: calls that share one can wait seconds behind a long call.
"""

import collections
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import (
    domains,
    errors,
    far_images,
    hosts,
    moments,
    opening,
)

LOG = logging.getLogger(__name__)

# A daemon that is silent for this long is given up, and so are its callers.
_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT = 10, 3

# libvirt has one event loop for the whole process.
_event_loop = threading.Lock()
_event_loop_running = False


class Hypervisor:
    """The libvirt daemon at *uri*."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._shared = hosts.Shared()
        self._idle: collections.deque[libvirt.virConnect] = collections.deque()
        self._opener = opening.Opener(uri)
        self._losses = 0
        self._watching = False
        self.version: str | None = None
        """That of the daemon, when it was last connected to"""

    @contextlib.contextmanager
    def host(
        self, operation: str, check_active: Callable[[], None] = lambda: None
    ) -> Iterator[hosts.Host]:
        """
        The host, by a connection for one user; see it for *check_active*.

        Raises HypervisorUnavailable where there is none or where it breaks.
        Any other error of libvirt leaves the block as a HawkFishError, as a
        failure of *operation*.
        """
        connection = self._take()
        try:
            yield hosts.Host(connection, self._shared, check_active)
        except libvirt.libvirtError as exc:
            if not errors.is_alive(connection):
                raise exceptions.HypervisorUnavailable(
                    self.uri, errors.text(exc)
                ) from exc
            raise errors.translate(exc, operation) from exc
        finally:
            if not errors.is_alive(connection):
                _close(connection)
            # A call that never returns keeps its own for itself.
            elif not self._shared.is_used(connection):
                self._idle.append(connection)

    @property
    def moments(self) -> moments.Moments:
        return self._shared.moments

    @property
    def far_images(self) -> far_images.FarImages:
        return self._shared.far_images

    @contextlib.contextmanager
    def domain(
        self,
        uuid: str,
        operation: str,
        check_active: Callable[[], None] = lambda: None,
    ) -> Iterator[domains.Domain]:
        """The domain *uuid*, likewise; raises SystemNotFound."""
        with self.host(operation, check_active) as host:
            yield domains.find(host, uuid)

    def connection_losses(self) -> int:
        """How many connections were lost so far; sees to it that one is up."""
        if not self._idle and not self._watching:
            self._watching = True
            threading.Thread(target=self._watch, daemon=True).start()
        return self._losses

    def _watch(self) -> None:
        try:
            with self.host('watch'):
                pass
        except exceptions.HawkFishError as exc:
            LOG.debug('Not watched: %s', exc)
        finally:
            self._watching = False

    def _take(self) -> libvirt.virConnect:
        while True:
            try:
                connection = self._idle.popleft()
            except IndexError:
                return self._open()
            if errors.is_alive(connection):
                return connection
            _close(connection)

    def _open(self) -> libvirt.virConnect:
        _run_event_loop()
        connection = self._opener.open()
        # Connections without a daemon behind them have neither.
        with contextlib.suppress(libvirt.libvirtError):
            connection.registerCloseCallback(self._lose, None)
            connection.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT)
        with contextlib.suppress(libvirt.libvirtError):
            self.version = hosts.version_of(connection)
        return connection

    def _lose(
        self, _connection: libvirt.virConnect, _reason: int, _opaque: None
    ) -> None:
        self._losses += 1


def _close(connection: libvirt.virConnect) -> None:
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
            LOG.error('The event loop of libvirt failed: %s', errors.text(exc))
            time.sleep(1)
