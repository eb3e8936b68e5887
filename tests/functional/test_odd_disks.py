# SPDX-License-Identifier: Apache-2.0
"""
Disks of one definition alone, and files that others have written to.

A running system may have disks that it will not have at its next start, and
the other way round; virsh may have made a snapshot without any disk, or merged
an overlay on which a snapshot relies.
"""

import contextlib
import os
import re
import subprocess
import time

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
_DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
    "<source file='{}'/><target dev='vdc' bus='virtio'/></disk>"
)


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('libvirt itself reverts to internal snapshots')


@pytest.fixture
def system(make_system):
    return make_system(**SMALL)


@pytest.fixture
def other(system):
    """The file of a disk that is not attached yet, with ones in it."""
    path = f'{system.sources()[0]}-other'
    inside(system, 'qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M')
    write(system, path, 1)
    return path


def inside(system, *command):
    return subprocess.run(
        ['chroot', system.host.root, *command],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def write(system, path, value):
    qemu_io = ['qemu-io', '-f', 'qcow2', '-c', f'write -P {value} 0 64k']
    inside(system, *qemu_io, path)


def reads(system, path, value):
    """Whether the file at *path* begins with *value*, by its whole chain."""
    read = f'read -P {value} 0 64k'
    done = subprocess.run(
        [
            *('chroot', system.host.root, 'qemu-io', '-r', '-f', 'qcow2'),
            *('-c', read, path),
        ],
        capture_output=True,
        text=True,
    )
    assert 'read ' in done.stdout, done.stderr
    return 'failed' not in done.stdout


def attach(system, path, flags):
    with contextlib.closing(system.host.connect()) as connection:
        domain = connection.lookupByUUIDString(system.uuid)
        domain.attachDeviceFlags(_DISK.format(path), flags)


def detach(system, path, flags):
    with contextlib.closing(system.host.connect()) as connection:
        domain = connection.lookupByUUIDString(system.uuid)
        domain.detachDeviceFlags(_DISK.format(path), flags)


def reset(emulator, system):
    return requests.post(
        f'{emulator.system(system.uuid)}/Actions/ComputerSystem.Reset',
        json={'ResetType': 'On'},
        timeout=60,
    )


def test_a_disk_of_the_next_start(system, other, emulator):
    """What another snapshot holds of it is written to by no revert."""
    system.domain.create()
    attach(system, other, _CONFIG)
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    system.domain.destroy()
    emulator.create(system.uuid, Name='t')
    top = system.sources()[-1]
    assert top != other
    detach(system, top, _CONFIG)

    emulator.revert(system.uuid, 's')

    assert other not in system.sources()
    assert len(system.sources()) == 2
    assert 'DiskDetachedSince' in told(emulator)
    with contextlib.suppress(libvirt.libvirtError):
        system.domain.destroy()
    write(system, system.sources()[-1], 2)
    assert reads(system, other, 1)


def told(emulator):
    """The keys of the messages of the task that was queued last."""
    newest = max(emulator.tasks(), key=lambda task: int(task['Id']))
    return [m['MessageId'].rpartition('.')[2] for m in newest['Messages']]


@pytest.mark.parametrize('memory', [True, False])
def test_a_disk_of_the_running_system(system, other, emulator, memory):
    """It comes back with the memory alone, and is named where it does not."""
    system.domain.create()
    attach(system, other, _LIVE)
    emulator.create(system.uuid, Name='s', IncludeMemory=memory)

    emulator.revert(system.uuid, 's')

    live = system.domain.XMLDesc()
    assert ("dev='vdc'" in live) == memory
    assert ('DiskOfRunningSystem' in told(emulator)) != memory
    # Each overlay that is left has a use.
    made = inside(system, 'sh', '-c', f'ls {other.rpartition("/")[0]}')
    used = [name for name in made.split() if '-vdc.' in name]
    assert len(used) == (1 if memory else 0)
    system.domain.destroy()
    assert reads(system, other, 1)


def test_a_revert_with_such_a_disk_is_undone(system, other, emulator):
    """The system is where it was, though its definition has one disk less."""
    system.domain.create()
    attach(system, other, _LIVE)
    emulator.create(system.uuid, Name='s')
    with contextlib.closing(system.host.connect()) as connection:
        domain = connection.lookupByUUIDString(system.uuid)
        text = domain.snapshotLookupByName('s').getXMLDesc()
    damage(system, re.search("<memory[^>]* file='([^']*)'", text)[1])
    before = system.sources()

    failed = emulator.wait(emulator.post_revert(system.uuid, 's'))

    assert 'RevertUndone' in message_ids(failed), failed.text
    assert system.sources() == before
    system.domain.destroy()


def damage(system, path):
    """Leave the head of a memory image, and nothing of what follows."""
    inside(
        system,
        'sh',
        '-c',
        f'dd if=/dev/zero of={path} bs=64k seek=2 '
        'count=8 conv=notrunc status=none',
    )


def test_memory_alone(system, emulator):
    """A snapshot of virsh that holds no disk would give these old memory."""
    system.domain.create()
    inside(
        system,
        *('virsh', 'snapshot-create-as', system.name, 's'),
        *('--memspec', '/var/lib/libvirt/images/m.mem,snapshot=external'),
        *('--diskspec', 'vda,snapshot=no'),
    )
    number = system.domain.ID()

    for body in {}, {'Force': True}:
        refused = emulator.post_revert(system.uuid, 's', **body)
        assert refused.status_code == 409, refused.text
        assert message_ids(refused) == ['DiskNotCaptured']
    assert system.domain.ID() == number
    system.domain.destroy()


def test_a_base_that_virsh_has_merged_into(system, emulator):
    """No repair puts the guest's old blocks over its new ones."""
    emulator.create(system.uuid, Name='s')
    (overlay,) = system.sources()
    write(system, overlay, 2)
    system.domain.create()
    inside(
        system,
        *('virsh', 'blockcommit', system.name, 'vda'),
        *('--active', '--wait', '--pivot'),
    )
    system.domain.destroy()
    (base,) = system.sources()
    assert base != overlay
    # Told by the times, which may be as close as those of a capture.
    late = os.path.getmtime(system.host.path(overlay)) + 1.5
    wait_for(lambda: time.time() > late, lambda: 'the clock')
    inside(system, 'touch', base)
    assert message_ids(reset(emulator, system)) == ['DefinitionOnSnapshot']
    repair = requests.post(
        f'{emulator.collection(system.uuid)}/Actions/'
        'HawkFishSnapshotCollection.Repair',
        json={'DryRun': True},
        timeout=60,
    )

    assert repair.status_code == 409, repair.text
    assert message_ids(repair) == ['DiskWrittenSince']
