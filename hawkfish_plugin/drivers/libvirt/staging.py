# SPDX-License-Identifier: Apache-2.0
"""
Files that are made for one task, in a folder of their own.

libvirt looks into a folder as a whole, and lets one pool of a kind have it:
what takes minutes in the folder of the disks would keep all others from
looking there.  So each export, and each clone that proves a snapshot, has a
folder for itself, and a transient pool over it that stays for as long as the
folder does: to read a part of a file is then three calls, and nothing of
libvirt is held in between, however slow whoever wants the bytes may be.  A
pool that is gone, as libvirtd was started again, is made anew.
"""

import contextlib
import hashlib
import os
import posixpath
import time
import uuid
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    errors,
    filenames,
    near,
    volumes,
    xml,
)
from hawkfish_plugin.drivers.libvirt.hosts import Host

# libvirt sends no more in one message, and takes in as much as it can get:
# what is asked for at once is held in memory.
_PART_BYTES = 256 * 2**10
WINDOW_BYTES = 4 * 2**20
# What nobody else calls a folder: a pool is told by the text of its path.
_SPELLINGS = range(3, 64)
# How long a copy may take that goes on in libvirtd after its client died.
_BUSY_SECONDS, _POLL_SECONDS = 600.0, 0.2
# What libvirt says of a pool that another thread or process uses as well: it
# removes the same folder, or reads from it and so has made its pool anew.
_BUSY = (
    libvirt.VIR_ERR_OPERATION_INVALID,
    libvirt.VIR_ERR_OPERATION_FAILED,
    libvirt.VIR_ERR_INTERNAL_ERROR,
    libvirt.VIR_ERR_NO_STORAGE_POOL,
    libvirt.VIR_ERR_NO_STORAGE_VOL,
)
# And how long one is waited for: no disk of a lab takes as long.
_COPY_SECONDS = 4 * 3600.0


