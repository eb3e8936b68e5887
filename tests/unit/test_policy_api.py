# SPDX-License-Identifier: Apache-2.0
"""
Limits, locks, expiry, guards and purge over HTTP, on the fake driver.

Long, as limits, locks, purges and previews are told in one place.
"""

import collections
import concurrent.futures
import datetime
import threading

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.create import Create, CreateOptions
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.group_delete import GroupDelete
from hawkfish_plugin.operations.group_prune import GroupPrune
from hawkfish_plugin.operations.prune import Prune
from tests.served import message_ids
from tests.unit import trees
from tests.waiting import holds_for, wait_for

OVER_HTTP = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def policy(emulator):
    """Where the policy is; it is the configuration's again afterwards."""
    uri = emulator.snapshots_url.replace('Snapshots', 'SnapshotPolicy')
    yield uri
    requests.patch(
        uri,
        json=dict.fromkeys(
            ('MaxSnapshots', 'MaxAgeSeconds', 'MaxBytes', 'OnLimit')
        ),
    )


def set_policy(policy, **limits):
    response = requests.patch(policy, json=limits)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def switched_on(emulator):
    """The system runs, so that its snapshots have memory, and a size."""
    emulator.behaviour.power_state = contract.ON


def names(emulator):
    members = requests.get(f'{emulator.snapshots_url}?$expand=.').json()
    return [member['Name'] for member in members['Members']]


def patch(emulator, name, headers=None, **changes):
    return requests.patch(
        f'{emulator.snapshots_url}/{name}', json=changes, headers=headers
    )


def in_seconds(seconds):
    moment = datetime.datetime.now(datetime.UTC)
    moment += datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec='seconds')


def settle(emulator, wanted):
    """Wait until the snapshots are those that are *wanted*."""
    wait_for(
        lambda: names(emulator) == wanted,
        lambda: f'{wanted}, and not {names(emulator)}',
    )


def prune_of(emulator, serves=None):
    """The policy's prune, as a process has it that has just begun."""
    services = emulator.services
    return Prune(
        services.driver,
        services.catalogue,
        emulator.notes,
        services.policies,
        services.operations.get(Delete),
        GroupPrune(
            services.catalogue,
            services.groups,
            services.group_table,
            services.operations.get(GroupDelete),
        ),
        serves or services.may_serve,
    )


def pruned(emulator):
    """The tasks that the policy has submitted, oldest first."""
    return [
        task
        for task in emulator.services.tasks.list()
        if task.arguments.get('pruned')
    ]


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


# Lock, expiry, description ------------------------------------------------


def test_change_a_snapshot(emulator):
    """Description, lock and expiry are set, shown, and taken back."""
    emulator.created(Name='a', Description='old')
    expires = in_seconds(3600)

    changed = patch(
        emulator, 'a', Description='new', Locked=True, ExpiresTime=expires
    )

    assert changed.status_code == 200
    shown = requests.get(f'{emulator.snapshots_url}/a')
    assert shown.json() == changed.json()
    assert changed.headers['ETag'] == shown.headers['ETag']
    assert shown.json()['Description'] == 'new'
    assert shown.json()['Locked'] is True
    assert shown.json()['ExpiresTime'] == expires.replace('+00:00', 'Z')
    back = patch(emulator, 'a', Locked=False, ExpiresTime=None).json()
    assert (back['Locked'], back['ExpiresTime']) == (False, None)
    assert back['Description'] == 'new'


def test_created_locked_and_expiring(emulator):
    """A create takes lock and expiry with it."""
    made = emulator.created(
        Name='a', Locked=True, ExpiresTime='2999-12-31T23:59:59.5+02:00'
    )

    assert made['Locked'] is True
    assert made['ExpiresTime'] == '2999-12-31T21:59:59Z'


def test_a_lock_keeps(emulator, policy):
    """A locked snapshot is neither deleted nor pruned until it is unlocked."""
    emulator.created(Name='a', Locked=True)
    set_policy(policy, MaxSnapshots=1)
    emulator.created(Name='b')
    emulator.created(Name='c')
    settle(emulator, ['a', 'c'])

    refused = requests.delete(f'{emulator.snapshots_url}/a')

    assert refused.status_code == 409
    assert message_ids(refused) == ['SnapshotLocked']
    patch(emulator, 'a', Locked=False)
    deleted = requests.delete(f'{emulator.snapshots_url}/a')
    assert emulator.wait(deleted).status_code == 204


