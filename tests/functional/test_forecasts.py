# SPDX-License-Identifier: Apache-2.0
"""
What will not work is told before anything is begun.

Memory that QEMU would not save (a 9p share that the guest has mounted, memory
that guests share, a device of the host), and the most that a create writes.
"""

import contextlib
import gzip
import os
import pathlib
import subprocess

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.lab import layers
from tests.lab.domains import Disk
from tests.lab.host import GUEST
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

FOLDER = '/var/lib/small'
MIB = 2**20


def define_with(system, device, before='</devices>'):
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(text.replace(before, f'{device}{before}', 1))


def capabilities(emulator, system):
    policy = f'{emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy'
    return requests.get(policy, timeout=30).json()['Capabilities']


# Devices ------------------------------------------------------------------

SHARED = """<shmem name='shared'><model type='ivshmem-plain'/>
<size unit='M'>4</size></shmem>"""
ADDRESS = "domain='0x0000' bus='0x00' slot='0x07' function='0x0'"
HOST_NETWORK = """<network><name>vf</name>
<forward mode='hostdev' managed='yes'><pf dev='nic0'/></forward></network>"""
OF_THE_HOST = {
    'hostdev': "<hostdev mode='subsystem' type='pci' managed='yes'>"
    f'<source><address {ADDRESS}/></source></hostdev>',
    'interface': "<interface type='hostdev' managed='yes'>"
    f"<source><address type='pci' {ADDRESS}/></source></interface>",
    'network': "<interface type='network'><source network='vf'/></interface>",
}


@pytest.fixture
def host_network(host):
    """A network that gives devices of the host to its guests."""
    with contextlib.closing(host.connect()) as connection:
        network = connection.networkDefineXML(HOST_NETWORK)
        yield
        network.undefine()


@pytest.mark.parametrize('element', OF_THE_HOST)
def test_a_device_of_the_host(host_network, make_system, emulator, element):
    """Whatever element assigns it, there is no memory to be had."""
    system = make_system(**SMALL)
    assert capabilities(emulator, system)['MemorySupported']

    define_with(system, OF_THE_HOST[element])

    can = capabilities(emulator, system)
    assert not can['MemorySupported']
    assert can['ExternalSupported']
    assert can['Findings'] == []


def test_shared_memory(make_system, emulator):
    """Memory that guests share is named; without memory all works."""
    system = make_system(**SMALL)
    define_with(system, SHARED)
    system.domain.create()

    refused = emulator.post_create(system.uuid, Name='s')

    assert message_ids(refused) == ['DeviceHoldsMemory'], refused.text
    assert not capabilities(emulator, system)['MemorySupported']
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    emulator.delete(system.uuid, 's')


MODULES = ('netfs', 'fscache', '9pnet', '9pnet_virtio', '9p')
NINE = '/srv/nine'


@pytest.fixture
def guest_folder(host, folder):
    """The guest's kernel, with an initramfs that has the modules of 9p."""
    modules, target = folder / '9p', host.path(f'{GUEST}/nine')
    modules.mkdir()
    kernels = host.path('/usr/lib/hawkfish-lab/kernels/full/lib/modules')
    for name in MODULES:
        (path,) = kernels.resolve().rglob(f'{name}.ko')
        (modules / path.name).write_bytes(path.read_bytes())
    more = subprocess.run(
        'find 9p | cpio --quiet -o -H newc -R 0:0',
        shell=True,
        cwd=folder,
        check=True,
        capture_output=True,
    ).stdout
    full = host.path(f'{GUEST}/full')
    target.mkdir(exist_ok=True)
    (target / 'vmlinuz').write_bytes((full / 'vmlinuz').read_bytes())
    (target / 'initrd').write_bytes(
        (full / 'initrd').read_bytes() + gzip.compress(more)
    )
    host.path(NINE).mkdir(parents=True, exist_ok=True)
    host.path(NINE).chmod(0o777)
    return f'{GUEST}/nine'


def test_a_mounted_share(make_system, guest_folder, emulator):
    """A 9p share keeps the memory from being saved while it is mounted."""
    system = make_system(full_kernel=True)
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(text.replace(f'{GUEST}/full', guest_folder))
    define_with(
        system,
        "<filesystem type='mount' accessmode='mapped'>"
        f"<source dir='{NINE}'/><target dir='nine'/></filesystem>",
    )
    system.boot()
    assert capabilities(emulator, system)['MemorySupported']
    load = '; '.join(f'insmod /9p/{name}.ko' for name in MODULES)
    system.guest.run(
        f'{load}; mkdir /nine; '
        'mount -t 9p -o trans=virtio,version=9p2000.L nine /nine'
    )

    refused = emulator.post_create(system.uuid, Name='s')

    assert message_ids(refused) == ['DeviceHoldsMemory'], refused.text
    assert NINE in refused.text
    assert not capabilities(emulator, system)['MemorySupported']
    system.guest.run('umount /nine')
    emulator.create(system.uuid, Name='s')
    emulator.delete(system.uuid, 's')


