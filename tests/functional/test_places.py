# SPDX-License-Identifier: Apache-2.0
"""Overlays and memory go where the options say, and come back from there."""

import pytest

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.lab.domains import Disk
from tests.lab.host import IMAGES
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

OVERLAYS, MEMORY = '/var/lib/overlays', '/var/lib/memory'
DISKS = (Disk(), Disk(format='raw'), Disk(volume=True))


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('an internal snapshot has no files of its own')


@pytest.fixture
def places(host):
    """A file system for overlays and another for memory."""
    yield host.mount_small(OVERLAYS, 512), host.mount_small(MEMORY, 600)
    for path in (MEMORY, OVERLAYS):
        host.unmount(path)
        host.path(path).rmdir()


@pytest.fixture
def elsewhere(folder, host):
    """An emulator with both options."""
    made = Emulator(
        folder,
        host.uri,
        OS_SNAPSHOTS__OVERLAY_DIR=OVERLAYS,
        OS_SNAPSHOTS__MEMORY_DIR=f'{MEMORY}/',
    )
    made.start()
    yield made
    made.stop()


def names(folder):
    return sorted(p.suffix for p in folder.glob('hawkfish-*'))


def test_files_go_there_and_back(places, make_system, elsewhere):
    """A create, a revert and a delete work across file systems."""
    overlays, memory = places
    system = make_system(disks=DISKS).boot()
    system.write('one')

    elsewhere.create(system.uuid, Name='s')

    assert names(overlays) == ['.qcow2'] * 3
    assert names(memory) == ['.mem']
    assert system.leftovers() == []
    system.write('two')
    elsewhere.create(system.uuid, Name='t', IncludeMemory=False)
    assert names(overlays) == ['.qcow2'] * 6
    system.write('three')
    elsewhere.delete(system.uuid, 't')
    elsewhere.revert(system.uuid, 's')
    assert system.read() == {'one'}
    assert all(path.startswith(OVERLAYS) for path in system.sources())
    assert elsewhere.snapshot(system.uuid, 's')['SizeBytes'] > 2**20
    elsewhere.delete(system.uuid, 's')
    assert system.read() == {'one'}
    assert names(overlays) == names(memory) == []
    system.domain.destroy()


def test_firmware_stays_where_it_is_found(places, make_system, elsewhere):
    """Copies of the firmware are found again, whatever was merged."""
    overlays, _ = places
    system = make_system(**SMALL | {'firmware': 'uefi'})
    system.domain.create()
    system.domain.destroy()
    elsewhere.create(system.uuid, Name='s')
    elsewhere.create(system.uuid, Name='t')
    assert names(overlays) + names(system.host.path(IMAGES)) == [
        '.gz',
        '.qcow2',
        '.qcow2',
        '.gz',
    ]

    elsewhere.delete(system.uuid, 's')
    elsewhere.revert(system.uuid, 't')

    elsewhere.delete(system.uuid, 't')
    assert names(overlays) == names(system.host.path(IMAGES)) == []


def test_space_is_asked_for_there(places, make_system, elsewhere):
    """The estimate names the directories of the options, and no other."""
    _, memory = places
    system = make_system(**SMALL)
    system.domain.create()
    (memory / 'ballast').write_bytes(b'x' * 580 * 2**20)

    refused = elsewhere.post_create(system.uuid, Name='s')

    assert message_ids(refused) == ['InsufficientSpace']
    assert MEMORY in refused.text
    assert IMAGES not in refused.text
    system.domain.destroy()


def test_a_directory_that_is_not_there(make_system, elsewhere):
    """A create is refused in clear words, and nothing is made elsewhere."""
    system = make_system(**SMALL)

    refused = elsewhere.post_create(system.uuid, Name='s')

    assert message_ids(refused) == ['FolderMissing'], refused.text
    assert OVERLAYS in refused.text
    assert system.leftovers() == []


def test_what_nothing_knows_is_told(places, host, elsewhere):
    """A sweep looks into these directories, and removes nothing it finds."""
    _, memory = places
    stranger = memory / 'hawkfish-0123456789ab.mem'
    stranger.write_bytes(b'x')
    elsewhere.stop()

    elsewhere.start()

    wait_for(lambda: stranger.name in elsewhere.log())
    assert stranger.exists()
    stranger.unlink()
