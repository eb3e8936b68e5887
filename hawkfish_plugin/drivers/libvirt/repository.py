# SPDX-License-Identifier: Apache-2.0
"""
The repository of backups: a storage pool of the host.

Owns the names of its files and how one of them is made, read and removed.  A
file of ours is told by the token in its name, and nothing else in the pool is
ever looked at.  The pool is somebody's: it is neither started nor refreshed.
"""

import hashlib
import posixpath
from collections.abc import Callable, Iterable

from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import backup_manifest, contract
from hawkfish_plugin.drivers.backups import Backup, Described
from hawkfish_plugin.drivers.libvirt import (
    filenames,
    imports,
    pools,
    qcow2,
    volumes,
)
from hawkfish_plugin.drivers.libvirt.hosts import Host

_WINDOW_BYTES = 4 * 2**20
# A disk is copied at this pace at the least, or its storage is gone.
_SLOWEST_BYTES = 4 * 2**20


def configured(host: Host, conf: cfg.ConfigOpts) -> str:
    """The pool that is configured; see ``BacksUp.repository``."""
    name: str | None = conf.backup.repository
    if not name:
        raise exceptions.BackupNotConfigured()
    host.storage.ask(name, lambda: imports.folder_of(host, name))
    return name


class Repository:
    """
    The *pool* of a host; raises PoolNotUsable, or NotAnswering.

    *folder* is where it is.
    """

    def __init__(self, host: Host, pool: str) -> None:
        self._host = host
        self.pool = pool
        self.folder = host.storage.ask(
            pool, lambda: imports.folder_of(host, pool)
        )

    def path(self, name: str) -> str:
        return posixpath.join(self.folder, name)

    def disk(self, token: str, target: str) -> str:
        """The name of the file for a disk."""
        return f'{filenames.backup(token)}-{target}.qcow2'

    def copies(self, token: str, kinds: Iterable[str]) -> dict[str, str]:
        """The names of the copies of a firmware's state, by kind."""
        return {k: f'{filenames.backup(token)}.{k}.gz' for k in kinds}

    def make_disk(self, name: str, capacity: int, base: str | None) -> None:
        """Make the file of a disk, which *base* is below if given."""
        below = None if base is None else self.path(base)
        self._host.storage.make_disk(self.path(name), capacity, below)

    def write(self, name: str, data: bytes) -> None:
        """Let the new file *name* hold *data*."""
        self._host.storage.make_file(self.path(name), len(data))
        self._host.storage.write_at(self.path(name), 0, data)

    def write_manifest(self, described: Described) -> None:
        """Leave beside the files of a backup what they are."""
        name = filenames.manifest(described.made.token)
        self.write(name, backup_manifest.render(described))

    def tokens(self) -> set[str]:
        """The tokens of the backups that have a manifest."""
        found = map(
            filenames.token_of_manifest,
            self._host.storage.listing(self.folder),
        )
        return {token for token in found if token}

    def read_manifest(self, token: str) -> Described:
        """See ``backups.BacksUp.read_manifest``."""
        name = filenames.manifest(token)
        data = self.read(name, backup_manifest.MOST_BYTES + 1) or b''
        try:
            return backup_manifest.read(
                data, token, self.pool, filenames.backup(token)
            )
        except backup_manifest.Refused as exc:
            raise exceptions.BackupDamaged(self.path(name), str(exc)) from exc

    def has(self, name: str) -> bool:
        return self._host.storage.exists(self.path(name))

    def read(self, name: str, most: int) -> bytes | None:
        """At most so many bytes of a file; None where there is none."""
        return self._host.storage.read(self.path(name), most)

    def measure(self, name: str, check: Callable[[], None]) -> tuple[int, str]:
        """
        The size and the checksum of a file.

        *check* may raise between two parts.  Of a file that is gone, -1.
        """
        digest, size = hashlib.sha256(), 0
        while True:
            check()
            part = self._host.storage.read(
                self.path(name), _WINDOW_BYTES, size
            )
            if part is None:
                return -1, ''
            if not part:
                return size, digest.hexdigest()
            digest.update(part)
            size += len(part)

    def backing_of(self, name: str) -> str | None:
        """The path of the file that *name* is backed by."""
        path = self.path(name)
        return self._host.storage.backing([path]).get(path)

    def clone(self, name: str, path: str, capacity: int) -> None:
        """Copy the disk in a file, and in those below, to the new *path*."""
        host = self._host

        def copy() -> None:
            source = volumes.find(host.connection, self.path(name))
            target = pools.active_over(
                host.connection, posixpath.dirname(path)
            )
            if source is None or target is None:
                raise exceptions.OperationFailed(
                    contract.RESTORE,
                    f'{self.path(name)} is not in an active pool',
                )
            text = volumes.copy_xml(path, 'qcow2', capacity)
            target.createXMLFrom(text, source, 0)

        host.change(self.pool, copy, more=capacity / _SLOWEST_BYTES)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._host.storage.remove(self.path(name))


