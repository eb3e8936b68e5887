# SPDX-License-Identifier: Apache-2.0
"""
The files of an external snapshot that is to be made.

Owns where they go and what they are called.  libvirt silently overwrites a
memory file that exists, and the name of a snapshot need not be a valid file
name: so files get unique names.
"""

import dataclasses
import posixpath
from collections.abc import Iterable, Iterator, Mapping

from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import filenames
from hawkfish_plugin.drivers.libvirt.storage import Storage

# The name of a backing file in a qcow2 header.
_LONGEST_PATH = 1023


@dataclasses.dataclass(frozen=True)
class NewFiles:
    """
    *overlays* are by target, *copies* those of the firmware's state by kind;
    *memory* is the image of the memory.
    """

    overlays: Mapping[str, str] = dataclasses.field(default_factory=dict)
    memory: str | None = None
    copies: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def all(self) -> list[str]:
        memory = [self.memory] if self.memory else []
        return [*self.overlays.values(), *memory, *self.copies.values()]


def name(
    paths: Mapping[str, str],
    memory: bool,
    kinds: Iterable[str],
    conf: cfg.ConfigOpts,
) -> NewFiles:
    """
    The files for a snapshot of the disks *paths*, by target.

    *kinds* are those of the firmware's state to copy.  The copies stay beside
    the first disk, where its snapshot looks for them.
    """
    token = filenames.new_token()
    overlays = {
        target: filenames.overlay(
            path, token, target, conf.snapshots.overlay_dir
        )
        for target, path in paths.items()
    }
    folder = posixpath.dirname(next(iter(overlays.values())))
    home = posixpath.dirname(next(iter(paths.values())))
    return NewFiles(
        overlays,
        filenames.memory(conf.snapshots.memory_dir or folder, token)
        if memory
        else None,
        filenames.firmware_copies(home, token, kinds),
    )


def refusals(
    storage: Storage,
    paths: Mapping[str, str],
    memory: bool,
    conf: cfg.ConfigOpts,
) -> Iterator[exceptions.HawkFishError]:
    """What keeps the files of such a snapshot from being made."""
    folders = [conf.snapshots.overlay_dir]
    folders += [conf.snapshots.memory_dir] if memory else []
    for folder in dict.fromkeys(filter(None, folders)):
        if not storage.has_folder(folder):
            yield exceptions.FolderMissing(folder)
    for target, path in paths.items():
        overlay = filenames.overlay(
            path, filenames.new_token(), target, conf.snapshots.overlay_dir
        )
        # Each is a backing file: the disk now, the overlay of the next one.
        longest = max(len(p.encode()) for p in (path, overlay))
        if longest > _LONGEST_PATH:
            yield exceptions.DiskPathTooLong(target, longest, _LONGEST_PATH)
