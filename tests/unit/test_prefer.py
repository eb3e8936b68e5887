# SPDX-License-Identifier: Apache-2.0
"""``Prefer: wait=N``: the final answer instead of a 202."""

import pytest
import requests

from tests.served import message_ids

APPLIED = 'Preference-Applied'
WAIT = {'Prefer': 'wait=20'}


def create(emulator, prefer, **body):
    return requests.post(
        emulator.snapshots_url,
        json=body,
        headers={'Prefer': prefer},
        timeout=60,
    )


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
