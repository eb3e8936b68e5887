# SPDX-License-Identifier: Apache-2.0
"""Snapshots that belong to several groups, as their systems do."""

from typing import Any

import pytest
import requests

from tests.unit.conftest import Emulator
from tests.unit.group_snapshots.labs import TRIO, Snapshots, set_policy

ADOPT = '/Actions/HawkFishGroupSnapshotCollection.Adopt'


@pytest.fixture
def labs(emulator: Emulator) -> Any:
    """
    Snapshots x, y and z of three systems, of which x is another group's too.

    That has two of them, and the first of these may have three snapshots.
    """
    lab, small = Snapshots(emulator), Snapshots(emulator, 'small')
    lab.create(*TRIO, Name='lab')
    small.create(*TRIO[:2], Name='small')
    for name in 'xyz':
        lab.made(Name=name)
    adopted = requests.post(small.collection(ADOPT), json={'Name': 'x'})
    assert [one['Name'] for one in adopted.json()['Adopted']] == ['x']
    set_policy(lab, 'node-0', MaxSnapshots=3)
    yield lab, small
    set_policy(lab, 'node-0', MaxSnapshots=None)


def test_what_a_system_of_any_group_has_locked_stays_in_all(labs):
    """Though the group that was asked last does not have that system."""
    lab, small = labs
    requests.patch(f'{lab.of("node-2")}/x', json={'Locked': True})

    lab.made(Name='w')
    lab.emulator.wait_idle()

    assert lab.names() == ['x', 'z', 'w']
    assert [lab.names_of(name) for name in TRIO] == [['x', 'z', 'w']] * 3
    assert lab.show('x')['SnapshotState'] == 'Ready'
    assert small.names() == ['x']


def test_what_shares_a_part_goes_with_it(labs):
    """From the systems of all groups, in one task; and both are told of."""
    lab, small = labs
    before = lab.emulator.services.events.newest()

    lab.made(Name='w')
    lab.emulator.wait_idle()

    assert [lab.names_of(name) for name in TRIO] == [['y', 'z', 'w']] * 3
    assert lab.names() == ['y', 'z', 'w'] and small.names() == []
    told = lab.emulator.services.events.after(before, 1000)
    assert [
        event.args
        for event in told
        if event.message_id.endswith('GroupSnapshotDeleted')
    ] == [['x', 'lab', 'MaxSnapshots'], ['x', 'small', 'MaxSnapshots']]
    # A later one of that name in the smaller group is no part of the old.
    assert lab.emulator.services.group_table.snapshots('small') == []
