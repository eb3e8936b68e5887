# SPDX-License-Identifier: Apache-2.0
"""
A look at the files of a host.

Owns where is looked: in all active pools, in every folder that a definition
names or a backing file lies in, and where an image was seen before that may
stand on what is asked for; and what need not be read again.
"""

import dataclasses
import posixpath
import time
from collections.abc import Iterable, Mapping, Sequence, Set

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    definitions,
    devices,
    filenames,
)
from hawkfish_plugin.drivers.libvirt.host_files import HostFiles
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.identities import folders_of
from hawkfish_plugin.drivers.sharing import FarImage

# How often what stands below the files that were found is looked for.
_MOST_ROUNDS = 8


def look(
    host: Host,
    paths: frozenset[str],
    before: HostFiles | None,
    freshness: contract.Freshness,
) -> HostFiles:
    """
    What there is now.

    *before* is what was found last.  Unless *freshness* is FULL, what nothing
    names is not read again while no strange file appears: two stamps tell of
    one file only if both are of now.
    """
    listed = time.monotonic()
    former = before.volumes if before else {}
    # Others go by the record as of now: no definition may be as this thread
    # has read it before.
    with host.moments.at_one_time():
        said = definitions.read(host)
    named = _named(said, former)
    remembered = host.far_images.all()
    asked = folders_of(paths | named)
    former = {**_as_volumes(remembered), **former}
    known: Mapping[backing.Place, backing.Backed] = {}
    if before and freshness != contract.Freshness.FULL:
        asked |= before.folders - folders_of(i.path for i in remembered)
        known = _unnamed(before, paths, named)
    reading = _Reading(
        host,
        said,
        former,
        remembered,
        host.far_images.raw,
        frozenset() if freshness == contract.Freshness.CACHED else paths,
    )
    found, folders = reading.read(asked, known)
    if known and before and _has_strange(found.found, before.volumes):
        known = {}
        found, folders = reading.read(asked, known)
    files = dataclasses.replace(
        reading.files(found, folders),
        listed=listed,
        read=before.read if before and known else listed,
        active=found.active,
        carried=frozenset(known.keys() & found.found.keys()),
        device_paths=devices.names(host, paths | named | _below(found.found)),
    )
    looked = folders - found.unread.keys()
    host.far_images.note(files.far_found, looked, remembered)
    host.far_images.note_raw(files.raw_paths, looked)
    return files


def _as_volumes(
    images: Iterable[FarImage],
) -> Mapping[backing.Place, backing.Backed]:
    """What is known of them where they cannot be looked at."""
    return {
        posixpath.split(image.path): backing.Backed(image.path, image.base)
        for image in images
    }


def _below(
    volumes: Mapping[backing.Place, backing.Backed],
) -> frozenset[str]:
    """What is below any volume."""
    return frozenset(v.below for v in volumes.values() if v.below)


def _paths(
    volumes: Mapping[backing.Place, backing.Backed],
) -> dict[backing.Place, str]:
    return {place: volume.path for place, volume in volumes.items()}


def _named(
    said: definitions.Definitions,
    volumes: Mapping[backing.Place, backing.Backed],
) -> frozenset[str]:
    """All files that any definition names."""
    found = said.files(_paths(volumes)).values()
    return frozenset[str]().union(*(d.files for d in found))


def _unnamed(
    before: HostFiles, paths: Set[str], named: Set[str]
) -> dict[backing.Place, backing.Backed]:
    """What need not be read again, as it has nothing to do with *paths*."""
    of = before.identities.of
    again = before.chains(paths) | before.identities.of_all(named)
    return {
        place: volume
        for place, volume in before.volumes.items()
        if of(volume.path) not in again
        # Of what is remembered or could not be read, nothing was.
        and not before.is_far(volume.path)
        and place[0] not in before.unread
    }


def _has_strange(
    found: Mapping[backing.Place, backing.Backed],
    former: Mapping[backing.Place, backing.Backed],
) -> bool:
    """Whether a file has appeared that may be another path of a former one."""
    names = {name for _, name in former}
    return any(
        # A name of ours is given once.
        not filenames.is_ours(place[1]) or place[1] in names
        for place in found.keys() - former.keys()
    )


@dataclasses.dataclass(frozen=True)
class _Reading:
    """
    The reading of all that is on *host*, as far as anything leads.

    *said* are the definitions, *former* is what is known of files that cannot
    be looked at, and *were_raw* as in ``HostFiles``.  Of what is *remembered*
    that is looked for which may stand on any of *paths*.
    """

    host: Host
    said: definitions.Definitions
    former: Mapping[backing.Place, backing.Backed]
    remembered: Sequence[FarImage]
    were_raw: Set[str]
    paths: frozenset[str]

    def read(
        self,
        folders: frozenset[str],
        known: Mapping[backing.Place, backing.Backed],
    ) -> tuple[backing.Volumes, frozenset[str]]:
        """
        What is in all pools, in *folders*, and wherever that leads to.

        Besides, all folders that were looked into.
        """
        all_of = self._look(folders, known)
        for _ in range(_MOST_ROUNDS):
            more = self._more(all_of, folders)
            if not more:
                break
            folders |= more
            found = self._look(more, all_of.found)
            all_of.found.update(found.found)
            all_of.unread.update(found.unread)
        return all_of, folders

    def _look(
        self,
        folders: frozenset[str],
        known: Mapping[backing.Place, backing.Backed],
    ) -> backing.Volumes:
        return backing.of_all(self.host.storage, folders, known, self.former)

    def _more(
        self, all_of: backing.Volumes, folders: frozenset[str]
    ) -> frozenset[str]:
        """The folders that were not looked into yet, and are to be."""
        seen = folders | folders_of(v.path for v in all_of.found.values())
        is_led = folders_of(_below(all_of.found)) - seen
        if not is_led and not (self.paths and self.remembered):
            return frozenset()
        files = self.files(all_of, folders)
        # What a file stands on may lie elsewhere; and then what stands on it.
        below = {b for p, b in files.leads.items() if not files.is_far(p)}
        more = folders_of(below) - seen
        return more or files.far_on(self.paths) - folders

    def files(
        self, found: backing.Volumes, folders: frozenset[str]
    ) -> HostFiles:
        """What was *found*, and what was not looked for as it was before."""
        seen = {volume.path for volume in found.found.values()}
        far = [
            image
            for image in self.remembered
            if image.path not in seen
            and posixpath.dirname(image.path) not in folders
        ]
        there = _as_volumes(image for image in far if not image.missed)
        volumes = {**there, **found.found}
        return HostFiles(
            folders=folders,
            volumes=volumes,
            definitions=self.said.files(_paths(volumes)),
            listed=0.0,
            read=0.0,
            unread=found.unread,
            far=far,
            were_raw=self.were_raw,
        )
