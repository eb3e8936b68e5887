# SPDX-License-Identifier: Apache-2.0
"""Too little space is told beforehand, and running out of it costs nothing."""

import os

import libvirt
import pytest
import requests

from tests.functional.emulator import Emulator
from tests.lab.domains import Disk
from tests.lab.shell import CommandError
from tests.served import message_ids

FOLDER = '/var/lib/small'
MIB = 2**20


@pytest.fixture
def small(host):
    """A file system of 512 MiB for disks."""
    mounted = host.mount_small(FOLDER, 512)
    yield mounted
    host.unmount(FOLDER)


@pytest.fixture
def system(small, make_system):
    made = make_system(disks=(Disk(folder=FOLDER),)).boot()
    yield made
    if made.domain.isActive():
        made.domain.destroy()


def fill(folder, free_mib):
    """Leave so much free in *folder*."""
    ballast = folder / 'ballast'
    ballast.unlink(missing_ok=True)
    usage = os.statvfs(folder)
    size = usage.f_bavail * usage.f_frsize - free_mib * MIB
    with ballast.open('wb') as file:
        for _ in range(size // MIB):
            file.write(b'x' * MIB)
    return ballast


def test_too_little_space_is_refused(system, small, emulator):
    """A 507 says how much is needed and how much there is; nothing is made."""
    fill(small, 100)

    refused = emulator.post_create(system.uuid, Name='s')

    assert refused.status_code == 507
    assert message_ids(refused) == ['InsufficientSpace']
    entry = refused.json()['error']['@Message.ExtendedInfo'][0]
    folder, needed, available = entry['MessageArgs']
    assert folder == FOLDER
    assert int(needed) > 256 * MIB > 110 * MIB > int(available) > 80 * MIB
    assert system.domain.snapshotListNames() == []
    assert system.guest.wait_ticks(1)


def test_space_that_was_freed_counts_at_once(system, small, emulator):
    """What was seen a moment before refuses nothing."""
    # Off, as its memory would need about as much as there is at the most.
    system.domain.destroy()
    ballast = fill(small, 100)
    assert emulator.post_create(system.uuid, Name='s').status_code == 507
    ballast.unlink()

    accepted = emulator.post_create(system.uuid, Name='s')

    assert accepted.status_code == 202, accepted.text
    assert emulator.wait(accepted).status_code == 201


def test_the_estimate_is_in_the_task(system, emulator, folder, host):
    """Every create says what it needs at the most."""
    roomy = Emulator(folder, host.uri, OS_SNAPSHOTS__SPACE_HEADROOM='16')
    roomy.start()
    try:
        accepted = roomy.post_create(system.uuid, Name='s')
        assert roomy.wait(accepted).status_code == 201
        task = requests.get(
            roomy.url
            + accepted.headers['Location'].replace('TaskMonitors', 'Tasks')
        ).json()
        told_args = [
            message['MessageArgs']
            for message in task['Messages']
            if message['MessageId'].endswith('SpaceEstimated')
        ]
        assert [args[0] for args in told_args] == [FOLDER]
        roomy.delete(system.uuid, 's')
    finally:
        roomy.stop()


# QEMU 7.2 stops the guest.
@pytest.mark.once
def test_space_that_runs_out_meanwhile(system, small, folder, host):
    """A memory file that finds no room leaves the guest, and nothing else."""
    roomy = Emulator(folder, host.uri, OS_SNAPSHOTS__SPACE_HEADROOM='0')
    roomy.start()
    try:
        system.write('one')
        roomy.order('sleep=2', 'create', 'prepare')
        accepted = roomy.post_create(system.uuid, Name='s')
        fill(small, 20)

        response = roomy.wait(accepted)

        assert response.status_code == 409
        assert message_ids(response) == ['OperationFailed']
        assert system.domain.snapshotListNames() == []
        assert [p.name for p in small.iterdir() if 'hawkfish' in p.name] == []
        assert system.read() == {'one'}
    finally:
        roomy.stop()


# An internal snapshot is merged into nothing.
@pytest.mark.once
def test_a_merge_without_space_is_refused(system, small, folder, host):
    """A delete whose data would not fit below is refused beforehand."""
    roomy = Emulator(folder, host.uri, OS_SNAPSHOTS__SPACE_HEADROOM='0')
    roomy.start()
    try:
        roomy.create(system.uuid, Name='s', IncludeMemory=False)
        system.guest.run(
            'dd if=/dev/urandom of=/mnt/big bs=1M count=30 2>/dev/null; sync',
            timeout=60,
        )
        ballast = fill(small, 10)

        refused = roomy.send_delete(system.uuid, 's')

        assert refused.status_code == 507
        assert message_ids(refused) == ['InsufficientSpace']
        ballast.unlink()
        roomy.delete(system.uuid, 's')
        assert system.guest.run('ls /mnt/big').strip() == '/mnt/big'
    finally:
        roomy.stop()


@pytest.fixture
def roomy(folder, host):
    """An emulator that keeps no headroom."""
    made = Emulator(folder, host.uri, OS_SNAPSHOTS__SPACE_HEADROOM='0')
    made.start()
    yield made
    made.stop()


def write_much(system, name, mib):
    system.guest.run(
        f'dd if=/dev/urandom of=/mnt/{name} bs=1M count={mib} 2>/dev/null; '
        'sync',
        timeout=60,
    )
    return system.guest.checksum(f'/mnt/{name}')


# An internal snapshot has no overlay.
@pytest.mark.once
def test_an_overlay_that_fills_up(system, small, roomy):
    """
    A guest that finds no room is paused by QEMU and loses nothing.

    What cannot be done meanwhile is refused; with room it all goes on.
    """
    system.write('one')
    roomy.create(system.uuid, Name='s', IncludeMemory=False)
    ballast = fill(small, 8)
    with pytest.raises(CommandError):
        system.guest.run(
            'dd if=/dev/zero of=/mnt/big bs=1M count=30; sync', timeout=15
        )
    assert system.domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED

    refused = [
        roomy.post_create(system.uuid, Name='t'),
        roomy.send_delete(system.uuid, 's'),
    ]

    assert [r.status_code for r in refused] == [507, 409]
    assert message_ids(refused[1]) == ['SystemPaused']
    ballast.unlink()
    system.domain.resume()
    system.guest.wait_ticks(1)
    assert system.read() == {'one'}
    roomy.delete(system.uuid, 's')
    assert system.read() == {'one'}


# An internal snapshot is merged into nothing.
@pytest.mark.once
def test_a_merge_that_fills_the_disk(system, small, roomy):
    """
    A snapshot whose merge broke off is Failed: it is never reverted to, but
    can be deleted again, and the present state is whole all the time.
    """
    roomy.create(system.uuid, Name='s', IncludeMemory=False)
    checksum = write_much(system, 'big', 30)
    roomy.order('sleep=2', 'delete', 'merge')
    accepted = roomy.send_delete(system.uuid, 's')
    ballast = fill(small, 10)

    failed = roomy.wait(accepted)

    assert message_ids(failed) == ['MergeFailed']
    assert system.guest.checksum('/mnt/big') == checksum
    snapshot = roomy.snapshot(system.uuid, 's')
    assert snapshot['SnapshotState'] == 'Failed'
    assert snapshot['Status'] == {
        'State': 'UnavailableOffline',
        'Health': 'Critical',
    }
    refused = roomy.post_revert(system.uuid, 's')
    assert message_ids(refused) == ['SnapshotDamaged']
    ballast.unlink()
    roomy.delete(system.uuid, 's')
    assert system.guest.checksum('/mnt/big') == checksum


# An internal snapshot is merged into nothing.
@pytest.mark.once
def test_a_merge_of_a_disk_that_was_made_bigger(make_system, small, roomy):
    """The base can grow to what the disk is now, and that counts."""
    system = make_system(
        disks=(
            Disk(),
            Disk(format='raw', size_mib=64, formatted=False, folder=FOLDER),
        )
    )
    # Allocated to its last byte, it cannot grow by what it had.
    system.host.path(system.sources()[1]).write_bytes(b'\1' * 64 * MIB)
    system.boot()
    roomy.create(system.uuid, Name='s', IncludeMemory=False)
    bytes_flag = libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
    system.domain.blockResize('vdb', 256 * MIB, bytes_flag)
    system.guest.run(
        'dd if=/dev/urandom of=/tmp/some bs=1M count=10 2>/dev/null; '
        'for at in $(seq 70 10 200); do '
        'dd if=/tmp/some of=/dev/vdb bs=1M seek=$at conv=fsync; done',
        timeout=120,
    )
    fill(small, 50)

    refused = roomy.send_delete(system.uuid, 's')

    assert message_ids(refused) == ['InsufficientSpace']
    assert roomy.snapshot(system.uuid, 's')['SnapshotState'] == 'Ready'
    system.domain.destroy()
