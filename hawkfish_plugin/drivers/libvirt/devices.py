# SPDX-License-Identifier: Apache-2.0
"""
Which paths are of one block device.

A device has a node, and links to it that udev, LVM and multipath make.  On
this machine its number tells, which libvirt does not: its node devices lack
logical volumes and partitions.  Where the hypervisor may be another machine,
libvirt knows the volumes of active pools by any of their paths; what is in no
pool is told by its path alone.
"""

import os
import stat
from collections.abc import Iterable, Mapping

from hawkfish_plugin.drivers.libvirt import errors, identities, volumes
from hawkfish_plugin.drivers.libvirt.hosts import Host

_DEVICES = '/dev/'
_IS_DEVICE = stat.S_ISBLK, stat.S_ISCHR


def among(paths: Iterable[str]) -> frozenset[str]:
    """Those of *paths* that are of devices, plainly spelled."""
    plain = map(identities.plain, paths)
    return frozenset(path for path in plain if path.startswith(_DEVICES))


def names(host: Host, paths: Iterable[str]) -> Mapping[str, str]:
    """By each of *paths* that is of a device, the first one that is of it."""
    look = _number if host.is_here else _volume
    first: dict[str, str] = {}
    return {
        path: first.setdefault(look(host, path) or path, path)
        for path in sorted(among(paths))
    }


def _number(host: Host, path: str) -> str | None:
    try:
        found = os.stat(path)
    except OSError:
        # The emulator may be in a container without the devices of the host.
        return _volume(host, path)
    if not any(is_device(found.st_mode) for is_device in _IS_DEVICE):
        return None
    return f'{stat.S_IFMT(found.st_mode)} {found.st_rdev}'


def _volume(host: Host, path: str) -> str | None:
    def find() -> str | None:
        volume = volumes.find(host.connection, path)
        return None if volume is None else volume.path()

    with errors.ignored(host.connection):
        return host.storage.ask(path, find)
    return None
