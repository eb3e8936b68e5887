# SPDX-License-Identifier: Apache-2.0
"""
What is done, and when it is refused: the operations, and what they ask.
"""

import functools

from hawkfish_plugin.operations.admission import Admission
from hawkfish_plugin.operations.adopting import Adoption
from hawkfish_plugin.operations.backup import BackUp
from hawkfish_plugin.operations.backup_delete import DeleteBackups
from hawkfish_plugin.operations.backup_restore import RestoreBackup
from hawkfish_plugin.operations.backup_verify import VerifyBackup
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.export import Export
from hawkfish_plugin.operations.export_now import ExportNow
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.group_admission import GroupAdmission
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
from hawkfish_plugin.operations.group_room import GroupRoom
from hawkfish_plugin.operations.group_safety import GroupSafety
from hawkfish_plugin.operations.import_over import ImportOver
from hawkfish_plugin.operations.importing import Import
from hawkfish_plugin.operations.ownership import Ownership
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.operations.purge import Purge
from hawkfish_plugin.operations.receiving import Receiving
from hawkfish_plugin.operations.repair import Repair
from hawkfish_plugin.operations.restore_over import RestoreOver
from hawkfish_plugin.operations.revert import Revert
from hawkfish_plugin.operations.room import CreateRoom
from hawkfish_plugin.operations.scheduling import Scheduling
from hawkfish_plugin.operations.verify import Verify
from hawkfish_plugin.tasks.operation import Kinds, Operations
from hawkfish_plugin.wiring.access import Access
from hawkfish_plugin.wiring.catalogues import Catalogues
from hawkfish_plugin.wiring.foundations import Foundations

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


