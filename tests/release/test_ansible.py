# SPDX-License-Identifier: Apache-2.0
"""
The Ansible collection: real runs of ansible-playbook, on fake systems.

Long, as each module has its runs.
"""

import contextlib
import datetime
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile

import pytest
import requests
import yaml

from tests.packages import ROOT, run
from tests.served import BIN, FAKE_UUID, Served

COLLECTION = ROOT / 'ansible'
ALL_LIMITS = {
    'max_snapshots': 3,
    'max_age_seconds': 3600,
    'max_bytes': 2**40,
    'on_limit': 'Prune',
    'keep_newest_verified': False,
}
# Of the release that test_tagged makes.
VERSION = '1.0.0'
MODULES = ('snapshot', 'group', 'policy', 'backup')


@pytest.fixture(scope='module')
def served(tmp_path_factory):
    """An emulator of three fake systems with a repository for backups."""
    folder = tmp_path_factory.mktemp('ansible')
    served = Served(folder, OS_BACKUP__REPOSITORY='backups')
    served.command = [
        'hawkfish-emulator',
        *('--config', str(served.config)),
        *served.options(),
        *('--fake-systems', '3'),
    ]
    yield served.start()
    served.stop()


@pytest.fixture(scope='module')
def environment(tmp_path_factory, served):
    """Where Ansible finds the collection, and the modules the service."""
    folder = tmp_path_factory.mktemp('collections')
    place = folder / 'ansible_collections/hawkfish'
    place.mkdir(parents=True)
    (place / 'snapshots').symlink_to(COLLECTION)
    return {
        **os.environ,
        'ANSIBLE_COLLECTIONS_PATH': str(folder),
        'ANSIBLE_HOME': str(folder / 'home'),
        'ANSIBLE_LOCALHOST_WARNING': 'false',
        'ANSIBLE_STDOUT_CALLBACK': 'ansible.builtin.default',
        'ANSIBLE_NOCOLOR': '1',
        'HAWKFISH_URL': served.url,
        'PYTHONDONTWRITEBYTECODE': '1',
        'LC_ALL': 'C.UTF-8',
    }


@pytest.fixture
def play(environment, tmp_path):
    """Run tasks, each a module and its options; returns their results."""

    def run(*tasks, options=(), fails=False):
        play = {
            'hosts': 'localhost',
            'gather_facts': False,
            'vars': {'ansible_python_interpreter': sys.executable},
            'tasks': [],
        }
        for number, (module, arguments) in enumerate(tasks):
            path = tmp_path / f'result-{number}'
            play['tasks'] += [
                {
                    f'hawkfish.snapshots.{module}': arguments,
                    'register': 'told',
                    'ignore_errors': fails,
                },
                {
                    'ansible.builtin.copy': {
                        'content': '{{ told | to_json }}',
                        'dest': str(path),
                    },
                    'check_mode': False,
                    'diff': False,
                },
            ]
        book = tmp_path / 'play.yml'
        book.write_text(yaml.safe_dump([play]))
        done = playbook(environment, book, *options)
        results = [
            json.loads((tmp_path / f'result-{number}').read_text())
            for number in range(len(tasks))
        ]
        return (*results, done.stdout)

    return run


