# SPDX-License-Identifier: Apache-2.0
"""
The ``hawkfish`` command against the served emulator.

Long, as there is a test for each command.
"""

import datetime
import json
import time

import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.cli import app, times
from hawkfish_plugin.drivers import contract

DISK_FULL = exceptions.OperationFailed('create', 'the disk is full')


# Snapshots


def test_life_of_a_snapshot(data, emulator):
    """Create, list, show, revert and delete do what they say."""
    created = data('snaps-create', emulator.system, '--name', 'a')
    assert created['State'] == 'Ready'

    assert data('snapshot', 'show', emulator.system, 'a') == created
    assert [s['Name'] for s in data('snaps-ls', emulator.system)] == ['a']
    reverted = data('snaps-revert', emulator.system, 'a')
    assert (reverted['Operation'], reverted['State']) == (
        'revert',
        'Completed',
    )
    deleted = data('snaps-rm', emulator.system, 'a')
    assert [(d['Snapshot'], d['State']) for d in deleted] == [
        ('a', 'Completed')
    ]
    assert data('snapshot', 'list', emulator.system) == []


def test_options_of_create_reach_the_service(data, emulator):
    """Name, description and memory are the user's, the rest is not sent."""
    task = data(
        *('snapshot', 'create', emulator.system_name, '--name', 'a'),
        *('--description', 'as installed', '--no-memory', '--no-wait'),
    )

    shown = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/Tasks/{task["ID"]}'
    ).json()

    assert json.loads(shown['Payload']['JsonBody']) == {
        'Name': 'a',
        'Description': 'as installed',
        'IncludeMemory': False,
    }


def test_list_is_oldest_first_and_can_be_sorted(data, emulator):
    """The service's order holds unless the user asks for another."""
    for name in ('b', 'a', 'c'):
        emulator.created(Name=name)
    listing = ('snapshot', 'list', emulator.system)

    served = data(*listing)
    by_name = data(*listing, '--sort-column', 'Name')

    assert [s['Name'] for s in served] == ['b', 'a', 'c']
    assert [s['Parent'] for s in served] == [None, 'b', 'a']
    assert [s['Current'] for s in served] == [False, False, True]
    assert [s['Name'] for s in by_name] == ['a', 'b', 'c']


@pytest.mark.parametrize(
    'form, printed',
    [
        ('value', 'a Ready\n'),
        ('csv', '"Name","State"\n"a","Ready"\n'),
        ('yaml', '- Name: a\n  State: Ready\n'),
    ],
)
def test_every_format(hawkfish, emulator, form, printed):
    """The listing prints as scripts want it, with the columns they want."""
    emulator.created(Name='a')

    status, out, err = hawkfish(
        *('snapshot', 'list', emulator.system, '-f', form),
        *('-c', 'Name', '-c', 'State'),
    )

    assert (status, out.replace('\r', ''), err) == (0, printed, '')


def test_table_is_the_default(hawkfish, emulator):
    """People get a table, with nothing where there is nothing to say."""
    emulator.created(Name='a')

    status, out, _ = hawkfish('snapshot', 'list', emulator.system)

    assert status == 0
    assert out.startswith('+')
    assert 'None' not in out


def test_an_empty_table_is_no_output(hawkfish, emulator):
    """A script that counts lines finds none."""
    for words in (('snaps-ls',), ('snaps-tree',)):
        told = hawkfish(*words, emulator.system)
        assert told == (0, '', 'There are no snapshots.\n')
    status, out, _ = hawkfish('snaps-ls', emulator.system, '--print-empty')
    assert (status, 'Name' in out) == (0, True)
    empty = hawkfish('snaps-ls', emulator.system, '-f', 'json')
    assert empty == (0, '[]\n', '')


@pytest.mark.parametrize('verb', ['snapshot create', 'snaps-create'])
def test_a_command_need_not_wait(data, emulator, verb):
    """``--no-wait`` shows the task as soon as it is accepted."""
    emulator.behaviour.seconds = 20
    begin = time.monotonic()

    task = data(*verb.split(), emulator.system, 'a', '--no-wait')

    assert time.monotonic() - begin < 10
    assert (task['Operation'], task['Snapshot']) == ('create', 'a')


@pytest.mark.parametrize('verb', ['snapshot create', 'snaps-create'])
def test_a_command_waits(data, emulator, verb):
    """It returns at the real end, with the result, as with ``--wait``."""
    emulator.behaviour.seconds = 0.3

    plain = data(*verb.split(), emulator.system)
    told = data(*verb.split(), emulator.system, '--wait')

    assert plain['State'] == told['State'] == 'Ready'


