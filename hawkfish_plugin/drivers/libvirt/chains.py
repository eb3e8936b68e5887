# SPDX-License-Identifier: Apache-2.0
"""
The backing files of files, as the files of one folder say.
"""

import contextlib
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import errors, pools, volumes, xml


class Found(NamedTuple):
    """Whether a file is there, and the backing file that it names."""

    is_there: bool
    below: str | None


def walk(
    connection: libvirt.virConnect,
    folder: str,
    paths: Iterable[str],
    fresh: bool,
) -> tuple[dict[str, Found], list[str]]:
    """
    What is known of *paths* in *folder*, and of their backing files there.

    Besides, the backing files that are in other folders.  Of a folder that
    cannot be read *paths* alone are known.  What an active pool knows may be
    older than what QEMU has made of a file since, unless it is to be *fresh*.
    """
    pending, found, others = list(paths), dict[str, Found](), []
    with _Folder(connection, folder, fresh) as entered:
        while pending:
            path = pending.pop(0)
            if path in found:
                continue
            if posixpath.dirname(path) != folder:
                others.append(path)
                continue
            is_there, below = entered.look(path)
            found[path] = Found(is_there, below)
            pending += [below] if below else []
    return found, others


def backing_file(described: xml.Element) -> str | None:
    """What a volume names that has this XML; None where it has no path."""
    below = volumes.backing_file(described)
    # What is on the network has none.
    return below if below and posixpath.isabs(below) else None


class _Folder(contextlib.ExitStack):
    """A folder, which is read once at the most, and only if need be."""

    def __init__(
        self, connection: libvirt.virConnect, folder: str, fresh: bool
    ) -> None:
        super().__init__()
        self._connection = connection
        self._fresh = fresh
        self._folder = folder
        self._entered = self._unreadable = False
        self._pool: libvirt.virStoragePool | None = None

    def look(self, path: str) -> tuple[bool, str | None]:
        """Whether *path* is there, and its backing file."""
        volume = None
        if not self._fresh:
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
        return True, None if described is None else backing_file(described)

    def _enter(self) -> None:
        if self._entered:
            return
        self._entered = True
        try:
            look = pools.over(self._connection, self._folder)
            self._pool = self.enter_context(look)
        except exceptions.FolderUnreadable:
            self._unreadable = True
