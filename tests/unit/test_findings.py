# SPDX-License-Identifier: Apache-2.0
"""Which event tells that a system is unsafe, and how often."""

import pytest
import requests

from hawkfish_plugin import exceptions, messages
from tests.served import message_ids
from tests.waiting import wait_for


def told(emulator):
    """The findings that were recorded, oldest first."""
    return [
        event.args
        for event in emulator.services.events.after(0, 100_000)
        if event.message_id == messages.SYSTEM_UNSAFE
    ]


def act(emulator, action):
    return requests.post(f'{emulator.snapshots_url}/{action}', timeout=60)


REPAIR = 'Actions/HawkFishSnapshotCollection.Repair'
REVERT = 's/Actions/HawkFishSnapshot.Revert'


@pytest.fixture
def safe(emulator):
    """A system with a snapshot."""
    emulator.created(Name='s')
    yield emulator
    emulator.driver.repair(emulator.system)
    system = emulator.driver.resolve(emulator.system)
    emulator.services.findings.mended(system)


REFUSED = {
    'create': lambda emulator: emulator.create(Name='t'),
    'delete': lambda emulator: requests.delete(f'{emulator.snapshots_url}/s'),
    'purge': lambda emulator: act(
        emulator, 'Actions/HawkFishSnapshotCollection.Purge'
    ),
    'revert': lambda emulator: act(emulator, REVERT),
}


@pytest.mark.parametrize('what', REFUSED)
def test_a_refused_request(safe, what):
    """It is recorded, once for a finding, and again for another one."""
    safe.behaviour.power_state = 'On'
    for _ in range(2):
        before = len(told(safe))
        safe.driver.outdate(safe.system)
        for _ in range(3):
            refused = REFUSED[what](safe)
            assert message_ids(refused) == ['DefinitionOnSnapshot']
        assert len(told(safe)) == before + 1
        assert "which belongs to snapshot 's'" in told(safe)[-1][1]
        assert safe.wait(act(safe, REPAIR)).status_code == 200
    safe.behaviour.power_state = None


@pytest.mark.parametrize('operation', ['create', 'delete'])
def test_a_task_that_is_refused(safe, operation):
    """A task that meets it in its turn records it as well."""
    before = len(told(safe))
    with safe.services.locks.system(safe.system, 10):
        answer = REFUSED[operation](safe)
        safe.driver.outdate(safe.system)

    ended = safe.wait(answer)

    assert message_ids(ended) == ['DefinitionOnSnapshot']
    assert len(told(safe)) == before + 1


@pytest.mark.parametrize('what', REFUSED)
def test_a_request_while_a_task_changes_the_system(safe, what):
    """What a task is the cause of is over when their turn comes."""
    safe.behaviour.power_state = 'On'
    before = len(told(safe))
    with safe.services.locks.system(safe.system, 10):
        first = safe.create(Name='first')
        safe.driver.outdate(safe.system)
        second = REFUSED[what](safe)
        safe.driver.repair(safe.system)

    # What it has made a purge may have removed by now.
    assert safe.wait(first).status_code in (200, 201)
    assert second.status_code == 202, second.text
    assert safe.wait(second).ok
    assert len(told(safe)) == before
    safe.behaviour.power_state = None


def test_a_settled_operation(safe):
    """What an interrupted operation leaves unsafe is recorded."""
    before = len(told(safe))
    safe.behaviour.fail_at = {
        'create:capture': exceptions.HypervisorUnavailable('fake', 'gone')
    }
    answer = safe.create(Name='t')
    tasks = safe.services.tasks
    wait_for(
        lambda: tasks.list()[-1].step == 'capture', 'the step of the create'
    )
    safe.driver.outdate(safe.system)

    ended = safe.wait(answer)

    assert message_ids(ended) == ['OperationInterrupted']
    # It is looked for after the end of the task.
    wait_for(lambda: len(told(safe)) == before + 1, 'the event')
