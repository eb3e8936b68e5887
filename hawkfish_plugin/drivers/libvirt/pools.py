# SPDX-License-Identifier: Apache-2.0
"""
Storage pools: libvirt's way of looking into a folder.

A pool that is somebody's is never started, stopped or refreshed: libvirt
unmounts the file system of one that it stops, and stops one whose folder it
cannot read to the end.  Owns the transient pools that the driver looks through
in their place, each for a moment, and what can be found out of a folder that
libvirt cannot read: whether one file is there, and how much is free.
"""

import contextlib
import errno
import posixpath
import time
import uuid
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import errors, filenames, volumes, xml

# How long another process may look into a folder before it is taken for dead.
_BUSY_SECONDS, _BUSY_POLL_SECONDS = 10.0, 0.1
_Create = Callable[[libvirt.virConnect, str], libvirt.virStoragePool]
_BUILD = libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD
# To read their files is to ask devices, processes and drivers.
_NO_FILES = ('/dev', '/proc', '/sys')


@contextlib.contextmanager
def over(
    connection: libvirt.virConnect, folder: str
) -> Iterator[libvirt.virStoragePool | None]:
    """
    A pool over *folder*, with what is in it now; None where it is not there.

    Its volumes may have paths that ``volumes.path`` has to tidy up.  Raises
    FolderUnreadable.
    """
    pool = _start(connection, folder, _create)
    try:
        yield pool
    finally:
        if pool is not None:
            _stop(pool)


@contextlib.contextmanager
def over_own(
    connection: libvirt.virConnect, folder: str
) -> Iterator[libvirt.virStoragePool]:
    """
    A pool over *folder*, one for files of ours that is made if need be.

    It is removed at the end if it is empty.  Who comes while another thread or
    process has the pool waits for it.  Raises FolderUnreadable.
    """
    pool = _start(connection, folder, _create_own)
    if pool is None:
        raise exceptions.FolderUnreadable(folder, 'it cannot be made')
    try:
        yield pool
    finally:
        empty = not pool.numOfVolumes()
        _stop(pool)
        if empty:
            _remove(connection, folder)


def _remove(connection: libvirt.virConnect, folder: str) -> None:
    """Remove *folder*, which was empty."""
    # Somebody may look into it by now, or have put something there.
    with contextlib.suppress(libvirt.libvirtError):
        # libvirt removes no folder of a transient pool.
        pool = connection.storagePoolDefineXML(_describe(folder))
        try:
            pool.delete()
        finally:
            pool.undefine()


def active(
    connection: libvirt.virConnect,
) -> dict[str, libvirt.virStoragePool]:
    """The active pools, by name, but for those of this driver."""
    return {
        pool.name(): pool
        for pool in connection.listAllStoragePools(
            libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
        )
        if not _is_ours(pool)
    }


def active_over(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool | None:
    """The active pool that somebody has over *folder*."""
    pool = _at(connection, folder)
    return None if _is_ours(pool) else pool


def space(pool: libvirt.virStoragePool) -> tuple[int, int]:
    """The capacity and the free bytes of the file system of *pool*."""
    found = pool.info()
    return int(found[1]), int(found[3])


def folder_of(connection: libvirt.virConnect, name: str) -> str | None:
    """The folder of the pool *name*, active or not; None without one."""
    try:
        found = connection.storagePoolLookupByName(name)
        root = xml.parse(found.XMLDesc())
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return None
    return root.findtext('target/path')


def _at(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool | None:
    try:
        return connection.storagePoolLookupByTargetPath(folder)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return None


def _is_ours(pool: libvirt.virStoragePool | None) -> bool:
    """Whether this driver, in whatever process, has made it for a look."""
    return pool is not None and filenames.is_transient_pool(pool.name())


def is_there(connection: libvirt.virConnect, path: str) -> bool:
    """
    Whether there is a file at *path*, in a folder that cannot be read.

    Also where that cannot be found out.
    """
    if not _may_be_read(path):
        return True
    try:
        # libvirt opens it as a folder, and says why it cannot.
        pool = connection.storagePoolCreateXML(_describe(path))
    except libvirt.libvirtError as exc:
        errors.raise_if_lost(connection, exc)
        return exc.get_int1() != errno.ENOENT
    _stop(pool)
    return True


def _start(
    connection: libvirt.virConnect, folder: str, create: _Create
) -> libvirt.virStoragePool | None:
    if not _may_be_read(folder):
        raise exceptions.FolderUnreadable(folder, 'it is not for files')
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return create(connection, folder)
        except libvirt.libvirtError as exc:
            if volumes.is_gone(exc):
                return None
            errors.raise_if_lost(connection, exc)
            late = time.monotonic() - until
            if not _is_taken(exc) or late > _BUSY_SECONDS:
                raise exceptions.FolderUnreadable(
                    folder, errors.text(exc)
                ) from exc
        # Another process looks into the folder, or died while it did.
        if late > 0:
            _stop_left_behind(connection, folder)
        time.sleep(_BUSY_POLL_SECONDS)


def _create(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool:
    # libvirt allows one pool of a kind for each spelling of a folder, whether
    # it is active or not: the first may be somebody's.
    if active_over(connection, folder):
        return _create_beside(connection, folder)
    try:
        return connection.storagePoolCreateXML(_describe(folder))
    except libvirt.libvirtError as exc:
        # Another process looks into it, or somebody has a pool that is off.
        if not _is_taken(exc) or _at(connection, folder) is not None:
            raise
    return _create_beside(connection, folder)


def _create_beside(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool:
    """The same by another spelling, as the first is somebody's."""
    again = posixpath.join(folder, '.')
    return connection.storagePoolCreateXML(_describe(again))


def _create_own(
    connection: libvirt.virConnect, folder: str
) -> libvirt.virStoragePool:
    # No other spelling: who removes the folder must have it for himself.
    return connection.storagePoolCreateXML(_describe(folder), _BUILD)


def _is_taken(error: libvirt.libvirtError) -> bool:
    """Whether a pool of that kind has the folder already."""
    return bool(error.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED)


def _may_be_read(path: str) -> bool:
    path = posixpath.normpath(path)
    return not any(f'{path}/'.startswith(f'{top}/') for top in _NO_FILES)


def _describe(folder: str) -> str:
    root = ElementTree.Element('pool', type='dir')
    identity = uuid.uuid4()
    name = ElementTree.SubElement(root, 'name')
    name.text = filenames.transient_pool(identity)
    ElementTree.SubElement(root, 'uuid').text = str(identity)
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'path').text = folder
    return xml.render(root)


def _stop_left_behind(connection: libvirt.virConnect, folder: str) -> None:
    for pool in connection.listAllStoragePools():
        if _is_ours(pool):
            path = xml.parse(pool.XMLDesc()).findtext('target/path', '')
            if volumes.tidy(path) == folder:
                # Persistent, if its process has died as it removed the folder.
                persistent = pool.isPersistent()
                if pool.isActive():
                    _stop(pool)
                if persistent:
                    pool.undefine()


def _stop(pool: libvirt.virStoragePool) -> None:
    """Stop a transient pool of this driver."""
    try:
        pool.destroy()
    except libvirt.libvirtError as exc:
        # Taken for one that was left behind, and stopped by who did.
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
