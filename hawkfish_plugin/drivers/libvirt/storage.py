# SPDX-License-Identifier: Apache-2.0
"""
Files on the host of the hypervisor.

Owns looking for files, reading and writing them, and removing them, through
libvirt's storage API alone: the host may be another machine, so no local path
is ever opened.

libvirt reads a folder as a whole or not at all: a mount of which the process
has died, or that is another user's, keeps it from all files beside.  Of these
the driver still learns whether one is there, and how much space is free; what
needs more raises FolderUnreadable.  Whatever does not answer in time raises
NotAnswering.  Long, as all that is done to files stands together.
"""

import dataclasses
import functools
import posixpath
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    errors,
    filenames,
    identities,
    pools,
    qcow2,
    volumes,
    xml,
)
from hawkfish_plugin.drivers.libvirt.chains import Found, backing_file, walk
from hawkfish_plugin.drivers.libvirt.deadlines import Deadlines
from hawkfish_plugin.drivers.libvirt.looked import Looked, Seen
from hawkfish_plugin.drivers.libvirt.moments import Moments

T = TypeVar('T')

# A look into a folder of thousands of files takes seconds. While another one
# hangs libvirt lets all of them wait.
_LOOK_SECONDS, _WHILE_LATE_SECONDS = 60.0, 2.0
# That of an overlay of 64 TiB takes 1 MiB, unless its clusters are small; what
# is longer is not read.
_MOST_TABLE_BYTES = 16 * 2**20
# libvirt sends no more in one message.
_PART_BYTES = 256 * 2**10
# How long a volume is waited for that is being allocated.
_ALLOCATING_SECONDS, _POLL_SECONDS = 10.0, 0.05


def _deadlines() -> Deadlines:
    return Deadlines(_LOOK_SECONDS, _WHILE_LATE_SECONDS)


@dataclasses.dataclass(frozen=True)
class Looks:
    """What the connections to one host share of its storage."""

    deadlines: Deadlines = dataclasses.field(default_factory=_deadlines)


