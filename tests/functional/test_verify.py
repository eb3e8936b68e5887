# SPDX-License-Identifier: Apache-2.0
"""
Snapshots are proved by clones, of which nothing is left.

Whatever happens meanwhile, the system and the files of its snapshots are as
they were.  Long, as what is found and what goes wrong look at the same clone.
"""

import contextlib
import gzip
import hashlib
import os
import re
import shutil
import signal
import struct
from xml.etree import ElementTree

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL, System
from tests.functional.emulator import last_messages
from tests.lab import domains
from tests.lab.host import IMAGES
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

CLONE = 'hawkfish-verify-'
SWTPM = '/var/lib/libvirt/swtpm'
TICKS = 'tick *'
HEAD = 92


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('an internal snapshot has no files of its own')


@pytest.fixture(autouse=True)
def _nothing_left(host, make_system):
    """No clone, no folder and no pool is left at the end of a test."""
    yield
    wait_for(lambda: not left(host), lambda: str(left(host)))


def left(host):
    """What there is of clones."""
    with contextlib.closing(host.connect()) as connection:
        found = [d.name() for d in connection.listAllDomains()]
        pools = [p.name() for p in connection.listAllStoragePools()]
    clones = [name for name in found if name.startswith(CLONE)]
    tpms = host.path(SWTPM)
    states = tpms.glob('6861776b-6676-*') if tpms.exists() else ()
    return [
        *clones,
        *(name for name in pools if 'hawkfish' in name),
        *(p.name for p in host.path(IMAGES).glob('hawkfish-*.verify')),
        *(p.name for p in states),
    ]


def begin(emulator, system, name='s', **body):
    return requests.post(
        f'{emulator.collection(system.uuid)}/{name}'
        '/Actions/HawkFishSnapshot.Verify',
        json=body,
        timeout=60,
    )


def verify(emulator, system, name='s', **body):
    return emulator.wait(begin(emulator, system, name, **body))


def snapshot(emulator, system, name='s'):
    url = f'{emulator.collection(system.uuid)}/{name}'
    return requests.get(url, timeout=60).json()


def results(found):
    checks = found['Verification']['Checks']
    return {one['Check']: one['Result'] for one in checks}


def failure(found):
    """The check that has failed, and why."""
    (one,) = [
        one
        for one in found['Verification']['Checks']
        if one['Result'] == 'Failed'
    ]
    return one['Check'], one['Detail']


def frozen_files(system, name='s'):
    """The files that a snapshot holds, its memory first."""
    text = system.domain.snapshotLookupByName(name).getXMLDesc()
    root = ElementTree.fromstring(text)
    memory = root.find('memory')
    found = [] if memory is None else [memory.get('file')]
    found += [
        source.get('file')
        for source in root.findall('domain/devices/disk/source')
    ]
    return [system.host.path(path) for path in found if path]


def sums(system, name='s'):
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in frozen_files(system, name)
    }


@contextlib.contextmanager
def unharmed(system, name='s'):
    """The snapshot is byte for byte the same, and so is the definition."""
    before = sums(system, name), definition(system)
    yield
    assert (sums(system, name), definition(system)) == before


def definition(system):
    return system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


WHOLE = {
    'Agent': True,
    'ConsolePattern': TICKS,
    'Command': ['/bin/cat', '/mnt/data'],
}


def test_a_guest_goes_on_with_its_memory(make_system, emulator):
    """Where the snapshot left it; the original runs on beside it."""
    system = make_system().boot()
    system.write('captured')
    emulator.create(system.uuid, Name='s')
    system.write('later')
    ticks = system.guest.wait_ticks()

    with unharmed(system):
        answer = verify(emulator, system, **WHOLE)

    found = snapshot(emulator, system)
    assert answer.status_code == 200, answer.text
    assert found['VerifyResult'] == 'Passed'
    assert found['Verification']['MemoryLoaded'] is True
    said = {c['Check']: c['Detail'] for c in found['Verification']['Checks']}
    assert said['Command'] == 'captured'
    # It counted on from there.
    assert int(said['Console'].split()[1]) > 1
    assert system.read() == {'later'}
    assert system.guest.wait_ticks() > ticks
    # The snapshot is as good as before.
    emulator.revert(system.uuid, 's')
    assert system.read() == {'captured'}


