# SPDX-License-Identifier: Apache-2.0
"""
Files on the host of the hypervisor.

Owns looking for files and removing them, through libvirt's storage API alone:
the host may be another machine, so no local path is ever opened.
"""

import contextlib
import errno
import math
import posixpath
import re
import threading
import time
import uuid
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin import exceptions

# Two pools over one folder are refused: those of the moment take turns.
_folders = threading.RLock()
_PREFIX = 'hawkfish-'
_OF_THE_MOMENT = re.compile(_PREFIX + '[0-9a-f]{32}')
# Of a pool that is, or was, not active.
_STOPPED = (libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID)

# A pool in which another client makes a volume can be neither refreshed nor
# stopped, and another process may be quicker to make one of the moment.
_BUSY = frozenset(
    (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_OPERATION_FAILED)
)
# Of a qcow2 file, unless somebody asks for others.
_CLUSTER_BYTES = 64 * 2**10
# libvirt sends no more in one message.
_PART_BYTES = 256 * 2**10

_BUSY_SECONDS, _BUSY_POLL_SECONDS = 10.0, 0.1
_LOCK_SECONDS = 60.0

# How many volumes of a list cost as much as to find one.
_LISTED_WHILE_FOUND = 10

# When this process has refreshed each pool, by its UUID.
_refreshed: dict[str, float] = {}


def volume_path(connection: Any, pool: str, volume: str) -> str | None:
    """The path of a volume that is a plain file, else None."""
    found = connection.storagePoolLookupByName(pool).storageVolLookupByName(
        volume
    )
    is_file = found.info()[0] == libvirt.VIR_STORAGE_VOL_FILE
    return str(found.path()) if is_file else None


def exists(connection: Any, path: str) -> bool:
    """Whether the hypervisor sees a file at *path*."""
    with _file(connection, path) as volume:
        return volume is not None


def remove(connection: Any, path: str) -> None:
    """Remove the file at *path*, if there is one."""
    with _file(connection, path) as volume:
        if volume is not None:
            volume.delete()


def listing(connection: Any, folder: str) -> list[str]:
    """The paths of the files in *folder*; none where it is not there."""
    with _folder(connection, folder) as pool:
        if pool is None:
            return []
        # To ask each for its path would be a call for every one.
        return [posixpath.join(folder, name) for name in _volumes(pool)]


def missing(connection: Any, paths: Iterable[str]) -> str | None:
    """The first of *paths*, or of the files below them, that is not there."""
    with contextlib.closing(_walk(connection, paths)) as walk:
        return next((path for path, found in walk if not found), None)


def chains(connection: Any, paths: Iterable[str]) -> set[str]:
    """*paths* and the files below them, as the files themselves say."""
    return {path for path, _ in _walk(connection, paths)}


def _walk(
    connection: Any, paths: Iterable[str]
) -> Generator[tuple[str, bool], None, None]:
    """Each of *paths* and the files below, and whether it is there."""
    pending, seen = list(paths), set[str]()
    with contextlib.ExitStack() as stack:
        pools: dict[str, Any] = {}
        while pending:
            path = pending.pop(0)
            if path in seen:
                continue
            seen.add(path)
            folder, volume = posixpath.dirname(path), None
            with _broken(connection):
                volume = _known(connection, path)
            if volume is None and folder not in pools:
                pools[folder] = stack.enter_context(
                    _folder(connection, folder)
                )
            if volume is None and pools[folder] is not None:
                volume = _find(connection, pools[folder], path)
            yield path, volume is not None
            if volume is not None:
                below = _describe(volume).findtext('backingStore/path')
                pending += [below] if below else []


def read(connection: Any, path: str, most: int) -> bytes | None:
    """The first *most* bytes of a file; None where there is none."""
    with _file(connection, path) as volume:
        if volume is None:
            return None
        stream = connection.newStream()
        volume.download(stream, 0, min(most, _size_of(volume)))
        data = b''
        while part := stream.recv(_PART_BYTES):
            data += part
        stream.finish()
    return data