def test_a_new_snapshot_of_the_name_is_not_locked(emulator):
    """Notes go with their snapshot."""
    emulator.created(Name='a', Locked=True)
    emulator.driver.clear()
    emulator.wait_second()

    assert emulator.created(Name='a')['Locked'] is False


@pytest.mark.parametrize(
    'body, key',
    [
        ({'ExpiresTime': '2001-01-01T00:00:00Z'}, 'ExpiryInPast'),
        ({'ExpiresTime': '2999-01-01T00:00:00'}, 'PropertyValueFormatError'),
        ({'ExpiresTime': '2999-01-01'}, 'PropertyValueFormatError'),
        ({'ExpiresTime': '2999-02-30T00:00:00Z'}, 'PropertyValueFormatError'),
        (
            {'ExpiresTime': '0001-01-01T00:00:00+23:00'},
            'PropertyValueFormatError',
        ),
        (
            {'ExpiresTime': '9999-12-31T23:59:59-23:00'},
            'PropertyValueFormatError',
        ),
        ({'ExpiresTime': 'tomorrow'}, 'PropertyValueFormatError'),
        ({'ExpiresTime': 99999999999}, 'PropertyValueTypeError'),
        ({'Locked': 'yes'}, 'PropertyValueTypeError'),
        ({'Locked': None}, 'PropertyValueTypeError'),
        ({'Description': '\x1b[2J'}, 'PropertyValueFormatError'),
        ({'Name': 'b'}, 'PropertyNotWritable'),
        ({'IncludeMemory': True}, 'PropertyNotWritable'),
        ({'SizeBytes': 0}, 'PropertyNotWritable'),
        ({'Locks': True}, 'PropertyUnknown'),
    ],
)
def test_bad_changes(emulator, body, key):
    """A change that makes no sense is a 400, and nothing of it is done."""
    before = emulator.created(Name='a')

    response = patch(emulator, 'a', **{'Description': 'new', **body})

    assert response.status_code == 400
    assert message_ids(response) == [key]
    assert requests.get(f'{emulator.snapshots_url}/a').json() == before


def test_no_lock_on_what_is_being_deleted(emulator):
    """A snapshot that is on its way out is not changed any more."""
    emulator.created(Name='a')
    with emulator.slow():
        deleting = requests.delete(f'{emulator.snapshots_url}/a')

        refused = patch(emulator, 'a', Locked=True)

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['SnapshotBusy'],
    )
    assert emulator.wait(deleting).status_code == 204
    assert patch(emulator, 'a', Locked=True).status_code == 404


def test_a_change_waits_for_an_operation(emulator, monkeypatch):
    """While another snapshot is made a change waits, but not for ever."""
    emulator.created(Name='a')
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with emulator.slow():
            emulator.wait_running(emulator.create(Name='b'))
            changing = pool.submit(patch, emulator, 'a', Description='x')
            assert holds_for(lambda: not changing.done(), 0.1)

        assert changing.result().status_code == 200

    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)
    with emulator.slow():
        slow = emulator.create(Name='c')
        emulator.wait_running(slow)
        refused = patch(emulator, 'a', Description='y')
    assert (refused.status_code, message_ids(refused)) == (
        503,
        ['SystemLocked'],
    )
    emulator.wait(slow)


def test_expired_snapshots_go_by_themselves(emulator):
    """No request is needed; the newest stays all the same."""
    for name in 'ab':
        emulator.created(Name=name, ExpiresTime=in_seconds(2))

    tasks = emulator.services.tasks
    wait_for(
        lambda: any(
            t.arguments.get('pruned') == 'Expired'
            and t.snapshot == 'a'
            and t.state == 'Completed'
            for t in tasks.list()[-5:]
        ),
        'the end of what has expired',
    )

    assert names(emulator) == ['b']


def test_more_time_while_it_was_decided(emulator):
    """A snapshot that was given more time is not deleted as expired."""
    emulator.created(Name='a', ExpiresTime=in_seconds(1000))
    system = emulator.services.catalogue.system(emulator.system)
    record = emulator.services.catalogue.get(system, 'a').record

    # As a prune does that has looked before the change.
    emulator.services.operations.get(Delete).submit_pruned(
        system, record, 'Expired'
    )

    emulator.wait_idle()
    assert names(emulator) == ['a']
    assert pruned(emulator)[-1].state == 'Cancelled'


