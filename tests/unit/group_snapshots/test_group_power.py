# SPDX-License-Identifier: Apache-2.0
"""The power states of the systems of a group after a revert."""

from tests.unit.conftest import NODES
from tests.unit.group_snapshots.labs import TRIO


def powers(lab):
    return {
        lab.emulator.driver.power_states()[system]
        for system in lab.emulator.driver.power_states()
        if system.name in TRIO
    }


def test_the_power_state_after_a_revert_can_be_chosen(lab):
    """As that of one system, and when the task has ended, it is so."""
    lab.made(Name='a')

    lab.reverted('a', TargetPowerState='On')
    assert powers(lab) == {'On'}

    lab.reverted('a', TargetPowerState='Off')
    assert powers(lab) == {'Off'}


def test_a_reset_from_before_a_revert_comes_to_nothing(lab):
    """The emulator's own fake driver takes seconds for one."""
    lab.made(Name='a')
    systems = lab.emulator.app.systems
    for name in TRIO:
        systems.set_power_state(NODES[name], 'On')

    lab.reverted('a', TargetPowerState='Off')

    assert powers(lab) == {'Off'}
    for name in TRIO:
        assert systems._systems[NODES[name]]['pending_power'] is None
