# SPDX-License-Identifier: Apache-2.0
"""What is promised of systems that somebody else has made unsafe."""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract, sharing
from tests.contract.context import Context
from tests.contract.outcomes import refusal, told


class Mending:
    """Unsafe systems: what is refused, and how they become safe again."""

    @pytest.fixture
    def unsafe(self, subject):
        """A system that is off, with the definition of before a snapshot."""
        if not isinstance(subject.driver, sharing.FindsUnsafe):
            pytest.skip('no system of this driver can be unsafe')
        subject.outdate()
        return subject

    def test_a_safe_system(self, subject):
        """Nothing is found, a start is let through, a repair is empty."""
        if not isinstance(subject.driver, sharing.FindsUnsafe):
            pytest.skip('no system of this driver can be unsafe')
        for _ in range(2):
            assert list(subject.driver.violations(subject.uuid)) == []
            subject.driver.check_start(subject.uuid)
            assert list(subject.driver.plan_repair(subject.uuid)) == []
            subject.driver.repair(subject.uuid)
            subject.create('a')
            subject.revert('a')
            subject.delete('a')

    def test_what_is_refused(self, unsafe):
        """Create and delete say all that is wrong, a start the first of it."""
        driver, uuid, context = unsafe.driver, unsafe.uuid, Context()
        before, request = unsafe.tree(), contract.CreateRequest('new')

        found = driver.violations(uuid)

        assert found
        assert all(isinstance(each, exceptions.Unsafe) for each in found)
        for call, *args in (
            (driver.check_create, request),
            (driver.create, request, context),
            (driver.check_delete, unsafe.current),
            (driver.delete, unsafe.current, context),
        ):
            assert told(refusal(call, uuid, *args)) == told(*found)
        started = refusal(driver.check_start, uuid)
        assert told(started)[0] in told(*found)
        findings = driver.capabilities(uuid).findings
        assert {*map(str, told(*found))} <= {*map(str, told(*findings))}
        assert (unsafe.tree(), context.steps) == (before, [])

    def test_a_repair(self, unsafe):
        """It is what was planned, makes the system safe, and can be again."""
        driver, uuid = unsafe.driver, unsafe.uuid
        before = unsafe.tree()
        planned = driver.plan_repair(uuid)
        assert planned
        assert all(one.before != one.after for one in planned)
        assert driver.plan_repair(uuid) == planned
        assert driver.violations(uuid)

        for _ in range(2):
            driver.repair(uuid)

        assert list(driver.plan_repair(uuid)) == []
        assert list(driver.violations(uuid)) == []
        driver.check_start(uuid)
        assert unsafe.tree() == before
        unsafe.create('new')

    def test_a_revert_mends(self, unsafe):
        """A system that is off needs no repair before a revert."""
        unsafe.driver.check_revert(unsafe.uuid, unsafe.back_to(unsafe.current))

        unsafe.revert(unsafe.current)

        assert list(unsafe.driver.violations(unsafe.uuid)) == []
        unsafe.driver.check_start(unsafe.uuid)
