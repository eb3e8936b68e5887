# SPDX-License-Identifier: Apache-2.0
"""Snapshots of real guests: create, change, revert, delete."""

import libvirt
import pytest

from tests.lab import domains
from tests.lab.domains import Disk
from tests.served import message_ids

KINDS = {
    'virtio': {},
    'scsi': {'disks': (Disk(bus='scsi'),)},
    'three': {
        'disks': (Disk(), Disk(bus='scsi'), Disk(bus='sata')),
        'cdrom': 'empty',
    },
    'ide': {'disks': (Disk(bus='ide'),), 'machine': 'pc'},
}


@pytest.mark.parametrize('kind', KINDS)
def test_disks_go_back_together(make_system, emulator, kind):
    """Whatever the bus, a revert brings back every disk and the memory."""
    system = make_system(**KINDS[kind]).boot()
    before = system.sources()
    system.write('one')
    system.guest.run('echo one > /run/memory')

    snapshot = emulator.create(system.uuid, Name='clean')

    assert snapshot['SnapshotType'] == 'DiskAndMemory'
    assert snapshot['PowerState'] == 'On'
    captured = system.guest.ticks()
    system.write('two')
    system.guest.run('echo two > /run/memory')
    system.guest.wait_ticks(3)

    emulator.revert(system.uuid, 'clean')

    assert system.read() == {'one'}
    assert system.guest.run('cat /run/memory').strip() == 'one'
    assert system.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    # The console's log begins anew; the count in the guest's memory does not.
    assert captured <= system.guest.wait_ticks(1)
    system.write('three')

    emulator.delete(system.uuid, 'clean')

    assert system.read() == {'three'}
    assert system.sources() == before
    assert system.leftovers() == []


def test_metal3_like_system(make_system, emulator, external):
    """UEFI with raw variables, a pool volume, an empty drive, no agent."""
    system = make_system(
        disks=(Disk(volume=True),), firmware='uefi', cdrom='empty', agent=False
    ).boot()
    if not external:
        for _ in ('running', 'off'):
            refused = emulator.post_create(system.uuid, Name='no')
            assert refused.status_code == 409
            assert message_ids(refused) == ['InternalNeedsQcow2Nvram']
            if system.domain.isActive():
                system.domain.destroy()
        return
    for turn in ('1', '2'):
        system.write(f'a{turn}')
        emulator.create(system.uuid, Name='s')
        system.write(f'b{turn}')
        emulator.revert(system.uuid, 's')
        assert system.read() == {f'a{turn}'}
        emulator.delete(system.uuid, 's')
        assert system.read() == {f'a{turn}'}
        assert system.leftovers() == []


@pytest.mark.parametrize('power', ['paused', 'off'])
def test_states_are_captured(make_system, emulator, power):
    """A paused system comes back paused, one that was off comes back off."""
    system = make_system().boot()
    system.write('one')
    if power == 'paused':
        system.domain.suspend()
    else:
        system.domain.destroy()
    state = system.domain.state()[0]
    expected = {'paused': 'Paused', 'off': 'Off'}[power]

    snapshot = emulator.create(system.uuid, Name='s')

    assert snapshot['PowerState'] == expected
    assert snapshot['SnapshotType'] == (
        'DiskAndMemory' if power == 'paused' else 'Disk'
    )
    if power == 'paused':
        system.domain.resume()
    else:
        system.boot()
    system.write('two')

    emulator.revert(system.uuid, 's')

    assert system.domain.state()[0] == state
    if power == 'paused':
        system.domain.resume()
    else:
        system.boot()
    assert system.read() == {'one'}
    emulator.delete(system.uuid, 's')
    assert system.read() == {'one'}


def test_without_memory(make_system, emulator, external):
    """Disks alone on request: a revert to them boots the system."""
    system = make_system().boot()
    system.write('one')
    response = emulator.post_create(system.uuid, Name='s', IncludeMemory=False)
    if not external:
        assert response.status_code == 409
        assert message_ids(response) == ['InternalNeedsMemory']
        return
    snapshot = emulator.wait(response).json()
    assert snapshot['SnapshotType'] == 'Disk'
    system.write('two')

    emulator.revert(system.uuid, 's')

    system.guest.wait_booted()
    assert system.read() == {'one'}
    emulator.delete(system.uuid, 's')
    assert system.read() == {'one'}
    assert system.leftovers() == []


