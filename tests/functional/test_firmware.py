# SPDX-License-Identifier: Apache-2.0
"""UEFI variables and the state of a TPM go back with their system."""

import gzip
import subprocess

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import last_messages
from tests.lab.host import IMAGES
from tests.served import message_ids

pytestmark = pytest.mark.once

VARIABLES = '/sys/firmware/efi/efivars'
VENDOR = '6f2c8a10-5f0e-4c59-9d3e-2b7a1c4d8e90'


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('UEFI systems have no internal snapshots here')


@pytest.fixture
def system(make_system):
    """A running UEFI system with a TPM, and the variable "Old"."""
    made = make_system(firmware='uefi', tpm=True, agent=False).boot()
    set_variable(made, 'Old')
    return made


def set_variable(system, name):
    """Let the guest keep a variable; it is on disk when this returns."""
    path = f'{VARIABLES}/{name}-{VENDOR}'
    system.guest.run(rf"printf '\007\0\0\0\1' >{path}")


def variables(system):
    """Those of the test that the running guest finds."""
    listed = system.guest.run(f'ls {VARIABLES}').split()
    return {n.partition('-')[0] for n in listed if n.endswith(VENDOR)}


def nvram(system):
    name = f'{system.name}_VARS.fd'
    return system.host.path(f'/var/lib/libvirt/qemu/nvram/{name}')


def tpm(system):
    """The state of the virtual TPM, as its host keeps it."""
    folder = system.host.path(f'/var/lib/libvirt/swtpm/{system.uuid}/tpm2')
    return folder / 'tpm2-00.permall'


def copies(system):
    folder = system.host.path(IMAGES)
    return {p.suffixes[-2]: p for p in folder.glob('hawkfish-*.gz')}


def off(system):
    if system.domain.isActive():
        system.domain.destroy()


def has_variable(system, name):
    return name.encode('utf-16-le') in nvram(system).read_bytes()


def test_a_variable_comes_back(emulator, system):
    """A variable that was set since an offline snapshot is gone again."""
    off(system)
    emulator.create(system.uuid, Name='s')
    set_variable(system.boot(), 'New')
    off(system)
    assert variables(system.boot()) == {'Old', 'New'}
    off(system)

    emulator.revert(system.uuid, 's')

    assert variables(system.boot()) == {'Old'}


@pytest.mark.parametrize('memory', [False, True])
def test_firmware_of_a_running_system(emulator, system, memory):
    """
    A system that ran when it was captured, and is off after the revert, has
    its variables and its TPM as they were, with its memory and without.
    """
    emulator.create(system.uuid, Name='s', IncludeMemory=memory)
    kept, sealed = nvram(system).read_bytes(), tpm(system).read_bytes()
    set_variable(system, 'New')
    off(system)
    tpm(system).write_bytes(b'another TPM')

    emulator.revert(system.uuid, 's', TargetPowerState='Off')

    assert nvram(system).read_bytes() == kept
    assert tpm(system).read_bytes() == sealed
    assert len(copies(system)) == 2
    emulator.delete(system.uuid, 's')
    assert system.leftovers() == []


@pytest.mark.parametrize('running', [True, False])
def test_firmware_of_an_undone_revert(emulator, system, running):
    """
    A guest that goes on from its memory finds its variables again; a revert
    that fails on its way leaves them as they were.
    """
    emulator.create(system.uuid, Name='s')
    set_variable(system, 'New')
    if not running:
        off(system)
    memory = next(system.host.path(IMAGES).glob('hawkfish-*.mem'))
    whole = memory.read_bytes()
    # Beyond what is looked at before: only QEMU finds it.
    memory.write_bytes(whole[: -(2**20)] + b'\xff' * 2**20)

    failed = emulator.wait(emulator.post_revert(system.uuid, 's'))

    assert message_ids(failed) == ['RevertUndone']
    assert has_variable(system, 'New')
    memory.write_bytes(whole)
    emulator.revert(system.uuid, 's')
    assert variables(system) == {'Old'}
    assert len(copies(system)) == 2


def test_a_revert_that_cannot_be_undone(emulator, system):
    """Without the copy of the present firmware the system is left off."""
    emulator.create(system.uuid, Name='s')
    of_the_snapshot = set(copies(system).values())
    memory = next(system.host.path(IMAGES).glob('hawkfish-*.mem'))
    whole = memory.read_bytes()
    memory.write_bytes(whole[: -(2**20)] + b'\xff' * 2**20)
    emulator.order('sleep=2', 'revert', 'revert')
    accepted = emulator.post_revert(system.uuid, 's')
    folder = system.host.path(IMAGES)
    emulator.wait_ordered()
    assert len(set(folder.glob('hawkfish-*.gz'))) == 4
    for path in set(folder.glob('hawkfish-*.gz')) - of_the_snapshot:
        path.unlink()

    failed = emulator.wait(accepted)

    assert message_ids(failed) == ['RevertNotUndone']
    assert not system.domain.isActive()


@pytest.fixture
def small(make_system):
    """A system that is off, with variables and a TPM of one's own."""
    system = make_system(**SMALL, firmware='uefi', tpm=True)
    nvram(system).write_bytes(b'variables' * 99)
    tpm(system).parent.mkdir(parents=True)
    tpm(system).write_bytes(b'secrets')
    return system


def delete(emulator, system, name):
    """libvirt starts a QEMU for it, to which made-up files mean nothing."""
    nvram(system).unlink()
    tpm(system).unlink()
    emulator.delete(system.uuid, name)


