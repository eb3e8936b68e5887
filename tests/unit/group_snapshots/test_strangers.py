# SPDX-License-Identifier: Apache-2.0
"""What clients that mean no good do with groups, and what they are told."""

import concurrent.futures
import contextlib
import fcntl
import json
import sqlite3
import time

import pytest
import requests

from hawkfish_plugin import bounds
from tests.served import message_ids
from tests.unit.conftest import NODES
from tests.unit.group_snapshots.labs import Snapshots
from tests.unit.receiver import Receiver
from tests.waiting import patience

ROOT = '/redfish/v1'
HIDDEN = 'SUSHY_EMULATOR_ALLOWED_INSTANCES'
# The name and UUID of the member that is hidden from some, and its group.
SECRETS = ('node-1', NODES['node-1'], 'secret-group')


@pytest.fixture
def lab(emulator):
    """A group of a system that some may see and of one that they may not."""
    lab = Snapshots(emulator, SECRETS[-1])
    lab.create('node-0', 'node-1', Name=lab.name)
    return lab


@pytest.fixture
def restricted(lab):
    """A subscriber that may see the first system only."""
    receiver = Receiver()
    lab.emulator.app.config[HIDDEN] = [NODES['node-0']]
    made = requests.post(
        f'{root(lab)}/EventService/Subscriptions',
        json={'Destination': receiver.url, 'Protocol': 'Redfish'},
        timeout=60,
    )
    assert made.status_code == 201
    del lab.emulator.app.config[HIDDEN]
    with restricting(lab, 'node-0'):
        yield receiver
    requests.delete(lab.emulator.url + made.headers['Location'], timeout=60)
    receiver.stop()


@contextlib.contextmanager
def restricting(lab, name):
    """In the block there is another emulator, which serves one system."""
    path = lab.emulator.folder / 'serves-0.json'
    path.write_text(json.dumps([NODES[name]]))
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
    path.unlink(missing_ok=True)


def root(lab):
    return f'{lab.emulator.url}{ROOT}'


def told(text):
    """What *text* tells of what is hidden."""
    return [secret for secret in SECRETS if secret in text]


# Hidden systems -------------------------------------------------------------


def test_events_of_a_group_need_all_of_its_systems(lab, restricted):
    """Who may not hear of one hears of no group with it, nor of failures."""
    lab.made(Name='a')
    lab.reverted('a')
    lab.fail('create:capture', 'node-1')
    failed = lab.emulator.wait(lab.post_create(Name='b'))
    lab.emulator.behaviour.fail_at = {}
    lab.emulator.wait(lab.send_delete('a'))
    requests.post(
        f'{root(lab)}/EventService/Actions/EventService.TestEventSubscription',
        timeout=60,
    )

    restricted.wait_for('TestMessage')
    assert failed.status_code == 409
    assert 'SnapshotCreated' in restricted.messages
    assert told(str(restricted.taken)) == []
    assert not [m for m in restricted.messages if m.startswith('Group')]


@pytest.mark.parametrize('place', ['create:capture', 'revert:revert'])
def test_a_part_does_not_name_the_others(lab, place):
    """Nor is it shown to those who may see its system alone."""
    lab.made(Name='a')
    before = max(task.id for task in lab.emulator.services.tasks.list())
    lab.fail(place, 'node-1')
    with restricting(lab, 'node-0'):
        accepted = (
            lab.post_create(Name='b')
            if place.startswith('create')
            else lab.post_revert('a')
        )
        assert lab.emulator.wait(accepted).status_code == 409

    lab.emulator.app.config[HIDDEN] = [NODES['node-0']]
    listed = requests.get(
        f'{root(lab)}/TaskService/Tasks?$expand=.', timeout=60
    ).json()
    parts = [
        task
        for task in lab.emulator.services.tasks.list()
        if task.id > before
        and task.parent
        and task.one_system.uuid == NODES['node-0']
    ]
    assert [t for t in listed['Members'] if int(t['Id']) > before] == []
    assert parts
    assert told(str([(part.error, part.messages) for part in parts])) == []