@pytest.mark.parametrize(
    'target, state',
    [
        ('Off', libvirt.VIR_DOMAIN_SHUTOFF),
        ('Paused', libvirt.VIR_DOMAIN_PAUSED),
        ('On', libvirt.VIR_DOMAIN_RUNNING),
    ],
)
def test_target_power_state(make_system, emulator, target, state):
    """A revert leaves the system in the power state that was asked for."""
    system = make_system().boot()
    emulator.create(system.uuid, Name='running')

    emulator.revert(system.uuid, 'running', TargetPowerState=target)

    assert system.domain.state()[0] == state


def test_branches(make_system, emulator, external):
    """Snapshots grow as a tree, and every node of it keeps its data."""
    system = make_system().boot()
    for name in ('root', 'left'):
        system.write(name)
        emulator.create(system.uuid, Name=name)
    emulator.revert(system.uuid, 'root')
    system.write('right')
    emulator.create(system.uuid, Name='right')

    tree = {
        s['Name']: s['Links']['ParentSnapshot']
        for s in emulator.snapshots(system.uuid)
    }
    assert tree['root'] is None
    assert tree['left'] == tree['right']
    assert tree['left']['@odata.id'].endswith('/root')
    for name in ('left', 'right', 'root', 'left'):
        emulator.revert(system.uuid, name)
        assert system.read() == {name}
    if external:
        refused = emulator.send_delete(system.uuid, 'root')
        assert refused.status_code == 409
        assert message_ids(refused) == ['SnapshotReferenced']
    emulator.delete(system.uuid, 'right')
    emulator.delete(system.uuid, 'root')
    emulator.delete(system.uuid, 'left')
    assert system.read() == {'left'}
    assert system.leftovers() == []


def test_a_branch_beside_one_that_is_deleted(make_system, emulator):
    """A snapshot aside outlives the newest one and the revert after it."""
    system = make_system().boot()
    for name in ('root', 'aside'):
        system.write(name)
        emulator.create(system.uuid, Name=name)
    emulator.revert(system.uuid, 'root')
    system.write('newest')
    emulator.create(system.uuid, Name='newest')
    emulator.delete(system.uuid, 'newest')
    assert system.read() == {'newest'}

    for name in ('root', 'aside', 'root', 'aside'):
        emulator.revert(system.uuid, name)
        assert system.read() == {name}
    for name in ('aside', 'root'):
        emulator.delete(system.uuid, name)
    assert system.read() == {'aside'}
    assert system.leftovers() == []


def test_snapshot_made_by_virsh(make_system, emulator, external):
    """A snapshot that libvirt made for others is handled like our own."""
    system = make_system().boot()
    system.write('one')
    memory = f'/var/lib/libvirt/images/{system.name}-virsh.mem'
    text = (
        f"<memory snapshot='external' file='{memory}'/><disks>"
        "<disk name='vda' snapshot='external'/></disks>"
    )
    system.domain.snapshotCreateXML(
        '<domainsnapshot><name>theirs</name>'
        f'{text if external else ""}</domainsnapshot>'
    )
    system.write('two')

    listed = emulator.snapshot(system.uuid, 'theirs')

    assert listed['SnapshotState'] == 'Ready'
    assert listed['StorageType'] == ('External' if external else 'Internal')
    emulator.revert(system.uuid, 'theirs')
    assert system.read() == {'one'}
    emulator.delete(system.uuid, 'theirs')
    assert system.read() == {'one'}
    assert system.leftovers() == []


ODD_NAMES = [
    "it's \"quoted\" & <b>bold",
    'with space',
    'ünïcödé 日本',
    '-rf',
    '%2F%00',
    'x' * 128,
    '$(reboot)',
]


@pytest.mark.parametrize('name', ODD_NAMES)
def test_odd_names(make_system, emulator, name):
    """Names and descriptions reach libvirt as they are, and nothing else."""
    system = make_system(
        boot_guest=False, disks=(Disk(size_mib=1, formatted=False),)
    )
    text = '</description><disks/> & "more"'
    emulator.create(system.uuid, Name=name, Description=text)

    assert system.domain.snapshotListNames() == [name]
    assert emulator.snapshot(system.uuid, name)['Description'] == text
    emulator.revert(system.uuid, name)
    emulator.delete(system.uuid, name)
    assert system.leftovers() == []


