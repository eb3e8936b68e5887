# SPDX-License-Identifier: Apache-2.0
"""
How much space an operation needs, and how much there is.

Owns the estimates.  They are upper bounds of what is written while the
operation runs, and the free space is that of the file system that will hold
it, asked for through the storage API.
"""

import dataclasses
import posixpath
from collections.abc import Iterable, Mapping

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import xml
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.storage import Storage

_KIB, _MIB = 2**10, 2**20
# Pages that change while they are written are written again.
_MEMORY_FACTOR = 1.1
# What devices have beside the memory: ROMs, flash, tables, their own state.
_DEVICE_BYTES = 64 * _MIB
# What others may write to a file system between two looks at it.
_WRITTEN_BYTES = 256 * _MIB


@dataclasses.dataclass(frozen=True)
class Need:
    """
    *needed* and *available* bytes in *folder*.

    *capacity* is that of its file system.
    """

    folder: str
    needed: int
    available: int
    capacity: int = 0

    def may_share_with(self, other: 'Need') -> bool:
        """Whether both folders seem to be on one file system."""
        # libvirt does not tell. That other files are written meanwhile must
        # not make two of it; to take two for one refuses at the worst what
        # would have filled one of them.
        return (
            self.capacity == other.capacity
            and abs(self.available - other.available) <= _WRITTEN_BYTES
        )


def own_bytes(
    domain: Domain,
    root: xml.Element,
    image: str | None,
    copies: Mapping[str, str],
) -> dict[str, int]:
    """
    The most that what no disk is made of takes, by the file that has it.

    *root* is the definition in use, *image* the file for the memory, and
    *copies* are the files of the firmware's state, by that to copy.
    """
    own = {image: _memory(domain, root)} if image else {}
    for source, path in copies.items():
        # What gzip cannot compress grows by less than a thousandth. Until it
        # has its name in full, each is there twice.
        size = domain.host.storage.size(source)[0]
        own[path] = 2 * (size * 1001 // 1000 + _KIB)
    return own


def for_create(
    storage: Storage,
    paths: Mapping[str, str],
    overlays: Mapping[str, str],
    own: Mapping[str, int],
    headroom_mib: int,
) -> list[Need]:
    """
    What a create needs for *overlays*, beside what ``own_bytes`` says.

    These are by target, as the disks *paths* are.  Where new data goes, the
    headroom is needed once: in the overlays, or else in the disks.
    """
    needed: dict[str, int] = {}
    for target, path in paths.items():
        folder = posixpath.dirname(overlays.get(target, path))
        needed.setdefault(folder, headroom_mib * _MIB)
        if target in overlays:
            needed[folder] += storage.overlay_size(path)
    for path, size in own.items():
        folder = posixpath.dirname(path)
        needed[folder] = needed.get(folder, 0) + size
    return _needs(storage, needed)


def _memory(domain: Domain, root: xml.Element) -> int:
    """
    The most that the memory takes in a file.

    What is resident would be less, but leaves out huge pages and what the
    host has swapped, and nothing of libvirt tells how much that is.
    """
    size = domain.max_memory() * _KIB + xml.video_memory(root)
    return int(size * _MEMORY_FACTOR) + _DEVICE_BYTES


def for_delete(
    storage: Storage, merges: Iterable[tuple[str, str]]
) -> list[Need]:
    """What *merges* need: each is a base and what is merged into it."""
    needed: dict[str, int] = {}
    for base, top in merges:
        folder = posixpath.dirname(base)
        needed[folder] = needed.get(folder, 0) + _growth(storage, base, top)
    return _needs(storage, needed)


def for_revert(
    storage: Storage, bases: Iterable[str], overlay_dir: str | None = None
) -> list[Need]:
    """What the new overlays over *bases* need, in *overlay_dir* if given."""
    needed: dict[str, int] = {}
    for path in bases:
        folder = overlay_dir or posixpath.dirname(path)
        size = storage.overlay_size(path)
        needed[folder] = needed.get(folder, 0) + size
    return _needs(storage, needed)


def for_export(
    storage: Storage,
    folder: str,
    disks: Iterable[tuple[str, int]],
    others: Iterable[str],
) -> list[Need]:
    """
    What copies of *disks*, each a file and its capacity, need in *folder*.

    Each is as big as all of its chain at the most, or as the guest sees it;
    *others* are files that are copied as they are.
    """
    needed = sum(storage.size(path)[1] for path in others)
    for path, capacity in disks:
        files = storage.chains([path])
        taken = sum(storage.size(each)[1] for each in files)
        needed += min(capacity, taken) + storage.overlay_size(path)
    return _needs(storage, {folder: needed})


def for_files(storage: Storage, folder: str, size: int) -> list[Need]:
    """What new files of *size* bytes need in *folder*."""
    return _needs(storage, {folder: size})


def _needs(storage: Storage, needed: Mapping[str, int]) -> list[Need]:
    """*needed* bytes by folder, with those that are free right now."""
    found = []
    for folder, size in needed.items():
        capacity, available = storage.file_system(folder)
        found.append(Need(folder, size, available, capacity))
    return found


def _growth(storage: Storage, base: str, overlay: str) -> int:
    """By how much *base* can grow when *overlay* is merged into it."""
    capacity, allocation = storage.size(base)
    # The disk may have been made bigger since; the base becomes as big.
    now, merged = storage.size(overlay)
    return min(merged, max(0, max(capacity, now) - allocation))


def check(needs: Iterable[Need]) -> None:
    """Raise where *needs* cannot be met, together on each file system."""
    found = []
    for group in _by_file_system(needs):
        needed = sum(need.needed for need in group)
        available = min(need.available for need in group)
        if needed > available:
            folders = ', '.join(need.folder for need in group)
            found.append(
                exceptions.InsufficientSpace(folders, needed, available)
            )
    if found:
        raise exceptions.Refused(found)


def _by_file_system(needs: Iterable[Need]) -> list[list[Need]]:
    groups: list[list[Need]] = []
    for need in needs:
        for group in groups:
            if need.may_share_with(group[0]):
                group.append(need)
                break
        else:
            groups.append([need])
    return groups
