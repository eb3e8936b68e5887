# SPDX-License-Identifier: Apache-2.0
"""
The event service over HTTP: what is recorded, and who is told.

Long, as there is a test for each property of a subscription.
"""

import pytest
import requests

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.operations.delete import Delete
from tests.waiting import wait_for


def keys(found):
    return [event.message_id.rpartition('.')[2] for event in found]


# What operations tell


def test_a_life_in_events(emulator, recorded):
    """Create, revert and delete each tell their begin and their end."""
    emulator.created(Name='a b')
    [snapshot] = requests.get(f'{emulator.snapshots_url}?$expand=.').json()[
        'Members'
    ]
    emulator.wait(
        requests.post(
            emulator.url
            + snapshot['Actions']['#HawkFishSnapshot.Revert']['target']
        )
    )
    emulator.wait(requests.delete(f'{emulator.snapshots_url}/a%20b'))

    found = recorded()
    assert keys(found) == [
        'TaskStarted',
        'SnapshotCreated',
        'ResourceCreated',
        'TaskCompletedOK',
        'TaskStarted',
        'SnapshotReverted',
        'TaskCompletedOK',
        'TaskStarted',
        'SnapshotDeleted',
        'ResourceRemoved',
        'TaskCompletedOK',
    ]
    created, deleted = found[1], found[8]
    assert created.args == ['a b', 'fake']
    assert created.origin.uri == snapshot['@odata.id']
    assert not created.origin.gone
    assert deleted.args == ['a b', 'fake', 'Request']
    assert deleted.origin.uri == snapshot['@odata.id'] and deleted.origin.gone
    # One cause, one group.
    assert [e.group for e in found[1:4]] == 3 * [created.id]
    assert found[0].group != created.group
    assert '/TaskService/Tasks/' in found[0].origin.uri
    ids = [event.id for event in found]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_failure_is_told_with_its_reason(emulator, recorded):
    """A failed create tells why, of a snapshot that is not there."""
    emulator.behaviour.fail_at = {
        'create:capture': exceptions.OperationFailed(
            'create', 'the disk is full'
        )
    }
    emulator.wait(emulator.create(Name='a'))

    found = recorded()
    assert keys(found) == ['TaskStarted', 'SnapshotFailed', 'TaskAborted']
    assert found[1].args[:3] == ['a', 'fake', 'create']
    assert 'the disk is full' in found[1].args[3]
    assert found[1].origin.gone
    assert events.severity(found[1]) == 'Critical'


def test_a_cancelled_task_is_no_failure(emulator, recorded):
    """Whether it waited or ran, a cancelled task is told as cancelled."""
    emulator.behaviour.seconds = 20
    running = emulator.create(Name='a').headers['Location']
    waiting = emulator.create(Name='b').headers['Location']
    wait_for(lambda: keys(recorded()) == ['TaskStarted'], 'its start')

    for monitor in (waiting, running):
        requests.delete(emulator.url + monitor)
        emulator.watch(monitor)

    assert keys(recorded()) == [
        'TaskStarted',
        'TaskCancelled',
        'TaskCancelled',
    ]


def test_a_create_that_could_not_quiesce_is_told(emulator, recorded):
    """The event is there together with the message of the task."""
    table = emulator.services.tasks
    emulator.behaviour.seconds = 1
    emulator.create(Name='a')
    [task] = [task for task in table.list() if task.active]

    table.claims.add_message(
        task.id, messages.QUIESCE_FAILED, 'fake', 'no agent'
    )

    told = recorded()[-1]
    assert (told.message_id, told.args) == (
        messages.QUIESCE_FAILED,
        ['fake', 'no agent'],
    )
    assert told.origin.uri == f'{emulator.snapshots_url}/a'.removeprefix(
        emulator.url
    )


@pytest.mark.parametrize('rule', ['MaxSnapshots', 'MaxAge', 'Expired'])
def test_a_delete_tells_whether_retention_asked_for_it(
    emulator, recorded, rule
):
    """The reason of a delete is the limit that was reached."""
    emulator.created(Name='a')
    services = emulator.services
    system = services.catalogue.system('fake')
    record = services.catalogue.get(system, 'a').record
    emulator.notes.update(system.uuid, record, {'expires': 1})

    task = services.operations.get(Delete).submit_pruned(system, record, rule)
    emulator.watch(f'/redfish/v1/TaskService/TaskMonitors/{task.id}')

    [deleted] = [e for e in recorded() if 'SnapshotDeleted' in e.message_id]
    assert deleted.args == ['a', 'fake', rule]


def purge(emulator):
    return emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/Actions/HawkFishSnapshotCollection.Purge',
            json={},
        )
    )


def test_a_purge_tells_every_deletion(emulator, recorded):
    """One task for all, and an event for each snapshot that is gone."""
    for name in ('a', 'b'):
        emulator.created(Name=name)

    assert purge(emulator).ok

    gone = [e for e in recorded() if 'SnapshotDeleted' in e.message_id]
    assert {e.args[0] for e in gone} == {'a', 'b'}


def test_a_purge_that_fails_is_told(emulator, recorded):
    """Where an operation is on all snapshots, the origin is the collection."""
    emulator.created(Name='a')
    emulator.behaviour.fail_at = {
        'delete:merge': exceptions.MergeFailed('a', 'full')
    }

    assert not purge(emulator).ok

    [failed] = [e for e in recorded() if 'SnapshotFailed' in e.message_id]
    assert failed.args[:3] == ['*', 'fake', 'purge']
    uri = emulator.snapshots_url.removeprefix(emulator.url)
    assert failed.origin.uri == uri
