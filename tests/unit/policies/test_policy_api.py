# SPDX-License-Identifier: Apache-2.0
"""
Limits, locks, expiry, guards and purge over HTTP, on the fake driver.

Long, as limits, locks, purges and previews are told in one place.
"""

import concurrent.futures

import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.admission import CreateOptions
from hawkfish_plugin.operations.create import Create
from tests.served import message_ids
from tests.unit.policies.limits import (
    names,
    patch,
    pruned,
    purge_target,
    set_policy,
    settle,
)

# The policy ---------------------------------------------------------------


def test_without_limits_nothing_goes(emulator, policy):
    """By default there is no limit, and the use is counted."""
    for name in 'abc':
        emulator.created(Name=name)

    found = requests.get(policy).json()

    assert (found['MaxSnapshots'], found['MaxAgeSeconds']) == (0, 0)
    assert (found['MaxBytes'], found['OnLimit']) == (0, 'Prune')
    listed = requests.get(f'{emulator.snapshots_url}?$expand=.').json()
    assert found['Usage'] == {
        'SnapshotCount': 3,
        'SizeBytes': sum(s['SizeBytes'] for s in listed['Members']),
    }
    assert names(emulator) == ['a', 'b', 'c']


def test_a_policy_is_linked(emulator, policy):
    """The system says where its policy is."""
    system = requests.get(
        f'{emulator.url}/redfish/v1/Systems/{emulator.system}'
    ).json()

    link = system['Oem']['HawkFish']['SnapshotPolicy']['@odata.id']

    assert emulator.url + link == policy


def test_the_oldest_go_after_a_create(emulator, policy):
    """The limit is kept by ordinary delete tasks that say why."""
    set_policy(policy, MaxSnapshots=2)
    for name in 'abcd':
        emulator.created(Name=name)

    settle(emulator, ['c', 'd'])

    task = pruned(emulator)[-1]
    assert (task.operation, task.snapshot) == ('delete', 'b')
    assert task.arguments['pruned'] == 'MaxSnapshots'
    shown = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/Tasks/{task.id}'
    ).json()
    assert 'Payload' not in shown
    told = [m['MessageId'] for m in shown['Messages']]
    assert 'HawkFish.1.0.SnapshotPruned' in told
    assert shown['TaskStatus'] == 'OK'


def test_a_policy_survives(emulator, policy):
    """What was set is set for another process of the same state, too."""
    set_policy(policy, MaxBytes=5_000_000, OnLimit='Refuse')

    plugin = emulator.services
    again = type(plugin)(emulator.app)

    limits = again.policies.get(emulator.system)
    assert (limits.size, limits.on_limit) == (5_000_000, 'Refuse')
    changed = set_policy(policy, OnLimit=None)
    assert (changed['MaxBytes'], changed['OnLimit']) == (5_000_000, 'Prune')


def test_a_limit_of_bytes(emulator, policy, switched_on):
    """The oldest go until the rest fits."""
    one = emulator.created(Name='a')['SizeBytes']
    set_policy(policy, MaxBytes=int(2.5 * one))
    for name in 'bcd':
        emulator.created(Name=name)

    settle(emulator, ['c', 'd'])

    assert pruned(emulator)[-1].arguments['pruned'] == 'MaxBytes'


def test_refuse(emulator, policy):
    """With OnLimit Refuse a create too many is a 400 that names a way out."""
    set_policy(policy, MaxSnapshots=2, OnLimit='Refuse')
    for name in 'ab':
        emulator.created(Name=name)
    assert patch(emulator, 'a', Locked=True).status_code == 200

    refused = emulator.create(Name='c')

    assert refused.status_code == 400
    assert message_ids(refused) == [
        'CreateLimitReachedForResource',
        'SnapshotLimitReached',
    ]
    entry = refused.json()['error']['@Message.ExtendedInfo'][1]
    assert entry['MessageArgs'] == [
        emulator.system_name,
        'MaxSnapshots',
        '2',
        'b',
    ]
    emulator.wait_idle()
    assert names(emulator) == ['a', 'b']


def test_two_creates_for_one_place(emulator, policy):
    """Of two creates that wait for the last place one is refused."""
    set_policy(policy, MaxSnapshots=1, OnLimit='Refuse')
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda n: emulator.create(Name=f's{n}'), range(6))
        )

    ends = [
        emulator.wait(response) if response.status_code == 202 else response
        for response in answers
    ]

    assert sorted({r.status_code for r in ends}) == [201, 400]
    assert len(names(emulator)) == 1


def test_a_failed_prune_fails_no_create(emulator, policy):
    """Where the oldest cannot be deleted the create has still succeeded."""
    set_policy(policy, MaxSnapshots=1)
    emulator.created(Name='a')
    emulator.behaviour.fail_at = {
        'delete:merge': exceptions.OperationFailed('delete', 'no')
    }

    made = emulator.wait(emulator.create(Name='b'))

    assert made.status_code == 201
    emulator.wait_idle()
    assert names(emulator) == ['a', 'b']
    assert pruned(emulator)[-1].state == 'Exception'


def test_a_safety_snapshot_costs_no_target(emulator, policy):
    """The snapshot that a revert goes to is not pruned for its safety."""
    # An 'a' of this very second may be one that another test has damaged.
    for name in ('target', 'newest'):
        emulator.created(Name=name)
    set_policy(policy, MaxSnapshots=1)

    # As a revert does, but that its own task does not keep it yet.
    system = emulator.services.catalogue.system(emulator.system)
    options = CreateOptions('safe', protect='target')
    emulator.services.operations.get(Create).submit(system, options, {})

    settle(emulator, ['target', 'safe'])
    emulator.wait_idle()
    assert names(emulator) == ['target', 'safe']
    reverted = emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/target/Actions/HawkFishSnapshot.Revert',
            json={'SafetySnapshot': True},
        )
    )
    assert reverted.status_code == 200, reverted.text


