# SPDX-License-Identifier: Apache-2.0
"""The fake driver is held to the contract of drivers."""

import contextlib

import pytest
from sushy_tools.emulator.resources.systems import fakedriver

from hawkfish_plugin import conf
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.fake import FakeDriver
from hawkfish_plugin.emulator import internals
from tests.contract.subject import Abilities, Subject
from tests.contract.suite import DriverContract


class Systems(fakedriver.FakeDriver):
    """The emulator's fake systems, beside those that are served here."""


@pytest.fixture
def fake(tmp_path):
    """A fake driver with its state in a folder of its own."""
    settings = {'SUSHY_EMULATOR_STATE_DIR': str(tmp_path)}
    systems = Systems.initialize(settings, None)()
    loaded = conf.load()
    loaded.set_override('repository', 'store', 'backup')
    driver = FakeDriver(loaded, settings, lambda: systems)
    # Not at once: there has to be a time to cancel it.
    driver.behaviour.seconds = 0.001
    return driver


@pytest.fixture
def subject(fake):
    @contextlib.contextmanager
    def obstructed():
        fake.behaviour.depth = 0
        yield
        fake.behaviour.depth = None

    def switch_on():
        fake.behaviour.power_state = contract.ON

    def outdate():
        made.create('s')
        fake.outdate(made.uuid)

    def undefine(uuid):
        internals.remove_fake_system(fake._systems(), uuid)

    system = fake.resolve('fake')
    cannot = Abilities(space=False)
    made = Subject(
        fake, system, switch_on, obstructed, outdate, undefine, cannot
    )
    return made


class TestFakeDriver(DriverContract):
    """Without root, and without a hypervisor."""
