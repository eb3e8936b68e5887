# SPDX-License-Identifier: Apache-2.0
"""Trees of snapshots that are none: two of a name, and cycles."""

import concurrent.futures
import types

import pytest
import requests

from hawkfish_plugin import tree
from hawkfish_plugin.cli import tree as drawing
from hawkfish_plugin.drivers import contract
from tests.served import message_ids

ACTIONS = [
    ('POST', '', {}),
    ('POST', '', {'Name': 'new'}),
    ('POST', '/Actions/HawkFishSnapshotCollection.Purge', {}),
    ('POST', '/a/Actions/HawkFishSnapshot.Revert', {}),
    ('DELETE', '/a', None),
]


def snapshot(name, parent=None, current=False):
    return contract.Snapshot(
        name, '', 1, 'Off', False, True, parent, current=current
    )


TREES = {
    'two': [snapshot('a'), snapshot('a', 'a', current=True)],
    'two apart': [snapshot('a'), snapshot('b', 'a'), snapshot('a', 'b')],
    'itself': [snapshot('a', 'a', current=True), snapshot('b', 'a')],
    'cycle': [snapshot('a', 'b'), snapshot('b', 'a', current=True)],
}


@pytest.fixture(params=TREES)
def planted(request, emulator):
    """An emulator whose system has a tree that is none."""
    emulator.driver.plant(emulator.system, TREES[request.param])
    return emulator


def test_eight_creates_of_one_name(emulator):
    """One of them is accepted, however many come at once."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for number in range(25):
            sent = [
                pool.submit(emulator.create, Name=f's{number}')
                for _ in range(8)
            ]
            statuses = sorted(one.result().status_code for one in sent)

            assert statuses == [202] + 7 * [409]
    emulator.wait_idle()
    names = [s.name for s in emulator.driver.snapshots(emulator.system)]
    assert sorted(names) == sorted(f's{n}' for n in range(25))


@pytest.mark.parametrize('kind', TREES)
def test_flaws_are_told(kind):
    """What makes it no tree is named; what grows from it is not."""
    assert 'a' in tree.flaws(TREES[kind])


def test_a_tree_has_no_flaws():
    """Not even one whose oldest snapshots are gone."""
    assert not tree.flaws(
        [snapshot('b', 'gone'), snapshot('c', 'b'), snapshot('d', 'b')]
    )


@pytest.mark.parametrize(
    'query', ['', '?$expand=.', "?$filter=Name eq 'a'", '?$top=1']
)
def test_it_can_be_listed(planted, query):
    """No request about it goes on for ever."""
    listed = requests.get(planted.snapshots_url + query, timeout=10)
    shown = requests.get(f'{planted.snapshots_url}/a', timeout=10)

    assert listed.status_code == 200
    assert shown.status_code == 200


@pytest.mark.parametrize('method, path, body', ACTIONS)
def test_nothing_is_done_to_it(planted, method, path, body):
    """Nobody can say what that would do."""
    before = planted.driver.snapshots(planted.system)

    refused = requests.request(
        method, planted.snapshots_url + path, json=body, timeout=10
    )

    assert refused.status_code == 409
    assert message_ids(refused) == ['SnapshotTreeInvalid']
    assert planted.driver.snapshots(planted.system) == before


def test_the_policy_tells_it(planted):
    """It is among what stands in the way of a create."""
    policy = requests.get(
        planted.snapshots_url.replace('Snapshots', 'SnapshotPolicy'),
        timeout=10,
    ).json()

    assert 'SnapshotTreeInvalid' in str(policy)


@pytest.mark.parametrize('kind', TREES)
def test_it_can_be_drawn(kind):
    """Each snapshot once, though no root leads to it."""
    members = [
        types.SimpleNamespace(
            name=record.name,
            parent=record.parent,
            is_current=record.current,
            snapshot_state='Ready',
            size_bytes=0,
            created_time=None,
            snapshot_type='Disk',
            locked=False,
            expires_time=None,
        )
        for record in TREES[kind]
    ]

    lines = list(drawing.draw(members, 0))

    named = [line for line in lines if drawing.HERE not in line]
    assert len(named) == len(members)
