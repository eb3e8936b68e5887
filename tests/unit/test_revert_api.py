# SPDX-License-Identifier: Apache-2.0
"""Reverts with a safety snapshot, where there is little room for one."""

import pytest
import requests

SAFETY = {'SafetySnapshot': True}


def revert(emulator, name, **body):
    return requests.post(
        f'{emulator.snapshots_url}/{name}/Actions/HawkFishSnapshot.Revert',
        json=body,
        timeout=60,
    )


def names(emulator):
    body = requests.get(emulator.snapshots_url, timeout=60).json()
    return [
        member['@odata.id'].rpartition('/')[2] for member in body['Members']
    ]


@pytest.fixture
def limited(emulator):
    """A system with room for three snapshots; its policy keeps three."""
    for name in 'abc':
        emulator.created(Name=name)
    emulator.behaviour.depth = 3
    requests.patch(
        emulator.snapshots_url.replace('Snapshots', 'SnapshotPolicy'),
        json={'MaxSnapshots': 3},
        timeout=60,
    ).raise_for_status()
    yield emulator
    requests.patch(
        emulator.snapshots_url.replace('Snapshots', 'SnapshotPolicy'),
        json={'MaxSnapshots': None},
        timeout=60,
    ).raise_for_status()


def test_room_is_made_for_a_safety_snapshot(limited):
    """At the limit of a chain it goes through retention, as any create."""
    reverted = limited.wait(revert(limited, 'b', **SAFETY))
    limited.wait_idle()

    assert reverted.status_code == 200, reverted.text
    left = names(limited)
    assert left[:2] == ['b', 'c']
    assert left[2].startswith('safety-')


def test_what_is_reverted_to_makes_no_room(limited):
    """The oldest stays where it is the one to go back to."""
    reverted = limited.wait(revert(limited, 'a', **SAFETY))
    limited.wait_idle()

    assert reverted.status_code == 200, reverted.text
    assert 'a' in names(limited)


def test_the_limit_holds_after_a_safety_revert(limited):
    """It is the tree before the revert that is pruned, and before it."""
    limited.behaviour.depth = None
    before = limited.newest_task

    reverted = limited.wait(revert(limited, 'a', **SAFETY))
    limited.wait_idle()

    assert reverted.status_code == 200, reverted.text
    left = names(limited)
    assert left[:2] == ['a', 'c']
    assert len(left) == 3
    tasks = limited.tasks_after(before)
    assert {task.state for task in tasks} == {'Completed'}


def test_a_dry_run(limited):
    """It says what the revert would do, and changes nothing."""
    before = limited.newest_task

    plain = revert(limited, 'b', DryRun=True).json()
    safe = revert(limited, 'b', DryRun=True, **SAFETY).json()
    power = revert(limited, 'b', DryRun=True, TargetPowerState='Paused').json()

    assert {key: plain[key] for key in plain if key[0] != '@'} == {
        'Name': 'b',
        'PowerState': 'Off',
        'MemoryRestored': False,
        'DiscardedSince': 'c',
        'SafetySnapshot': False,
        'Pruned': [],
        'Needs': [],
        'Warnings': [],
    }
    assert (safe['SafetySnapshot'], safe['Pruned']) == (True, ['a'])
    assert safe['DiscardedSince'] is None
    assert power['PowerState'] == 'Paused'
    assert names(limited) == ['a', 'b', 'c']
    assert limited.tasks_after(before) == []


def test_a_dry_run_is_refused_like_the_revert(emulator):
    """With the same error, and no task."""
    emulator.created(Name='a')
    emulator.driver.outdate(emulator.system)
    emulator.behaviour.power_state = 'On'
    try:
        answers = [revert(emulator, 'a', DryRun=dry) for dry in (True, False)]
    finally:
        emulator.behaviour.power_state = None
        emulator.driver.repair(emulator.system)

    assert [answer.status_code for answer in answers] == [409, 409]
    assert answers[0].json() == answers[1].json()
    assert revert(emulator, 'b', DryRun=True).status_code == 404
    assert revert(emulator, 'a', DryRun=1).status_code == 400


def test_nothing_goes_for_a_revert_that_is_refused(limited):
    """Its safety snapshot is withdrawn, and what made room for it."""
    with limited.full_queue('c'):
        refused = revert(limited, 'b', **SAFETY)
    limited.wait_idle()

    assert refused.status_code == 503
    assert names(limited) == ['a', 'b', 'c']


def test_nothing_goes_while_workers_are_free(limited):
    """No delete begins before the revert that it is for is queued."""
    conf = limited.services.conf
    conf.set_override('queue_limit', 1, 'tasks')
    try:
        refused = revert(limited, 'b', **SAFETY)
    finally:
        conf.clear_override('queue_limit', 'tasks')
    limited.wait_idle()

    assert refused.status_code == 503
    assert names(limited) == ['a', 'b', 'c']
