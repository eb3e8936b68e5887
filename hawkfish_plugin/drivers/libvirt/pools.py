# SPDX-License-Identifier: Apache-2.0
"""
Storage pools: libvirt's way of looking into a folder.

Owns how a folder gets a pool, for the moment a transient one where no other
covers it, and how fresh what a pool knows has to be.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import errors, filenames, volumes, xml

T = TypeVar('T')

# A pool in which another client makes a volume can be neither refreshed nor
# stopped, and another process may be quicker to make a transient one.
_BUSY = frozenset(
    (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_OPERATION_FAILED)
)
_BUSY_SECONDS, _BUSY_POLL_SECONDS = 10.0, 0.1
_LOCK_SECONDS = 60.0


class Pools:
    """The pools of one host, whatever the connection that they are used by."""

    def __init__(self) -> None:
        # Two pools over one folder are refused: transient ones take turns.
        self._turn = threading.RLock()
        # When this process has refreshed each pool, by its UUID.
        self._refreshed: dict[str, float] = {}

    @contextlib.contextmanager
    def over(
        self, connection: libvirt.virConnect, folder: str, age: float = 0.0
    ) -> Iterator[libvirt.virStoragePool | None]:
        """
        A pool over *folder*, if need be a transient one; None without it.

        It is fresh, or what was seen *age* seconds ago: to see a folder anew
        libvirt looks into every file of it.
        """
        oldest = time.monotonic() - age
        # A look at a folder that hangs, of a server that is gone, never ends.
        # An operation that had begun is settled later, as without the
        # hypervisor.
        if not self._turn.acquire(timeout=_LOCK_SECONDS):
            raise exceptions.HypervisorUnavailable(
                connection.getURI(), 'a look at its storage has not ended'
            )
        with contextlib.ExitStack() as stack:
            stack.callback(self._turn.release)
            pool, transient = self._enter(connection, folder, oldest)
            if pool is not None and transient:
                stack.callback(_stop, connection, pool)
            else:
                # Nobody stops it, so nobody need wait for its user.
                stack.close()
            yield pool

    def _enter(
        self, connection: libvirt.virConnect, folder: str, oldest: float
    ) -> tuple[libvirt.virStoragePool | None, bool]:
        """
        The pool, and whether it is to be stopped at the end.

        What was seen since *oldest*, maybe for another thread, will do.
        """
        until = time.monotonic() + _BUSY_SECONDS
        while True:
            found = active_over(connection, folder)
            if found is None:
                return _start(connection, folder)
            transient = is_transient(found)
            # Another process looks into the folder, or died while it did.
            if not transient or time.monotonic() > until:
                seen = self._refreshed.get(found.UUIDString(), -math.inf)
                if transient or seen < oldest:
                    self.refresh(connection, found)
                return found, transient
            time.sleep(_BUSY_POLL_SECONDS)

    def refresh(
        self, connection: libvirt.virConnect, pool: libvirt.virStoragePool
    ) -> None:
        """Let libvirt look into the folder of *pool* anew."""
        begin = time.monotonic()
        _patiently(connection, pool.refresh)
        self._refreshed[pool.UUIDString()] = begin


def active(
    connection: libvirt.virConnect,
) -> dict[str, libvirt.virStoragePool]:
    """The active pools, by name, but for transient ones of this driver."""
    return {
        pool.name(): pool
        for pool in connection.listAllStoragePools(
            libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
        )
        if not is_transient(pool)
    }


def active_over(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool | None:
    """The active pool over *folder*, of whatever kind."""
    try:
        return connection.storagePoolLookupByTargetPath(folder)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return None


def is_transient(pool: libvirt.virStoragePool) -> bool:
    """Whether this driver, in whatever process, has made it for a look."""
    return filenames.is_transient_pool(pool.name())


def _patiently(connection: libvirt.virConnect, call: Callable[[], T]) -> T:
    """Call, and again while another client keeps the pool busy."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return call()
        except libvirt.libvirtError as exc:
            if (
                exc.get_error_code() not in _BUSY
                or time.monotonic() > until
                or not errors.is_alive(connection)
            ):
                raise
        time.sleep(_BUSY_POLL_SECONDS)


def _start(
    connection: libvirt.virConnect, folder: str
) -> tuple[libvirt.virStoragePool | None, bool]:
    made = _patiently(connection, lambda: _create(connection, folder))
    return made, made is not None


def _create(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool | None:
    """Start the pool over *folder*, a transient one where it has none."""
    inactive = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE
    for pool in connection.listAllStoragePools(inactive):
        if xml.parse(pool.XMLDesc()).findtext('target/path') == folder:
            pool.create()
            return pool
    return _create_transient(connection, folder)


def _create_transient(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool | None:
    root = ElementTree.Element('pool', type='dir')
    name = ElementTree.SubElement(root, 'name')
    name.text = filenames.new_transient_pool()
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'path').text = folder
    try:
        return connection.storagePoolCreateXML(xml.render(root))
    except libvirt.libvirtError as exc:
        # No such folder, so no such file; all else is raised.
        if not volumes.is_gone(exc):
            raise
        return None


def _stop(
    connection: libvirt.virConnect, pool: libvirt.virStoragePool
) -> None:
    try:
        _patiently(connection, pool.destroy)
    except libvirt.libvirtError as exc:
        # Taken for one that was left behind, and stopped by who did.
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
