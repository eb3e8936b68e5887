# SPDX-License-Identifier: Apache-2.0
"""Many systems at once, and many requests on one."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import threading
import time

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab import domains
from tests.served import message_ids
from tests.waiting import patience, wait_for


def test_twenty_systems_at_once(make_system, emulator):
    """Each of twenty running systems gets its snapshot, and only its own."""
    systems = [make_system(**SMALL) for _ in range(20)]
    for system in systems:
        system.domain.create()

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        made = list(
            pool.map(lambda s: emulator.create(s.uuid, Name='all'), systems)
        )

    assert {s['SnapshotState'] for s in made} == {'Ready'}
    for system in systems:
        assert system.domain.snapshotListNames() == ['all']
        assert system.domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING


# The queue of the tasks is the same for each libvirt.
@pytest.mark.once
def test_two_creates_at_once_succeed_in_turn(make_system, emulator):
    """Of two creates at once on one system both are made, one by one."""
    system = make_system().boot()

    first = emulator.post_create(system.uuid, Name='first')
    second = emulator.post_create(system.uuid, Name='second')

    assert emulator.wait(first).status_code == 201
    assert emulator.wait(second).status_code == 201
    parent = emulator.snapshot(system.uuid, 'second')['Links']
    assert parent['ParentSnapshot']['@odata.id'].endswith('/first')


def _writer_of_memory(root: pathlib.Path) -> int:
    """The process that writes a memory file for the libvirtd of *root*."""

    def find() -> int | None:
        for process in pathlib.Path('/proc').glob('[0-9]*'):
            with contextlib.suppress(OSError):
                command = (process / 'cmdline').read_text()
                ours = os.path.samefile(process / 'root', root)
                if ours and 'libvirt_iohelper' in command:
                    return int(process.name)
        return None

    return wait_for(find, 'a libvirt_iohelper') or 0


@pytest.mark.once
def test_a_running_create_is_cancelled(make_system, emulator):
    """A DELETE of its monitor stops a create, and leaves nothing of it."""
    system = make_system(memory_mib=1024, full_kernel=True).boot()
    system.guest.run(
        'mkdir -p /run/big && mount -t tmpfs -o size=90% none /run/big && '
        'dd if=/dev/urandom of=/run/big/x bs=1M count=350 2>/dev/null',
        timeout=60,
    )
    accepted = emulator.post_create(system.uuid, Name='big')
    # However quick the disk is, it is still at it when we cancel.
    writer = _writer_of_memory(system.host.path('/'))
    os.kill(writer, signal.SIGSTOP)
    task = emulator.url + accepted.json()['TaskMonitor'].replace(
        'TaskMonitors', 'Tasks'
    )

    cancelled = requests.delete(task)
    wait_for(
        lambda: requests.get(task).json()['TaskState'] == 'Cancelling',
    )
    os.kill(writer, signal.SIGCONT)

    assert cancelled.status_code == 202
    final = emulator.wait(accepted)
    assert (final.status_code, message_ids(final)) == (
        404,
        ['OperationCancelled'],
    )
    assert requests.get(task).json()['TaskState'] == 'Cancelled'
    assert emulator.snapshots(system.uuid) == []
    assert system.leftovers() == []
    assert system.guest.wait_ticks(2)


@pytest.mark.parametrize('step', ['prepare', 'freeze'])
def test_a_create_is_cancelled_before_libvirt_has_it(
    make_system, emulator, step
):
    """A create cancelled in its first steps leaves nothing either."""
    system = make_system().boot()
    # Without an agent nothing is frozen.
    system.guest.wait_agent()
    emulator.order('sleep=2', 'create', step)
    accepted = emulator.post_create(system.uuid, Name='s')
    task = emulator.url + accepted.json()['TaskMonitor'].replace(
        'TaskMonitors', 'Tasks'
    )
    emulator.wait_ordered()

    assert requests.delete(task).status_code == 202

    final = emulator.wait(accepted)
    assert (final.status_code, message_ids(final)) == (
        404,
        ['OperationCancelled'],
    )
    assert emulator.snapshots(system.uuid) == []
    assert system.leftovers() == []
    assert system.guest.wait_ticks(2)


@pytest.mark.parametrize('operation', ['create', 'revert'])
def test_setters_of_the_emulator_wait(
    make_system, emulator, external, operation
):
    """
    A boot device set during an operation takes its turn, and does no harm.
    """
    system = make_system(cdrom='empty').boot()
    emulator.create(system.uuid, Name='s')
    if operation == 'create':
        emulator.order('sleep=2', 'create', 'capture')
        accepted = emulator.post_create(system.uuid, Name='t')
    else:
        emulator.order('sleep=2', 'revert', 'revert')
        accepted = emulator.post_revert(system.uuid, 's')
    emulator.wait_ordered()

    response = requests.patch(
        emulator.system(system.uuid),
        json={'Boot': {'BootSourceOverrideTarget': 'Cd'}},
    )

    assert response.status_code == 204, response.text
    # Nobody waits here any more: the revert was over before the setter.
    monitor = requests.get(emulator.url + accepted.headers['Location'])
    assert monitor.status_code in (200, 201), monitor.text
    boot = requests.get(emulator.system(system.uuid)).json()['Boot']
    assert boot['BootSourceOverrideTarget'] == 'Cd'
    base = domains.disk_path(system.description, 1)
    assert (system.sources() == [base]) is not external


# How requests are served beside an operation has nothing to do with libvirt.
@pytest.mark.once
def test_the_emulator_stays_quick(make_system, emulator):
    """Its own resources are served while operations run."""
    system = make_system().boot()
    other = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    accepted = emulator.post_revert(system.uuid, 's')
    slowest = 0.0
    done = threading.Event()
    threading.Thread(
        target=lambda: (emulator.wait(accepted), done.set()), daemon=True
    ).start()

    while not done.wait(0.05):
        begin = time.monotonic()
        response = requests.get(emulator.system(other.uuid))
        slowest = max(slowest, time.monotonic() - begin)
        assert response.status_code == 200

    assert slowest < patience(5)


# Which connections are kept is decided by the emulator alone.
@pytest.mark.once
def test_the_emulator_keeps_few_connections(make_system, emulator):
    """However many systems it is asked for, it keeps few connections."""
    uuids = [make_system(**SMALL).uuid for _ in range(150)]

    for uuid in uuids:
        requests.get(emulator.system(uuid), timeout=60).raise_for_status()

    assert emulator.process
    opened = pathlib.Path(f'/proc/{emulator.process.pid}/fd').iterdir()
    sockets = [f for f in opened if str(f.readlink()).startswith('socket:')]
    assert len(sockets) < 90
