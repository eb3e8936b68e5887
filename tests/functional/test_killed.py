# SPDX-License-Identifier: Apache-2.0
"""
The emulator, libvirtd or QEMU is killed in the middle of an operation.

Whatever the moment, the task ends with the truth.

Long, as every moment of every operation is tried in the same way.
"""

import contextlib
import html
import json
import os
import signal
import sqlite3
import subprocess
import time
from xml.etree import ElementTree

import libvirt
import pytest
import requests

from hawkfish_plugin.drivers.libvirt import domains, hosts, qmp
from tests.functional.conftest import SMALL, System
from tests.functional.emulator import Emulator, last_messages
from tests.functional.proxy import Proxy
from tests.lab.domains import Domain
from tests.lab.host import IMAGES, SOCKET
from tests.served import message_ids
from tests.waiting import patience, wait_for

STEPS = {
    'create': ('prepare', 'capture', 'finish'),
    'revert': ('prepare', 'revert', 'finish', 'start'),
    'delete': ('prepare', 'merge', 'finish'),
}
MOMENTS = [
    (when, operation, step)
    for operation, steps in STEPS.items()
    for step in steps
    for when in ('before', 'after')
] + [
    ('during=0.05', 'create', 'capture'),
    ('during=0.3', 'revert', 'revert'),
    ('during=1.2', 'revert', 'revert'),
    ('during=0.01', 'delete', 'merge'),
]


@pytest.fixture
def system(make_system, emulator):
    """A running guest on a snapshot, with data before and after it."""
    return on_snapshot(make_system().boot(), emulator)


def on_snapshot(made, emulator):
    made.write('before')
    emulator.create(made.uuid, Name='base')
    made.write('after')
    return made


@pytest.fixture(scope='module')
def survivors(host):
    """The guest, if there is one, that the next test may have."""
    kept = []
    yield kept
    for left in kept:
        left.remove()


@pytest.fixture
def survivor(survivors, host, emulator):
    """
    The same, where nothing ends the guest.

    It goes to the next test as it was booted: without a snapshot or a file
    of one. To boot takes longer than what is tested.
    """
    while survivors and not is_as_booted(survivors[-1]):
        survivors.pop()
    if not survivors:
        survivors.append(System(host, Domain('survivor')).boot())
    made = survivors.pop()
    yield on_snapshot(made, emulator)
    if is_as_booted(made):
        survivors.append(made)
    else:
        made.remove()


def is_as_booted(system):
    # The host is another one after a test that wedged its libvirtd.
    with contextlib.suppress(libvirt.libvirtError):
        domain = system.domain
        return (
            domain.isActive()
            and not domain.listAllSnapshots()
            and not system.leftovers()
        )
    return False


def begin(emulator, system, operation):
    if operation == 'create':
        return emulator.post_create(system.uuid, Name='new')
    if operation == 'revert':
        return emulator.post_revert(system.uuid, 'base')
    return emulator.send_delete(system.uuid, 'base')


@pytest.mark.parametrize('when, operation, step', MOMENTS)
def test_killed(emulator, survivor, external, when, operation, step):
    """
    Whatever the moment, the task ends with the truth.

    No snapshot is half made, no file is orphaned, and the guest's data is as
    it was before the operation, or as it has to be after it.
    """
    emulator.order(when, operation, step)
    accepted = begin(emulator, survivor, operation)
    monitor = accepted.headers['Location']
    emulator.wait_dead()
    emulator.start()

    check_end(emulator, survivor, operation, monitor, external)


# An internal snapshot has no files of its own.
@pytest.mark.once
def test_a_disk_of_an_odd_name(emulator, make_system):
    """What XML has to write in other words is known all the same."""
    system = make_system(**SMALL)
    disk = system.host.path(system.sources()[0])
    odd = disk.rename(disk.with_name(f"{system.name}-R&D's.qcow2"))
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    system.host.connect().defineXML(
        text.replace(disk.name, html.escape(odd.name))
    )
    emulator.create(system.uuid, Name='s')
    emulator.order('before', 'revert', 'finish')
    monitor = emulator.post_revert(system.uuid, 's').headers['Location']
    emulator.wait_dead()
    emulator.start()

    assert emulator.watch(monitor).status_code == 200
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    path = ElementTree.fromstring(text).find('devices/disk/source').get('file')
    assert path != str(odd)
    assert system.host.path(path).exists()
    emulator.delete(system.uuid, 's')


