# SPDX-License-Identifier: Apache-2.0
"""
Which volume of a host is backed by which file.

libvirt reads that from the files themselves when it refreshes their pool, so
files that no domain names are found as well.
"""

import contextlib
import functools
import logging
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers.libvirt import (
    errors,
    identities,
    pools,
    volumes,
    xml,
)
from hawkfish_plugin.drivers.libvirt.storage import Storage

LOG = logging.getLogger(__name__)

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
    Every volume of all active pools, and of *folders* that can be read.

    Those in *known* are not looked at again; where a pool or a folder does not
    answer, they are all that is known of it.
    """
    found = dict[Place, Backed]()
    active = pools.active(storage.connection)
    for name, pool in active.items():
        look = functools.partial(_of_pool, storage, pool, name, known)
        found |= _in_time(
            name, known, functools.partial(storage.ask, name, look)
        )
    for folder in folders:
        # A folder that cannot be read is in nobody's way: what domains and
        # snapshots name of it is known all the same.
        with contextlib.suppress(exceptions.FolderUnreadable):
            look = functools.partial(_of_folder, storage, folder, known)
            found |= _in_time(
                folder, known, functools.partial(storage.look, folder, look)
            )
    return found


def _in_time(
    where: str,
    known: Mapping[Place, Backed],
    look: Callable[[], dict[Place, Backed]],
) -> dict[Place, Backed]:
    """What *look* finds; what was *known* before where it takes too long."""
    try:
        return look()
    except exceptions.NotAnswering as exc:
        LOG.warning('Not looked at: %s', messages.text(exc))
        return {p: seen for p, seen in known.items() if p[0] == where}


def _of_folder(
    storage: Storage,
    folder: str,
    known: Mapping[Place, Backed],
    pool: libvirt.virStoragePool | None,
) -> dict[Place, Backed]:
    if pool is None:
        return {}
    found = _of_pool(storage, pool, folder, known)
    # Raises where another process has stopped it meanwhile.
    pool.numOfVolumes()
    return found


def _of_pool(
    storage: Storage,
    pool: libvirt.virStoragePool,
    where: str,
    known: Mapping[Place, Backed],
) -> dict[Place, Backed]:
    found: dict[Place, Backed] = {}
    try:
        listed = volumes.all_in(pool)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in _STOPPED:
            raise
        return found
    for name, volume in listed.items():
        place = where, name
        seen = known.get(place)
        with errors.ignored(storage.connection):
            seen = seen or _read(volume)
        if seen:
            found[place] = seen
    return found


def _read(volume: libvirt.virStorageVol) -> Backed | None:
    root = volumes.describe(volume)
    if root is None:
        return None
    path = volumes.path(root)
    return Backed(path, _below(root, path), identities.stamp(root))


def _below(volume: xml.Element, path: str) -> str | None:
    """The backing file of the volume at *path*; None where it is no file."""
    below = volumes.backing_file(volume)
    if not below or _URL.match(below):
        return None
    # What is relative is so to the file that names it.
    return posixpath.join(posixpath.dirname(path), below)
