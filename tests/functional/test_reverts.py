# SPDX-License-Identifier: Apache-2.0
"""
What a revert looks at while the guest still runs, and what it leaves alone.

A revert that cannot be is refused before the guest is stopped; read-only
disks and what lies on the network are no part of it.

Long, as each kind of disk that is no part of it has its test.
"""

import contextlib
import os
import re
import subprocess

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab import domains
from tests.lab.domains import Disk
from tests.lab.host import GUEST, IMAGES
from tests.served import message_ids

pytestmark = pytest.mark.once

_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE
_SMALL_DISK = {'size_mib': 16, 'formatted': False}
TWO_DISKS = {**SMALL, 'disks': (Disk(**_SMALL_DISK),) * 2}


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('libvirt itself reverts to internal snapshots')


def inside(host, script):
    subprocess.run(['chroot', host.root, 'sh', '-ec', script], check=True)


def redefine(system, change):
    """Define what *change* makes of the text of the definition."""
    text = change(system.domain.XMLDesc(_INACTIVE))
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(text)


def attach(system, element):
    redefine(system, lambda t: t.replace('</devices>', f'{element}</devices>'))


def readonly_disk(path):
    return (
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file='{path}'/><target dev='vdb' bus='virtio'/>"
        '<readonly/></disk>'
    )


def ended(emulator, response):
    return emulator.wait(response) if response.status_code == 202 else response


def check_refused(emulator, system, key):
    """A revert is refused, and the guest does not notice."""
    number = system.domain.ID()
    refused = emulator.post_revert(system.uuid, 's')
    assert (refused.status_code, message_ids(refused)) == (409, [key])
    assert system.domain.ID() == number


# What is left alone ----------------------------------------------------------


@pytest.fixture
def network_disk(host):
    """The URL of a small disk that is served on the lab's host."""
    inside(
        host,
        'truncate -s 16M /srv/base.raw; qemu-nbd -r -t -e 9 -f raw --fork '
        '--pid-file=/run/nbd.pid -k /run/nbd.sock /srv/base.raw; '
        'chmod 666 /run/nbd.sock',
    )
    yield 'nbd+unix:///?socket=/run/nbd.sock'
    os.kill(int(host.path('/run/nbd.pid').read_text()), 15)


@pytest.mark.parametrize('power', ['off', 'running'])
def test_a_base_on_the_network(network_disk, make_system, emulator, power):
    """A base that is no file is not taken for a missing one."""
    system = make_system(**SMALL)
    (path,) = system.sources()
    inside(
        system.host,
        f"rm {path}; qemu-img create -q -f qcow2 -F raw -b '{network_disk}' "
        f'{path} 16M',
    )
    if power == 'running':
        system.domain.create()
    emulator.create(system.uuid, Name='s')

    emulator.revert(system.uuid, 's')

    if power == 'running':
        system.domain.destroy()


READONLY = {
    'volume': "<source pool='default' volume='node-tools.img'/>",
    'network': (
        "<source protocol='nbd'><host transport='unix' "
        "socket='/run/nbd.sock'/></source>"
    ),
}


@pytest.mark.parametrize('kind', READONLY)
def test_a_readonly_disk_that_is_no_file(
    network_disk, host, make_system, emulator, kind
):
    """It is in the way of no snapshot, and stays what it was."""
    path = host.path(domains.make_medium(host, 'node-tools.img'))
    host.connect().storagePoolLookupByName('default').refresh()
    system = make_system(**SMALL)
    attach(
        system,
        f"<disk type='{kind}' device='disk'><driver name='qemu' type='raw'/>"
        f"{READONLY[kind]}<target dev='vdb' bus='virtio'/><readonly/></disk>",
    )
    policy = f'{emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy'
    assert requests.get(policy).json()['Capabilities']['Findings'] == []
    emulator.create(system.uuid, Name='s')

    emulator.revert(system.uuid, 's')

    assert f"<disk type='{kind}'" in system.domain.XMLDesc(_INACTIVE)
    path.unlink()


@pytest.fixture
def readonly_folder(host):
    """A file on a file system that is mounted read-only."""
    target = host.mount_small('/mnt/tools', 16)
    (target / 'tools.img').write_bytes(b'tools'.ljust(2**20, b'\0'))
    subprocess.run(['mount', '-o', 'remount,ro', target], check=True)
    yield '/mnt/tools/tools.img'
    host.unmount('/mnt/tools')


