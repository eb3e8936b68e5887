# SPDX-License-Identifier: Apache-2.0
"""What can be done with the snapshots of a system, by either hand."""

import datetime
import re

import pytest
from playwright.sync_api import expect

from hawkfish_plugin.exports import Owner
from tests.page.parts import button, go_to, label, row, snapshot, snapshots
from tests.waiting import wait_for


def test_create(hand, emulator):
    """All that a create can be told is told, and the snapshot appears."""
    page = hand.page
    go_to(hand, 'fake')
    hand.press(button(page, 'Create snapshot'))
    hand.type(label(page, 'Name'), 'clean')
    hand.type(label(page, 'Description'), 'as installed')
    hand.choose(label(page, 'Memory'), 'disks only')
    hand.type(label(page, 'Expires'), '2d12h')
    hand.tick(label(page, 'Locked against deletion'))
    hand.press(button(page, 'Dry run'))
    expect(page.get_by_role('dialog')).to_contain_text(
        'It would be called “clean”: disks, external.'
    )
    hand.press(button(page, 'Create'))

    expect(row(page, 'clean')).to_have_accessible_name(
        re.compile('Ready, disks, external, .*locked, expires in 2 days')
    )
    made = snapshot(emulator, 'clean')
    assert made['Description'] == 'as installed'
    assert made['Locked']
    expires = datetime.datetime.fromisoformat(made['ExpiresTime'])
    wanted = datetime.datetime.now(datetime.UTC) + datetime.timedelta(
        days=2, hours=12
    )
    assert abs(expires - wanted) < datetime.timedelta(minutes=5)
    # The present state has grown from it.
    expect(page.get_by_role('treeitem').first).to_have_accessible_name(
        'The system is here, on clean'
    )


def test_revert(hand, emulator):
    """A revert says what is lost, and takes the system to another place."""
    for name in ('clean', 'tested'):
        emulator.created(Name=name)
    page = hand.page
    go_to(hand, 'fake')
    hand.stand_on(row(page, 'clean'))
    hand.press(button(page, 'Revert'))
    dialog = page.get_by_role('dialog')
    expect(dialog).to_contain_text('written since snapshot “tested”')
    hand.choose(label(page, 'Safety snapshot'), 'yes')
    expect(dialog).to_contain_text('Nothing is lost')
    hand.choose(label(page, 'Power state'), 'on')
    expect(dialog).to_contain_text('The system will be on')
    hand.press(button(page, 'Revert'))

    expect(page.get_by_role('treeitem').first).to_have_accessible_name(
        'The system is here, on clean'
    )
    emulator.wait_idle()
    assert len(snapshots(emulator)) == 3
    assert snapshot(emulator, 'clean')['Current']


def test_delete(hand, emulator):
    """A delete says what it frees, and the snapshot goes."""
    emulator.created(Name='clean')
    emulator.created(Name='tested')
    page = hand.page
    go_to(hand, 'fake')
    hand.stand_on(row(page, 'clean'))
    hand.press(button(page, 'Delete'))
    expect(page.get_by_role('dialog')).to_contain_text('It frees')
    hand.press(button(page, 'Delete'))

    expect(row(page, 'clean')).to_have_count(0)
    expect(row(page, 'tested')).to_be_visible()
    assert snapshot(emulator, 'clean') is None


def test_edit(hand, emulator):
    """Description, lock and expiry are changed together."""
    emulator.created(Name='clean', Description='old')
    page = hand.page
    go_to(hand, 'fake')
    hand.stand_on(row(page, 'clean'))
    hand.press(button(page, 'Edit'))
    hand.type(label(page, 'Description'), 'new')
    hand.type(label(page, 'Expires'), '7d')
    hand.tick(label(page, 'Locked against deletion'))
    hand.press(button(page, 'Save'))

    expect(row(page, 'clean')).to_have_accessible_name(
        re.compile('locked, expires in ')
    )
    changed = snapshot(emulator, 'clean')
    assert changed['Description'] == 'new'
    assert changed['Locked']
    assert changed['ExpiresTime']


def test_lock(hand, emulator):
    """One press locks, and the next unlocks; what is locked cannot go."""
    emulator.created(Name='clean')
    page = hand.page
    go_to(hand, 'fake')
    hand.stand_on(row(page, 'clean'))
    hand.press(button(page, 'Lock'))
    expect(row(page, 'clean')).to_have_accessible_name(re.compile('locked'))
    assert snapshot(emulator, 'clean')['Locked']
    hand.press(button(page, 'Unlock'))
    expect(row(page, 'clean')).not_to_have_accessible_name(
        re.compile('locked')
    )
    assert not snapshot(emulator, 'clean')['Locked']


def test_purge(hand, emulator):
    """All snapshots go, once locked ones are included."""
    emulator.created(Name='clean', Locked=True)
    emulator.created(Name='tested')
    page = hand.page
    go_to(hand, 'fake')
    expect(row(page, 'tested')).to_be_visible()
    hand.press(button(page, 'Purge'))
    dialog = page.get_by_role('dialog')
    expect(dialog).to_contain_text('1 snapshot is locked')
    expect(button(page, 'Delete all snapshots')).to_be_disabled()
    hand.tick(label(page, 'Include locked snapshots'))
    expect(dialog).not_to_contain_text('locked: unlock')
    expect(dialog).to_contain_text('2 snapshots will be deleted')
    hand.press(button(page, 'Delete all snapshots'))

    expect(page.get_by_role('treeitem')).to_have_count(1)
    wait_for(lambda: snapshots(emulator) == [])


