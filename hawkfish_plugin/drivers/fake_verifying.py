# SPDX-License-Identifier: Apache-2.0
"""
Verifications of the fake driver.

A fake system has nothing that could fail: each check passes, unless the
driver was told to fail, and the picture is one grey pixel.
"""

import base64
import dataclasses
import secrets
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract, verifying
from hawkfish_plugin.drivers.backups import Backup
from hawkfish_plugin.drivers.behaviour import Behaviour, Run
from hawkfish_plugin.drivers.verifying import Checked, Verified, VerifyRequest
from hawkfish_plugin.records import Record

_PIXEL = base64.b64decode(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCB'
    'd81ytgAAAABJRU5ErkJggg=='
)
_TOLD = 'the fake driver was told to fail'


@dataclasses.dataclass(frozen=True)
class VerifyJournal(Record):
    """The *folder* of a clone, and what was *found*, as JSON has it."""

    folder: str = ''
    found: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class FakeVerifying:
    """
    See ``verifying.Verifies``, and the proof of ``backups.BacksUp``.

    A part of the fake driver.
    """

    behaviour: Behaviour
    # The folders of the clones that there are.
    _clones: MutableMapping[str, bool]

    if TYPE_CHECKING:

        def snapshots(self, uuid: str) -> Sequence[contract.Snapshot]: ...

        def definition_of(self, backup: Backup) -> str: ...

    def check_verify(self, uuid: str, request: VerifyRequest) -> None:
        self._memory(uuid, request)

    def _memory(self, uuid: str, request: VerifyRequest) -> bool:
        for snapshot in self.snapshots(uuid):
            if snapshot.name == request.name:
                return snapshot.memory and request.memory
        raise exceptions.SnapshotNotFound(request.name)

    def verify(
        self, uuid: str, request: VerifyRequest, context: contract.TaskContext
    ) -> Verified:
        memory = self._memory(uuid, request)
        run = Run(contract.VERIFY, context, self.behaviour, uuid)
        return self._prove(run, request, memory)

    def _prove(
        self, run: Run, request: VerifyRequest, memory: bool
    ) -> Verified:
        folder = f'/fake/hawkfish-{secrets.token_hex(6)}.verify'
        run.step('prepare', VerifyJournal(folder))
        self._clones[folder] = True
        try:
            run.step('start')
            checks = self._check(run, request)
            picture = _PIXEL if request.screenshot else None
            found = Verified(checks, memory, screenshot=picture)
            run.step('finish', VerifyJournal(folder, found.dump()))
        finally:
            self._clones.pop(folder, None)
        return found

    def _check(self, run: Run, request: VerifyRequest) -> list[Checked]:
        names = [verifying.FILES, *request.checks]
        try:
            run.step('check')
        except exceptions.OperationFailed:
            # Where a real one would find that the guest does not run.
            failed = Checked(verifying.RUNNING, verifying.FAILED, 0.0, _TOLD)
            first = Checked(verifying.FILES, verifying.PASSED)
            rest = [Checked(n, verifying.NOT_RUN) for n in names[2:]]
            return [first, failed, *rest]
        run.pass_time()
        return [Checked(name, verifying.PASSED) for name in names]

    def settle_verify(
        self, uuid: str, request: VerifyRequest, context: contract.TaskContext
    ) -> Verified:
        return self._settle_proof(contract.VERIFY, context)

    def _settle_proof(
        self, operation: str, context: contract.TaskContext
    ) -> Verified:
        journal = context.recall(VerifyJournal)
        self._clones.pop(journal.folder, None)
        if context.last_step == 'finish':
            return Verified.load(journal.found)
        raise exceptions.OperationInterrupted(
            operation, 'nothing of it was kept'
        )

    def check_prove(
        self, chain: Sequence[Backup], request: VerifyRequest
    ) -> None:
        self.definition_of(chain[0])

    def prove_backup(
        self,
        chain: Sequence[Backup],
        request: VerifyRequest,
        context: contract.TaskContext,
    ) -> Verified:
        self.check_prove(chain, request)
        run = Run(contract.VERIFY_BACKUP, context, self.behaviour, '')
        return self._prove(run, request, memory=False)

    def settle_prove(self, context: contract.TaskContext) -> Verified:
        return self._settle_proof(contract.VERIFY_BACKUP, context)

    def remove_clone(self, journal: Mapping[str, Any]) -> None:
        self._clones.pop(VerifyJournal.load(journal).folder, None)

    def clones(self) -> Sequence[str]:
        """The folders of the clones that there are."""
        return list(self._clones)
