# SPDX-License-Identifier: Apache-2.0
"""The page over a real host: what is pressed there happens to a real guest."""

import re

import pytest
from playwright.sync_api import expect

from tests.page import browser as browsers
from tests.page.hands import HANDS
from tests.page.parts import button, go_to, label, row
from tests.waiting import patience


@pytest.fixture(scope='module')
def browser():
    expect.set_options(timeout=1000 * patience(60))
    with browsers.running() as started:
        yield started


@pytest.mark.parametrize('kind', HANDS, ids=lambda kind: kind.__name__.lower())
def test_create_harm_revert_delete(make_system, emulator, browser, kind):
    """The guest is as it was, and its counter goes on where it was."""
    system = make_system().boot()
    system.write('one')
    with browsers.looking(browser, emulator.url) as page:
        hand = kind(page)
        go_to(hand, system.name)
        hand.press(button(page, 'Create snapshot'))
        hand.type(label(page, 'Name'), 'clean')
        hand.type(label(page, 'Description'), 'As installed')
        hand.press(button(page, 'Create'))
        expect(row(page, 'clean')).to_have_accessible_name(
            re.compile('Ready, memory and disks')
        )
        captured = system.guest.ticks()
        system.write('two')
        system.guest.wait_ticks(3)
        hand.stand_on(row(page, 'clean'))
        browsers.picture(page, 'page-system')
        hand.press(button(page, 'Revert'))
        expect(page.get_by_role('dialog')).to_contain_text(
            'written since snapshot “clean”'
        )
        expect(page.get_by_role('dialog')).to_contain_text(
            'The guest continues where it was'
        )
        browsers.picture(page, 'page-revert')
        hand.press(button(page, 'Revert'))
        done = page.get_by_text('Revert to snapshot clean: Completed.')
        expect(done).to_be_visible()

        assert system.read() == {'one'}
        # Loaded with the memory, it would be past this by far otherwise.
        assert captured <= system.guest.wait_ticks(1) < captured + 600

        hand.stand_on(row(page, 'clean'))
        hand.press(button(page, 'Delete'))
        hand.press(button(page, 'Delete'))
        expect(row(page, 'clean')).to_have_count(0)
    assert system.domain.listAllSnapshots() == []
    assert system.read() == {'one'}
