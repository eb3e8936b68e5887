# SPDX-License-Identifier: Apache-2.0
"""The guest agent: file systems quiesced, clocks set, hung agents outlived."""

import time

import pytest
import requests

from tests.served import message_ids
from tests.waiting import patience, wait_for


@pytest.fixture
def system(make_system):
    made = make_system().boot()
    made.guest.wait_agent()
    return made


def hook_log(system):
    """What the freeze hook in the guest was called with."""
    return system.guest.run('cat /run/hook.log 2>/dev/null || true').split()


def warnings(emulator, accepted):
    task = requests.get(
        emulator.url
        + accepted.headers['Location'].replace('TaskMonitors', 'Tasks')
    ).json()
    return [
        message['MessageId'].rpartition('.')[2]
        for message in task['Messages']
        if message['MessageSeverity'] != 'OK'
    ]


def test_memory_is_saved_after_a_flush(system, emulator):
    """The hooks run once, and nothing is frozen: now, or after a revert."""
    snapshot = emulator.create(system.uuid, Name='s', Quiesce='Required')

    assert snapshot['Consistency'] == 'Memory'
    assert snapshot['QuiesceStatus'] == 'Quiesced'
    assert len(hook_log(system)) == 2
    system.guest.run('sync', timeout=5)

    emulator.revert(system.uuid, 's')

    system.guest.run('echo x > /mnt/x && sync', timeout=5)


# An internal snapshot of a running system has memory.
@pytest.mark.once
def test_disks_alone_are_frozen_meanwhile(system, emulator):
    """A snapshot of the disks alone is consistent for its file systems."""
    snapshot = emulator.create(
        system.uuid, Name='s', Quiesce='Required', IncludeMemory=False
    )

    assert snapshot['Consistency'] == 'FileSystem'
    assert snapshot['QuiesceStatus'] == 'Quiesced'
    assert len(hook_log(system)) == 2
    never = emulator.create(
        system.uuid, Name='n', Quiesce='Never', IncludeMemory=False
    )
    assert never['Consistency'] == 'Crash'
    assert never['QuiesceStatus'] == 'NotRequested'
    assert len(hook_log(system)) == 2


@pytest.mark.parametrize('memory', [True, False])
@pytest.mark.parametrize('fault', ['hung', 'dead', 'absent'])
def test_without_an_answer(make_system, emulator, external, fault, memory):
    """
    Preferred goes on with a warning, Required fails within its time-out.

    The next operation works at once, and the guest is not left frozen.
    """
    if not (external or memory):
        pytest.skip('an internal snapshot of a running system has memory')
    system = make_system(agent=fault != 'absent').boot()
    if fault != 'absent':
        system.guest.wait_agent()
    if fault == 'hung':
        system.guest.stop_agent()
    if fault == 'dead':
        system.guest.kill_agent()

    begin = time.monotonic()
    refused = emulator.wait(
        emulator.post_create(
            system.uuid, Name='r', Quiesce='Required', IncludeMemory=memory
        )
    )

    assert time.monotonic() - begin < patience(8)
    assert refused.status_code == 409
    assert message_ids(refused) == ['QuiesceFailed']
    assert system.domain.snapshotListNames() == []
    accepted = emulator.post_create(
        system.uuid, Name='p', Quiesce='Preferred', IncludeMemory=memory
    )
    snapshot = emulator.wait(accepted).json()
    assert snapshot['QuiesceStatus'] == 'Failed'
    assert snapshot['QuiesceReason']
    assert snapshot['Consistency'] == ('Memory' if memory else 'Crash')
    assert warnings(emulator, accepted) == [
        'SnapshotQuiesceFailed',
        'TaskCompletedWarning',
    ]
    system.guest.run('echo x > /mnt/x && sync', timeout=5)
    emulator.delete(system.uuid, 'p')
    assert system.leftovers() == []


# UEFI systems have no internal snapshots here.
@pytest.mark.once
def test_an_agent_that_stops_in_between(make_system, emulator):
    """A refusal that comes late leaves no file behind either."""
    system = make_system(firmware='uefi').boot()
    system.guest.wait_agent()
    emulator.order('sleep=2', 'create', 'capture')
    accepted = emulator.post_create(
        system.uuid, Name='r', Quiesce='Required', IncludeMemory=False
    )
    emulator.wait_ordered()
    system.guest.stop_agent()

    refused = emulator.wait(accepted)

    assert message_ids(refused) == ['QuiesceFailed']
    assert system.leftovers() == []


