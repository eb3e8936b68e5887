# SPDX-License-Identifier: Apache-2.0
"""Snapshots are verified: the request, what is noted, and what follows."""

import sys

import pytest
import requests

from hawkfish_plugin import client, exceptions
from hawkfish_plugin.cli import app
from hawkfish_plugin.clones import Clones
from hawkfish_plugin.db import Database
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.operations.verify import Verify
from tests.served import message_ids
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def _no_clones(emulator):
    """No clone is left at the end of a test."""
    yield
    emulator.driver.behaviour = Behaviour()
    emulator.wait_idle()
    assert not emulator.driver.clones()


def begin(emulator, name='a', **body):
    url = f'{emulator.snapshots_url}/{name}/Actions/HawkFishSnapshot.Verify'
    return requests.post(url, json=body, timeout=60)


def verify(emulator, name='a', **body):
    return emulator.wait(begin(emulator, name, **body))


def snapshot(emulator, name='a'):
    return requests.get(f'{emulator.snapshots_url}/{name}', timeout=60).json()


def failing(emulator, step):
    emulator.behaviour.fail_at = {
        f'verify:{step}': exceptions.OperationFailed('verify', 'told to')
    }


def checks(resource):
    return {
        one['Check']: one['Result']
        for one in resource['Verification']['Checks']
    }


def test_a_snapshot_says_what_was_checked(emulator):
    """And when; before it says that it never was."""
    emulator.created(Name='a')
    before = snapshot(emulator)

    answer = verify(
        emulator,
        Agent=True,
        ConsolePattern='login:',
        Command=['/bin/true'],
        AgentDeadlineSeconds=7,
    )
    after = snapshot(emulator)

    assert answer.status_code == 200, answer.text
    assert before['LastVerified'] is before['VerifyResult'] is None
    assert before['Verification'] is None
    assert after['VerifyResult'] == 'Passed'
    assert after['LastVerified'] >= after['CreatedTime']
    assert checks(after) == dict.fromkeys(
        ('Files', 'Running', 'Agent', 'Console', 'Command'), 'Passed'
    )
    assert after['Verification']['ScreenshotURI'] is None
    assert after['@odata.etag'] != before['@odata.etag']


def test_a_check_that_fails_fails_the_task(emulator):
    """It is noted with the snapshot, in the place of what was."""
    emulator.created(Name='a')
    verify(emulator)
    failing(emulator, 'check')

    answer = verify(emulator, Agent=True)
    found = snapshot(emulator)

    assert message_ids(answer) == ['VerifyFailed']
    assert found['VerifyResult'] == 'Failed'
    assert checks(found) == {
        'Files': 'Passed',
        'Running': 'Failed',
        'Agent': 'NotRun',
    }
    assert found['SnapshotState'] == 'Ready'


@pytest.mark.parametrize('step', ['prepare', 'start', 'finish'])
def test_what_says_nothing_of_a_snapshot_leaves_its_note(emulator, step):
    """As a host that has no space does."""
    emulator.created(Name='a')
    verify(emulator)
    before = snapshot(emulator)
    failing(emulator, step)

    answer = verify(emulator, Agent=True)

    assert message_ids(answer) == ['OperationFailed']
    assert snapshot(emulator) == before


def test_a_verification_can_be_cancelled(emulator):
    """And leaves no note."""
    emulator.created(Name='a')
    emulator.behaviour.seconds = 60
    verifying = begin(emulator)
    wait_for(emulator.driver.clones, 10)

    emulator.cancel(verifying)
    emulator.wait_idle()

    assert snapshot(emulator)['Verification'] is None


def test_a_delete_waits_for_it(emulator):
    """Nothing of the chain is changed meanwhile."""
    emulator.created(Name='a')
    emulator.behaviour.seconds = 1
    verifying = begin(emulator)
    answer = requests.delete(f'{emulator.snapshots_url}/a', timeout=60)

    assert message_ids(answer) == ['SnapshotBusy']
    assert emulator.wait(verifying).status_code == 200


def test_a_screenshot_has_a_uri_of_its_own(emulator):
    """A PNG file; without one there is nothing."""
    emulator.created(Name='a')
    url = f'{emulator.snapshots_url}/a/screenshot'
    assert requests.get(url, timeout=60).status_code == 404
    verify(emulator, Screenshot=True)

    uri = snapshot(emulator)['Verification']['ScreenshotURI']
    answer = requests.get(emulator.url + uri, timeout=60)

    assert emulator.url + uri == url
    assert answer.headers['Content-Type'] == 'image/png'
    assert answer.content.startswith(b'\x89PNG')
    verify(emulator)
    assert requests.get(url, timeout=60).status_code == 404


def test_a_later_snapshot_of_that_name_was_not_verified(emulator):
    """Nor is one that is gone known to have been."""
    emulator.created(Name='a')
    verify(emulator, Screenshot=True)
    emulator.wait(requests.delete(f'{emulator.snapshots_url}/a', timeout=60))
    emulator.created(Name='a')

    assert snapshot(emulator)['Verification'] is None


