# SPDX-License-Identifier: Apache-2.0
"""Tasks and events: what is being done, and what has happened."""

import re

from playwright.sync_api import expect

from hawkfish_plugin import exceptions
from tests.page.parts import button, go_to_page, label, row


def test_a_task_is_cancelled(hand, emulator):
    """An active task is first, shows its progress, and can be cancelled."""
    emulator.created(Name='before')
    page = hand.page
    with emulator.slow():
        emulator.create(Name='clean')
        go_to_page(hand, 'Tasks')
        first = page.locator('.task').first
        expect(first).to_contain_text('Create snapshot clean')
        expect(first.get_by_role('progressbar')).to_be_visible()
        hand.press(
            page.get_by_role('button', name='Cancel Create snapshot clean')
        )
        expect(first).to_contain_text('Cancelled')
        expect(first).to_contain_text('fake')
    expect(page.locator('.task').nth(1)).to_contain_text('Completed')


def test_events_are_listed_as_they_come(hand, emulator):
    """The newest is first, with what it says."""
    page = hand.page
    expect(page.get_by_text('Live', exact=True)).to_be_visible()
    go_to_page(hand, 'Events')
    emulator.created(Name='clean')

    told = page.get_by_role('log').get_by_role('listitem')
    expect(
        told.filter(has_text="Snapshot 'clean' of system 'fake' was created")
    ).to_be_visible()


def test_a_failure_is_told_with_the_way_out(look, emulator):
    """Whoever asked for it hears of it, wherever they look by then."""
    emulator.behaviour.fail_at = {
        'create:capture': exceptions.OperationFailed('create', 'disk is full')
    }
    page = look()
    page.goto(f'{page.url}#/systems/{emulator.system}')
    button(page, 'Create snapshot').click()
    label(page, 'Name').fill('clean')
    button(page, 'Create').click()

    expect(
        page.get_by_role('alert').filter(has_text='Create')
    ).to_contain_text(
        re.compile('Create snapshot clean: Exception.*disk is full')
    )
    expect(row(page, 'clean')).to_have_count(0)


def test_one_that_is_not_there_is_said(look):
    """A link to a system that is gone says so, and not nothing."""
    page = look(refused=[404])
    page.goto(f'{page.url}#/systems/nope')

    expect(page.get_by_role('alert').first).to_contain_text('nope')