def test_every_verb_has_a_short_form(run):
    """``snapshot VERB`` and ``snaps-VERB`` are the same command."""
    known = dict(app.Commands(app.COMMANDS))
    short = {'list': 'ls', 'delete': 'rm'}
    verbs = [n.split()[1] for n in known if n.startswith('snapshot ')]

    assert len(verbs) > 8
    for verb in verbs:
        twin = known[f'snaps-{short.get(verb, verb)}']
        assert twin.load() is known[f'snapshot {verb}'].load()


@pytest.mark.parametrize(
    'words, name',
    [
        (('fake', 'a'), 'a'),
        (('a', '--group', 'lab'), 'a'),
        (('fake', '--name', 'a'), 'a'),
        (('fake', 'node-0'), None),
    ],
)
def test_the_name_may_be_the_last_word(hawkfish, data, emulator, words, name):
    """It is told from a system by there being none that is called so."""
    data('group', 'create', 'lab', 'fake')
    try:
        data('snaps-create', *words)
    finally:
        hawkfish('group', 'delete', 'lab')

    (made,) = data('snaps-ls', 'fake')
    assert (made['Name'] == 'a') == (name == 'a')


def test_two_names_are_a_usage_error(hawkfish, emulator):
    status, out, err = hawkfish('snaps-create', 'fake', 'a', '--name', 'b')

    assert (status, out) == (2, '')
    assert 'not allowed with --name' in err


def test_wait_ends_in_time(hawkfish, emulator):
    """A time-out fails the command, not the task, and says how to go on."""
    emulator.behaviour.seconds = 20

    status, out, err = hawkfish(
        'snapshot', 'create', emulator.system, '--wait', '0.2'
    )

    assert (status, out) == (1, '')
    assert 'still running after 0.2 seconds' in err
    assert f'hawkfish --url {emulator.url} task wait' in err


def test_failed_task_fails_the_command(hawkfish, emulator):
    """The server's message and resolution are on stderr, the status is 1."""
    emulator.behaviour.fail_at = {'create:finish': DISK_FULL}

    status, out, err = hawkfish('snaps-create', emulator.system)

    assert (status, out) == (1, '')
    message, resolution = err.splitlines()
    assert 'the disk is full' in message
    assert 'resubmit' in resolution


def test_warnings_go_to_stderr(hawkfish, emulator):
    """A success that has a flaw says so, outside of the data."""
    lost = exceptions.HypervisorUnavailable('fake', 'connection reset')
    emulator.behaviour.fail_at = {'create:finish': lost}

    status, out, err = hawkfish(
        'snaps-create', emulator.system, '--name', 'a', '-f', 'json'
    )

    assert (status, json.loads(out)['Name']) == (0, 'a')
    assert 'connection reset' in err


@pytest.mark.parametrize(
    'options, body',
    [
        (('--power', 'Off'), {'TargetPowerState': 'Off'}),
        (('--force',), {'Force': True}),
    ],
)
def test_options_of_a_revert(data, emulator, options, body):
    """What is asked for reaches the service, and nothing else."""
    emulator.created(Name='a')

    task = data('snaps-revert', emulator.system, 'a', *options)

    shown = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/Tasks/{task["ID"]}'
    ).json()
    assert json.loads(shown['Payload']['JsonBody']) == body


@pytest.mark.parametrize('command', ['snapshot revert', 'snaps-revert'])
def test_a_dry_run_of_a_revert(hawkfish, emulator, command):
    """It shows what would be, and reverts nothing."""
    for name in 'ab':
        emulator.created(Name=name)
    before = emulator.newest_task

    _, out, _ = hawkfish(
        *(*command.split(), emulator.system, 'a', '--dry-run'),
        *('--power', 'On', '-f', 'json'),
    )

    seen = json.loads(out)
    assert (seen['Power State'], seen['Discarded Since']) == ('On', 'b')
    assert seen['Memory Restored'] is False
    assert seen['Warnings'] == []
    assert emulator.tasks_after(before) == []


def test_bulk_delete_goes_on_after_an_error(hawkfish, emulator):
    """One that cannot be deleted stops no other, and fails the command."""
    emulator.created(Name='a')

    status, out, err = hawkfish(
        'snaps-rm', emulator.system, 'missing', 'a', '-f', 'json'
    )

    assert status == 1
    assert [row['Snapshot'] for row in json.loads(out)] == ['a']
    assert err.startswith('missing: ')
    assert err.endswith('1 of 2 failed\n')


