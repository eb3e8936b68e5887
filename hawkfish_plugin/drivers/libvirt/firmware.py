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
import hashlib
import posixpath
import zlib
from collections.abc import Mapping
from typing import Any

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import storage, xml

# The largest firmware of QEMU has 64 MiB of flash.
_MOST_BYTES = 64 * 2**20


def files(
    domain: xml.Element, folder: str, token: str, off: bool
) -> dict[str, str]:
    """Files for copies of what *domain* has, by their kind."""
    return {
        kind: posixpath.join(folder, f'hawkfish-{token}.{kind}.gz')
        for kind in xml.firmware(domain, off)
    }


def capture(
    connection: Any, domain: xml.Element, copies: Mapping[str, str]
) -> None:
    """Copy the firmware state of a *domain* to the new files *copies*."""
    sources = xml.firmware(domain, off=True)
    for kind, path in copies.items():
        data = storage.read(connection, sources[kind], _MOST_BYTES) or b''
        storage.write(connection, path, gzip.compress(data))


def keep(connection: Any, root: xml.Element, taken: Mapping[str, str]) -> None:
    """
    Let the files *taken* be the copies of a new snapshot; can be repeated.

    They were taken before it, and its name in full is known only now.
    """
    for kind, path in copies(root).items():
        packed = storage.read(connection, taken[kind], _MOST_BYTES)
        if packed is not None:
            storage.write(connection, path, packed)
            storage.remove(connection, taken[kind])


def copies(root: xml.Element) -> dict[str, str]:
    """The copies that a snapshot of ours has, by their kind."""
    captured = root.find('domain')
    external = xml.external_disks(root)
    paths = [
        disk.path
        for disk in xml.captured_disks(root)
        if disk.target in external and disk.path
    ]
    if captured is None or not paths:
        return {}
    identity = [
        captured.findtext('uuid'),
        root.findtext('name'),
        root.findtext('creationTime'),
    ]
    token = hashlib.sha256(repr(identity).encode()).hexdigest()[:12]
    off = xml.snapshot(root, None).power_state == contract.OFF
    return files(captured, posixpath.dirname(paths[0]), token, off)


def check(connection: Any, name: str, copies: Mapping[str, str]) -> None:
    """
    Raise what keeps *copies*, of the snapshot *name*, from being restored.

    That is SnapshotFileMissing or SnapshotFileDamaged.
    """
    for path in copies.values():
        _read(connection, name, path)


def restore(
    connection: Any, name: str, domain: xml.Element, copies: Mapping[str, str]
) -> None:
    """
    Put *copies*, of the snapshot *name*, in the place of what is there.

    The *domain* must be off.  Raises what ``check`` does, and FolderMissing.
    """
    targets = xml.firmware(domain, off=True)
    for kind in targets.keys() & copies.keys():
        data = _read(connection, name, copies[kind])
        if data:
            storage.write(connection, targets[kind], data)
        else:
            storage.remove(connection, targets[kind])


def _read(connection: Any, name: str, path: str) -> bytes:
    packed = storage.read(connection, path, _MOST_BYTES)
    if packed is None:
        raise exceptions.SnapshotFileMissing(name, path)
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as exc:
        raise exceptions.SnapshotFileDamaged(name, path, exc) from exc
