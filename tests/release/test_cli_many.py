# SPDX-License-Identifier: Apache-2.0
"""``hawkfish`` on several systems: an emulator with three fake ones."""

import os
import pty
import subprocess

import pytest
import requests

from tests.served import Served
from tests.unit.commands import PROGRAM, Command, read_terminal

SYSTEMS = ['fake', 'fake-1', 'fake-2']


@pytest.fixture(scope='module')
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp('emulator'))
    made.command[0] = 'hawkfish-emulator'
    made.command += ['--fake-systems', '3']
    made.start()
    yield made
    made.stop()


@pytest.fixture
def lab(served, monkeypatch):
    """The emulator, and no snapshots."""
    for name in list(os.environ):
        if name.startswith('HAWKFISH_'):
            monkeypatch.delenv(name)
    yield served
    for system in SYSTEMS:
        purge = f'{served.collection(system)}/Actions/'
        purge += 'HawkFishSnapshotCollection.Purge'
        served.wait(requests.post(purge, json={'Force': True}))


@pytest.fixture
def hawkfish(lab, capsys):
    """Run ``hawkfish``; return status, stdout, stderr."""
    return Command(lab.url, capsys)


@pytest.fixture
def data(hawkfish):
    """Run a command that must succeed, and return what it printed."""
    return hawkfish.data


def names(lab):
    """The names of the snapshots of each system."""
    return [[s['Name'] for s in lab.snapshots(system)] for system in SYSTEMS]


def requested(lab, what):
    """How often the log of the emulator has *what*."""
    return (lab.folder / 'log').read_text().count(what)


def test_systems_are_listed_with_one_request(lab, data):
    """The list says where each system stands."""
    lab.create('fake-1', Name='a')
    lab.create('fake-1', Name='b')
    before = requested(lab, 'GET ')

    listed = data('system', 'list')

    assert requested(lab, 'GET ') == before + 1
    assert [
        (s['Name'], s['Power'], s['Snapshots'], s['Current'], s['Groups'])
        for s in listed
    ] == [
        ('fake', 'Off', 0, None, []),
        ('fake-1', 'Off', 2, 'b', []),
        ('fake-2', 'Off', 0, None, []),
    ]
    assert all(len(s['UUID']) == 36 for s in listed)


@pytest.mark.parametrize(
    'words, systems',
    [
        (('--all',), SYSTEMS),
        (('fake-*',), SYSTEMS[1:]),
        (('fake-[12]', 'fake'), [*SYSTEMS[1:], 'fake']),
        (('fake', 'fake-2'), ['fake', 'fake-2']),
        (('fake-2', 'fake', 'fake-2'), ['fake-2', 'fake']),
        (('fake-1*',), ['fake-1']),
    ],
)
def test_which_systems(lab, data, words, systems):
    """Each that is meant gets a snapshot, once, and a row with its name."""
    made = data('snaps-create', *words, '--name', 'a')

    assert [(m['System'], m['Name'], m['State']) for m in made] == [
        (system, 'a', 'Ready') for system in systems
    ]
    assert names(lab) == [['a'] if s in systems else [] for s in SYSTEMS]


def test_a_uuid_and_a_name_of_one_system(lab, data):
    """A system that is named twice is worked on once."""
    uuid = next(s['UUID'] for s in data('system', 'list'))

    made = data('snaps-create', 'fake', uuid, '--name', 'a')

    assert [m['System'] for m in made] == ['fake']


@pytest.mark.parametrize('words', [('nofake', 'fake'), ('x*',)])
def test_an_unknown_system(lab, hawkfish, words):
    """Nothing is done where one does not exist."""
    status, out, err = hawkfish('snaps-create', *words, '--name', 'a')

    assert (status, out) == (1, '')
    assert f'There is no system {words[0]!r}. There are: fake, fake-1' in err
    assert 'Nothing was done.' in err
    assert names(lab) == [[], [], []]


def test_two_names(lab, hawkfish):
    """The last word is a name where no system is called so."""
    status, out, err = hawkfish('snaps-create', 'fake', 'no', '--name', 'a')

    assert (status, out) == (2, '')
    assert "no system is called 'no'" in err
    assert names(lab) == [[], [], []]