def verify(
    host: Host, chain: Iterable[Backup], check: Callable[[], None]
) -> None:
    """
    Raise BackupDamaged where a file of *chain* is not what was written.

    That is every file of the first, and the disks of those below.
    """
    for backup in chain:
        repository = _of(host, backup)
        for member in backup.members:
            reason = _flaw(repository, member, check)
            if not reason and member.role == manifest.DISK:
                reason = _disk_flaw(repository, backup, member)
            if reason:
                raise exceptions.BackupDamaged(
                    repository.path(member.name), reason
                )


def _flaw(
    repository: Repository, member: Member, check: Callable[[], None]
) -> str:
    size, checksum = repository.measure(member.name, check)
    if size < 0:
        return 'it is gone'
    if size != member.size:
        return f'it has {size} bytes instead of {member.size}'
    return '' if checksum == member.sha256 else 'its checksum is wrong'


def _disk_flaw(repository: Repository, backup: Backup, member: Member) -> str:
    header = repository.read(member.name, qcow2.HEADER_BYTES) or b''
    if qcow2.first_table(header) is None:
        return 'it is no qcow2 file'
    below = repository.backing_of(member.name)
    if below is None:
        return ''
    if backup.parent is None:
        return f'it is backed by {below}'
    wanted = repository.path(
        repository.disk(backup.parent, member.target or '')
    )
    return '' if below == wanted else f'it is backed by {below}'


def _of(host: Host, backup: Backup) -> Repository:
    return Repository(host, backup.pool)


def check_disks(host: Host, chain: Iterable[Backup]) -> None:
    """
    Raise BackupDamaged where a disk of *chain* leads to other files.

    Whoever can write to the repository could have files of the host read.
    """
    for backup in chain:
        repository = _of(host, backup)
        for member in backup.members:
            if member.role == manifest.DISK:
                reason = _disk_flaw(repository, backup, member)
                if reason:
                    raise exceptions.BackupDamaged(
                        repository.path(member.name), reason
                    )


def read_definition(host: Host, backup: Backup) -> str:
    """The definition in *backup*; raises BackupDamaged."""
    repository = _of(host, backup)
    for member in backup.members:
        if member.role == manifest.DOMAIN:
            reason = _flaw(repository, member, lambda: None)
            if not reason:
                data = repository.read(member.name, member.size) or b''
                return data.decode()
            raise exceptions.BackupDamaged(
                repository.path(member.name), reason
            )
    raise exceptions.BackupDamaged(backup.token, 'it has no definition')


def remove(host: Host, backup: Backup) -> None:
    """Remove the files of *backup*, those that are there."""
    repository = _of(host, backup)
    # Without its manifest it is none any more, for other hosts as well.
    names = [one.name for one in backup.members]
    repository.remove([filenames.manifest(backup.token), *names])
