# SPDX-License-Identifier: Apache-2.0
"""
UEFI variables and the state of a virtual TPM.

Owns their copies.  libvirt brings both back with the memory of a system, but
keeps neither in a snapshot of its disks alone.  So every external snapshot
gets a copy of each, beside its first disk and named after what never changes
of a snapshot: no list of them can be lost.  A copy is a gzip file, which has
a checksum of its own; an empty one says that there was nothing yet.
"""

import gzip
import zlib
from collections.abc import Mapping

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import leftovers, xml
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.storage import Storage

# The largest firmware of QEMU has 64 MiB of flash.
_MOST_BYTES = 64 * 2**20


def capture(
    storage: Storage, domain: xml.Element, copies: Mapping[str, str]
) -> None:
    """Copy the firmware state of a *domain* to the new files *copies*."""
    sources = xml.firmware(domain, off=True)
    for kind, path in copies.items():
        data = storage.read(sources[kind], _MOST_BYTES) or b''
        storage.write(path, gzip.compress(data))


def keep(
    storage: Storage, copies: Mapping[str, str], taken: Mapping[str, str]
) -> None:
    """
    Let the files *taken* be the *copies* of a new snapshot; can be repeated.

    They were taken before it, and its name in full is known only now.
    """
    for kind, path in copies.items():
        packed = storage.read(taken[kind], _MOST_BYTES)
        if packed is not None:
            storage.write(path, packed)
            storage.remove(taken[kind])


def forget(
    host: Host, copies: Mapping[str, str], context: contract.TaskContext
) -> None:
    """Remove *copies* of a state that is needed no more."""
    leftovers.remove(host, copies.values(), context)


def check(storage: Storage, name: str, copies: Mapping[str, str]) -> None:
    """
    Raise what keeps *copies*, of the snapshot *name*, from being restored.

    That is SnapshotFileMissing or SnapshotFileDamaged.
    """
    for path in copies.values():
        _read(storage, name, path)


def restore(
    storage: Storage, name: str, domain: xml.Element, copies: Mapping[str, str]
) -> None:
    """
    Put *copies*, of the snapshot *name*, in the place of what is there.

    The *domain* must be off.  Raises what ``check`` does, and FolderMissing.
    """
    targets = xml.firmware(domain, off=True)
    for kind in targets.keys() & copies.keys():
        data = _read(storage, name, copies[kind])
        if data:
            storage.write(targets[kind], data)
        else:
            storage.remove(targets[kind])


def _read(storage: Storage, name: str, path: str) -> bytes:
    packed = storage.read(path, _MOST_BYTES)
    if packed is None:
        raise exceptions.SnapshotFileMissing(name, path)
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as exc:
        raise exceptions.SnapshotFileDamaged(name, path, exc) from exc
