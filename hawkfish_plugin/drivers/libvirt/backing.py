# SPDX-License-Identifier: Apache-2.0
"""
Which volume of a host is backed by which file.

libvirt reads that from the files themselves when it refreshes their pool, so
files that no domain names are found as well.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import libvirt

from hawkfish_plugin.drivers.libvirt import (
    errors,
    identities,
    pools,
    volumes,
    xml,
)
from hawkfish_plugin.drivers.libvirt.storage import Storage

# Such as nbd://host and json:{...}.
_URL = re.compile(r'\w+:')
# Of a pool that is, or was, not active.
_STOPPED = (libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID)

# The pool or folder that holds a volume, and its name.
Place = tuple[str, str]


class Backed(NamedTuple):
    """The path of a volume, its backing file, and what tells it apart."""

    path: str
    below: str | None
    stamp: identities.Stamp | None = None


def of_all(
    storage: Storage, folders: Iterable[str], known: Mapping[Place, Backed]
) -> dict[Place, Backed]:
    """
    Every volume of all active pools, and of *folders* if they are in none.

    Those in *known* are not looked at again.
    """
    connection, found = storage.connection, dict[Place, Backed]()
    active = pools.active(connection)
    for folder in folders:
        try:
            with storage.over(folder) as pool:
                if pool is not None and pool.name() not in active:
                    found |= _of_pool(storage, pool, folder, known)
                    # Raises where another process has stopped it meanwhile.
                    pool.numOfVolumes()
        except libvirt.libvirtError:
            # A busy pool is not refreshed; its volumes are looked at below.
            # What is in no pool has not been seen at all.
            held = pools.active_over(connection, folder)
            if held is None or held.name() not in active:
                raise
    for name, pool in active.items():
        found |= _of_pool(storage, pool, name, known)
    return found


def backs_any(storage: Storage, path: str) -> bool:
    """Whether any known volume is backed by the file at *path*."""
    known = of_all(storage, [posixpath.dirname(path)], {})
    return any(volume.below == path for volume in known.values())


def _of_pool(
    storage: Storage,
    pool: libvirt.virStoragePool,
    where: str,
    known: Mapping[Place, Backed],
) -> dict[Place, Backed]:
    found: dict[Place, Backed] = {}
    try:
        listed = pool.listAllVolumes()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in _STOPPED:
            raise
        return found
    for volume in listed:
        place = where, volume.name()
        with errors.ignored(storage.connection):
            found[place] = known.get(place) or _read(volume)
    return found


def _read(volume: libvirt.virStorageVol) -> Backed:
    root = volumes.describe(volume)
    path = root.findtext('target/path', '')
    return Backed(path, _below(root, path), identities.stamp(root))


def _below(volume: xml.Element, path: str) -> str | None:
    """The backing file of the volume at *path*; None where it is no file."""
    below = volume.findtext('backingStore/path')
    if not below or _URL.match(below):
        return None
    # What is relative is so to the file that names it.
    return posixpath.join(posixpath.dirname(path), below)
