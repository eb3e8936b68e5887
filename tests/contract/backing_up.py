# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of backups, if it makes any."""

import itertools
import uuid

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import verifying
from hawkfish_plugin.drivers.backups import BacksUp, Backup, BackupRequest
from hawkfish_plugin.drivers.importing import ImportRequest
from tests.contract.context import Context
from tests.contract.interrupting import deaths, settle
from tests.contract.outcomes import outcome

PROOF = verifying.VerifyRequest('1', memory=False, run_seconds=1)
_numbers = itertools.count(1)


def request(parent: Backup | None = None) -> BackupRequest:
    reason = '' if parent else 'it is the first one'
    return BackupRequest(f'{next(_numbers):012x}', parent, reason)


class BackingUp:
    """Backups that are made, verified, restored and removed."""

    @pytest.fixture
    def backing(self, subject):
        if not subject.has_bundles:
            pytest.skip('there are no backups here')
        assert isinstance(subject.driver, BacksUp)
        return subject.driver

    def test_a_backup_stands_on_the_one_before(self, subject, backing):
        """Both are whole, and go one after the other."""
        first = backing.back_up(subject.uuid, request(), Context())
        second = backing.back_up(subject.uuid, request(first), Context())

        assert (first.parent, first.reason) == (None, 'it is the first one')
        assert (second.parent, second.reason) == (first.token, '')
        backing.verify_backup([second, first], Context())
        assert backing.definition_of(second)
        for backup in (second, first):
            for _ in range(2):
                backing.remove_backup(backup)
            with pytest.raises(exceptions.BackupDamaged):
                backing.verify_backup([backup], Context())

    def test_a_backup_is_proved(self, subject, backing):
        """By a clone that is gone then; no system is there that was not."""
        first = backing.back_up(subject.uuid, request(), Context())
        second = backing.back_up(subject.uuid, request(first), Context())
        before = backing.power_states()

        backing.check_prove([second, first], PROOF)
        found = backing.prove_backup([second, first], PROOF, Context())

        assert found.failure is None and not found.memory
        assert found.passed == [verifying.FILES, verifying.RUNNING]
        assert backing.power_states() == before
        backing.verify_backup([second, first], Context())
        for backup in (second, first):
            backing.remove_backup(backup)

    def test_an_interrupted_proof_is_settled(self, subject, backing):
        """At whichever step; what had been found is not lost."""
        backup = backing.back_up(subject.uuid, request(), Context())

        for context in deaths(
            lambda c: backing.prove_backup([backup], PROOF, c)
        ):
            if not context.last_step:
                continue
            end = settle(backing.settle_prove, context)
            if context.last_step == 'finish':
                assert end.failure is None and len(end.checks) == 2
            else:
                assert isinstance(end, exceptions.OperationInterrupted)
                assert end.args[0] == 'verify-backup'
        backing.remove_backup(backup)

    def test_a_backup_after_a_revert_is_full(self, subject, backing):
        """As what has changed since the last one is not known."""
        subject.create('a')
        first = backing.back_up(subject.uuid, request(), Context())
        subject.revert('a')

        second = backing.back_up(subject.uuid, request(first), Context())

        assert second.parent is None
        assert second.reason
        for backup in (second, first):
            backing.remove_backup(backup)

    def test_a_cancelled_backup_leaves_nothing(self, subject, backing):
        """It says so by its name."""
        error = outcome(
            lambda c: backing.back_up(subject.uuid, request(), c),
            Context(cancelled=True),
        )

        # One that is so quick that it cannot be cancelled is whole.
        if isinstance(error, Backup):
            backing.remove_backup(error)
        else:
            assert isinstance(error, exceptions.OperationCancelled)
            assert error.args == ('backup',)

    def test_an_interrupted_backup_is_settled(self, subject, backing):
        """At whichever step: it is whole, or nothing of it is there."""
        parent = backing.back_up(subject.uuid, request(), Context())
        made = [parent]

        def back_up(context):
            found = backing.back_up(subject.uuid, request(made[-1]), context)
            made.append(found)

        for context in deaths(back_up):
            if not context.last_step:
                continue
            end = settle(
                lambda c: backing.settle_backup(subject.uuid, c), context
            )
            if isinstance(end, exceptions.OperationInterrupted):
                assert end.args[0] == 'backup'
            else:
                made.append(end)

        # What failed has not cost the others what is known of changes.
        assert [one.parent for one in made[1:]] == [
            one.token for one in made[:-1]
        ]
        backing.verify_backup(made[::-1], Context())
        for backup in reversed(made):
            backing.remove_backup(backup)

    def test_an_interrupted_restore_is_settled(self, subject, backing):
        """At whichever step: the system is there, or nothing of it."""
        backup = backing.back_up(subject.uuid, request(), Context())
        before = set(backing.power_states())
        requests = []

        def restore(context):
            requests.append(
                ImportRequest(
                    str(uuid.uuid4()),
                    f'imported-{next(_numbers)}',
                    backing.definition_of(backup),
                )
            )
            backing.check_restore(requests[-1], [backup])
            backing.restore_backup(requests[-1], [backup], context)

        for context in deaths(restore):
            if not context.last_step:
                continue
            end = settle(
                lambda c: backing.settle_restore(requests[-1], c), context
            )
            there = {system.uuid for system in backing.power_states()}
            if isinstance(end, exceptions.OperationInterrupted):
                assert end.args[0] == 'restore'
                assert requests[-1].uuid not in there
            else:
                assert requests[-1].uuid in there
                subject.undefine(requests[-1].uuid)

        subject.undefine(requests[-1].uuid)
        assert set(backing.power_states()) == before
        backing.remove_backup(backup)
