# SPDX-License-Identifier: Apache-2.0
"""
Limits, guards, sizes and purge on real domains, seen from the host.

Long, as all of retention is tried on one kind of system.
"""

import concurrent.futures
import os
import subprocess
from xml.etree import ElementTree

import libvirt
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functional.conftest import SMALL
from tests.lab.domains import IMAGES, Disk
from tests.served import message_ids
from tests.unit import trees
from tests.waiting import holds_for, wait_for

pytestmark = pytest.mark.once

# The whole of it takes 50; what everybody runs has to be quick.
# Who prunes after an operation has begun to by then.
_QUIET_SECONDS = 0.3
ROUNDS = int(os.environ.get('HAWKFISH_ROUNDS', '6'))


class Host:
    """The tools of the lab's host, on its own paths."""

    def __init__(self, system):
        self.system = system
        self.host = system.host

    def run(self, *command):
        done = subprocess.run(
            ['chroot', str(self.host.root), *command],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def chain(self):
        """The files below the first disk, from the active one down."""
        root = ElementTree.fromstring(self.system.domain.XMLDesc(0))
        found = root.findall('devices/disk')[0]
        while found is not None and found.find('source') is not None:
            yield found.find('source').get('file')
            found = found.find('backingStore')

    def active(self):
        root = ElementTree.fromstring(self.system.domain.XMLDesc(0))
        return root.find('devices/disk/source').get('file')

    def captured(self, name):
        """The file that the disk was in when a snapshot was taken."""
        snapshot = self.system.domain.snapshotLookupByName(name)
        root = ElementTree.fromstring(snapshot.getXMLDesc())
        return root.find('domain/devices/disk/source').get('file')

    def check(self, path):
        self.run('qemu-img', 'check', '-U', path)

    def write(self, number):
        """Let the disk of a domain that is off hold *number*."""
        self.run('qemu-io', '-c', f'write -P {number} 0 64k', self.active())

    def holds(self, path, number):
        done = subprocess.run(
            [
                'chroot',
                str(self.host.root),
                'qemu-io',
                '-r',
                '-U',
                '-c',
                f'read -P {number} 0 64k',
                path,
            ],
            capture_output=True,
            text=True,
        )
        assert 'read 65536/65536 bytes' in done.stdout, done
        return 'verification failed' not in done.stdout


def policy(emulator, system):
    return f'{emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy'


def set_policy(emulator, system, **limits):
    response = requests.patch(policy(emulator, system), json=limits)
    assert response.status_code == 200, response.text


def preview(emulator, system, **body):
    action = 'HawkFishSnapshotPolicy.PreviewCreate'
    response = requests.post(
        f'{policy(emulator, system)}/Actions/{action}', json=body
    )
    assert response.status_code == 200, response.text
    return response.json()


def names(emulator, system):
    return [s['Name'] for s in emulator.snapshots(system.uuid)]


def settle(emulator, system, wanted, seconds=60):
    """Wait until *wanted* are left, and until that is so for good."""

    def is_settled():
        active = [
            task
            for task in emulator.tasks()
            if task['Oem']['HawkFish']['System']['@odata.id'].endswith(
                system.uuid
            )
            and task['TaskState'] in ('New', 'Running')
        ]
        return not active and names(emulator, system) == wanted

    wait_for(
        lambda: is_settled() and holds_for(is_settled, _QUIET_SECONDS),
        lambda: f'{wanted}: {names(emulator, system)}',
        seconds,
    )


def purge(emulator, system, **body):
    uri = f'{emulator.system(system.uuid)}/Oem/HawkFish/Snapshots'
    action = requests.get(uri).json()['Actions'][
        '#HawkFishSnapshotCollection.Purge'
    ]
    return requests.post(emulator.url + action['target'], json=body)


def test_the_newest_remain(make_system, emulator, external):
    """Of 12 snapshots of a running guest 5 are left, sound and right."""
    if not external:
        pytest.skip('the lab has the rest of it on newer libvirt')
    system = make_system().boot()
    set_policy(emulator, system, MaxSnapshots=5)
    for number in range(12):
        system.write(f'n{number}')
        emulator.create(system.uuid, Name=f's{number}')
    system.write('end')

    settle(emulator, system, [f's{n}' for n in range(7, 12)])
    host = Host(system)
    chain = list(host.chain())
    assert len(chain) == 6
    for path in chain:
        host.check(path)
    assert system.read() == {'end'}
    shown = emulator.snapshots(system.uuid)
    memory = [
        path.stat().st_blocks * 512
        for path in system.host.path(IMAGES).glob('hawkfish-*.mem')
    ]
    assert len(memory) == 5
    assert {s['ExclusiveSizeBytes'] for s in shown} == set(memory)
    assert all(s['SizeBytes'] >= s['ExclusiveSizeBytes'] for s in shown)
    for number in (7, 11):
        emulator.revert(system.uuid, f's{number}')
        assert system.read() == {f'n{number}'}
    # Now the oldest stands below two branches, and nothing can be done.
    emulator.revert(system.uuid, 's7')
    seen = preview(emulator, system, Name='new')
    kept = {k['Name']: k['Reasons'] for k in seen['Kept']}
    assert kept['s7'] == ['Referenced']


def test_refusals_are_foreseen(make_system, emulator, external):
    """What libvirt would refuse to delete, we refuse first, with names."""
    if not external:
        pytest.skip('internal snapshots refer to none')
    system = make_system(**SMALL)
    for name in ('a', 'b', 'c'):
        emulator.create(system.uuid, Name=name)
    emulator.revert(system.uuid, 'b')
    emulator.create(system.uuid, Name='d')
    emulator.revert(system.uuid, 'a')
    for tree in ('on a', 'on e'):
        shown = emulator.snapshots(system.uuid)
        for snapshot in shown:
            keepers = [
                link['@odata.id'].rpartition('/')[2]
                for link in snapshot['Links']['ReferencedBy']
            ]
            if not keepers:
                continue
            refused = emulator.send_delete(system.uuid, snapshot['Name'])
            assert refused.status_code == 409, tree
            assert message_ids(refused) == ['SnapshotReferenced']
            assert refused.json()['error']['@Message.ExtendedInfo'][0][
                'MessageArgs'
            ] == [snapshot['Name'], ', '.join(keepers)]
            theirs = system.domain.snapshotLookupByName(snapshot['Name'])
            with pytest.raises(libvirt.libvirtError):
                theirs.delete()
        kept = {s['Name'] for s in shown if s['Links']['ReferencedBy']}
        assert kept == {'on a': {'a', 'b'}, 'on e': {'a', 'b'}}[tree]
        if tree == 'on a':
            emulator.create(system.uuid, Name='e')
    for name in ('c', 'd', 'b', 'a', 'e'):
        emulator.delete(system.uuid, name)
    assert system.leftovers() == []


def test_branches_made_while_off(make_system, emulator, external):
    """A merge below branches that were made while off leaves them whole."""
    if not external:
        pytest.skip('nothing is merged')
    system = make_system(**SMALL)
    host = Host(system)
    for number, name in enumerate('abc'):
        host.write(number)
        emulator.create(system.uuid, Name=name)
    emulator.revert(system.uuid, 'b')
    emulator.create(system.uuid, Name='d')

    emulator.delete(system.uuid, 'a')

    for name, number in (('b', 1), ('c', 2), ('d', 1)):
        host.check(host.captured(name))
        assert host.holds(host.captured(name), number)
    for name in 'cbd':
        emulator.delete(system.uuid, name)
    assert system.leftovers() == []


def test_branches_made_while_running(make_system, emulator, external):
    """A merge below other branches leaves them whole."""
    if not external:
        pytest.skip('nothing is merged')
    system = make_system(**SMALL)
    host = Host(system)
    host.write(7)
    system.domain.create()
    for step in ('a', 'b', 'c', '<b', 'd', 'e'):
        if step.startswith('<'):
            emulator.revert(system.uuid, step[1:])
        else:
            emulator.create(system.uuid, Name=step)

    emulator.delete(system.uuid, 'a')

    for name in 'bcde':
        host.check(host.captured(name))
        assert host.holds(host.captured(name), 7)
    emulator.revert(system.uuid, 'c')
    assert host.holds(host.active(), 7)


def test_a_linked_clone_keeps(make_system, emulator, external):
    """A volume, or a system, that is backed by a snapshot blocks its end."""
    if not external:
        pytest.skip('an internal snapshot has no file')
    system = make_system(**SMALL)
    host = Host(system)
    for number, name in enumerate(('first', 'second', 'third')):
        host.write(number)
        emulator.create(system.uuid, Name=name)
    below = host.captured('second')
    clone = f'{system.name}-clone.qcow2'

    # Of an overlay that libvirt itself has made the pool does not know.
    host.run('virsh', 'pool-refresh', 'default')
    host.run(
        *('virsh', 'vol-create-as', 'default', clone, '16M'),
        *('--format', 'qcow2', '--backing-vol', below),
        *('--backing-vol-format', 'qcow2'),
    )

    path = f'{IMAGES}/{clone}'
    for name in ('first', 'second'):
        refused = emulator.send_delete(system.uuid, name)
        assert refused.status_code == 409
        assert message_ids(refused) == ['SnapshotCloned']
        assert path in refused.json()['error']['message']
    emulator.delete(system.uuid, 'third')

    other = make_system(**SMALL)
    text = other.domain.XMLDesc(0).replace(f'{other.name}-1.qcow2', clone)
    system.host.connect().defineXML(text)
    refused = emulator.send_delete(system.uuid, 'first')
    assert refused.json()['error']['@Message.ExtendedInfo'][0][
        'MessageArgs'
    ] == ['first', other.name]
    assert message_ids(purge(emulator, system)) == 2 * ['SnapshotCloned']

    # A snapshot of the clone stands on it as well.
    emulator.create(other.uuid, Name='of-clone')
    assert message_ids(emulator.send_delete(system.uuid, 'first')) == [
        'SnapshotCloned'
    ]
    emulator.delete(other.uuid, 'of-clone')
    assert host.holds(path, 1)
    other.domain.undefine()
    host.run('virsh', 'vol-delete', '--pool', 'default', clone)
    system.host.connect().defineXML(text)

    for name in ('first', 'second'):
        emulator.delete(system.uuid, name)
    assert host.holds(host.active(), 2)
    assert system.leftovers() == []


@pytest.mark.parametrize('power', ['on', 'off'])
def test_purge_and_undefine(make_system, emulator, external, power):
    """Of ten snapshots in branches nothing is left, and undefine works."""
    if not external:
        pytest.skip('raw UEFI variables')
    system = make_system(
        boot_guest=False,
        agent=False,
        memory_mib=128,
        firmware='uefi',
        disks=(Disk(size_mib=16, formatted=False),) * 2,
    )
    host = Host(system)
    host.write(7)
    if power == 'on':
        system.domain.create()
    for step in [
        'a',
        'b',
        'c',
        'd',
        '<b',
        'e',
        'f',
        '<a',
        'g',
        '<e',
        'h',
        'i',
        'j',
    ]:
        if step.startswith('<'):
            emulator.revert(system.uuid, step[1:])
        else:
            emulator.create(system.uuid, Name=step, IncludeMemory=step < 'f')
    requests.patch(
        f'{emulator.system(system.uuid)}/Oem/HawkFish/Snapshots/e',
        json={'Locked': True, 'Description': 'a description'},
    )
    libvirts = system.domain.snapshotLookupByName('e').getXMLDesc()
    assert '<description>a description</description>' in libvirts
    assert system.domain.snapshotCurrent().getName() == 'j'
    state = system.domain.state()[0]
    assert message_ids(purge(emulator, system)) == ['SnapshotLocked']

    response = emulator.wait(purge(emulator, system, Force=True))

    assert response.status_code == 200, response.text
    assert system.domain.snapshotListNames() == []
    assert system.domain.state()[0] == state
    assert system.leftovers() == []
    if power == 'on':
        system.domain.destroy()
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    host.run('virsh', 'undefine', '--nvram', system.name)
    assert [
        path.name
        for path in sorted(system.host.path(IMAGES).glob(f'{system.name}*'))
    ] == [f'{system.name}-1.qcow2', f'{system.name}-2.qcow2']
    system.host.connect().defineXML(text)
    host.check(host.active())
    assert host.holds(host.active(), 7)


@pytest.mark.parametrize('step', ['merge', 'finish'])
def test_a_killed_purge_goes_on(make_system, emulator, external, step):
    """Killed in the middle of it, the emulator finishes what it began."""
    system = make_system(**SMALL)
    system.domain.create()
    for name in 'abc':
        emulator.create(system.uuid, Name=name)
    emulator.order('after', 'purge', step)
    accepted = purge(emulator, system)
    emulator.wait_dead()

    emulator.start()

    assert emulator.wait(accepted).status_code == 200
    assert system.domain.snapshotListNames() == []
    assert system.leftovers() == []


def collect():
    """The same histories, limits and locks at each run."""
    found = []

    @settings(max_examples=ROUNDS, database=None, derandomize=True)
    @given(
        trees.histories(5),
        st.integers(1, 3),
        st.sets(st.integers(0, 4), max_size=2),
    )
    def keep(history, most, locked):
        found.append((history, most, locked))

    keep()
    return found


def test_random_trees(make_system, emulator, external):
    """Whatever the tree, the dry run is right, and no data is lost."""
    if not external:
        pytest.skip('internal snapshots stand alone')
    rounds = collect()
    systems = [make_system(**SMALL) for _ in rounds]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [
            pool.submit(play, emulator, system, *one)
            for system, one in zip(systems, rounds, strict=True)
        ]:
            done.result()


def play(emulator, system, history, most, locked):
    host = Host(system)
    made = 0
    for step in history:
        if step == trees.CREATE:
            host.write(made + 1)
            emulator.create(system.uuid, Name=str(made), Locked=made in locked)
            made += 1
        else:
            emulator.revert(system.uuid, str(step))
    host.write(100)
    set_policy(emulator, system, MaxSnapshots=most)
    seen = preview(emulator, system, Name='new')

    emulator.create(system.uuid, Name='new')
    kept = [k['Name'] for k in seen['Kept']]
    settle(emulator, system, kept)

    assert not {p['Name'] for p in seen['Pruned']} & set(map(str, locked))
    for name in kept:
        number = 100 if name == 'new' else int(name) + 1
        host.check(host.captured(name))
        assert host.holds(host.captured(name), number), (history, name)
    assert host.holds(host.active(), 100)
    assert not host.holds(host.active(), 99)
    assert len(kept) <= most or seen['UnmetLimits']
