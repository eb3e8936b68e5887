# SPDX-License-Identifier: Apache-2.0
"""The lab's guests that begin in the memory of another one."""

import time

from tests.waiting import patience


def test_a_guest_that_goes_on_is_one_of_its_own(make_system):
    """Under its own name, on its own disks, in the present, with its agent."""
    # The second of a kind is saved, the third begins there.
    systems = [make_system().boot() for _ in range(3)]

    for system in systems:
        system.write(system.name)
    for system in systems:
        assert system.read() == {system.name}
        assert system.domain.UUIDString() == system.uuid
        assert system.guest.agent('guest-fsfreeze-status') == 'thawed'
        behind = time.time() - int(system.guest.run('date +%s'))
        assert abs(behind) < patience(2)


def test_a_system_that_somebody_has_changed_boots_by_itself(make_system):
    """What is on its disks by then is there."""
    make_system().boot()
    make_system().boot()
    system = make_system().boot()
    system.write('kept')
    system.domain.destroy()

    assert system.boot().read() == {'kept'}