LIBVIRTD_MOMENTS = [
    ('create', 'capture', 0.02),
    ('create', 'capture', 0.08),
    ('revert', 'revert', 0.05),
    ('revert', 'revert', 0.3),
    ('revert', 'revert', 0.5),
]


# QEMU 7.2 ends internal snapshots without its libvirtd.
@pytest.mark.once
@pytest.mark.parametrize('operation, step, seconds', LIBVIRTD_MOMENTS)
def test_libvirtd_killed(
    emulator, host, system, external, operation, step, seconds
):
    """When libvirtd comes back, what it left is cleaned up or finished."""
    emulator.order(f'kill={seconds}', operation, step, host.daemon_pid())
    monitor = begin(emulator, system, operation).headers['Location']
    wait_for(lambda: not host.daemon_pid())
    host.start_daemon()

    left = check_data(
        emulator, system, operation, monitor, external, cold=True
    )
    # In the last moments of a revert libvirt may have noted an overlay that
    # it does not use; it is told in the documentation, and no data is in it.
    if operation == 'revert':
        left = [name for name in left if not name[-10:].isdigit()]
    assert left == []


# An internal snapshot changes no disk.
@pytest.mark.once
@pytest.mark.parametrize('seconds', [0.004, 0.008, 0.01, 0.012])
def test_libvirtd_killed_as_disks_change(
    emulator, host, system, external, seconds
):
    """
    A guest that QEMU has changed over to a new disk loses nothing by it.

    libvirtd lets QEMU do so before it notes the new disk anywhere; the
    *seconds* are from the moment when that is seen.
    """
    folder = host.path(IMAGES)
    before = set(folder.glob('*-vda.qcow2'))
    victim = host.daemon_pid()
    monitor = begin(emulator, system, 'create').headers['Location']
    deadline = time.monotonic() + patience(30)
    while not set(folder.glob('*-vda.qcow2')) - before:
        assert time.monotonic() < deadline
    time.sleep(seconds)
    os.kill(victim, signal.SIGKILL)
    while host.daemon_pid():
        time.sleep(0.01)
    host.start_daemon()

    assert (
        check_data(emulator, system, 'create', monitor, external, cold=True)
        == []
    )


def change_over(emulator, system):
    """
    Break a create off, and let QEMU alone go on as libvirtd lets it.

    Returns the overlay that the guest writes to from then on.
    """
    emulator.order('after', 'create', 'prepare')
    monitor = begin(emulator, system, 'create').headers['Location']
    emulator.wait_dead()
    (path,) = (emulator.folder / 'state').glob('*/hawkfish.sqlite')
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (journal,) = connection.execute(
            'SELECT journal FROM tasks ORDER BY id DESC LIMIT 1'
        ).fetchone()
    overlay = next(
        file
        for file in json.loads(journal)['files']
        if file.endswith('.qcow2')
    )
    subprocess.run(
        [
            'qemu-img',
            'create',
            '-q',
            '-f',
            'qcow2',
            '-F',
            'qcow2',
            '-u',
            '-b',
            system.sources()[0],
            system.host.path(overlay),
            '64M',
        ],
        check=True,
    )
    owner = system.host.path(system.sources()[0]).stat()
    os.chown(system.host.path(overlay), owner.st_uid, owner.st_gid)
    host = hosts.Host(system.domain.connect(), hosts.Shared())
    domain = domains.Domain(host, system.domain)
    drive = qmp.ask(domain, 'query-block')['return'][0]
    for command, arguments in (
        (
            'blockdev-add',
            {
                'driver': 'qcow2',
                'node-name': 'unknown',
                'backing': None,
                'file': {'driver': 'file', 'filename': overlay},
            },
        ),
        (
            'blockdev-snapshot',
            {'node': drive['inserted']['node-name'], 'overlay': 'unknown'},
        ),
    ):
        assert 'return' in qmp.ask(domain, command, arguments)
    system.write('since')
    return monitor, system.host.path(overlay)


