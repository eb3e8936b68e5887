# SPDX-License-Identifier: Apache-2.0
"""The words of the command line: what is refused, suggested and shown."""

import types

import pytest

from hawkfish_plugin.cli import output
from tests.unit.commands import WIDE


@pytest.mark.parametrize(
    'words', [('--help',), ('snaps-create', '--help'), ('help', 'snaps-ls')]
)
def test_help_opens_no_pager(screen, words):
    """It is told where the command was typed, and scrolls."""
    status, lines = screen(*words, PAGER='sh -c "echo PAGED"', LESS='')

    assert status == 0
    assert lines[0].startswith('usage: ')
    assert 'PAGED' not in lines


@pytest.mark.parametrize(
    'span, told',
    [
        ('1.5s', "'1.5s' is not a whole number of seconds"),
        ('30s', "'30s' is too short; use at least 1m"),
        ('0d', "'0d' is too short; use at least 1m"),
    ],
)
def test_an_expiry_that_makes_no_sense(hawkfish, emulator, span, told):
    before = emulator.newest_task

    status, _, err = hawkfish('snaps-create', 'fake', '--expires', span)

    assert status == 2
    assert told in err
    assert emulator.tasks_after(before) == []


def test_which_word_cannot_be_a_name(hawkfish):
    """The last of two is the name of the snapshot, and not a system."""
    name = hawkfish('snaps-create', 'fake', 'a/b')
    system = hawkfish('snaps-create', 'a/b', 'clean')

    assert name[0] == 1
    assert "The name 'a/b' is not valid for a snapshot" in name[2]
    assert system[0] == 2
    assert "argument SYSTEM: 'a/b': a name has no slash" in system[2]


def test_a_word_that_is_missing(hawkfish):
    """What is suggested has all that was typed."""
    _, _, err = hawkfish('group', 'tree', 'lab')

    assert 'Did you mean: group snapshot tree?' in ' '.join(err.split())


def test_whose_group_it_is(hawkfish):
    """One group gets the systems of another."""
    _, out, _ = hawkfish('group', 'add', '--help')

    assert '[--all | --group OTHER]' in out
    assert 'The systems of another group, instead of SYSTEM.' in out


def test_the_tasks_of_a_group(hawkfish, data):
    """A table says which; other formats have it in a field of its own."""
    hawkfish('group', 'create', 'lab', 'fake')
    hawkfish('group', 'snapshot', 'create', 'lab', 'clean')
    task = next(
        one['ID']
        for one in data('task', 'list')
        if one['Operation'] == 'group-create'
    )
    _, out, _ = hawkfish('task', 'list')
    shown = data('task', 'show', task)

    assert 'group lab' in out
    assert (shown['System'], shown['Group']) == (None, 'lab')
    fields = list(shown)
    assert fields.index('Group') < fields.index('Messages')


def test_what_a_policy_explains(hawkfish, data):
    """What is of a snapshot to come says so; reasons are in words."""
    hawkfish('snaps-create', 'fake', 'a')
    _, out, _ = hawkfish('policy', 'show', 'fake', '--explain')
    exact = data('policy', 'show', 'fake', '--explain')

    for field in ('New Name', 'New Type', 'New Storage', 'New Size'):
        assert f'| {field} ' in out
    assert 'a: within limits' in out
    assert 'a: WithinLimits' in exact['Kept']
    assert 'Name' in exact


def test_a_bar_shows_the_step():
    """Not that the task has started, which one can see."""
    started = types.SimpleNamespace(
        message='The task with Id 43 has started.',
        message_id='TaskEvent.1.0.TaskStarted',
    )
    task = types.SimpleNamespace(
        name='Create snapshot', messages=[started], percent_complete=50
    )

    assert output.bar(task).endswith(' 50% Create snapshot')


@pytest.mark.parametrize(
    'words',
    [
        ('snaps-revert', 'fake*', 'safe-and-sound', '--dry-run'),
        ('snaps-create', 'fake*', '--name', 'next-one', '--dry-run'),
    ],
)
def test_what_would_be_done_to_several_fits(hawkfish, words):
    hawkfish('snaps-create', 'fake', 'safe-and-sound')

    status, out, _ = hawkfish(*words)

    assert status == 0
    assert max(map(len, out.splitlines())) <= WIDE
