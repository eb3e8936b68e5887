# SPDX-License-Identifier: Apache-2.0
"""Of a group, whoever may not hear of each system hears nothing."""

import pytest
import requests

from tests.unit.conftest import NODES
from tests.unit.group_snapshots.labs import TRIO
from tests.unit.test_groups import ROOT


def restrict(lab, *names):
    lab.emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [
        NODES[name] for name in names
    ]


def tasks_seen(lab):
    listed = requests.get(f'{lab.emulator.url}{ROOT}/TaskService/Tasks')
    return [link['@odata.id'] for link in listed.json()['Members']]


def test_sub_tasks_of_a_hidden_group_are_hidden(lab):
    """And not cancelled by who may see one of its systems."""
    with lab.emulator.slow():
        accepted = lab.post_create(Name='a')
        lab.wait_captures(accepted)
        seen = tasks_seen(lab)
        parts = [part['@odata.id'] for part in lab.sub_tasks(accepted)]
        restrict(lab, 'node-0')
        hidden = tasks_seen(lab)
        cancels = [requests.delete(lab.emulator.url + uri) for uri in parts]
        restrict(lab, *TRIO)

    assert {*parts} <= {*seen} and not {*parts} & {*hidden}
    assert [response.status_code for response in cancels] == [404] * 3
    monitor = accepted.headers['Location']
    assert lab.emulator.watch(monitor).status_code == 201


@pytest.mark.parametrize('allowed', ['node-1', 'prod-db'])
def test_a_renamed_member_is_asked_about_by_its_present_name(lab, allowed):
    """The list of the emulator has names, and one has changed since."""
    made = lab.made(Name='a')
    systems = lab.emulator.app.systems
    names = ['node-0', allowed, 'node-2']
    lab.emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = names
    systems._update(NODES['node-1'], name='prod-db')
    try:
        group = requests.get(lab.url('/lab'))
        listed = requests.get(lab.url()).json()['Members']
        own = requests.get(f'{lab.of("node-0")}/a').json()
    finally:
        systems._update(NODES['node-1'], name='node-1')

    shown = allowed == 'prod-db'
    assert group.status_code == (200 if shown else 404)
    assert len(listed) == shown
    links = [{'@odata.id': made['@odata.id']}] if shown else []
    assert own['Links']['GroupSnapshots'] == links
