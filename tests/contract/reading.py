# SPDX-License-Identifier: Apache-2.0
"""What every driver promises of its systems, and of their snapshots."""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from tests.contract.context import Context

NOWHERE = '00000000-0000-4000-8000-000000000000'
ODD_NAMES = ['it\'s <b> & "c"', 'ünïcode ✓', '-rf *', 'a' * 128]


class Reading:
    """Systems, lists and what is not there."""

    def test_a_system_is_found_by_uuid_and_name(self, subject):
        """Both lead to the same system, which has both."""
        uuid, name = subject.system.uuid, subject.system.name

        assert subject.driver.resolve(uuid) == subject.system
        assert subject.driver.resolve(name) == subject.system
        assert uuid and name and uuid != name

    @pytest.mark.parametrize(
        'identity', [NOWHERE, 'no-such-system', '', "x'y", 'ü', '../fake']
    )
    def test_an_unknown_system(self, subject, identity):
        """What is neither a UUID nor a name is SystemNotFound."""
        with pytest.raises(exceptions.SystemNotFound):
            subject.driver.resolve(identity)

    def test_every_question_about_an_unknown_system(self, subject):
        """Whatever is asked of a system that is not there says so."""
        driver, context = subject.driver, Context()
        wanted = contract.CreateRequest('a')
        back = contract.RevertRequest('a')
        for call, *args in (
            (driver.snapshots,),
            (driver.names,),
            (driver.exists, 'a'),
            (driver.inventory,),
            (driver.capabilities,),
            (driver.describe, 'a', 'x'),
            (driver.check_create, wanted),
            (driver.check_revert, back),
            (driver.check_delete, 'a'),
            (driver.create, wanted, context),
            (driver.revert, back, context),
            (driver.delete, 'a', context),
        ):
            with pytest.raises(exceptions.SystemNotFound):
                call(NOWHERE, *args)
        assert context.steps == []

    def test_systems_with_snapshots(self, subject):
        """A system is listed for as long as it has snapshots."""
        driver = subject.driver
        assert subject.system not in driver.systems()

        subject.create('a')
        assert list(driver.systems()).count(subject.system) == 1

        subject.delete('a')
        assert subject.system not in driver.systems()

    def test_power_states(self, subject):
        """Every system is listed, with snapshots or without."""
        assert subject.driver.power_states()[subject.system] == contract.OFF

        subject.switch_on()

        assert subject.driver.power_states()[subject.system] == contract.ON

    def test_a_driver_has_a_target(self, subject):
        """Something tells its hypervisor from every other one."""
        assert isinstance(subject.driver.target, str)
        assert subject.driver.target

    def test_a_decision_sees_what_it_has_changed(self, subject):
        """One look does for a decision, but none of before a change."""
        driver, full = subject.driver, contract.Freshness.FULL

        def seen():
            found = driver.inventory(subject.uuid, full)
            return [s.name for s in found.snapshots], {*found.sizes}

        with driver.at_one_time():
            assert seen() == ([], set())
            subject.create('a')
            external = {'a', 'b'} if subject.tree()['a'].external else set()
            assert seen() == (['a'], external & {'a'})
            with driver.at_one_time():
                subject.create('b')
                assert seen() == (['a', 'b'], external)
            subject.delete('a')
            assert seen() == (['b'], external & {'b'})

    def test_a_task_sees_what_was_changed_since_its_request(self, subject):
        """What its request has seen is not all that it goes by."""
        driver, uuid = subject.driver, subject.uuid
        with driver.at_one_time(uuid):
            assert driver.inventory(uuid).snapshots == []
        subject.create('a')

        with driver.carrying_out(uuid):
            found = driver.inventory(uuid, contract.Freshness.LISTED)
            assert [s.name for s in found.snapshots] == ['a']

    def test_all_lists_agree(self, subject):
        """Snapshots, names and inventory hold the same, oldest first."""
        driver, uuid = subject.driver, subject.uuid
        self.check_lists(subject, [])
        for count, name in enumerate('cab', 1):
            subject.create(name)
            self.check_lists(subject, ['c', 'a', 'b'][:count])

        subject.delete('a')

        self.check_lists(subject, ['c', 'b'])
        made = [s.created for s in driver.snapshots(uuid)]
        assert made == sorted(made)

    def check_lists(self, subject, names):
        driver, uuid = subject.driver, subject.uuid
        found = list(driver.snapshots(uuid))
        assert [s.name for s in found] == names
        assert list(driver.names(uuid)) == names
        for freshness in contract.Freshness:
            inventory = driver.inventory(uuid, freshness)
            assert list(inventory.snapshots) == found
            external = {s.name for s in found if s.external}
            assert inventory.sizes.keys() <= external
            assert inventory.dependents.keys() <= {*names}
        for name in ('a', 'b', 'c', 'd', ''):
            assert driver.exists(uuid, name) is (name in names)

    def test_sizes_are_bytes(self, subject):
        """No size is negative, and each is of a snapshot that is there."""
        for name in 'ab':
            subject.create(name)

        sizes = subject.driver.inventory(subject.uuid).sizes

        for size in sizes.values():
            assert size.own >= 0
            assert size.disks >= 0
            assert isinstance(size.removable, bool)

    def test_describe(self, subject):
        """The description is another one, and nothing else is."""
        for name in 'ab':
            subject.create(name, description='old')
        before = subject.tree()

        subject.driver.describe(subject.uuid, 'a', 'new\n<&> ü')

        after = subject.tree()
        assert after.pop('a').description == 'new\n<&> ü'
        assert after == {'b': before['b']}

    def test_an_unknown_snapshot(self, subject):
        """Whatever is asked of one that is not there says so."""
        subject.create('a')
        before, context = subject.tree(), Context()
        driver, uuid = subject.driver, subject.uuid
        for name in ('b', 'A', '', *ODD_NAMES):
            for call, *args in (
                (driver.describe, name, 'x'),
                (driver.check_revert, contract.RevertRequest(name)),
                (driver.check_delete, name),
                (driver.revert, contract.RevertRequest(name), context),
                (driver.delete, name, context),
            ):
                with pytest.raises(exceptions.SnapshotNotFound):
                    call(uuid, *args)
            assert driver.exists(uuid, name) is False
        assert (subject.tree(), context.steps) == (before, [])
