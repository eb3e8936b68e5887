# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of a system as part of a group."""

import time

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.contract import Meeting
from tests.contract.context import Context
from tests.contract.outcomes import outcome

CREATE = [
    Meeting.FLUSHED,
    Meeting.FROZEN,
    Meeting.PAUSED,
    Meeting.CAPTURED,
]
REVERT = [Meeting.PREPARED, Meeting.LOADED]


class Grouping:
    """Where the others are met, and what becomes of it if they are not."""

    def create_in_group(self, subject, name, context, how=None):
        request = contract.CreateRequest(
            name, consistency=how or contract.CONSISTENT
        )
        return subject.driver.create(subject.uuid, request, context)

    def is_running(self, subject):
        """Whether the system runs, as a snapshot of it shows."""
        subject.create('seen')
        state = subject.tree()['seen'].power_state
        subject.delete('seen')
        return state == contract.ON

    @pytest.mark.parametrize('on', [True, False])
    def test_the_others_are_met_in_one_order(self, subject, on):
        """Whatever the state of the system: the others wait for it."""
        if on:
            subject.switch_on()
        context, back = Context(), Context()
        self.create_in_group(subject, 'a', context)
        subject.revert('a', back)

        assert context.met == CREATE
        assert back.met == REVERT

    def test_a_consistent_create_of_what_runs(self, subject):
        """It shows a system that ran, and says when and for how long."""
        subject.switch_on()
        begin = time.time(), time.monotonic()

        made = self.create_in_group(subject, 'a', Context())

        assert subject.tree()['a'].power_state == contract.ON
        assert begin[0] <= made.capture.time <= time.time()
        assert begin[1] <= made.capture.monotonic <= time.monotonic()
        assert 0 <= made.capture.pause <= time.monotonic() - begin[1]
        assert self.is_running(subject)

    def test_a_consistent_create_of_what_is_off(self, subject):
        """There was nothing to pause."""
        made = self.create_in_group(subject, 'a', Context())

        assert made.capture is None
        assert subject.tree()['a'].power_state == contract.OFF

    def test_disks_only(self, subject):
        """No memory, whatever the configuration says."""
        subject.switch_on()
        request = contract.CreateRequest('a')
        if not subject.driver.check_create(subject.uuid, request).external:
            pytest.skip('an internal snapshot of what runs has memory')

        made = self.create_in_group(
            subject, 'a', Context(), contract.DISKS_ONLY
        )

        assert not subject.tree()['a'].memory
        assert made.capture.pause >= 0

    def test_the_pause_is_forecast(self, subject):
        """Where there will be one."""
        subject.switch_on()
        pauses = [
            subject.driver.check_create(
                subject.uuid, contract.CreateRequest('a', consistency=how)
            ).pause
            for how in (contract.CONSISTENT, contract.LIVE, None)
        ]

        assert pauses[0] >= 0
        assert pauses[1:] == [None, None]

    @pytest.mark.parametrize('point', CREATE[:2])
    def test_a_create_that_misses_the_others(self, subject, point):
        """There is no snapshot, and the system runs on."""
        subject.create('base')
        subject.switch_on()
        before = subject.tree()

        missed = outcome(
            lambda context: self.create_in_group(subject, 'a', context),
            Context(miss=point),
        )

        assert isinstance(missed, exceptions.MeetingMissed)
        assert subject.tree() == before
        assert self.is_running(subject)

    def test_nobody_is_kept_paused_for_others(self, subject):
        """Once it is captured a system runs on, and has its snapshot."""
        subject.switch_on()

        self.create_in_group(subject, 'a', Context(miss=Meeting.CAPTURED))

        assert [*subject.tree()] == ['a']
        assert self.is_running(subject)

    @pytest.mark.parametrize('point', REVERT)
    def test_a_revert_that_misses_the_others(self, subject, point):
        """It has not taken place, or is undone."""
        for name in 'ab':
            subject.create(name)
        before = subject.tree()
        if point == Meeting.LOADED and not before['a'].external:
            pytest.skip('the hypervisor reverts to an internal one by itself')

        missed = outcome(
            lambda context: subject.revert('a', context), Context(miss=point)
        )

        assert isinstance(
            missed, exceptions.MeetingMissed | exceptions.RevertGivenUp
        )
        assert subject.tree() == before