def test_a_folder_that_is_readonly(readonly_folder, make_system, emulator):
    """Nothing is made beside a disk that is not written to."""
    system = make_system(**SMALL)
    attach(system, readonly_disk(readonly_folder))
    system.domain.create()
    emulator.create(system.uuid, Name='s')

    emulator.revert(system.uuid, 's')

    system.domain.destroy()


@pytest.mark.parametrize('reverted', [False, True])
def test_a_readonly_file_of_two(make_system, emulator, reverted):
    """It gets no overlay, and is in the way of no delete."""
    disks = (
        Disk(**_SMALL_DISK),
        Disk(**_SMALL_DISK, format='raw', readonly=True),
    )
    system, other = (
        make_system(**SMALL | {'disks': disks}),
        make_system(**SMALL),
    )
    shared = system.sources()[1]
    attach(other, readonly_disk(shared))
    emulator.create(system.uuid, Name='s')
    if reverted:
        emulator.revert(system.uuid, 's')

    emulator.delete(system.uuid, 's')

    assert system.sources()[1] == shared
    assert system.leftovers() == []


def test_a_disk_that_is_attached_since(make_system, emulator):
    """It is detached and named, and its data stays."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    path = f'{IMAGES}/{system.name}-second.qcow2'
    inside(system.host, f'qemu-img create -q -f qcow2 {path} 16M')
    disk = readonly_disk(path).replace('<readonly/>', '')
    disk = disk.replace("'raw'", "'qcow2'")
    attach(system, disk)
    emulator.create(system.uuid, Name='t')
    overlay = system.sources()[1]
    number = len(emulator.tasks())

    planned = emulator.post_revert(system.uuid, 's', DryRun=True).json()

    (warning,) = planned['Warnings']
    assert warning['MessageArgs'] == ['vdb', 's', overlay]
    assert (warning['Disk'], planned['PowerState']) == ('vdb', 'Off')
    assert (planned['DiscardedSince'], planned['MemoryRestored']) == (
        't',
        False,
    )
    (need,) = planned['Needs']
    assert 0 < need['NeededBytes'] <= need['AvailableBytes']
    assert (len(emulator.tasks()), system.sources()[1]) == (number, overlay)

    emulator.revert(system.uuid, 's')

    (told,) = [
        message['MessageArgs']
        for message in emulator.tasks()[-1]['Messages']
        if message['MessageId'].endswith('.DiskAttachedSince')
    ]
    assert told == ['vdb', 's', overlay]
    assert system.host.path(overlay).exists()
    emulator.revert(system.uuid, 't')
    assert len(system.sources()) == 2
    for name in 'ts':
        emulator.delete(system.uuid, name)
    system.host.path(path).unlink()


def test_the_overlay_of_another_disk(make_system, emulator):
    """It is named and stays, as nothing of the target stands on it."""
    system = make_system(**TWO_DISKS)
    emulator.create(system.uuid, Name='s')
    first, second = system.sources()
    # What was written to the second disk is looked at as the first one.
    inside(system.host, f"qemu-io -c 'write -P 7 0 64k' {second}")
    disks = r"<disk (?:(?!</disk>).)*'vdb'.*?</disk>"
    redefine(system, lambda t: re.sub(disks, '', t, flags=re.S))
    redefine(system, lambda t: t.replace(first, second))

    emulator.revert(system.uuid, 's')

    told = [m['MessageArgs'] for m in emulator.tasks()[-1]['Messages']]
    assert ['vda', 's', second] in told
    inside(system.host, f"qemu-io -r -c 'read -P 7 0 64k' {second}")


# Names -----------------------------------------------------------------------


def name_disks(system, *names):
    text = system.domain.XMLDesc(_INACTIVE)
    for old, name in zip(system.sources(), names, strict=True):
        new = f'{IMAGES}/{name}'
        system.host.path(old).rename(system.host.path(new))
        text = text.replace(old, new)
    redefine(system, lambda _: text)


def test_names_that_differ_in_their_ending(make_system, emulator):
    """Every disk gets an overlay of its own."""
    system = make_system(**TWO_DISKS)
    name_disks(system, f'{system.name}-disk.0', f'{system.name}-disk.1')
    emulator.create(system.uuid, Name='s')

    for _ in range(2):
        emulator.revert(system.uuid, 's')

    assert len(set(system.sources())) == 2
    emulator.delete(system.uuid, 's')


def test_a_name_of_the_longest(make_system, emulator):
    """Nothing is added to the name of a file."""
    system = make_system(**SMALL)
    name_disks(system, f'{system.name}-'.ljust(255, 'x'))
    system.domain.create()
    emulator.create(system.uuid, Name='s')

    emulator.revert(system.uuid, 's')

    system.domain.destroy()


# What a start needs ----------------------------------------------------------


def test_no_snapshot_is_current(make_system, emulator, host):
    """It need not be known, and libvirtd does not crash."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    snapshot = system.domain.snapshotLookupByName('s')
    text = snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    system.domain.snapshotCreateXML(
        text, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    )
    pid = host.daemon_pid()

    emulator.revert(system.uuid, 's')

    assert host.daemon_pid() == pid
    assert system.domain.snapshotCurrent().getName() == 's'


