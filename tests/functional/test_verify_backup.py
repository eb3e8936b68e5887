# SPDX-License-Identifier: Apache-2.0
"""
Backups are proved by clones, of which nothing is left.

What is in the repository is byte for byte as it was, whatever happens.
"""

import contextlib
import hashlib
import os
import signal

import libvirt
import pytest
import requests

from tests.functional import repositories
from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator, last_messages
from tests.lab import domains
from tests.lab.host import IMAGES
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

FOLDER, POOL = '/srv/proofs', 'proofs'
CLONE = 'hawkfish-verify-'
PLACES = (
    *(IMAGES, FOLDER, '/var/lib/libvirt/qemu/nvram'),
    '/var/lib/libvirt/swtpm',
)


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('the chains of internal snapshots have no bitmaps')


@pytest.fixture
def repository(host):
    with repositories.repository(host, POOL, FOLDER) as folder:
        yield folder


@pytest.fixture
def emulator(host, folder, repository):
    """An emulator of the test's own that has a repository."""
    made = Emulator(folder, host.uri, OS_BACKUP__REPOSITORY=POOL)
    made.start()
    yield made
    made.stop()
    assert not left(host)


def left(host):
    """What there is of clones."""
    with contextlib.closing(host.connect()) as connection:
        found = [d.name() for d in connection.listAllDomains()]
        pools = [p.name() for p in connection.listAllStoragePools()]
    files = (
        path.name
        for place in PLACES
        if host.path(place).exists()
        for path in host.path(place).iterdir()
    )
    return [
        *(name for name in found if name.startswith(CLONE)),
        *(name for name in pools if 'hawkfish' in name),
        *(
            name
            for name in files
            if name.endswith('.verify')
            or name.startswith((CLONE, '6861776b-6676-'))
        ),
    ]


def running(host):
    """The clones that run."""
    with contextlib.closing(host.connect()) as connection:
        return [
            d.name()
            for d in connection.listAllDomains()
            if d.name().startswith(CLONE)
            and d.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        ]


def back_up(emulator, system):
    url = f'{emulator.system(system.uuid)}/Oem/HawkFish/Backups'
    answer = emulator.wait(requests.post(url, json={}, timeout=60))
    assert answer.status_code == 201, answer.text
    return answer.json()


def begin(emulator, backup, **body):
    uri = f'{backup["@odata.id"]}/Actions/HawkFishBackup.Verify'
    return requests.post(emulator.url + uri, json=body, timeout=60)


def verify(emulator, backup, **body):
    return emulator.wait(begin(emulator, backup, **body))


def again(emulator, backup):
    return requests.get(emulator.url + backup['@odata.id'], timeout=60).json()


def details(backup):
    return {
        one['Check']: one['Detail'] for one in backup['Verification']['Checks']
    }


@contextlib.contextmanager
def unharmed(repository):
    """Each file of the repository stays as it is, with its times."""

    def state():
        return {
            path.name: (
                hashlib.sha256(path.read_bytes()).hexdigest(),
                path.stat().st_mtime_ns,
                path.stat().st_mode,
            )
            for path in repository.iterdir()
        }

    before = state()
    yield
    assert state() == before


def test_a_backup_is_booted(make_system, emulator, repository):
    """It has what was backed up; the system runs on beside it."""
    system = make_system().boot()
    system.write('first')
    full = back_up(emulator, system)
    system.write('second')
    increment = back_up(emulator, system)
    system.write('later')
    assert increment['BackupType'] == 'Incremental'

    for backup, data in ((full, 'first'), (increment, 'second')):
        with unharmed(repository):
            answer = verify(
                emulator,
                backup,
                Agent=True,
                ConsolePattern='tick *',
                Command=['/bin/cat', '/mnt/data'],
            )
        assert answer.status_code == 200, answer.text
        found = again(emulator, backup)
        assert found['VerifyResult'] == 'Passed'
        assert details(found)['Command'] == data
        assert not left(system.host)
    assert system.read() == {'later'}
    # What is next may stand on it.
    assert back_up(emulator, system)['BackupType'] == 'Incremental'


