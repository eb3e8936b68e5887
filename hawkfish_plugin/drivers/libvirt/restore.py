# SPDX-License-Identifier: Apache-2.0
"""
Systems out of backups: new ones, and such that there are.

Owns the way from the files of a chain to those that ``imports``, or
``import_over``, puts a system on: each disk is copied into one file that needs
no other.
"""

import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import Backup, flattened
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.drivers.libvirt import (
    connections,
    imports,
    leftovers,
    pools,
)
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.repository import Repository, check_disks
from hawkfish_plugin.records import Record

_NAME = contract.RESTORE


@dataclasses.dataclass(frozen=True)
class RestoreJournal(Record):
    """The *files* that are made, by the *members* that they are copies of."""

    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    members: Sequence[Mapping[str, Any]] = ()


def check(
    host: Host,
    request: ImportRequest,
    chain: Sequence[Backup],
    conf: cfg.ConfigOpts,
) -> None:
    """See ``backups.BacksUp.check_restore``."""
    for backup in chain:
        Repository(host, backup.pool)
    imports.plan(host, request, flattened(chain), conf)


def run(
    hypervisor: connections.Hypervisor,
    request: ImportRequest,
    chain: Sequence[Backup],
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> None:
    """See ``backups.BacksUp.restore_backup``."""
    with hypervisor.host(_NAME, context.check_active) as host:
        wanted = flattened(chain)
        files = imports.plan(host, request, wanted, conf)
        journal = RestoreJournal(files, [one.dump() for one in wanted])
        context.step('prepare', journal)
        try:
            _copy(host, chain, files, context)
            imports.make(host, request, files, wanted, context)
        except (libvirt.libvirtError, exceptions.HawkFishError):
            if host.is_alive:
                imports.undo(host, request, files, context)
            raise


def _copy(
    host: Host,
    chain: Sequence[Backup],
    files: Mapping[str, str],
    context: contract.TaskContext,
) -> None:
    check_disks(host, chain)
    backup = chain[0]
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


# Files for a system that there is ------------------------------------------


def check_fetch(
    host: Host, chain: Sequence[Backup], files: Mapping[str, str]
) -> None:
    """See ``backups.BacksUp.check_fetch``."""
    for backup in chain:
        Repository(host, backup.pool)
    for folder in sorted({posixpath.dirname(path) for path in files.values()}):
        if not pools.active_over(host.connection, folder):
            raise exceptions.ImportNotPossible(
                f'{folder} is not the folder of an active storage pool'
            )


def fetch(
    hypervisor: connections.Hypervisor,
    chain: Sequence[Backup],
    files: Mapping[str, str],
    context: contract.TaskContext,
) -> None:
    """See ``backups.BacksUp.fetch_backup``."""
    with hypervisor.host(_NAME, context.check_active) as host:
        try:
            _copy(host, chain, files, context)
        except (libvirt.libvirtError, exceptions.HawkFishError):
            if host.is_alive:
                leftovers.remove(host, files.values(), context)
            raise