def test_old_snapshots_go_by_themselves(emulator, policy, monkeypatch):
    """MaxAgeSeconds acts without a create, on systems that are served."""
    plant(emulator, [trees.CREATE, trees.CREATE])
    set_policy(policy, MaxAgeSeconds=1)
    served = {'SUSHY_EMULATOR_ALLOWED_INSTANCES': ['another']}

    emulator.app.config.update(served)
    prune_of(emulator).periodic()
    emulator.wait_idle()
    assert emulator.driver.names(emulator.system) == ['0', '1']
    emulator.app.config.pop('SUSHY_EMULATOR_ALLOWED_INSTANCES')

    prune_of(emulator).periodic()
    settle(emulator, ['1'])
    emulator.wait_idle()
    assert pruned(emulator)[-1].arguments['pruned'] == 'MaxAge'


def test_a_delete_that_does_not_help_is_not_repeated(emulator):
    """What cannot be deleted is left alone for a while."""
    for name in 'ab':
        emulator.created(Name=name)
    catalogue = emulator.services.catalogue
    system = catalogue.system(emulator.system)
    # The emulator's own prune, which may act at any time, must not.
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['another']
    emulator.notes.update(
        system.uuid, catalogue.get(system, 'a').record, {'expires': 1}
    )
    emulator.behaviour.fail_at = {
        'delete:merge': exceptions.OperationFailed('delete', 'no')
    }
    prune = prune_of(emulator, serves=lambda system: True)
    before = len(pruned(emulator))

    for _ in range(3):
        prune.periodic()
        emulator.wait_idle()

    assert len(pruned(emulator)) == before + 1


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


# Purge --------------------------------------------------------------------


def purge_target(emulator):
    collection = requests.get(emulator.snapshots_url).json()
    action = collection['Actions']['#HawkFishSnapshotCollection.Purge']
    return emulator.url + action['target']


def plant(emulator, history):
    """Let the system have the snapshots that *history* leaves."""
    emulator.driver.plant(emulator.system, trees.play(history))


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


# Dry run ------------------------------------------------------------------


def preview(policy, **body):
    shown = requests.get(policy).json()
    target = shown['Actions']['#HawkFishSnapshotPolicy.PreviewCreate']
    host = policy.partition('/redfish')[0]
    return requests.post(host + target['target'], json=body)


def test_preview_says_what_and_why(emulator, policy):
    """What would be made, what would go and what stays, with the reasons."""
    for name in 'abc':
        emulator.created(Name=name)
    patch(emulator, 'a', Locked=True)
    set_policy(policy, MaxSnapshots=2)

    seen = preview(policy, Name='d').json()

    assert (seen['Name'], seen['StorageType']) == ('d', 'External')
    assert seen['SizeBytes'] > 0
    assert [(p['Name'], p['Reason']) for p in seen['Pruned']] == [
        ('b', 'MaxSnapshots'),
        ('c', 'MaxSnapshots'),
    ]
    assert {k['Name']: k['Reasons'] for k in seen['Kept']} == {
        'a': ['Locked'],
        'd': ['Newest'],
    }
    assert seen['UnmetLimits'] == []
    assert names(emulator) == ['a', 'b', 'c']


def test_parameters_of_the_preview(emulator, policy):
    """What is wrong with them is told as of an action."""
    for body, key in (
        ({'Foo': 1}, 'ActionParameterUnknown'),
        ({'Locked': 'yes'}, 'ActionParameterValueTypeError'),
        ({'Quiesce': 'Maybe'}, 'ActionParameterValueNotInList'),
        ({'Description': '\x1b'}, 'ActionParameterValueFormatError'),
    ):
        refused = preview(policy, **body)
        assert (refused.status_code, message_ids(refused)) == (400, [key])


def test_preview_is_refused_like_the_create(emulator, policy):
    """What a create would be told, its dry run is told."""
    emulator.created(Name='a')
    set_policy(policy, MaxSnapshots=1, OnLimit='Refuse')
    for body in ({'Name': 'a'}, {'Name': 'a/b'}, {'Name': 'b'}):
        told, real = preview(policy, **body), emulator.create(**body)
        assert told.status_code == real.status_code
        assert message_ids(told) == message_ids(real)