def test_life_of_snapshots(lab, data, hawkfish):
    """Every command works on several systems."""
    data('snaps-create', '--all', '--name', 'a', '--description', 'one')
    created = data(
        *('snapshot', 'create', 'fake', 'fake-1', '--name', 'b', '--no-wait')
    )
    assert {c['Operation'] for c in created} == {'create'}
    for task in created:
        data('task', 'wait', task['ID'])

    assert [
        (s['System'], s['Name']) for s in data('snapshot', 'list', '--all')
    ] == [
        ('fake', 'a'),
        ('fake', 'b'),
        ('fake-1', 'a'),
        ('fake-1', 'b'),
        ('fake-2', 'a'),
    ]
    shown = data('snapshot', 'show', '--all', 'a')
    assert [(s['System'], s['Description']) for s in shown] == [
        (system, 'one') for system in SYSTEMS
    ]
    locked = data('snapshot', 'set', 'fake', '--lock', 'fake-2', 'a')
    assert [s['Locked'] for s in locked] == [True, True]
    data('snapshot', 'set', 'fake', 'fake-2', 'a', '--unlock')
    status, out, _ = hawkfish('snapshot', 'tree', 'fake', 'fake-2')
    assert status == 0
    assert [line.partition('  (')[0] for line in out.splitlines()] == [
        'fake:',
        '  a',
        '  `-- b',
        '      `-- * the system is here',
        'fake-2:',
        '  a',
        '  `-- * the system is here',
    ]
    reverted = data('snaps-revert', '--all', 'a', '--yes')
    assert [(r['System'], r['State']) for r in reverted] == [
        (system, 'Completed') for system in SYSTEMS
    ]
    removed = data('snaps-rm', '--system', 'fake', '--system', 'fake-1', 'b')
    assert [(r['System'], r['Snapshot']) for r in removed] == [
        ('fake', 'b'),
        ('fake-1', 'b'),
    ]
    purged = data('snapshot', 'purge', '--all', '--yes', '--wait')
    assert [p['State'] for p in purged] == ['Completed'] * 3
    assert names(lab) == [[], [], []]


def test_a_failure_is_named(lab, hawkfish):
    """The others go on, and the command fails."""
    lab.create('fake-1', Name='a')

    status, out, err = hawkfish(
        *('snaps-create', '--all', '--name', 'a'),
        *('-f', 'value', '-c', 'System'),
    )

    assert (status, out.split()) == (1, ['fake', 'fake-2'])
    assert "fake-1: There is already a snapshot 'a'" in err
    assert err.splitlines()[-1] == '1 of 3 failed'
    assert names(lab) == [['a'], ['a'], ['a']]


def test_a_failure_of_a_read_is_named(lab, hawkfish):
    """The tree, a list and a snapshot are shown where they are."""
    lab.create('fake', Name='a')

    status, out, err = hawkfish('snapshot', 'show', 'fake', 'fake-2', 'a')

    assert (status, out.count(' a ')) == (1, 1)
    assert 'fake-2: ' in err
    assert '1 of 2 failed' in err


def test_deletes_go_on_after_an_error(lab, hawkfish):
    """Several snapshots of several systems: each that can be goes."""
    for name in ('a', 'b'):
        lab.create('fake', Name=name)
    lab.create('fake-1', Name='b')

    status, out, err = hawkfish(
        *('snaps-rm', 'fake*', 'a', 'b', '--yes'),
        *('-f', 'value', '-c', 'System', '-c', 'Snapshot'),
    )

    assert status == 1
    assert out.splitlines() == ['fake a', 'fake b', 'fake-1 b']
    assert '3 of 6 failed' in err
    assert names(lab) == [[], [], []]


@pytest.mark.parametrize(
    'command',
    [('snaps-revert', 'a'), ('snaps-rm', 'a'), ('snapshot', 'purge')],
)
@pytest.mark.parametrize('selected', ['--all', 'fak*'])
def test_data_is_not_lost_by_a_glob(lab, hawkfish, command, selected):
    """What the user did not name is not changed before a yes."""
    lab.create('fake', Name='a')
    words = [*command]
    words.insert(2 if command[0] == 'snapshot' else 1, selected)

    status, out, err = hawkfish(*words)

    assert (status, out) == (1, '')
    assert 'fake, fake-1, fake-2' in err
    assert 'use --yes' in err
    assert names(lab) == [['a'], [], []]


