# SPDX-License-Identifier: Apache-2.0
"""Bundles over systems that there are, whose snapshots stay what they are."""

import contextlib

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.test_exports import (
    Exported,
    captured,
    content_of,
    inside,
)
from tests.lab.host import IMAGES
from tests.served import message_ids

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('an internal snapshot has no files of its own')


def send(emulator, system, content, **asked):
    return requests.post(
        f'{emulator.url}/redfish/v1/Oem/HawkFish/Import',
        data=content,
        params={'Over': system.uuid, **asked},
        headers={'Content-Type': 'application/x-tar'},
        timeout=120,
    )


def bundle(emulator, system, name, **body):
    with Exported(emulator, system, name, **body) as exported:
        return exported.content()


def held(system):
    """The content of the file of each snapshot."""
    return {
        name: content_of(system.host, captured(system, name))
        for name in system.domain.snapshotListNames()
    }


def scribble(system, pattern):
    path = system.sources()[0]
    inside(
        system.host, f"qemu-io -c 'write -P {pattern} {pattern}M 1M' {path}"
    )


def test_a_system_that_is_off_and_its_snapshots(make_system, emulator):
    """Each snapshot reads as before, can be reverted to, and deleted."""
    system = make_system(**SMALL)
    for number in (1, 2):
        scribble(system, number)
        emulator.create(system.uuid, Name=f's{number}')
    scribble(system, 3)
    before = held(system)
    content = bundle(emulator, system, 's1')
    present = content_of(system.host, system.sources()[0])

    answer = emulator.wait(send(emulator, system, content))

    assert answer.status_code == 200, answer.text
    after = held(system)
    (safety,) = after.keys() - before.keys()
    assert {name: after[name] for name in before} == before
    assert after[safety] == present
    assert content_of(system.host, system.sources()[0]) == before['s1']
    assert not system.orphans()
    # It goes on as any other.
    scribble(system, 5)
    emulator.create(system.uuid, Name='s3')
    mine = held(system)['s3']
    for name in ('s1', safety, 's3', 's2'):
        emulator.revert(system.uuid, name)
        assert (
            content_of(system.host, system.sources()[0])
            == ({**after, 's3': mine}[name])
        )
    for name in ('s3', safety, 's1', 's2'):
        emulator.delete(system.uuid, name)
    assert content_of(system.host, system.sources()[0]) == before['s2']
    assert not system.domain.snapshotNum()


@pytest.mark.parametrize('goes_on', [True, False])
def test_the_safety_snapshot_is_deleted(make_system, emulator, goes_on):
    """At once as well: what came after it is discarded, and no disk's."""
    system = make_system(**SMALL)
    scribble(system, 1)
    emulator.create(system.uuid, Name='s1')
    scribble(system, 2)
    content = bundle(emulator, system, 's1')
    answer = emulator.wait(send(emulator, system, content))
    assert answer.status_code == 200, answer.text
    (safety,) = {*system.domain.snapshotListNames()} - {'s1'}
    scribble(system, 3)
    if goes_on:
        emulator.create(system.uuid, Name='s2')
        scribble(system, 4)
    before = {n: c for n, c in held(system).items() if n != safety}
    present = content_of(system.host, system.sources()[0])

    emulator.delete(system.uuid, safety)

    assert held(system) == before
    assert content_of(system.host, system.sources()[0]) == present
    assert not system.orphans()
    emulator.revert(system.uuid, 's1')
    assert content_of(system.host, system.sources()[0]) == before['s1']
    for name in ('s2', 's1') if goes_on else ('s1',):
        emulator.delete(system.uuid, name)
    assert content_of(system.host, system.sources()[0]) == before['s1']


def test_a_running_guest_goes_on_with_the_memory(make_system, emulator):
    """Of the bundle, with its disks; the safety snapshot has what it was."""
    system = make_system().boot()
    system.write('captured')
    emulator.create(system.uuid, Name='s')
    content = bundle(emulator, system, 's', Memory=True)
    system.write('later')

    answer = emulator.wait(send(emulator, system, content, Memory='true'))

    assert answer.status_code == 200, answer.text
    assert system.read() == {'captured'}
    assert system.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    (safety,) = {*system.domain.snapshotListNames()} - {'s'}
    emulator.revert(system.uuid, safety)
    assert system.read() == {'later'}
    emulator.revert(system.uuid, 's')
    assert system.read() == {'captured'}


def test_what_fails_leaves_the_system_as_it_was(make_system, emulator):
    """On its files, and running if it ran; no file is left."""
    system = make_system(**SMALL)
    system.domain.create()
    emulator.create(system.uuid, Name='s')
    content = bundle(emulator, system, 's', Memory=True)
    # The memory of a guest that has more is none of this one.
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(
            text.replace("unit='KiB'>32768<", "unit='KiB'>65536<")
        )
    system.domain.destroy()
    system.domain.create()
    files = {path.name for path in system.host.path(IMAGES).iterdir()}

    answer = emulator.wait(send(emulator, system, content, Memory='true'))

    assert answer.status_code == 409, answer.text
    assert message_ids(answer) == ['OperationFailed']
    assert system.domain.isActive()
    (safety,) = {*system.domain.snapshotListNames()} - {'s'}
    now = {path.name for path in system.host.path(IMAGES).iterdir()}
    new = {name for name in now - files if not name.startswith('hawkfish-')}
    assert not new
    assert not system.orphans()
    emulator.revert(system.uuid, safety)
