# SPDX-License-Identifier: Apache-2.0
"""``hawkfish group`` against the served emulator, with nodes of its own."""

import json
import logging
import os
import pty
import subprocess

import pytest
import requests

from hawkfish_plugin import exceptions
from tests.unit.commands import PROGRAM, Command, read_terminal
from tests.unit.conftest import NODES

DISK_FULL = exceptions.OperationFailed('create', 'the disk is full')
LAB = ['node-0', 'node-1', 'node-2']


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """No environment, and no log of the server, which runs here."""
    for name in list(os.environ):
        if name.startswith('HAWKFISH_'):
            monkeypatch.delenv(name)
    monkeypatch.setattr(logging.getLogger('werkzeug'), 'disabled', True)
    ours = logging.getLogger('hawkfish_plugin')
    monkeypatch.setattr(ours, 'propagate', False)
    monkeypatch.setattr(ours, 'handlers', [logging.NullHandler()])


@pytest.fixture
def hawkfish(emulator, capsys):
    return Command(emulator.url, capsys)


@pytest.fixture
def data(hawkfish):
    return hawkfish.data


@pytest.fixture
def lab(data):
    """A group of three."""
    data('group', 'create', 'lab', *LAB)
    return 'lab'


def payload(emulator, task):
    """The body that the task with this number was submitted with."""
    shown = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/Tasks/{task["ID"]}'
    ).json()
    return json.loads(shown['Payload']['JsonBody'])


def test_life_of_a_group(data, hawkfish):
    """It is created, shown, listed, changed and deleted."""
    created = data('group', 'create', 'lab', 'node-[01]', 'fake')
    assert created['Name'] == 'lab'
    assert created['Systems'] == ['node-0', 'node-1', 'fake']
    assert created['UUIDs'][0] == NODES['node-0']
    assert created['Missing'] == []
    assert data('group', 'show', 'lab') == created

    added = data('group', 'add', 'lab', 'node-2')
    assert added['Systems'] == ['node-0', 'node-1', 'fake', 'node-2']
    removed = data('group', 'remove', 'lab', 'fake', 'node-[12]')
    assert removed['Systems'] == ['node-0']
    data('group', 'create', 'copy', '--group', 'lab')
    assert [(g['Name'], g['Systems']) for g in data('group', 'list')] == [
        ('copy', ['node-0']),
        ('lab', ['node-0']),
    ]
    assert [
        s['Groups'] for s in data('system', 'list') if s['Name'] == 'node-0'
    ] == [['copy', 'lab']]
    told = 'Deleted group lab.\nDeleted group copy.\n'
    assert hawkfish('group', 'delete', 'lab', 'copy') == (0, '', told)
    assert data('group', 'list') == []


def test_a_group_of_one_system_by_uuid(data):
    """A system that is named is not looked up by the command."""
    created = data('group', 'create', 'one', NODES['node-3'])

    assert created['Systems'] == ['node-3']


def test_what_the_service_refuses(hawkfish, lab):
    """Its words are told, and the exit status is 1."""
    for words, told in (
        (('group', 'create', 'lab', 'fake'), "already a group 'lab'"),
        (('group', 'create', 'new', 'nosuch'), "There is no system 'nosuch'"),
        (('group', 'add', 'lab', 'nosuch'), "There is no system 'nosuch'"),
        (('group', 'add', 'lab', 'node-0'), 'already a member'),
        (('group', 'remove', 'lab', 'node-7'), 'is not a member of group'),
        (('group', 'remove', 'lab', 'node-*'), 'at least one member'),
        (('group', 'show', 'no'), "There is no group 'no'"),
        (('group', 'delete', 'no'), "There is no group 'no'"),
        (('group', 'snapshot', 'list', 'no'), "There is no group 'no'"),
        (('snapshot', 'list', '--group', 'no'), "There is no group 'no'"),
    ):
        status, out, err = hawkfish(*words)

        assert (status, out) == (1, ''), words
        assert told in err, words


def test_a_delete_goes_on_after_an_error(hawkfish, lab):
    """Each group that can be is deleted, the others are named."""
    status, _, err = hawkfish('group', 'delete', 'no', 'lab')

    assert status == 1
    assert err.startswith('no: ')
    assert err.endswith('1 of 2 failed\n')
    assert hawkfish.data('group', 'list') == []