# An internal snapshot changes no disk.
@pytest.mark.once
def test_qemu_alone_changed_its_disk(emulator, system):
    """What the guest writes to a disk that libvirt does not know is kept."""
    monitor, overlay = change_over(emulator, system)
    emulator.start()

    assert not emulator.watch(monitor).ok
    assert not overlay.exists()
    assert system.read() == {'since'}
    system.domain.destroy()
    system.boot()
    assert system.read() == {'since'}


# An internal snapshot changes no disk.
@pytest.mark.once
def test_qemu_alone_changed_its_disk_and_is_gone(emulator, system):
    """A file that alone has what the guest has written is kept, and told."""
    monitor, overlay = change_over(emulator, system)
    system.domain.destroy()
    emulator.start()

    assert not emulator.watch(monitor).ok
    assert 'OverlayLeft' in last_messages(emulator)
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    system.host.connect().defineXML(
        text.replace(system.sources()[0], f'{IMAGES}/{overlay.name}')
    )
    system.boot()
    assert system.read() == {'since'}


# QEMU 7.2 ends internal snapshots without its libvirtd.
@pytest.mark.once
def test_libvirtd_killed_in_a_merge(emulator, host, system):
    """
    A merge that broke off is begun again; nothing that was written is lost.

    The guest is killed as well: libvirtd 11.3 crashes at every start until
    the QEMU has ended whose merge it does not remember.
    """
    system.guest.run(
        'dd if=/dev/urandom of=/mnt/big bs=1M count=30 2>/dev/null; sync',
        timeout=60,
    )
    checksum = system.guest.checksum('/mnt/big')
    victim = host.qemu_pid(system.name)
    emulator.order('kill=0.02', 'delete', 'merge', host.daemon_pid())
    monitor = begin(emulator, system, 'delete').headers['Location']
    wait_for(lambda: not host.daemon_pid())
    os.kill(victim, signal.SIGKILL)
    host.start_daemon()

    ended = emulator.watch(monitor)

    assert ended.status_code == 204, ended.text
    assert emulator.snapshots(system.uuid) == []
    system.boot()
    assert system.guest.checksum('/mnt/big') == checksum
    assert system.read() == {'after'}
    assert system.leftovers() == []


@pytest.mark.parametrize('operation', ['create', 'revert', 'delete'])
@pytest.mark.parametrize('seconds', [0.0, 0.1])
def test_connection_dropped(
    folder, host, survivor, external, operation, seconds
):
    """A connection that breaks is opened again, and the end is found out."""
    with Proxy(host.path(SOCKET), folder / 'socket') as proxy:
        far = Emulator(folder, f'qemu+unix:///system?socket={folder}/socket')
        far.start()
        try:
            far.order('sleep=0', operation, STEPS[operation][1])
            monitor = begin(far, survivor, operation).headers['Location']
            far.wait_ordered()
            time.sleep(seconds)
            proxy.drop()

            assert (
                check_data(far, survivor, operation, monitor, external) == []
            )
        finally:
            far.stop()


