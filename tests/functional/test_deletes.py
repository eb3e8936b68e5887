# SPDX-License-Identifier: Apache-2.0
"""
Deletes of what is not as libvirt thinks, and deletes that are told to stop.

Whatever becomes of a delete, nothing but its snapshot is changed by it.

Long, as each way in which libvirt is wrong has its test.
"""

import contextlib
import os
import re
import signal
import subprocess

import libvirt
import pytest
import requests

from hawkfish_plugin.drivers.libvirt import filenames
from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator, last_messages
from tests.lab import domains
from tests.lab.domains import Disk
from tests.lab.host import IMAGES
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

TWO_DISKS = {**SMALL, 'disks': (Disk(size_mib=16, formatted=False),) * 2}
_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE
_NO_METADATA = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
)


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('internal snapshots are merged into nothing')


def inside(host, *command):
    """What a tool of the host prints, on its own paths."""
    done = subprocess.run(
        ['chroot', str(host.root), *command], capture_output=True, text=True
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def write(system, number, path=None, where='0'):
    """Let a disk of a system that is off hold *number*."""
    path = path or system.sources()[0]
    command = f'write -P {number} {where} 64k'
    inside(system.host, 'qemu-io', '-c', command, path)


def holds(system, number, path=None, where='0'):
    """Whether what is written *where* on a disk is *number*."""
    path = path or system.sources()[0]
    command = f'read -P {number} {where} 64k'
    done = subprocess.run(
        [
            *('chroot', str(system.host.root)),
            *('qemu-io', '-r', '-U', '-c', command, path),
        ],
        capture_output=True,
        text=True,
    )
    assert 'bytes at offset' in done.stdout, done.stderr
    return done.returncode == 0


def captured(system, name):
    """The file that the first disk was in when a snapshot was taken."""
    text = system.domain.snapshotLookupByName(name).getXMLDesc()
    return re.search(r"<domain .*?<source file='([^']*)'", text, re.S)[1]


def disk_xml(system, target):
    found = re.findall(
        r'<disk .*?</disk>', system.domain.XMLDesc(_INACTIVE), re.DOTALL
    )
    return next(xml for xml in found if f"dev='{target}'" in xml)


def purge(emulator, system, **body):
    response = requests.post(
        f'{emulator.collection(system.uuid)}/Actions/'
        'HawkFishSnapshotCollection.Purge',
        json=body,
        timeout=60,
    )
    return emulator.wait(response) if response.ok else response


# Disks that are gone or others, and layers of others ------------------------


@pytest.fixture
def detached(make_system, emulator):
    """A system whose second disk was detached after a snapshot."""
    system = make_system(**TWO_DISKS)
    emulator.create(system.uuid, Name='s')
    overlay = system.sources()[1]
    write(system, 7, overlay)
    system.domain.detachDeviceFlags(
        disk_xml(system, 'vdb'), libvirt.VIR_DOMAIN_AFFECT_CONFIG
    )
    return system, overlay


@pytest.mark.parametrize('power', ['off', 'running'])
@pytest.mark.parametrize('way', ['delete', 'purge'])
def test_a_disk_that_was_detached(detached, emulator, power, way):
    """The snapshot can be got rid of; the disk's file is kept and named."""
    system, overlay = detached
    if power == 'running':
        system.domain.create()

    if way == 'delete':
        emulator.delete(system.uuid, 's')
    else:
        assert purge(emulator, system, Force=True).status_code == 200

    assert emulator.snapshots(system.uuid) == []
    assert holds(system, 7, overlay)
    kept = [
        message['MessageArgs'][1]
        for message in emulator.tasks()[-1]['Messages']
        if message['MessageId'].endswith('DiskDataKept')
    ]
    assert kept == [overlay]
    assert [f'{IMAGES}/{name}' for name in system.leftovers()] == [overlay]


@pytest.mark.parametrize('captured_again', [True, False])
def test_a_disk_that_was_detached_later(make_system, emulator, captured_again):
    """The later snapshots are of what they were, with the disk or without."""
    system = make_system(**TWO_DISKS)
    emulator.create(system.uuid, Name='s')
    overlay = system.sources()[1]
    write(system, 7, overlay)
    disk = disk_xml(system, 'vdb')
    if captured_again:
        emulator.create(system.uuid, Name='t')
        disk = disk_xml(system, 'vdb')
    system.domain.detachDeviceFlags(disk, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    if not captured_again:
        emulator.create(system.uuid, Name='t')

    emulator.delete(system.uuid, 's')
    emulator.revert(system.uuid, 't')

    assert [s['Name'] for s in emulator.snapshots(system.uuid)] == ['t']
    assert holds(system, 7, overlay)
    if captured_again:
        assert holds(system, 7, system.sources()[1])


def test_a_detached_disk_that_a_purge_forgets(make_system, emulator):
    """What libvirt names no more may stand on what is to be merged into."""
    system = make_system(**TWO_DISKS)
    emulator.create(system.uuid, Name='s')
    overlay = system.sources()[1]
    write(system, 7, overlay)
    system.domain.detachDeviceFlags(
        disk_xml(system, 'vdb'), libvirt.VIR_DOMAIN_AFFECT_CONFIG
    )
    emulator.revert(system.uuid, 's')
    # It is deleted first, and libvirt forgets the overlay with it.
    emulator.create(system.uuid, Name='t')
    emulator.revert(system.uuid, 's')
    write(system, 9, system.sources()[1], '8M')

    refused = purge(emulator, system)

    assert message_ids(refused) == ['SnapshotCloned'], refused.text
    assert emulator.snapshot(system.uuid, 's')['SnapshotState'] == 'Ready'
    assert holds(system, 7, overlay)
    assert holds(system, 0, overlay, '8M')


@pytest.mark.parametrize('power', ['off', 'running'])
def test_another_disk_at_the_target(make_system, emulator, power):
    """A delete is refused, a purge is not; no data of either disk is lost."""
    system = make_system(**TWO_DISKS)
    emulator.create(system.uuid, Name='s')
    overlay = system.sources()[1]
    write(system, 7, overlay)
    other = f'{IMAGES}/{system.name}-other.qcow2'
    inside(
        system.host, 'qemu-img', 'create', '-q', '-f', 'qcow2', other, '16M'
    )
    write(system, 8, other)
    text = system.domain.XMLDesc(_INACTIVE)
    system.host.connect().defineXML(text.replace(overlay, other))
    if power == 'running':
        system.domain.create()

    refused = emulator.send_delete(system.uuid, 's')

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['DiskReplaced'],
    )
    assert emulator.snapshot(system.uuid, 's')['SnapshotState'] == 'Ready'
    assert purge(emulator, system).status_code == 200
    assert holds(system, 7, overlay)
    assert holds(system, 8, other)


def test_the_disk_is_a_volume_of_a_pool(make_system, emulator):
    """A running system is merged into it, though libvirt says no path."""
    system = make_system(disks=(Disk(volume=True),)).boot()
    system.write('one')
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    system.write('two')

    emulator.delete(system.uuid, 's')

    assert system.read() == {'two'}
    assert system.leftovers() == []


@pytest.mark.parametrize('power', ['off', 'running'])
def test_a_layer_of_others(make_system, emulator, power):
    """What a backup tool has put on top stays there, and is no obstacle."""
    system = make_system(**SMALL)
    write(system, 1)
    emulator.create(system.uuid, Name='r')
    emulator.create(system.uuid, Name='s')
    write(system, 2, where='1M')
    if power == 'running':
        system.domain.create()
    system.domain.snapshotCreateXML(
        "<domainsnapshot><name>backup</name><disks><disk name='vda' "
        "snapshot='external'/></disks></domainsnapshot>",
        _NO_METADATA,
    )
    backup = system.sources()[0]

    emulator.delete(system.uuid, 's')
    emulator.delete(system.uuid, 'r')

    assert system.sources() == [backup]
    assert holds(system, 1) and holds(system, 2, where='1M')
    assert system.orphans() == []
    if system.domain.isActive():
        system.domain.destroy()
    system.domain.create()


# Branches -------------------------------------------------------------------


@pytest.mark.parametrize('state', ['on', 'off', 'off on top'])
def test_below_another_branch(make_system, emulator, state):
    """A delete leaves every branch as it was, whatever the power state."""
    system = make_system(**SMALL)
    write(system, 1)
    if state != 'off':
        system.domain.create()
    for name in 'ab':
        emulator.create(system.uuid, Name=name)
    if state == 'off on top':
        system.domain.destroy()
    if state != 'on':
        write(system, 2, where='1M')
    emulator.create(system.uuid, Name='c')
    emulator.revert(system.uuid, 'b')
    emulator.create(system.uuid, Name='d')

    emulator.delete(system.uuid, 'a')

    emulator.revert(system.uuid, 'c')
    assert holds(system, 1)
    assert state == 'on' or holds(system, 2, where='1M')
    emulator.revert(system.uuid, 'd')
    assert holds(system, 1)
    for name in ('c', 'd', 'b'):
        emulator.delete(system.uuid, name)
    assert holds(system, 1) and not holds(system, 2, where='1M')
    assert system.leftovers() == []


def test_what_another_branch_still_stands_on(make_system, emulator):
    """A file that was merged is no clone while a snapshot stands on it."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='a')
    write(system, 1)
    for name in 'bc':
        emulator.create(system.uuid, Name=name)
    emulator.revert(system.uuid, 'b')
    emulator.create(system.uuid, Name='d')
    emulator.delete(system.uuid, 'a')

    purged = purge(emulator, system)

    assert purged.status_code == 200, purged.text
    assert holds(system, 1)
    assert system.leftovers() == []


@pytest.mark.parametrize('branch', [True, False])
def test_what_a_purge_has_left(make_system, emulator, host, branch):
    """A file of others, discarded or merged, keeps nothing from it."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='a')
    write(system, 1)
    (overlay,) = system.sources()
    moved = f'{IMAGES}/{system.name}-moved.qcow2'
    host.path(overlay).rename(host.path(moved))
    text = system.domain.XMLDesc(_INACTIVE)
    system.host.connect().defineXML(text.replace(overlay, moved))
    emulator.create(system.uuid, Name='b')
    if branch:
        emulator.revert(system.uuid, 'a')
    write(system, 2, where='1M')

    purged = purge(emulator, system)

    assert purged.status_code == 200, purged.text
    assert holds(system, 0 if branch else 1)
    assert holds(system, 2, where='1M')


def test_a_disk_that_virsh_left_out(make_system, emulator):
    """What it was on when it was discarded is kept, and told of."""
    system = make_system(**TWO_DISKS)
    emulator.create(system.uuid, Name='s')
    overlay = system.sources()[1]
    write(system, 7, overlay)
    system.domain.snapshotCreateXML(
        '<domainsnapshot><name>v</name><disks>'
        "<disk name='vda' snapshot='external'/>"
        "<disk name='vdb' snapshot='no'/></disks></domainsnapshot>",
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
    )
    emulator.revert(system.uuid, 's')

    emulator.delete(system.uuid, 'v')

    assert holds(system, 7, overlay)
    assert 'DiskDataKept' in last_messages(emulator)
    (kept,) = {
        argument
        for message in emulator.tasks()[-1]['Messages']
        for argument in message['MessageArgs']
        if argument.startswith('/')
    }
    assert kept == overlay
    system.host.path(overlay).unlink()


def test_the_child_of_one_that_leaves_a_disk_out(make_system, emulator):
    """libvirt does not let the snapshot be one of that disk then."""
    system = make_system(**TWO_DISKS)
    emulator.create(system.uuid, Name='s')
    system.domain.snapshotCreateXML(
        '<domainsnapshot><name>v</name><disks>'
        "<disk name='vda' snapshot='no'/>"
        "<disk name='vdb' snapshot='external'/></disks></domainsnapshot>",
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
    )
    emulator.create(system.uuid, Name='t')
    emulator.revert(system.uuid, 'v', Force=True)

    emulator.delete(system.uuid, 't')
    emulator.delete(system.uuid, 's')

    listed = system.domain.snapshotLookupByName('v').getXMLDesc()
    assert "<disk name='vda' snapshot='no'/>" in listed.partition('</disks')[0]
    assert purge(emulator, system).status_code == 200
    system.domain.create()


@pytest.mark.parametrize('drive', ['empty', 'medium is gone'])
def test_a_drive_in_branches(make_system, emulator, host, drive):
    """An empty drive, or one without its medium, takes nobody's libvirtd."""
    medium = drive
    if drive != 'empty':
        medium = domains.make_medium(host, 'node-medium.iso')
    system = make_system(**SMALL, cdrom=medium)
    system.domain.create()
    for name in 'abc':
        emulator.create(system.uuid, Name=name)
    emulator.revert(system.uuid, 'b')
    emulator.create(system.uuid, Name='d')
    if drive != 'empty':
        host.path(medium).unlink()
    pid = host.daemon_pid()

    emulator.delete(system.uuid, 'a')

    assert host.daemon_pid() == pid
    emulator.revert(system.uuid, 'c')


# Told to stop ---------------------------------------------------------------


@pytest.fixture
def hasty(folder, host):
    """An emulator whose tasks have two seconds."""
    made = Emulator(folder, host.uri, OS_TASKS__DEADLINE='2')
    made.start()
    yield made
    made.stop()


@pytest.fixture
def big(make_system, emulator):
    """A system with much to merge; it is off."""
    system = make_system(
        **SMALL | {'disks': (Disk(size_mib=512, formatted=False),)}
    )
    for number, name in enumerate(('one', 'two', 'three'), 1):
        fill(system, number)
        emulator.create(system.uuid, Name=name)
    fill(system, 4)
    return system


def fill(system, number):
    """Write 160 MiB, the first 80 of them over those of the number before."""
    command = f'write -P {number} {80 * number}M 160M'
    inside(system.host, 'qemu-io', '-c', command, system.sources()[0])


def content(system, path=None):
    """The numbers on a disk, one for each 80 MiB."""
    return [
        next(n for n in range(5) if holds(system, n, path, f'{at}M'))
        for at in range(100, 500, 80)
    ]


NOW = [1, 2, 3, 4, 4]


def begin(emulator, system, name):
    """
    Begin a delete that takes minutes, and wait until it merges.

    Returns the accepted request, and the domain that merges: the driver's own
    where the system is off.
    """
    connection = system.host.connect()
    whose = {system.uuid, filenames.merger_uuid(system.uuid)}

    def find():
        for domain in connection.listAllDomains():
            if domain.UUIDString() in whose:
                with contextlib.suppress(libvirt.libvirtError):
                    if domain.blockJobInfo('vda').get('cur'):
                        return domain
        return None

    with emulator.merging_slowly():
        accepted = emulator.send_delete(system.uuid, name)
        return accepted, wait_for(find, 'a merge')


def state_of(emulator, system):
    return {
        s['Name']: s['SnapshotState'] for s in emulator.snapshots(system.uuid)
    }


def check_whole(emulator, system, gone):
    """All but *gone* is as it was, and can be deleted without a rest."""
    assert content(system) == NOW
    left = {'one', 'two', 'three'} - {gone}
    assert state_of(emulator, system) == dict.fromkeys(left, 'Ready')
    was = {'one': [1, 1, 0, 0, 0], 'two': [1, 2, 2, 0, 0]}
    for name in left & was.keys():
        assert content(system, captured(system, name)) == was[name]
    assert purge(emulator, system).status_code == 200
    if system.domain.isActive():
        system.domain.destroy()
    assert content(system) == NOW
    assert system.leftovers() == []
    assert system.domain.isPersistent()
    system.domain.create()


def abandon(emulator, accepted):
    """Abandon the task of an accepted request."""
    number = accepted.headers['Location'].rpartition('/')[2]
    url = f'{emulator.url}/redfish/v1/TaskService/Tasks/{number}'
    actions = requests.get(url, timeout=60).json()['Actions']['Oem']
    target = actions['#HawkFishTask.Abandon']['target']
    abandoned = requests.post(emulator.url + target, timeout=60)
    assert abandoned.status_code == 204, abandoned.text


@pytest.mark.parametrize('power', ['off', 'running'])
@pytest.mark.parametrize('name', ['two', 'three'])
def test_cancelled(big, emulator, power, name):
    """A merge that is stopped leaves what the next delete finishes."""
    if power == 'running':
        big.domain.create()
    accepted, _ = begin(emulator, big, name)

    emulator.cancel(accepted)

    task = emulator.tasks()[-1]
    assert task['TaskState'] == 'Cancelled'
    assert 'MergeStopped' in last_messages(emulator)
    states = state_of(emulator, big)
    assert states.pop(name) == 'Failed'
    assert set(states.values()) == {'Ready'}
    assert content(big) == NOW
    emulator.delete(big.uuid, name)
    check_whole(emulator, big, name)


@pytest.mark.parametrize('power', ['off', 'running'])
@pytest.mark.parametrize('name', ['two', 'three'])
def test_abandoned(big, emulator, power, name):
    """Who abandons a merge finds it stopped, and its snapshot Failed."""
    if power == 'running':
        big.domain.create()
    accepted, qemu = begin(emulator, big, name)

    abandon(emulator, accepted)

    assert state_of(emulator, big)[name] == 'Failed'

    def is_stopped():
        with contextlib.suppress(libvirt.libvirtError):
            return not qemu.isActive() or not qemu.blockJobInfo('vda')
        return True

    wait_for(is_stopped, 'the end of the merge')
    assert content(big) == NOW
    emulator.delete(big.uuid, name)
    check_whole(emulator, big, name)


@pytest.mark.parametrize('power', ['off', 'running'])
def test_out_of_time(big, hasty, power):
    """A merge ends at the deadline of its task, and the next goes on."""
    if power == 'running':
        big.domain.create()
    accepted, _ = begin(hasty, big, 'two')

    ended = hasty.wait(accepted)

    assert message_ids(ended) == ['OperationTimedOut']
    assert state_of(hasty, big)['two'] == 'Failed'
    hasty.delete(big.uuid, 'two')
    check_whole(hasty, big, 'two')


def test_a_system_that_is_off_stays_off(big, emulator):
    """For whoever looks, and whatever looks for systems."""
    # The first read of all would wait for the end of the delete.
    requests.get(emulator.system(big.uuid), timeout=60)
    accepted, merger = begin(emulator, big, 'two')

    seen = requests.get(emulator.system(big.uuid), timeout=60).json()
    reset = requests.post(
        f'{emulator.system(big.uuid)}/Actions/ComputerSystem.Reset',
        json={'ResetType': 'On'},
        timeout=60,
    )
    listed = requests.get(f'{emulator.url}/redfish/v1/Systems', timeout=60)

    assert seen['PowerState'] == 'Off'
    assert reset.status_code == 503
    assert merger.UUIDString() not in listed.text
    assert big.uuid in listed.text
    assert not big.domain.isActive()
    merger.blockJobSetSpeed('vda', 0)
    assert emulator.wait(accepted).status_code == 204
    check_whole(emulator, big, 'two')


@pytest.mark.parametrize('victim', ['qemu', 'libvirtd', 'emulator'])
@pytest.mark.parametrize('power', ['off', 'running'])
@pytest.mark.parametrize('name', ['two', 'three'])
def test_killed_in_a_merge(big, emulator, host, victim, power, name):
    """Whoever dies, the task ends with the truth and no data is lost."""
    if power == 'running':
        big.domain.create()
    accepted, merger = begin(emulator, big, name)
    if victim == 'qemu':
        os.kill(host.qemu_pid(merger.name()), signal.SIGKILL)
    elif victim == 'libvirtd':
        host.kill_daemon()
        host.start_daemon()
    else:
        emulator.stop()
        emulator.start()
    with contextlib.suppress(libvirt.libvirtError):
        host.connect().lookupByName(merger.name()).blockJobSetSpeed('vda', 0)

    ended = emulator.wait(accepted)

    assert content(big) == NOW
    if victim == 'qemu':
        assert message_ids(ended) == ['MergeFailed']
        assert state_of(emulator, big)[name] == 'Failed'
        emulator.delete(big.uuid, name)
    else:
        assert ended.status_code == 204, ended.text
    check_whole(emulator, big, name)


def test_a_copy_of_somebody_else(big, emulator, host):
    """It began when QEMU had died with the merge, and is no merge of ours."""
    big.domain.create()
    accepted, merger = begin(emulator, big, 'three')
    emulator.stop()
    os.kill(host.qemu_pid(merger.name()), signal.SIGKILL)
    wait_for(lambda: not big.domain.isActive(), 'the end of QEMU')
    big.domain.create()
    copy = f'{IMAGES}/backup.qcow2'
    big.domain.blockCopy(
        'vda',
        f"<disk type='file'><source file='{copy}'/>"
        "<driver type='qcow2'/></disk>",
        None,
        libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB,
    )
    before = big.sources()
    emulator.start()

    ended = emulator.wait(accepted)

    assert message_ids(ended) == ['BlockJobActive'], ended.text
    assert big.sources() == before
    kind = big.domain.blockJobInfo('vda')['type']
    assert kind == libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY
    assert state_of(emulator, big)['three'] == 'Failed'
    big.domain.blockJobAbort('vda')
    host.path(copy).unlink()
    emulator.delete(big.uuid, 'three')
    check_whole(emulator, big, 'three')


def test_a_merge_of_somebody_else(big, emulator):
    """Of other files of the disk; ours has ended meanwhile."""
    big.domain.create()
    accepted, _ = begin(emulator, big, 'two')
    emulator.stop()
    big.domain.blockJobAbort('vda')
    top = captured(big, 'two')
    big.domain.blockCommit('vda', captured(big, 'one'), top, 1, 0)
    emulator.start()

    ended = emulator.wait(accepted)

    assert message_ids(ended) == ['BlockJobActive'], ended.text
    kind = big.domain.blockJobInfo('vda')['type']
    assert kind == libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT
    assert state_of(emulator, big)['two'] == 'Failed'
    big.domain.blockJobAbort('vda')
    emulator.delete(big.uuid, 'two')
    assert content(big) == NOW


FAIL_ONCE = """
import os
import libvirt

def _fail_once(flag, _real=libvirt.virDomain.blockJobAbort):
    def abort(self, disk, flags=0):
        if flags and disk == 'vdb' and os.path.exists(flag):
            os.unlink(flag)
            raise libvirt.libvirtError('Input/output error')
        return _real(self, disk, flags)
    libvirt.virDomain.blockJobAbort = abort

_fail_once({flag!r})
"""


@pytest.mark.parametrize('power_off', [False, True])
def test_one_of_two_disks_is_merged(make_system, folder, host, power_off):
    """The next delete finishes what has failed for the second one."""
    flag = folder / 'flag'
    flag.touch()
    failing = Emulator(folder, host.uri, FAIL_ONCE.format(flag=str(flag)))
    failing.start()
    try:
        system = make_system(**TWO_DISKS)
        failing.create(system.uuid, Name='s')
        for number, path in enumerate(system.sources(), 7):
            write(system, number, path)
        system.domain.create()

        ended = failing.wait(failing.send_delete(system.uuid, 's'))

        assert message_ids(ended) == ['MergeFailed']
        assert not flag.exists()
        assert state_of(failing, system) == {'s': 'Failed'}
        refused = failing.post_revert(system.uuid, 's')
        assert message_ids(refused) == ['SnapshotDamaged']
        if power_off:
            system.domain.destroy()
        failing.delete(system.uuid, 's')
        assert failing.snapshots(system.uuid) == []
        assert system.leftovers() == []
        if not power_off:
            system.domain.destroy()
        one, other = system.sources()
        assert holds(system, 7, one) and holds(system, 8, other)
        system.domain.create()
        failing.create(system.uuid, Name='t')
    finally:
        failing.stop()


HOLD_BETWEEN = """
import os
import time
import libvirt

def _hold(flag, _real=libvirt.virDomain.blockJobAbort):
    def abort(self, disk, flags=0):
        done = _real(self, disk, flags)
        if flags and os.path.exists(flag):
            os.rename(flag, flag + '-reached')
            while os.path.exists(flag + '-reached'):
                time.sleep(0.05)
        return done
    libvirt.virDomain.blockJobAbort = abort

_hold({flag!r})
"""


@pytest.mark.parametrize('power_off', [False, True])
@pytest.mark.parametrize('way', ['delete', 'purge'])
def test_abandoned_between_two_pivots(
    make_system, folder, host, power_off, way
):
    """One disk is merged and the other is not; the next delete finishes."""
    flag, reached = folder / 'flag', folder / 'flag-reached'
    flag.touch()
    holding = Emulator(folder, host.uri, HOLD_BETWEEN.format(flag=str(flag)))
    holding.start()
    try:
        system = make_system(**TWO_DISKS)
        holding.create(system.uuid, Name='s')
        for number, path in enumerate(system.sources(), 7):
            write(system, number, path)
        system.domain.create()
        accepted = holding.send_delete(system.uuid, 's')
        wait_for(reached.exists, 'the first pivot')

        abandon(holding, accepted)
        reached.unlink()

        wait_for(
            lambda: not system.domain.blockJobInfo('vdb'),
            'the end of the other merge',
        )
        assert state_of(holding, system) == {'s': 'Failed'}
        if power_off:
            system.domain.destroy()
        if way == 'delete':
            holding.delete(system.uuid, 's')
        else:
            assert purge(holding, system).status_code == 200
        assert holding.snapshots(system.uuid) == []
        assert system.leftovers() == []
        if not power_off:
            system.domain.destroy()
        one, other = system.sources()
        assert holds(system, 7, one) and holds(system, 8, other)
        started = requests.post(
            f'{holding.system(system.uuid)}/Actions/ComputerSystem.Reset',
            json={'ResetType': 'On'},
            timeout=60,
        )
        assert started.ok, started.text
    finally:
        holding.stop()


def test_libvirtd_is_lost_twice(big, emulator, host):
    """A delete that takes libvirtd away is not tried for ever."""
    big.domain.create()
    accepted, _ = begin(emulator, big, 'two')
    host.kill_daemon()
    emulator.order('sleep=0', 'delete', 'prepare')
    host.start_daemon()
    # The second try takes the merge over.
    emulator.wait_ordered()
    host.kill_daemon()
    host.start_daemon()

    ended = emulator.wait(accepted)

    assert message_ids(ended) == ['MergeFailed']
    assert state_of(emulator, big)['two'] == 'Failed'
    # What libvirt goes on with is seen by who deletes it again.
    assert message_ids(emulator.send_delete(big.uuid, 'two')) == [
        'BlockJobActive'
    ]
    big.domain.blockJobAbort('vda')
    assert content(big) == NOW
    emulator.delete(big.uuid, 'two')
    check_whole(emulator, big, 'two')