@pytest.mark.parametrize(
    'body',
    [
        {'ConsolePattern': ''},
        {'ConsolePattern': 257 * 'x'},
        {'ConsolePattern': 'two\nlines'},
        {'Command': []},
        {'Command': ['']},
        {'Command': ['/bin/echo', 'a\0b']},
        {'Command': ['/bin/echo', 5000 * 'x']},
        {'RunSeconds': 0},
        {'DeadlineSeconds': 3601},
        {'AgentDeadlineSeconds': 0},
    ],
)
def test_what_cannot_be_checked_is_refused(emulator, body):
    """With the parameter that is wrong."""
    emulator.created(Name='a')

    answer = begin(emulator, **body)

    assert answer.status_code == 400, answer.text
    (message,) = answer.json()['error']['@Message.ExtendedInfo']
    assert message['RelatedProperties'] == [f'#/{next(iter(body))}']


def test_no_snapshot_is_not_found(emulator):
    """Neither its action nor its picture is."""
    url = f'{emulator.snapshots_url}/none/screenshot'

    assert begin(emulator, 'none').status_code == 404
    assert requests.get(url, timeout=60).status_code == 404


def test_there_is_an_event_of_each(emulator):
    """Of those that have passed, and of those that have not."""
    emulator.created(Name='a')
    before = emulator.services.events.newest()
    verify(emulator)
    failing(emulator, 'check')
    verify(emulator)

    told = [
        (event.message_id.rpartition('.')[2], event.args)
        for event in emulator.services.events.after(before, 100)
        if 'Verif' in event.message_id
    ]

    assert told == [
        ('SnapshotVerified', ['a', 'fake', 'Files, Running']),
        (
            'SnapshotVerifyFailed',
            ['a', 'fake', 'Running', 'the fake driver was told to fail'],
        ),
    ]


def test_the_clone_of_a_task_that_was_abandoned_goes(emulator):
    """When the service looks again."""
    emulator.created(Name='a')
    emulator.behaviour.seconds = 60
    verifying = begin(emulator)
    wait_for(emulator.driver.clones, 10)
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


def test_the_newest_verified_snapshot_can_be_kept(emulator):
    """Whatever the limits are, if the policy says so."""
    for name in 'abc':
        emulator.created(Name=name)
        if name != 'c':
            verify(emulator, name)
    failing(emulator, 'check')
    verify(emulator, 'c')
    emulator.behaviour.fail_at = {}
    policy = f'{emulator.snapshots_url.rpartition("/")[0]}/SnapshotPolicy'
    try:
        answer = requests.patch(
            policy,
            json={'MaxSnapshots': 1, 'KeepNewestVerified': True},
            timeout=60,
        )
        assert answer.json()['KeepNewestVerified'] is True
        emulator.created(Name='d')
        emulator.wait_idle()
        listed = requests.get(emulator.snapshots_url, timeout=60).json()
        names = [
            one['@odata.id'].rpartition('/')[2] for one in listed['Members']
        ]
        assert names == ['b', 'd']
    finally:
        requests.patch(
            policy,
            json={'MaxSnapshots': None, 'KeepNewestVerified': None},
            timeout=60,
        )


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
    """And the picture."""
    emulator.created(Name='a')
    snapshots = client.HawkFish(emulator.url).snapshots('fake')

    snapshots.get('a').verify(agent=True, screenshot=True).wait(60)
    found = snapshots.get('a')

    assert found.verify_result == 'Passed'
    assert found.last_verified
    assert [one['Check'] for one in found.verification['Checks']] == [
        'Files',
        'Running',
        'Agent',
    ]
    assert found.screenshot().startswith(b'\x89PNG')


@pytest.mark.skipif(sys.platform == 'win32', reason='the paths of Linux')
def test_the_command_shows_what_was_found(emulator, hawkfish, tmp_path):
    """It fails where a check has, and keeps the picture all the same."""
    emulator.created(Name='a')
    picture = tmp_path / 'a.png'
    options = ('--screenshot', str(picture), '--command', '/bin/echo "a b"')

    status, out, err = hawkfish('snapshot', 'verify', 'fake', 'a', *options)
    assert status == 0, err
    assert 'Command Passed' in out
    assert picture.read_bytes().startswith(b'\x89PNG')
    picture.unlink()
    failing(emulator, 'check')
    status, out, err = hawkfish('snapshot', 'verify', 'fake', 'a', *options)

    assert status == 1
    assert "failed at the check 'Running'" in err
    assert picture.exists()
    _, out, _ = hawkfish('snapshot', 'list', 'fake', '--long')
    assert 'Verify Result' in out and 'Failed' in out


def test_the_sdk_has_a_deadline_for_each_check(emulator):
    """That of all is for those that have none of their own."""
    emulator.created(Name='a')
    found = client.HawkFish(emulator.url).snapshots('fake').get('a')

    found.verify(
        agent=True, deadline=9, deadlines={'Agent': 60.0, 'Console': 7}
    ).wait(60)

    task = max(emulator.services.tasks.list(), key=lambda one: one.id)
    assert task.arguments['request']['deadlines'] == {
        'Agent': 60,
        'Console': 7,
        'Command': 9,
    }


def test_a_command_need_not_wait(emulator, capsys):
    """Though what it saves is made at the end."""
    emulator.created(Name='a')
    words = ('--url', emulator.url, 'snaps-verify', 'fake', 'a', '--no-wait')

    with pytest.raises(SystemExit) as refused:
        app.main((*words, '--screenshot', 'x.png'))
    assert refused.value.code == 2
    capsys.readouterr()
    assert app.main((*words, '-c', 'Operation', '-f', 'value')) == 0
    assert capsys.readouterr().out.strip() == 'verify'