def test_life_of_a_group_snapshot(data, hawkfish, lab):
    """It is created, shown, listed, changed, reverted to and deleted."""
    made = data(
        *('group', 'snapshot', 'create', lab, '--name', 'clean'),
        *('--description', 'as installed', '--lock', '--wait'),
    )
    assert (made['Name'], made['State']) == ('clean', 'Ready')
    assert (made['Description'], made['Locked']) == ('as installed', True)
    assert made['Consistency'] == 'Consistent'
    assert made['Systems'] == [f'{s}: Ready, Off, current' for s in LAB]
    assert data('group', 'snapshot', 'show', lab, 'clean') == made
    data('group', 'snapshot', 'create', lab, '--name', 'next', '--wait')

    listed = data('group', 'snapshot', 'list', lab)
    assert [(s['Name'], s['Current'], s['Parent']) for s in listed] == [
        ('clean', False, None),
        ('next', True, 'clean'),
    ]
    reverted = data('group', 'snapshot', 'revert', lab, 'clean', '--wait')
    assert reverted['Operation'] == 'group-revert'
    assert (reverted['State'], reverted['Group']) == ('Completed', lab)
    assert reverted['System'] is None
    for system in LAB:
        told = f"System '{system}' was reverted to snapshot 'clean'."
        assert told in reverted['Messages']
    changed = data('group', 'snapshot', 'set', lab, 'clean', '--unlock')
    assert changed['Locked'] is False
    deleted = data(
        'group', 'snapshot', 'delete', lab, 'next', 'clean', '--wait'
    )
    assert [(d['Snapshot'], d['State']) for d in deleted] == [
        ('next', 'Completed'),
        ('clean', 'Completed'),
    ]
    assert data('snapshot', 'list', '--group', lab) == []


def test_options_of_a_create(data, emulator, lab):
    """What is asked for reaches the service, and nothing else."""
    task = data(
        *('group', 'snapshot', 'create', lab, 'a', '--no-wait'),
        *('--consistency', 'disksonly', '--quiesce', 'Never', '--lock'),
    )

    assert task['Operation'] == 'group-create'
    assert payload(emulator, task) == {
        'Name': 'a',
        'Consistency': 'DisksOnly',
        'Quiesce': 'Never',
        'Locked': True,
    }


def test_options_of_a_revert(data, emulator, lab):
    """What is asked for reaches the service, and nothing else."""
    create = ('group', 'snapshot', 'create', lab, '--name', 'a', '--wait')
    data(*create)
    revert = ('group', 'snapshot', 'revert', lab, 'a', '--wait')

    plain = data(*revert)
    whole = data(
        *(*revert, '--power', 'Off', '--safety-snapshot', '--force'),
        *('--leave-added', '--partial'),
    )

    assert payload(emulator, plain) == {}
    assert payload(emulator, whole) == {
        'TargetPowerState': 'Off',
        'SafetySnapshot': True,
        'Force': True,
        'AddedSystems': 'LeaveAlone',
        'Partial': True,
    }


def test_a_dry_run_of_a_create(data, lab):
    """It says what would be made, and makes nothing."""
    seen = data(
        *('group', 'snapshot', 'create', lab, '--name', 'a'),
        *('--consistency', 'Live', '--dry-run'),
    )

    assert (seen['Name'], seen['Consistency']) == ('a', 'Live')
    assert seen['Systems'] == [f'{s}: Disk, External' for s in LAB]
    assert {'Pause ms', 'Pause Limit ms', 'Memory', 'Needs'} <= set(seen)
    assert data('group', 'snapshot', 'list', lab) == []


def test_a_dry_run_of_a_revert(hawkfish, data, lab):
    """It says what would become of each system, and changes nothing."""
    for name in ('a', 'b'):
        data('group', 'snapshot', 'create', lab, name)
    revert = ('group', 'snapshot', 'revert', lab, 'a', '--dry-run')

    lossy, safe = (
        json.loads(hawkfish(*revert, *options, '-f', 'json')[1])
        for options in ((), ('--safety-snapshot',))
    )

    assert lossy['Systems'] == [
        f'{s}: Off, loses what it wrote since b' for s in LAB
    ]
    assert safe['Systems'] == [f'{s}: Off' for s in LAB]
    assert (lossy['Safety Snapshot'], safe['Safety Snapshot']) == (False, True)
    assert lossy['Left Alone'] == lossy['Warnings'] == []
    listed = data('group', 'snapshot', 'list', lab)
    assert [s['Current'] for s in listed] == [False, True]


def test_a_dry_run_of_deletes(hawkfish, data, lab):
    """It shows what would go in each system, and what would be refused."""
    data('group', 'snapshot', 'create', lab, 'a', '--lock')
    data('group', 'snapshot', 'create', lab, 'b')

    status, out, err = hawkfish(
        *('group', 'snapshot', 'delete', lab, 'a', 'b', '--dry-run'),
        *('-f', 'value', '-c', 'System', '-c', 'Name'),
    )

    assert status == 0
    assert out.split() == [w for n in 'ab' for s in LAB for w in (s, n)]
    assert 'a: The delete would be refused: ' in err
    assert f'{LAB[0]}: a is locked' in err
    assert 'b: ' not in err.replace('a is referenced by b', '')
    assert len(data('group', 'snapshot', 'list', lab)) == 2


