# SPDX-License-Identifier: Apache-2.0
"""
Backups are verified by clones: what is asked, noted and told.

Long, as each request is made in all three ways.
"""

import json
import sqlite3

import pytest
import requests

from hawkfish_plugin import client, exceptions
from hawkfish_plugin.backups import Backups
from hawkfish_plugin.cli import app
from hawkfish_plugin.clones import Clones
from hawkfish_plugin.db import Database
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.drivers.verifying import VerifyRequest
from hawkfish_plugin.operations.verify import Verify
from tests.contract.context import Context, Killed
from tests.served import message_ids
from tests.unit.test_backups import (
    act,
    delete,
    events_of,
    listed,
    made,
)
from tests.waiting import wait_for

DEADLINES = ('Agent', 'Console', 'Command')


@pytest.fixture(autouse=True)
def _repository(emulator):
    """Each test has a repository, in which none leaves anything."""
    conf = emulator.services.conf
    conf.set_override('repository', 'store', 'backup')
    yield
    conf.clear_override('repository', 'backup')
    emulator.driver.behaviour = Behaviour()
    emulator.wait_idle()
    assert not emulator.driver.clones()
    for backup in reversed(listed(emulator)):
        emulator.wait(delete(emulator, backup))
    assert not emulator.driver.backup_files()


def verify(emulator, backup, **body):
    return emulator.wait(act(emulator, backup, 'Verify', **body))


def failing(emulator, step):
    emulator.behaviour.fail_at = {
        f'verify-backup:{step}': exceptions.OperationFailed(
            'verify-backup', 'told to'
        )
    }


def again(emulator, backup):
    return requests.get(emulator.url + backup['@odata.id'], timeout=60).json()


def checks(backup):
    return {
        one['Check']: one['Result'] for one in backup['Verification']['Checks']
    }


def steps_of_last(emulator):
    """Whether the last task has made a clone."""
    task = max(emulator.services.tasks.list(), key=lambda one: one.id)
    return task.step


@pytest.mark.parametrize('body', [{}, {'Boot': False}])
def test_files_alone_are_verified_by_default(emulator, body):
    """Which is cheap: no clone is made."""
    backup = made(emulator)
    assert backup['Verification'] is None

    answer = verify(emulator, backup, **body)

    found = again(emulator, backup)
    assert answer.status_code == 200, answer.text
    assert checks(found) == {'Files': 'Passed'}
    assert found['VerifyResult'] == 'Passed'
    assert found['VerifyFinding'] is None
    assert not steps_of_last(emulator)
    assert [found['Id'], 'fake'] in events_of(emulator, 'BackupVerified')
    told = events_of(emulator, 'BackupCloneVerified')
    assert found['Id'] not in [one[0] for one in told]


@pytest.mark.parametrize(
    'body, more',
    [
        ({'Boot': True}, ()),
        ({'RunSeconds': 1}, ()),
        ({'Agent': True}, ('Agent',)),
        ({'ConsolePattern': 'login:'}, ('Console',)),
        ({'Command': ['/bin/true']}, ('Command',)),
        ({'Screenshot': True}, ()),
    ],
)
def test_each_check_asks_for_a_clone(emulator, body, more):
    """Which is looked at as that of a snapshot is, and told of."""
    backup = made(emulator)

    answer = verify(emulator, backup, **body)

    found = again(emulator, backup)
    assert answer.status_code == 200, answer.text
    expected = ('Files', 'Running', *more)
    assert checks(found) == dict.fromkeys(expected, 'Passed')
    assert found['Verification']['LeftOut'] == []
    assert found['VerifyResult'] == 'Passed'
    assert found['@odata.etag'] != backup['@odata.etag']
    assert steps_of_last(emulator) == 'finish'
    assert events_of(emulator, 'BackupVerified')[-1] == [found['Id'], 'fake']
    assert events_of(emulator, 'BackupCloneVerified')[-1] == [
        found['Id'],
        'fake',
        ', '.join(expected),
    ]


def test_what_is_asked_together_has_to_agree(emulator):
    """A check of a clone without a clone is refused, and named."""
    backup = made(emulator)

    answer = act(emulator, backup, 'Verify', Boot=False, Agent=True)

    assert answer.status_code == 400
    assert message_ids(answer) == ['PropertyValueConflict']


@pytest.mark.parametrize(
    'body',
    [
        {'ConsolePattern': ''},
        {'ConsolePattern': 257 * 'x'},
        {'Command': []},
        {'Command': ['/bin/echo', 'a\0b']},
        {'RunSeconds': 0},
        {'RunSeconds': 601},
        {'DeadlineSeconds': 3601},
        {'AgentDeadlineSeconds': 0},
        {'Boot': 'yes'},
        {'Memory': True},
    ],
)
def test_what_cannot_be_checked_is_refused(emulator, body):
    """With the parameter that is wrong: a backup has no memory either."""
    backup = made(emulator)

    answer = act(emulator, backup, 'Verify', **body)

    assert answer.status_code == 400, answer.text
    (message,) = answer.json()['error']['@Message.ExtendedInfo']
    assert message['RelatedProperties'] == [f'#/{next(iter(body))}']