def test_disks_alone_are_booted(make_system, emulator):
    """Of a snapshot without memory, and of one whose memory is not wanted."""
    system = make_system().boot()
    system.write('captured')
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    emulator.create(system.uuid, Name='m')

    for name, body in (('s', {}), ('m', {'Memory': False})):
        with unharmed(system, name):
            answer = verify(emulator, system, name, **WHOLE, **body)
        found = snapshot(emulator, system, name)
        assert answer.status_code == 200, answer.text
        assert found['Verification']['MemoryLoaded'] is False
        assert results(found)['Command'] == 'Passed'


def test_the_snapshot_of_a_system_that_is_off(make_system, emulator):
    """Its clone boots; the system stays off."""
    system = make_system()
    emulator.create(system.uuid, Name='s')

    with unharmed(system):
        answer = verify(emulator, system, ConsolePattern=TICKS)

    assert answer.status_code == 200, answer.text
    assert not system.domain.isActive()


@pytest.mark.parametrize('memory', [True, False])
def test_a_clone_leads_nowhere(make_system, emulator, memory):
    """
    It has no network and no port, and no file of the original.

    Nobody is shown it.
    """
    system = make_system()
    connection = system.host.connect()
    connection.defineXML(
        definition(system).replace(
            '</devices>',
            "<interface type='user'><mac address='52:54:00:00:00:07'/>"
            "<model type='virtio'/></interface>"
            "<graphics type='vnc' port='5999'/>"
            "<video><model type='vga'/></video></devices>",
        )
    )
    system.boot()
    emulator.create(system.uuid, Name='s')
    emulator.order('sleep=3', 'verify', 'check')
    accepted = begin(emulator, system, Screenshot=True, Memory=memory)
    emulator.wait_ordered()

    (clone,) = [
        d for d in connection.listAllDomains() if d.name().startswith(CLONE)
    ]
    state, _ = clone.state()
    root = ElementTree.fromstring(clone.XMLDesc())
    shown = requests.get(f'{emulator.url}/redfish/v1/Systems', timeout=60)
    findings = requests.get(
        emulator.collection(system.uuid).replace('/Snapshots', '')
        + '/SnapshotPolicy',
        timeout=60,
    ).json()['Capabilities']['Findings']
    held = snapshot(emulator, system)
    answer = emulator.wait(accepted)

    assert state == libvirt.VIR_DOMAIN_PAUSED
    assert root.find('devices/interface/link').get('state') == 'down'
    assert root.find('devices/graphics').get('port') in (None, '-1')
    written = {
        e.get(key)
        for e in root.findall('devices//source')
        for key in ('file', 'path')
        if e.get(key)
    }
    own = {path for path in written if clone.name()[-12:] in path}
    theirs = ElementTree.fromstring(system.domain.XMLDesc())
    live = {s.get('path') for s in theirs.findall('devices//source')} - {None}
    assert own and not written & live
    assert clone.UUIDString() not in shown.text
    assert findings == []
    assert held['Links']['ReferencedBy'] == held['ReferencedByFiles'] == []
    assert answer.status_code == 200, answer.text
    uri = snapshot(emulator, system)['Verification']['ScreenshotURI']
    picture = requests.get(emulator.url + uri, timeout=60).content
    width, height = struct.unpack('>II', picture[16:24])
    assert picture.startswith(b'\x89PNG') and width >= 320 <= height * 2


