# SPDX-License-Identifier: Apache-2.0
"""
Images on top of a system's files, by whatever path and name.

A delete would overwrite what they are backed by, and a revert remove it; so
both are refused.
"""

import contextlib
import re
import subprocess

import libvirt
import pytest

from tests.functional.conftest import SMALL
from tests.functional.test_unsafe import repair, reset
from tests.lab.domains import Disk
from tests.lab.host import IMAGES
from tests.served import message_ids

pytestmark = pytest.mark.once

_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('an internal snapshot has no files of its own')


def inside(host, script):
    done = subprocess.run(
        ['chroot', host.root, 'sh', '-ec', script],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def content(host, path):
    return inside(
        host,
        f'qemu-img convert -U -O raw {path} /tmp/raw; sha256sum /tmp/raw; '
        'rm /tmp/raw',
    )


def name_disk(system, old, new):
    text = system.domain.XMLDesc(_INACTIVE)
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(text.replace(old, new))


@pytest.fixture
def make_clone(host):
    """A clone of what is *below*, in the images or in another folder."""
    made = []

    def make(below, name, folder=IMAGES):
        path = f'{folder}/{name}'
        inside(
            host,
            f'mkdir -p {folder}; cd {folder}; '
            f'qemu-img create -q -f qcow2 -F qcow2 -b {below} {path}',
        )
        made.append(path)
        with contextlib.closing(host.connect()) as connection:
            connection.storagePoolLookupByName('default').refresh()
        return path

    yield make
    for path in made:
        host.path(path).unlink(missing_ok=True)


@pytest.fixture
def link(host):
    """A symbolic link to the folder of the images."""
    inside(host, f'ln -sfn {IMAGES} /images')
    yield '/images'
    inside(host, 'rm /images')


def check_delete_refused(emulator, system, clone):
    """A delete is refused, and the clone is what it was."""
    before = content(system.host, clone)
    # What the system has written since.
    top = system.sources()[0]
    inside(system.host, f"qemu-io -c 'write -P 7 8M 1M' {top}")

    refused = emulator.send_delete(system.uuid, 's')

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['SnapshotCloned'],
    )
    assert content(system.host, clone) == before


@pytest.mark.parametrize(
    'spelling', ['slashes', 'dots', 'link', 'link to the file', 'hard link']
)
def test_another_path(make_system, emulator, make_clone, link, spelling):
    """A clone is found whatever path leads to its base."""
    system = make_system(**SMALL)
    path = system.sources()[0]
    file = path.rpartition('/')[2]
    below, other = path, f'{IMAGES}/{system.name}-other'
    if spelling == 'slashes':
        name_disk(system, path, f'{IMAGES}//{file}')
    elif spelling == 'dots':
        below = f'../images/{file}'
    elif spelling == 'link':
        name_disk(system, path, f'{link}/{file}')
    elif spelling == 'link to the file':
        inside(system.host, f'ln -s {file} {other}')
        below = other
    else:
        inside(system.host, f'ln {path} {other}')
        below = other
    emulator.create(system.uuid, Name='s')
    clone = make_clone(below, f'{system.name}-clone.qcow2')

    check_delete_refused(emulator, system, clone)
    system.host.path(other).unlink(missing_ok=True)


@pytest.mark.parametrize(
    'name', ['golden.2025112710', 'x.1700000000', 'hawkfish-notes.qcow2']
)
def test_any_name(make_system, emulator, make_clone, name):
    """No name lets a clone be taken for what an operation has left."""
    system = make_system(**SMALL)
    (base,) = system.sources()
    emulator.create(system.uuid, Name='s')
    clone = make_clone(base, f'{system.name}-{name}')

    check_delete_refused(emulator, system, clone)