def test_the_action_says_what_it_takes(emulator):
    """All that the action of a snapshot takes but for the memory."""
    backup = made(emulator)
    info = backup['Actions']['#HawkFishBackup.Verify']
    uri = info['@Redfish.ActionInfo']
    theirs = uri.replace('HawkFishBackup', 'HawkFishSnapshot')

    names, others = (
        {
            one['Name']: one
            for one in requests.get(emulator.url + each, timeout=60).json()[
                'Parameters'
            ]
        }
        for each in (uri, theirs)
    )

    boot, memory = names.pop('Boot'), others.pop('Memory')
    assert boot['DataType'] == memory['DataType'] == 'Boolean'
    assert names == others


def test_a_check_that_fails_fails_the_task(emulator):
    """It is noted, but the files are as good as before."""
    backup = made(emulator)
    failing(emulator, 'check')

    answer = verify(emulator, backup, Agent=True)

    found = again(emulator, backup)
    assert message_ids(answer) == ['BackupVerifyFailed']
    assert found['VerifyResult'] == 'Failed'
    assert (
        found['VerifyFinding'] == 'Running: the fake driver was told to fail'
    )
    assert checks(found) == {
        'Files': 'Passed',
        'Running': 'Failed',
        'Agent': 'NotRun',
    }
    (_, operation, reason) = events_of(emulator, 'BackupFailed')[-1]
    assert operation == 'verify-backup' and "check 'Running'" in reason
    # So the next one may stand on it.
    assert made(emulator)['BackupType'] == 'Incremental'
    emulator.behaviour.fail_at = {}
    verify(emulator, backup)
    assert again(emulator, backup)['VerifyResult'] == 'Passed'


def test_a_damaged_backup_is_not_booted(emulator):
    """Nor one that stands on damage; it is told, and noted."""
    first, second = made(emulator), made(emulator)
    emulator.driver.damage_backup(first['Files'][1]['Path'])

    answer = verify(emulator, second, Agent=True)

    found = again(emulator, second)
    assert message_ids(answer) == ['BackupDamaged']
    assert not steps_of_last(emulator)
    assert found['VerifyResult'] == 'Failed'
    assert 'checksum' in found['VerifyFinding']
    assert checks(found) == {
        'Files': 'Failed',
        'Running': 'NotRun',
        'Agent': 'NotRun',
    }


@pytest.mark.parametrize('role', ['Domain', 'Disk'])
def test_damage_is_found_by_the_task(emulator, role):
    """Whichever file has it: so it is noted."""
    backup = made(emulator)
    (path,) = (one['Path'] for one in backup['Files'] if one['Role'] == role)
    emulator.driver.damage_backup(path)

    answer = act(emulator, backup, 'Verify', Boot=True)

    assert answer.status_code == 202, answer.text
    assert message_ids(emulator.wait(answer)) == ['BackupDamaged']
    assert again(emulator, backup)['VerifyResult'] == 'Failed'


@pytest.mark.parametrize('step', ['prepare', 'start', 'finish'])
def test_what_says_nothing_of_a_backup_leaves_its_note(emulator, step):
    """As a host that has no space does."""
    backup = made(emulator)
    verify(emulator, backup, Screenshot=True)
    before = again(emulator, backup)
    failing(emulator, step)

    answer = verify(emulator, backup, Boot=True)

    assert message_ids(answer) == ['OperationFailed']
    assert again(emulator, backup) == before


def test_a_verification_can_be_cancelled(emulator):
    """Of its files, and of its clone; it leaves no note."""
    backup = made(emulator)
    emulator.behaviour.seconds = 60
    reading = act(emulator, backup, 'Verify')
    emulator.cancel(reading)
    emulator.wait(reading)
    emulator.behaviour.seconds = 1
    verifying = act(emulator, backup, 'Verify', Boot=True)
    wait_for(emulator.driver.clones, 10)
    emulator.behaviour.seconds = 60
    emulator.cancel(verifying)
    emulator.wait(verifying)

    assert again(emulator, backup)['Verification'] is None


def test_a_delete_waits_for_it(emulator):
    """What is below a clone is not removed."""
    first, second = made(emulator), made(emulator)
    emulator.behaviour.seconds = 1
    verifying = act(emulator, second, 'Verify', Boot=True)
    wait_for(emulator.driver.clones, 10)

    answer = delete(emulator, second)

    assert message_ids(answer) == ['BackupInUse']
    assert emulator.wait(verifying).status_code == 200
    assert again(emulator, first)['Verification'] is None


def test_a_screenshot_has_a_uri_of_its_own(emulator):
    """It goes with the next verification, and with the backup."""
    backup = made(emulator)
    url = f'{emulator.url}{backup["@odata.id"]}/screenshot'
    assert requests.get(url, timeout=60).status_code == 404
    verify(emulator, backup, Screenshot=True)

    uri = again(emulator, backup)['Verification']['ScreenshotURI']
    answer = requests.get(emulator.url + uri, timeout=60)

    assert emulator.url + uri == url
    assert answer.headers['Content-Type'] == 'image/png'
    assert answer.content.startswith(b'\x89PNG')
    verify(emulator, backup)
    assert requests.get(url, timeout=60).status_code == 404
    verify(emulator, backup, Screenshot=True)
    emulator.wait(delete(emulator, backup))
    assert requests.get(url, timeout=60).status_code == 404
    table = Backups(Database(emulator.folder))
    assert table.screenshot(int(backup['Id'])) is None


