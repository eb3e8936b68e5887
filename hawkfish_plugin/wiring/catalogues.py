# SPDX-License-Identifier: Apache-2.0
"""
The catalogues: what there is, as users see it.
"""

import functools

from hawkfish_plugin.backup_catalogue import BackupCatalogue
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.export_catalogue import ExportCatalogue
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.tasks.operation import Kinds
from hawkfish_plugin.wiring.access import Access
from hawkfish_plugin.wiring.foundations import Foundations


class Catalogues:
    """Each built when it is first needed; *kinds* are all operations."""

    def __init__(
        self, foundations: Foundations, access: Access, kinds: Kinds
    ) -> None:
        self._foundations = foundations
        self._access = access
        self._kinds = kinds

    @functools.cached_property
    def snapshots(self) -> Catalogue:
        return Catalogue(
            self._foundations.driver,
            self._foundations.tasks,
            self._foundations.locks,
            self._foundations.notes,
            self._foundations.group_table,
            self._kinds,
            self._access.may_tell,
        )

    @functools.cached_property
    def groups(self) -> GroupCatalogue:
        return GroupCatalogue(
            self.snapshots,
            self._foundations.group_table,
            self._foundations.tasks,
            self._foundations.locks,
            self._kinds,
            self._access.may_tell,
        )

    @functools.cached_property
    def exports(self) -> ExportCatalogue:
        return ExportCatalogue(
            self._foundations.driver, self._foundations.export_table
        )

    @functools.cached_property
    def backups(self) -> BackupCatalogue:
        return BackupCatalogue(
            self._foundations.driver,
            self._foundations.backup_table,
            self._foundations.tasks,
            self._foundations.conf,
        )