def test_the_state_of_the_firmware_is_its_own(make_system, emulator):
    """The variables of the original are not touched."""
    system = make_system(**{**SMALL, 'firmware': 'uefi'})
    system.domain.create()
    system.domain.destroy()
    emulator.create(system.uuid, Name='s')
    (path,) = re.findall(r'<nvram.*>(.*)</nvram>', system.domain.XMLDesc())
    before = system.host.path(path).read_bytes()
    others = sorted(os.listdir(system.host.path(path).parent))

    answer = verify(emulator, system)

    assert answer.status_code == 200, answer.text
    assert system.host.path(path).read_bytes() == before
    assert sorted(os.listdir(system.host.path(path).parent)) == others


@pytest.mark.parametrize('memory', [True, False])
def test_the_tpm_is_its_own(make_system, emulator, memory):
    """With what the snapshot has kept of it, and its variables."""
    system = make_system(firmware='uefi', tpm=True).boot()
    emulator.create(system.uuid, Name='s', IncludeMemory=memory)
    states = system.host.path(SWTPM)
    (original,) = states.glob(f'{system.uuid}/*/*.permall')
    before = original.read_bytes()
    (kept,) = system.host.path(IMAGES).glob('hawkfish-*.tpm.gz')
    emulator.order('sleep=2', 'verify', 'check')
    accepted = begin(emulator, system, Agent=True)
    emulator.wait_ordered()

    (own,) = states.glob('6861776b-6676-*/*/*.permall')
    state = own.read_bytes()
    answer = emulator.wait(accepted)

    assert answer.status_code == 200, answer.text
    if not memory:
        assert state == gzip.decompress(kept.read_bytes())
    assert original.read_bytes() == before


# What is found ------------------------------------------------------------


@contextlib.contextmanager
def damaged(path, begin, data=None):
    """Cut the file at *path* off, or write *data* there, for a while."""
    whole = path.read_bytes()
    status = path.stat()
    end = begin + len(data) if data else len(whole)
    changed = whole[:begin] + (data or b'') + (whole[end:] if data else b'')
    path.write_bytes(changed)
    os.chown(path, status.st_uid, status.st_gid)
    yield
    path.write_bytes(whole)


@pytest.mark.parametrize(
    'begin, data, words',
    [
        (0, b'XXXX', 'no header of qcow2'),
        (8, bytes(16), 'is not backed by'),
        (100, None, 'was cut off'),
        (200_000, None, 'was cut off'),
    ],
)
def test_a_damaged_overlay_is_found(make_system, emulator, begin, data, words):
    """And told as that, before anything is started."""
    system = make_system().boot()
    emulator.create(system.uuid, Name='first', IncludeMemory=False)
    system.guest.run('head -c 1000000 /dev/urandom >/mnt/more; sync')
    emulator.create(system.uuid, Name='s', IncludeMemory=False)
    overlay = frozen_files(system)[0]

    with damaged(overlay, begin, data):
        answer = verify(emulator, system)

    found = snapshot(emulator, system)
    assert message_ids(answer) == ['VerifyFailed']
    check, detail = failure(found)
    assert check == 'Files'
    assert words in detail and overlay.name in detail
    assert found['VerifyResult'] == 'Failed'
    assert verify(emulator, system).status_code == 200
    assert snapshot(emulator, system)['VerifyResult'] == 'Passed'


@pytest.mark.parametrize(
    'begin, data, words',
    [
        (0, b'XXXX', 'no header of a memory image'),
        (50, None, 'too short'),
        (1000, None, 'cut off within its definition'),
        (HEAD + 10, b'\xff<>', 'definition is damaged'),
        (3_000_000, None, 'bytes and had'),
    ],
)
def test_damaged_memory_is_found(make_system, emulator, begin, data, words):
    """And told as that."""
    system = make_system().boot()
    emulator.create(system.uuid, Name='s')
    image = frozen_files(system)[0]

    with damaged(image, begin, data):
        answer = verify(emulator, system)

    assert message_ids(answer) == ['VerifyFailed']
    check, detail = failure(snapshot(emulator, system))
    assert check == 'Files'
    assert words in detail and image.name in detail


