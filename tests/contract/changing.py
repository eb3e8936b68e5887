# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of create, revert and delete."""

import dataclasses
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from tests.contract.context import Context
from tests.contract.outcomes import refusal, told
from tests.contract.reading import ODD_NAMES
from tests.unit import trees


def without(
    left: Sequence[contract.Snapshot], gone: contract.Snapshot
) -> Sequence[contract.Snapshot]:
    """The tree *left* as it is when *gone* has been deleted."""
    return [
        dataclasses.replace(
            s,
            parent=gone.parent if s.parent == gone.name else s.parent,
            current=s.current or (gone.current and s.name == gone.parent),
        )
        for s in left
        if s.name != gone.name
    ]


class Creating:
    """What is made, and what is said of it before."""

    def test_create(self, subject):
        """What was asked for is there, and what is returned is true of it."""
        begin = int(time.time())

        made = subject.create('a', description='as <it> was')

        (found,) = subject.tree().values()
        assert (found.name, found.description) == ('a', 'as <it> was')
        assert begin <= found.created <= time.time()
        assert made.created == found.created
        assert found.power_state == contract.OFF
        assert (found.memory, made.memory_size) == (False, None)
        assert (found.parent, found.current) == (None, True)
        assert found.damaged is False
        assert made.quiesce == contract.Quiesce(contract.NOT_NEEDED)

    def test_a_snapshot_grows_from_the_current_one(self, subject):
        """The new one is current, and a child of the one that was."""
        for name in 'abc':
            subject.create(name)

        parents = {s.name: s.parent for s in subject.tree().values()}
        assert parents == {'a': None, 'b': 'a', 'c': 'b'}
        assert subject.current == 'c'

    def test_create_changes_no_other_snapshot(self, subject):
        """The others are as they were, but for which one is current."""
        subject.create('a', description='old')
        before = subject.tree()['a']

        subject.create('b')

        after = subject.tree()['a']
        assert before.current and not after.current
        assert (after.created, after.description) == (before.created, 'old')

    def test_a_name_is_taken_once(self, subject):
        """A second snapshot of a name is refused before its first step."""
        subject.create('a', description='first')
        before, context = subject.tree(), Context()

        with pytest.raises(exceptions.SnapshotExists):
            subject.create('a', description='second', context=context)

        assert (subject.tree(), context.steps) == (before, [])

    @pytest.mark.parametrize('name', ODD_NAMES)
    def test_odd_names(self, subject, name):
        """A name that is allowed can be created, found, used and deleted."""
        subject.create(name, description=name)
        assert subject.tree()[name].description == name
        assert subject.driver.exists(subject.uuid, name)
        assert not subject.driver.exists(subject.uuid, f'{name}x')

        subject.driver.describe(subject.uuid, name, f'new {name}')
        assert subject.tree()[name].description == f'new {name}'
        subject.driver.check_delete(subject.uuid, name)
        subject.delete(name)

        assert subject.tree() == {}

    def test_the_forecast_is_of_what_is_made(self, subject):
        """Where it says what will be made, that is made."""
        for name, memory in (('a', None), ('b', False), ('c', True)):
            request = contract.CreateRequest(name, memory=memory)
            seen = subject.driver.check_create(subject.uuid, request)

            subject.create(name, memory=memory)

            made = subject.tree()[name]
            assert (seen.external, seen.memory) == (made.external, made.memory)
            assert seen.size.own >= 0 and seen.size.disks >= 0
            assert subject.abilities.space or not seen.needs
            for folder, needed, available in seen.needs:
                assert folder
                assert 0 <= needed <= available

    def test_memory(self, subject):
        """A running system's memory is captured, and goes on in a revert."""
        subject.switch_on()
        seen = subject.driver.capabilities(subject.uuid)
        if not (subject.abilities.memory and seen.memory):
            pytest.skip('this system has snapshots of its disks alone')

        made = subject.create('a', memory=True)

        found = subject.tree()['a']
        assert (found.memory, found.power_state) == (True, contract.ON)
        assert made.memory_size is None or made.memory_size > 0
        subject.revert('a')
        assert subject.tree()['a'] == found

    def test_a_create_that_is_obstructed(self, subject):
        """Check, create and capabilities give the same reason."""
        subject.create('a')
        before, context = subject.tree(), Context()
        request = contract.CreateRequest('b')
        with subject.obstructed():
            checked = refusal(
                subject.driver.check_create, subject.uuid, request
            )
            tried = refusal(
                subject.driver.create, subject.uuid, request, context
            )
            found = subject.driver.capabilities(subject.uuid).findings

        assert told(checked) == told(tried)
        assert told(checked) == told(*found)
        assert (subject.tree(), context.steps) == (before, [])
        assert subject.driver.capabilities(subject.uuid).findings == ()

    def test_capabilities_are_within_the_abilities(self, subject):
        """A system can have nothing that its hypervisor cannot do."""
        can = subject.abilities
        seen = subject.driver.capabilities(subject.uuid)

        assert seen.version
        assert can.memory or not seen.memory
        assert can.quiesce or not seen.quiesce
        assert seen.storage in ('External', 'Internal')
        assert seen.external or seen.internal
        subject.create('a')
        external = subject.tree()['a'].external
        assert external == (seen.storage == 'External')
        assert seen.external if external else seen.internal


