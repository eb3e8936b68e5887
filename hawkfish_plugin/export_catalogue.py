# SPDX-License-Identifier: Apache-2.0
"""
Exports as their users see them: list, get, read, delete.

Owns the end of each: by a delete, or when its time has come; ``sending`` owns
how one is read.
"""

import logging
import time
from collections.abc import Iterator, Sequence

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.exporting import Exports as ExportsBundles
from hawkfish_plugin.exports import Export, Exports, Owner
from hawkfish_plugin.sending import Sending

LOG = logging.getLogger(__name__)

# How long one whose files cannot be removed is left alone.
_PATIENCE_SECONDS = 60.0


class ExportCatalogue:
    """The exports in *table*, whose files *driver* has."""

    def __init__(self, driver: contract.Driver, table: Exports) -> None:
        self._driver = driver
        self._table = table
        self._tried: dict[int, float] = {}

    def list(self, owner: Owner) -> Sequence[Export]:
        """Those of *owner*, oldest first."""
        return self._table.of(owner)

    def get(self, owner: Owner, export_id: int) -> Export:
        """Raises ExportNotFound."""
        return self._table.get(owner, export_id)

    def read(self, export: Export, begin: int, end: int) -> Iterator[bytes]:
        """
        The bytes of the bundle from *begin* to before *end*, in parts.

        Nothing of the hypervisor is held between two parts.
        """
        driver = bundling(self._driver)
        return Sending(driver, self._table, export).parts(begin, end)

    def delete(self, export: Export) -> None:
        """Remove its files, and forget it; what fails is done later."""
        self._table.begin_delete(export.id)
        for folder in export.folders:
            bundling(self._driver).remove_staged(folder)
        self._table.forget(export.id)

    def periodic(self) -> None:
        """Delete those whose time has come."""
        now = time.monotonic()
        for export in self._table.due(time.time()):
            if now < self._tried.get(export.id, 0.0):
                continue
            self._tried[export.id] = now + _PATIENCE_SECONDS
            try:
                self.delete(export)
                self._tried.pop(export.id)
            except exceptions.HawkFishError as exc:
                LOG.warning(
                    'The export %s was not deleted: %r',
                    export.id,
                    messages.text(exc),
                )


def bundling(driver: contract.Driver) -> ExportsBundles:
    """*driver* as one that makes bundles; raises DriverNotSupported."""
    if not isinstance(driver, ExportsBundles):
        raise exceptions.DriverNotSupported(type(driver).__name__)
    return driver
