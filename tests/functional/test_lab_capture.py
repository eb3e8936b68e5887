# SPDX-License-Identifier: Apache-2.0
"""
Several systems in one pause: who is not in it, and who dies in it.

What dies does so in a process of ``groups``; booted guests are in
``test_lab_guests``.
"""

import os
import signal

import libvirt
import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.contract import Meeting
from hawkfish_plugin.tasks.task import COMPLETED
from tests.contract.context import Context
from tests.functional.conftest import SMALL
from tests.functional.groups import Groups
from tests.functional.labs import Events, Lab, is_near
from tests.waiting import patience, wait_for

RUNNING, PAUSED = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED

pytestmark = pytest.mark.once


@pytest.fixture
def make_lab(driver, make_system, external):
    if not external:
        pytest.skip('the systems of a group have external snapshots')

    def make(count=3, **fields):
        systems = [make_system(**fields) for _ in range(count)]
        for system in systems:
            system.domain.create()
        return Lab(driver, systems)

    return make


@pytest.fixture
def small(make_lab):
    """Three systems that cost nearly nothing."""
    return make_lab(**SMALL)


def test_all_are_resumed_together_by_a_revert(small, host):
    """As QEMU tells."""
    small.create('s')
    events = Events(host, small.systems)

    small.revert('s')

    assert is_near(events.spread('RESUME', 3))


def test_a_snapshot_of_a_lab_is_reverted_alone(small):
    """It does not stay paused, by our revert or by libvirt's."""
    small.create('s')
    system = small.systems[0]
    alone = contract.RevertRequest('s', created_here=True)

    small.driver.revert(system.uuid, alone, Context())
    ours = system.domain.state()[0]
    system.domain.revertToSnapshot(system.domain.snapshotLookupByName('s'))

    assert [ours, *small.states()] == 4 * [RUNNING]


def test_who_does_not_run_stays_as_it_is(small):
    """Paused by its owner, or off; and its snapshot says so."""
    paused, off = small.systems[1:]
    paused.domain.suspend()
    off.domain.destroy()

    running, *others = [made.capture for made in small.create('s')]

    assert running.pause > 0
    assert others == [None, None]
    assert small.states()[:2] == [RUNNING, PAUSED]
    assert not off.domain.isActive()
    states = [
        small.driver.snapshots(system.uuid)[0].power_state
        for system in small.systems
    ]
    assert states == [contract.ON, contract.PAUSED, contract.OFF]


@pytest.mark.parametrize('point', [Meeting.FLUSHED, Meeting.PAUSED])
def test_one_whose_qemu_dies_lets_all_others_go(small, host, point):
    """They run on, and leave nothing behind where nothing was captured."""
    victim = host.qemu_pid(small.systems[0].name)

    def kill(passed):
        if passed == point:
            os.kill(victim, signal.SIGKILL)

    small.then = {0: kill}
    ends = small.create('s')

    # On a busy machine it may be captured before it dies.
    assert isinstance(ends[0], exceptions.HawkFishError) or (
        point == Meeting.PAUSED
    )
    assert small.states()[1:] == 2 * [RUNNING]
    for end, names in zip(ends, small.snapshots(), strict=True):
        is_made = isinstance(end, contract.Created)
        assert names == (['s'] if is_made else [])
    assert small.orphans() == []


def test_one_that_is_not_flushed_keeps_all_from_the_pause(small):
    """Nobody is suspended, and there is no snapshot at all."""
    failing = small.systems[2]
    small.driver.create(failing.uuid, contract.CreateRequest('s'), Context())

    ends = small.create('s')

    assert [type(end) for end in ends] == [
        exceptions.MeetingMissed,
        exceptions.MeetingMissed,
        exceptions.SnapshotExists,
    ]
    assert small.states() == 3 * [RUNNING]
    assert small.snapshots() == [[], [], ['s']]
    assert small.orphans() == []


def test_one_that_cannot_be_reverted_stops_nobody(small):
    """The others run on, in the process that they ran in."""
    small.create('s')
    ids = [system.domain.ID() for system in small.systems]
    small.driver.delete(small.systems[2].uuid, 's', Context())

    ends = small.revert('s')

    assert isinstance(ends[2], exceptions.SnapshotNotFound)
    assert [type(end) for end in ends[:2]] == 2 * [exceptions.MeetingMissed]
    assert [system.domain.ID() for system in small.systems] == ids
    assert small.orphans() == []


# Who dies, and how long after which meeting of all.
MOMENTS = [
    (operation, point, seconds)
    for operation, point, seconds in (
        ('create', Meeting.FLUSHED, 0.0),
        ('create', Meeting.FLUSHED, 0.002),
        ('create', Meeting.PAUSED, 0.0),
        ('create', Meeting.PAUSED, 0.05),
        ('create', Meeting.PAUSED, 0.15),
        ('create', Meeting.CAPTURED, 0.0),
        ('revert', Meeting.PREPARED, 0.0),
        ('revert', Meeting.PREPARED, 0.2),
        ('revert', Meeting.LOADED, 0.0),
    )
]


@pytest.fixture
def groups(folder, host):
    made = Groups(folder, host.uri)
    yield made
    made.stop()


@pytest.mark.parametrize('victim', ['emulator', 'libvirtd', 'qemu'])
@pytest.mark.parametrize('operation, point, seconds', MOMENTS)
def test_killed(small, host, groups, victim, operation, point, seconds):
    """
    Whatever dies at whichever moment, nobody is left suspended.

    Nor is there half a snapshot, or a file that belongs to nothing.
    """
    if operation == 'revert':
        small.create('s')
    groups.start()
    pid = {
        'emulator': 0,
        'libvirtd': host.daemon_pid(),
        'qemu': host.qemu_pid(small.systems[1].name),
    }[victim]
    groups.kill(point, seconds, pid)

    task = groups.submit(
        f'group-{operation}', small.systems, 's', contract.CONSISTENT
    )
    if victim == 'emulator':
        groups.process.wait(patience(60))
        groups.start()
    elif victim == 'libvirtd':
        wait_for(lambda: not host.daemon_pid())
        host.start_daemon()
    parts = groups.wait(task)

    states = small.states()
    assert PAUSED not in states
    others = [s for n, s in enumerate(states) if n != 1 or victim != 'qemu']
    assert set(others) == {RUNNING}
    for part, names in zip(parts, small.snapshots(), strict=True):
        if operation == 'create':
            assert names == (['s'] if part.state == COMPLETED else [])
    assert small.orphans() == []
