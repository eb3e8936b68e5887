# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver is held to the contract of drivers, on a real host."""

import contextlib

import libvirt
import pytest

from hawkfish_plugin import conf
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import LibvirtDriver
from tests.contract.subject import Subject
from tests.contract.suite import DriverContract
from tests.functional.conftest import SMALL


@pytest.fixture(scope='session')
def driver(host):
    settings = {'SUSHY_EMULATOR_LIBVIRT_URI': host.uri}
    loaded = conf.load()
    loaded.set_override('repository', 'default', 'backup')
    return LibvirtDriver(loaded, settings, lambda: None)


@pytest.fixture
def subject(driver, make_system, external, imports):
    """A domain that costs nearly nothing; switched on, it finds no disk."""
    system = make_system(**SMALL)

    @contextlib.contextmanager
    def obstructed():
        # It stands in the way of a snapshot, whatever its kind.
        system.domain.create()
        system.domain.managedSave()
        yield
        system.domain.managedSaveRemove()

    def outdate():
        if not external:
            pytest.skip('an internal snapshot holds no file of its own')
        text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        made.create('s')
        system.host.connect().defineXML(text)

    made = Subject(
        driver,
        contract.System(system.uuid, system.name),
        lambda: system.domain.create(),
        obstructed,
        outdate,
        lambda uuid: system.host.connect().lookupByUUIDString(uuid).undefine(),
        has_bundles=external,
    )
    return made


class TestLibvirtDriver(DriverContract):
    """With the snapshots that this release of libvirt makes by default."""
