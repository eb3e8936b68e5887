# SPDX-License-Identifier: Apache-2.0
"""
Bundles of the fake driver.

A fake system has no data, so its disk and its memory are made up: some bytes
that follow from the snapshot, the same each time.
"""

import contextlib
import dataclasses
import hashlib
import posixpath
import secrets
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import LeftOut, Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.behaviour import Behaviour, Run
from hawkfish_plugin.drivers.exporting import ExportRequest, Staged
from hawkfish_plugin.drivers.importing import ImportRequest, OverRequest
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.records import Record

_BYTES = 2**18


@dataclasses.dataclass(frozen=True)
class ExportJournal(Record):
    """The *folder* of an export."""

    folder: str = ''


class FakeBundles:
    """See ``exporting.Exports``; a part of the fake driver."""

    behaviour: Behaviour
    # By folder, the files that are staged in it.
    _staged: MutableMapping[str, dict[str, bytes]]
    # By path, what was received of a bundle.
    _files: MutableMapping[str, bytes]
    _systems: Callable[[], Any]

    if TYPE_CHECKING:

        def snapshots(self, uuid: str) -> Sequence[contract.Snapshot]: ...

        def resolve(self, identity: str) -> contract.System: ...

    def check_export(
        self, uuid: str, request: ExportRequest
    ) -> Sequence[tuple[str, int, int]]:
        self._exported(uuid, request)
        return ()

    def _exported(
        self, uuid: str, request: ExportRequest
    ) -> contract.Snapshot:
        for snapshot in self.snapshots(uuid):
            if snapshot.name == request.name:
                if request.memory and not snapshot.memory:
                    raise exceptions.ExportNotPossible(
                        request.name, 'it has no memory'
                    )
                return snapshot
        raise exceptions.SnapshotNotFound(request.name)

    def export(
        self, uuid: str, request: ExportRequest, context: contract.TaskContext
    ) -> Staged:
        snapshot = self._exported(uuid, request)
        run = Run(contract.EXPORT, context, self.behaviour, uuid)
        folder = f'/fake/hawkfish-{secrets.token_hex(6)}.export'
        run.step('prepare', ExportJournal(folder))
        try:
            run.step('stage')
            run.pass_time()
            self._staged[folder] = {
                posixpath.basename(name): data
                for name, (_, data) in _files(uuid, snapshot, request).items()
            }
            run.step('finish')
        except exceptions.HawkFishError:
            self.remove_staged(folder)
            raise
        return _found(uuid, snapshot, request, folder)

    def settle_export(
        self, uuid: str, request: ExportRequest, context: contract.TaskContext
    ) -> Staged:
        folder = context.recall(ExportJournal).folder
        if context.last_step == 'finish':
            snapshot = self._exported(uuid, request)
            return _found(uuid, snapshot, request, folder)
        self.remove_staged(folder)
        raise exceptions.OperationInterrupted(
            contract.EXPORT, 'nothing of it was kept'
        )

    def read_staged(
        self, folder: str, name: str, offset: int, length: int
    ) -> bytes:
        data = self._staged.get(folder, {}).get(name)
        if data is None or len(data) < offset + length:
            raise exceptions.ExportFileMissing(posixpath.join(folder, name))
        return data[offset : offset + length]

    def remove_staged(self, folder: str) -> None:
        self._staged.pop(folder, None)

    def staged(self) -> Sequence[str]:
        """The folders in which anything is staged."""
        return list(self._staged)

    # In -------------------------------------------------------------------

    def map_macs(
        self, definitions: Sequence[str], keep: bool
    ) -> Mapping[str, str]:
        return {}

    def plan_import(
        self,
        request: ImportRequest,
        members: Sequence[Member],
        beside: int = 0,
    ) -> Mapping[str, str]:
        if not request.definition.startswith('<domain type="fake"'):
            raise exceptions.BundleInvalid('its system is no fake one')
        if request.pool not in (None, 'default'):
            raise exceptions.PoolNotUsable(request.pool, 'there is none')
        for identity in (request.name, request.uuid):
            with contextlib.suppress(exceptions.SystemNotFound):
                raise exceptions.SystemExists(self.resolve(identity).name)
        return {
            one.name: f'/fake/{request.uuid}-{one.target or "memory"}'
            for one in members
            if one.role == manifest.DISK
            or (one.role == manifest.MEMORY and request.memory)
        }

    def make_file(self, path: str, size: int) -> None:
        self._files[path] = b''

    def write_file(self, path: str, offset: int, data: bytes) -> None:
        self._files[path] = self._files[path][:offset] + data

    def check_file(self, path: str, member: Member) -> None:
        if member.role == manifest.DISK and (
            len(self._files[path]) != member.capacity
        ):
            raise exceptions.BundleInvalid(
                f'the disk {member.target} is not of its size'
            )

    def remove_files(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._files.pop(path, None)

    def received(self) -> Mapping[str, bytes]:
        """The files that were received, by path."""
        found = {}
        for path in list(self._files):
            # Somebody else may remove it at this moment.
            with contextlib.suppress(KeyError):
                found[path] = self._files[path]
        return found

    def import_system(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: contract.TaskContext,
    ) -> None:
        run = Run(contract.IMPORT, context, self.behaviour, request.uuid)
        run.step('prepare')
        try:
            run.step('define')
            run.pass_time()
            context.meet(contract.Meeting.LOADED)
            internals.add_fake_system(
                self._systems(),
                request.uuid,
                request.name,
                contract.ON if request.start else contract.OFF,
            )
            run.step('finish')
        except exceptions.HawkFishError:
            self._remove_system(request, files)
            raise
        self._loaded(files, members)

    def settle_import(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: contract.TaskContext,
    ) -> None:
        if context.last_step == 'finish':
            return
        self._remove_system(request, files)
        raise exceptions.OperationInterrupted(
            contract.IMPORT, 'nothing of it was kept'
        )

    def plan_over(
        self, uuid: str, request: OverRequest, members: Sequence[Member]
    ) -> Mapping[str, str]:
        self.resolve(uuid)
        targets = [o.target for o in members if o.role == manifest.DISK]
        if targets != ['vda']:
            raise exceptions.ImportNotPossible('it has other disks')
        token = secrets.token_hex(6)
        return {
            one.name: f'/fake/{uuid}-{one.target or "memory"}-{token}'
            for one in members
            if one.role == manifest.DISK
            or (one.role == manifest.MEMORY and request.memory)
        }

    def import_over(
        self,
        uuid: str,
        request: OverRequest,
        files: Mapping[str, str],
        members: Sequence[Member],
        context: contract.TaskContext,
    ) -> None:
        run = Run(contract.IMPORT, context, self.behaviour, uuid)
        try:
            run.step('prepare')
            run.step('define')
            run.pass_time()
            internals.set_fake_power(self._systems(), uuid, on=request.start)
            run.step('finish')
        except exceptions.HawkFishError:
            self.remove_files(list(files.values()))
            raise
        self._loaded(files, members)

    def settle_over(
        self,
        uuid: str,
        files: Mapping[str, str],
        context: contract.TaskContext,
    ) -> None:
        if context.last_step == 'finish':
            return
        self.remove_files(list(files.values()))
        raise exceptions.OperationInterrupted(
            contract.IMPORT, 'the system is as it was'
        )

    def _loaded(
        self, files: Mapping[str, str], members: Sequence[Member]
    ) -> None:
        """The memory is needed no more."""
        memory = [o.name for o in members if o.role == manifest.MEMORY]
        self.remove_files([files[name] for name in memory if name in files])

    def undo_import(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        context: contract.TaskContext,
    ) -> None:
        self._remove_system(request, files)

    def _remove_system(
        self, request: ImportRequest, files: Mapping[str, str]
    ) -> None:
        # Another one may have got an identity that was kept.
        if self._files.keys() & {*files.values()}:
            internals.remove_fake_system(self._systems(), request.uuid)
        self.remove_files(list(files.values()))


def _found(
    uuid: str,
    snapshot: contract.Snapshot,
    request: ExportRequest,
    folder: str,
) -> Staged:
    files = _files(uuid, snapshot, request)
    left_out = snapshot.memory and not request.memory
    return Staged(
        folder,
        [_late(member_of(name, *found)) for name, found in files.items()],
        [LeftOut('memory', 'it was not asked for')] if left_out else [],
        {'fake': '1'},
    )


def _files(
    uuid: str, snapshot: contract.Snapshot, request: ExportRequest
) -> dict[str, tuple[str, bytes]]:
    """The role and the content of each member, by its name."""
    seed = f'{uuid} {snapshot.name} {snapshot.created}'
    found = {
        'domain.xml': (manifest.DOMAIN, b'<domain type="fake"/>\n'),
        'snapshot.xml': (manifest.SNAPSHOT, b'<domainsnapshot/>\n'),
        'disks/vda.qcow2': (manifest.DISK, _made_up(f'{seed} disk')),
    }
    if request.memory:
        made = _made_up(f'{seed} memory')
        found['memory.image'] = (manifest.MEMORY, made)
    return found


def _made_up(seed: str) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(_BYTES + len(seed))


def _late(member: Member) -> Member:
    """*member*, whose checksum is made when it is fetched, if it is large."""
    if member.role not in manifest.LARGE:
        return member
    return dataclasses.replace(member, sha256=None)


def member_of(name: str, role: str, data: bytes) -> Member:
    """What a manifest says of a file of that content."""
    is_disk = role == manifest.DISK
    return Member(
        name,
        role,
        len(data),
        hashlib.sha256(data).hexdigest(),
        'vda' if is_disk else None,
        'raw' if is_disk else None,
        len(data) if is_disk else None,
    )
