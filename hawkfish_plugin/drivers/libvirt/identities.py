# SPDX-License-Identifier: Apache-2.0
"""
Which paths are of one file.

A file has many paths: doubled slashes, "..", a symbolic link to it or to its
folder, a hard link.  The host may be another machine, so no path can be
resolved here; but libvirt tells when a volume was changed, to the nanosecond,
and how big it is.  Volumes that agree in all of that are one file.  Taking two
files for one refuses something; taking one for two would lose data.

Only of files that nobody has written to yet two may agree, as they can be made
in one tick of the clock: of these, a path decides where it has to be certain.
"""

import dataclasses
import decimal
import os
import posixpath
import re
from collections.abc import Iterable, Mapping

from hawkfish_plugin.drivers.libvirt import filenames, xml

# More than an empty qcow2 file takes.
_FRESH_BYTES = 2**20
_SLASHES = re.compile('^/+')


@dataclasses.dataclass(frozen=True)
class Stamp:
    """
    What tells one file from another, of the XML of a volume.

    Times are in seconds since the epoch, as libvirt writes them; sizes are in
    bytes.
    """

    modified: str
    changed: str
    capacity: str
    allocation: str
    physical: str
    owner: str
    backing: str

    @property
    def written(self) -> decimal.Decimal:
        """When the file was written to, in seconds since the epoch."""
        return decimal.Decimal(self.modified or 0)

    def is_of(self, found: os.stat_result) -> bool:
        """
        Whether that is the file that was *found* on this machine.

        A mirror has the times at which a file was written to as well, but not
        when it was last changed: that is set by a kernel alone.
        """
        return (
            found.st_size == int(self.physical or -1)
            and found.st_mtime_ns == _nanoseconds(self.modified)
            and found.st_ctime_ns == _nanoseconds(self.changed)
        )

    @property
    def is_fresh(self) -> bool:
        """Whether hardly anything has been written to the file yet."""
        return int(self.allocation or 0) < _FRESH_BYTES


def _nanoseconds(time: str) -> int:
    return int(decimal.Decimal(time or 0) * 10**9)


def stamp(volume: xml.Element) -> Stamp | None:
    """The stamp of a volume; None where libvirt does not tell the times."""
    times = volume.find('target/timestamps')
    if times is None:
        return None
    return Stamp(
        times.findtext('mtime', ''),
        times.findtext('ctime', ''),
        volume.findtext('capacity', ''),
        volume.findtext('allocation', ''),
        volume.findtext('physical', ''),
        volume.findtext('target/permissions/owner', ''),
        volume.findtext('backingStore/path', ''),
    )


def plain(path: str) -> str:
    """*path* without what only spells it in another way."""
    return _SLASHES.sub('/', posixpath.normpath(path))


def folders_of(paths: Iterable[str]) -> frozenset[str]:
    """The folders of those of *paths* that are no names of the network."""
    return frozenset(map(posixpath.dirname, filter(posixpath.isabs, paths)))


class Identities:
    """
    The files of a host; *volumes* are paths and stamps.

    *certain*: two paths of a file that is fresh are two files.  *devices* has
    one path for all of each device.
    """

    def __init__(
        self,
        volumes: Iterable[tuple[str, Stamp | None]],
        certain: bool = False,
        devices: Mapping[str, str] | None = None,
    ) -> None:
        # Folders may overlap by several spellings; one look at each will do.
        seen = {plain(path): found for path, found in volumes}
        self._folders = _same_folders(seen, certain)
        self._by_path: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        by_stamp: dict[tuple[Stamp, str], str] = {}
        for path, found in sorted(seen.items(), key=lambda one: one[0]):
            file, name = self._in_folder(path), posixpath.basename(path)
            if found is not None:
                # A name of ours is given once.
                only = name if filenames.is_ours(name) else path
                also = only if certain and found.is_fresh else ''
                file = by_stamp.setdefault((found, also), file)
            if filenames.is_ours(name):
                # But a copy may have it as well.
                self._by_name.setdefault(name, file)
            self._by_path[path] = file
        self._by_path |= devices or {}

    def of(self, path: str) -> str:
        """
        What is the same for every path of one file.

        Of a path that was not looked at, a name that only this driver gives
        tells; the file may be a copy of the one that was.
        """
        path = plain(path)
        found = self._by_path.get(path)
        if found is None:
            file = self._in_folder(path)
            found = self._by_name.get(posixpath.basename(path), file)
        return found

    def seen(self, path: str) -> str | None:
        """The same; None where the path was not looked at."""
        return self._by_path.get(plain(path))

    def all_seen(self, paths: Iterable[str]) -> set[str]:
        """The same of those of *paths* that were looked at."""
        return {found for p in paths if (found := self.seen(p)) is not None}

    def of_all(self, paths: Iterable[str]) -> set[str]:
        """The same of each of *paths*."""
        return {self.of(path) for path in paths}

    def _in_folder(self, path: str) -> str:
        folder, name = posixpath.split(path)
        return posixpath.join(self._folders.get(folder, folder), name)


def _same_folders(
    volumes: Mapping[str, Stamp | None], certain: bool
) -> dict[str, str]:
    """
    The first of all paths of each folder that has several.

    A file that is written to meanwhile looks like two; so a folder is one
    with another where it has the same names, and a file of these is one.
    """
    content: dict[str, dict[str, Stamp | None]] = {}
    for path, found in volumes.items():
        folder, name = posixpath.split(path)
        content.setdefault(folder, {})[name] = found
    same: dict[str, str] = {}
    first: dict[frozenset[str], list[str]] = {}
    for folder in sorted(content):
        files = content[folder]
        alike = first.setdefault(frozenset(files), [])
        for other in alike:
            if any(
                stamp
                and stamp == content[other][name]
                and not (certain and stamp.is_fresh)
                for name, stamp in files.items()
            ):
                same[folder] = other
                break
        else:
            alike.append(folder)
    return same
