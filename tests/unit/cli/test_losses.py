# SPDX-License-Identifier: Apache-2.0
"""What commands that discard data say before, and what they ask."""

import json
import re

import pexpect
import pytest
import sushy

from hawkfish_plugin import client
from hawkfish_plugin.cli import losses
from hawkfish_plugin.drivers import contract
from tests.unit.commands import spawn
from tests.unit.policies import limits

LOSSES = [
    (('snaps-revert', 'fake', 'a'), 'Revert fake to a? [y/N]'),
    (('snapshot', 'revert', 'fake', 'a'), 'Revert fake to a? [y/N]'),
    (('snaps-rm', 'fake', 'a'), 'Delete a of fake? [y/N]'),
    (('snaps-purge', 'fake'), 'Delete all snapshots of fake? [y/N]'),
]


@pytest.mark.parametrize('words, question', LOSSES)
@pytest.mark.parametrize('answer', ['n', 'y'])
def test_a_question_before_a_loss(emulator, words, question, answer):
    """``-i`` says what would be lost; nothing is done without a yes."""
    emulator.created(Name='a')
    before = emulator.newest_task
    terminal = spawn(emulator, *words, '-i')

    terminal.expect(r' will be (lost\.|deleted;)')
    terminal.expect_exact(question)
    terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()

    begun = len(emulator.tasks_after(before))
    assert (terminal.exitstatus, begun) == (
        (0, 1) if answer == 'y' else (1, 0)
    )


@pytest.mark.parametrize(
    'words, status, told',
    [
        (('snaps-rm', 'fake', 'nope'), 1, None),
        (('snaps-rm', '-i', 'fake', 'nope'), 1, None),
        (('snaps-revert', '-i', 'fake', 'nope'), 1, None),
        (('snaps-rm', 'nope', 'a'), 1, None),
        (('snaps-rm', 'fake', 'a'), 1, None),
        (('snaps-purge', 'fake'), 1, None),
        (
            ('snaps-rm', 'fake', 'nope', 'b'),
            1,
            '1 snapshot will be deleted; this cannot be undone.',
        ),
        (
            ('snaps-purge', '--force', 'fake'),
            0,
            '2 snapshots will be deleted; this cannot be undone.',
        ),
        (
            ('snaps-revert', 'fake', 'a', '--safety-snapshot'),
            0,
            'The current state will be kept in a safety snapshot.',
        ),
        (
            ('snaps-revert', 'fake', 'a'),
            0,
            'Everything written since the current snapshot will be lost.',
        ),
    ],
)
def test_only_what_will_be_lost_is_said_to_be(
    emulator, screen, words, status, told
):
    """Not what does not exist, nor what the service keeps."""
    emulator.created(Name='a', Locked=True)
    emulator.created(Name='b')

    ended, lines = screen(*words)

    said = [line for line in lines if re.search(r'will be | lost\.', line)]
    assert (ended, said) == (status, [told] if told else [])
    assert not any('[y/N]' in line for line in lines)


def test_what_makes_room_for_a_safety_snapshot_is_lost(
    emulator, policy, screen
):
    for name in 'abc':
        emulator.created(Name=name)
    limits.set_policy(policy, MaxSnapshots=3)

    status, lines = screen('snaps-revert', 'fake', 'b', '--safety-snapshot')
    emulator.wait_idle()

    assert status == 0
    shown = ' '.join(lines)
    assert 'To make room for it, a will be deleted.' in shown
    assert 'a' not in limits.names(emulator)


def test_a_delete_that_will_be_refused_loses_nothing(emulator, screen):
    """Also where a later one of the command would clear its way."""
    for name in 'ab':
        emulator.created(Name=name)
        client.HawkFish(emulator.url).snapshots('fake')['a'].revert().wait(60)
    emulator.created(Name='c', Locked=True)

    status, lines = screen('snaps-rm', 'fake', 'a', 'c')

    assert status == 1
    assert not any('will be deleted' in line for line in lines)


def test_a_look_that_fails_says_nothing():
    """Who is not asked gets what the command makes of it."""

    def find():
        raise sushy.exceptions.ConnectionError(url='/', error='busy')

    assert losses.found(find) == ''


def test_what_a_group_loses(emulator, screen):
    """A snapshot of a group that does not exist, or is locked, does not."""
    service = client.HawkFish(emulator.url)
    group = service.create_group(['fake'], 'lab')
    for name in 'ab':
        group.snapshots.create(name, locked=name == 'a').wait(60)
    command = ('group', 'snapshot', 'delete', 'lab')

    for names, told in (('a',), 0), (('nope',), 0), (('a', 'nope', 'b'), 1):
        _, lines = screen(*command, *names)
        assert sum('be deleted;' in line for line in lines) == told, lines


