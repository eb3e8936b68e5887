# SPDX-License-Identifier: Apache-2.0
"""The policy of the served system, as tests set it."""

import requests
from hypothesis import HealthCheck, settings

from tests.unit import trees
from tests.waiting import wait_for

OVER_HTTP = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
)


def set_policy(policy, **limits):
    response = requests.patch(policy, json=limits)
    assert response.status_code == 200, response.text
    return response.json()


def names(emulator):
    members = requests.get(f'{emulator.snapshots_url}?$expand=.').json()
    return [member['Name'] for member in members['Members']]


def patch(emulator, name, headers=None, **changes):
    return requests.patch(
        f'{emulator.snapshots_url}/{name}', json=changes, headers=headers
    )


def settle(emulator, wanted):
    """Wait until the snapshots are those that are *wanted*."""
    wait_for(
        lambda: names(emulator) == wanted,
        lambda: f'{wanted}, and not {names(emulator)}',
    )


def pruned(emulator, before=0):
    """The tasks that the policy has submitted after *before*, in order."""
    return [
        task
        for task in emulator.tasks_after(before)
        if task.arguments.get('pruned')
    ]


# Purge --------------------------------------------------------------------


def purge_target(emulator):
    collection = requests.get(emulator.snapshots_url).json()
    action = collection['Actions']['#HawkFishSnapshotCollection.Purge']
    return emulator.url + action['target']


def plant(emulator, history):
    """Let the system have the snapshots that *history* leaves."""
    emulator.driver.plant(emulator.system, trees.play(history))
