# SPDX-License-Identifier: Apache-2.0
"""
Which volume of a host is backed by which file.

libvirt reads that from the files themselves when it refreshes their pool, so
files that no domain names are found as well.
"""

import dataclasses
import functools
import logging
import posixpath
import time
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
from hawkfish_plugin.drivers.libvirt.looked import Looked
from hawkfish_plugin.drivers.libvirt.storage import Storage

LOG = logging.getLogger(__name__)

# By what the list of all pools is known.
POOLS = 'storage pools'
# Of a pool that is, or was, not active.
_STOPPED = (libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID)

# The pool or folder that holds a volume, and its name.
Place = tuple[str, str]


class Backed(NamedTuple):
    """
    The path of a volume, its backing file, and what tells it apart.

    libvirt guesses what a file is: *below* is what its header says, which may
    be of a guest's making, and *kind* the format that it has *below* in.  See
    ``HostFiles.below``.
    """

    path: str
    below: str | None
    stamp: identities.Stamp | None = None
    kind: str | None = None


class Volumes(NamedTuple):
    """
    What was *found*, and in which *active* pools there was a look.

    *unread* is why a pool, a folder or a file, by its name or its path, could
    not be looked at; ``POOLS``, where libvirt does not even tell which pools
    there are.  *looked* is what else was told of the files of a folder.
    """

    found: dict[Place, Backed]
    unread: dict[str, exceptions.HawkFishError]
    active: frozenset[str] = frozenset()
    looked: Looked | None = None


def of_all(
    storage: Storage,
    folders: Iterable[str],
    known: Mapping[Place, Backed],
    former: Mapping[Place, Backed],
) -> Volumes:
    """
    Every volume of all active pools, and of *folders*.

    Those in *known* are not looked at again.  Where a pool, a folder or a file
    cannot be looked at, *former* is all that is known of it.
    """
    all_of = Volumes({}, {}, frozenset())
    active, seen = _active(storage, all_of, former), set[str]()
    for folder in folders:
        asked = time.monotonic()
        look = functools.partial(_of_folder, storage, folder, known)
        found = _look(folder, functools.partial(storage.look, folder, look))
        if found is not None:
            _add(all_of, found, folder, former)
            if not found.unread:
                seen |= found.active
            if found.looked:
                storage.learn(folder, found.looked, asked)
    for name in active.keys() - seen:
        look = functools.partial(_of_pool, storage, active[name], name, known)
        found = _look(name, functools.partial(storage.ask, name, look))
        if found is not None:
            seen.add(name)
            _add(all_of, found, name, former)
    return all_of._replace(active=frozenset(seen))


def _active(
    storage: Storage, all_of: Volumes, former: Mapping[Place, Backed]
) -> Mapping[str, libvirt.virStoragePool]:
    """The active pools; *all_of* gets what is known where none can be told."""
    # libvirt waits for each pool that somebody starts or refreshes.
    try:
        return storage.ask(POOLS, lambda: pools.active(storage.connection))
    except exceptions.NotAnswering as exc:
        LOG.warning('Not looked at: %s', messages.text(exc))
        all_of.unread[POOLS] = exc
        all_of.found.update(
            (place, seen)
            for place, seen in former.items()
            if not posixpath.isabs(place[0])
        )
        return {}


def _look(where: str, look: Callable[[], Volumes | None]) -> Volumes | None:
    """What *look* finds; None where there is nothing to be looked at."""
    try:
        return look()
    except exceptions.NotAnswering as exc:
        LOG.warning('Not looked at: %s', messages.text(exc))
        return Volumes({}, {where: exc})
    except exceptions.FolderUnreadable as exc:
        return Volumes({}, {where: exc})


def _add(
    all_of: Volumes,
    found: Volumes,
    where: str,
    former: Mapping[Place, Backed],
) -> None:
    all_of.unread.update(found.unread)
    all_of.found.update(found.found)
    for place, seen in former.items() if found.unread else ():
        unread = {where, posixpath.join(*place)} & found.unread.keys()
        if place[0] == where and unread:
            all_of.found.setdefault(place, seen)


def _of_folder(
    storage: Storage,
    folder: str,
    known: Mapping[Place, Backed],
    pool: libvirt.virStoragePool | None,
) -> Volumes | None:
    if pool is None:
        return None
    found = _of_pool(storage, pool, folder, known)
    # Raises where another process has stopped it meanwhile.
    pool.numOfVolumes()
    theirs = pools.active_over(storage.connection, folder)
    if found is None or found.looked is None:
        return found
    looked = dataclasses.replace(found.looked, space=pools.space(pool))
    return _with_those_of(found._replace(looked=looked), theirs)


def _with_those_of(
    found: Volumes, pool: libvirt.virStoragePool | None
) -> Volumes:
    """
    What was *found* in a folder, also as the volumes of *pool*.

    That is somebody's, over the same folder; None where there is none.  So it
    need not be looked through as well.
    """
    if pool is None:
        return found
    name = pool.name()
    theirs = {(name, place[1]): v for place, v in found.found.items()}
    return found._replace(found=found.found | theirs, active=frozenset([name]))


def _of_pool(
    storage: Storage,
    pool: libvirt.virStoragePool,
    where: str,
    known: Mapping[Place, Backed],
) -> Volumes | None:
    try:
        listed = volumes.all_in(pool)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in _STOPPED:
            raise
        return None
    texts = dict[str, str]()
    found = Volumes({}, {}, looked=Looked(frozenset(listed), texts))
    for name, volume in listed.items():
        place = where, name
        try:
            seen = known.get(place) or _read(name, volume, texts)
        except libvirt.libvirtError as exc:
            errors.raise_if_lost(storage.connection, exc)
            if not volumes.is_gone(exc):
                path = posixpath.join(where, name)
                reason = errors.text(exc)
                found.unread[path] = exceptions.FolderUnreadable(path, reason)
            continue
        if seen:
            found.found[place] = seen
    return found


def _read(
    name: str, volume: libvirt.virStorageVol, texts: dict[str, str]
) -> Backed | None:
    """What tells the volume *name*; its XML is added to *texts*."""
    text = volumes.text(volume)
    if text is None:
        return None
    texts[name] = text
    root = xml.parse(text)
    path = volumes.path(root)
    return Backed(
        path,
        _below(root, path),
        identities.stamp(root),
        volumes.backing_format(root),
    )


def _below(volume: xml.Element, path: str) -> str | None:
    """The backing file of the volume at *path*; None where it is no file."""
    below = volumes.backing_file(volume)
    if not below:
        return None
    # What is relative is so to the file that names it.
    return posixpath.join(posixpath.dirname(path), below)
