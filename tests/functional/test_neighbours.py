# SPDX-License-Identifier: Apache-2.0
"""
What does not answer is in the way of those only who need it.

Beside a system lies another one whose QEMU hangs, or that libvirt has a job
for that never ends; or a directory whose server is gone.
"""

import contextlib
import ctypes
import dataclasses
import os
import re
import signal
import time

import libvirt
import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import backing, hosts, ledger
from hawkfish_plugin.drivers.libvirt.deadlines import Deadlines
from hawkfish_plugin.drivers.libvirt.storage import Looks
from tests.functional.conftest import SMALL
from tests.functional.test_dead_mount import check_all
from tests.functional.test_deletes import inside
from tests.lab.domains import Disk
from tests.lab.host import IMAGES
from tests.served import message_ids
from tests.waiting import patience, wait_for

pytestmark = pytest.mark.once

# Whatever waits for a domain that does not answer waits longer.
_QUICK = 25


@pytest.fixture
def neighbour(make_system, emulator):
    """A running system with a snapshot."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='theirs')
    system.domain.create()
    return system


@pytest.fixture
def hanging(neighbour, host):
    """One whose QEMU hangs."""
    pid = host.qemu_pid(neighbour.name)
    os.kill(pid, signal.SIGSTOP)
    yield neighbour
    os.kill(pid, signal.SIGCONT)


@pytest.fixture
def starting(neighbour, host):
    """
    One that libvirt goes on starting, with a job that never ends.

    So libvirt keeps it that was killed in the moment in which it started QEMU.
    """
    status = host.path(f'/run/libvirt/qemu/{neighbour.name}.xml')
    text = status.read_text()
    neighbour.domain.destroy()
    host.kill_daemon()
    text = re.sub(r"pid='\d+'", "pid='0'", text, count=1)
    text = re.sub(
        "state='.*?' reason='.*?'", "state='paused' reason='starting up'", text
    )
    job = "<job type='none' async='snapshot'/><domain type"
    status.write_text(text.replace('<domain type', job, 1))
    host.start_daemon()
    with contextlib.closing(host.connect()) as connection:
        found = connection.lookupByName(neighbour.name).state()
    assert found[0] == libvirt.VIR_DOMAIN_PAUSED
    yield neighbour
    # The way out that the documentation tells.
    host.kill_daemon()
    status.unlink()
    host.start_daemon()
    assert not neighbour.domain.isActive()


def check_others(emulator, system):
    """Everything works for another system, and the lists of all."""
    emulator.create(system.uuid, Name='before')
    check_all(emulator, system)
    begin = time.monotonic()
    response = requests.get(
        f'{emulator.system(system.uuid)}/Oem/HawkFish/Snapshots?$expand=.'
    )
    assert response.ok, response.text
    assert time.monotonic() - begin < patience(5)


def test_beside_a_qemu_that_hangs(make_system, emulator, hanging):
    """Others go on, and who needs it is told its name."""
    system = make_system(**SMALL)
    check_others(emulator, system)

    refused = emulator.post_create(hanging.uuid, Name='s')
    assert message_ids(refused) == ['NotAnswering'], refused.text
    assert hanging.name in refused.text
    assert [s['Name'] for s in emulator.snapshots(hanging.uuid)] == ['theirs']


def test_beside_a_job_that_never_ends(make_system, emulator, starting):
    """The same, though libvirt does not even say what its definition is."""
    system = make_system(**SMALL)
    check_others(emulator, system)

    refused = emulator.post_create(starting.uuid, Name='s')
    assert message_ids(refused) == ['NotAnswering'], refused.text
    assert starting.name in refused.text
    assert [s['Name'] for s in emulator.snapshots(starting.uuid)] == ['theirs']


@pytest.fixture
def hung_folder(host, mount):
    """A folder with a mount in it that nobody serves; a way to end that."""
    folder = '/srv/hung'
    host.path(folder).mkdir(parents=True, exist_ok=True)
    (host.path(folder) / 'file').write_text('')
    return folder, mount(host.path(f'{folder}/mount'))


@pytest.fixture
def mount(folder):
    """Mount a FUSE that nobody serves yet; ended, its process has died."""
    with contextlib.ExitStack() as stack:
        libc = ctypes.CDLL(None, use_errno=True)
        node = folder / 'fuse'
        os.mknod(node, 0o020600, os.makedev(10, 229))

        def make(target):
            target.mkdir()
            stack.callback(target.rmdir)
            device = os.open(node, os.O_RDWR)
            options = f'fd={device},rootmode=40000,user_id=0,group_id=0'
            failed = libc.mount(
                b'sshfs', bytes(target), b'fuse.sshfs', 0, options.encode()
            )
            assert not failed
            stack.callback(libc.umount2, bytes(target), 2)
            closing = contextlib.ExitStack()
            closing.callback(os.close, device)
            stack.callback(closing.close)
            return closing.close

        yield make


def test_one_that_hangs_as_a_system_starts(make_system, emulator, host, mount):
    """What the system is on was looked at before: its revert is completed."""
    folder, left = '/srv/late', 'hawkfish-0123456789ab-vdb.qcow2'
    host.path(folder).mkdir(parents=True, exist_ok=True)
    disk = Disk(size_mib=16, formatted=False)
    make_system(
        **SMALL | {'disks': (dataclasses.replace(disk, folder=folder),)}
    )
    system = make_system(**SMALL | {'disks': (disk, disk)})
    # What it goes on with is looked at once more before it is started, and
    # whether there is data in what stands on that.
    system.domain.snapshotCreateXML(
        '<domainsnapshot><name>s</name><disks>'
        "<disk name='vda' snapshot='external'/>"
        "<disk name='vdb' snapshot='no'/></disks></domainsnapshot>",
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
    )
    below = system.sources()[1]
    inside(
        host,
        *('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2'),
        *('-b', below, f'{IMAGES}/{left}'),
    )
    emulator.order('sleep=5', 'revert', 'start')
    accepted = emulator.post_revert(
        system.uuid, 's', Force=True, TargetPowerState='On'
    )
    assert accepted.ok, accepted.text
    emulator.wait_ordered()

    end = mount(host.path(f'{folder}/mount'))

    wait_for(system.domain.isActive, 'the start', 180)
    end()
    ended = emulator.wait(accepted)
    host.path(f'{IMAGES}/{left}').unlink()
    assert ended.ok, ended.text


def test_a_look_that_hangs(host, hung_folder):
    """It is given up after its time, and named; then all goes on."""
    folder, end = hung_folder
    other = host.path('/srv/other')
    other.mkdir(exist_ok=True)
    (other / 'file').write_text('')
    shared = hosts.Shared(looks=Looks(deadlines=Deadlines(2, 1)))
    with contextlib.closing(host.connect()) as connection:
        storage = hosts.Host(connection, shared).storage
        # libvirt lets all others wait for that one.
        for path in (f'{folder}/file', '/srv/other/file'):
            with pytest.raises(exceptions.NotAnswering) as caught:
                storage.exists(path)
            assert caught.value.args[0] == folder
        assert shared.is_used(connection)
        end()
        wait_for(lambda: not shared.is_used(connection))

        assert storage.exists(f'{folder}/file')
        assert storage.exists('/srv/other/file')


def test_the_ledger_beside_a_look_that_hangs(host, hung_folder):
    """
    Each look at the files of the host ends, and tells what it knows.

    libvirt does not even list its pools meanwhile.
    """
    folder, end = hung_folder
    book, paths = ledger.Ledger(), [f'{folder}/file', f'{IMAGES}/disk']
    shared = hosts.Shared(looks=Looks(deadlines=Deadlines(2, 1)))
    with contextlib.closing(host.connect()) as connection:
        for _ in range(2):
            found = hosts.Host(connection, shared)
            seen = book.files(found, paths, contract.Freshness.LISTED)
            assert folder in seen.unread
        assert backing.POOLS in seen.unread
        end()
        wait_for(lambda: not shared.is_used(connection))

        seen = book.files(found, paths, contract.Freshness.FULL)
        assert backing.POOLS not in seen.unread
        assert seen.active
