# SPDX-License-Identifier: Apache-2.0
"""
Backups of the fake driver.

Its repository is a pool of the name that is configured.  A fake system has no
data, so what is in a file follows from the backup, the same each time.
"""

import contextlib
import dataclasses
import hashlib
import re
import time
from collections.abc import (
    Callable,
    Collection,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import backup_manifest, contract
from hawkfish_plugin.drivers.backups import (
    Backup,
    BackupRequest,
    Described,
)
from hawkfish_plugin.drivers.behaviour import Behaviour, Run
from hawkfish_plugin.drivers.fake_bundles import member_of
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.records import Record

_FULL_BYTES, _INCREMENTAL_BYTES = 2**16, 2**12
_MANIFEST = re.compile(r'fake-backup-([0-9a-f]{12})\.json')
_UNKNOWN = 'the system was reverted since'


@dataclasses.dataclass(frozen=True)
class BackupJournal(Record):
    """The *made* backup, as JSON."""

    made: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class FakeBackups:
    """See ``backups.BacksUp``; a part of the fake driver."""

    behaviour: Behaviour
    # By name, the files of the repository.
    _repository: MutableMapping[str, bytes]
    # By path, the files of imports.
    _files: MutableMapping[str, bytes]
    # By system, the token of the backup since which changes are known.
    _known: MutableMapping[str, str]
    _backup: cfg.ConfigOpts
    _systems: Callable[[], Any]

    if TYPE_CHECKING:

        def resolve(self, identity: str) -> contract.System: ...

        def _power_state(self, uuid: str) -> str: ...

    def repository(self) -> str:
        if not self._backup.repository:
            raise exceptions.BackupNotConfigured()
        return str(self._backup.repository)

    def check_backup(self, uuid: str, request: BackupRequest) -> None:
        self.resolve(uuid)
        self.repository()

    def back_up(
        self,
        uuid: str,
        request: BackupRequest,
        context: contract.TaskContext,
    ) -> Backup:
        self.check_backup(uuid, request)
        made, files = self._make(uuid, request)
        run = Run(contract.BACKUP, context, self.behaviour, uuid)
        run.step('prepare', BackupJournal(made.dump()))
        try:
            self._repository.update(files)
            run.step('copy')
            run.pass_time()
            run.step('finish')
        except exceptions.HawkFishError:
            self.remove_backup(made)
            raise
        self._known[uuid] = made.token
        return made

    def _make(
        self, uuid: str, request: BackupRequest
    ) -> tuple[Backup, dict[str, bytes]]:
        parent, reason = request.parent, request.reason
        if parent and self._known.get(uuid) != parent.token:
            parent, reason = None, _UNKNOWN
        power_state = self._power_state(uuid)
        quiesce = contract.NOT_NEEDED
        if power_state == contract.ON:
            never = request.quiesce == contract.NEVER
            quiesce = contract.NOT_REQUESTED if never else contract.QUIESCED
        size = _INCREMENTAL_BYTES if parent else _FULL_BYTES
        disk = hashlib.shake_128(request.token.encode()).digest(size)
        begin = _begin(request.token)
        definition = b'<domain type="fake"/>\n'
        found = {
            f'{begin}.xml': (manifest.DOMAIN, definition),
            f'{begin}-vda.raw': (manifest.DISK, disk),
        }
        members = [member_of(name, *what) for name, what in found.items()]
        made = Backup(
            request.token,
            self.repository(),
            parent.token if parent else None,
            reason,
            power_state,
            quiesce,
            members,
            hypervisor={'fake': '1'},
        )
        described = Described(
            self.resolve(uuid), made, request.description, time.time()
        )
        files = {name: data for name, (_, data) in found.items()}
        files[_manifest(made.token)] = backup_manifest.render(described)
        return made, files

    def settle_backup(
        self, uuid: str, context: contract.TaskContext
    ) -> Backup:
        made = Backup.load(context.recall(BackupJournal).made)
        if context.last_step == 'finish':
            self._known[uuid] = made.token
            return made
        self.remove_backup(made)
        raise exceptions.OperationInterrupted(
            contract.BACKUP, 'nothing of it was kept'
        )

    def verify_backup(
        self, chain: Sequence[Backup], context: contract.TaskContext
    ) -> None:
        run = Run(contract.VERIFY_BACKUP, context, self.behaviour, '')
        run.pass_time()
        for backup in chain:
            for one in backup.members:
                self._read(one)

    def _read(self, member: Member) -> bytes:
        data = self._repository.get(member.name)
        if data is None:
            raise exceptions.BackupDamaged(member.name, 'it is gone')
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise exceptions.BackupDamaged(
                member.name, 'its checksum is wrong'
            )
        return data

    def definition_of(self, backup: Backup) -> str:
        for one in backup.members:
            if one.role == manifest.DOMAIN:
                return self._read(one).decode()
        raise exceptions.BackupDamaged(backup.token, 'it has no definition')

    def check_restore(
        self, request: ImportRequest, chain: Sequence[Backup]
    ) -> None:
        if request.pool not in (None, 'default'):
            raise exceptions.PoolNotUsable(request.pool, 'there is none')
        with contextlib.suppress(exceptions.SystemNotFound):
            self.resolve(request.name)
            raise exceptions.SystemExists(request.name)

    def restore_backup(
        self,
        request: ImportRequest,
        chain: Sequence[Backup],
        context: contract.TaskContext,
    ) -> None:
        self.check_restore(request, chain)
        run = Run(contract.RESTORE, context, self.behaviour, request.uuid)
        run.step('prepare')
        try:
            for backup in chain:
                for one in backup.members:
                    self._read(one)
            run.step('define')
            run.pass_time()
            internals.add_fake_system(
                self._systems(),
                request.uuid,
                request.name,
                contract.ON if request.start else contract.OFF,
            )
            run.step('finish')
        except exceptions.HawkFishError:
            internals.remove_fake_system(self._systems(), request.uuid)
            raise

    def settle_restore(
        self, request: ImportRequest, context: contract.TaskContext
    ) -> None:
        if context.last_step == 'finish':
            return
        internals.remove_fake_system(self._systems(), request.uuid)
        raise exceptions.OperationInterrupted(
            contract.RESTORE, 'nothing of it was kept'
        )

    def check_fetch(
        self, chain: Sequence[Backup], files: Mapping[str, str]
    ) -> None:
        self.repository()

    def fetch_backup(
        self,
        chain: Sequence[Backup],
        files: Mapping[str, str],
        context: contract.TaskContext,
    ) -> None:
        run = Run(contract.RESTORE, context, self.behaviour, '')
        try:
            for one in chain[0].members:
                data = self._read(one)
                if one.name in files:
                    self._files[files[one.name]] = data
            run.pass_time()
        except exceptions.HawkFishError:
            for path in files.values():
                self._files.pop(path, None)
            raise

    def stored_backups(self, pool: str) -> Collection[str]:
        found = map(_MANIFEST.fullmatch, list(self._repository))
        return {one[1] for one in found if one}

    def read_manifest(self, pool: str, token: str) -> Described:
        name = _manifest(token)
        try:
            return backup_manifest.read(
                self._repository.get(name, b''),
                token,
                pool,
                _begin(token),
            )
        except backup_manifest.Refused as exc:
            raise exceptions.BackupDamaged(name, str(exc)) from exc

    def remove_backup(self, backup: Backup) -> None:
        self._repository.pop(_manifest(backup.token), None)
        for one in backup.members:
            self._repository.pop(one.name, None)

    def backup_files(self) -> Mapping[str, bytes]:
        """The files of the repository, by name."""
        return dict(self._repository)

    def put_backup_file(self, name: str, data: bytes | None) -> None:
        """Let somebody else have written a file, or removed it."""
        self._repository.pop(name, None)
        if data is not None:
            self._repository[name] = data

    def damage_backup(self, name: str) -> None:
        """Let a file of the repository have lost its end."""
        self._repository[name] = self._repository[name][:-1]


def _begin(token: str) -> str:
    """What the names of the files of a backup begin with."""
    return f'fake-backup-{token}'


def _manifest(token: str) -> str:
    return f'{_begin(token)}.json'
