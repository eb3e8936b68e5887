# SPDX-License-Identifier: Apache-2.0
"""
Backups of real systems, and the systems that are made of them.

Long, as each way to lose a backup on a real host has its test.
"""

import contextlib
import hashlib
import itertools
import os
import re
import signal
import subprocess

import libvirt
import libvirt_qemu
import pytest
import requests

from tests.functional import repositories
from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator, last_messages
from tests.lab import domains
from tests.lab.host import IMAGES
from tests.lab.shell import Guest
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

FOLDER, POOL = '/srv/backups', 'backups'
DEVICE = '/machine/peripheral/virtio-disk0/virtio-backend'
MIB = 2**20
_names = itertools.count(1)


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('the chains of internal snapshots have no bitmaps')


@pytest.fixture
def repository(host):
    with repositories.repository(host, POOL, FOLDER) as folder:
        yield folder


@pytest.fixture
def emulator(host, folder, repository, imports):
    """An emulator of the test's own that has a repository."""
    made = Emulator(folder, host.uri, OS_BACKUP__REPOSITORY=POOL)
    made.start()
    yield made
    made.stop()


def url_of(emulator, system):
    return f'{emulator.system(system.uuid)}/Oem/HawkFish/Backups'


def begin(emulator, system, **body):
    return requests.post(url_of(emulator, system), json=body, timeout=60)


def back_up(emulator, system, **body):
    """The backup that a successful one has made."""
    answer = emulator.wait(begin(emulator, system, **body))
    assert answer.status_code == 201, answer.text
    assert not traces(system)
    return answer.json()


def listed(emulator, system):
    answer = requests.get(url_of(emulator, system) + '?$expand=.', timeout=60)
    return answer.json()['Members']


def act(emulator, backup, action, **body):
    uri = f'{backup["@odata.id"]}/Actions/HawkFishBackup.{action}'
    return requests.post(emulator.url + uri, json=body, timeout=60)


def traces(system):
    """What of a backup is left in libvirt: a job, or a checkpoint."""
    domain = system.domain
    found = [each.getName() for each in domain.listAllCheckpoints()]
    with contextlib.suppress(libvirt.libvirtError):
        found.append(domain.backupGetXMLDesc())
    with contextlib.closing(system.host.connect()) as connection:
        found += [
            each.name()
            for each in connection.listAllDomains()
            if each.name().startswith('hawkfish')
        ]
    return found


