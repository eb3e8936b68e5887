# SPDX-License-Identifier: Apache-2.0
"""
The backing files of files, as the files of one folder say.
"""

import contextlib
import posixpath
from collections.abc import Iterable

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import errors, pools, volumes


def walk(
    connection: libvirt.virConnect, folder: str, paths: Iterable[str]
) -> tuple[dict[str, bool], list[str]]:
    """
    Whether *paths* in *folder*, and their backing files there, are there.

    Besides, the backing files that are in other folders.  Of a folder that
    cannot be read *paths* alone are known.
    """
    pending, found, others = list(paths), dict[str, bool](), []
    with _Folder(connection, folder) as entered:
        while pending:
            path = pending.pop(0)
            if path in found:
                continue
            if posixpath.dirname(path) != folder:
                others.append(path)
                continue
            found[path], below = entered.look(path)
            # What is on the network has no path.
            if below and posixpath.isabs(below):
                pending.append(below)
    return found, others


class _Folder(contextlib.ExitStack):
    """A folder, which is read once at the most, and only if need be."""

    def __init__(self, connection: libvirt.virConnect, folder: str) -> None:
        super().__init__()
        self._connection = connection
        self._folder = folder
        self._entered = self._unreadable = False
        self._pool: libvirt.virStoragePool | None = None

    def look(self, path: str) -> tuple[bool, str | None]:
        """Whether *path* is there, and its backing file."""
        volume = None
        with errors.ignored(self._connection):
            volume = volumes.find(self._connection, path)
        if volume is None:
            self._enter()
            if self._unreadable:
                return pools.is_there(self._connection, path), None
            if self._pool is not None:
                name = posixpath.basename(path)
                volume = volumes.find_in(self._pool, name)
        if volume is None:
            return False, None
        described = volumes.describe(volume)
        if described is None:
            return True, None
        return True, volumes.backing_file(described)

    def _enter(self) -> None:
        if self._entered:
            return
        self._entered = True
        try:
            look = pools.over(self._connection, self._folder)
            self._pool = self.enter_context(look)
        except exceptions.FolderUnreadable:
            self._unreadable = True
