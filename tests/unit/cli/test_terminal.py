# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish`` on a terminal of 80 columns, and where a terminal lacks things.
"""

import re

import pexpect
import pytest

from hawkfish_plugin.drivers import contract
from tests.unit.commands import PROGRAM, WIDE

COLOUR = '\x1b['


@pytest.fixture
def lab(emulator):
    """A system with a long chain of snapshots of all kinds."""
    names = ['clean', 'x' * 100, 'before-the-upgrade-of-everything']
    names += [f'n{n}' for n in range(20)]
    parents = [None, *names]
    emulator.driver.plant(
        emulator.system,
        [
            contract.Snapshot(
                name,
                'described at length',
                1_000_000 + n,
                'On',
                True,
                True,
                parents[n],
                n == len(names) - 1,
            )
            for n, name in enumerate(names)
        ],
    )
    return emulator


def plain(line):
    return re.sub(r'\x1b\[\d*m', '', line)


@pytest.mark.parametrize(
    'words',
    [
        ('snapshot', 'list', 'fake'),
        ('snapshot', 'list', '--all'),
        ('snapshot', 'tree', 'fake'),
        ('snapshot', 'show', 'fake', 'clean'),
        ('snapshot', 'create', 'fake', 'new', '--dry-run'),
        ('task', 'list'),
        ('system', 'list'),
        ('group', 'list'),
        ('policy', 'show', 'fake'),
        ('subscription', 'list'),
        ('backup', 'list', 'fake'),
    ],
)
def test_80_columns(lab, screen, words):
    """Nothing that is shown is wider than the terminal."""
    lab.created(Name='y' * 40)

    status, lines = screen(*words)

    assert status == 0, lines
    assert max(map(len, map(plain, lines))) <= WIDE


@pytest.mark.parametrize(
    'words',
    [
        ('--help',),
        ('help',),
        ('help', 'snapshot', 'create'),
        ('snapshot', 'list', '--help'),
        ('group', 'snapshot'),
    ],
)
def test_help_in_80_columns(screen, words):
    """It is what a pipe gets: colours do not move its columns."""
    _, lines = screen(*words, PAGER='cat')

    assert max(map(len, map(plain, lines))) <= WIDE
    # Where the help of options and of commands begins.
    for kind in (r'  --?\S.*?  ', r'  (?!-)\S.*?  '):
        starts = {
            re.match(rf'({kind}) *\S', plain(line)).end()
            for line in lines
            if re.match(rf'{kind} *\S', plain(line))
        }
        assert len(starts) <= 1, lines


@pytest.mark.parametrize(
    'words',
    [
        ('snaps-rm', 'fake', 'a'),
        ('snaps-rm', 'fake', 'a', 'nope'),
        ('snapshot', 'create', 'fake', '--expires', 'a-year-and-a-day' * 4),
    ],
)
def test_errors_in_80_columns(emulator, hawkfish, screen, words):
    """They break between words; a pipe gets each in one line."""
    emulator.created(Name='a', Locked=True)

    status, lines = screen(*words)
    piped = hawkfish(*words)

    assert (status, ' '.join(lines).split()) == (piped[0], piped[2].split())
    assert all(len(line) <= WIDE or ' ' not in line for line in lines)
    assert max(map(len, piped[2].splitlines())) > WIDE


def test_a_command_to_copy_stays_in_one_line(emulator, screen):
    """Half of it would be run when it is pasted."""
    with emulator.slow():
        _, lines = screen('snaps-create', 'fake', 'a', '--wait', '0.2')

    (command,) = [line for line in lines if line.startswith('hawkfish ')]
    assert re.fullmatch(r'hawkfish --url \S+ task wait \d+', command)
    assert max(map(len, map(plain, lines[:-1]))) <= WIDE


def test_a_table_is_for_people(lab, screen):
    """Ages and sizes with units; names of systems, not their UUIDs."""
    lab.created(Name='fresh')

    _, listed = screen('snaps-ls', 'fake')
    _, tasks = screen('task', 'list')

    row = next(line for line in listed if '| fresh' in line)
    assert re.search(r'\| \d+[smh] ', row)
    assert 'Z' not in row
    assert re.search(r'\| 1\.1 MiB', '\n'.join(listed))
    assert any('| fake ' in line for line in tasks)
    assert lab.system not in '\n'.join(tasks)


def test_all_columns(lab, screen):
    """``--long`` and ``-c`` show what a table leaves out."""
    _, brief = screen('snaps-ls', 'fake')
    _, whole = screen('snaps-ls', 'fake', '--long')
    _, one = screen('snaps-ls', 'fake', '-c', 'Type')

    assert 'Type' not in brief[1]
    assert 'Type' in whole[1]
    assert one[1] == '| Type          |'


@pytest.mark.parametrize(
    'words, whole',
    [
        (('snapshot', 'list', 'fake', '--long'), True),
        (('snaps-ls', '--all', '--long'), True),
        (('snaps-ls', 'fake', '--long', '--fit-width'), False),
        (('snaps-ls', 'fake', '--long', '--max-width', '90'), False),
    ],
)
def test_all_columns_have_whole_names(lab, screen, words, whole):
    """A table that is too wide anyway breaks none, unless one says so."""
    _, lines = screen(*words)

    for name in ('x' * 100, 'before-the-upgrade-of-everything'):
        assert any(f'| {name} ' in line for line in lines) == whole


@pytest.mark.parametrize(
    'environment, coloured',
    [({}, True), ({'NO_COLOR': '1'}, False), ({'TERM': 'dumb'}, False)],
)
def test_colours_of_states(emulator, screen, environment, coloured):
    """A state has a colour on a terminal, if that is wanted."""
    emulator.created(Name='a')

    _, lines = screen('snaps-ls', 'fake', **environment)

    assert (f'{COLOUR}32mReady' in '\n'.join(lines)) == coloured
    assert len(set(map(len, map(plain, lines[:5])))) == 1


def test_no_colours_in_a_pipe(hawkfish, emulator):
    emulator.created(Name='a')

    assert COLOUR not in hawkfish('snaps-ls', 'fake')[1]


def test_a_queued_task_says_what_it_waits_for(data, hawkfish, emulator):
    with emulator.slow():
        first = data('snaps-create', 'fake', 'a', '--no-wait')
        second = data('snaps-create', 'fake', 'b', '--no-wait')
        terminal = pexpect.spawn(
            PROGRAM[0],
            [
                *PROGRAM[1:],
                '--url',
                emulator.url,
                'task',
                'wait',
                second['ID'],
            ],
            dimensions=(24, WIDE),
            encoding='utf-8',
            timeout=60,
        )
        terminal.expect(f'waits for task {first["ID"]}')
        shown = data('task', 'show', second['ID'])
        terminal.sendintr()
        terminal.expect(f'task wait {second["ID"]}')
        terminal.expect(f'task cancel {second["ID"]}')
        terminal.expect(pexpect.EOF)
        terminal.close()
        hawkfish('task', 'cancel', second['ID'])

    assert terminal.exitstatus == 130
    assert shown['Waits For'].startswith(f'task {first["ID"]} (')


def test_a_word_that_became_the_name(screen):
    """Of several, it may be a system that was misspelt."""
    _, alone = screen('snaps-create', 'fake', 'clean')
    _, lines = screen('snaps-create', 'fake', 'fake', 'nodd-1')

    assert not any('called' in line for line in alone)
    assert "The snapshots will be called 'nodd-1'." in lines