def test_nothing_that_is_refused_names_a_hidden_group(lab):
    """Such as what conflicts with a task of it, or belongs to it."""
    lab.made(Name='a')
    lab.create('node-0', Name='mine')
    mine = f'{lab.url("/mine")}'
    whole = f'{mine}/Oem/HawkFish/Snapshots'
    own = lab.of('node-0')
    asked = (
        ('POST', whole, {'Name': 'b'}),
        ('POST', whole, {'Name': 'a'}),
        (
            'POST',
            f'{whole}/Actions/HawkFishGroupSnapshotCollection.Adopt',
            {},
        ),
        (
            'POST',
            f'{whole}/Actions/HawkFishGroupSnapshotCollection.PreviewCreate',
            {},
        ),
        ('POST', f'{mine}/Actions/Aggregate.Reset', {'ResetType': 'On'}),
        ('POST', f'{mine}/Actions/Aggregate.SetDefaultBootOrder', {}),
        ('POST', own, {'Name': 'b'}),
        ('POST', own, {'Name': 'a'}),
        ('DELETE', f'{own}/a', None),
        ('DELETE', f'{own}/b', None),
        ('PATCH', f'{own}/b', {'Locked': True}),
        ('POST', f'{own}/a/Actions/HawkFishSnapshot.Revert', {}),
        ('POST', f'{own}/Actions/HawkFishSnapshotCollection.Purge', {}),
        ('GET', f'{own}?$expand=.', None),
        ('GET', f'{root(lab)}/Oem/HawkFish/SystemSummaries?$expand=.', None),
        ('GET', f'{lab.url()}?$expand=.', None),
        ('GET', f'{root(lab)}/Systems', None),
    )
    with lab.emulator.slow():
        busy = lab.post_create(Name='b')
        lab.emulator.wait_running(busy)
        lab.emulator.app.config[HIDDEN] = [NODES['node-0']]
        answers = [
            requests.request(method, url, json=body, timeout=60)
            for method, url, body in asked
        ]
        for answer in answers:
            if answer.status_code == 202:
                lab.emulator.cancel(answer)
    del lab.emulator.app.config[HIDDEN]
    lab.emulator.wait(busy)

    assert {answer.status_code for answer in answers} >= {200, 409}
    assert [a.request.url for a in answers if told(a.text)] == []


def test_a_reset_names_no_hidden_group(lab, monkeypatch):
    """Though one of that is in its way."""
    systems = lab.emulator.app.systems
    monkeypatch.setattr(systems, 'set_power_state', lambda uuid, kind: None)
    lab.create('node-0', Name='mine')
    wait = {'BatchSize': 1, 'DelayBetweenBatchesInSeconds': 3600}
    busy = lab.act(lab.name, 'Reset', ResetType='On', **wait)
    try:
        lab.emulator.app.config[HIDDEN] = [NODES['node-0']]
        other = lab.act('mine', 'Reset', ResetType='On')
    finally:
        del lab.emulator.app.config[HIDDEN]
        lab.emulator.cancel(busy)

    if other.status_code == 202:
        lab.emulator.cancel(other)
    assert told(other.text) == []


def test_a_preview_names_no_hidden_group(lab):
    """Though what it has would be pruned with it."""
    for name in 'ab':
        lab.made(Name=name)
    conf = lab.emulator.services.conf
    conf.set_override('max_snapshots', 2, 'retention')
    policy = (
        f'{root(lab)}/Systems/{NODES["node-0"]}/Oem/HawkFish/SnapshotPolicy'
    )
    lab.emulator.app.config[HIDDEN] = [NODES['node-0']]
    lab.create('node-0', Name='mine')
    whole = f'{lab.url("/mine")}/Oem/HawkFish/Snapshots'
    try:
        answers = [
            requests.post(
                f'{policy}/Actions/HawkFishSnapshotPolicy.PreviewCreate'
            ),
            requests.get(policy),
            requests.post(
                f'{whole}/Actions/HawkFishGroupSnapshotCollection.PreviewCreate'
            ),
        ]
    finally:
        conf.clear_override('max_snapshots', 'retention')

    assert {answer.status_code for answer in answers} == {200}
    assert [a.request.url for a in answers if told(a.text)] == []


def test_a_stream_needs_all_systems_of_a_group(lab):
    """As a subscription does."""
    lab.emulator.app.config[HIDDEN] = [NODES['node-0']]
    before = lab.emulator.services.events.newest()
    del lab.emulator.app.config[HIDDEN]
    lab.made(Name='a')
    lab.emulator.app.config[HIDDEN] = [NODES['node-0']]

    found = b''
    with requests.get(
        f'{root(lab)}/EventService/SSE',
        headers={'Last-Event-ID': str(before)},
        stream=True,
        timeout=60,
    ) as stream:
        for chunk in stream.iter_content(None):
            found += chunk
            if b'SnapshotCreated' in found:
                break

    assert told(found.decode()) == []


