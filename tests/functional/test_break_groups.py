# SPDX-License-Identifier: Apache-2.0
"""
What others do to the systems of a group while they are captured or reverted.

Its owner pauses one, virsh renames or forgets what belongs together, a QEMU
hangs or dies between two steps.  Over HTTP; what the disks hold is read.
"""

import contextlib
import os
import signal
import threading
import time

import libvirt
import libvirt_qemu
import pytest

from tests.functional.conftest import SMALL
from tests.functional.killing import number_on
from tests.functional.labs import ServedGroup
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

RUNNING, PAUSED = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED
_DEVICE = '/machine/peripheral/virtio-disk0/virtio-backend'
_METADATA = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
_REDEFINE = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT
)


class Numbered(ServedGroup):
    """A group each of whose disks holds a number."""

    def write(self, *numbers):
        for system, number in zip(self.systems, numbers, strict=True):
            for command in (f'write -P {number} 0 64k', 'flush'):
                libvirt_qemu.qemuMonitorCommand(
                    system.domain,
                    f'qemu-io -d {_DEVICE} "{command}"',
                    libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP,
                )

    def read(self):
        return [
            number_on(system.host, path)
            for system in self.systems
            for path in system.sources()
        ]


@pytest.fixture
def lab(make_system, emulator, external):
    """Three that run."""
    if not external:
        pytest.skip('the systems of a group have external snapshots')
    systems = [make_system(**SMALL) for _ in range(3)]
    for system in systems:
        system.domain.create()
    made = Numbered(emulator, systems)
    made.write(1, 2, 3)
    return made


def rename(system, old, new):
    """As ``virsh snapshot-edit --rename`` does."""
    found = system.domain.snapshotLookupByName(old)
    text = found.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    found.delete(_METADATA)
    system.domain.snapshotCreateXML(
        text.replace(f'<name>{old}</name>', f'<name>{new}</name>'), _REDEFINE
    )


def damage(host, system, name):
    """Let the memory of a snapshot not be loaded."""
    captured = system.domain.snapshotLookupByName(name).getXMLDesc()
    memory = captured.split("<memory snapshot='external' file='")[1]
    path = host.path(memory.split("'")[0])
    whole = path.read_bytes()
    # Further in than it is looked at before.
    sound = len(whole) // 2
    path.write_bytes(whole[:sound] + b'\xff' * (len(whole) - sound))


def test_one_that_its_owner_pauses_meanwhile(lab, emulator):
    """It stays paused, and its snapshot says so, for a revert as well."""
    emulator.order('sleep=2', 'create', 'prepare')
    accepted = lab.post_create('a')
    emulator.wait_ordered()
    lab.systems[1].domain.suspend()

    made = emulator.wait(accepted).json()

    assert lab.states() == [RUNNING, PAUSED, RUNNING]
    powers = [part['PowerState'] for part in made['Systems']]
    assert powers == ['On', 'Paused', 'On']
    lab.systems[1].domain.resume()
    lab.revert('a')
    assert lab.states() == [RUNNING, PAUSED, RUNNING]


def test_a_part_that_was_renamed(lab):
    """The first look after that knows it already, and so does a revert."""
    lab.create('a')
    lab.write(4, 5, 6)
    rename(lab.systems[1], 'a', 'other')

    assert lab.show('a')['SnapshotState'] == 'Ready'

    lab.revert('a')
    assert lab.read() == [1, 2, 3]
    lab.delete('a')
    assert lab.theirs() == 3 * [[]]


def test_one_whose_qemu_ends_with_its_memory_loaded(lab, emulator, host):
    """It does not count as reverted: all are where they were, and run."""
    lab.create('a')
    lab.write(4, 5, 6)
    emulator.order('sleep=5', 'revert', 'start')
    accepted = lab.post_revert('a')

    def steps():
        reverts = emulator.tasks()[-3:]
        return [task['Oem']['HawkFish']['Step'] for task in reverts]

    # One sleeps there, and the others wait for it.
    wait_for(lambda: steps() == 3 * ['start'], 'the memory of all')
    os.kill(host.qemu_pid(lab.systems[1].name), signal.SIGKILL)

    failed = emulator.wait(accepted)

    assert message_ids(failed)[0] == 'GroupRevertUndone', failed.text
    assert lab.systems[1].name in failed.text
    assert lab.states() == 3 * [RUNNING]
    assert lab.read() == [4, 5, 6]
    assert lab.theirs() == 3 * [['a']]
    assert lab.orphans() == []


def test_a_way_back_of_which_a_part_was_forgotten(lab, emulator, host):
    """What is left of it is kept, and is not shown as that of all."""
    lab.create('a')
    lab.write(4, 5, 6)
    damage(host, lab.systems[2], 'a')
    emulator.order('sleep=3', 'group-revert', 'revert')
    accepted = lab.post_revert('a')
    emulator.wait_ordered()
    first = lab.systems[0]
    (safety,) = {*first.domain.snapshotListNames()} - {'a'}
    first.domain.snapshotLookupByName(safety).delete(_METADATA)

    failed = emulator.wait(accepted)

    assert message_ids(failed)[0] == 'GroupRevertNotUndone'
    assert lab.states() == 3 * [RUNNING]
    assert lab.read() == [4, 5, 6]
    left = lab.show(safety)
    assert left['SnapshotState'] == 'Incomplete'
    assert left['Findings'][0]['MessageArgs'] == [safety, first.name]


def accepted_revert(lab):
    sent = lab.post_revert('a')
    return sent if sent.status_code == 202 else None


def test_one_whose_qemu_hangs_in_the_pause(lab, emulator, host):
    """The others go on without it; what comes of it is of one moment."""
    pid = host.qemu_pid(lab.systems[1].name)
    done = threading.Event()

    def stop():
        while not done.is_set() and PAUSED not in lab.states():
            time.sleep(0.001)
        os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        accepted = lab.post_create('a')
        thread.join()
        wait_for(
            lambda: lab.states()[::2] == 2 * [RUNNING],
            'those whose QEMU does not hang',
        )
    finally:
        done.set()
        thread.join()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    ended = emulator.wait(accepted)

    made = ended.status_code == 201
    assert made or message_ids(ended)[0] == 'GroupCreateUndone', ended.text
    assert lab.states() == 3 * [RUNNING]
    assert lab.theirs() == 3 * [['a'] if made else []]
    assert lab.orphans() == []
    if made:
        lab.write(4, 5, 6)
        # Nobody asks about it again so soon.
        ended = emulator.wait(wait_for(lambda: accepted_revert(lab)))
        assert ended.status_code == 200, ended.text
        assert lab.read() == [1, 2, 3]