class Staging:
    """
    The folder *path* of staged files, as seen through one connection.

    *operation* is what they are made for, and fails where a source is gone.
    """

    def __init__(
        self, host: Host, path: str, operation: str = contract.EXPORT
    ) -> None:
        self.path = path
        self._operation = operation
        self._host = host
        self._connection = host.connection

    # What is put there -----------------------------------------------------

    def make(self, passable: bool = False) -> None:
        """
        Make the folder, which only its owner can read.

        *passable*: whoever may read one of its files can get there, as QEMU
        has to.
        """
        self._host.check_active()
        build = libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD
        text = self._describe('0711' if passable else '0700')
        self._connection.storagePoolCreateXML(text, build)

    def clone(self, name: str, source: str, kind: str, found: str) -> None:
        """
        Copy the disk in the file *source* to the new file *name*.

        *kind* is the format of the copy, *found* the one that the source is
        said to have.  The copy has no backing file, and is sparse.
        """
        self._host.check_active()
        with self._beside(source) as origin:
            volume = self._source(origin, source)
            _check_format(volume, source, found)
            capacity = volumes.usage(volume)[0]
            text = volumes.copy_xml(name, kind, capacity)
            pool = self._pool()
            # A server that hangs must not keep the worker for ever.
            self._host.change(
                self._path(name),
                lambda: pool.createXMLFrom(text, volume, 0),
                _COPY_SECONDS,
            )

    def _source(
        self, pool: libvirt.virStoragePool, path: str
    ) -> libvirt.virStorageVol:
        volume = volumes.find_in(pool, posixpath.basename(path))
        if volume is None:
            raise exceptions.OperationFailed(
                self._operation, f'{path} is gone'
            )
        return volume

    def make_overlay(self, name: str, base: str, kind: str) -> None:
        """Make an overlay over the disk in the file *base*, of *kind*."""
        self._host.check_active()
        with self._beside(base) as origin:
            like = volumes.describe(self._source(origin, base))
        text = volumes.overlay_xml(name, base, kind, like)
        self._pool().createXML(text)

    def overwrite(self, name: str, data: bytes) -> None:
        """Let the file *name*, which is longer, begin with *data*."""
        self._host.check_active()
        self._host.storage.upload(self._find(name), data)

    def write(self, name: str, data: bytes) -> None:
        """Let the new file *name* hold *data*."""
        self._host.check_active()
        text = volumes.raw_xml(name, len(data), None)
        volume = self._pool().createXML(text)
        self._host.storage.upload(volume, data)

    @contextlib.contextmanager
    def _beside(self, path: str) -> Iterator[libvirt.virStoragePool]:
        """A pool over the folder of *path* that is in nobody's way."""
        folder = posixpath.dirname(path)
        pool = self._host.storage.ask(folder, lambda: self._enter(folder))
        try:
            yield pool
        finally:
            with errors.ignored(self._connection):
                pool.destroy()

    def _enter(self, folder: str) -> libvirt.virStoragePool:
        self._forget_beside()
        for dots in _SPELLINGS:
            spelled = posixpath.join(folder, '/'.join(dots * '.'))
            text = _pool_xml(self._beside_name, uuid.uuid4(), spelled)
            try:
                return self._connection.storagePoolCreateXML(text)
            except libvirt.libvirtError as exc:
                taken = libvirt.VIR_ERR_OPERATION_FAILED
                if exc.get_error_code() != taken:
                    raise
        raise exceptions.FolderUnreadable(folder, 'too many look at it')

    @property
    def _beside_name(self) -> str:
        return filenames.source_pool(self.path)

    def _forget_beside(self) -> None:
        """Forget the pool of an earlier try, whose process has died."""
        with errors.ignored(self._connection):
            self._connection.storagePoolLookupByName(
                self._beside_name
            ).destroy()

    # What is got from there ------------------------------------------------

    def size(self, name: str) -> int:
        """The bytes of the file *name*; raises ExportFileMissing."""
        return volumes.file_size(self._find(name))

    def capacity(self, name: str) -> int:
        """The bytes of the disk in the file *name*."""
        return volumes.usage(self._find(name))[0]

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Exactly these bytes of a file; raises ExportFileMissing."""
        if not length:
            return b''

        def read() -> bytes:
            # libvirt's streams take several times as long.
            with contextlib.suppress(OSError), self._opened(name) as file:
                if file is not None:
                    data = os.pread(file, length, offset)
                    if len(data) == length:
                        return data
            return self._receive(name, offset, length)

        return self._host.storage.ask(self._path(name), read)

    def keep(self, name: str) -> bool:
        """
        Let the file *name* outlive a loss of power; False where nobody can.

        QEMU leaves to the kernel when its copy is written.
        """
        path = self._path(name)

        def sync() -> bool:
            with self._opened(name) as file:
                if file is not None:
                    near.sync(file, path)
                return file is not None

        try:
            return self._host.change(path, sync, _COPY_SECONDS)
        except PermissionError:
            return False
        except OSError as exc:
            raise exceptions.OperationFailed(
                self._operation, f'{path}: {exc.strerror}'
            ) from exc

    def _opened(
        self, name: str
    ) -> contextlib.AbstractContextManager[int | None]:
        return near.opened(
            self._host,
            self._path(name),
            lambda: volumes.describe(self._find(name)),
        )

    def _receive(self, name: str, offset: int, length: int) -> bytes:
        volume = self._find(name)
        if volumes.file_size(volume) < offset + length:
            raise exceptions.ExportFileMissing(self._path(name))
        stream = self._connection.newStream()
        volume.download(stream, offset, length)
        parts = []
        while part := stream.recv(_PART_BYTES):
            parts.append(part)
        stream.finish()
        data = b''.join(parts)
        if len(data) != length:
            raise exceptions.ExportFileMissing(self._path(name))
        return data

    def sha256(self, name: str, size: int, check: Callable[[], None]) -> str:
        """The checksum of a file; *check* may raise between two parts."""
        digest = hashlib.sha256()
        for offset in range(0, size, WINDOW_BYTES):
            check()
            length = min(WINDOW_BYTES, size - offset)
            digest.update(self.read(name, offset, length))
        return digest.hexdigest()

    def _find(self, name: str) -> libvirt.virStorageVol:
        try:
            volume = volumes.find_in(self._pool(), name)
        except libvirt.libvirtError as exc:
            if not volumes.is_gone(exc):
                raise
            volume = None
        if volume is None:
            raise exceptions.ExportFileMissing(self._path(name))
        return volume

    def _path(self, name: str) -> str:
        return posixpath.join(self.path, name)

    def available(self) -> int:
        """The bytes that are free there."""
        pool = self._pool()
        pool.refresh()
        return int(pool.info()[3])

    # Its end ---------------------------------------------------------------

    def remove(self, patience: float = _BUSY_SECONDS) -> None:
        """
        Remove the folder and all that is in it.

        Waits for a copy that still goes on there, and for whoever removes or
        reads the same, at most for *patience* seconds.
        """
        self._forget_beside()
        until = time.monotonic() + patience
        while True:
            try:
                return self._remove()
            except libvirt.libvirtError as exc:
                code = exc.get_error_code()
                if code not in _BUSY and volumes.is_gone(exc):
                    return None
                if code not in _BUSY or time.monotonic() > until:
                    raise
            time.sleep(_POLL_SECONDS)

    def _remove(self) -> None:
        """
        The same, unless somebody else is at it.

        Only a pool that is defined outlives its end, and can be deleted.
        """
        with errors.ignored(self._connection):
            pool = self._lookup()
            if pool.isActive():
                pool.refresh()
            else:
                # Who has defined it died before its end.
                pool.undefine()
        for volume in self._pool().listAllVolumes():
            volume.delete()
        self._lookup().destroy()
        pool = self._connection.storagePoolDefineXML(self._describe())
        try:
            pool.delete()
        finally:
            pool.undefine()

    # Its pool --------------------------------------------------------------

    def _pool(self) -> libvirt.virStoragePool:
        """Raises the libvirtError of a folder that is gone."""
        try:
            return self._lookup()
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
        try:
            return self._connection.storagePoolCreateXML(self._describe())
        except libvirt.libvirtError as exc:
            # Somebody else may have been quicker.
            if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED:
                raise
            return self._lookup()

    def _lookup(self) -> libvirt.virStoragePool:
        return self._connection.storagePoolLookupByUUIDString(
            str(self._identity)
        )

    @property
    def _identity(self) -> uuid.UUID:
        # The same each time, so that what was left behind is found.
        return uuid.uuid5(uuid.NAMESPACE_URL, self.path)

    def _describe(self, mode: str = '0700') -> str:
        name = filenames.transient_pool(self._identity)
        return _pool_xml(name, self._identity, self.path, mode)


def _check_format(volume: libvirt.virStorageVol, path: str, said: str) -> None:
    """
    Raise where libvirt would read a file as something that it is not.

    It guesses: what a guest has written to a raw disk could look like a
    qcow2 file that is backed by any file of the host.
    """
    described = volumes.describe(volume)
    guess = None if described is None else described.find('target/format')
    found = 'raw' if guess is None else guess.get('type', 'raw')
    if found != said:
        raise exceptions.OperationFailed(
            contract.EXPORT,
            f'{path} looks like {found}, and is said to be {said}',
        )


def _pool_xml(
    name: str, identity: uuid.UUID, path: str, mode: str = '0700'
) -> str:
    root = ElementTree.Element('pool', type='dir')
    ElementTree.SubElement(root, 'name').text = name
    ElementTree.SubElement(root, 'uuid').text = str(identity)
    target = ElementTree.SubElement(root, 'target')
    ElementTree.SubElement(target, 'path').text = path
    permissions = ElementTree.SubElement(target, 'permissions')
    ElementTree.SubElement(permissions, 'mode').text = mode
    return xml.render(root)