def inside(host, script):
    return subprocess.run(
        ['chroot', host.root, 'sh', '-ec', script],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


class Model:
    """A system, and what its disk has to hold."""

    def __init__(self, system):
        self.system = system
        self.size = system.description.disks[0].size_mib * MIB
        self.data = bytearray(self.size)

    def write(self, pattern, mib, count=1):
        """Let the running QEMU write, as a guest would."""
        self.data[mib * MIB : (mib + count) * MIB] = (
            bytes([pattern]) * count * MIB
        )
        command = f'write -P {pattern} {mib}M {count}M'
        answer = libvirt_qemu.qemuMonitorCommand(
            self.system.domain,
            f'qemu-io -d {DEVICE} "{command}"',
            libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP,
        )
        assert 'rror' not in answer, answer
        assert 'ermission' not in answer, answer

    def checksum(self):
        return hashlib.sha256(self.data).hexdigest()


def restored(emulator, system, backup):
    """The checksum of the disk of a system that is made of a backup."""
    name = f'imported-{next(_names)}'
    answer = emulator.wait(act(emulator, backup, 'Restore', Name=name))
    assert answer.status_code == 201, answer.text
    with contextlib.closing(system.host.connect()) as connection:
        domain = connection.lookupByName(name)
        text = domain.XMLDesc()
        assert domain.UUIDString() != system.uuid
    (path,) = re.findall(rf"<source file='({IMAGES}/{name}-[^']*)'", text)
    described = inside(system.host, f'qemu-img info {path}')
    assert 'backing file' not in described
    return content_of(system.host, path)


def content_of(host, path):
    told = inside(
        host,
        f'qemu-img convert -f qcow2 -O raw {path} /tmp/raw; '
        'sha256sum </tmp/raw; rm /tmp/raw',
    )
    return told.split()[0]


def small(make_system, **more):
    system = make_system(**{**SMALL, **more})
    system.domain.create()
    return Model(system)


def test_a_chain_is_restored_as_the_guest_wrote_it(make_system, emulator):
    """Full, three increments, a revert, full by itself, an increment."""
    model = small(make_system)
    system = model.system
    made = []

    def note(**body):
        made.append((back_up(emulator, system, **body), model.checksum()))
        return made[-1][0]

    model.write(1, 0, 8)
    first = note()
    model.write(2, 9)
    note()
    emulator.create(system.uuid, Name='s')
    saved = bytes(model.data)
    model.write(3, 0)
    note()
    model.write(4, 15)
    third = note()
    emulator.revert(system.uuid, 's')
    model.data[:] = saved
    model.write(5, 3)
    after = note()
    model.write(6, 4)
    last = note()

    types = [backup['BackupType'] for backup, _ in made]
    assert types == ['Full', *3 * ['Incremental'], 'Full', 'Incremental']
    assert first['FullReason'] == 'it is the first one'
    assert 'bitmap' in after['FullReason']
    assert third['SizeBytes'] < first['SizeBytes'] / 3
    assert last['Links']['Parent']['@odata.id'] == after['@odata.id']
    for backup, checksum in made:
        assert restored(emulator, system, backup) == checksum
        answer = emulator.wait(act(emulator, backup, 'Verify'))
        assert answer.status_code == 200, answer.text
    assert system.domain.isActive()


def test_a_backup_goes_over_its_system(make_system, emulator):
    """Any of a chain; its snapshots stay, and the next backup is full."""
    model = small(make_system)
    system = model.system
    model.write(1, 0, 8)
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    back_up(emulator, system)
    model.write(2, 9)
    second, checksum = back_up(emulator, system), model.checksum()
    model.write(3, 0)
    present = model.checksum()

    answer = emulator.wait(
        act(emulator, second, 'Restore', Over=system.uuid, Start=True)
    )

    assert answer.status_code == 200, answer.text
    assert system.domain.isActive()
    (safety,) = {*system.domain.snapshotListNames()} - {'s'}
    after = back_up(emulator, system)
    assert after['BackupType'] == 'Full'
    system.domain.destroy()
    assert content_of(system.host, system.sources()[0]) == checksum
    assert restored(emulator, system, after) == checksum
    assert not system.orphans()
    emulator.revert(system.uuid, safety)
    system.domain.destroy()
    assert content_of(system.host, system.sources()[0]) == present


def test_another_host_finds_the_backups(make_system, emulator, host, tmp_path):
    """One that never saw them, as after the list of them was lost."""
    model = small(make_system)
    system = model.system
    model.write(1, 0, 8)
    back_up(emulator, system, Description='words')
    model.write(2, 9)
    second, checksum = back_up(emulator, system), model.checksum()
    emulator.stop()
    other = Emulator(tmp_path, host.uri, OS_BACKUP__REPOSITORY=POOL)
    other.start()
    try:
        wait_for(lambda: len(listed(other, system)) == 2, 'the backups')
        found = listed(other, system)
        third = back_up(other, system)
        assert restored(other, system, found[1]) == checksum
    finally:
        other.stop()
        emulator.start()

    assert found[0]['Description'] == 'words'
    assert found[1]['Files'] == second['Files']
    assert third['BackupType'] == 'Incremental'
    assert third['Links']['Parent']['@odata.id'] == found[1]['@odata.id']


def test_a_disk_that_leads_elsewhere_is_not_restored(
    make_system, emulator, host, repository
):
    """Whoever writes to the repository does not read the host's files."""
    system = small(make_system).system
    backup = back_up(emulator, system)
    (disk,) = (f for f in backup['Files'] if f['Role'] == 'Disk')
    inside(
        host,
        f'cd {FOLDER}; qemu-img create -q -f qcow2 -F raw -b /etc/passwd '
        f'{disk["Path"]} 32M',
    )

    answer = emulator.wait(act(emulator, backup, 'Restore', Name='leading'))

    assert message_ids(answer) == ['BackupDamaged']
    assert '/etc/passwd' in answer.text


def test_deleted_snapshots_keep_the_chain(make_system, emulator):
    """What is merged, on and off, is known to the next increment."""
    model = small(make_system)
    system = model.system
    model.write(1, 0, 8)
    emulator.create(system.uuid, Name='a', IncludeMemory=False)
    back_up(emulator, system)
    model.write(2, 1)
    emulator.create(system.uuid, Name='b', IncludeMemory=False)
    model.write(3, 2)
    emulator.delete(system.uuid, 'b')
    second = back_up(emulator, system)
    checksum = model.checksum()
    model.write(4, 3)
    system.domain.destroy()
    emulator.delete(system.uuid, 'a')
    third = back_up(emulator, system)

    assert second['BackupType'] == third['BackupType'] == 'Incremental'
    assert restored(emulator, system, second) == checksum
    assert restored(emulator, system, third) == model.checksum()


def test_a_system_that_is_off_is_backed_up(make_system, emulator):
    """It is said to be off all the while, and the chain goes on."""
    model = small(make_system)
    system = model.system
    model.write(1, 0, 8)
    system.domain.destroy()
    first = back_up(emulator, system)
    system.domain.create()
    model.write(2, 9)
    system.domain.destroy()
    emulator.order('sleep=1', 'backup', 'copy')
    pending = begin(emulator, system)
    emulator.wait_ordered()
    told = requests.get(emulator.system(system.uuid), timeout=60).json()
    systems = requests.get(f'{emulator.url}/redfish/v1/Systems', timeout=60)
    second = emulator.wait(pending).json()

    assert (first['BackupType'], first['PowerState']) == ('Full', 'Off')
    assert second['BackupType'] == 'Incremental'
    assert told['PowerState'] == 'Off'
    assert len(systems.json()['Members']) == 1
    assert not system.domain.isActive()
    assert restored(emulator, system, second) == model.checksum()
    # Nothing keeps it from having a snapshot.
    emulator.create(system.uuid, Name='s')
    assert not traces(system)


def test_a_guest_is_quiesced_and_comes_back(make_system, emulator, imports):
    """With what it had written; it boots, beside the one that goes on."""
    system = make_system().boot()
    system.guest.wait_agent()
    system.write('saved')
    back_up(emulator, system)
    system.write('more')
    backup = back_up(emulator, system)
    system.write('later')

    answer = emulator.wait(
        act(emulator, backup, 'Restore', Name='imported-guest', Start=True)
    )

    assert answer.status_code == 201, answer.text
    assert backup['QuiesceStatus'] == 'Quiesced'
    assert backup['BackupType'] == 'Incremental'
    guest = Guest(system.host, 'imported-guest')
    guest.wait_booted()
    assert guest.run('cat /mnt/data').strip() == 'more'
    assert not system.guest.frozen()
    assert system.read() == {'later'}


def test_a_raw_disk_is_always_full(make_system, emulator):
    """It has no bitmaps; as soon as it has a snapshot it has."""
    disk = domains.Disk(size_mib=16, formatted=False, format='raw')
    model = small(make_system, disks=(disk,))
    system = model.system
    model.write(1, 0)
    back_up(emulator, system)
    model.write(2, 1)
    second = back_up(emulator, system)
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    third = back_up(emulator, system)
    model.write(3, 2)
    fourth = back_up(emulator, system)

    assert second['BackupType'] == third['BackupType'] == 'Full'
    assert fourth['BackupType'] == 'Incremental'
    assert restored(emulator, system, fourth) == model.checksum()


def test_an_image_of_an_old_version_is_always_full(make_system, emulator):
    """It can have no bitmaps either, and is backed up all the same."""
    system = make_system(**SMALL)
    (path,) = system.sources()
    inside(system.host, f'qemu-img amend -f qcow2 -o compat=0.10 {path}')
    system.domain.create()
    model = Model(system)
    model.write(1, 0)
    back_up(emulator, system)
    model.write(2, 1)
    second = back_up(emulator, system)

    assert second['BackupType'] == 'Full'
    assert 'cannot note' in second['FullReason']
    assert restored(emulator, system, second) == model.checksum()


def test_a_purge_keeps_the_chain(make_system, emulator):
    """All snapshots go, and no checkpoint was ever in the way."""
    model = small(make_system)
    system = model.system
    for number in range(3):
        emulator.create(system.uuid, Name=f's{number}', IncludeMemory=False)
        model.write(number + 1, number)
        back_up(emulator, system)
    model.write(9, 9)
    uri = f'{emulator.collection(system.uuid)}/Actions/'
    purge = requests.post(
        uri + 'HawkFishSnapshotCollection.Purge', json={}, timeout=60
    )
    answer = emulator.wait(purge)
    backup = back_up(emulator, system)

    assert answer.status_code == 200, answer.text
    assert backup['BackupType'] == 'Incremental'
    assert restored(emulator, system, backup) == model.checksum()
    bitmaps = inside(
        system.host, f'qemu-img info -U {system.sources()[0]}'
    ).count('name: hawkfish-')
    assert bitmaps <= 1


def test_an_abandoned_backup_leaves_nothing(make_system, emulator, repository):
    """Nothing goes on for nobody; when that was seen, another can be made."""
    model = small(make_system)
    system = model.system
    back_up(emulator, system)
    before = set(repository.iterdir())
    emulator.order('sleep=1', 'backup', 'copy')
    pending = begin(emulator, system)
    emulator.wait_ordered()
    number = pending.headers['Location'].rpartition('/')[2]
    task = f'{emulator.url}/redfish/v1/TaskService/Tasks/{number}'
    action = f'{task}/Actions/Oem/HawkFishTask.Abandon'
    assert requests.post(action, json={}, timeout=60).ok

    wait_for(lambda: not traces(system), lambda: str(traces(system)))
    wait_for(lambda: set(repository.iterdir()) == before)
    assert message_ids(begin(emulator, system)) == ['SystemHalfChanged']
    requests.delete(task, timeout=60)
    assert back_up(emulator, system)['BackupType'] == 'Incremental'


def test_a_system_that_is_gone_comes_back(make_system, emulator, host):
    """By its name, with the variables of its firmware."""
    system = make_system(**SMALL, firmware='uefi')
    system.domain.create()
    system.domain.destroy()
    backup = back_up(emulator, system)
    (path,) = re.findall(r'<nvram.*>(.*)</nvram>', system.domain.XMLDesc())
    checksum = inside(host, f'sha256sum <{path}')
    system.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    try:
        url = f'{emulator.system(system.name)}/Oem/HawkFish/Backups?$expand=.'
        (found,) = requests.get(url, timeout=60).json()['Members']
        answer = emulator.wait(act(emulator, found, 'Restore'))

        assert answer.status_code == 201, answer.text
        assert found['@odata.id'] == backup['@odata.id']
        with contextlib.closing(host.connect()) as connection:
            text = connection.lookupByName(system.name).XMLDesc()
        (path,) = re.findall(r'<nvram.*>(.*)</nvram>', text)
        assert inside(host, f'sha256sum <{path}') == checksum
    finally:
        with contextlib.closing(host.connect()) as connection:
            with contextlib.suppress(libvirt.libvirtError):
                connection.lookupByName(system.name).undefineFlags(
                    libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                )
        domains.define(host, system.description)


def test_damage_is_found(make_system, emulator, repository):
    """In the backup itself, and in what it stands on."""
    model = small(make_system)
    model.write(1, 0, 4)
    full = back_up(emulator, model.system)
    model.write(2, 1)
    increment = back_up(emulator, model.system)
    (path,) = repository.glob(f'*{_disk_of(full)}')
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)

    answer = emulator.wait(act(emulator, increment, 'Verify'))

    assert message_ids(answer) == ['BackupDamaged']
    assert path.name in answer.text
    found = listed(emulator, model.system)[1]
    assert found['VerifyResult'] == 'Failed'
    assert 'checksum' in found['VerifyFinding']
    # Nothing is made to stand on it any more.
    assert back_up(emulator, model.system)['BackupType'] == 'Full'