class Moving:
    """Revert and delete: where the system stands, and what is left."""

    def test_revert(self, subject):
        """The system stands on the snapshot; all of them stay as they are."""
        for name in 'abc':
            subject.create(name)
        before = subject.tree()
        forecast = subject.driver.check_revert(
            subject.uuid, subject.back_to('a')
        )
        assert (forecast.power_state, forecast.memory) == (contract.OFF, False)
        assert list(forecast.warnings) == []
        for folder, needed, available in forecast.needs:
            assert folder
            assert 0 <= needed <= available

        subject.revert('a')

        assert subject.current == 'a'
        assert [s.name for s in subject.tree().values()] == ['a', 'b', 'c']
        subject.revert('c')
        assert subject.tree() == before

    def test_a_branch(self, subject):
        """What is made after a revert grows beside what was there."""
        if not subject.abilities.tree:
            pytest.skip('the snapshots of this hypervisor are a line')
        subject.fork()

        parents = {s.name: s.parent for s in subject.tree().values()}
        assert parents == {'root': None, 'left': 'root', 'right': 'root'}
        assert subject.current == 'right'

    def test_delete_the_current_one(self, subject):
        """The system then stands on the parent."""
        for name in 'ab':
            subject.create(name)

        subject.delete('b')

        assert [*subject.tree()] == ['a']
        assert subject.current == 'a'
        subject.delete('a')
        assert subject.tree() == {}

    @pytest.mark.parametrize('name', ['a', 'b'])
    def test_delete_one_that_others_grow_from(self, subject, name):
        """Its child grows from its parent; the system stands where it did."""
        for each in 'abc':
            subject.create(each)
        if not subject.abilities.merge:
            refused = refusal(subject.delete, name)
            assert isinstance(refused, exceptions.SnapshotReferenced)
            return

        subject.delete(name)

        left = [each for each in 'abc' if each != name]
        found = subject.tree()
        assert [*found] == left
        assert found[left[0]].parent is None
        assert found[left[1]].parent == left[0]
        assert subject.current == 'c'

    def test_what_is_noted_of_a_delete(self, subject):
        """That it is merging was noted before the snapshot went."""
        subject.create('a')
        context = Context()

        subject.delete('a', context)

        assert context.recall(contract.DeleteJournal).merging is True

    def test_delete_refuses_what_the_referrers_say(self, subject):
        """Exactly what others keep is refused, by check and by delete."""
        subject.fork()
        keeps = subject.driver.referrers([*subject.tree().values()])
        before = subject.tree()
        for name in before:
            context = Context()
            if name not in keeps:
                subject.driver.check_delete(subject.uuid, name)
                continue
            checked = refusal(subject.driver.check_delete, subject.uuid, name)
            tried = refusal(subject.delete, name, context)
            assert isinstance(checked, exceptions.SnapshotReferenced)
            assert told(checked) == told(tried)
            assert context.steps == []
        assert subject.tree() == before

        while found := subject.tree():
            keeps = subject.driver.referrers([*found.values()])
            subject.delete(next(name for name in found if name not in keeps))

    def test_some_snapshot_can_be_deleted(self, subject):
        """Of whatever tree, one after the other can go until all are gone."""

        @settings(max_examples=100, deadline=None)
        @given(trees.histories(8))
        def holds(history):
            left = trees.play(history)
            while left:
                asked, names = list(left), {s.name for s in left}
                keeps = subject.driver.referrers(left)
                assert left == asked
                assert subject.driver.referrers(left) == keeps
                assert keeps.keys() < names
                for name, others in keeps.items():
                    assert others
                    assert {*others} <= names - {name}
                left = without(
                    left, next(s for s in left if s.name not in keeps)
                )

        holds()

    def test_no_snapshots_keep_nothing(self, subject):
        """Where there are none, none is kept."""
        assert dict(subject.driver.referrers([])) == {}
