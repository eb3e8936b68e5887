# SPDX-License-Identifier: Apache-2.0
"""
What the driver does with backups; see ``drivers.backups``.

A part of the driver, which has the connections and the options.
"""

from collections.abc import Collection, Mapping, Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import (
    Backup,
    BackupRequest,
    Described,
)
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.drivers.libvirt import (
    backup,
    backup_clone,
    backup_plan,
    repository,
    restore,
    verify,
)
from hawkfish_plugin.drivers.libvirt.part import Part
from hawkfish_plugin.drivers.verifying import Verified, VerifyRequest


class Backups(Part):
    """See ``backups.BacksUp``."""

    def repository(self) -> str:
        with self._hypervisor.host(contract.BACKUP) as host:
            return repository.configured(host, self._conf)

    def check_backup(self, uuid: str, request: BackupRequest) -> None:
        with self._hypervisor.domain(uuid, contract.BACKUP) as domain:
            backup_plan.make(domain, request, self._conf)

    def back_up(
        self,
        uuid: str,
        request: BackupRequest,
        context: contract.TaskContext,
    ) -> Backup:
        return backup.run(self._hypervisor, uuid, request, self._conf, context)

    def settle_backup(
        self, uuid: str, context: contract.TaskContext
    ) -> Backup:
        return backup.settle(self._hypervisor, uuid, self._conf, context)

    def verify_backup(
        self, chain: Sequence[Backup], context: contract.TaskContext
    ) -> None:
        def check() -> None:
            if context.cancelled:
                raise exceptions.OperationCancelled(contract.VERIFY_BACKUP)

        with self._hypervisor.host(contract.VERIFY_BACKUP) as host:
            repository.verify(host, chain, check)

    def check_prove(
        self, chain: Sequence[Backup], request: VerifyRequest
    ) -> None:
        with self._hypervisor.host(contract.VERIFY_BACKUP) as host:
            backup_clone.make(host, chain, request, self._conf)

    def prove_backup(
        self,
        chain: Sequence[Backup],
        request: VerifyRequest,
        context: contract.TaskContext,
    ) -> Verified:
        operation = contract.VERIFY_BACKUP
        with self._hypervisor.host(operation, context.check_active) as host:
            planned = backup_clone.make(host, chain, request, self._conf)
            return verify.prove(
                verify.Proof(host, request, context, planned, operation)
            )

    def settle_prove(self, context: contract.TaskContext) -> Verified:
        return verify.settle(self._hypervisor, context, contract.VERIFY_BACKUP)

    def stored_backups(self, pool: str) -> Collection[str]:
        with self._hypervisor.host(contract.BACKUP) as host:
            return repository.Repository(host, pool).tokens()

    def read_manifest(self, pool: str, token: str) -> Described:
        with self._hypervisor.host(contract.BACKUP) as host:
            return repository.Repository(host, pool).read_manifest(token)

    def definition_of(self, backup: Backup) -> str:
        with self._hypervisor.host(contract.RESTORE) as host:
            return repository.read_definition(host, backup)

    def check_restore(
        self, request: ImportRequest, chain: Sequence[Backup]
    ) -> None:
        with self._hypervisor.host(contract.RESTORE) as host:
            restore.check(host, request, chain, self._conf)

    def restore_backup(
        self,
        request: ImportRequest,
        chain: Sequence[Backup],
        context: contract.TaskContext,
    ) -> None:
        restore.run(self._hypervisor, request, chain, self._conf, context)

    def settle_restore(
        self, request: ImportRequest, context: contract.TaskContext
    ) -> None:
        restore.settle(self._hypervisor, request, context)

    def check_fetch(
        self, chain: Sequence[Backup], files: Mapping[str, str]
    ) -> None:
        with self._hypervisor.host(contract.RESTORE) as host:
            restore.check_fetch(host, chain, files)

    def fetch_backup(
        self,
        chain: Sequence[Backup],
        files: Mapping[str, str],
        context: contract.TaskContext,
    ) -> None:
        restore.fetch(self._hypervisor, chain, files, context)

    def remove_backup(self, backup: Backup) -> None:
        with self._hypervisor.host(contract.DELETE) as host:
            repository.remove(host, backup)