def test_memory_that_qemu_does_not_load_is_found(make_system, emulator):
    """In its words."""
    system = make_system().boot()
    emulator.create(system.uuid, Name='s')
    image = frozen_files(system)[0]
    size = int.from_bytes(image.read_bytes()[20:24], 'little')

    with damaged(image, HEAD + size, b'QEVM' + bytes(4096)):
        answer = verify(emulator, system)

    assert message_ids(answer) == ['VerifyFailed']
    check, detail = failure(snapshot(emulator, system))
    assert check == 'Files' and 'it does not start' in detail


def test_a_guest_that_does_not_come_up_is_found(make_system, emulator):
    """By each check that is asked for, and within its deadline."""
    system = make_system(boot_guest=False)
    emulator.create(system.uuid, Name='s')

    for check, body in (
        ('Console', {'ConsolePattern': TICKS}),
        ('Agent', {'Agent': True}),
        ('Command', {'Command': ['/bin/true']}),
    ):
        answer = verify(emulator, system, DeadlineSeconds=2, **body)
        assert message_ids(answer) == ['VerifyFailed']
        told = failure(snapshot(emulator, system))
        assert told == (check, 'not within 2 s')


def test_a_command_that_fails_says_so(make_system, emulator):
    """With what it wrote."""
    system = make_system().boot()
    emulator.create(system.uuid, Name='s')
    command = ['/bin/sh', '-c', 'echo no such data >&2; exit 3']

    answer = verify(emulator, system, Command=command)

    assert message_ids(answer) == ['VerifyFailed']
    assert failure(snapshot(emulator, system)) == (
        'Command',
        'it returned 3: no such data',
    )


def test_a_file_that_is_gone_is_found(make_system, emulator):
    """With its path."""
    system = make_system().boot()
    emulator.create(system.uuid, Name='s')
    image = frozen_files(system)[0]
    away = image.rename(image.with_suffix('.away'))

    answer = verify(emulator, system)
    away.rename(image)

    assert message_ids(answer) == ['VerifyFailed']
    assert 'missing' in failure(snapshot(emulator, system))[1]


# Whatever happens -----------------------------------------------------------


MOMENTS = [
    (when, step)
    for step in ('prepare', 'start', 'check', 'finish')
    for when in ('before', 'after')
] + [
    ('during=0.05', 'prepare'),
    ('during=0.4', 'prepare'),
    ('during=0.1', 'start'),
    ('during=0.6', 'start'),
    ('during=1.0', 'check'),
]


@pytest.fixture(scope='module')
def proved(host, shared_emulator):
    """A guest that runs, with a snapshot of each kind, for several tests."""
    if not shared_emulator.is_running:
        shared_emulator.stop()
        shared_emulator.start()
    made = System(host, domains.Domain('proved')).boot()
    made.write('captured')
    shared_emulator.create(made.uuid, Name='m')
    shared_emulator.create(made.uuid, Name='d', IncludeMemory=False)
    yield made
    made.remove()


@pytest.mark.parametrize('name', ['m', 'd'])
@pytest.mark.parametrize('when, step', MOMENTS)
def test_the_emulator_is_killed(proved, emulator, when, step, name):
    """The next one removes the clone, and tells the truth."""
    with unharmed(proved, name):
        emulator.order(when, 'verify', step)
        accepted = begin(emulator, proved, name, ConsolePattern=TICKS)
        emulator.wait_dead()
        emulator.start()
        emulator.wait(accepted)
        wait_for(lambda: not left(proved.host), lambda: str(left(proved.host)))
    (end,) = set(last_messages(emulator)) & {
        'OperationInterrupted',
        'TaskCompletedOK',
    }
    # What died before its first step was noted begins anew.
    done = (when, step) in (('before', 'prepare'), ('after', 'finish'))
    assert end == ('TaskCompletedOK' if done else 'OperationInterrupted')
    assert proved.read() == {'captured'}