def test_what_has_no_room_makes_way_first(emulator, policy):
    """Only where the chain is too deep the oldest goes before the create."""
    for name in 'ab':
        emulator.created(Name=name)
    emulator.behaviour.depth = 2

    refused = emulator.create(Name='c')

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['ChainTooDeep'],
    )
    assert preview(policy, Name='c').status_code == 409
    set_policy(policy, MaxSnapshots=2)
    seen = preview(policy, Name='c').json()
    assert seen['PrunedFirst'] is True
    assert [p['Name'] for p in seen['Pruned']] == ['a']
    assert emulator.created(Name='c')['Links']['ParentSnapshot']
    assert names(emulator) == ['b', 'c']
    assert pruned(emulator)[-1].snapshot == 'a'
    set_policy(policy, OnLimit='Refuse')
    assert message_ids(emulator.create(Name='d')) == [
        'CreateLimitReachedForResource',
        'SnapshotLimitReached',
    ]


def test_a_create_at_the_limit_looks_once(emulator, policy, monkeypatch):
    """What it has seen is true until its deletes are queued."""
    looks = collections.Counter()

    def counted(name):
        call = getattr(emulator.driver, name)

        def count(*args, **options):
            looks[name] += 1
            return call(*args, **options)

        monkeypatch.setattr(emulator.driver, name, count)

    for name in 'ab':
        emulator.created(Name=name)
    set_policy(policy, MaxSnapshots=2)
    emulator.behaviour.depth = 2
    with emulator.slow():
        # It has the system, so nothing that is submitted begins.
        revert = '/b/Actions/HawkFishSnapshot.Revert'
        busy = requests.post(emulator.snapshots_url + revert, timeout=60)
        emulator.wait_running(busy)
        for name in ('check_create', 'inventory', 'check_delete'):
            counted(name)

        assert emulator.create(Name='c').status_code == 202

    assert looks == {'check_create': 1, 'inventory': 1, 'check_delete': 1}


def test_clients_meet_at_the_limit_of_the_chain(emulator, policy):
    """Each create finds the room that it needs in its turn."""
    for name in 'ab':
        emulator.created(Name=name)
    set_policy(policy, MaxSnapshots=2)
    emulator.behaviour.depth = 2
    clients = 4
    together = threading.Barrier(clients)

    def client(number):
        together.wait()
        return emulator.create(Name=f'of-{number}')

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(client, range(clients)))
    ends = [emulator.wait(a) for a in answers if a.status_code == 202]
    emulator.wait_idle()

    assert {answer.status_code for answer in answers} == {202}
    # 200 where the snapshot is pruned again already.
    assert {end.status_code for end in ends} <= {200, 201}
    assert len(names(emulator)) == 2


@pytest.mark.parametrize('depth', [2, 3])
def test_creates_that_are_queued_at_the_limit(emulator, policy, depth):
    """Those behind another one prune in their turn, by sub-tasks."""
    for name in 'ab':
        emulator.created(Name=name)
    set_policy(policy, MaxSnapshots=2)
    emulator.behaviour.depth = depth
    with emulator.slow():
        answers = [emulator.create(Name=name) for name in 'cdef']
    ends = [emulator.wait(answer) for answer in answers]
    emulator.wait_idle()

    assert [answer.status_code for answer in answers] == [202] * 4
    assert [end.status_code for end in ends] == [201] * 4
    assert names(emulator) == ['e', 'f']
    tasks = emulator.services.tasks.list()
    by_name = {task.snapshot: task for task in tasks}
    assert any(task.parent == by_name['f'].id for task in tasks)
    assert {task.state for task in pruned(emulator)[-4:]} == {'Completed'}


def test_interrupted_after_it_has_made_room(emulator, policy, monkeypatch):
    """A create of which only the room was made is begun anew."""
    emulator.created(Name='a')
    set_policy(policy, MaxSnapshots=2)
    create, lost = emulator.driver.create, []

    def lose_once(uuid, request, context):
        if context.last_step == 'room' and not lost:
            lost.append(request.name)
            raise exceptions.HypervisorUnavailable('fake', 'gone')
        return create(uuid, request, context)

    monkeypatch.setattr(emulator.driver, 'create', lose_once)
    with emulator.slow():
        busy = emulator.create(Name='b')
        emulator.wait_running(busy)
        emulator.behaviour.depth = 2
        answer = emulator.create(Name='c')
    end = emulator.wait(answer)
    emulator.wait_idle()

    assert lost == ['c']
    assert end.status_code == 201
    assert names(emulator) == ['b', 'c']


