# SPDX-License-Identifier: Apache-2.0
"""Files that are not what they have to be, and what others did to them."""

import contextlib
import re
import subprocess

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab.host import IMAGES
from tests.served import message_ids

pytestmark = pytest.mark.once

SNAPSHOTS = libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA


@pytest.fixture
def system(make_system, emulator):
    """A running guest with two snapshots, and data after each."""
    made = make_system().boot()
    for text in ('one', 'two'):
        made.write(text)
        emulator.create(made.uuid, Name=text)
    made.write('three')
    return made


def memory_of(system, name):
    text = system.domain.snapshotLookupByName(name).getXMLDesc()
    path = text.partition("<memory snapshot='external' file='")[2]
    return system.host.path(path.partition("'")[0])


@contextlib.contextmanager
def replaced(path, data):
    """Let the file hold *data* meanwhile; None: let there be none."""
    aside = path.with_name(f'{path.name}.aside')
    path.rename(aside)
    try:
        if data is not None:
            path.write_bytes(data)
        yield
    finally:
        path.unlink(missing_ok=True)
        aside.rename(path)


def check_refused(emulator, system, name, key):
    """A revert is refused, and the guest does not notice."""
    number = system.domain.ID()
    refused = emulator.post_revert(system.uuid, name)
    assert refused.status_code == 409, refused.text
    assert message_ids(refused) == [key]
    assert system.domain.ID() == number
    assert system.read() == {'three'}


def test_memory_that_cannot_be_loaded(emulator, system, external):
    """Whatever is wrong with it is found before the guest is stopped."""
    if not external:
        pytest.skip('an internal snapshot has no files of its own')
    path = memory_of(system, 'one')
    whole = path.read_bytes()
    theirs = b'11111111-2222-3333-4444-555555555555'
    flaws = {
        'missing': (None, 'SnapshotFileMissing'),
        'empty': (b'', 'SnapshotFileDamaged'),
        'truncated': (whole[: -(2**20)], 'SnapshotFileDamaged'),
        'unfinished': (
            whole.replace(b'LibvirtQemudSave', b'LibvirtQemudPart', 1),
            'SnapshotFileDamaged',
        ),
        'of another system': (
            whole.replace(system.uuid.encode(), theirs, 1),
            'SnapshotFileDamaged',
        ),
    }
    for data, key in flaws.values():
        with replaced(path, data):
            check_refused(emulator, system, 'one', key)

    emulator.revert(system.uuid, 'one')
    assert system.read() == {'one'}


def test_an_overlay_that_is_missing(emulator, system, external):
    """A file that lies anywhere below a disk is missed in time."""
    if not external:
        pytest.skip('an internal snapshot has no files of its own')
    base = system.host.path(f'{IMAGES}/{system.name}-1.qcow2')
    with replaced(base, None):
        check_refused(emulator, system, 'two', 'SnapshotFileMissing')

    emulator.revert(system.uuid, 'two')
    assert system.read() == {'two'}


@pytest.mark.parametrize('operation', ['revert', 'delete'])
def test_deleted_by_virsh_meanwhile(emulator, system, operation):
    """What is gone when its turn comes is told, and nothing is touched."""
    emulator.order('sleep=2', 'create', 'prepare')
    first = emulator.post_create(system.uuid, Name='first')
    if operation == 'revert':
        accepted = emulator.post_revert(system.uuid, 'one')
    else:
        accepted = emulator.send_delete(system.uuid, 'one')
    system.domain.snapshotLookupByName('one').delete()

    assert emulator.wait(first).status_code == 201
    ended = emulator.wait(accepted)

    assert message_ids(ended) == ['ResourceNotFound']
    assert system.read() == {'three'}
    names = {s['Name'] for s in emulator.snapshots(system.uuid)}
    assert names == {'two', 'first'}