def _disk_of(backup):
    (name,) = (one['Path'] for one in backup['Files'] if one['Role'] == 'Disk')
    return name


def test_deletes_leave_what_others_have(make_system, emulator, repository):
    """In the order that the chain allows, and no file of somebody else."""
    theirs = repository / 'hawkfish-backup-of-mine.qcow2'
    theirs.write_text('mine')
    model = small(make_system)
    full = back_up(emulator, model.system)
    increment = back_up(emulator, model.system)

    refused = requests.delete(emulator.url + full['@odata.id'], timeout=60)
    for backup in (increment, full):
        uri = emulator.url + backup['@odata.id']
        answer = emulator.wait(requests.delete(uri, timeout=60))
        assert answer.status_code == 200, answer.text

    assert message_ids(refused) == ['BackupReferenced']
    assert [path.name for path in repository.iterdir()] == [theirs.name]
    assert not listed(emulator, model.system)
    again = back_up(emulator, model.system)
    assert again['BackupType'] == 'Full'


# What others do --------------------------------------------------------------


@contextlib.contextmanager
def others_job(system):
    """A backup by another client, that lasts as long as the block."""
    text = (
        "<domainbackup mode='pull'><server transport='unix' "
        "socket='/tmp/nbd.sock'/><disks><disk name='vda' backup='yes' "
        "type='file'><scratch file='/tmp/scratch'/></disk></disks>"
        '</domainbackup>'
    )
    system.domain.backupBegin(text, None)
    try:
        yield
    finally:
        system.domain.abortJob()
        wait_for(lambda: not traces(system))