class Storage:
    """The files of a host, as seen through one connection."""

    def __init__(
        self,
        connection: libvirt.virConnect,
        looks: Looks,
        check_active: Callable[[], None],
        moments: Moments,
    ) -> None:
        self.connection = connection
        self._looks = looks
        self._check_active = check_active
        self._moments = moments

    def ask(self, folder: str, call: Callable[[], T]) -> T:
        """What *call* says of *folder*, or a pool; see ``Deadlines.ask``."""
        return self._looks.deadlines.ask(self.connection, folder, call)

    def look(
        self, folder: str, use: Callable[[libvirt.virStoragePool | None], T]
    ) -> T:
        """
        What *use* makes of a pool over *folder*; see ``pools.over``.

        It must not ask for other files of the host.
        """

        def enter() -> T:
            with pools.over(self.connection, folder) as pool:
                return use(pool)

        return self.ask(folder, enter)

    # One file --------------------------------------------------------------

    def path_of(self, disk: xml.Disk | xml.Source) -> str | None:
        """The path of the file that holds *disk*; None where it is no file."""
        if disk.kind == 'volume' and disk.volume:
            pool, name = disk.volume
            return self.ask(pool, lambda: self._volume_path(pool, name))
        return disk.path if disk.kind == 'file' else None

    def file_of(self, disk: xml.Disk | xml.Source) -> str | None:
        """The same; None also where it is a volume that cannot be found."""
        with errors.ignored(self.connection):
            return self.path_of(disk)
        return None

    def files_of(self, disks: Iterable[xml.Disk]) -> set[str]:
        """
        The files of *disks*, for who must not miss one.

        Of a volume that cannot be found, as its pool is stopped, its name.
        """
        return {
            found
            for disk in disks
            if (found := self.file_of(disk) or (disk.volume or ('', ''))[1])
        }

    def _volume_path(self, pool: str, name: str) -> str | None:
        found = self.connection.storagePoolLookupByName(pool)
        volume = found.storageVolLookupByName(name)
        return volume.path() if volumes.is_file(volume) else None

    def exists(self, path: str) -> bool:
        """
        Whether the hypervisor sees a file at *path*.

        What cannot be found out counts as being there.
        """
        folder, name = posixpath.split(path)
        looked = self._looked(folder)
        if looked:
            return name in looked.names
        return self._seen(path).is_there

    def _seen(self, path: str) -> Seen:
        return self._told(path) or self._moments.once(
            ('file', path), lambda: self._see(path), of_files=True
        )

    def learn(self, folder: str, looked: Looked, asked: float) -> None:
        """Remember what a look into *folder* has told, *asked* for then."""
        self._moments.note(('looked', folder), looked, asked)

    def _looked(self, folder: str) -> Looked | None:
        return self._moments.noted(('looked', folder), Looked)

    def _told(self, path: str) -> Seen | None:
        """What a look into its folder has told, in this decision."""
        folder, name = posixpath.split(path)
        looked = self._looked(folder)
        return None if looked is None else looked.of(name)

    def _see(self, path: str) -> Seen:
        try:
            return self._with(path, _seen)
        except exceptions.FolderUnreadable:
            is_there = self.ask(
                posixpath.dirname(path),
                lambda: pools.is_there(self.connection, path),
            )
            return Seen(is_there)

    def is_one_file(self, one: str, other: str) -> bool:
        """Whether two paths are of one file, as far as can be found out."""
        stamps = [self._stamp(path) for path in (one, other, one)]
        # It may be written to meanwhile.
        return stamps[1] is not None and stamps[1] in (stamps[0], stamps[2])

    def _stamp(self, path: str) -> identities.Stamp | None:
        described = self._see(path).described
        return None if described is None else identities.stamp(described)

    def remove(self, path: str) -> None:
        """Remove the file at *path*, if there is one."""

        def delete(volume: libvirt.virStorageVol | None) -> None:
            if volume is not None:
                volume.delete()

        self._change(lambda: self._with(path, delete))

    def size(self, path: str) -> tuple[int, int]:
        """
        Capacity and allocation of the disk file at *path*, in bytes.

        Neither has any where it is gone, or where that cannot be found out.
        """
        described = self._seen(path).described
        return (0, 0) if described is None else volumes.usage_in(described)

    def file_size(self, path: str) -> int | None:
        """The bytes of the file at *path* itself; None where it is gone."""

        def measure(volume: libvirt.virStorageVol | None) -> int | None:
            return None if volume is None else volumes.file_size(volume)

        return self._with(path, measure)

    def overlay_size(self, base: str) -> int:
        """The most bytes that a new overlay over the file *base* takes."""
        like = self._seen(base).described
        if like is None:
            return volumes.overlay_size(0)
        cluster = int(like.findtext('target/clusterSize') or 0)
        return volumes.overlay_size(
            int(like.findtext('capacity') or 0), cluster
        )

    def has_folder(self, folder: str) -> bool:
        """Whether the hypervisor sees *folder*."""
        try:
            return self.look(folder, lambda pool: pool is not None)
        except exceptions.FolderUnreadable:
            return True

    def is_written(self, path: str) -> bool:
        """Whether the qcow2 overlay at *path* may hold data of its own."""
        try:
            header = self.read(path, qcow2.HEADER_BYTES)
            # libvirt makes an empty file, and QEMU then an overlay of it.
            if not header:
                return False
            table = qcow2.first_table(header)
            if table is None or table.length > _MOST_TABLE_BYTES:
                return True
            found = self.read(path, table.length, table.offset) or b''
            return not qcow2.is_empty(found, table.length)
        except exceptions.FolderUnreadable:
            return self.exists(path)

    def read(self, path: str, most: int, offset: int = 0) -> bytes | None:
        """
        At *offset* of a file *most* bytes, or as many as there are.

        None where there is no file.
        """

        def download(volume: libvirt.virStorageVol | None) -> bytes | None:
            if volume is None:
                return None
            length = min(most, volumes.file_size(volume) - offset)
            if length <= 0:
                # libvirt would read to the end.
                return b''
            stream = self._download(volume, offset, length)
            data = b''
            while part := stream.recv(_PART_BYTES):
                data += part
            stream.finish()
            return data

        return self._with(path, download)

    def _download(
        self, volume: libvirt.virStorageVol, offset: int, length: int
    ) -> libvirt.virStream:
        until = time.monotonic() + _ALLOCATING_SECONDS
        while True:
            stream = self.connection.newStream()
            try:
                volume.download(stream, offset, length)
                return stream
            except libvirt.libvirtError as exc:
                # Somebody is making it, and an overlay takes but a moment.
                invalid = libvirt.VIR_ERR_OPERATION_INVALID
                if exc.get_error_code() != invalid or (
                    time.monotonic() > until
                ):
                    raise
            time.sleep(_POLL_SECONDS)

    def _with(
        self, path: str, use: Callable[[libvirt.virStorageVol | None], T]
    ) -> T:
        """What *use* makes of the file at *path*, or of None."""
        folder, name = posixpath.split(path)

        def enter() -> T:
            volume = None
            # The pool that has it may be stopped right now.
            with errors.ignored(self.connection):
                volume = volumes.find(self.connection, path)
            if volume is not None:
                try:
                    return use(volume)
                except libvirt.libvirtError as exc:
                    # It was of a pool that another process looked through.
                    if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                        raise
            with pools.over(self.connection, folder) as pool:
                found = None if pool is None else volumes.find_in(pool, name)
                return use(found)

        return self.ask(folder, enter)

    # New files -------------------------------------------------------------

    def place(self, path: str) -> str:
        """
        Where a new file can be made that is wanted at *path*.

        That is there, or in a folder of ours beside, where libvirt cannot read
        its folder.
        """
        folder, name = posixpath.split(path)

        def find() -> str:
            if pools.active_over(self.connection, folder):
                return path
            try:
                with pools.over(self.connection, folder):
                    return path
            except exceptions.FolderUnreadable:
                return posixpath.join(filenames.own_folder(folder), name)

        return self.ask(folder, find)

    def write(self, path: str, data: bytes) -> None:
        """
        Let the file at *path* hold *data*; a new one is its owner's only.

        Raises FolderMissing.
        """
        like = None
        folder = posixpath.dirname(path)

        def replace(volume: libvirt.virStorageVol | None) -> bool:
            nonlocal like
            if volume is None:
                return False
            if volumes.file_size(volume) == len(data):
                self.upload(volume, data)
                return True
            like = volumes.describe(volume)
            volume.delete()
            return False

        def upload(volume: libvirt.virStorageVol) -> None:
            self.upload(volume, data)

        if not self._change(lambda: self._with(path, replace)):
            text = volumes.raw_xml(path, len(data), like)
            self._make(folder, text, upload)

    def make_file(self, path: str, size: int) -> None:
        """Make a file of *size* bytes that takes no space yet."""
        text = volumes.copy_xml(path, 'raw', size)
        self._make(posixpath.dirname(path), text, lambda _: None)

    def make_disk(
        self, path: str, capacity: int, base: str | None = None
    ) -> None:
        """
        Make a qcow2 file for a disk of *capacity* bytes.

        Over the file *base* of its folder, and by its name there: the folder
        may be mounted elsewhere.
        """
        text = volumes.disk_xml(path, capacity, base)
        self._make(posixpath.dirname(path), text, lambda _: None)

    def write_at(self, path: str, offset: int, data: bytes) -> None:
        """Let the file at *path*, which is there, have *data* at *offset*."""

        def upload(volume: libvirt.virStorageVol | None) -> None:
            if volume is None:
                raise exceptions.OperationFailed(
                    contract.IMPORT, f'{path} is gone'
                )
            self.upload(volume, data, offset)

        self._change(lambda: self._with(path, upload))

    def upload(
        self, volume: libvirt.virStorageVol, data: bytes, offset: int = 0
    ) -> None:
        """Let *volume*, which has room for it, hold *data* at *offset*."""
        stream = self.connection.newStream()
        volume.upload(stream, offset, len(data))
        for begin in range(0, len(data), _PART_BYTES):
            stream.send(data[begin : begin + _PART_BYTES])
        stream.finish()

    def make_overlay(
        self, path: str, base: str, base_format: str, operation: str
    ) -> None:
        """
        Make an empty overlay over *base* that only its owner can read.

        *operation* is what it is made for, and fails where *base* is gone.

        Raises FolderMissing.
        """
        # Where the base cannot be read, QEMU's own user has to own it.
        seen = self._seen(base)
        if not seen.is_there:
            raise exceptions.OperationFailed(operation, f'{base} is gone')
        text = volumes.overlay_xml(path, base, base_format, seen.described)
        self._make(posixpath.dirname(path), text, lambda _: None)

    def _make(
        self,
        folder: str,
        text: str,
        use: Callable[[libvirt.virStorageVol], None],
    ) -> None:
        """Make the volume that *text* describes in *folder*, for *use*."""

        def enter() -> None:
            if filenames.is_own_folder(folder):
                with pools.over_own(self.connection, folder) as own:
                    return use(own.createXML(text))
            # Somebody's pool then knows it as well.
            theirs = pools.active_over(self.connection, folder)
            try:
                if theirs is not None:
                    return use(theirs.createXML(text))
            except libvirt.libvirtError as exc:
                # It knows one that is gone.
                if exc.get_error_code() != libvirt.VIR_ERR_STORAGE_VOL_EXIST:
                    raise
            with pools.over(self.connection, folder) as pool:
                if pool is None:
                    raise exceptions.FolderMissing(folder)
                return use(pool.createXML(text))

        self._change(lambda: self.ask(folder, enter))

    def _change(self, call: Callable[[], T]) -> T:
        """What *call* returns, which changes files; raises Abandoned."""
        self._check_active()
        try:
            return call()
        finally:
            # What another thread has seen meanwhile is half of it.
            self._moments.changing()

    # Many files ------------------------------------------------------------

    def listing(self, folder: str) -> list[str]:
        """
        The paths of the files in *folder*; none where it cannot be read.

        Left out are those whose names are not UTF-8.
        """
        # To ask each for its path would be a call for every one.
        try:
            names = self.look(folder, lambda p: [] if p is None else _names(p))
        except exceptions.FolderUnreadable:
            return []
        return [posixpath.join(folder, name) for name in names]

    def missing(self, paths: Iterable[str]) -> str | None:
        """The first that is not there, of *paths* and their backing files."""
        found = self._walk(paths)
        if not all(file.is_there for file in found.values()):
            # An active pool may know a chain of before.
            found = self._walk(paths, fresh=True)
        return next(
            (p for p, file in found.items() if not file.is_there), None
        )

    def backing(self, paths: Iterable[str]) -> dict[str, str | None]:
        """
        The backing file of each of *paths*, and of these files in turn.

        As the files themselves say, and no pool of before; None where one has
        none, and what is not there is left out.
        """
        found = self._walk(paths, fresh=True)
        return {path: f.below for path, f in found.items() if f.is_there}

    def chains(self, paths: Iterable[str]) -> set[str]:
        """
        *paths* and their backing files, as the files themselves say.

        Those of a folder that cannot be read say nothing.
        """
        return set(self._walk(paths))

    def _walk(
        self, paths: Iterable[str], fresh: bool = False
    ) -> dict[str, Found]:
        """What is known of *paths*, and of their backing files."""
        known = self._moments.once(
            ('walk', fresh), dict[str, Found], of_files=True
        )
        pending, seen = list(paths), dict[str, Found]()
        while pending:
            told = known.get(pending[0]) or self._link(pending[0])
            if told:
                path = pending.pop(0)
                seen[path] = told
                base = told.below
                pending += [base] if base and base not in seen else []
                continue
            folder = posixpath.dirname(pending[0])
            here = [p for p in pending if posixpath.dirname(p) == folder]
            found, below = self.ask(
                folder,
                functools.partial(walk, self.connection, folder, here, fresh),
            )
            seen |= found
            known |= found
            pending = [p for p in pending if p not in here]
            pending += [p for p in below if p not in seen]
        return seen

    def _link(self, path: str) -> Found | None:
        """A link of a chain, as ``_told``."""
        told = self._told(path)
        if told is None:
            return None
        described = told.described
        below = None if described is None else backing_file(described)
        return Found(told.is_there, below)

    def file_system(self, folder: str) -> tuple[int, int]:
        """
        The capacity and the free bytes of the file system of *folder*.

        None of either without it.
        """
        looked = self._looked(folder)
        return (
            looked.space
            if looked
            else self._moments.once(
                ('space', folder),
                lambda: self._file_system(folder),
                of_files=True,
            )
        )

    def _file_system(self, folder: str) -> tuple[int, int]:
        try:
            return self.look(
                folder, lambda pool: pools.space(pool) if pool else (0, 0)
            )
        except exceptions.FolderUnreadable:
            return self.ask(folder, lambda: self._space_within(folder))

    def _space_within(self, folder: str) -> tuple[int, int]:
        own = filenames.own_folder(folder)
        with pools.over_own(self.connection, own) as pool:
            return pools.space(pool)


def _seen(volume: libvirt.virStorageVol | None) -> Seen:
    if volume is None:
        return Seen(False)
    return Seen(True, volumes.text(volume))


def _names(pool: libvirt.virStoragePool) -> list[str]:
    names = list(volumes.all_in(pool))
    # Raises where another process has stopped it meanwhile: what cannot be
    # looked for is not missing.
    pool.numOfVolumes()
    return names