def test_a_failure_names_the_member(emulator, hawkfish, lab):
    """The command fails, and says for which system; nothing is left."""
    emulator.behaviour.only = [NODES['node-1']]
    emulator.behaviour.fail_at = {'create:capture': DISK_FULL}

    status, out, err = hawkfish(
        'group', 'snapshot', 'create', lab, '--name', 'a', '--wait'
    )

    assert (status, out) == (1, '')
    assert 'the disk is full' in err
    assert 'node-1' in err
    assert hawkfish.data('snapshot', 'list', '--group', lab) == []


def test_the_tree_of_a_group(data, hawkfish, lab):
    """It shows where the group is, or who of it where."""
    for name in ('clean', 'next'):
        data('group', 'snapshot', 'create', lab, '--name', name, '--wait')

    def tree():
        status, out, err = hawkfish('group', 'snapshot', 'tree', lab)
        assert (status, err) == (0, '')
        return [line.partition('  (')[0] for line in out.splitlines()]

    assert tree() == ['clean', '`-- next', '    `-- * the group is here']
    data('snaps-revert', 'node-0', 'clean')
    assert tree() == [
        'clean',
        '|-- * node-0 is here',
        '`-- next',
        '    `-- * node-1, node-2 are here',
    ]
    status, out, _ = hawkfish('group', 'snapshot', 'show', lab, 'next')
    assert (status, 'Mixed' in out) == (0, True)


def test_adopted_snapshots(data, hawkfish, lab):
    """Those that all members have are made the group's, if asked for."""
    data('snaps-create', '--group', lab, '--name', 'old')
    adopt = ('group', 'snapshot', 'adopt', lab)

    seen = data(*adopt, '--dry-run')
    assert [s['Name'] for s in seen] == ['old']
    assert data('group', 'snapshot', 'list', lab) == []

    assert data(*adopt, '--name', 'old') == seen
    (listed,) = data('group', 'snapshot', 'list', lab)
    assert (listed['Name'], listed['Consistency']) == ('old', None)
    status, out, err = hawkfish(*adopt)
    assert (status, out) == (0, '')
    assert 'There are no snapshots to adopt.' in err


def test_snapshots_of_the_members_of_a_group(emulator, data, hawkfish, lab):
    """--group selects them; it needs no confirmation, as it was named."""
    made = data('snaps-create', '--group', lab, '--name', 'a')
    assert [m['System'] for m in made] == LAB

    emulator.behaviour.only = [NODES['node-1']]
    failed = exceptions.OperationFailed('revert', 'no more disk')
    emulator.behaviour.fail_at = {'revert:revert': failed}
    status, out, err = hawkfish(
        *('snaps-revert', '--group', lab, 'a', '-f', 'value'),
        *('-c', 'System', '-c', 'State'),
    )

    assert status == 1
    assert out.splitlines() == ['node-0 Completed', 'node-2 Completed']
    assert 'node-1: ' in err
    assert '1 of 3 failed' in err


def test_progress_shows_every_member(emulator, data, lab):
    """On a terminal each has a line below that of the group."""
    with emulator.slow():
        terminal, stderr = pty.openpty()
        program = subprocess.Popen(
            [
                *(*PROGRAM, '--url', emulator.url, 'group', 'snapshot'),
                *('create', lab, '--wait'),
            ],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        os.close(stderr)
        shown = read_terminal(terminal, until='% node-2')
        (task,) = [
            data('task', 'show', task['ID'])
            for task in data('task', 'list')
            if (task['Operation'], task['State'])
            == ('group-create', 'Running')
        ]
    program.communicate(timeout=60)
    os.close(terminal)

    assert program.returncode == 0
    assert '% node-0' in shown
    assert '% node-1' in shown
    assert task['Group'] == lab


def test_a_name_that_is_taken(hawkfish):
    """One line says it, and which systems have it."""
    for name in ('one', 'two'):
        hawkfish('group', 'create', name, 'node-0', 'node-1')
    again = hawkfish('group', 'create', 'one', 'node-0')
    hawkfish('group', 'snapshot', 'create', 'one', 'clean')
    taken = hawkfish('group', 'snapshot', 'create', 'two', 'clean')

    assert again[0] == taken[0] == 1
    assert again[2] == (
        "There is already a group 'one'. Choose another name.\n"
    )
    assert taken[2] == (
        "A group snapshot cannot be called 'clean', as these systems of the "
        'group already have a snapshot of that name: node-0, node-1.\n'
        'Choose another name, delete these snapshots, or, if they belong '
        "together, adopt them, for example with 'hawkfish group snapshot "
        "adopt'.\n"
    )


def test_systems_are_called_by_their_names(hawkfish):
    """Whatever the request has for them."""
    hawkfish('group', 'create', 'lab', 'node-0')
    status, _, err = hawkfish('snapshot', 'show', '--group', 'lab', 'nope')

    assert status == 1
    assert "There is no snapshot 'nope' of system 'node-0'." in err
