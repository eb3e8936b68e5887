# SPDX-License-Identifier: Apache-2.0
"""Schedules and subscriptions whose owners lose their accounts."""

import pytest
import requests

from hawkfish_plugin.accounts.owners import Owner
from tests.unit.accounts.conftest import ACCOUNTS, PASSWORD, guarding
from tests.unit.schedules.clock import DAY, Service

JOBS = '/redfish/v1/JobService/Jobs'
SUBSCRIPTIONS = '/redfish/v1/EventService/Subscriptions'


@pytest.fixture
def guarded(emulator, tmp_path):
    with guarding(emulator, tmp_path) as found:
        yield found
    schedules = emulator.services.schedules
    for one in schedules.list():
        schedules.delete(one.name, lambda _: None)


@pytest.fixture
def service(guarded):
    """What the schedules do, as the boss sees it; the chief has made one."""
    made = Service(guarded.emulator)
    made.before = guarded.emulator.services.events.newest()
    response = guarded.ask(
        'chief',
        'POST',
        JOBS,
        json={
            'Name': 'nightly',
            'Schedule': {
                'InitialStartTime': '2037-01-02T02:30:00Z',
                'RecurrenceInterval': 'P1D',
            },
            'Payload': {'TargetUri': made.snapshots()},
        },
    )
    assert response.status_code == 201, response.text
    return made


def subscribe(guarded, name='chief'):
    response = guarded.ask(
        name,
        'POST',
        SUBSCRIPTIONS,
        json={'Destination': 'http://127.0.0.1:9/', 'Protocol': 'Redfish'},
    )
    assert response.status_code == 201, response.text
    return response.headers['Location']


def job(guarded):
    return guarded.ask('boss', 'GET', f'{JOBS}/nightly').json()


def look(guarded):
    guarded.emulator.services.ownership.periodic()


def remove(file, name):
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(''.join(x for x in lines if not x.startswith(f'{name}:')))