def test_a_backup_that_does_not_come_up_is_told(
    make_system, emulator, repository
):
    """Though its files are what was written; and one that is damaged."""
    system = make_system(**SMALL)
    backup = back_up(emulator, system)

    with unharmed(repository):
        answer = verify(emulator, backup, Agent=True, DeadlineSeconds=3)

    assert message_ids(answer) == ['BackupVerifyFailed']
    found = again(emulator, backup)
    assert found['VerifyFinding'] == 'Agent: not within 3 s'
    assert verify(emulator, backup).status_code == 200
    (name,) = (f['Path'] for f in backup['Files'] if f['Role'] == 'Disk')
    data = bytearray((repository / name).read_bytes())
    data[200] ^= 1
    (repository / name).write_bytes(data)
    emulator.order('sleep=60', 'verify-backup', 'prepare')
    answer = verify(emulator, backup, Boot=True)
    assert message_ids(answer) == ['BackupDamaged']
    found = again(emulator, backup)
    assert details(found)['Running'] is None
    assert 'checksum' in found['VerifyFinding']


def test_a_system_that_is_gone_is_booted(make_system, emulator, host):
    """With the state of its firmware, and leads nowhere."""
    system = make_system(**SMALL, firmware='uefi', tpm=True)
    connection = host.connect()
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    connection.defineXML(
        text.replace(
            '</devices>',
            "<interface type='user'><mac address='52:54:00:00:00:07'/>"
            "<model type='virtio'/></interface>"
            "<graphics type='vnc' port='5999'/>"
            "<video><model type='vga'/></video></devices>",
        )
    )
    system.domain.create()
    system.domain.destroy()
    backup = back_up(emulator, system)
    # What a system of this host uses is known to be harmless.
    other = make_system(**SMALL, firmware='uefi')
    system.domain.undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_TPM
    )
    try:
        emulator.order('sleep=3', 'verify-backup', 'check')
        accepted = begin(emulator, backup, Screenshot=True)
        emulator.wait_ordered()
        (clone,) = [
            d
            for d in connection.listAllDomains()
            if d.name().startswith(CLONE)
        ]
        live = clone.XMLDesc()
        shown = requests.get(f'{emulator.url}/redfish/v1/Systems', timeout=60)
        answer = emulator.wait(accepted)
    finally:
        domains.define(host, system.description)

    assert answer.status_code == 200, answer.text
    assert "<link state='down'/>" in live and '5999' not in live
    assert f'{clone.name()[-12:]}.verify/nvram' in live
    assert clone.UUIDString() not in shown.text
    assert other.uuid in shown.text
    uri = again(emulator, backup)['Verification']['ScreenshotURI']
    picture = requests.get(emulator.url + uri, timeout=60).content
    assert picture.startswith(b'\x89PNG')
    assert not left(host)


def test_a_pool_that_is_stopped_refuses(make_system, emulator, host):
    """At the request, with its name; nothing is noted."""
    backup = back_up(emulator, make_system(**SMALL))
    with contextlib.closing(host.connect()) as connection:
        pool = connection.storagePoolLookupByName(POOL)
        pool.destroy()
        refused = begin(emulator, backup, Boot=True)
        pool.create()

    assert message_ids(refused) == ['PoolNotUsable']
    assert again(emulator, backup)['LastVerified'] is None
    assert verify(emulator, backup, Boot=True).status_code == 200


def test_whoever_is_killed_leaves_nothing(
    make_system, emulator, host, repository
):
    """At each step; and the next verification passes."""
    backup = back_up(emulator, make_system(**SMALL))
    with unharmed(repository):
        for step in ('prepare', 'start', 'check', 'finish'):
            emulator.order('after', 'verify-backup', step)
            accepted = begin(emulator, backup, Boot=True)
            emulator.wait_dead()
            emulator.start()
            emulator.wait(accepted)
            wait_for(lambda: not left(host), lambda: str(left(host)))
            ended = (
                'TaskCompletedOK'
                if step == 'finish'
                else 'OperationInterrupted'
            )
            assert ended in last_messages(emulator)

        accepted = begin(emulator, backup, RunSeconds=60)
        (clone,) = wait_for(lambda: running(host))
        os.kill(host.qemu_pid(clone), signal.SIGKILL)
        answer = emulator.wait(accepted)
        assert message_ids(answer) == ['BackupVerifyFailed']

        emulator.order('kill=0.2', 'verify-backup', 'check', host.daemon_pid())
        accepted = begin(emulator, backup, RunSeconds=20)
        emulator.wait_ordered()
        wait_for(lambda: not host.daemon_pid())
        host.start_daemon()
        emulator.wait(accepted)
        wait_for(lambda: not left(host), lambda: str(left(host)))
        assert 'OperationInterrupted' in last_messages(emulator)
        assert verify(emulator, backup, Boot=True).status_code == 200
