# SPDX-License-Identifier: Apache-2.0
"""``Prefer: wait=N``: the final answer instead of a 202."""

import concurrent.futures

import pytest
import requests

from hawkfish_plugin import rooms
from hawkfish_plugin.tasks import table
from tests.served import message_ids
from tests.waiting import wait_for

APPLIED = 'Preference-Applied'
WAIT = {'Prefer': 'wait=20'}


def create(emulator, prefer, **body):
    return requests.post(
        emulator.snapshots_url,
        json=body,
        headers={'Prefer': prefer},
        timeout=60,
    )


def create_later(emulator):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    waiting = pool.submit(create, emulator, 'wait=20', Name='b')
    pool.shutdown(wait=False)
    return waiting


def test_each_operation_has_its_final_answer(emulator):
    """A create, a revert and a delete need no monitor."""
    created = create(emulator, 'wait=20', Name='a')

    assert created.status_code == 201
    assert created.headers[APPLIED] == 'wait=20'
    uri = emulator.url + created.json()['@odata.id']
    assert created.headers['Location'] in uri

    reverted = requests.post(
        f'{uri}/Actions/HawkFishSnapshot.Revert', json={}, headers=WAIT
    )

    assert reverted.status_code == 200
    assert message_ids(reverted) == ['Success']

    deleted = requests.delete(uri, headers=WAIT)

    assert deleted.status_code == 204
    assert deleted.headers[APPLIED] == 'wait=20'
    assert requests.get(uri).status_code == 404


def test_a_failure_has_the_answer_of_its_monitor(emulator):
    """The status and the body of an error are those that a poll finds."""
    with emulator.slow():
        accepted = create(emulator, 'wait=0', Name='a')
        emulator.wait_running(accepted)
        waiting = create_later(emulator)
        first = emulator.task(accepted).id
        wait_for(lambda: emulator.newest_task > first)
        last = emulator.newest_task
        emulator.services.tasks.cancel(last)
        response = waiting.result(timeout=60)

    polled = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/TaskMonitors/{last}'
    )
    # The monitor is gone, and the collection is not.
    assert (response.status_code, polled.status_code) == (409, 404)
    assert response.json() == polled.json()
    assert response.headers[APPLIED] == 'wait=20'


def test_the_end_wakes_who_waits(emulator, monkeypatch):
    """It is not found by looking."""
    monkeypatch.setattr(table, '_LOOK_SECONDS', 30)

    # Without it, the answer would come after the 20 seconds.
    response = requests.post(
        emulator.snapshots_url, json={}, headers=WAIT, timeout=10
    )

    assert response.status_code == 201


def test_cancelling_has_its_own_answer(emulator):
    """A DELETE of a task is not answered by what its monitor says."""
    with emulator.slow():
        accepted = create(emulator, 'wait=0', Name='a')
        emulator.wait_running(accepted)
        response = requests.delete(
            emulator.url + accepted.headers['Location'], headers=WAIT
        )

    assert response.status_code == 202
    assert APPLIED not in response.headers
    emulator.wait(accepted)


def test_a_slow_task_is_accepted(emulator):
    """What does not end in time has its 202, and says nothing of waiting."""
    with emulator.slow():
        response = create(emulator, 'wait=1', Name='a')

        assert response.status_code == 202
        assert APPLIED not in response.headers

    assert emulator.wait(response).status_code == 201


@pytest.mark.parametrize(
    'prefer', ['wait=x', 'wait=-1', 'wait', 'wait=1.5', 'wait=0', 'other=9']
)
def test_what_is_invalid_is_ignored(emulator, prefer):
    """A preference that cannot be read changes nothing."""
    response = create(emulator, prefer)

    assert response.status_code == 202
    assert APPLIED not in response.headers
    assert emulator.wait(response).status_code == 201


@pytest.mark.parametrize(
    'prefer',
    [
        'respond-async, wait=20',
        'Wait = "20"',
        'wait=20; a=b',
        'wait=20,wait=0',
    ],
)
def test_every_spelling_is_read(emulator, prefer):
    """Lists, quotes and parameters, as RFC 7240 has them."""
    response = create(emulator, prefer)

    assert response.status_code == 201
    assert response.headers[APPLIED] == 'wait=20'


def test_without_room_it_is_accepted_at_once(emulator):
    """Those that wait leave threads for everybody else."""
    room = emulator.services.rooms.answers
    taken = 0
    while room.enter():
        taken += 1
    try:
        response = create(emulator, 'wait=20')
    finally:
        for _ in range(taken):
            room.leave()

    assert taken > 0
    assert response.status_code == 202
    assert emulator.wait(response).status_code == 201


@pytest.mark.parametrize('threads, places', [(2, 0), (7, 0), (8, 1), (16, 2)])
def test_few_threads_wait_with_nobody(threads, places):
    """A client can do without; locks and streams cannot."""
    room = rooms.Rooms(threads).answers
    room.is_bounded = True

    assert sum(room.enter() for _ in range(threads)) == places