@pytest.mark.parametrize(
    'operation, step, seconds',
    [
        ('create', 'capture', 0.05),
        ('revert', 'revert', 0.001),
        ('delete', 'merge', 0.012),
        ('delete', 'merge', 0.02),
    ],
)
def test_qemu_killed(
    emulator, host, system, external, operation, step, seconds
):
    """
    A QEMU that dies takes no snapshot and no data on disk with it.

    Where it died in a merge the snapshot is Failed, and is deleted again.
    """
    victim = host.qemu_pid(system.name)
    emulator.order(f'kill={seconds}', operation, step, victim)
    monitor = begin(emulator, system, operation).headers['Location']
    ended = emulator.watch(monitor)
    if not system.domain.isActive():
        system.domain.create()
    if operation == 'delete' and not ended.ok:
        (state,) = {
            s['SnapshotState'] for s in emulator.snapshots(system.uuid)
        }
        # It may have died before there was anything to merge.
        assert (message_ids(ended), state) in (
            (['MergeFailed'], 'Failed'),
            (['OperationFailed'], 'Ready'),
        )
        accepted = begin(emulator, system, operation)
        monitor = accepted.headers['Location']

    check_data(emulator, system, operation, monitor, external)
    # libvirt may let the system stay on the overlay that it has merged.
    assert system.orphans() == []


def check_end(emulator, system, operation, monitor, external):
    """The task is over, everything is as it says, and nothing is left."""
    assert check_data(emulator, system, operation, monitor, external) == []


def check_data(emulator, system, operation, monitor, external, cold=False):
    """
    The task is over and the data is right; returns what files are left.

    *cold* says that libvirt may be wrong about where the guest writes to.
    """
    final = emulator.watch(monitor)

    task = requests.get(
        emulator.url + monitor.replace('TaskMonitors', 'Tasks')
    ).json()
    names = {s['Name'] for s in emulator.snapshots(system.uuid)}
    states = {s['SnapshotState'] for s in emulator.snapshots(system.uuid)}
    done = task['TaskState'] == 'Completed'
    assert final.ok is done
    assert states <= {'Ready'}
    assert done or task['TaskState'] == 'Exception'
    if not external and not system.domain.isActive():
        # The task says that an internal revert left it as it is.
        system.domain.create()
    system.guest.wait_booted()
    if operation == 'create':
        assert ('new' in names) is done
        assert system.read() == {'after'}
    elif operation == 'revert':
        unknown = not done and message_ids(final) == ['RevertUnknown']
        possible = {'before'} if done else {'after'}
        assert system.read() <= possible | ({'before'} if unknown else set())
        assert not (unknown and external)
    else:
        assert done
        assert names == set()
        assert system.read() == {'after'}
    if cold:
        check_kept(system)
    for name in names:
        emulator.revert(system.uuid, name)
        expected = 'before' if name == 'base' else 'after'
        assert system.read() == {expected}
    for name in names:
        emulator.delete(system.uuid, name)
    return system.leftovers()


def check_kept(system):
    """What the guest writes from now on is there when it starts again."""
    system.write('later')
    system.domain.destroy()
    system.boot()
    assert system.read() == {'later'}


@pytest.mark.parametrize('step', ['prepare', 'revert', 'finish'])
def test_somebody_was_faster(emulator, system, step):
    """
    What others did while the emulator was down is not undone.

    A guest that they have booted is neither stopped nor set back.
    """
    emulator.order('after', 'revert', step)
    monitor = begin(emulator, system, 'revert').headers['Location']
    emulator.wait_dead()
    if system.domain.isActive():
        system.domain.destroy()
    system.boot()
    system.write('theirs')
    number = system.domain.ID()
    emulator.start()

    emulator.watch(monitor)

    assert system.domain.ID() == number
    assert system.read() == {'theirs'}


def test_a_system_is_not_changed_before_it_is_settled(emulator, system):
    """The emulator starts nothing whose revert was interrupted."""
    emulator.order('after', 'revert', 'revert')
    begin(emulator, system, 'revert')
    emulator.wait_dead()
    emulator.start()

    answers = set()
    for _ in range(3):
        reset = requests.post(
            f'{emulator.system(system.uuid)}/Actions/ComputerSystem.Reset',
            json={'ResetType': 'On'},
        )
        answers.add(reset.status_code)

    # Settled at once, the guest runs and On has nothing to do.
    assert answers <= {204, 503}
    for task in emulator.tasks():
        emulator.watch(task['TaskMonitor'])
    assert system.read() == {'after'}