def test_the_job_of_somebody_else_is_seen(make_system, emulator):
    """At once, by whatever would have to wait for it."""
    model = small(make_system)
    system = model.system
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    with others_job(system):
        answers = [
            begin(emulator, system),
            emulator.post_create(system.uuid, Name='t'),
            emulator.post_revert(system.uuid, 's'),
            emulator.send_delete(system.uuid, 's'),
        ]
        told = [answer.elapsed.total_seconds() < 10 for answer in answers]

    for answer in answers:
        assert message_ids(answer) == ['BackupJobActive'], answer.text
    assert all(told)
    assert back_up(emulator, system)['BackupType'] == 'Full'


def checkpoint(system):
    text = (
        '<domaincheckpoint><name>theirs</name><disks>'
        "<disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>"
    )
    system.domain.checkpointCreateXML(text)


def forget_checkpoints(system):
    only = libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY
    for each in system.domain.listAllCheckpoints():
        each.delete(only)


def test_checkpoints_of_somebody_else(make_system, emulator):
    """A backup leaves them, a revert warns of them, a create may refuse."""
    model = small(make_system)
    system = model.system
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    checkpoint(system)
    try:
        emulator.wait(begin(emulator, system))
        model.write(1, 0)
        answer = emulator.wait(begin(emulator, system))
        kept = [each.getName() for each in system.domain.listAllCheckpoints()]
        preview = emulator.post_revert(system.uuid, 's', DryRun=True).json()
        emulator.create(system.uuid, Name='t', IncludeMemory=False)
        emulator.delete(system.uuid, 't')
        system.domain.destroy()
        refused = emulator.post_create(system.uuid, Name='u')
    finally:
        forget_checkpoints(system)

    assert answer.json()['BackupType'] == 'Incremental'
    assert kept == ['theirs']
    warned = [one['MessageId'] for one in preview['Warnings']]
    assert 'HawkFish.1.0.CheckpointsLost' in warned
    assert message_ids(refused) == ['CheckpointsPresent'], refused.text
    assert 'theirs' in refused.text
    emulator.create(system.uuid, Name='u')