def test_copies_are_archives(emulator, small):
    """A copy can be read by hand, and by its owner only."""
    emulator.create(small.uuid, Name='s')

    kept = copies(small)
    assert gzip.decompress(kept['.nvram'].read_bytes()) == b'variables' * 99
    assert gzip.decompress(kept['.tpm'].read_bytes()) == b'secrets'
    assert {path.stat().st_mode & 0o777 for path in kept.values()} == {0o600}


def test_nothing_there_yet(emulator, small):
    """What there was not at the snapshot is gone after the revert."""
    nvram(small).unlink()
    tpm(small).unlink()
    emulator.create(small.uuid, Name='fresh')
    nvram(small).write_bytes(b'variables')
    tpm(small).write_bytes(b'secrets')

    emulator.revert(small.uuid, 'fresh')

    assert not tpm(small).exists()
    assert not nvram(small).exists()


def test_every_revert_brings_it_back(emulator, small):
    """libvirt names the files of a snapshot anew; the copies are found."""
    emulator.create(small.uuid, Name='s')
    for text in (b'one', b'two'):
        nvram(small).write_bytes(text)
        emulator.revert(small.uuid, 's')
        assert nvram(small).read_bytes() == b'variables' * 99

    delete(emulator, small, 's')

    assert small.leftovers() == []


def put_in_qcow2(system, variables):
    """Define the system anew, with its variables in a qcow2 file."""
    path = nvram(system)
    raw = path.with_suffix('.raw')
    raw.write_bytes(variables)
    subprocess.run(
        ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, path],
        check=True,
    )
    raw.unlink()
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    system.host.connect().defineXML(
        text.replace(" format='raw'>/", '>/').replace(
            '<nvram ', "<nvram format='qcow2' "
        )
    )


def test_variables_in_a_qcow2_file(emulator, small):
    """The whole file comes back, which is longer than what it shows."""
    path = nvram(small)
    put_in_qcow2(small, b'variables' * 60000)
    kept = path.read_bytes()
    emulator.create(small.uuid, Name='s')
    path.write_bytes(kept[:-9] + b'different')

    emulator.revert(small.uuid, 's')

    assert path.read_bytes() == kept


def test_variables_in_a_qcow2_file_in_use(emulator, make_system):
    """
    They are not copied, as QEMU keeps a part to itself, and that is told.

    With the memory libvirt brings them back, and there is nothing to tell.
    """
    system = make_system(**SMALL, firmware='uefi')
    template = system.host.path('/usr/share/OVMF/OVMF_VARS_4M.fd')
    put_in_qcow2(system, template.read_bytes())
    system.domain.create()

    emulator.create(system.uuid, Name='memory')
    assert 'FirmwareNotCaptured' not in last_messages(emulator)
    emulator.create(system.uuid, Name='disks', IncludeMemory=False)
    assert 'FirmwareNotCaptured' in last_messages(emulator)
    emulator.revert(system.uuid, 'disks')
    assert 'FirmwareNotRestored' in last_messages(emulator)
    emulator.revert(system.uuid, 'memory')
    assert system.domain.isActive()


def test_a_snapshot_of_others(emulator, small):
    """One that virsh has made is reverted to, with a warning."""
    small.domain.snapshotCreateXML(
        '<domainsnapshot><name>theirs</name><disks>'
        "<disk name='vda' snapshot='external'/></disks></domainsnapshot>",
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
    )

    emulator.revert(small.uuid, 'theirs')

    assert 'FirmwareNotRestored' in last_messages(emulator)
    delete(emulator, small, 'theirs')


@pytest.mark.parametrize(
    'damage, key',
    [
        (lambda path: path.unlink(), 'SnapshotFileMissing'),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-9]),
            'SnapshotFileDamaged',
        ),
        (lambda path: path.write_bytes(b'no archive'), 'SnapshotFileDamaged'),
    ],
    ids=['missing', 'truncated', 'other'],
)
def test_a_copy_that_cannot_be_used(emulator, small, damage, key):
    """
    A revert without the firmware is refused before anything is touched.

    With Force it goes on, says so, and leaves the variables as they are.
    """
    emulator.create(small.uuid, Name='s')
    before = small.sources()
    damage(copies(small)['.nvram'])
    nvram(small).write_bytes(b'other' * 99)
    tpm(small).write_bytes(b'another')

    refused = emulator.post_revert(small.uuid, 's')

    assert refused.status_code == 409
    assert message_ids(refused) == [key]
    assert small.sources() == before
    forced = emulator.post_revert(small.uuid, 's', Force=True)
    assert emulator.wait(forced).status_code == 200
    assert [
        message['MessageId'].rpartition('.')[2]
        for message in emulator.tasks()[-1]['Messages']
        if message['MessageSeverity'] != 'OK'
    ] == ['FirmwareNotRestored', 'TaskCompletedWarning']
    assert nvram(small).read_bytes() == b'other' * 99
    assert tpm(small).read_bytes() == b'secrets'
    assert small.sources() != before


def test_a_renamed_snapshot(emulator, system):
    """``virsh snapshot-edit --rename`` takes neither its copies nor notes."""
    off(system)
    emulator.create(system.uuid, Name='s', Locked=True)
    set_variable(system.boot(), 'New')
    off(system)
    snapshot = system.domain.snapshotLookupByName('s')
    text = snapshot.getXMLDesc().replace('<name>s<', '<name>t<', 1)
    system.domain.snapshotCreateXML(
        text,
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT,
    )
    snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)

    assert emulator.snapshot(system.uuid, 't')['Locked'] is True
    emulator.revert(system.uuid, 't')

    assert variables(system.boot()) == {'Old'}
    off(system)
    requests.patch(
        f'{emulator.collection(system.uuid)}/t',
        json={'Locked': False},
        timeout=30,
    )
    emulator.delete(system.uuid, 't')
    assert system.leftovers() == []
