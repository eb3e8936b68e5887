# SPDX-License-Identifier: Apache-2.0
"""
What somebody else does in the middle of an operation.

A guest that is stopped already must not be left so, and a file that is needed
by now must not be removed.
"""

import contextlib
import posixpath
import re
import subprocess

import libvirt
import pytest

from hawkfish_plugin import conf, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import LibvirtDriver
from tests.contract.context import Context, Killed
from tests.contract.outcomes import refusal
from tests.functional.conftest import SMALL
from tests.lab.host import IMAGES

pytestmark = pytest.mark.once

_METADATA = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
_RUNNING = libvirt.VIR_DOMAIN_RUNNING
BACK = contract.RevertRequest('s', created_here=True)


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('libvirt itself reverts to internal snapshots')


@pytest.fixture
def driver(host):
    settings = {'SUSHY_EMULATOR_LIBVIRT_URI': host.uri}
    return LibvirtDriver(conf.load(), settings, lambda: None)


@pytest.fixture(params=['off', 'running'])
def system(request, driver, make_system):
    """A system that goes back to ``s`` from ``t``, its current snapshot."""
    made = make_system(**SMALL)
    if request.param == 'running':
        made.domain.create()
    for name in 'st':
        driver.create(made.uuid, contract.CreateRequest(name), Context())
    yield made
    if made.domain.isActive():
        made.domain.destroy()


def vanish(system, *names):
    for name in names:
        system.domain.snapshotLookupByName(name).delete(_METADATA)


def names(system):
    return {
        snapshot.getName() for snapshot in system.domain.listAllSnapshots()
    }


def check_undone(system, error, before, power):
    assert isinstance(error, exceptions.RevertUndone), error
    assert system.sources() == before
    assert system.domain.state()[0] == power


def test_during_the_change(driver, system):
    """It is undone: the system is on its disks, in its power state."""

    class Meanwhile(Context):
        def step(self, name, noted=None, durable=True):
            super().step(name, noted, durable)
            if name == 'revert':
                vanish(system, 's')

    before, power = system.sources(), system.domain.state()[0]

    error = refusal(driver.revert, system.uuid, BACK, Meanwhile())

    check_undone(system, error, before, power)
    assert names(system) == {'t'}
    assert system.domain.snapshotCurrent().getName() == 't'


@pytest.mark.parametrize('gone', ['s', 'st'])
def test_before_it_is_settled(driver, system, gone):
    """The same of a revert that is settled; what is deleted stays so."""
    before, power = system.sources(), system.domain.state()[0]
    context = Context(die_at=4)
    with pytest.raises(Killed):
        driver.revert(system.uuid, BACK, context)
    assert context.last_step == 'revert'
    assert system.sources() != before
    vanish(system, *gone)

    heir = context.heir()
    error = refusal(driver.settle_revert, system.uuid, BACK, heir)

    check_undone(system, error, before, power)
    assert names(system) == {'s', 't'} - {*gone}


def test_another_one_of_its_name(driver, system):
    """That one is not noted as what the system grows from."""
    before, power = system.sources(), system.domain.state()[0]
    context = Context(die_at=4)
    with pytest.raises(Killed):
        driver.revert(system.uuid, BACK, context)
    snapshot = system.domain.snapshotLookupByName('s')
    text = snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    snapshot.delete(_METADATA)
    system.domain.snapshotCreateXML(
        re.sub(r'(?<=creationTime>)\d+', '1', text),
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE,
    )

    heir = context.heir()
    error = refusal(driver.settle_revert, system.uuid, BACK, heir)

    check_undone(system, error, before, power)


def write(system):
    """As a guest does that somebody boots and shuts down."""
    (path,) = system.sources()
    subprocess.run(
        [
            *('chroot', system.host.root),
            *('qemu-io', '-c', 'write 0 1M', path),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def save(system):
    """As a host does that goes down."""
    system.domain.create()
    system.domain.managedSave()


@pytest.mark.parametrize('use', [write, save])
def test_used_before_it_is_settled(driver, system, use):
    """No memory is loaded onto disks that somebody has used since."""
    context = Context(die_at=4)
    with pytest.raises(Killed):
        driver.revert(system.uuid, BACK, context)
    if system.domain.isActive():
        system.domain.destroy()
    use(system)
    before = system.sources()

    heir = context.heir()
    error = refusal(driver.settle_revert, system.uuid, BACK, heir)

    assert isinstance(error, exceptions.RevertUnfinished), error
    assert system.sources() == before
    assert not system.domain.isActive()
    assert system.domain.snapshotCurrent().getName() == 's'
    if system.domain.hasManagedSaveImage():
        system.domain.managedSaveRemove()


def test_abandoned_while_libvirt_hangs(driver, system, monkeypatch):
    """
    Whoever abandons a revert finds the guest as it was when libvirt answers.

    It is not stopped by the call that would have come next.
    """
    before, number = system.sources(), system.domain.ID()
    context = Context()
    define = libvirt.virConnect.defineXML

    def hang(*args):
        answer = define(*args)
        context.abandoned = True
        return answer

    with monkeypatch.context() as patched, pytest.raises(contract.Abandoned):
        patched.setattr(libvirt.virConnect, 'defineXML', hang)
        driver.revert(system.uuid, BACK, context)

    assert system.domain.ID() == number
    assert system.domain.snapshotCurrent().getName() == 't'
    for path in before:
        assert system.host.path(path).exists()
    # Its task can be settled by who is asked to.
    with contextlib.suppress(exceptions.HawkFishError):
        driver.settle_revert(system.uuid, BACK, context.heir())


@pytest.fixture
def link(host):
    """Another path of the folder of the images."""
    path = host.path('/var/lib/libvirt/images-link')
    path.symlink_to('images')
    yield '/var/lib/libvirt/images-link'
    path.unlink()


SPELLINGS = ('{folder}//{name}', '{folder}/../images/{name}', '{link}/{name}')


@pytest.mark.parametrize('spelling', SPELLINGS)
def test_what_is_needed_by_now(driver, make_system, link, spelling):
    """A file that a system names by now, by another path, stays."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    for name in 'st':
        driver.create(system.uuid, contract.CreateRequest(name), Context())
    (old,) = system.sources()
    (replaced,) = other.sources()
    path = spelling.format(
        folder=IMAGES, link=link, name=posixpath.basename(old)
    )

    class Meanwhile(Context):
        def step(self, name, noted=None, durable=True):
            super().step(name, noted, durable)
            if name == 'start':
                text = other.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
                text = text.replace(replaced, path)
                other.host.connect().defineXML(text)

    driver.revert(system.uuid, BACK, Meanwhile())

    assert system.sources() != [old]
    assert system.host.path(old).exists()