# At once --------------------------------------------------------------------


def test_one_of_many_makes_a_group(lab):
    """Of all that want the name."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: lab.post('node-2', Name='x'), range(8)))

    assert sorted(m.status_code for m in made) == [201] + 7 * [409]


def test_one_of_many_makes_a_group_snapshot(lab):
    """Also where other groups have the same systems."""
    groups = [lab.name, 'second', 'third']
    for name in groups[1:]:
        lab.create('node-1', 'node-0', Name=name)

    def create(number):
        url = lab.url(f'/{groups[number % 3]}/Oem/HawkFish/Snapshots')
        return requests.post(url, json={'Name': 'x'}, timeout=60)

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        made = list(pool.map(create, range(9)))
    accepted = [one for one in made if one.status_code == 202]

    assert len(accepted) == 1
    assert {m.status_code for m in made} == {202, 409}
    lab.emulator.wait(accepted[0])
    for system in ('node-0', 'node-1'):
        assert lab.names_of(system) == ['x']


# What can grow --------------------------------------------------------------


def test_elements_have_a_bound(lab):
    """A list that is too long is not looked at."""
    links = lab.elements('node-2') * (bounds.ELEMENTS + 1)
    begin = time.monotonic()

    refused = requests.post(lab.url(), json={'Elements': links}, timeout=60)

    assert message_ids(refused) == ['ArraySizeTooLong']
    assert time.monotonic() - begin < patience(5)


def test_what_nobody_has_any_more_is_forgotten(lab):
    """The table of group snapshots does not grow with each that was made."""
    for number in range(3):
        lab.made(Name=f's{number}')
        for system in ('node-0', 'node-1'):
            lab.emulator.wait(
                requests.delete(f'{lab.of(system)}/s{number}', timeout=60)
            )

    lab.made(Name='last')

    noted = lab.emulator.services.group_table.snapshots(lab.name)
    assert [snapshot.name for snapshot in noted] == ['last']


def test_many_groups_slow_no_list_down(lab):
    """Each system is looked at once, however many groups it is in."""
    (path,) = lab.emulator.folder.glob('*.sqlite')
    with sqlite3.connect(path) as connection:
        names = [(f'many-{n}',) for n in range(bounds.AGGREGATES - 1)]
        connection.executemany('INSERT INTO aggregates VALUES (?)', names)
        connection.executemany(
            'INSERT INTO aggregate_elements (aggregate, system, system_name) '
            'VALUES (?, ?, ?)',
            [
                (*name, uuid, system)
                for name in names
                for system, uuid in NODES.items()
            ],
        )
    connection.close()
    try:
        took = {}
        for what in (
            'AggregationService/Aggregates',
            'AggregationService/Aggregates?$expand=.',
            'Oem/HawkFish/SystemSummaries?$expand=.',
        ):
            begin = time.monotonic()
            assert requests.get(f'{root(lab)}/{what}', timeout=60).ok
            took[what] = time.monotonic() - begin
    finally:
        with sqlite3.connect(path) as connection:
            connection.execute('PRAGMA foreign_keys = ON')
            connection.execute(
                "DELETE FROM aggregates WHERE name LIKE 'many-%'"
            )
        connection.close()

    assert max(took.values()) < patience(0.5), took


def test_if_match_is_atomic(lab):
    """Of many changes of one version, one is made."""
    lab.made(Name='a')
    for number in range(3):
        tag = lab.show('a')['@odata.etag']

        def change(one, tag=tag, number=number):
            return requests.patch(
                lab.collection('/a'),
                json={'Description': f'{number}-{one}'},
                headers={'If-Match': tag},
                timeout=60,
            ).status_code

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(change, range(6)))

        assert sorted(statuses) == [200] + 5 * [412]


def test_if_match_of_a_group_is_atomic(lab):
    """Of many systems that are added to one version, one is."""
    group = requests.get(lab.url(f'/{lab.name}'), timeout=60).json()
    target = group['Actions']['#Aggregate.AddElements']['target']

    def add(number):
        return requests.post(
            lab.emulator.url + target,
            json={'Elements': lab.elements(f'node-{number}')},
            headers={'If-Match': group['@odata.etag']},
            timeout=60,
        ).status_code

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(add, range(2, 8)))

    assert sorted(statuses) == [200] + 5 * [412]