def playbook(environment, book, *options):
    done = subprocess.run(
        [
            *(BIN / 'ansible-playbook', '-i', 'localhost,', '-c', 'local'),
            *(book, *options),
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def changed(results):
    return [result['changed'] for result in results[:-1]]


def test_a_snapshot_comes_changes_and_goes(play):
    """What is there already is no change, in any of the states."""
    wanted = {'system': 'fake', 'name': 'clean', 'locked': False}
    gone = {'system': 'fake', 'name': 'clean', 'state': 'absent'}

    results = play(
        ('snapshot', wanted),
        ('snapshot', wanted),
        ('snapshot', {**wanted, 'description': 'as installed'}),
        ('snapshot', {'system': 'fake', 'name': 'clean'}),
        ('snapshot', gone),
        ('snapshot', gone),
    )

    assert changed(results) == [True, False, True, False, True, False]
    assert results[0]['snapshot']['SnapshotState'] == 'Ready'
    assert results[2]['diff']['after'] == {
        'Description': 'as installed',
        'Locked': False,
    }


def test_the_same_time_in_another_zone_is_no_change(play):
    """A time without a zone is refused."""
    made = {'system': 'fake', 'name': 'until'}
    times = ('2030-01-31T13:00:00+01:00', '2030-01-31T12:00:00Z')

    *results, _ = play(
        *(('snapshot', {**made, 'expires_time': one}) for one in times * 2),
        ('snapshot', {**made, 'expires_time': '2030-01-31T13:00:00Z'}),
        ('snapshot', {**made, 'expires_time': '2030-01-31T13:00:00'}),
        fails=True,
    )

    assert [one['changed'] for one in results[:5]] == [
        *(True, False, False, False),
        True,
    ]
    assert 'time zone' in results[5]['msg']


@pytest.fixture(scope='module')
def slow(tmp_path_factory):
    """An emulator whose operations take seconds."""
    folder = tmp_path_factory.mktemp('slow')
    served = Served(folder, OS_BACKUP__REPOSITORY='backups')
    served.command = [
        'hawkfish-emulator',
        *('--config', str(served.config)),
        *served.options(),
        *('--fake-systems', '2', '--fake-seconds', '2'),
    ]
    yield served.start()
    served.stop()


def test_what_is_being_made_or_deleted_is_waited_for(play, slow):
    """Then it is as if it had been there, or gone, before."""
    there = {'url': slow.url, 'system': 'fake', 'name': 'slow'}
    gone = {**there, 'state': 'absent'}
    slow.post_create(FAKE_UUID, Name='slow')

    would, _ = play(('snapshot', there), options=['--check'])
    found, _ = play(('snapshot', there))
    slow.send_delete(FAKE_UUID, 'slow')
    away, _ = play(('snapshot', gone))
    slow.create(FAKE_UUID, Name='slow')
    slow.send_delete(FAKE_UUID, 'slow')
    again, _ = play(('snapshot', there))

    assert [one['changed'] for one in (would, found, away, again)] == [
        *(False, False, False),
        True,
    ]
    for ready in (found, again):
        assert ready['snapshot']['SnapshotState'] == 'Ready'


def test_a_backup_that_goes_is_none(play, slow):
    """Another one is made instead."""
    known = {'url': slow.url, 'system': 'fake-1', 'description': 'nightly'}
    first, _ = play(('backup', known))
    requests.delete(
        slow.url + first['backup']['@odata.id'], timeout=60
    ).raise_for_status()

    second, _ = play(('backup', known))

    assert second['changed']
    assert second['backup']['Id'] != first['backup']['Id']


def test_check_mode_changes_nothing_and_shows_what_would(play, served):
    """With the difference, as --diff prints it."""
    *results, shown = play(
        ('snapshot', {'system': 'fake', 'name': 'never'}),
        ('group', {'name': 'never', 'systems': ['fake']}),
        ('policy', {'system': 'fake', 'max_snapshots': 9}),
        ('backup', {'system': 'fake', 'description': 'never'}),
        options=['--check', '--diff'],
    )

    assert [result['changed'] for result in results] == [True] * 4
    assert re.search(r'^\+\s+"Name": "never"', shown, re.MULTILINE)
    assert re.search(r'^\+\s+"MaxSnapshots": 9', shown, re.MULTILINE)
    assert not served.tasks() or 'never' not in json.dumps(served.tasks())


def test_a_system_is_reverted(play):
    """What the revert does is told, in check mode as well."""
    made = {'system': 'fake-1', 'name': 'point'}
    back = {**made, 'state': 'reverted', 'power_state': 'Off'}
    play(('snapshot', made))

    would, _ = play(('snapshot', back), options=['--check'])
    did, _ = play(('snapshot', back))

    assert would['changed'] and did['changed']
    assert would['preview']['PowerState'] == 'Off'
    assert did['snapshot']['SnapshotState'] == 'Ready'


def test_a_group_and_its_snapshot(play):
    """Its systems are exactly those that are named."""
    lab = {'name': 'lab', 'systems': ['fake', 'fake-1']}
    shot = {'group': 'lab', 'name': 'one-moment'}

    results = play(
        ('group', lab),
        ('group', lab),
        ('group', {'name': 'lab', 'systems': ['fake-1', 'fake-2']}),
        ('group', lab),
        ('snapshot', shot),
        ('snapshot', shot),
        ('snapshot', {**shot, 'state': 'reverted'}),
        ('snapshot', {**shot, 'state': 'absent'}),
        ('group', {'name': 'lab', 'state': 'absent'}),
        ('group', {'name': 'lab', 'state': 'absent'}),
    )

    assert changed(results) == [
        *(True, False, True, True),
        *(True, False, True, True),
        *(True, False),
    ]
    assert len(results[2]['group']['Elements']) == 2


def test_a_policy_is_set_and_taken_back(play):
    """Limits that are not named stay as they are."""
    results = play(
        ('policy', {'system': 'fake-2', 'max_snapshots': 7}),
        ('policy', {'system': 'fake-2', 'max_snapshots': 7}),
        ('policy', {'system': 'fake-2', 'on_limit': 'Refuse'}),
        ('policy', {'system': 'fake-2', 'state': 'absent'}),
        ('policy', {'system': 'fake-2', 'state': 'absent'}),
        ('policy', {'system': 'fake-2', **ALL_LIMITS}),
        ('policy', {'system': 'fake-2', **ALL_LIMITS}),
        ('policy', {'system': 'fake-2', 'state': 'absent'}),
    )

    assert changed(results) == [
        *(True, False, True, True, False),
        *(True, False, True),
    ]
    assert results[2]['policy']['MaxSnapshots'] == 7
    assert results[5]['policy']['MaxAgeSeconds'] == 3600
    assert results[3]['policy']['MaxSnapshots'] == 0


def test_a_backup_is_made_restored_and_deleted(play):
    """It is known by its description, and a restore by the new system."""
    known = {'system': 'fake-2', 'description': 'nightly'}
    again = {**known, 'state': 'restored', 'name': 'restored-2'}
    gone = {**known, 'state': 'absent'}

    results = play(
        ('backup', known),
        ('backup', known),
        ('backup', again),
        ('backup', again),
        ('backup', gone),
        ('backup', gone),
    )

    assert changed(results) == [True, False] * 3
    assert results[0]['backup']['Description'] == 'nightly'


def test_a_refusal_is_told_in_the_words_of_the_service(play):
    """With what to do about it, and no traceback."""
    locked = {'system': 'fake', 'name': 'kept', 'locked': True}

    _, refused, missing, nobody, _ = play(
        ('snapshot', locked),
        ('snapshot', {'system': 'fake', 'name': 'kept', 'state': 'absent'}),
        ('snapshot', {'system': 'fake', 'name': 'no', 'state': 'reverted'}),
        ('snapshot', {'system': 'nope', 'name': 'clean'}),
        fails=True,
    )

    assert refused['failed']
    assert 'locked' in refused['msg']
    assert missing['msg'] == "There is no snapshot 'no'"
    assert nobody['failed']


@pytest.fixture(scope='module')
def failing(tmp_path_factory):
    """An emulator whose reverts and deletes fail on the way."""
    served = Served(tmp_path_factory.mktemp('failing'))
    served.command = [
        'hawkfish-emulator',
        *('--config', str(served.config)),
        *served.options(),
        *('--fake-fail', 'revert:finish', '--fake-fail', 'delete:merge'),
    ]
    yield served.start()
    served.stop()


def test_a_task_that_fails_tells_why(play, failing):
    """In the words of the service, and what it left is still there."""
    clean = {'url': failing.url, 'system': 'fake', 'name': 'clean'}

    made, back, gone, again, _ = play(
        ('snapshot', clean),
        ('snapshot', {**clean, 'state': 'reverted'}),
        ('snapshot', {**clean, 'state': 'absent'}),
        ('snapshot', clean),
        fails=True,
    )

    assert made['changed']
    for failed in (back, gone):
        assert failed['failed']
        assert 'told to fail at step' in failed['msg']
    assert not again['changed']


def test_a_damaged_snapshot_tells_what_to_do(play, failing):
    """It is not taken for the one wanted, nor reverted to."""
    half = {'url': failing.url, 'system': 'fake', 'name': 'half'}
    made, _ = play(('snapshot', half))
    assert made['changed']
    shown = failing.snapshot(FAKE_UUID, 'half')
    made_at = datetime.datetime.fromisoformat(shown['CreatedTime'])
    (path,) = (failing.folder / 'state').glob('*/*.sqlite')
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            'INSERT INTO damaged VALUES (?, ?, ?)',
            (FAKE_UUID, 'half', int(made_at.timestamp())),
        )
    assert failing.snapshot(FAKE_UUID, 'half')['SnapshotState'] == 'Failed'

    wanted, back, _ = play(
        ('snapshot', half),
        ('snapshot', {**half, 'state': 'reverted'}),
        fails=True,
    )

    assert wanted['failed']
    assert "'half' is damaged. Delete it" in wanted['msg']
    assert back['failed']
    assert 'damaged' in back['msg']


def test_the_collection_is_built_as_this_release(tmp_path):
    """It has the version of the release, and all modules."""
    run(
        *(BIN / 'ansible-galaxy', 'collection', 'build', COLLECTION),
        *('--output-path', tmp_path),
        env={**os.environ, 'ANSIBLE_HOME': str(tmp_path / 'home')},
    )

    (built,) = tmp_path.glob('*.tar.gz')
    with tarfile.open(built) as archive:
        names = set(archive.getnames())
    assert built.name == f'hawkfish-snapshots-{VERSION}.tar.gz'
    assert {f'plugins/modules/{name}.py' for name in MODULES} <= names


def test_the_example_can_be_run(environment, tmp_path):
    """The playbook for metal3-dev-env, twice, and back."""
    book = COLLECTION / 'examples/metal3.yml'
    options = [
        *('-e', f'ansible_python_interpreter={sys.executable}'),
        *('-e', '{"nodes": ["fake", "fake-1"]}'),
    ]

    first = playbook(environment, book, *options)
    second = playbook(environment, book, *options)
    back = playbook(environment, book, *options, '-e', 'direction=back')

    assert re.search(r'changed=3 ', first.stdout)
    assert re.search(r'changed=0 ', second.stdout)
    assert re.search(r'changed=1 ', back.stdout)


@pytest.mark.parametrize('module', MODULES)
def test_each_module_is_documented(environment, module):
    """ansible-doc shows every option that the module takes."""
    shown = subprocess.run(
        [BIN / 'ansible-doc', '--json', f'hawkfish.snapshots.{module}'],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (told,) = json.loads(shown.stdout).values()
    source = (COLLECTION / f'plugins/modules/{module}.py').read_text()
    shared = (COLLECTION / 'plugins/module_utils/service.py').read_text()
    taken = {
        name
        for text in (source, shared)
        for name in re.findall(
            r"^    '(\w+)': \{", text[text.index('SPEC') :], re.MULTILINE
        )
    }

    assert set(told['doc']['options']) == taken
    assert told['examples'] and told['return']