class Work:
    """Every operation, and what they share; each built when first needed."""

    def __init__(
        self,
        foundations: Foundations,
        access: Access,
        catalogues: Catalogues,
    ) -> None:
        self._foundations = foundations
        self._access = access
        self._catalogues = catalogues

    @functools.cached_property
    def export(self) -> Export:
        return Export(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._foundations.export_table,
            self._foundations.conf,
        )

    @functools.cached_property
    def backing_up(self) -> BackUp:
        return BackUp(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._catalogues.backups,
            self._foundations.backup_table,
            self._delete_backups,
            self._foundations.schedules,
            self._foundations.conf,
        )

    @functools.cached_property
    def adoption(self) -> Adoption:
        return Adoption(
            self._foundations.driver,
            self._foundations.backup_table,
            self._foundations.tasks,
        )

    @functools.cached_property
    def _delete_backups(self) -> DeleteBackups:
        return DeleteBackups(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._catalogues.backups,
            self._foundations.backup_table,
        )

    @functools.cached_property
    def importing(self) -> Import:
        return Import(
            self._foundations.driver,
            self._foundations.tasks,
            self._foundations.uploads,
        )

    @functools.cached_property
    def group_import(self) -> GroupImport:
        return GroupImport(
            self._foundations.tasks,
            self._foundations.group_table,
            self._foundations.uploads,
            self.importing,
        )

    @functools.cached_property
    def import_over(self) -> ImportOver:
        return ImportOver(
            self._foundations.driver,
            self._foundations.tasks,
            self._foundations.uploads,
            self._admission,
            self.create,
            self.findings,
        )

    @functools.cached_property
    def receiving(self) -> Receiving:
        return Receiving(
            self._foundations.driver,
            self._foundations.tasks,
            self._foundations.uploads,
            self._foundations.database,
            self._foundations.locks,
            self.importing,
            self.group_import,
            self.import_over,
        )

    @functools.cached_property
    def verify(self) -> Verify:
        return Verify(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._foundations.notes,
            self._foundations.clones,
        )

    @functools.cached_property
    def findings(self) -> Findings:
        return Findings(
            self._foundations.driver,
            self._foundations.events,
            self._foundations.tasks,
        )

    @functools.cached_property
    def delete(self) -> Delete:
        return Delete(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._foundations.notes,
            self.findings,
        )

    @functools.cached_property
    def purge(self) -> Purge:
        return Purge(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self.delete,
            self.findings,
        )

    @functools.cached_property
    def prune(self) -> Prune:
        return Prune(
            self._foundations.driver,
            self._catalogues.snapshots,
            self._foundations.notes,
            self._foundations.policies,
            self.delete,
            self.group_prune,
            self._access.allowed.is_served,
        )

    @functools.cached_property
    def group_prune(self) -> GroupPrune:
        return GroupPrune(
            self._catalogues.snapshots,
            self._catalogues.groups,
            self._foundations.group_table,
            self._foundations.policies,
            self.group_delete,
        )

    @functools.cached_property
    def _admission(self) -> Admission:
        return Admission(
            self._foundations.driver,
            self._catalogues.snapshots,
            self._foundations.policies,
            self.findings,
        )

    @functools.cached_property
    def _room(self) -> CreateRoom:
        return CreateRoom(
            self._admission, self._catalogues.snapshots, self.prune
        )

    @functools.cached_property
    def create(self) -> Create:
        return Create(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._foundations.notes,
            self._admission,
            self._room,
            self.prune,
            self.findings,
        )

    @functools.cached_property
    def revert(self) -> Revert:
        return Revert(
            self._foundations.driver,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self.create,
            self.findings,
            self._foundations.conf,
        )

    @functools.cached_property
    def group_create(self) -> GroupCreate:
        return GroupCreate(
            self._foundations.tasks,
            self._catalogues.groups,
            self._foundations.group_table,
            GroupAdmission(
                self._catalogues.groups,
                self._foundations.group_table,
                self._admission,
                self.prune,
                self.group_prune,
                self._foundations.conf,
            ),
            GroupRoom(self._room, self.prune, self._catalogues.groups),
            self.create,
            self.delete,
            self.prune,
        )

    @functools.cached_property
    def group_revert(self) -> GroupRevert:
        return GroupRevert(
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._catalogues.groups,
            self.revert,
            GroupSafety(
                self._catalogues.snapshots,
                self._catalogues.groups,
                self._foundations.group_table,
                self._admission,
                self.create,
                self.delete,
            ),
            self._foundations.conf,
        )

    @functools.cached_property
    def group_delete(self) -> GroupDelete:
        return GroupDelete(
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._catalogues.groups,
            self._foundations.group_table,
            self.delete,
        )

    @functools.cached_property
    def scheduling(self) -> Scheduling:
        return Scheduling(
            self._foundations.schedules,
            self._foundations.tasks,
            self._catalogues.snapshots,
            self._catalogues.groups,
            self._foundations.group_table,
            self.operations,
            self._access.acting_for,
            self._access.may_tell,
            self.ownership.objection,
        )

    @functools.cached_property
    def ownership(self) -> Ownership:
        return Ownership(
            self._foundations.schedules,
            self._foundations.subscriptions,
            self._foundations.accounts,
            self._foundations.audit,
            self._foundations.events,
            self._foundations.users_file,
        )

    @functools.cached_property
    def operations(self) -> Operations:
        return Operations(
            self.create,
            self.revert,
            self.delete,
            self.purge,
            Repair(
                self._foundations.driver,
                self._foundations.tasks,
                self.findings,
            ),
            self.export,
            ExportNow(
                self._foundations.tasks,
                self._catalogues.snapshots,
                self._admission,
                self.create,
                self.export,
                self.delete,
            ),
            self.importing,
            self.backing_up,
            self._delete_backups,
            RestoreBackup(
                self._foundations.driver,
                self._foundations.tasks,
                self._catalogues.snapshots,
                self._catalogues.backups,
                self._foundations.locks,
            ),
            RestoreOver(
                self._foundations.driver,
                self._foundations.tasks,
                self._catalogues.snapshots,
                self._catalogues.backups,
                self._admission,
                self.create,
                self.findings,
            ),
            VerifyBackup(
                self._foundations.driver,
                self._foundations.tasks,
                self._catalogues.snapshots,
                self._catalogues.backups,
                self._foundations.backup_table,
                self._foundations.clones,
            ),
            self.verify,
            self.group_create,
            self.group_revert,
            self.group_delete,
            GroupExport(
                self._foundations.tasks, self._catalogues.groups, self.export
            ),
            self.group_import,
            self.import_over,
            *(
                kind(
                    self.findings,
                    self._foundations.tasks,
                    self._catalogues.groups,
                    self._foundations.locks,
                    self._foundations.conf,
                    self._foundations.systems,
                )
                for kind in (GroupReset, GroupBootOrder)
            ),
        ).complete(KINDS)
