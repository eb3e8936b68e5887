# SPDX-License-Identifier: Apache-2.0
"""
What is done, and when it is refused: the operations, and what they ask.
"""

import functools

from hawkfish_plugin.backup_catalogue import BackupCatalogue
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.export_catalogue import ExportCatalogue
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.operations.backup import BackUp
from hawkfish_plugin.operations.backup_delete import DeleteBackups
from hawkfish_plugin.operations.backup_restore import RestoreBackup
from hawkfish_plugin.operations.backup_verify import VerifyBackup
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.export import Export
from hawkfish_plugin.operations.export_now import ExportNow
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.group_create import GroupCreate
from hawkfish_plugin.operations.group_delete import GroupDelete
from hawkfish_plugin.operations.group_export import GroupExport
from hawkfish_plugin.operations.group_import import GroupImport
from hawkfish_plugin.operations.group_power import (
    GroupBootOrder,
    GroupReset,
)
from hawkfish_plugin.operations.group_prune import GroupPrune
from hawkfish_plugin.operations.group_revert import GroupRevert
from hawkfish_plugin.operations.import_over import ImportOver
from hawkfish_plugin.operations.importing import Import
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.operations.purge import Purge
from hawkfish_plugin.operations.receiving import Receiving
from hawkfish_plugin.operations.repair import Repair
from hawkfish_plugin.operations.restore_over import RestoreOver
from hawkfish_plugin.operations.revert import Revert
from hawkfish_plugin.operations.verify import Verify
from hawkfish_plugin.tasks.operation import Kinds, Operations
from hawkfish_plugin.wiring.access import Access

# Every operation that there is.
KINDS: Kinds = {
    kind.name: kind
    for kind in (
        *(Create, Revert, Delete, Purge, Repair, Export, Import),
        *(ExportNow, ImportOver, Verify),
        *(GroupCreate, GroupRevert, GroupDelete, GroupExport, GroupImport),
        *(GroupReset, GroupBootOrder),
        *(BackUp, RestoreBackup, VerifyBackup, DeleteBackups),
        RestoreOver,
    )
}


class Work(Access):
    """The catalogues, and every operation."""

    @functools.cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(
            self.driver,
            self.tasks,
            self.locks,
            self._notes,
            self.group_table,
            KINDS,
            self._may_tell,
        )

    @functools.cached_property
    def groups(self) -> GroupCatalogue:
        return GroupCatalogue(
            self.catalogue,
            self.group_table,
            self.tasks,
            self.locks,
            KINDS,
            self._may_tell,
        )

    @functools.cached_property
    def exports(self) -> ExportCatalogue:
        return ExportCatalogue(self.driver, self._export_table)

    @functools.cached_property
    def export(self) -> Export:
        return Export(
            self.driver,
            self.tasks,
            self.catalogue,
            self._export_table,
            self.conf,
        )

    @functools.cached_property
    def backups(self) -> BackupCatalogue:
        return BackupCatalogue(
            self.driver, self._backup_table, self.tasks, self.conf
        )

    @functools.cached_property
    def backing_up(self) -> BackUp:
        return BackUp(
            self.driver,
            self.tasks,
            self.catalogue,
            self.backups,
            self._backup_table,
            self._delete_backups,
            self.conf,
        )

    @functools.cached_property
    def _delete_backups(self) -> DeleteBackups:
        return DeleteBackups(
            self.driver,
            self.tasks,
            self.catalogue,
            self.backups,
            self._backup_table,
        )

    @functools.cached_property
    def importing(self) -> Import:
        return Import(self.driver, self.tasks, self._uploads)

    @functools.cached_property
    def group_import(self) -> GroupImport:
        return GroupImport(
            self.tasks, self.group_table, self._uploads, self.importing
        )

    @functools.cached_property
    def import_over(self) -> ImportOver:
        return ImportOver(
            self.driver,
            self.tasks,
            self._uploads,
            self.create,
            self.findings,
        )

    @functools.cached_property
    def receiving(self) -> Receiving:
        return Receiving(
            self.driver,
            self.tasks,
            self._uploads,
            self._database,
            self.locks,
            self.importing,
            self.group_import,
            self.import_over,
        )

    @functools.cached_property
    def verify(self) -> Verify:
        return Verify(
            self.driver,
            self.tasks,
            self.catalogue,
            self._notes,
            self._clones,
        )

    @functools.cached_property
    def findings(self) -> Findings:
        return Findings(self.driver, self.events, self.tasks)

    @functools.cached_property
    def delete(self) -> Delete:
        return Delete(
            self.driver,
            self.tasks,
            self.catalogue,
            self._notes,
            self.findings,
        )

    @functools.cached_property
    def purge(self) -> Purge:
        return Purge(self.driver, self.tasks, self.catalogue, self.delete)

    @functools.cached_property
    def prune(self) -> Prune:
        return Prune(
            self.driver,
            self.catalogue,
            self._notes,
            self.policies,
            self.delete,
            self.group_prune,
            self.allowed.is_served,
        )

    @functools.cached_property
    def group_prune(self) -> GroupPrune:
        return GroupPrune(
            self.catalogue, self.groups, self.group_table, self.group_delete
        )

    @functools.cached_property
    def create(self) -> Create:
        return Create(
            self.driver,
            self.tasks,
            self.catalogue,
            self._notes,
            self.policies,
            self.prune,
            self.findings,
        )

    @functools.cached_property
    def revert(self) -> Revert:
        return Revert(
            self.driver,
            self.tasks,
            self.catalogue,
            self.create,
            self.findings,
            self.conf,
        )

    @functools.cached_property
    def group_create(self) -> GroupCreate:
        return GroupCreate(
            self.driver,
            self.tasks,
            self.groups,
            self.group_table,
            self.create,
            self.delete,
            self.prune,
            self.group_prune,
            self.conf,
        )

    @functools.cached_property
    def group_revert(self) -> GroupRevert:
        return GroupRevert(
            self.tasks,
            self.catalogue,
            self.groups,
            self.group_table,
            self.create,
            self.revert,
            self.delete,
            self.conf,
        )

    @functools.cached_property
    def group_delete(self) -> GroupDelete:
        return GroupDelete(
            self.tasks,
            self.catalogue,
            self.groups,
            self.group_table,
            self.delete,
        )

    @functools.cached_property
    def operations(self) -> Operations:
        return Operations(
            self.create,
            self.revert,
            self.delete,
            self.purge,
            Repair(self.driver, self.tasks, self.findings),
            self.export,
            ExportNow(
                self.tasks,
                self.catalogue,
                self.create,
                self.export,
                self.delete,
            ),
            self.importing,
            self.backing_up,
            self._delete_backups,
            RestoreBackup(
                self.driver,
                self.tasks,
                self.catalogue,
                self.backups,
                self.locks,
            ),
            RestoreOver(
                self.driver,
                self.tasks,
                self.backups,
                self.create,
                self.findings,
            ),
            VerifyBackup(
                self.driver,
                self.tasks,
                self.catalogue,
                self.backups,
                self._backup_table,
            ),
            self.verify,
            self.group_create,
            self.group_revert,
            self.group_delete,
            GroupExport(self.tasks, self.groups, self.export),
            self.group_import,
            self.import_over,
            *(
                kind(
                    self.findings,
                    self.tasks,
                    self.groups,
                    self.locks,
                    self.conf,
                    self._systems,
                )
                for kind in (GroupReset, GroupBootOrder)
            ),
        ).complete(KINDS)