def write(connection: Any, path: str, data: bytes) -> None:
    """
    Let the file at *path* hold *data*; a new one is its owner's only.

    Raises FolderMissing.
    """
    with _folder(connection, posixpath.dirname(path)) as pool:
        if pool is None:
            raise exceptions.FolderMissing(posixpath.dirname(path))
        volume, like = _known(connection, path), None
        if volume is not None and _size_of(volume) != len(data):
            like = _describe(volume).find('target/permissions')
            volume.delete()
            volume = None
        if volume is None:
            volume = pool.createXML(_new_file(path, len(data), like))
        stream = connection.newStream()
        volume.upload(stream, 0, len(data))
        for begin in range(0, len(data), _PART_BYTES):
            stream.send(data[begin : begin + _PART_BYTES])
        stream.finish()


def _new_file(path: str, size: int, like: ElementTree.Element | None) -> str:
    root = ElementTree.Element('volume')
    ElementTree.SubElement(root, 'name').text = posixpath.basename(path)
    ElementTree.SubElement(root, 'capacity', unit='bytes').text = str(size)
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'format', type='raw')
    permissions = ElementTree.SubElement(target, 'permissions')
    ElementTree.SubElement(permissions, 'mode').text = '0600'
    if like is not None:
        for name in ('owner', 'group'):
            found = like.findtext(name)
            ElementTree.SubElement(permissions, name).text = found
    return ElementTree.tostring(root, encoding='unicode')


def _size_of(volume: Any) -> int:
    """The bytes of the file itself, of whatever format its content is."""
    flag = libvirt.VIR_STORAGE_VOL_GET_PHYSICAL
    return int(volume.infoFlags(flag)[2])


def _describe(volume: Any) -> ElementTree.Element:
    return ElementTree.fromstring(volume.XMLDesc())  # noqa: S314


def available(connection: Any, folder: str, age: float = 0.0) -> int:
    """
    The free bytes of the file system of *folder*; none without it.

    What was seen *age* seconds ago will do.
    """
    with _folder(connection, folder, age) as pool:
        return 0 if pool is None else int(pool.info()[3])


def size(connection: Any, path: str) -> tuple[int, int]:
    """Capacity and allocation of the disk file at *path*, in bytes."""
    with _file(connection, path) as volume:
        if volume is None:
            return 0, 0
        _, capacity, allocation = volume.info()
        return int(capacity), int(allocation)


def is_written(connection: Any, path: str) -> bool:
    """Whether the qcow2 overlay at *path* may hold more than none has."""
    capacity, allocation = size(connection, path)
    # Header, reference table and block, and 8 bytes for each 512 MiB; what is
    # written first takes two clusters more.
    return allocation > 4 * _CLUSTER_BYTES + capacity // 2**26


def allocations(
    connection: Any, folder: str, paths: Iterable[str]
) -> dict[str, int]:
    """The bytes that *paths* in *folder* take, but for those that are gone."""
    wanted = {posixpath.basename(path): path for path in paths}
    with _folder(connection, folder, math.inf) as pool:
        if pool is None:
            return {}
        volumes, found = _find_all(pool, wanted), {}
        if not wanted.keys() <= volumes.keys():
            _refresh(pool)
            volumes = _find_all(pool, wanted)
        for name, volume in volumes.items():
            with _broken(connection):
                found[wanted[name]] = int(volume.info()[2])
    return found


def _find_all(pool: Any, names: Collection[str]) -> dict[str, Any]:
    """Those of the volumes *names* that are in *pool*."""
    # One call for each, or one call whose answer names every volume.
    if len(names) * _LISTED_WHILE_FOUND > pool.numOfVolumes():
        volumes = _volumes(pool)
        return {name: volumes[name] for name in names if name in volumes}
    found = {}
    for name in names:
        with _broken(pool.connect()):
            found[name] = pool.storageVolLookupByName(name)
    return found


def _volumes(pool: Any) -> dict[str, Any]:
    return {volume.name(): volume for volume in pool.listAllVolumes()}


# What holds a volume, and its name; its path, and what that is backed by.
Place = tuple[str, str]
Layers = tuple[str, str | None]


