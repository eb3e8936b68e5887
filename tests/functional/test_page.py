# SPDX-License-Identifier: Apache-2.0
"""The page over a real host: what is pressed there happens to a real guest."""

import re

import pytest
from playwright.sync_api import expect

from tests.page import browser as browsers
from tests.page.hands import HANDS
from tests.page.parts import button, go_to, label, row
from tests.waiting import patience, wait_for

# The page speaks HTTP, and never to a libvirt.
pytestmark = pytest.mark.once


@pytest.fixture(scope='module')
def browser():
    expect.set_options(timeout=1000 * patience(60))
    with browsers.running() as started:
        yield started


def create(hand, name, description):
    page = hand.page
    hand.press(button(page, 'Create snapshot'))
    hand.type(label(page, 'Name'), name)
    hand.type(label(page, 'Description'), description)
    hand.press(button(page, 'Create'))
    expect(row(page, name)).to_have_accessible_name(
        re.compile('Ready, memory and disks')
    )


@pytest.mark.parametrize('kind', HANDS, ids=lambda kind: kind.__name__.lower())
def test_create_harm_revert_purge(make_system, emulator, browser, kind):
    """The guest is as it was, and its counter goes on where it was."""
    system = make_system().boot()
    system.write('one')
    with browsers.looking(browser, emulator.url) as page:
        hand = kind(page)
        go_to(hand, system.name)
        create(hand, 'clean', 'As installed')
        captured = system.guest.ticks()
        system.write('two')
        count = system.guest.wait_ticks(3)
        create(hand, 'tested', 'After the first run')
        hand.stand_on(row(page, 'clean'))
        hand.press(button(page, 'Revert'))
        dialog = page.get_by_role('dialog')
        expect(dialog).to_contain_text('written since snapshot “tested”')
        expect(dialog).to_contain_text('The guest continues where it was')
        browsers.picture(page, 'page-revert')
        hand.press(button(page, 'Revert'))
        done = page.get_by_text('Revert to snapshot clean: Completed.')
        expect(done).to_be_visible()

        # Its console begins anew with the process; the count does not.
        begun = wait_for(
            lambda: re.search(
                r'^tick (\d+)\s', system.guest.console(), re.MULTILINE
            ),
            'the counter of the guest',
        )
        assert captured - 1 <= int(begun[1]) <= count
        assert system.read() == {'one'}
        expect(page.get_by_role('treeitem').first).to_have_accessible_name(
            'The system is here, on clean'
        )
        browsers.picture(page, 'page-system')

        hand.press(button(page, 'Purge'))
        hand.press(button(page, 'Delete all snapshots'))
        expect(page.get_by_role('treeitem')).to_have_count(1)
    assert system.domain.listAllSnapshots() == []
    assert system.read() == {'one'}