def test_a_system_that_is_off_elsewhere(
    make_system, emulator, make_clone, host
):
    """A definition whose disk lies in a folder without a pool is found."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    (base,) = system.sources()
    emulator.create(system.uuid, Name='s')
    clone = make_clone(base, 'clone.qcow2', '/srv/elsewhere')
    (own,) = other.sources()
    name_disk(other, own, clone)

    check_delete_refused(emulator, system, clone)
    name_disk(other, clone, own)


def detached(emulator, system, other, clone):
    """Let *other* have had *clone* as its disk while somebody looked."""
    (own,) = other.sources()
    name_disk(other, own, clone)
    assert repair(emulator, system, DryRun=True).json()['Repairs'] == []
    name_disk(other, clone, own)


@pytest.mark.parametrize('is_known', [False, True], ids=['restart', 'on'])
def test_the_only_disk_of_a_folder_was_detached(
    make_system, emulator, make_clone, is_known
):
    """
    A clone is remembered that nothing leads to any more.

    Once it is removed nobody asks for it, whatever else is there.
    """
    system, other = make_system(**SMALL), make_system(**SMALL)
    (base,) = system.sources()
    emulator.create(system.uuid, Name='s')
    clone = make_clone(base, 'clone.qcow2', '/srv/elsewhere')
    detached(emulator, system, other, clone)
    if not is_known:
        emulator.restart()

    check_delete_refused(emulator, system, clone)

    inside(system.host, f'rm {clone}; touch /srv/elsewhere/other')
    emulator.delete(system.uuid, 's')
    inside(system.host, 'rm /srv/elsewhere/other')


def test_a_disk_of_a_pool_that_was_stopped(
    make_system, emulator, make_clone, make_pool, host
):
    """A clone that was seen while its pool was active is remembered."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    (base,) = system.sources()
    emulator.create(system.uuid, Name='s')
    clone = make_clone(base, 'clone.qcow2', '/srv/elsewhere')
    with contextlib.closing(host.connect()) as connection:
        make_pool('elsewhere', '/srv/elsewhere', False)
        pool = connection.storagePoolLookupByName('elsewhere')
        pool.create()
        detached(emulator, system, other, clone)
        pool.destroy()
    emulator.restart()

    check_delete_refused(emulator, system, clone)


def test_what_is_not_mounted_is_remembered(
    make_system, emulator, make_clone, host
):
    """Whatever else is in its place, while somebody looks."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    (base,) = system.sources()
    emulator.create(system.uuid, Name='s')
    clone = make_clone(base, 'clone.qcow2', '/srv/elsewhere')
    detached(emulator, system, other, clone)
    inside(host, f'mv {clone} /srv/unmounted; touch /srv/elsewhere/other')
    assert repair(emulator, system, DryRun=True).json()['Repairs'] == []
    inside(host, f'mv /srv/unmounted {clone}; rm /srv/elsewhere/other')
    emulator.restart()

    check_delete_refused(emulator, system, clone)


def test_a_disk_of_a_folder_that_cannot_be_read(
    make_system, emulator, make_clone, host, mount
):
    """A clone that was seen there is one for as long as nobody can tell."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    (base,) = system.sources()
    emulator.create(system.uuid, Name='s')
    clone = make_clone(base, 'clone.qcow2', '/srv/elsewhere')
    detached(emulator, system, other, clone)
    emulator.restart()
    mount(host.path('/srv/elsewhere/mount'), 0)

    check_delete_refused(emulator, system, clone)


def test_a_revert_detaches_the_only_disk_of_a_folder(
    make_system, emulator, make_clone
):
    """What it leaves alone keeps what it stands on."""
    system, base = make_system(**SMALL), make_system(**SMALL)
    (below,) = base.sources()
    emulator.create(base.uuid, Name='s')
    emulator.create(system.uuid, Name='before')
    clone = make_clone(below, 'clone.qcow2', '/srv/elsewhere')
    system.domain.attachDeviceFlags(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{clone}'/><target dev='vdx' bus='virtio'/></disk>",
        libvirt.VIR_DOMAIN_AFFECT_CONFIG,
    )
    emulator.revert(system.uuid, 'before')
    assert clone not in system.sources()
    emulator.restart()

    check_delete_refused(emulator, base, clone)


def test_the_present_state_by_another_path(
    make_system, emulator, make_clone, link
):
    """A revert does not remove what a clone stands on."""
    system = make_system(**SMALL)
    path = system.sources()[0]
    name_disk(system, path, path.replace(IMAGES, link))
    emulator.create(system.uuid, Name='s')
    overlay = system.sources()[0].replace(link, IMAGES)
    make_clone(overlay, f'{system.name}-clone.qcow2')

    refused = emulator.post_revert(system.uuid, 's')

    assert message_ids(refused) == ['SystemCloned']
    assert system.host.path(overlay).exists()