def test_a_guest_that_sleeps(make_system, emulator):
    """A guest in S3 is told to be asleep, before its agent is asked."""
    system = make_system()
    define_with(
        system, "<pm><suspend-to-mem enabled='yes'/></pm>", '<devices>'
    )
    system.boot()
    system.guest.run('(sleep 1; echo mem >/sys/power/state) >/dev/null 2>&1 &')
    asleep = libvirt.VIR_DOMAIN_PMSUSPENDED
    wait_for(lambda: system.domain.state()[0] == asleep)

    refused = emulator.post_create(system.uuid, Name='s', IncludeMemory=False)

    assert message_ids(refused) == ['SystemSuspended'], refused.text
    assert capabilities(emulator, system)['Findings']


# Space --------------------------------------------------------------------


@pytest.fixture
def small(host):
    """A file system of 512 MiB for disks."""
    mounted = host.mount_small(FOLDER, 512)
    yield mounted
    host.unmount(FOLDER)


@pytest.fixture
def roomy(folder, host):
    """An emulator that keeps no headroom."""
    made = Emulator(folder, host.uri, OS_SNAPSHOTS__SPACE_HEADROOM='0')
    made.start()
    yield made
    made.stop()


def fill(folder, free_mib):
    """Leave so much free in *folder*."""
    usage = os.statvfs(folder)
    with (folder / 'ballast').open('wb') as file:
        for _ in range(usage.f_bavail * usage.f_frsize // MIB - free_mib):
            file.write(b'x' * MIB)


@pytest.fixture
def huge_pages(host):
    """400 MiB of huge pages, which libvirtd knows of."""
    number = pathlib.Path('/proc/sys/vm/nr_hugepages')
    before = number.read_text()
    folder = host.path('/dev/hugepages')
    folder.mkdir(exist_ok=True)
    try:
        number.write_text('200')
        if int(number.read_text()) < 200:
            pytest.skip('this machine has no huge pages to spare')
        layers.call('mount', '-t', 'hugetlbfs', 'hugetlbfs', folder)
        host.restart_daemon()
        yield
    finally:
        if os.path.ismount(folder):
            layers.call('umount', '--lazy', folder)
        number.write_text(before)
        host.restart_daemon()


def test_memory_in_huge_pages(huge_pages, small, make_system, roomy):
    """What the process of QEMU does not show is counted as well."""
    system = make_system(disks=(Disk(folder=FOLDER),), memory_mib=384)
    define_with(system, '<memoryBacking><hugepages/></memoryBacking>', '<vcpu')
    system.boot()
    try:
        system.guest.run(
            'mount -t tmpfs -o size=300m t /tmp; '
            'dd if=/dev/urandom of=/tmp/fill bs=1M count=250 2>/dev/null',
            timeout=180,
        )
        # Less than the guest has filled.
        fill(small, 220)

        refused = roomy.post_create(system.uuid, Name='s')

        assert message_ids(refused) == ['InsufficientSpace'], refused.text
    finally:
        system.domain.destroy()


def test_the_tables_of_a_big_disk(small, make_system, roomy):
    """What an empty overlay takes is counted, however small its clusters."""
    system = make_system(**SMALL | {'disks': (Disk(folder=FOLDER),)})
    (path,) = system.sources()
    subprocess.run(
        f'chroot {system.host.root} qemu-img create -q -f qcow2 '
        f'-o cluster_size=4k {path} 2T',
        shell=True,
        check=True,
    )
    roomy.create(system.uuid, Name='s')
    (overlay,) = (p for p in system.sources() if 'hawkfish' in p)
    took = system.host.path(overlay).stat().st_blocks * 512
    roomy.delete(system.uuid, 's')

    task = requests.get(f'{roomy.url}/redfish/v1/TaskService/Tasks').json()
    (first, *_) = task['Members']
    messages = requests.get(roomy.url + first['@odata.id']).json()['Messages']
    (estimate,) = (
        int(m['MessageArgs'][1])
        for m in messages
        if m['MessageId'].endswith('SpaceEstimated')
    )

    assert took <= estimate < took + 16 * MIB