def test_cancel(hand, emulator):
    """What is being done shows how far it is, and can be cancelled."""
    page = hand.page
    go_to(hand, 'fake')
    with emulator.slow():
        emulator.create(Name='clean')
        expect(row(page, 'clean')).to_have_accessible_name(
            re.compile(r'Creating \d+%')
        )
        hand.stand_on(row(page, 'clean'))
        hand.press(button(page, 'Cancel the operation'))
        expect(row(page, 'clean')).to_have_count(0)
    assert snapshots(emulator) == []


def test_policy(hand, emulator, policies):
    """Limits are read as they are written, and a dry run says what goes."""
    emulator.created(Name='old')
    page = hand.page
    go_to(hand, 'fake')
    hand.press(button(page, 'Policy'))
    hand.type(label(page, 'Maximum number'), '1')
    hand.type(label(page, 'Maximum age'), '2 weeks')
    hand.press(button(page, 'Save'))
    expect(page.get_by_role('alert').last).to_contain_text('not a span')
    hand.type(label(page, 'Maximum age'), '2w')
    hand.type(label(page, 'Maximum size'), '50G')
    hand.press(button(page, 'Save'))
    expect(page.get_by_role('dialog')).to_have_count(0)
    hand.press(button(page, 'Policy'))
    expect(label(page, 'Maximum size')).to_have_value('50.0 GiB')
    expect(label(page, 'Maximum age')).to_have_value('2w')
    hand.press(button(page, 'Preview the next create'))

    expect(page.get_by_role('dialog')).to_contain_text(
        'The policy deletes “old” (MaxSnapshots).'
    )


def test_the_policy_keeps_what_was_verified(look, emulator, policies):
    page = look()
    page.goto(f'{page.url}#/systems/{emulator.system}')
    button(page, 'Policy').click()
    label(page, 'Keep the newest verified snapshot').check()
    button(page, 'Save').click()
    expect(page.get_by_role('dialog')).to_have_count(0)
    button(page, 'Policy').click()

    expect(label(page, 'Keep the newest verified snapshot')).to_be_checked()


def test_export(hand, emulator):
    """A bundle is made, downloaded, and deleted."""
    emulator.created(Name='clean')
    page = hand.page
    go_to(hand, 'fake')
    hand.stand_on(row(page, 'clean'))
    hand.press(button(page, 'Export'))
    hand.press(button(page, 'Export'))
    expect(page.get_by_role('dialog')).to_have_count(0)
    emulator.wait_idle()
    hand.press(button(page, 'Exports'))
    link = page.get_by_role('dialog').get_by_role('link', name='Download')
    with page.expect_download() as found:
        hand.press(link)
    assert found.value.suggested_filename == 'fake-clean.tar'
    assert found.value.path().stat().st_size > 1000
    hand.press(button(page, 'Delete'))

    expect(page.get_by_role('dialog')).to_contain_text('Deleted.')
    assert emulator.services.exports.list(Owner(emulator.system)) == []


def test_verify(hand, emulator):
    """A verification is begun, and its result is among the details."""
    emulator.created(Name='clean')
    page = hand.page
    go_to(hand, 'fake')
    hand.stand_on(row(page, 'clean'))
    hand.press(button(page, 'Verify'))
    expect(page.get_by_role('dialog')).to_contain_text('isolated clone')
    hand.press(button(page, 'Verify'))
    expect(page.get_by_role('dialog')).to_have_count(0)

    expect(page.get_by_role('region', name='Details')).to_contain_text(
        'Passed,'
    )


@pytest.fixture
def repository(emulator):
    """Where backups go; none is left there."""
    emulator.services.conf.set_override('repository', 'store', 'backup')
    yield
    emulator.services.conf.clear_override('repository', 'backup')
    assert not emulator.driver.backup_files()


def test_backup(hand, emulator, repository):
    """A backup is made, verified with its result in the list, and deleted."""
    page = hand.page
    dialog = page.get_by_role('dialog')
    go_to(hand, 'fake')

    def show():
        hand.press(button(page, 'Backups'))
        expect(dialog).to_be_visible()

    def close(name):
        hand.press(button(page, name))
        expect(dialog).to_have_count(0)
        emulator.wait_idle()

    show()
    close('Create a backup')
    show()
    expect(dialog).to_contain_text('not verified')
    hand.press(button(page, 'Verify'))
    expect(dialog).to_contain_text('It is being verified.')
    close('Cancel')
    show()
    expect(dialog).to_contain_text('Passed')
    hand.press(button(page, 'Delete'))
    expect(dialog).to_contain_text('It is being deleted.')
    close('Cancel')
    show()
    expect(dialog).to_contain_text('There are none.')


@pytest.mark.parametrize('refused', [409])
def test_refusal_says_why(look, emulator, refused):
    """What is refused says so where it was asked for, with the way out."""
    emulator.created(Name='clean')
    page = look(refused=[refused])
    page.goto(f'{page.url}#/systems/{emulator.system}')
    expect(row(page, 'clean')).to_be_visible()
    button(page, 'Create snapshot').click()
    label(page, 'Name').fill('clean')
    dialog = page.get_by_role('dialog')
    dialog.get_by_role('button', name='Create').click()

    expect(dialog.get_by_role('alert')).to_contain_text('already exists')
    page.keyboard.press('Escape')
    expect(dialog).to_have_count(0)
    # The focus is where it was before.
    expect(button(page, 'Create snapshot')).to_be_focused()


def test_what_is_locked_cannot_be_deleted(look, emulator):
    emulator.created(Name='clean', Locked=True)
    page = look()
    page.goto(f'{page.url}#/systems/{emulator.system}')
    row(page, 'clean').click()
    button(page, 'Delete').click()
    dialog = page.get_by_role('dialog')

    expect(dialog).to_contain_text('It is locked: unlock it first.')
    expect(dialog.get_by_role('button', name='Delete')).to_be_disabled()