def test_the_environment_asks_as_well(emulator):
    emulator.created(Name='a')
    terminal = spawn(
        emulator, *('snaps-rm', 'fake', 'a'), HAWKFISH_INTERACTIVE='1'
    )

    terminal.expect_exact('[y/N]')
    terminal.sendline('n')
    terminal.expect('Nothing was changed')
    terminal.close(force=True)


@pytest.mark.parametrize('words, question', LOSSES)
def test_nobody_is_asked_without_it(hawkfish, emulator, words, question):
    """A script is neither asked nor told; with ``-i`` it needs a yes."""
    emulator.created(Name='a')

    refused = hawkfish(*words, '-i')
    done = hawkfish(*words)

    assert (refused[0], 'use --yes' in refused[2]) == (1, True)
    assert (done[0], done[2]) == (0, '')


@pytest.mark.parametrize(
    'words', [('snaps-rm', 'fake', 'a'), ('snapshot', 'purge', 'fake')]
)
def test_a_dry_run_of_a_delete(hawkfish, emulator, words):
    """It shows what would go, and deletes nothing."""
    emulator.created(Name='a', Locked=True)
    before = emulator.newest_task

    status, out, err = hawkfish(*words, '--dry-run', '-f', 'json')

    (row,) = json.loads(out)
    assert (row['Name'], row['Locked'], row['Frees']) == ('a', True, 0)
    assert emulator.tasks_after(before) == []
    assert (status, err) == (
        0,
        f'fake: The {"purge" if "purge" in words else "delete"} would be '
        'refused: a is locked.\n',
    )


@pytest.mark.parametrize(
    'words, told',
    [
        (
            ('snapshot', 'delete', 'fake', 'base', '--dry-run'),
            'The delete would be refused: base is referenced by two, one.',
        ),
        (('snaps-rm', 'fake', 'two', 'base', '--dry-run'), None),
        (
            ('snaps-rm', 'fake', 'leaf', '--dry-run'),
            'The delete would be refused: '
            'leaf is referenced by /images/clone.qcow2.',
        ),
        (
            ('snaps-purge', 'fake', '--dry-run'),
            'The purge would be refused: one is locked; '
            'leaf is referenced by /images/clone.qcow2.',
        ),
        (
            ('snaps-purge', 'fake', '--dry-run', '--force'),
            'The purge would be refused: '
            'leaf is referenced by /images/clone.qcow2.',
        ),
    ],
)
def test_a_dry_run_says_what_would_be_refused(hawkfish, emulator, words, told):
    """As the service would, for whoever does not read all columns."""
    for name in ('base', 'two'):
        emulator.created(Name=name)
    snapshots = client.HawkFish(emulator.url).snapshots('fake')
    snapshots['base'].revert().wait(60)
    emulator.created(Name='one', Locked=True)
    emulator.created(Name='leaf')
    emulator.behaviour.dependents = {
        'leaf': (contract.Dependent('/images/clone.qcow2'),)
    }

    status, _, err = hawkfish(*words)
    really = hawkfish(*(word for word in words if word != '--dry-run'))

    assert (status, err) == (0, f'fake: {told}\n' if told else '')
    assert (really[0], 'cannot be deleted' in really[2]) == (
        (1, True) if told else (0, False)
    )


@pytest.mark.parametrize(
    'options, told',
    [
        ((), 'Everything written since the current snapshot would be lost.\n'),
        (
            ('--safety-snapshot',),
            'The current state would be kept in a safety snapshot.\n',
        ),
    ],
)
@pytest.mark.parametrize(
    'words',
    [
        ('snaps-revert', 'fake', 'a'),
        ('snapshot', 'revert', '--group', 'lab', 'a'),
        ('group', 'snapshot', 'revert', 'lab', 'b'),
    ],
)
def test_a_dry_run_of_a_revert_says_what_is_lost(
    hawkfish, emulator, words, options, told
):
    """In the words of the revert, before its table."""
    service = client.HawkFish(emulator.url)
    emulator.created(Name='a')
    service.create_group(['fake'], 'lab').snapshots.create('b').wait(60)

    status, _, err = hawkfish(*words, *options, '--dry-run')

    assert (status, err) == (0, told)