@pytest.fixture
def make_pool(host):
    """A pool over a folder."""
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(host.connect()))

        def make(name, folder, active):
            text = (
                f"<pool type='dir'><name>{name}</name>"
                f'<target><path>{folder}</path></target></pool>'
            )
            pool = connection.storagePoolDefineXML(text)
            stack.callback(pool.undefine)
            if active:
                pool.create()
                stack.callback(pool.destroy)

        yield make


def test_a_pool_that_is_stopped(
    make_system, emulator, make_clone, make_pool, host
):
    """A definition that names its disk by it is found, or asked for."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    (base,) = system.sources()
    emulator.create(system.uuid, Name='s')
    clone = make_clone(base, 'clone.qcow2', '/srv/clones')
    make_pool('clones', '/srv/clones', False)
    before = other.domain.XMLDesc(_INACTIVE)
    text = re.sub(
        r"<disk type='file'(.*?)<source file='.*?'/>",
        r"<disk type='volume'\1<source pool='clones' volume='clone.qcow2'/>",
        before,
        count=1,
        flags=re.DOTALL,
    )
    with contextlib.closing(host.connect()) as connection:
        connection.defineXML(text)

        check_delete_refused(emulator, system, clone)

        # As where the file system is not mounted.
        inside(host, f'mv {clone} /srv/unmounted')
        refused = emulator.send_delete(system.uuid, 's')
        assert message_ids(refused) == ['PoolNotActive']
        inside(host, f'mv /srv/unmounted {clone}')
        connection.defineXML(before)


def test_a_copy_of_an_overlay(make_system, emulator, make_pool, host):
    """A backup needs its backing file, whatever its name."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    (overlay,) = system.sources()
    copy = f'/srv/backup/{overlay.rpartition("/")[2]}'
    inside(host, f"qemu-io -c 'write -P 7 8M 1M' {overlay}")
    inside(host, f'mkdir -p /srv/backup; cp {overlay} {copy}')
    make_pool('backup', '/srv/backup', True)

    check_delete_refused(emulator, system, copy)
    inside(host, f'rm {copy}')


def test_an_overlay_below(make_system, emulator, make_clone):
    """A revert asks about all that it removes, not only about the disks."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    below = system.sources()[0]
    emulator.create(system.uuid, Name='t')
    system.domain.snapshotLookupByName('t').delete(
        libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
    )
    clone = make_clone(below, 'clone.qcow2', '/srv/elsewhere')
    (own,) = other.sources()
    name_disk(other, own, clone)
    system.domain.create()

    refused = emulator.post_revert(system.uuid, 's')

    assert message_ids(refused) == ['SystemCloned']
    system.domain.destroy()
    name_disk(other, clone, own)


@pytest.mark.parametrize(
    'said',
    [
        'file:{}',
        'json:{{"driver":"qcow2","file":{{"driver":"file","filename":"{}"}}}}',
    ],
)
def test_other_words_of_qemu(make_system, emulator, make_clone, said):
    """A clone is found whatever its header calls its base."""
    system = make_system(**SMALL)
    below = said.format(system.sources()[0])
    emulator.create(system.uuid, Name='s')
    clone = make_clone(f"'{below}'", f'{system.name}-clone.qcow2')

    check_delete_refused(emulator, system, clone)


def test_the_header_that_a_guest_writes(make_system, emulator, host):
    """A raw disk that looks like a clone of others' files is none."""
    guest = make_system(disks=(Disk(size_mib=16, format='raw'),))
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    (base,) = guest.sources()
    (top,) = system.sources()
    # What the guest could write itself.
    inside(host, f'qemu-img create -f qcow2 -b {top} -F qcow2 {base} 16M')
    emulator.create(guest.uuid, Name='theirs')

    assert reset(emulator, system).ok
    emulator.delete(system.uuid, 's')
    system.domain.destroy()

    emulator.delete(guest.uuid, 'theirs')
    assert system.leftovers() == []