def test_medium_in_the_drive(make_system, emulator, host, external):
    """
    A medium is back in its drive after a revert; one that is gone is ejected.

    Its file is never written to. An internal snapshot, which cannot be
    reverted to without it, says so before the system is stopped.
    """
    path = domains.make_medium(host, 'node-medium.iso')
    content = host.path(path).read_bytes()
    system = make_system(cdrom=path, full_kernel=True).boot()
    system.write('one')
    emulator.create(system.uuid, Name='s')

    system.write('two')
    emulator.revert(system.uuid, 's')
    assert system.read() == {'one'}
    assert f"file='{path}'" in system.domain.XMLDesc(0)
    # The first read after a change of media fails, as on real drives.
    read = 'head -c 8 /dev/sr0 2>/dev/null || head -c 8 /dev/sr0'
    assert system.guest.run(read) == 'a medium'
    assert host.path(path).read_bytes() == content

    host.path(path).unlink()
    response = emulator.post_revert(system.uuid, 's')
    if external:
        assert emulator.wait(response).status_code == 200
        assert system.read() == {'one'}
        assert f"file='{path}'" not in system.domain.XMLDesc(0)
        warned = emulator.tasks()[-1]['Messages']
        assert 'HawkFish.1.0.MediaEjected' in {
            message['MessageId'] for message in warned
        }
    else:
        assert response.status_code == 409
        assert message_ids(response) == ['SnapshotFileMissing']
    emulator.delete(system.uuid, 's')
    assert system.leftovers() == []


def test_medium_and_branches(make_system, emulator, host):
    """Putting a medium back takes nothing from the other branches."""
    path = domains.make_medium(host, 'node-branches.iso')
    system = make_system(cdrom=path).boot()
    for name in ('root', 'left'):
        system.write(name)
        emulator.create(system.uuid, Name=name)

    for name in ('root', 'root', 'left', 'root', 'left'):
        emulator.revert(system.uuid, name)
        assert system.read() == {name}

    emulator.delete(system.uuid, 'root')
    emulator.revert(system.uuid, 'left')
    assert system.read() == {'left'}
    emulator.delete(system.uuid, 'left')
    assert system.leftovers() == []


def test_a_start_that_fails_after_a_revert(make_system, emulator, external):
    """
    It is undone, and loses nothing.

    One by libvirt, to an internal snapshot, has no way back.
    """
    system = make_system(cdrom='empty')
    emulator.create(system.uuid, Name='off')
    system.boot().write('two')
    serial = system.host.path('/var/log/hawkfish-lab')
    serial.rename(serial.with_suffix('.away'))
    try:
        response = emulator.wait(
            emulator.post_revert(system.uuid, 'off', TargetPowerState='On')
        )
    finally:
        serial.with_suffix('.away').rename(serial)

    assert response.status_code == 409
    expected = 'RevertUndone' if external else 'RevertNotStarted'
    assert message_ids(response) == [expected]
    assert not system.domain.isActive()
    system.boot()
    if external:
        assert system.read() == {'two'}
    else:
        assert system.guest.run('ls /mnt/data 2>/dev/null || true') == ''
    emulator.delete(system.uuid, 'off')
    assert system.leftovers() == []


@pytest.mark.once
def test_a_revert_that_fails_is_undone(make_system, emulator):
    """A damaged memory file costs the guest its memory, and no data."""
    system = make_system().boot()
    system.write('one')
    emulator.create(system.uuid, Name='s')
    system.write('two')
    (memory,) = system.host.path(domains.IMAGES).glob('hawkfish-*.mem')
    whole = memory.read_bytes()
    # Further in than it is looked at before.
    memory.write_bytes(whole[: -(2**20)] + b'\xff' * 2**20)

    response = emulator.wait(emulator.post_revert(system.uuid, 's'))

    assert response.status_code == 409
    assert message_ids(response) == ['RevertUndone']
    system.guest.wait_booted()
    assert system.read() == {'two'}
    memory.write_bytes(whole)
    emulator.revert(system.uuid, 's')
    assert system.read() == {'one'}
    memory.unlink()
    ticks = system.guest.wait_ticks(1)
    refused = emulator.post_revert(system.uuid, 's')
    assert refused.status_code == 409
    assert message_ids(refused) == ['SnapshotFileMissing']
    assert system.guest.wait_ticks(1) > ticks
    emulator.delete(system.uuid, 's')
    assert system.leftovers() == []


def test_safety_snapshot(make_system, emulator):
    """What the revert would have lost can be reverted to afterwards."""
    system = make_system().boot()
    system.write('one')
    emulator.create(system.uuid, Name='s')
    system.write('two')

    emulator.revert(system.uuid, 's', SafetySnapshot=True)

    assert system.read() == {'one'}
    (safety,) = [
        s['Name'] for s in emulator.snapshots(system.uuid) if s['Name'] != 's'
    ]
    emulator.revert(system.uuid, safety)
    assert system.read() == {'two'}
    for name in (safety, 's'):
        emulator.delete(system.uuid, name)
    assert system.leftovers() == []