# An internal snapshot of a running system has memory.
@pytest.mark.once
@pytest.mark.parametrize('mode', ['Required', 'Preferred'])
def test_a_thaw_that_is_not_confirmed(system, emulator, mode):
    """
    libvirt drops the snapshot then, and leaves the system on its overlays.

    They are merged back, so that none is left that no snapshot has.
    """
    before = system.sources()
    system.guest.run('touch /run/slow-thaw; echo kept > /mnt/data; sync')

    ended = emulator.wait(
        emulator.post_create(
            system.uuid, Name='s', Quiesce=mode, IncludeMemory=False
        )
    )

    if mode == 'Required':
        assert message_ids(ended) == ['QuiesceFailed']
    else:
        assert ended.json()['QuiesceStatus'] == 'Failed'
        emulator.delete(system.uuid, 's')
    assert system.sources() == before
    assert system.leftovers() == []
    assert system.guest.run('cat /mnt/data').strip() == 'kept'


def test_an_agent_that_answers_late(system, emulator):
    """An agent that answers in its time is waited for."""
    system.guest.run(
        '(kill -STOP $(pidof qemu-ga); sleep 2; kill -CONT $(pidof qemu-ga))'
        ' >/dev/null 2>&1 &'
    )
    snapshot = emulator.create(system.uuid, Name='s', Quiesce='Required')

    assert snapshot['QuiesceStatus'] == 'Quiesced'
    system.guest.run('echo x > /mnt/x && sync', timeout=5)


def test_what_others_froze_stays_frozen(system, emulator):
    """A guest that somebody else has frozen is not thawed by us."""
    system.domain.fsFreeze()
    try:
        accepted = emulator.post_create(system.uuid, Name='s')
        snapshot = emulator.wait(accepted).json()

        assert snapshot['QuiesceStatus'] == 'Failed'
        assert 'somebody else' in snapshot['QuiesceReason']
        assert system.guest.agent('guest-fsfreeze-status') == 'frozen'
    finally:
        system.domain.fsThaw()


def test_a_paused_and_an_off_system_need_none(system, emulator):
    """A system whose file systems are not in use is not quiesced."""
    system.domain.suspend()
    paused = emulator.create(system.uuid, Name='p', Quiesce='Required')
    system.domain.destroy()
    off = emulator.create(system.uuid, Name='o', Quiesce='Required')

    assert paused['QuiesceStatus'] == off['QuiesceStatus'] == 'NotNeeded'
    assert off['Consistency'] == 'Off'


def test_killed_while_frozen(system, emulator):
    """An emulator that dies over a freeze thaws the guest when it is back."""
    emulator.order('after', 'create', 'freeze')
    monitor = emulator.post_create(system.uuid, Name='s').headers['Location']
    emulator.wait_dead()
    system.domain.fsFreeze()
    emulator.start()

    emulator.watch(monitor)

    assert system.guest.agent('guest-fsfreeze-status') == 'thawed'
    assert system.domain.snapshotListNames() == []


def clock(system):
    """The time of the guest, in seconds since the epoch."""
    return int(system.guest.run('date +%s'))


def test_the_clock_is_set_after_a_revert(system, emulator):
    """A guest whose memory came back does not live in the past."""
    emulator.create(system.uuid, Name='s')
    captured = clock(system)
    wait_for(lambda: clock(system) > captured + 6)
    accepted = emulator.post_revert(system.uuid, 's')
    assert emulator.wait(accepted).status_code == 200

    behind = time.time() - clock(system)

    assert abs(behind) < 4
    assert warnings(emulator, accepted) == []


@pytest.mark.parametrize('channel', [True, False])
def test_a_clock_that_cannot_be_set_is_told(make_system, emulator, channel):
    """Without an agent the revert takes place, with a warning."""
    system = make_system(agent=channel).boot()
    if channel:
        system.guest.wait_agent()
        system.guest.run('killall qemu-ga')
    emulator.create(system.uuid, Name='s', Quiesce='Never')

    accepted = emulator.post_revert(system.uuid, 's')

    assert emulator.wait(accepted).status_code == 200
    assert 'ClockNotSet' in warnings(emulator, accepted)