@pytest.fixture
def renamed(make_system, emulator):
    """A running system that was renamed after a snapshot of its memory."""
    system = make_system(**SMALL)
    system.domain.create()
    emulator.create(system.uuid, Name='s')
    before = system.name
    system.domain.destroy()
    system.name = f'{before}-renamed'
    system.host.connect().lookupByName(before).rename(system.name)
    system.domain.create()
    yield system
    with contextlib.suppress(libvirt.libvirtError):
        system.domain.destroy()
    system.domain.rename(before)
    system.name = before


def test_memory_of_a_renamed_system(renamed, emulator):
    """The guest keeps its memory; the disks alone can be had."""
    check_refused(emulator, renamed, 'MemoryNotLoadable')

    emulator.revert(renamed.uuid, 's', TargetPowerState='Off')
    assert not renamed.domain.isActive()
    emulator.revert(renamed.uuid, 's', TargetPowerState='On')
    assert renamed.domain.isActive()
    messages = emulator.tasks()[-1]['Messages']
    assert any('MemoryNotRestored' in m['MessageId'] for m in messages)


FILES = {
    'kernel': f'{GUEST}/quick/vmlinuz',
    'emulator': '/usr/bin/qemu-system-x86_64',
    'loader': f'{domains.FIRMWARE}/OVMF_CODE_4M.fd',
}


def with_file(what, old, new):
    """A change of a definition from the file *old* to *new*."""

    def change(text):
        # What libvirt has looked up by itself for the old loader.
        text = re.sub('<firmware>.*?</firmware>', '', text, flags=re.DOTALL)
        return text.replace(" firmware='efi'", '').replace(
            f'>{old}<', f'>{new}<'
        )

    return change


@pytest.mark.parametrize('what', FILES)
def test_a_file_of_the_definition_is_gone(make_system, emulator, what):
    """A revert that cannot start the guest does not stop it."""
    fields = {'boot_guest': True} if what == 'kernel' else {}
    fields |= {'firmware': 'uefi'} if what == 'loader' else {}
    system = make_system(**{**SMALL, 'memory_mib': 128, **fields})
    own, new = (f'{FILES[what]}-{system.name}-{n}' for n in (1, 2))
    for path in (own, new):
        inside(system.host, f'cp {FILES[what]} {path}')
    redefine(system, with_file(what, FILES[what], own))
    system.domain.create()
    emulator.create(system.uuid, Name='s')
    system.domain.destroy()
    redefine(system, with_file(what, own, new))
    system.domain.create()
    inside(system.host, f'rm {own}')

    check_refused(emulator, system, 'SnapshotNotStartable')

    # Without its emulator libvirt does not even define the system.
    if what != 'emulator':
        emulator.revert(system.uuid, 's', TargetPowerState='Off')
    system.domain.isActive() and system.domain.destroy()
    inside(system.host, f'rm {new}')


def test_a_network_of_the_definition_is_gone(make_system, emulator, host):
    """Nor does one that needs a network that is no more."""
    inside(
        host,
        'mkdir -p /dev/net; [ -e /dev/net/tun ] || '
        'mknod /dev/net/tun c 10 200; chmod 666 /dev/net/tun',
    )
    connection = host.connect()
    network = connection.networkDefineXML(
        "<network><name>gone</name><bridge name='virbr9'/></network>"
    )
    network.create()
    system = make_system(**SMALL)
    attach(
        system,
        "<interface type='network'><source network='gone'/>"
        "<model type='virtio'/></interface>",
    )
    system.domain.create()
    emulator.create(system.uuid, Name='s')
    system.domain.destroy()
    pattern = re.compile('<interface.*?</interface>', re.DOTALL)
    redefine(system, lambda text: pattern.sub('', text))
    network.destroy()
    network.undefine()
    system.domain.create()

    check_refused(emulator, system, 'SnapshotNotStartable')
    system.domain.destroy()
