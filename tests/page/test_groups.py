# SPDX-License-Identifier: Apache-2.0
"""The page of a group: all its members, and the snapshots of all."""

import re

import pytest
import requests
from playwright.sync_api import expect

from tests.page.browser import picture
from tests.page.parts import button, go_to_group, label, row
from tests.unit.conftest import NODES

ROOT = '/redfish/v1'
GROUPS = f'{ROOT}/AggregationService/Aggregates'
CLEAN = re.compile('^clean,')
MEMBERS = ('node-0', 'node-1', 'node-2')


class Lab:
    """A group of three systems."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.url = f'{emulator.url}{GROUPS}/lab/Oem/HawkFish/Snapshots'
        elements = [
            {'@odata.id': f'{ROOT}/Systems/{NODES[name]}'} for name in MEMBERS
        ]
        self._post(emulator.url + GROUPS, Name='lab', Elements=elements)

    def _post(self, url, **body):
        answer = requests.post(url, json=body, timeout=60)
        assert answer.status_code < 300, answer.text
        return answer

    def create(self, name):
        self.emulator.wait(self._post(self.url, Name=name))

    def revert_alone(self, system, name):
        url = f'{self.emulator.url}{ROOT}/Systems/{system}/Oem/HawkFish'
        action = f'{url}/Snapshots/{name}/Actions/HawkFishSnapshot.Revert'
        self.emulator.wait(self._post(action))

    def states(self):
        answer = requests.get(f'{self.url}?$expand=.', timeout=60).json()
        return {s['Name']: s['SnapshotState'] for s in answer['Members']}


@pytest.fixture
def lab(emulator):
    return Lab(emulator)


def member(page, name):
    """The tree of a member, beside those of the others."""
    return page.get_by_role('tree', name=f'Snapshots of {name}')


def test_create(lab, hand):
    """One press captures all, and each tree shows its part."""
    page = hand.page
    go_to_group(hand, 'lab')
    hand.press(button(page, 'Create group snapshot'))
    hand.type(label(page, 'Name'), 'clean')
    hand.choose(label(page, 'Consistency'), 'Disks only: all are paused')
    hand.press(button(page, 'Dry run'))
    expect(page.get_by_role('dialog')).to_contain_text('of 3 systems')
    hand.press(button(page, 'Create'))

    expect(row(page, 'clean')).to_have_accessible_name(re.compile('Ready'))
    expect(page.get_by_role('treeitem').first).to_have_accessible_name(
        'All systems are here, on clean'
    )
    for name in MEMBERS:
        part = member(page, name).get_by_role('treeitem', name=CLEAN)
        expect(part).to_be_visible()


def test_revert(lab, hand):
    """One that has gone its own way is seen, and all are brought back."""
    lab.create('clean')
    lab.create('tested')
    lab.revert_alone('node-2', 'clean')
    page = hand.page
    go_to_group(hand, 'lab')
    expect(row(page, 'tested')).to_have_accessible_name(re.compile('Mixed'))
    places = page.locator('.panes').get_by_role('treeitem', name='Here: ')
    expect(places).to_have_count(2)
    expect(places.filter(has_text='node-0, node-1')).to_have_accessible_name(
        'Here: node-0, node-1, on tested'
    )
    picture(page, 'page-group')
    hand.stand_on(row(page, 'tested'))
    hand.press(button(page, 'Revert'))
    dialog = page.get_by_role('dialog')
    expect(dialog).to_contain_text('Lost for good')
    hand.choose(label(page, 'Safety snapshot'), 'yes')
    expect(dialog).to_contain_text('Nothing is lost')
    hand.press(button(page, 'Revert'))

    expect(page.get_by_role('treeitem').first).to_have_accessible_name(
        'All systems are here, on tested'
    )
    assert lab.states()['tested'] == 'Ready'
    assert len(lab.states()) == 3


def test_delete(lab, hand):
    """A group snapshot goes as a whole."""
    lab.create('clean')
    page = hand.page
    go_to_group(hand, 'lab')
    hand.stand_on(row(page, 'clean'))
    hand.press(button(page, 'Delete'))
    hand.press(button(page, 'Delete'))

    expect(page.get_by_role('dialog')).to_have_count(0)
    expect(row(page, 'clean')).to_have_count(0)
    for name in MEMBERS:
        expect(member(page, name).get_by_role('treeitem')).to_have_count(1)
    assert lab.states() == {}


def test_edit_and_lock(lab, look):
    """What is changed of a group snapshot is changed of its parts."""
    lab.create('clean')
    page = look()
    page.goto(f'{page.url}#/groups/lab')
    row(page, 'clean').click()
    button(page, 'Edit').click()
    label(page, 'Description').fill('of all')
    button(page, 'Save').click()
    expect(page.get_by_role('region', name='Details')).to_contain_text(
        'of all'
    )
    button(page, 'Lock').click()

    expect(row(page, 'clean')).to_have_accessible_name(re.compile('locked'))
    part = member(page, 'node-1').get_by_role('treeitem', name=CLEAN)
    expect(part).to_have_accessible_name(re.compile('locked'))


def test_a_member_leads_to_its_own_page(lab, look):
    """And that page leads back, and names the group snapshot."""
    lab.create('clean')
    page = look()
    page.goto(f'{page.url}#/groups/lab')
    page.locator('#view').get_by_role('link', name='node-1').click()
    row(page, 'clean').click()
    expect(page.get_by_role('region', name='Details')).to_contain_text(
        'clean of lab'
    )
    page.locator('#view').get_by_role('link', name='lab').click()

    expect(page.get_by_role('heading', name='lab')).to_be_visible()


def test_a_member_that_is_gone_is_named(lab, look):
    """Nothing is captured until it is removed, so nobody has to guess why."""
    systems = lab.emulator.app.systems
    kept = systems._systems.pop(NODES['node-2'])
    by_name = systems._by_name.pop('node-2')
    try:
        page = look()
        page.goto(f'{page.url}#/groups/lab')

        expect(page.get_by_text('2 systems, 0 group snapshots')).to_have_text(
            '2 systems, 0 group snapshots; node-2 no longer there'
        )
    finally:
        systems._systems[NODES['node-2']] = kept
        systems._by_name['node-2'] = by_name
