# SPDX-License-Identifier: Apache-2.0
"""
What the driver does with bundles; see ``drivers.exporting`` and
``drivers.importing``.

A part of the driver, which has the connections and the options.
"""

import posixpath
from collections.abc import Mapping, Sequence

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.exporting import ExportRequest, Staged
from hawkfish_plugin.drivers.importing import ImportRequest, OverRequest
from hawkfish_plugin.drivers.libvirt import (
    export,
    import_over,
    imports,
    leftovers,
    received,
    volumes,
)
from hawkfish_plugin.drivers.libvirt.part import Part
from hawkfish_plugin.drivers.libvirt.staging import Staging

# Whoever deletes an export waits for no copy: there is none any more.  But a
# client may still read it, and what is being deleted is deleted again by who
# looks for what a process that died has left.
_MOMENT_SECONDS = 10.0


class Transfers(Part):
    """See ``exporting.Exports`` and ``importing.Imports``."""

    def check_export(
        self, uuid: str, request: ExportRequest
    ) -> Sequence[tuple[str, int, int]]:
        with self._hypervisor.domain(uuid, contract.EXPORT) as domain:
            needs = export.plan(domain, request, self._conf).needs
        return [(one.folder, one.needed, one.available) for one in needs]

    def export(
        self, uuid: str, request: ExportRequest, context: contract.TaskContext
    ) -> Staged:
        return export.run(self._hypervisor, uuid, request, self._conf, context)

    def settle_export(
        self, uuid: str, request: ExportRequest, context: contract.TaskContext
    ) -> Staged:
        return export.settle(self._hypervisor, context)

    def read_staged(
        self, folder: str, name: str, offset: int, length: int
    ) -> bytes:
        with self._hypervisor.host(contract.EXPORT) as host:
            try:
                return Staging(host, folder).read(name, offset, length)
            except libvirt.libvirtError as exc:
                host.raise_if_lost(exc)
                if not volumes.is_gone(exc):
                    raise
                raise exceptions.ExportFileMissing(
                    posixpath.join(folder, name)
                ) from exc

    def remove_staged(self, folder: str) -> None:
        with self._hypervisor.host(contract.EXPORT) as host:
            Staging(host, folder).remove(_MOMENT_SECONDS)

    # In -------------------------------------------------------------------

    def map_macs(
        self, definitions: Sequence[str], keep: bool
    ) -> Mapping[str, str]:
        with self._hypervisor.host(contract.IMPORT) as host:
            return imports.map_macs(host, definitions, keep)

    def plan_import(
        self,
        request: ImportRequest,
        members: Sequence[Member],
        beside: int = 0,
    ) -> Mapping[str, str]:
        with self._hypervisor.host(contract.IMPORT) as host:
            return imports.plan(host, request, members, self._conf, beside)

    def make_file(self, path: str, size: int) -> None:
        with self._hypervisor.host(contract.IMPORT) as host:
            host.storage.make_file(path, size)

    def write_file(self, path: str, offset: int, data: bytes) -> None:
        with self._hypervisor.host(contract.IMPORT) as host:
            host.storage.write_at(path, offset, data)

    def check_file(self, path: str, member: Member) -> None:
        with self._hypervisor.host(contract.IMPORT) as host:
            received.check_file(host, path, member)

    def remove_files(self, paths: Sequence[str]) -> None:
        with self._hypervisor.host(contract.IMPORT) as host:
            leftovers.remove_unused(host, paths)

    def import_system(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: contract.TaskContext,
    ) -> None:
        imports.run(self._hypervisor, request, files, members, context)

    def settle_import(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: contract.TaskContext,
    ) -> None:
        imports.settle(self._hypervisor, request, files, members, context)

    def undo_import(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        context: contract.TaskContext,
    ) -> None:
        with self._hypervisor.host(
            contract.IMPORT, context.check_active
        ) as host:
            imports.undo(host, request, files, context)

    def plan_over(
        self, uuid: str, request: OverRequest, members: Sequence[Member]
    ) -> Mapping[str, str]:
        with self._hypervisor.domain(uuid, contract.IMPORT) as domain:
            return import_over.plan(domain, request, members)

    def import_over(
        self,
        uuid: str,
        request: OverRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: contract.TaskContext,
    ) -> None:
        import_over.run(
            self._hypervisor, uuid, request, files, members, context
        )

    def settle_over(
        self,
        uuid: str,
        files: Mapping[str, str],
        context: contract.TaskContext,
    ) -> None:
        import_over.settle(self._hypervisor, uuid, files, context)
