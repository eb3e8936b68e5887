# SPDX-License-Identifier: Apache-2.0
"""
New systems out of backups.

Owns the way from the files of a chain to those that ``imports`` makes a
system of: each disk is copied into one file that needs no other.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import Backup
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.drivers.libvirt import connections, imports
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.repository import Repository
from hawkfish_plugin.records import Record

_NAME = contract.RESTORE


@dataclasses.dataclass(frozen=True)
class RestoreJournal(Record):
    """The *files* that are made, by the *members* that they are copies of."""

    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    members: Sequence[Mapping[str, Any]] = ()


def members(chain: Sequence[Backup]) -> list[Member]:
    """What a bundle of the first of *chain* would have, by the same names."""
    return [
        dataclasses.replace(one, size=_flat_size(chain, one))
        if one.role == manifest.DISK
        else one
        for one in chain[0].members
    ]


def _flat_size(chain: Sequence[Backup], disk: Member) -> int:
    """What the copy of *disk* takes at the most, in bytes."""
    taken = sum(
        one.size
        for backup in chain
        for one in backup.members
        if (one.role, one.target) == (manifest.DISK, disk.target)
    )
    return min(taken, (disk.capacity or taken) + disk.size)


def check(
    host: Host,
    request: ImportRequest,
    chain: Sequence[Backup],
    conf: cfg.ConfigOpts,
) -> None:
    """See ``backups.BacksUp.check_restore``."""
    for backup in chain:
        Repository(host, backup.pool)
    imports.plan(host, request, members(chain), conf)


def run(
    hypervisor: connections.Hypervisor,
    request: ImportRequest,
    chain: Sequence[Backup],
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> None:
    """See ``backups.BacksUp.restore_backup``."""
    with hypervisor.host(_NAME, context.check_active) as host:
        wanted = members(chain)
        files = imports.plan(host, request, wanted, conf)
        journal = RestoreJournal(files, [one.dump() for one in wanted])
        context.step('prepare', journal)
        try:
            _copy(host, chain[0], files, context)
            imports.make(host, request, files, wanted, context)
        except (libvirt.libvirtError, exceptions.HawkFishError):
            if host.is_alive:
                imports.undo(host, request, files, context)
            raise


def _copy(
    host: Host,
    backup: Backup,
    files: Mapping[str, str],
    context: contract.TaskContext,
) -> None:
    repository = Repository(host, backup.pool)
    whole = sum(one.size for one in backup.members) or 1
    done = 0
    for member in backup.members:
        if context.cancelled:
            raise exceptions.OperationCancelled(_NAME)
        path = files.get(member.name)
        if path and member.role == manifest.DISK:
            repository.clone(member.name, path, member.capacity or 0)
        elif path:
            data = repository.read(member.name, member.size)
            if data is None:
                raise exceptions.BackupDamaged(
                    repository.path(member.name), 'it is gone'
                )
            host.storage.write(path, data)
        done += member.size
        context.progress(99 * done // whole)


def settle(
    hypervisor: connections.Hypervisor,
    request: ImportRequest,
    context: contract.TaskContext,
) -> None:
    """See ``backups.BacksUp.settle_restore``."""
    journal = context.recall(RestoreJournal)
    wanted = [Member.load(one) for one in journal.members]
    try:
        imports.settle(hypervisor, request, journal.files, wanted, context)
    except exceptions.OperationInterrupted as exc:
        raise exceptions.OperationInterrupted(_NAME, exc.args[1]) from exc