def test_undefined_meanwhile(emulator, make_system):
    """A system that is gone when its turn comes is told, and nothing made."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    definition = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    files = set(system.leftovers())
    emulator.order('sleep=2', 'delete', 'prepare')
    deleting = emulator.send_delete(system.uuid, 's')
    creating = emulator.post_create(system.uuid, Name='t')
    system.domain.undefineFlags(SNAPSHOTS)

    answers = [emulator.wait(deleting), emulator.wait(creating)]

    assert {message_ids(answer)[0] for answer in answers} <= {
        'ResourceNotFound',
        'OperationFailed',
    }
    assert set(system.leftovers()) == files
    missing = requests.get(
        f'{emulator.system(system.uuid)}/Oem/HawkFish/Snapshots'
    )
    assert missing.status_code == 404
    # Everything that its definition names is still there.
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(definition)
    assert emulator.create(system.uuid, Name='t')['Name'] == 't'


def test_renamed_and_redefined(emulator, make_system):
    """A system is known by its UUID, whatever becomes of its name."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    before = system.name
    system.domain.rename(f'{before}-renamed')
    system.name = f'{before}-renamed'
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(text.replace('>32768<', '>40960<'))
    try:
        emulator.revert(system.name, 's')

        # The definition goes back too, but for the name.
        assert system.domain.name() == f'{before}-renamed'
        emulator.delete(system.uuid, 's')
    finally:
        system.domain.rename(before)
        system.name = before
    assert [n for n in system.leftovers() if 'hawkfish' in n] == []


def test_files_that_are_ahead_of_libvirt(emulator, make_system):
    """
    Where libvirt does not know its own chain any more, as after a QEMU that
    died in a merge, a snapshot can be deleted all the same.
    """
    system = make_system(**SMALL)
    for name in ('one', 'two'):
        emulator.create(system.uuid, Name=name)
    folder = system.host.path(IMAGES)
    first, second = (
        folder
        / text.partition("<source file='")[2]
        .partition("'")[0]
        .rpartition('/')[2]
        for text in (
            system.domain.snapshotLookupByName(name)
            .getXMLDesc()
            .partition('<disks>')[2]
            for name in ('one', 'two')
        )
    )
    base = f'{system.name}-1.qcow2'
    # What a commit of the first overlay does to the second.
    subprocess.run(
        [
            'qemu-img',
            'rebase',
            '-u',
            '-F',
            'qcow2',
            '-b',
            f'{IMAGES}/{base}',
            second,
        ],
        check=True,
    )

    emulator.delete(system.uuid, 'one')

    assert 'HawkFish.1.0.SnapshotNotMerged' in [
        message['MessageId'] for message in emulator.tasks()[-1]['Messages']
    ]
    assert [s['Name'] for s in emulator.snapshots(system.uuid)] == ['two']
    # What the other one was taken of.
    assert first.exists()
    emulator.delete(system.uuid, 'two')
    assert not first.exists()
    assert system.orphans() == []
    system.domain.create()


def test_what_lies_below_a_discarded_disk(emulator, make_system, external):
    """
    A revert also removes what the discarded disk stood on, where a QEMU that
    died in a merge has left the system on one file more than libvirt knows.
    """
    if not external:
        pytest.skip('an internal snapshot has no files of its own')
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    (overlay,) = system.leftovers()
    folder = system.host.path(IMAGES)
    above = 'hawkfish-0123456789ab-vda.qcow2'
    subprocess.run(
        [
            'qemu-img',
            'create',
            '-q',
            '-u',
            '-f',
            'qcow2',
            '-F',
            'qcow2',
            '-b',
            f'{IMAGES}/{overlay}',
            folder / above,
            '16M',
        ],
        check=True,
    )
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    text = re.sub(r'<backingStore\b.*?(?=<target)', '', text, flags=re.DOTALL)
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(text.replace(overlay, above))
    system.domain.create()

    emulator.revert(system.uuid, 's')

    assert not (folder / overlay).exists()
    assert system.orphans() == []
    emulator.delete(system.uuid, 's')