# What fails ------------------------------------------------------------------


def test_a_full_repository_harms_nobody(make_system, emulator, host):
    """The guest runs, nothing half made is left, and the message says why."""
    model = small(make_system)
    system = model.system
    model.write(1, 0, 2)
    back_up(emulator, system)
    before = sorted(os.listdir(host.path(FOLDER)))
    model.write(2, 0, 14)
    with contextlib.closing(host.connect()) as connection:
        pool = connection.storagePoolLookupByName(POOL)
        pool.destroy()
        host.mount_small('/srv/small', 6)
        for name in before:
            data = host.path(f'{FOLDER}/{name}').read_bytes()
            host.path(f'/srv/small/{name}').write_bytes(data)
        text = pool.XMLDesc().replace(FOLDER, '/srv/small')
        connection.storagePoolDefineXML(text).create()
    try:
        full = begin(emulator, system, BackupType='Full')
        increment = emulator.wait(begin(emulator, system))
        assert message_ids(full) == ['InsufficientSpace'], full.text
        assert message_ids(increment) == ['OperationFailed'], increment.text
        assert 'space' in increment.text.lower()
        assert system.domain.isActive()
        assert not traces(system)
        assert sorted(os.listdir(host.path('/srv/small'))) == before
    finally:
        with contextlib.closing(host.connect()) as connection:
            pool = connection.storagePoolLookupByName(POOL)
            pool.destroy()
            host.unmount('/srv/small')
            text = pool.XMLDesc().replace('/srv/small', FOLDER)
            connection.storagePoolDefineXML(text).create()
    backup = back_up(emulator, system)
    assert backup['BackupType'] == 'Incremental'
    assert restored(emulator, system, backup) == model.checksum()