def test_no_room_in_its_turn(emulator, policy):
    """Where the policy would delete nothing, the create fails as before."""
    emulator.created(Name='a')
    with emulator.slow():
        busy = emulator.create(Name='b')
        emulator.wait_running(busy)
        emulator.behaviour.depth = 3
        answers = [emulator.create(Name=name) for name in 'cd']
    ends = [emulator.wait(answer) for answer in answers]
    emulator.wait_idle()

    assert [end.status_code for end in ends] == [201, 409]
    assert message_ids(ends[1]) == ['ChainTooDeep']
    assert names(emulator) == ['a', 'b', 'c']


def test_nothing_goes_for_what_does_not_come(emulator, policy):
    """A create that cannot be queued has no delete queued either."""
    for name in 'ab':
        emulator.created(Name=name)
    set_policy(policy, MaxSnapshots=2)
    emulator.behaviour.depth = 2
    before = len(pruned(emulator))
    with emulator.full_queue('b'):
        refused = emulator.create(Name='c')

    assert (refused.status_code, message_ids(refused)) == (503, ['QueueFull'])
    emulator.wait_idle()
    assert names(emulator) == ['a', 'b']
    assert len(pruned(emulator)) == before


@OVER_HTTP
@given(
    history=trees.histories(7),
    most=st.integers(1, 4),
    bytes_=st.sampled_from([0, 2**17, 2**20 + 2**17, 2**20 + 2**18]),
    locked=st.sets(st.integers(0, 7), max_size=3),
    cloned=st.sets(st.integers(0, 7), max_size=2),
)
def test_the_dry_run_is_exact(
    emulator, policy, switched_on, history, most, bytes_, locked, cloned
):
    """What the dry run says will go is what then goes, of any tree."""
    plant(emulator, history)
    emulator.behaviour.dependents = {
        str(n): [contract.Dependent('/x')] for n in cloned
    }
    there = set(names(emulator))
    for number in locked:
        if str(number) in there:
            patch(emulator, str(number), Locked=True)
    set_policy(policy, MaxSnapshots=most, MaxBytes=bytes_)

    seen = preview(policy, Name='new').json()
    before = len(pruned(emulator))
    emulator.created(Name='new')
    emulator.wait_idle()

    went = pruned(emulator)[before:]
    assert [(t.snapshot, t.arguments['pruned']) for t in went] == [
        (p['Name'], p['Reason']) for p in seen['Pruned']
    ]
    assert {t.state for t in went} <= {'Completed'}
    assert names(emulator) == [k['Name'] for k in seen['Kept']]
    # The next example's snapshots have the same names and times.
    for number in locked & {int(n) for n in there}:
        emulator.notes.forget(emulator.system, str(number))


def test_a_system_that_is_half_changed(emulator, policy):
    """It is a finding, and no snapshot is made of it but for safety."""
    emulator.created(Name='whole')
    with emulator.slow():
        answer = emulator.create(Name='half')
        emulator.wait_running(answer)
        waiting = emulator.create(Name='queued')
        task = emulator.services.tasks.list()[-2]
        uri = f'{emulator.url}/redfish/v1/TaskService/Tasks/{task.id}'
        abandon = f'{uri}/Actions/Oem/HawkFishTask.Abandon'
        assert requests.post(abandon, timeout=60).status_code == 204
    assert message_ids(emulator.wait(waiting)) == ['SystemHalfChanged']
    emulator.wait_idle()

    findings = requests.get(policy, timeout=60).json()['Capabilities']
    (found,) = findings['Findings']
    assert found['MessageId'].endswith('.SystemHalfChanged')
    refused = emulator.create(Name='more')
    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['SystemHalfChanged'],
    )
    assert preview(policy, Name='more').status_code == 409

    reverted = emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/whole/Actions/HawkFishSnapshot.Revert',
            json={'SafetySnapshot': True},
            timeout=60,
        )
    )

    assert reverted.status_code == 200, reverted.text
    after = requests.get(policy, timeout=60).json()['Capabilities']
    assert after['Findings'] == []
    emulator.created(Name='more')
