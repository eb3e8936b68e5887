# SPDX-License-Identifier: Apache-2.0
"""Where libvirt, left to itself, would lose data by an ordinary operation."""

import re
import subprocess

import libvirt
import pytest

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.lab.domains import Disk
from tests.lab.host import IMAGES
from tests.served import message_ids

pytestmark = pytest.mark.once

TWO_DISKS = {**SMALL, 'disks': (Disk(), Disk())}
_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('internal snapshots have no files of their own')


def snapshot_by_virsh(system, name, disks, flags=0):
    system.domain.snapshotCreateXML(
        f'<domainsnapshot><name>{name}</name><disks>{disks}</disks>'
        '</domainsnapshot>',
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | flags,
    )


def test_the_branch_aside(make_system, emulator):
    """The files of a branch outlive the delete of another, and reverts."""
    system = make_system(**SMALL)
    for name in ('root', 'aside'):
        emulator.create(system.uuid, Name=name)
    for _ in range(2):
        emulator.revert(system.uuid, 'root')
        emulator.create(system.uuid, Name='newest')
        emulator.delete(system.uuid, 'newest')
        for name in ('root', 'aside'):
            emulator.revert(system.uuid, name)

    for name in ('root', 'aside'):
        emulator.delete(system.uuid, name)
    assert system.leftovers() == []


def test_an_image_on_the_present_state(make_system, emulator):
    """A revert is refused while an image stands on what it would remove."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    clone = system.host.path(f'{IMAGES}/{system.name}-clone.qcow2')
    below = system.sources()[0]
    subprocess.run(
        [
            'qemu-img',
            'create',
            '-q',
            '-f',
            'qcow2',
            '-F',
            'qcow2',
            '-u',
            '-b',
            below,
            clone,
            '16M',
        ],
        check=True,
    )

    refused = emulator.post_revert(system.uuid, 's')

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['SystemCloned'],
    )
    # A safety snapshot keeps what the image stands on.
    emulator.revert(system.uuid, 's', SafetySnapshot=True)
    assert system.host.path(below).exists()


def test_a_disk_that_was_left_out(make_system, emulator):
    """A revert that would mix two times is refused, or forced and told."""
    system = make_system(**TWO_DISKS)
    snapshot_by_virsh(
        system,
        's',
        "<disk name='vda' snapshot='external'/>"
        "<disk name='vdb' snapshot='no'/>",
    )

    refused = emulator.post_revert(system.uuid, 's')
    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['DiskNotCaptured'],
    )

    emulator.wait(emulator.post_revert(system.uuid, 's', Force=True))
    messages = emulator.tasks()[-1]['Messages']
    assert any('DiskNotCaptured' in m['MessageId'] for m in messages)


def test_a_system_that_cannot_start(make_system, emulator):
    """A delete needs its files alone, and neither memory nor devices."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    # More than any host has.
    memory = re.sub(r'(?<=KiB.>)\d+', str(2**40), text)
    system.host.connect().defineXML(memory)

    emulator.delete(system.uuid, 's')

    assert system.leftovers() == []


def test_a_saved_system(make_system, emulator):
    """Its saved memory would fit no other disks."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    system.domain.create()
    system.domain.managedSave()

    refused = emulator.send_delete(system.uuid, 's')

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['ManagedSavePresent'],
    )


def test_the_chain_of_a_system_that_is_off(make_system, folder, host):
    """Its length is that of the files, as libvirt has noted none."""
    system = make_system(**SMALL)
    limited = Emulator(folder, host.uri, OS_SNAPSHOTS__MAX_CHAIN_DEPTH='2')
    limited.start()
    try:
        for number in range(2):
            limited.create(system.uuid, Name=str(number))
        refused = limited.post_create(system.uuid, Name='2')
    finally:
        limited.stop()

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['ChainTooDeep'],
    )


def test_a_disk_that_was_detached_and_is_back(make_system, emulator, host):
    """What a revert has said to stay in a file is not merged over."""
    system = make_system(**{**SMALL, 'disks': SMALL['disks'] * 2})
    emulator.create(system.uuid, Name='s')
    detached = system.sources()[1]
    inside(host, 'write -P 7 0 64k', detached)
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    disks = re.findall('<disk .*?</disk>', text, re.S)
    system.domain.detachDeviceFlags(disks[1], _CONFIG)
    emulator.revert(system.uuid, 's')
    inside(host, 'write -P 9 8M 64k', system.sources()[1])

    refused = emulator.send_delete(system.uuid, 's')

    assert message_ids(refused) == ['SnapshotCloned'], refused.text
    inside(host, 'read -P 7 0 64k', detached)
    inside(host, 'read -P 0 8M 64k', detached)
    # Without that file nothing stands in the way.
    host.path(detached).unlink()
    emulator.delete(system.uuid, 's')
    inside(host, 'read -P 9 8M 64k', system.sources()[1])


def inside(host, command, path):
    """Let ``qemu-io`` write, or read what has to be there."""
    qemu_io = ['chroot', host.root, 'qemu-io', '-c', command, path]
    subprocess.run(qemu_io, check=True, capture_output=True)