def layers(
    connection: Any, folders: Iterable[str], known: Mapping[Place, Layers]
) -> dict[Place, Layers]:
    """
    Every volume of all active pools, and of *folders* if they are in none.

    Those in *known* are not looked at again.
    """
    found: dict[Place, Layers] = {}
    active = {
        pool.name(): pool
        for pool in connection.listAllStoragePools(
            libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
        )
        if not _is_of_the_moment(pool)
    }
    for folder in folders:
        try:
            with _folder(connection, folder) as pool:
                if pool is not None and pool.name() not in active:
                    found |= _layers(pool, folder, known)
                    # Raises where another process has stopped it meanwhile.
                    pool.numOfVolumes()
        except libvirt.libvirtError:
            # A busy pool is not refreshed; its volumes are looked at below.
            # What is in no pool has not been seen at all.
            held = _find_active(connection, folder)
            if held is None or held.name() not in active:
                raise
    for name, pool in active.items():
        found |= _layers(pool, name, known)
    return found


def is_backing(connection: Any, path: str) -> bool:
    """Whether any known volume lies on the file at *path*."""
    known = layers(connection, [posixpath.dirname(path)], {})
    return any(below == path for _, below in known.values())


def _layers(
    pool: Any, where: str, known: Mapping[Place, Layers]
) -> dict[Place, Layers]:
    found: dict[Place, Layers] = {}
    try:
        volumes = pool.listAllVolumes()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in _STOPPED:
            raise
        return found
    for volume in volumes:
        place = where, volume.name()
        with _broken(pool.connect()):
            found[place] = known.get(place) or _read_layers(volume)
    return found


def _read_layers(volume: Any) -> Layers:
    root = ElementTree.fromstring(volume.XMLDesc())  # noqa: S314
    path = root.findtext('target/path', '')
    return path, root.findtext('backingStore/path')


@contextlib.contextmanager
def _broken(connection: Any) -> Iterator[None]:
    """Mind no volume that is gone, or unreadable, or held by a busy pool."""
    try:
        yield
    except libvirt.libvirtError:
        if not connection.isAlive():
            raise


def make_overlay(
    connection: Any, path: str, base: str, base_format: str
) -> None:
    """Make an empty qcow2 file over *base* that only its owner can read."""
    with _file(connection, base) as volume:
        like = ElementTree.fromstring(volume.XMLDesc())  # noqa: S314
    root = ElementTree.Element('volume')
    ElementTree.SubElement(root, 'name').text = posixpath.basename(path)
    capacity = ElementTree.SubElement(root, 'capacity', unit='bytes')
    capacity.text = like.findtext('capacity')
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'format', type='qcow2')
    permissions = ElementTree.SubElement(target, 'permissions')
    ElementTree.SubElement(permissions, 'mode').text = '0600'
    for name in ('owner', 'group'):
        text = like.findtext(f'target/permissions/{name}')
        ElementTree.SubElement(permissions, name).text = text
    backing = ElementTree.SubElement(root, 'backingStore')
    ElementTree.SubElement(backing, 'path').text = base
    ElementTree.SubElement(backing, 'format', type=base_format)
    with _folder(connection, posixpath.dirname(path), math.inf) as pool:
        pool.createXML(ElementTree.tostring(root, encoding='unicode'))


@contextlib.contextmanager
def _file(connection: Any, path: str) -> Iterator[Any]:
    volume = None
    # The pool that has it may be stopped right now; then by its folder.
    with _broken(connection):
        volume = _known(connection, path)
    if volume is not None:
        yield volume
        return
    with _folder(connection, posixpath.dirname(path)) as pool:
        yield None if pool is None else _find(connection, pool, path)


def _find(connection: Any, pool: Any, path: str) -> Any:
    """The file at *path* in the folder of *pool*, or None."""
    volume = _known(connection, path)
    if volume is None:
        # Raises where another process has stopped the pool meanwhile: what
        # cannot be looked for is not missing.
        pool.numOfVolumes()
    return volume


