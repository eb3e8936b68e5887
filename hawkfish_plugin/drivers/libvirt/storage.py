# SPDX-License-Identifier: Apache-2.0
"""
Files on the host of the hypervisor.

Owns looking for files, reading and writing them, and removing them, through
libvirt's storage API alone: the host may be another machine, so no local path
is ever opened.
"""

import contextlib
import math
import posixpath
from collections.abc import Collection, Generator, Iterable, Iterator

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import errors, pools, volumes, xml

# Of a qcow2 file, unless somebody asks for others.
_CLUSTER_BYTES = 64 * 2**10
# libvirt sends no more in one message.
_PART_BYTES = 256 * 2**10
# How many volumes of a list cost as much as to find one.
_LISTED_WHILE_FOUND = 10


class Storage:
    """The files of a host, as seen through one connection."""

    def __init__(
        self, connection: libvirt.virConnect, shared: pools.Pools
    ) -> None:
        self.connection = connection
        self.pools = shared

    def over(
        self, folder: str, age: float = 0.0
    ) -> contextlib.AbstractContextManager[libvirt.virStoragePool | None]:
        """A pool over *folder*; see ``Pools.over``."""
        return self.pools.over(self.connection, folder, age)

    # One file --------------------------------------------------------------

    def path_of(self, disk: xml.Disk | xml.Source) -> str | None:
        """The path of the file that holds *disk*; None where it is no file."""
        if disk.kind == 'volume' and disk.volume:
            return self._volume_path(*disk.volume)
        return disk.path if disk.kind == 'file' else None

    def _volume_path(self, pool: str, name: str) -> str | None:
        found = self.connection.storagePoolLookupByName(pool)
        volume = found.storageVolLookupByName(name)
        return volume.path() if volumes.is_file(volume) else None

    def exists(self, path: str) -> bool:
        """Whether the hypervisor sees a file at *path*."""
        with self._file(path) as volume:
            return volume is not None

    def remove(self, path: str) -> None:
        """Remove the file at *path*, if there is one."""
        with self._file(path) as volume:
            if volume is not None:
                volume.delete()

    def size(self, path: str) -> tuple[int, int]:
        """Capacity and allocation of the disk file at *path*, in bytes."""
        with self._file(path) as volume:
            return (0, 0) if volume is None else volumes.usage(volume)

    def is_written(self, path: str) -> bool:
        """Whether the qcow2 overlay at *path* may hold data of its own."""
        capacity, allocation = self.size(path)
        # Header, reference table and block, and 8 bytes for each 512 MiB;
        # what is written first takes two clusters more.
        return allocation > 4 * _CLUSTER_BYTES + capacity // 2**26

    def read(self, path: str, most: int) -> bytes | None:
        """The first *most* bytes of a file; None where there is none."""
        with self._file(path) as volume:
            if volume is None:
                return None
            stream = self.connection.newStream()
            length = min(most, volumes.file_size(volume))
            volume.download(stream, 0, length)
            data = b''
            while part := stream.recv(_PART_BYTES):
                data += part
            stream.finish()
        return data

    def write(self, path: str, data: bytes) -> None:
        """
        Let the file at *path* hold *data*; a new one is its owner's only.

        Raises FolderMissing.
        """
        with self.over(posixpath.dirname(path)) as pool:
            if pool is None:
                raise exceptions.FolderMissing(posixpath.dirname(path))
            self._upload(self._sized(pool, path, len(data)), data)

    def _sized(
        self, pool: libvirt.virStoragePool, path: str, size: int
    ) -> libvirt.virStorageVol:
        """The file at *path*, replaced where it has another size."""
        volume, like = volumes.find(self.connection, path), None
        if volume is not None and volumes.file_size(volume) == size:
            return volume
        if volume is not None:
            like = volumes.describe(volume)
            volume.delete()
        return pool.createXML(volumes.raw_xml(path, size, like))

    def _upload(self, volume: libvirt.virStorageVol, data: bytes) -> None:
        stream = self.connection.newStream()
        volume.upload(stream, 0, len(data))
        for begin in range(0, len(data), _PART_BYTES):
            stream.send(data[begin : begin + _PART_BYTES])
        stream.finish()

    def make_overlay(self, path: str, base: str, base_format: str) -> None:
        """Make an empty overlay over *base* that only its owner can read."""
        with self._file(base) as volume:
            if volume is None:
                raise exceptions.OperationFailed('create', f'{base} is gone')
            like = volumes.describe(volume)
        text = volumes.overlay_xml(path, base, base_format, like)
        with self.over(posixpath.dirname(path), math.inf) as pool:
            if pool is None:
                raise exceptions.FolderMissing(posixpath.dirname(path))
            pool.createXML(text)

    @contextlib.contextmanager
    def _file(self, path: str) -> Iterator[libvirt.virStorageVol | None]:
        volume = None
        # The pool that has it may be stopped right now; then by its folder.
        with errors.ignored(self.connection):
            volume = volumes.find(self.connection, path)
        if volume is not None:
            yield volume
            return
        with self.over(posixpath.dirname(path)) as pool:
            yield None if pool is None else self._find(pool, path)

    def _find(
        self, pool: libvirt.virStoragePool, path: str
    ) -> libvirt.virStorageVol | None:
        """The file at *path* in the folder of *pool*, or None."""
        volume = volumes.find(self.connection, path)
        if volume is None:
            # Raises where another process has stopped the pool meanwhile:
            # what cannot be looked for is not missing.
            pool.numOfVolumes()
        return volume

    # Many files ------------------------------------------------------------

    def listing(self, folder: str) -> list[str]:
        """The paths of the files in *folder*; none where it is not there."""
        with self.over(folder) as pool:
            if pool is None:
                return []
            # To ask each for its path would be a call for every one.
            names = volumes.all_in(pool)
            return [posixpath.join(folder, name) for name in names]

    def missing(self, paths: Iterable[str]) -> str | None:
        """The first that is not there, of *paths* and their backing files."""
        with contextlib.closing(self._walk(paths)) as walk:
            return next((path for path, found, _ in walk if not found), None)

    def chains(self, paths: Iterable[str]) -> set[str]:
        """*paths* and their backing files, as the files themselves say."""
        return {path for path, _, _ in self._walk(paths)}

    def backing(self, paths: Iterable[str]) -> dict[str, str | None]:
        """
        The backing file of each of *paths*, and of these files in turn.

        None where it has none; what is not there is left out.
        """
        return {
            path: below for path, found, below in self._walk(paths) if found
        }

    def _walk(
        self, paths: Iterable[str]
    ) -> Generator[tuple[str, bool, str | None], None, None]:
        """
        Each of *paths* and its backing files, and whether it is there.

        And the backing file of each.
        """
        pending, seen = list(paths), set[str]()
        with contextlib.ExitStack() as stack:
            entered: dict[str, libvirt.virStoragePool | None] = {}
            while pending:
                path = pending.pop(0)
                if path in seen:
                    continue
                seen.add(path)
                folder, volume = posixpath.dirname(path), None
                with errors.ignored(self.connection):
                    volume = volumes.find(self.connection, path)
                if volume is None and folder not in entered:
                    entered[folder] = stack.enter_context(self.over(folder))
                if volume is None and (pool := entered[folder]) is not None:
                    volume = self._find(pool, path)
                below = (
                    None if volume is None else volumes.backing_file(volume)
                )
                # What is on the network has no path.
                if below and not posixpath.isabs(below):
                    below = None
                yield path, volume is not None, below
                pending += [below] if below else []

    def available(self, folder: str, age: float = 0.0) -> int:
        """
        The free bytes of the file system of *folder*; none without it.

        What was seen *age* seconds ago will do.
        """
        with self.over(folder, age) as pool:
            return 0 if pool is None else int(pool.info()[3])

    def allocations(self, folder: str, paths: Iterable[str]) -> dict[str, int]:
        """
        The bytes that *paths* in *folder* take, but for those that are gone.
        """
        wanted = {posixpath.basename(path): path for path in paths}
        with self.over(folder, math.inf) as pool:
            if pool is None:
                return {}
            found, sizes = self._find_all(pool, wanted), {}
            if not wanted.keys() <= found.keys():
                self.pools.refresh(self.connection, pool)
                found = self._find_all(pool, wanted)
            for name, volume in found.items():
                with errors.ignored(self.connection):
                    sizes[wanted[name]] = volumes.usage(volume)[1]
        return sizes

    def _find_all(
        self, pool: libvirt.virStoragePool, names: Collection[str]
    ) -> dict[str, libvirt.virStorageVol]:
        """Those of the volumes *names* that are in *pool*."""
        # One call for each, or one call whose answer names every volume.
        if len(names) * _LISTED_WHILE_FOUND > pool.numOfVolumes():
            every = volumes.all_in(pool)
            return {name: every[name] for name in names if name in every}
        found = {}
        for name in names:
            with errors.ignored(self.connection):
                found[name] = pool.storageVolLookupByName(name)
        return found