def test_single_delete_fails_with_the_message_alone(hawkfish, emulator):
    """Where one was asked for, nothing is counted and nothing printed."""
    status, out, err = hawkfish('snaps-rm', emulator.system, 'missing')

    assert (status, out) == (1, '')
    assert 'missing' in err
    assert ' of 1 failed' not in err


@pytest.mark.parametrize('form', ['table', 'value', 'csv'])
def test_control_characters_do_not_reach_the_terminal(
    hawkfish, emulator, form
):
    """What somebody named a snapshot cannot command the terminal."""
    evil = contract.Snapshot(
        name='red\x1b[31m',
        description='bell\x07\nline',
        created=1,
        power_state='Off',
        memory=False,
        external=True,
    )
    emulator.driver.plant(emulator.system, [evil])

    _, out, _ = hawkfish('snapshot', 'list', emulator.system, '-f', form)

    # cliff's CSV doubles the backslash.
    assert 'red\\x1b[31m' in out.replace('\\\\', '\\')
    assert '\x1b' not in out

    _, out, err = hawkfish('snapshot', 'show', emulator.system, evil.name)

    assert 'bell\\x07\\nline' in out
    assert '\x1b' not in out + err
    assert data_of(hawkfish, emulator, evil)['Name'] == evil.name


def data_of(hawkfish, emulator, snapshot):
    _, out, _ = hawkfish(
        'snapshot', 'show', emulator.system, snapshot.name, '-f', 'json'
    )
    return json.loads(out)


# Limits, locks, trees


def test_lock_and_expiry_are_set(data, emulator):
    """``snapshot set`` changes what it names, and shows the snapshot."""
    data(
        *('snaps-create', emulator.system, '--name', 'a', '--lock'),
        *('--expires', '2h'),
    )
    made = data('snapshot', 'show', emulator.system, 'a')

    kept = data(
        *('snapshot', 'set', emulator.system, 'a', '--unlock'),
        *('--expires', '2999-01-31T14:00:00+02:00'),
    )
    changed = data(
        *('snapshot', 'set', emulator.system, 'a', '--no-expiry'),
        *('--description', 'golden', '--lock'),
    )

    assert made['Locked'] is True
    left = datetime.datetime.fromisoformat(made['Expires']).timestamp()
    assert 7100 < left - time.time() <= 7200
    assert (kept['Locked'], kept['Expires']) == (False, '2999-01-31T12:00:00Z')
    assert (changed['Locked'], changed['Expires']) == (True, None)
    assert changed['Description'] == 'golden'
    (listed,) = data('snapshot', 'list', emulator.system)
    assert listed['Locked'] is True
    assert listed['Size'] == changed['Size']


def test_repair_command(hawkfish, data, emulator):
    """``system repair`` has nothing to do where a system is safe."""
    status, *said = hawkfish('system', 'repair', emulator.system, '--dry-run')
    assert (status, said) == (0, ['', 'Nothing to repair.\n'])

    task = data('system', 'repair', emulator.system, '--wait')
    assert (task['Operation'], task['State']) == ('repair', 'Completed')


def test_purge_command(hawkfish, data, emulator):
    """``snapshot purge`` deletes all; locked ones only by force."""
    emulator.created(Name='a', Locked=True)
    emulator.created(Name='b')

    status, out, err = hawkfish('snaps-purge', emulator.system)
    assert (status, out) == (1, '')
    assert "Snapshot 'a' is locked" in err
    task = data('snapshot', 'purge', emulator.system, '--force', '--wait')

    assert (task['Operation'], task['State']) == ('purge', 'Completed')
    assert data('snapshot', 'list', emulator.system) == []


def test_policy_commands(data, emulator):
    """Limits are set as people write them, shown and explained."""
    emulator.created(Name='a')
    try:
        changed = data(
            *('policy', 'set', emulator.system, '--max-snapshots', '1'),
            *('--max-age', '4w', '--max-bytes', '20G'),
            *('--on-limit', 'Prune'),
        )
        explained = data('policy', 'show', emulator.system, '--explain')
        dry = data(
            *('snapshot', 'create', emulator.system, '--name', 'b'),
            *('--dry-run', '--lock'),
        )
    finally:
        back = data(
            *('policy', 'set', emulator.system, '--max-snapshots', 'default'),
            *('--max-age', 'default', '--max-bytes', 'default'),
        )

    assert changed['Max Snapshots'] == 1
    assert changed['Max Age'] == 4 * 7 * 86_400
    assert changed['Max Bytes'] == 20 * 2**30
    assert explained['Snapshots'] == 1
    assert explained['Pruned'] == ['a: MaxSnapshots']
    assert dry['Name'] == 'b'
    assert dry['Pruned'] == ['a: MaxSnapshots']
    assert dry['Kept'] == ['b: Locked, Newest']
    assert back['Max Bytes'] == 0
    assert [s['Name'] for s in data('snapshot', 'list', emulator.system)] == [
        'a'
    ]


