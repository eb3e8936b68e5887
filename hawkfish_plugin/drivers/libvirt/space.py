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

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.storage import Storage

_KIB, _MIB = 2**10, 2**20
# Pages that change while they are written are written again.
_MEMORY_FACTOR = 1.1
# An empty qcow2 file takes 196 KiB; copies of the firmware come beside it.
_EMPTY_OVERLAY = _MIB
# From the check of a request to that of its task, where nothing waits.
_RECENT_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Need:
    """*needed* and *available* bytes in *folder*."""

    folder: str
    needed: int
    available: int


def for_create(
    domain: Domain, paths: Iterable[str], memory: bool, headroom_mib: int
) -> list[Need]:
    """
    What a create needs beside the disks *paths*.

    The memory goes to the folder of the first; every folder keeps the
    headroom, for overlays that grow from then on.
    """
    needed: dict[str, int] = {}
    for path in paths:
        needed.setdefault(posixpath.dirname(path), headroom_mib * _MIB)
    if memory and needed:
        needed[next(iter(needed))] += _memory(domain)
    return _needs(domain.host.storage, needed)


def _memory(domain: Domain) -> int:
    size = domain.max_memory()
    try:
        # What the guest has never touched is not written.
        size = min(size, domain.memory_statistics().get('rss', size))
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
    return int(size * _KIB * _MEMORY_FACTOR)


def for_delete(
    storage: Storage, merges: Iterable[tuple[str, str]]
) -> list[Need]:
    """What *merges* need: each is a base and what is merged into it."""
    needed: dict[str, int] = {}
    for base, top in merges:
        folder = posixpath.dirname(base)
        needed[folder] = needed.get(folder, 0) + _growth(storage, base, top)
    return _needs(storage, needed)


def for_revert(storage: Storage, bases: Iterable[str]) -> list[Need]:
    """What the new overlays over *bases* need."""
    needed: dict[str, int] = {}
    for path in bases:
        folder = posixpath.dirname(path)
        needed[folder] = needed.get(folder, 0) + _EMPTY_OVERLAY
    return _needs(storage, needed)


def _needs(storage: Storage, needed: Mapping[str, int]) -> list[Need]:
    """
    *needed* bytes by folder, with those that are free.

    What was seen a moment ago lets pass, and refuses nothing.
    """
    found = []
    for folder, size in needed.items():
        free = storage.available(folder, _RECENT_SECONDS)
        if free < size:
            free = storage.available(folder)
        found.append(Need(folder, size, free))
    return found


def _growth(storage: Storage, base: str, overlay: str) -> int:
    """By how much *base* can grow when *overlay* is merged into it."""
    capacity, allocation = storage.size(base)
    # The disk may have been made bigger since; the base becomes as big.
    now, merged = storage.size(overlay)
    return min(merged, max(0, max(capacity, now) - allocation))


def check(needs: Iterable[Need]) -> None:
    """Raise where one of *needs* cannot be met."""
    found = [
        exceptions.InsufficientSpace(need.folder, need.needed, need.available)
        for need in needs
        if need.needed > need.available
    ]
    if found:
        raise exceptions.Refused(found)