def _known(connection: Any, path: str) -> Any:
    """The file at *path*; None where no active pool has it, or it is gone."""
    try:
        volume = connection.storageVolLookupByPath(path)
        # Pools remember files that are gone; this looks at the file itself.
        volume.info()
    except libvirt.libvirtError as exc:
        if not _is_gone(exc):
            raise
        return None
    return volume


def _is_gone(error: libvirt.libvirtError) -> bool:
    code = error.get_error_code()
    return code == libvirt.VIR_ERR_NO_STORAGE_VOL or (
        code == libvirt.VIR_ERR_SYSTEM_ERROR
        and error.get_int1() in (errno.ENOENT, errno.ENOTDIR)
    )


@contextlib.contextmanager
def _folder(connection: Any, folder: str, age: float = 0.0) -> Iterator[Any]:
    """
    A pool over *folder*, if need be one of the moment, or None.

    It is fresh, or what was seen *age* seconds ago: to see a folder anew
    libvirt looks into every file of it.
    """
    oldest = time.monotonic() - age
    # A look at a folder that hangs, of a server that is gone, never ends. An
    # operation that had begun is settled later, as without the hypervisor.
    if not _folders.acquire(timeout=_LOCK_SECONDS):
        raise exceptions.HypervisorUnavailable(
            connection.getURI(), 'a look at its storage has not ended'
        )
    with contextlib.ExitStack() as stack:
        stack.callback(_folders.release)
        pool, passing = _enter(connection, folder, oldest)
        if passing:
            stack.callback(_stop, connection, pool)
        else:
            # Nobody stops it, so nobody need wait for its user.
            stack.close()
        yield pool


def _enter(connection: Any, folder: str, oldest: float) -> tuple[Any, bool]:
    """
    The pool, and whether it is to be stopped at the end.

    What was seen since *oldest*, maybe for another thread, will do.
    """
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        found = _find_active(connection, folder)
        if found is None:
            made = _patiently(connection, lambda: _open(connection, folder))
            return made, made is not None
        passing = _is_of_the_moment(found)
        # Another process looks into the folder, or died while it did.
        if not passing or time.monotonic() > until:
            seen = _refreshed.get(found.UUIDString(), -math.inf)
            if passing or seen < oldest:
                _refresh(found)
            return found, passing
        time.sleep(_BUSY_POLL_SECONDS)


def _refresh(pool: Any) -> None:
    begin = time.monotonic()
    _patiently(pool.connect(), pool.refresh)
    _refreshed[pool.UUIDString()] = begin


def _patiently(connection: Any, call: Callable[[], Any]) -> Any:
    """Call, and again while another client keeps the pool busy."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return call()
        except libvirt.libvirtError as exc:
            if (
                exc.get_error_code() not in _BUSY
                or time.monotonic() > until
                or not connection.isAlive()
            ):
                raise
        time.sleep(_BUSY_POLL_SECONDS)


def _stop(connection: Any, pool: Any) -> None:
    try:
        _patiently(connection, pool.destroy)
    except libvirt.libvirtError as exc:
        # Taken for one that was left behind, and stopped by who did.
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise


def _find_active(connection: Any, folder: str) -> Any:
    try:
        return connection.storagePoolLookupByTargetPath(folder)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return None


def _open(connection: Any, folder: str) -> Any:
    """Start the pool over *folder*, made for the moment where it has none."""
    inactive = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE
    for pool in connection.listAllStoragePools(inactive):
        root = ElementTree.fromstring(pool.XMLDesc())  # noqa: S314
        if root.findtext('target/path') == folder:
            pool.create()
            return pool
    return _make_pool(connection, folder)


def _is_of_the_moment(pool: Any) -> bool:
    return bool(_OF_THE_MOMENT.fullmatch(pool.name()))


def _make_pool(connection: Any, folder: str) -> Any:
    root = ElementTree.Element('pool', type='dir')
    ElementTree.SubElement(root, 'name').text = _PREFIX + uuid.uuid4().hex
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'path').text = folder
    try:
        return connection.storagePoolCreateXML(
            ElementTree.tostring(root, encoding='unicode')
        )
    except libvirt.libvirtError as exc:
        # No such folder, so no such file; all else is to be told.
        if not _is_gone(exc):
            raise
        return None