def test_the_clone_of_a_task_that_was_abandoned_goes(emulator):
    """When the service looks again."""
    backup = made(emulator)
    emulator.behaviour.seconds = 1
    verifying = act(emulator, backup, 'Verify', Boot=True)
    wait_for(emulator.driver.clones, 10)
    emulator.behaviour.seconds = 60
    (clone,) = emulator.driver.clones()
    uri = verifying.headers['Location'].replace('TaskMonitors', 'Tasks')
    task = f'{emulator.url}{uri}'
    abandon = f'{task}/Actions/Oem/HawkFishTask.Abandon'
    assert requests.post(abandon, timeout=60).status_code == 204
    emulator.behaviour.seconds = 0
    wait_for(lambda: not emulator.driver.clones(), 10)
    assert requests.delete(task, timeout=60).ok
    emulator.driver._clones[clone] = True

    emulator.services.operations.get(Verify).periodic()

    assert not emulator.driver.clones()
    assert not list(Clones(Database(emulator.folder)).all())


@pytest.mark.parametrize('step', ['prepare', 'start', 'check', 'finish'])
def test_whoever_settles_removes_the_clone(emulator, step):
    """At whichever step the process has died."""
    backup, driver = made(emulator), emulator.driver
    system = driver.resolve('fake')
    chain = [
        one.made
        for one in emulator.services.backups.chain(system, int(backup['Id']))
    ]
    steps = contract.STEPS[contract.VERIFY_BACKUP]
    context = Context(die_at=2 * steps.index(step) + 1)
    request = VerifyRequest(backup['Id'], agent=True)
    with pytest.raises(Killed):
        driver.prove_backup(chain, request, context)
    # What a process that dies leaves.
    driver._clones[json.loads(context.journal)['folder']] = True

    if step == 'finish':
        found = driver.settle_prove(context.heir())
        assert found.passed == ['Files', 'Running', 'Agent']
    else:
        with pytest.raises(exceptions.OperationInterrupted) as told:
            driver.settle_prove(context.heir())
        assert told.value.args[0] == 'verify-backup'

    assert not driver.clones()


# The client and the command ------------------------------------------------


@pytest.fixture
def hawkfish(emulator, capsys):
    """Run the command, as a user does."""

    def run(*arguments):
        status = app.main(['--url', emulator.url, *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_the_sdk_has_what_was_found(emulator):
    """And the picture, and a deadline for each check."""
    backup = made(emulator)
    backups = client.HawkFish(emulator.url).backups('fake')

    backups.get(backup['Id']).verify(
        agent=True, screenshot=True, deadline=9, deadlines={'Agent': 60.0}
    ).wait(60)

    found = backups.get(backup['Id'])
    task = max(emulator.services.tasks.list(), key=lambda one: one.id)
    assert found.verify_result == 'Passed'
    assert [one['Check'] for one in found.verification['Checks']] == [
        'Files',
        'Running',
        'Agent',
    ]
    assert found.screenshot().startswith(b'\x89PNG')
    assert task.arguments['request']['deadlines'] == {
        **dict.fromkeys(DEADLINES, 9),
        'Agent': 60,
    }


def test_the_command_shows_what_was_found(emulator, hawkfish, tmp_path):
    """It fails where a check has, and keeps the picture all the same."""
    backup = made(emulator)
    picture = tmp_path / 'a.png'
    words = ('backup', 'verify', 'fake', backup['Id'])
    options = ('--screenshot', str(picture), '--command', '/bin/echo "a b"')

    status, out, err = hawkfish(*words)
    assert status == 0, err
    assert 'Files Passed' in out and 'Running' not in out
    status, out, err = hawkfish(*words, '--boot')
    assert status == 0, err
    assert 'Running Passed' in out
    status, out, err = hawkfish(*words, *options)
    assert status == 0, err
    assert 'Command Passed' in out
    assert picture.read_bytes().startswith(b'\x89PNG')
    picture.unlink()
    failing(emulator, 'check')
    status, out, err = hawkfish(*words, *options)

    assert status == 1
    assert "failed at the check 'Running'" in err
    assert picture.exists()
    _, out, _ = hawkfish('backup', 'show', 'fake', backup['Id'])
    assert 'Running: the fake driver' in out


# An earlier release --------------------------------------------------------


def test_what_an_older_release_has_found_is_shown(emulator):
    """That noted no more than whether the files were whole."""
    backup = made(emulator)
    verify(emulator, backup)
    with sqlite3.connect(Database(emulator.folder).path) as connection:
        connection.execute('UPDATE backups SET found = NULL')
    connection.close()

    found = again(emulator, backup)

    assert found['VerifyResult'] == 'Passed'
    assert found['LastVerified']
    assert found['Verification'] is None