def replace(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def noted(guarded):
    log = '/redfish/v1/Managers/HawkFish/LogServices/Audit/Entries'
    members = guarded.ask('boss', 'GET', log).json()['Members']
    # The newest of each counts.
    return {
        m['Oem']['HawkFish']['TargetUri']: m['MessageId'].rpartition('.')[2]
        for m in reversed(members)
        if m['OriginatorType'] == 'Internal'
    }


@pytest.mark.parametrize(
    'lose, reason',
    [
        (lambda g: remove(g.users, 'chief'), 'OwnerRemoved'),
        (
            lambda g: replace(
                g.roles, 'chief:Administrator', 'chief:Administrator:disabled'
            ),
            'OwnerDisabled',
        ),
        (
            lambda g: replace(
                g.roles, 'chief:Administrator', 'chief:Operator'
            ),
            'OwnerNotPrivileged',
        ),
    ],
)
def test_whose_owner_may_not_any_more(guarded, service, lose, reason):
    """It makes nothing, is suspended, and that is told everywhere."""
    lose(guarded)
    service.at(0)
    assert not service.names()
    look(guarded)
    look(guarded)
    look(guarded)

    found = job(guarded)
    assert found['JobState'] == 'Suspended'
    assert found['JobStatus'] == 'Warning'
    (told,) = found['Messages']
    assert told['MessageId'].endswith(f'.{reason}')
    assert noted(guarded)[f'{JOBS}/nightly'] == reason
    assert service.events(reason) == [[f'{JOBS}/nightly']]
    service.at(DAY)
    assert not service.names()

    # Whoever resumes it answers for it.
    resumed = guarded.ask(
        'boss', 'POST', f'{JOBS}/nightly/Actions/Job.Resume', json={}
    )
    assert resumed.status_code == 204
    look(guarded)
    look(guarded)
    assert job(guarded)['JobState'] == 'Pending'
    assert job(guarded)['Messages'] == []


def test_a_schedule_of_an_account_goes_on(guarded, service):
    look(guarded)
    look(guarded)
    service.at(0)

    assert len(service.names()) == 1


@pytest.mark.parametrize('spoil', ['empty', 'unreadable', 'no roles'])
def test_a_file_that_is_being_written(guarded, service, spoil):
    """Nobody is taken for removed; a run waits until it is known."""
    users, roles = guarded.users.read_text(), guarded.roles.read_text()
    location = subscribe(guarded)
    if spoil == 'empty':
        guarded.users.write_text('')
    elif spoil == 'unreadable':
        guarded.users.write_bytes(b'\xff:x\n')
    else:
        guarded.roles.unlink()
    look(guarded)
    look(guarded)
    service.at(0)
    assert not service.names()
    assert service.row().outcome == 'Waiting'
    guarded.users.write_text(users)
    guarded.roles.write_text(roles)

    assert job(guarded)['JobState'] == 'Pending'
    assert guarded.ask('boss', 'GET', location).status_code == 200
    service.at(1)
    assert len(service.names()) == 1


def test_one_look_is_not_enough(guarded, service):
    """As a program replaces the file line by line."""
    users = guarded.users.read_text()
    remove(guarded.users, 'chief')
    look(guarded)
    guarded.users.write_text(users)
    look(guarded)
    look(guarded)

    assert job(guarded)['JobState'] == 'Pending'


def test_a_file_that_was_moved(guarded, service):
    """The accounts are those of the emulator's present file."""
    moved = guarded.users.with_name('moved')
    guarded.users.rename(moved)
    guarded.emulator.app.wsgi_app.auth_file = str(moved)
    look(guarded)
    look(guarded)
    assert not service.row().suspended
    remove(moved, 'chief')
    look(guarded)
    look(guarded)
    assert service.row().suspended


def test_a_file_with_a_relative_path(tmp_path, monkeypatch):
    """It is the same one to a process that was started elsewhere."""
    (tmp_path / 'users').write_text('chief:x\n')
    monkeypatch.chdir(tmp_path)
    owner = Owner.of('chief', 'users')
    monkeypatch.chdir('/')

    assert owner.file_now('other') == str(tmp_path / 'users')


def test_an_account_that_is_removed_over_redfish(guarded, service):
    """At once, so that no new account of the same name inherits it."""
    location = subscribe(guarded)
    other = subscribe(guarded, 'hand')
    gone = guarded.ask('boss', 'DELETE', f'{ACCOUNTS}/chief')
    assert gone.status_code == 204, gone.text
    made = guarded.ask(
        'boss',
        'POST',
        ACCOUNTS,
        json={
            'UserName': 'chief',
            'Password': PASSWORD,
            'RoleId': 'Administrator',
        },
    )
    assert made.status_code == 201, made.text

    assert job(guarded)['JobState'] == 'Suspended'
    assert guarded.ask('boss', 'GET', location).status_code == 404
    assert guarded.ask('boss', 'GET', other).status_code == 200
    assert noted(guarded)[location] == 'OwnerRemoved'


def test_the_subscription_of_who_is_disabled_rests(guarded):
    location = subscribe(guarded, 'hand')
    replace(guarded.roles, 'hand:Operator', 'hand:Operator:disabled')
    look(guarded)
    assert state(guarded, location) == 'Enabled'
    look(guarded)

    assert state(guarded, location) != 'Enabled'
    assert noted(guarded)[location] == 'OwnerDisabled'


def state(guarded, location):
    return guarded.ask('boss', 'GET', location).json()['Status']['State']


@pytest.mark.parametrize('change', ['password', 'removed', 'role'])
def test_a_stream_ends_with_the_password(guarded, change):
    """With the account as well; a change of the role alone is none of it."""
    stream = requests.get(
        f'{guarded.url}/redfish/v1/EventService/SSE',
        auth=('hand', PASSWORD),
        stream=True,
        timeout=60,
    )
    with stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert next(lines) == ': hawkfish'
        if change == 'password':
            answer = guarded.ask(
                'hand',
                'PATCH',
                f'{ACCOUNTS}/hand',
                json={'Password': 'another-horse-battery'},
            )
            assert answer.status_code == 200, answer.text
        elif change == 'removed':
            remove(guarded.users, 'hand')
        else:
            replace(guarded.roles, 'hand:Operator', 'hand:ReadOnly')
        guarded.ask(
            'boss',
            'POST',
            '/redfish/v1/EventService/Actions/EventService.SubmitTestEvent',
            json={'MessageId': 'Base.1.0.Success'},
        )

        if change == 'role':
            assert any('Success' in line for line in lines)
        else:
            assert not any('Success' in line for line in lines)