@pytest.mark.parametrize(
    'body, key',
    [
        ({'MaxSnapshots': -1}, 'PropertyValueOutOfRange'),
        ({'MaxSnapshots': 10_001}, 'PropertyValueOutOfRange'),
        ({'MaxBytes': 10**30}, 'PropertyValueOutOfRange'),
        ({'MaxAgeSeconds': 10**12}, 'PropertyValueOutOfRange'),
        ({'MaxSnapshots': '5'}, 'PropertyValueTypeError'),
        ({'MaxSnapshots': 5.0}, 'PropertyValueTypeError'),
        ({'MaxSnapshots': True}, 'PropertyValueTypeError'),
        ({'OnLimit': 'Panic'}, 'PropertyValueNotInList'),
        ({'OnLimit': 'prune'}, 'PropertyValueNotInList'),
        ({'OnLimit': 1}, 'PropertyValueTypeError'),
        ({'Usage': {}}, 'PropertyNotWritable'),
        ({'Max': 1}, 'PropertyUnknown'),
    ],
)
def test_bad_limits(emulator, policy, body, key):
    """A limit that makes no sense is a 400 that names it, and sets nothing."""
    before = requests.get(policy).json()

    response = requests.patch(policy, json={'MaxSnapshots': 7, **body})

    assert response.status_code == 400
    assert message_ids(response) == [key]
    assert requests.get(policy).json() == before


def test_all_limits_that_are_wrong_are_told(emulator, policy):
    """One answer names each property that is wrong."""
    response = requests.patch(
        policy,
        json={'MaxSnapshots': -1, 'MaxBytes': 'x', 'OnLimit': 'No', 'Max': 1},
    )

    assert message_ids(response) == [
        'PropertyValueOutOfRange',
        'PropertyValueTypeError',
        'PropertyValueNotInList',
        'PropertyUnknown',
    ]


def test_a_change_is_answered_by_what_it_has_made(
    emulator, policy, monkeypatch
):
    """And by its ETag, though another client changes the policy next."""
    policies = emulator.services.policies
    change = policies.change

    def change_and_be_overtaken(system, changes, check):
        made = change(system, changes, check)
        change(system, {'max_snapshots': 9}, lambda: None)
        return made

    monkeypatch.setattr(policies, 'change', change_and_be_overtaken)
    answer = requests.patch(policy, json={'MaxSnapshots': 4})
    late = requests.patch(
        policy,
        json={'MaxSnapshots': 5},
        headers={'If-Match': answer.headers['ETag']},
    )

    assert answer.json()['MaxSnapshots'] == 4
    assert late.status_code == 412


def test_two_changes_with_one_etag(emulator, policy):
    """Of changes that begin from the same state one succeeds."""
    emulator.created(Name='a')
    for uri, bodies in (
        (policy, [{'MaxSnapshots': n} for n in range(90, 96)]),
        (
            f'{emulator.snapshots_url}/a',
            [{'Description': str(n)} for n in range(6)],
        ),
    ):
        etag = requests.get(uri).headers['ETag']
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(
                pool.map(
                    lambda body, uri=uri, etag=etag: requests.patch(
                        uri, json=body, headers={'If-Match': etag}
                    ),
                    bodies,
                )
            )

        codes = sorted(response.status_code for response in answers)
        assert codes == [200] + 5 * [412]
        (changed,) = [r.json() for r in answers if r.status_code == 200]
        assert requests.get(uri).json() == changed


# Guards -------------------------------------------------------------------


def test_clones_keep(emulator, policy):
    """Systems and files that are backed by a snapshot are named and linked."""
    emulator.created(Name='a', Locked=True)
    emulator.created(Name='b')
    other = '11111111-2222-3333-4444-555555555555'
    emulator.behaviour.dependents = {
        'a': [
            contract.Dependent('/images/x.qcow2'),
            contract.Dependent('node', other),
        ]
    }

    shown = requests.get(f'{emulator.snapshots_url}/a').json()
    refused = requests.delete(f'{emulator.snapshots_url}/a')

    assert shown['Links']['ReferencedBy'] == [
        {'@odata.id': f'/redfish/v1/Systems/{other}'}
    ]
    assert shown['ReferencedByFiles'] == ['/images/x.qcow2']
    assert refused.status_code == 409
    assert message_ids(refused) == ['SnapshotLocked', 'SnapshotCloned']
    assert '/images/x.qcow2, node' in refused.text
    purge = requests.post(purge_target(emulator), json={'Force': True})
    assert (purge.status_code, message_ids(purge)) == (409, ['SnapshotCloned'])
    set_policy(policy, MaxSnapshots=1)
    emulator.created(Name='c')
    settle(emulator, ['a', 'c'])


def test_children_that_keep_are_linked(emulator):
    """ReferencedBy names the children that libvirt could not re-parent."""
    emulator.created(Name='root')
    emulator.created(Name='left')
    emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/root/Actions/HawkFishSnapshot.Revert'
        )
    )
    root = requests.get(f'{emulator.snapshots_url}/root').json()

    assert root['Links']['ReferencedBy'] == [
        {'@odata.id': root['@odata.id'].replace('root', 'left')}
    ]