def test_a_pool_that_is_stopped_refuses(make_system, emulator, host):
    """With its name, at the request, and the list says so too."""
    system = small(make_system).system
    with contextlib.closing(host.connect()) as connection:
        pool = connection.storagePoolLookupByName(POOL)
        pool.destroy()
        refused = begin(emulator, system)
        told = requests.get(url_of(emulator, system), timeout=60).json()
        pool.create()

    assert message_ids(refused) == ['PoolNotUsable']
    assert told['Repository']['Usable'] is False
    assert 'not active' in told['Repository']['Finding']
    back_up(emulator, system)


@pytest.mark.parametrize('step', ['prepare', 'freeze', 'copy', 'finish'])
@pytest.mark.parametrize('is_on', [True, False], ids=['on', 'off'])
def test_a_killed_emulator_leaves_nothing_half(
    make_system, emulator, repository, step, is_on
):
    """The backup is whole, or nothing of it is there; the guest runs."""
    if step == 'freeze' and not is_on:
        pytest.skip('nothing is frozen')
    if step == 'freeze':
        system = make_system().boot()
        system.guest.wait_agent()
    else:
        model = small(make_system)
        system = model.system
        model.write(1, 0)
        if not is_on:
            system.domain.destroy()
    back_up(emulator, system)
    before = set(repository.iterdir())
    emulator.order('after', 'backup', step)
    begin(emulator, system)
    emulator.wait_dead()

    emulator.stop()
    emulator.start()
    _wait_settled(emulator)

    found = listed(emulator, system)
    assert len(found) == 1 + (step == 'finish')
    assert not traces(system)
    assert bool(system.domain.isActive()) == is_on
    if step != 'finish':
        assert set(repository.iterdir()) == before
    if step == 'freeze':
        assert not system.guest.frozen()
    backup = back_up(emulator, system)
    assert backup['BackupType'] == 'Incremental'
    answer = emulator.wait(act(emulator, backup, 'Verify'))
    assert answer.status_code == 200, answer.text


def _wait_settled(emulator):
    wait_for(
        lambda: all('EndTime' in task for task in emulator.tasks()),
        lambda: f'the end of {emulator.tasks()}',
    )


@pytest.mark.parametrize('victim', ['libvirtd', 'qemu'])
@pytest.mark.parametrize('step', ['prepare', 'copy', 'finish'])
def test_a_killed_daemon_leaves_nothing_half(
    make_system, emulator, repository, host, step, victim
):
    """Nor does the QEMU of the system."""
    model = small(make_system)
    system = model.system
    model.write(1, 0, 12)
    back_up(emulator, system)
    before = set(repository.iterdir())
    model.write(2, 0, 12)
    emulator.order('sleep=1', 'backup', step)
    pending = begin(emulator, system)
    emulator.wait_ordered()
    if victim == 'qemu':
        os.kill(host.qemu_pid(system.name), signal.SIGKILL)
    else:
        host.kill_daemon()
        host.start_daemon()

    answer = emulator.watch(pending.headers['Location'])

    found = listed(emulator, system)
    assert len(found) == 1 + (answer.status_code == 201), answer.text
    wait_for(lambda: not traces(system), lambda: str(traces(system)))
    if len(found) == 1:
        assert set(repository.iterdir()) == before, last_messages(emulator)
    if victim == 'libvirtd':
        assert system.domain.isActive()
    else:
        system.domain.create()
    backup = back_up(emulator, system)
    # What a QEMU that was killed had noted is lost, and then it is full.
    if victim == 'libvirtd':
        assert restored(emulator, system, backup) == model.checksum()
    answer = emulator.wait(act(emulator, backup, 'Verify'))
    assert answer.status_code == 200, answer.text