def test_tree_is_drawn(hawkfish, emulator):
    """The tree shows who grows from whom, and where the system is."""
    old = 1_000_000
    for name, parent, current in (
        ('root', None, False),
        ('left', 'root', False),
        ('tip\x1b', 'left', False),
        ('right', 'root', True),
        ('alone', None, False),
    ):
        tree = list(emulator.driver.snapshots(emulator.system))
        tree.append(
            contract.Snapshot(name, '', old, 'On', True, True, parent, current)
        )
        emulator.driver.plant(emulator.system, tree)

    status, out, err = hawkfish('snapshot', 'tree', emulator.system)

    assert (status, err) == (0, '')
    shape = [line.partition('  (')[0] for line in out.splitlines()]
    assert shape == [
        'root',
        '|-- left',
        '|   `-- tip\\x1b',
        '`-- right',
        '    `-- * the system is here',
        'alone',
    ]
    assert 'Ready, 1.1 MiB, ' in out


def test_tree_of_a_long_chain(hawkfish, emulator):
    """No chain is too long to be drawn."""
    emulator.driver.plant(
        emulator.system,
        [
            contract.Snapshot(
                str(n), '', n, 'Off', False, True, str(n - 1) if n else None
            )
            for n in range(1200)
        ],
    )

    status, out, _ = hawkfish('snapshot', 'tree', emulator.system)

    assert (status, len(out.splitlines())) == (0, 1200)


def test_policy_of_a_system_that_cannot_have_a_snapshot(hawkfish, emulator):
    """The limits are shown, and why a create would be refused."""
    emulator.created(Name='a')
    emulator.behaviour.depth = 1

    shown = hawkfish('policy', 'show', emulator.system)
    explained = hawkfish('policy', 'show', emulator.system, '--explain')

    assert (shown[0], 'vda' in shown[1], shown[2]) == (0, True, '')
    assert explained[:2] == shown[:2]
    assert 'A create would be refused: ' in explained[2]


@pytest.mark.parametrize(
    'args',
    [
        ('snapshot', 'create', 's', '--expires', 'soon'),
        ('snapshot', 'create', 's', '--expires', '2030-01-01T00:00:00'),
        ('snapshot', 'create', 's', '--expires', '999999999w'),
        ('snapshot', 'set', 's', 'a', '--lock', '--unlock'),
        ('snapshot', 'set', 's', 'a', '--expires', '1d', '--no-expiry'),
        ('policy', 'set', 's', '--max-snapshots', '-1'),
        ('policy', 'set', 's', '--max-snapshots', 'many'),
        ('policy', 'set', 's', '--max-age', '1y'),
        ('policy', 'set', 's', '--max-bytes', 'G'),
        ('policy', 'set', 's', '--max-bytes', '1.2.3G'),
        ('policy', 'set', 's', '--max-age', 'P1M'),
        ('policy', 'set', 's', '--max-age', '0.5s'),
        ('policy', 'set', 's', '--max-age', 'PT1.5S'),
        ('policy', 'set', 's', '--max-bytes', '0.5'),
        ('policy', 'set', 's', '--max-bytes', '1.5 bytes'),
        ('policy', 'set', 's', '--max-bytes', '0.0001K'),
        ('policy', 'set', 's'),
        ('snapshot', 'set', 's', 'a'),
        ('group', 'snapshot', 'set', 'g', 'a'),
        ('policy', 'set', 's', '--on-limit', 'Panic'),
    ],
)
def test_bad_limits_and_times_are_usage_errors(hawkfish, args):
    """What makes no sense is told before anything is asked."""
    status, out, err = hawkfish(*args)

    assert (status, out) == (2, '')
    assert err.count('\n') == 1
    told = (args[-1], 'not allowed with', 'nothing to change', 'no limit')
    assert any(word in err for word in told)


