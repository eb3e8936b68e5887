# SPDX-License-Identifier: Apache-2.0
"""Purge: all snapshots of a system, and whatever comes in between."""

import pytest
import requests
from hypothesis import given

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from tests.served import message_ids
from tests.unit import trees
from tests.unit.policies.limits import (
    OVER_HTTP,
    names,
    patch,
    plant,
    purge_target,
)


@OVER_HTTP
@given(trees.histories(8))
def test_purge(emulator, history):
    """Of whatever tree, everything goes, in an order that is possible."""
    plant(emulator, history)

    response = requests.post(purge_target(emulator), json={})

    assert emulator.wait(response).status_code == 200
    assert names(emulator) == []


def test_purge_shows_and_excludes(emulator):
    """While it lasts the snapshots say so, and are left alone."""
    for name in 'abc':
        emulator.created(Name=name)
    emulator.behaviour.seconds = 600

    response = requests.post(purge_target(emulator))
    emulator.wait_running(response)

    task = response.json()
    assert task['Name'] == f'Purge snapshots of {emulator.system_name}'
    shown = requests.get(f'{emulator.snapshots_url}/c').json()
    assert shown['SnapshotState'] == 'Deleting'
    for refused in (
        requests.post(purge_target(emulator)),
        requests.delete(f'{emulator.snapshots_url}/c'),
        patch(emulator, 'c', Locked=True),
    ):
        assert (refused.status_code, message_ids(refused)) == (
            409,
            ['SystemBeingPurged'],
        )
    emulator.behaviour.seconds = 0.3
    percents = set()
    monitor = emulator.url + response.headers['Location']
    while requests.get(monitor).status_code == 202:
        percents.add(requests.get(monitor).json().get('PercentComplete'))
    assert len(percents - {None}) > 3
    assert requests.get(monitor).status_code == 200


def test_purge_respects_locks(emulator):
    """A locked one stands in the way of a purge that is not forced."""
    for name in 'ab':
        emulator.created(Name=name, Locked=True)

    refused = requests.post(purge_target(emulator))

    assert refused.status_code == 409
    assert message_ids(refused) == ['SnapshotLocked', 'SnapshotLocked']
    assert names(emulator) == ['a', 'b']
    forced = requests.post(purge_target(emulator), json={'Force': True})
    assert emulator.wait(forced).status_code == 200
    assert names(emulator) == []


def test_purge_can_be_cancelled(emulator):
    """What is not yet deleted stays."""
    for name in 'abcd':
        emulator.created(Name=name)
    with emulator.slow():
        response = requests.post(purge_target(emulator))
        emulator.wait_running(response)

        requests.delete(emulator.url + response.headers['Location'])

    assert emulator.watch(response.headers['Location']).status_code == 404
    # Not the delete that it was busy with.
    error = emulator.task(response).error
    assert error['messages'] == [
        ['HawkFish.1.0.OperationCancelled', ['purge']]
    ], error
    # Which one it had come to when it was told is a matter of luck.
    assert names(emulator)


@pytest.mark.parametrize('step', ['purge', 'prepare', 'merge', 'finish'])
def test_a_purge_that_was_interrupted_goes_on(emulator, step):
    """Wherever the hypervisor went away, the purge is finished."""
    for name in 'abc':
        emulator.created(Name=name)
    plugin = emulator.services
    settled = []
    emulator.behaviour.fail_at = {
        f'delete:{step}': exceptions.HypervisorUnavailable('fake', 'gone')
    }

    def heal(uuid, name, job, settle=emulator.driver.settle_delete):
        emulator.behaviour.fail_at = {}
        settled.append(name)
        settle(uuid, name, job)

    emulator.driver.settle_delete = heal
    try:
        response = requests.post(purge_target(emulator))
        assert emulator.wait(response).status_code == 200
    finally:
        del emulator.driver.settle_delete

    assert names(emulator) == []
    assert settled == ([] if step == 'purge' else ['a'])
    assert plugin.tasks.list()[-1].state == 'Completed'


def test_a_purge_that_goes_on_looks_again(emulator):
    """What others stand on since it was interrupted is not deleted."""
    for name in 'abc':
        emulator.created(Name=name)
    emulator.behaviour.fail_at = {
        'delete:finish': exceptions.HypervisorUnavailable('fake', 'gone')
    }

    def dependent(uuid, name, job):
        emulator.behaviour.fail_at = {}
        emulator.behaviour.dependents = {
            'c': [contract.Dependent('/images/x.qcow2')]
        }

    emulator.driver.settle_delete = dependent
    try:
        ended = emulator.wait(requests.post(purge_target(emulator)))
    finally:
        del emulator.driver.settle_delete

    assert (ended.status_code, message_ids(ended)) == (409, ['SnapshotCloned'])
    assert names(emulator) == ['b', 'c']


@pytest.mark.parametrize(
    'body, key',
    [
        ({'Force': 'yes'}, 'ActionParameterValueTypeError'),
        ({'All': True}, 'ActionParameterUnknown'),
    ],
)
def test_bad_purge(emulator, body, key):
    """A parameter that the purge does not take is a 400."""
    response = requests.post(purge_target(emulator), json=body)

    assert (response.status_code, message_ids(response)) == (400, [key])
