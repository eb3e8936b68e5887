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
import os
import posixpath
import zlib
from collections.abc import Iterable, Mapping
from urllib import parse

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import leftovers, xml
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.storage import Storage

# The largest firmware of QEMU has 64 MiB of flash.
MOST_BYTES = 64 * 2**20


def files(
    storage: Storage, domain: xml.Element, active: bool
) -> dict[str, str]:
    """
    The files of the state of a firmware, by kind.

    Without those that cannot be copied while the domain is *active*, and
    those of which nobody tells where they are.
    """
    return xml.firmware(
        domain, not active, _swtpm(storage.connection.getURI())
    )


def _swtpm(uri: str) -> str | None:
    """Where the libvirt at *uri* keeps the state of TPMs, if that is known."""
    parts = parse.urlsplit(uri)
    # That of root is the system's.
    if parts.path != '/session' or not (parts.netloc or os.geteuid()):
        return xml.SYSTEM_SWTPM
    # The daemon of a session is of the user that it serves; of that user's
    # environment on another host nothing is known.
    if parts.netloc:
        return None
    home = os.environ.get('XDG_CONFIG_HOME') or '~/.config'
    return posixpath.join(posixpath.expanduser(home), 'libvirt/qemu/swtpm')


def capture(
    storage: Storage, domain: xml.Element, copies: Mapping[str, str]
) -> None:
    """Copy the firmware state of a *domain* to the new files *copies*."""
    sources = files(storage, domain, active=False)
    for kind, path in copies.items():
        # Of what nobody can tell where it is, an empty copy changes nothing.
        source = sources.get(kind)
        data = (source and storage.read(source, MOST_BYTES)) or b''
        storage.write(path, gzip.compress(data))


def keep(
    storage: Storage, copies: Mapping[str, str], taken: Mapping[str, str]
) -> None:
    """
    Let the files *taken* be the *copies* of a snapshot; can be repeated.

    Those of a new one were taken before it, and its name in full is known
    only now.
    """
    for kind in copies.keys() & taken.keys():
        packed = storage.read(taken[kind], MOST_BYTES)
        if packed is not None:
            storage.write(copies[kind], packed)
            storage.remove(taken[kind])


def bring_home(
    storage: Storage, copies: Mapping[str, str], folders: Iterable[str]
) -> None:
    """
    Let *copies* that are in one of *folders* be where they are looked for.

    A merge may have put the first disk of a snapshot into another folder.
    """
    for kind, path in copies.items():
        if storage.exists(path):
            continue
        home, name = posixpath.split(path)
        for folder in folders:
            if folder != home:
                elsewhere = posixpath.join(folder, name)
                keep(storage, {kind: path}, {kind: elsewhere})


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
        read_copy(storage, name, path)


def restore(
    storage: Storage,
    name: str,
    domain: xml.Element,
    copies: Mapping[str, str],
) -> None:
    """
    Put *copies*, of the snapshot *name*, in the place of what is there.

    The *domain* must be off.  Raises what ``check`` does, and FolderMissing.
    """
    targets = files(storage, domain, active=False)
    for kind in targets.keys() & copies.keys():
        data = read_copy(storage, name, copies[kind])
        if data:
            storage.write(targets[kind], data)
        else:
            storage.remove(targets[kind])


def read_copy(storage: Storage, name: str, path: str) -> bytes:
    """What the copy at *path* holds; raises what ``check`` does."""
    packed = storage.read(path, MOST_BYTES)
    if packed is None:
        raise exceptions.SnapshotFileMissing(name, path)
    try:
        return _unpack(packed)
    except (OSError, EOFError, zlib.error) as exc:
        raise exceptions.SnapshotFileDamaged(name, path, exc) from exc


def _unpack(packed: bytes) -> bytes:
    """What ``gzip`` has made *packed* of; not more than there can be."""
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = unpacking.decompress(packed, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError('it is too big')
    if not unpacking.eof:
        raise EOFError('it ends too early')
    return data
