# SPDX-License-Identifier: Apache-2.0
"""
A lab of booted guests, captured in one pause and resumed as one.

It boots once; the pytest plugin of this package, over HTTP as anybody's,
brings it back before each test.
"""

import contextlib
import os
import threading

import libvirt
import pytest
import requests

from hawkfish_plugin import exceptions, pytest_plugin
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.contract import Meeting
from tests.contract.context import Context
from tests.functional.conftest import System
from tests.functional.emulator import Emulator
from tests.functional.labs import PATIENCE, Events, Lab, is_near, spread
from tests.lab import domains
from tests.lab.shell import CommandError

RUNNING = libvirt.VIR_DOMAIN_RUNNING
ROUNDS = int(os.environ.get('HAWKFISH_LAB_ROUNDS', '2'))
# The group, and what its tests begin with.
GROUP, BOOTED = 'guests', 'booted'

pytestmark = pytest.mark.once


@pytest.fixture(scope='module')
def booted(driver, host, external):
    """Three guests that count."""
    if not external:
        pytest.skip('the systems of a group have external snapshots')
    systems = [
        System(host, domains.Domain(f'guest-{number}', memory_mib=128))
        for number in range(3)
    ]
    for system in systems:
        system.domain.create()
    for system in systems:
        system.guest.wait_booted()
        system.guest.wait_agent()
    yield Lab(driver, systems)
    for system in systems:
        system.remove()


@pytest.fixture(scope='module')
def hawkfish_lab(booted, host, pytestconfig, tmp_path_factory):
    """What the plugin reverts: where it is served is known only here."""
    served = Emulator(tmp_path_factory.mktemp('lab'), host.uri).start()
    url = f'{served.url}/redfish/v1/AggregationService/Aggregates'
    elements = [
        {'@odata.id': f'/redfish/v1/Systems/{system.uuid}'}
        for system in booted.systems
    ]
    made = requests.post(url, json={'Name': GROUP, 'Elements': elements})
    assert made.status_code == 201, made.text
    snapshots = f'{url}/{GROUP}/Oem/HawkFish/Snapshots'
    accepted = requests.post(snapshots, json={'Name': BOOTED})
    assert served.wait(accepted).status_code == 201
    with pytest.MonkeyPatch.context() as patch:
        options = vars(pytestconfig.option)
        patch.setitem(options, 'hawkfish_url', served.url)
        patch.setitem(options, 'hawkfish_snapshot', BOOTED)
        yield pytest_plugin.Lab(pytestconfig, GROUP)
    served.stop()


@pytest.fixture
def lab(booted, hawkfish_reverted):
    """The guests, as they were when they had booted."""
    for system in booted.systems:
        for name in system.domain.snapshotListNames():
            if name != BOOTED:
                booted.driver.delete(system.uuid, name, Context())
    return Lab(booted.driver, booted.systems)


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


def test_disks_alone(lab):
    """Frozen before and thawed after the pause, and without memory."""
    for system in lab.systems:
        system.guest.wait_agent()

    made = lab.create('s', contract.DISKS_ONLY, memory=True)

    assert is_near(spread([one.capture for one in made]))
    assert {one.quiesce.status for one in made} == {contract.QUIESCED}
    assert lab.states() == 3 * [RUNNING]
    for system in lab.systems:
        assert not lab.driver.snapshots(system.uuid)[-1].memory
        assert not system.guest.frozen()


def test_live(lab):
    """Each as if it were alone, without a pause of ours."""
    made = lab.create('s', contract.LIVE)

    assert [one.capture for one in made] == 3 * [None]
    assert lab.states() == 3 * [RUNNING]


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

    gave_up, undone = exceptions.RevertGivenUp, exceptions.RevertUndone
    assert [type(end) for end in ends] == [gave_up, gave_up, undone]
    assert lab.states() == 3 * [RUNNING]
    for system in lab.systems:
        system.guest.wait_booted()
        assert system.read() == {'after'}
    assert lab.orphans() == []


@pytest.mark.timeout(600 + 60 * ROUNDS)
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