@pytest.mark.parametrize('answer, left', [('n', ['a']), ('y', [])])
def test_a_terminal_is_asked(lab, answer, left):
    """Only a yes goes on."""
    lab.create('fake', Name='a')
    terminal, other = pty.openpty()
    program = subprocess.Popen(
        [*PROGRAM, '--url', lab.url, 'snapshot', 'purge', '--all', '--wait'],
        stdin=other,
        stdout=subprocess.PIPE,
        stderr=other,
    )
    os.close(other)
    shown = read_terminal(terminal, until='[y/N]')
    assert 'Delete all snapshots of fake, fake-1, fake-2?' in shown
    os.write(terminal, f'{answer}\n'.encode())
    program.communicate(timeout=60)
    os.close(terminal)

    assert program.returncode == (0 if answer == 'y' else 1)
    assert names(lab)[0] == left


@pytest.mark.parametrize(
    'words',
    [
        ('snapshot', 'list'),
        ('snapshot', 'list', 'fake', '--all'),
        ('snapshot', 'list', '--all', '--group', 'g'),
        ('snapshot', 'revert', '--all'),
        ('snapshot', 'revert', 'fake', '--group', 'g', 'a'),
        ('snapshot', 'delete', 'fake'),
        ('snapshot', 'delete', '--system', 'fake'),
        ('snapshot', 'delete', '--system', 'fake', '--all', 'a'),
    ],
)
def test_usage_errors(hawkfish, words):
    """A command line that says nothing, or two things, is refused."""
    status, out, err = hawkfish(*words)

    assert (status, out) == (2, '')
    assert 'error: ' in err


def test_words_come_in_any_order(lab, data):
    """Options may stand between systems and the name of a snapshot."""
    lab.create('fake', Name='a')

    done = data('snaps-revert', 'fake', '--power', 'Off', 'a')

    assert (done['Operation'], done['State']) == ('revert', 'Completed')


def test_one_system_is_not_looked_up(lab, data):
    """A command on one makes the requests that it made before."""
    before = requested(lab, 'SystemSummaries')

    assert data('snapshot', 'list', 'fake') == []

    assert requested(lab, 'SystemSummaries') == before


def test_a_format_of_one_item(lab, hawkfish):
    """The shell format is refused before anything is done."""
    status, out, err = hawkfish(
        'snaps-create', '--all', '--name', 'a', '-f', 'shell'
    )

    assert (status, out) == (1, '')
    assert '-f shell shows one system only' in err
    assert names(lab) == [[], [], []]


@pytest.fixture
def slow(tmp_path):
    """Three systems whose operations do not end."""
    made = Served(tmp_path)
    made.command[0] = 'hawkfish-emulator'
    made.command += ['--fake-systems', '3', '--fake-seconds', '600']
    made.start()
    yield made
    made.stop()


def test_progress_shows_every_member(slow):
    """Each system has a line, and Ctrl-C leaves the tasks as they are."""
    terminal, stderr = pty.openpty()
    program = subprocess.Popen(
        [*PROGRAM, '--url', slow.url, 'snaps-create', '--all'],
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    os.close(stderr)
    shown = read_terminal(terminal, until='% fake-2')

    program.send_signal(2)
    told = read_terminal(terminal, until='cancel ID')
    shown += told
    out, _ = program.communicate(timeout=60)
    with pytest.raises(OSError, match='Input/output'):
        while True:
            told += os.read(terminal, 4096).decode()
    os.close(terminal)

    assert (program.returncode, out) == (130, b'')
    assert '% fake-1' in shown
    ids = ', '.join(task['Id'] for task in slow.tasks())
    words = ' '.join(shown.split())
    assert f'Tasks {ids} continue; watch them with: hawkfish' in words
    # The progress is gone before it is told; else it takes lines with it.
    assert '\x1b[A' in told.partition('continue')[0]
    assert '\x1b[A' not in told.partition('continue')[2]
    assert {task['TaskState'] for task in slow.tasks()} == {'Running'}


def test_a_wait_for_many_ends_in_time(slow, capsys):
    """The timeout is that of all, and each is told how to go on."""
    status, _, err = Command(slow.url, capsys)(
        'snaps-create', '--all', '--wait', '0.5'
    )

    assert status == 1
    for system in SYSTEMS:
        assert f'{system}: Task ' in err
    assert err.count('watch it with: hawkfish') == 3
    assert '3 of 3 failed' in err