@pytest.mark.parametrize('name', ['m', 'd'])
@pytest.mark.parametrize(
    'seconds, step', [(0.0, 'prepare'), (0.2, 'start'), (0.5, 'check')]
)
def test_libvirtd_is_killed(proved, emulator, seconds, step, name):
    """As soon as it is back the clone is removed; the original runs on."""
    host = proved.host
    with unharmed(proved, name):
        emulator.order(f'kill={seconds}', 'verify', step, host.daemon_pid())
        accepted = begin(emulator, proved, name, RunSeconds=20)
        emulator.wait_ordered()
        wait_for(lambda: not host.daemon_pid())
        host.start_daemon()
        emulator.wait(accepted)
        wait_for(lambda: not left(host), lambda: str(left(host)))
    assert 'OperationInterrupted' in last_messages(emulator)
    assert proved.read() == {'captured'}


def test_libvirtd_is_killed_when_all_is_checked(proved, emulator):
    """The result is known, and the clone is removed all the same."""
    host = proved.host
    with unharmed(proved, 'm'):
        emulator.order('sleep=5', 'verify', 'finish')
        accepted = begin(emulator, proved, 'm')
        emulator.wait_ordered()
        os.kill(host.daemon_pid(), signal.SIGKILL)
        wait_for(lambda: not host.daemon_pid())
        host.start_daemon()
        answer = emulator.wait(accepted)
        wait_for(lambda: not left(host), lambda: str(left(host)))
    assert answer.status_code == 200, answer.text
    assert snapshot(emulator, proved, 'm')['VerifyResult'] == 'Passed'


@pytest.mark.parametrize('name', ['m', 'd'])
def test_the_qemu_of_the_clone_is_killed(proved, emulator, name):
    """The check that it runs fails."""
    host = proved.host
    with unharmed(proved, name):
        accepted = begin(emulator, proved, name, RunSeconds=60)
        (clone,) = wait_for(lambda: _running_clones(host))
        os.kill(host.qemu_pid(clone), signal.SIGKILL)
        answer = emulator.wait(accepted)
    assert message_ids(answer) == ['VerifyFailed']
    assert failure(snapshot(emulator, proved, name))[0] == 'Running'


def _running_clones(host):
    with contextlib.closing(host.connect()) as connection:
        return [
            d.name()
            for d in connection.listAllDomains()
            if d.name().startswith(CLONE)
            and d.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        ]


def test_a_cancelled_one_leaves_nothing(proved, emulator):
    """While it is checked."""
    with unharmed(proved, 'm'):
        accepted = begin(emulator, proved, 'm', RunSeconds=60)
        wait_for(lambda: _running_clones(proved.host))
        emulator.cancel(accepted)
        emulator.wait(accepted)
        assert not left(proved.host)


def test_a_clone_ends_before_the_disk_is_full(emulator, host):
    """The original is on the same file system, and would be stopped."""
    folder = host.mount_small('/small', 320)
    disk = domains.Disk(folder='/small')
    system = System(host, domains.Domain('filled', disks=(disk,))).boot()
    try:
        emulator.create(system.uuid, Name='s', IncludeMemory=False)

        with unharmed(system):
            accepted = begin(emulator, system, RunSeconds=300)
            wait_for(lambda: _running_clones(host))
            free = shutil.disk_usage(folder).free - 20 * 2**20
            (folder / 'filler').write_bytes(bytes(free))
            answer = emulator.wait(accepted)

        assert message_ids(answer) == ['InsufficientSpace']
        assert system.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        assert snapshot(emulator, system)['Verification'] is None
        assert not list(folder.glob('*.verify'))
    finally:
        system.remove()
        host.unmount('/small')
