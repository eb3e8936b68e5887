# SPDX-License-Identifier: Apache-2.0
"""What a create at a limit would delete, and does to have room."""

import collections
import concurrent.futures
import threading

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from tests.served import message_ids
from tests.unit import trees
from tests.unit.policies.limits import (
    OVER_HTTP,
    names,
    patch,
    plant,
    pruned,
    set_policy,
)

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
    before = emulator.newest_task
    with emulator.full_queue('b'):
        refused = emulator.create(Name='c')

    assert (refused.status_code, message_ids(refused)) == (503, ['QueueFull'])
    emulator.wait_idle()
    assert names(emulator) == ['a', 'b']
    assert pruned(emulator, before) == []


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
    before = emulator.newest_task
    emulator.created(Name='new')
    emulator.wait_idle()

    went = pruned(emulator, before)
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