@pytest.mark.parametrize(
    'text, seconds',
    [
        ('2d12h', 216_000),
        ('2 days', 172_800),
        ('P2D', 172_800),
        ('p1dt12h', 129_600),
        ('4w', 2_419_200),
        ('90', 90),
    ],
)
def test_spans_as_people_write_them(text, seconds):
    assert times.span(text) == seconds


@pytest.mark.parametrize(
    'text, count',
    [
        ('20GB', 20 * 10**9),
        ('20GiB', 20 * 2**30),
        ('20G', 20 * 2**30),
        ('1.5g', 3 * 2**29),
        ('500 mb', 5 * 10**8),
        ('7', 7),
    ],
)
def test_sizes_as_people_write_them(text, count):
    assert times.size(text) == count


def test_values_in_any_case(hawkfish, emulator):
    """``--power off`` is Off."""
    emulator.created(Name='a')

    _, out, _ = hawkfish(
        *('snapshot', 'revert', emulator.system, 'a', '--dry-run'),
        *('--power', 'on', '-f', 'json'),
    )

    assert json.loads(out)['Power State'] == 'On'


# Tasks


def test_tasks_are_listed_and_shown(data, emulator):
    """A task can be found by its snapshot and looked at."""
    created = data('snapshot', 'create', emulator.system, 'a', '--no-wait')

    ended = data('task', 'wait', created['ID'])
    listed = [t for t in data('task', 'list') if t['ID'] == created['ID']]

    assert ended['State'] == 'Completed'
    assert ended['Percent'] == 100
    assert ended['System'] == emulator.system
    assert len(ended['Messages']) >= 2
    assert [t['Snapshot'] for t in listed] == ['a']
    assert data('task', 'show', created['ID']) == ended


def test_task_wait_tells_why_it_failed(hawkfish, data, emulator):
    """Waiting for a task later tells the same error as waiting at once."""
    emulator.behaviour.fail_at = {'create:finish': DISK_FULL}
    task = data('snapshot', 'create', emulator.system, '--no-wait')

    status, out, err = hawkfish('task', 'wait', task['ID'])

    assert (status, out) == (1, '')
    assert 'the disk is full' in err


def test_task_abandon(hawkfish, data, emulator):
    """A running task is ended, and deleted by who has seen to its system."""
    with emulator.slow():
        emulator.wait_running(emulator.create(Name='s'))
        (task,) = [
            task for task in data('task', 'list') if task['State'] == 'Running'
        ]
        status, _, err = hawkfish('task', 'acknowledge', task['ID'])
        assert (status, 'has not ended' in err) == (1, True)

        status, out, err = hawkfish('task', 'abandon', task['ID'])
        assert (status, out) == (0, '')
        assert f'task acknowledge {task["ID"]}' in err

        shown = data('task', 'show', task['ID'])
        assert shown['State'] == 'Exception'
        assert 'it was abandoned' in str(shown['Messages'])
    left = emulator.services.tasks.attention.of(emulator.system)
    assert str(left[-1].task) == task['ID']
    assert hawkfish('task', 'abandon', task['ID'])[0] == 1
    assert hawkfish('task', 'acknowledge', task['ID'])[:2] == (0, '')
    assert emulator.services.tasks.attention.of(emulator.system) == []


def test_task_cancel(hawkfish, data, emulator):
    """A running create can be cancelled, and leaves nothing."""
    emulator.behaviour.seconds = 20
    task = data('snapshot', 'create', emulator.system, '--no-wait')

    assert hawkfish('task', 'cancel', task['ID'])[:2] == (0, '')

    status, _, err = hawkfish('task', 'wait', task['ID'], '--timeout', '10')
    assert status == 1
    assert 'cancelled' in err
    assert data('snapshot', 'list', emulator.system) == []


def test_ended_task_is_not_forgotten_by_cancel(hawkfish, data, emulator):
    """Cancelling too late fails, and the task's story is still there."""
    task = data('snapshot', 'create', emulator.system, '--no-wait')
    data('task', 'wait', task['ID'])

    status, _, err = hawkfish('task', 'cancel', task['ID'])

    assert status == 1
    assert 'already ended: Completed' in err
    status, _, err = hawkfish('task', 'acknowledge', task['ID'])
    assert (status, 'nothing to acknowledge' in err) == (1, True)
    assert data('task', 'show', task['ID'])['State'] == 'Completed'


def test_abandon_of_the_emulator_s_own_task(hawkfish):
    """It has ended, and has no action of ours."""
    status, out, err = hawkfish('task', 'abandon', '42')

    assert (status, out) == (1, '')
    assert err == 'Task 42 has already ended: Completed.\n'
