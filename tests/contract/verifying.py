# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of verifications, if it makes any."""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import verifying
from hawkfish_plugin.drivers.verifying import (
    Verified,
    Verifies,
    VerifyRequest,
)
from tests.contract.context import Context
from tests.contract.interrupting import deaths, settle
from tests.contract.outcomes import outcome

REQUEST = VerifyRequest('a', run_seconds=1)


class Verifying:
    """Snapshots that are brought up, looked at, and thrown away."""

    @pytest.fixture(autouse=True)
    def _verifies(self, request):
        # Also a driver of releases that have no external snapshots.
        needs = 'verified' in request.node.name
        if needs and not request.getfixturevalue('subject').has_bundles:
            pytest.skip('there are no clones here')

    def test_a_snapshot_is_verified(self, subject):
        """It is as it was, and no system is there that was not."""
        driver = subject.driver
        assert isinstance(driver, Verifies)
        subject.create('a')
        before = driver.snapshots(subject.uuid), driver.power_states()

        driver.check_verify(subject.uuid, REQUEST)
        found = driver.verify(subject.uuid, REQUEST, Context())

        assert found.failure is None
        assert [(one.check, one.result) for one in found.checks] == [
            (verifying.FILES, verifying.PASSED),
            (verifying.RUNNING, verifying.PASSED),
        ]
        now = driver.snapshots(subject.uuid), driver.power_states()
        assert now == before

    def test_no_snapshot_cannot_be_verified(self, subject):
        """It is refused, before and in the operation."""
        request = VerifyRequest('nothing')

        for call in (
            lambda: subject.driver.check_verify(subject.uuid, request),
            lambda: subject.driver.verify(subject.uuid, request, Context()),
        ):
            with pytest.raises(exceptions.SnapshotNotFound):
                call()

    def test_a_cancelled_one_is_not_verified(self, subject):
        """It says so by its name."""
        subject.create('a')

        end = outcome(
            lambda c: subject.driver.verify(subject.uuid, REQUEST, c),
            Context(cancelled=True),
        )

        # One that is so quick that it cannot be cancelled is whole.
        if not isinstance(end, Verified):
            assert isinstance(end, exceptions.OperationCancelled)
            assert end.args == ('verify',)

    def test_an_interrupted_one_is_verified_or_not(self, subject):
        """At whichever step; what had been found is not lost."""
        subject.create('a')
        driver = subject.driver

        for context in deaths(
            lambda c: driver.verify(subject.uuid, REQUEST, c)
        ):
            if not context.last_step:
                continue
            end = settle(
                lambda c: driver.settle_verify(subject.uuid, REQUEST, c),
                context,
            )
            if context.last_step == 'finish':
                assert end.failure is None and len(end.checks) == 2
            else:
                assert isinstance(end, exceptions.OperationInterrupted)
                assert end.args[0] == 'verify'
