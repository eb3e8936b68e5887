# SPDX-License-Identifier: Apache-2.0
"""
Several real guests, captured in one pause and resumed as one.

The driver is asked as by the sub-tasks of one task, each in a thread; what
dies on the way, in a process of ``groups``.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import signal
import threading

import libvirt
import libvirt_qemu
import pytest

from hawkfish_plugin import conf, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.contract import Meeting
from hawkfish_plugin.drivers.libvirt import LibvirtDriver
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from hawkfish_plugin.tasks.task import COMPLETED
from tests.contract.context import Context
from tests.functional.conftest import SMALL
from tests.functional.groups import Groups
from tests.lab.shell import CommandError
from tests.waiting import patience, wait_for

PATIENCE = 120.0
RUNNING, PAUSED = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED
MIB = 2**20
# Of an idle machine; see tests.waiting.
SKEW_SECONDS = 0.010
ROUNDS = int(os.environ.get('HAWKFISH_LAB_ROUNDS', '2'))

pytestmark = pytest.mark.once


@dataclasses.dataclass
class Member(Context):
    """
    The context of a sub-task that meets others.

    *then* is called after each meeting, with its point.
    """

    number: int = 0
    rendezvous: Rendezvous | None = None
    then: object = None

    def meet(self, point, seconds=None):
        super().meet(point)
        self.rendezvous.meet(
            self.number, point, seconds or PATIENCE, lambda: None
        )
        if self.then:
            self.then(point)


class Lab:
    """Systems that are captured, and reverted, together."""

    def __init__(self, driver, systems):
        self.driver, self.systems = driver, systems
        self.then = {}

    def _together(self, call):
        """What *call* returns, or raises, for each system."""
        place = Rendezvous(dict(enumerate(s.name for s in self.systems)))

        def work(number):
            context = Member(
                number=number,
                rendezvous=place,
                then=self.then.get(number),
            )
            try:
                return call(self.systems[number].uuid, context)
            except exceptions.HawkFishError as exc:
                return exc
            finally:
                place.leave(number)

        with concurrent.futures.ThreadPoolExecutor(len(self.systems)) as pool:
            return list(pool.map(work, range(len(self.systems))))

    def create(self, name, consistency=contract.CONSISTENT, **fields):
        request = contract.CreateRequest(
            name, consistency=consistency, **fields
        )
        return self._together(
            lambda uuid, context: self.driver.create(uuid, request, context)
        )

    def revert(self, name, **fields):
        request = contract.RevertRequest(name, created_here=True, **fields)
        return self._together(
            lambda uuid, context: self.driver.revert(uuid, request, context)
        )

    def delete(self, name):
        return self._together(
            lambda uuid, context: self.driver.delete(uuid, name, context)
        )

    def states(self):
        return [system.domain.state()[0] for system in self.systems]

    def snapshots(self):
        return [system.domain.snapshotListNames() for system in self.systems]

    def orphans(self):
        """The files that no system of it names."""
        named, found = set(), set()
        for system in self.systems:
            orphans = {*system.orphans()}
            named |= {*system.leftovers()} - orphans
            found |= orphans
        return sorted(found - named)


@pytest.fixture(scope='session')
def driver(host):
    settings = {'SUSHY_EMULATOR_LIBVIRT_URI': host.uri}
    made = LibvirtDriver(conf.load(), settings, lambda: None)
    # libvirt's events reach this process from now on.
    made.systems()
    return made


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
def lab(make_lab):
    """Three guests that count."""
    made = make_lab(memory_mib=128)
    for system in made.systems:
        system.guest.wait_booted()
    return made


@pytest.fixture
def small(make_lab):
    """Three systems that cost nearly nothing."""
    return make_lab(**SMALL)


class Events:
    """When QEMU has stopped and resumed each system, as it tells."""

    def __init__(self, host, systems):
        self.seen = {}
        # One has the events of one domain.
        self._connections = [host.connect() for _ in systems]
        for connection, system in zip(self._connections, systems, strict=True):
            libvirt_qemu.qemuMonitorEventRegister(
                connection,
                connection.lookupByName(system.name),
                None,
                self._note,
                system.name,
            )

    def _note(self, _connection, domain, event, whole, micro, _details, name):
        self.seen.setdefault(event, {})[name] = whole + micro / 1e6

    def spread(self, event, count):
        """The seconds between the first and the last *event* of all."""
        times = wait_for(
            lambda: (
                len(self.seen.get(event, ())) == count
                and [*self.seen[event].values()]
            )
        )
        return max(times) - min(times)


def spread(captures):
    moments = [capture.monotonic for capture in captures]
    return max(moments) - min(moments)


def is_near(skew):
    return skew <= patience(SKEW_SECONDS)


def test_all_are_captured_in_one_pause(lab, host):
    """
    As QEMU tells; and what is measured is what QEMU tells.

    All go on, and each snapshot says that its system ran.
    """
    events = Events(host, lab.systems)

    captures = [made.capture for made in lab.create('s')]

    assert is_near(events.spread('STOP', 3))
    assert is_near(events.spread('RESUME', 3))
    assert is_near(spread(captures))
    for system, capture in zip(lab.systems, captures, strict=True):
        stop, resume = (
            events.seen[event][system.name] for event in ('STOP', 'RESUME')
        )
        assert capture.pause == pytest.approx(resume - stop, abs=0.1)
        assert capture.time == pytest.approx(stop, abs=0.1)
    assert lab.states() == 3 * [RUNNING]
    for system in lab.systems:
        found = system.domain.snapshotLookupByName('s').getXMLDesc()
        assert '<state>running</state>' in found
        system.guest.wait_ticks()


def test_a_lab_comes_back_and_goes_on_as_one(lab, host):
    """With memory and disks; harm in any of them is undone."""
    for number, system in enumerate(lab.systems):
        system.write(f'data{number}')
        system.guest.run(f'echo {number} > /run/memory')
    lab.create('s')
    for system in lab.systems:
        system.write('harm')
        system.guest.run('echo harm > /run/memory')
    lab.systems[1].domain.destroy()

    assert lab.revert('s') == 3 * [None]

    assert lab.states() == 3 * [RUNNING]
    for number, system in enumerate(lab.systems):
        assert system.read() == {f'data{number}'}
        memory = system.guest.run('cat /run/memory').strip()
        assert memory == str(number)


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


def test_disks_alone(lab):
    """Frozen before and thawed after the pause, and without memory."""
    for system in lab.systems:
        system.guest.wait_agent()

    made = lab.create('s', contract.DISKS_ONLY, memory=True)

    assert is_near(spread([one.capture for one in made]))
    assert {one.quiesce.status for one in made} == {contract.QUIESCED}
    assert lab.states() == 3 * [RUNNING]
    for system in lab.systems:
        assert not lab.driver.snapshots(system.uuid)[0].memory
        assert not system.guest.frozen()


def test_live(lab):
    """Each as if it were alone, without a pause of ours."""
    made = lab.create('s', contract.LIVE)

    assert [one.capture for one in made] == 3 * [None]
    assert lab.states() == 3 * [RUNNING]


@pytest.mark.parametrize('point', [Meeting.FLUSHED, Meeting.PAUSED])
def test_one_whose_qemu_dies_lets_all_others_go(small, host, point):
    """They run on, and leave nothing behind where nothing was captured."""
    victim = host.qemu_pid(small.systems[0].name)

    def kill(passed):
        if passed == point:
            os.kill(victim, signal.SIGKILL)

    small.then = {0: kill}
    ends = small.create('s')

    assert isinstance(ends[0], exceptions.HawkFishError)
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


def test_one_whose_memory_is_not_loaded_brings_the_others_back(lab, host):
    """Their disks are as they were, and they are started again."""
    for system in lab.systems:
        system.write('before')
    lab.create('s')
    for system in lab.systems:
        system.write('after')
    (path,) = [
        lab.systems[2]
        .domain.snapshotLookupByName('s')
        .getXMLDesc()
        .split("<memory snapshot='external' file='")[1]
        .split("'")[0]
    ]
    size = host.path(path).stat().st_size

    def damage(passed):
        if passed == Meeting.PREPARED:
            with host.path(path).open('r+b') as image:
                image.truncate(size // 2)

    lab.then = {2: damage}
    ends = lab.revert('s')

    assert [type(end) for end in ends] == 3 * [exceptions.RevertUndone]
    assert lab.states() == 3 * [RUNNING]
    for system in lab.systems:
        system.guest.wait_booted()
        assert system.read() == {'after'}
    assert lab.orphans() == []


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


def test_answers_come_after_questions(lab):
    """
    What one guest has heard, the other has said: also after a revert.

    A relay has each guest write a number after the one before it has, as
    fast as it can, while they are captured.  ``HAWKFISH_LAB_ROUNDS`` is how
    often.
    """
    for number in range(ROUNDS):
        with relayed(lab.systems):
            ends = lab.create(f's{number}')
        assert all(isinstance(end, contract.Created) for end in ends)
        assert lab.revert(f's{number}') == 3 * [None]
        said = [
            int(system.guest.run('cat /run/said')) for system in lab.systems
        ]
        # Each is at the same number as who is before it, or one behind.
        assert said == sorted(said, reverse=True)
        assert said[0] - said[-1] <= 1
        lab.delete(f's{number}')


@contextlib.contextmanager
def relayed(systems):
    """Let one guest after the other write the next number, in a ring."""
    done, errors = threading.Event(), []
    begun = threading.Semaphore(0)

    def relay():
        number = 0
        while not done.is_set():
            number += 1
            for system in systems:
                try:
                    system.guest.run(f'echo {number} > /run/said', 60)
                except CommandError as exc:
                    errors.append(exc)
                    return
            begun.release()

    for system in systems:
        system.guest.run('echo 0 > /run/said')
    thread = threading.Thread(target=relay)
    thread.start()
    for _ in range(3):
        assert begun.acquire(timeout=PATIENCE)
    yield
    done.set()
    thread.join()
    assert not errors
