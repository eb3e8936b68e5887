# SPDX-License-Identifier: Apache-2.0
"""
Backups over HTTP, in Python and on the command line.

Long, as each request is made in all three ways.
"""

import pytest
import requests

from hawkfish_plugin import backups, client, exceptions, locks
from hawkfish_plugin.cli import app
from hawkfish_plugin.drivers.backups import Backup
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.drivers.contract import System
from hawkfish_plugin.retention import chains
from tests.served import message_ids
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def _repository(emulator):
    """Each test has a repository, in which none leaves anything."""
    conf = emulator.services.conf
    conf.set_override('repository', 'store', 'backup')
    before = set(emulator.driver.power_states())
    yield
    conf.clear_override('repository', 'backup')
    emulator.driver.behaviour = Behaviour()
    emulator.wait_idle()
    for backup in reversed(listed(emulator)):
        emulator.wait(delete(emulator, backup))
    assert not emulator.driver.backup_files()
    assert set(emulator.driver.power_states()) == before


def url_of(emulator):
    system = requests.get(
        f'{emulator.url}/redfish/v1/Systems/{emulator.system}', timeout=60
    ).json()
    return emulator.url + system['Oem']['HawkFish']['Backups']['@odata.id']


def begin(emulator, **body):
    return requests.post(url_of(emulator), json=body, timeout=60)


def made(emulator, **body):
    """The backup that a successful one has made."""
    answer = emulator.wait(begin(emulator, **body))
    assert answer.status_code == 201, answer.text
    assert answer.headers['Location'] == answer.json()['@odata.id']
    return answer.json()


def listed(emulator):
    return requests.get(url_of(emulator) + '?$expand=.', timeout=60).json()[
        'Members'
    ]


def act(emulator, backup, action, **body):
    uri = backup['Actions'][f'#HawkFishBackup.{action}']['target']
    return requests.post(emulator.url + uri, json=body, timeout=60)


def delete(emulator, backup):
    return requests.delete(emulator.url + backup['@odata.id'], timeout=60)


def events_of(emulator, kind):
    """The arguments of each event of a kind, in their order."""
    return [
        event.args
        for event in emulator.services.events.after(0, 100_000)
        if event.message_id == f'HawkFish.1.0.{kind}'
    ]


def test_a_second_backup_stands_on_the_first(emulator):
    """It is incremental, and each names the other."""
    first, second = made(emulator, Description='words'), made(emulator)

    assert first['BackupType'] == 'Full'
    assert first['FullReason'] == 'it is the first one'
    assert first['Description'] == 'words'
    assert second['BackupType'] == 'Incremental'
    assert second['FullReason'] is None
    assert second['SizeBytes'] < first['SizeBytes'] / 10
    assert second['Links']['Parent']['@odata.id'] == first['@odata.id']
    (now, _) = listed(emulator)
    assert [one['@odata.id'] for one in now['Links']['Children']] == [
        second['@odata.id']
    ]
    assert [first['Id'], 'fake'] in events_of(emulator, 'BackupCreated')


def test_a_revert_makes_the_next_one_full(emulator):
    """By itself, and it says so; the one after is incremental again."""
    emulator.created(Name='a')
    made(emulator)
    emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/a/Actions/HawkFishSnapshot.Revert',
            json={},
            timeout=60,
        )
    )

    after, last = made(emulator), made(emulator)

    assert after['BackupType'] == 'Full'
    assert 'reverted' in after['FullReason']
    assert last['Links']['Parent']['@odata.id'] == after['@odata.id']


def test_a_full_one_can_be_asked_for(emulator):
    """And is one by itself as soon as a chain is long enough."""
    emulator.services.conf.set_override('max_incrementals', 1, 'backup')
    try:
        found = [made(emulator) for _ in range(3)]
    finally:
        emulator.services.conf.clear_override('max_incrementals', 'backup')
    asked = made(emulator, BackupType='Full')

    types = [one['BackupType'] for one in found]
    assert types == ['Full', 'Incremental', 'Full']
    assert asked['FullReason'] == 'it was asked for'


def test_without_a_repository_it_says_how_to_get_one(emulator):
    """The list is there all the same, and a create is refused."""
    emulator.services.conf.clear_override('repository', 'backup')

    told = requests.get(url_of(emulator), timeout=60).json()['Repository']
    refused = begin(emulator)

    assert told['Usable'] is False
    assert '[backup] repository' in told['Finding']
    assert message_ids(refused) == ['BackupNotConfigured']


@pytest.mark.parametrize(
    'body, expected',
    [
        ({'BackupType': 'Half'}, 'PropertyValueNotInList'),
        ({'Quiesce': True}, 'PropertyValueTypeError'),
        ({'Description': 'a\x00'}, 'PropertyValueFormatError'),
        ({'Size': 1}, 'PropertyUnknown'),
    ],
)
def test_a_wrong_request_is_refused(emulator, body, expected):
    """With the property at fault."""
    assert message_ids(begin(emulator, **body)) == [expected]


def test_what_others_stand_on_is_not_deleted(emulator):
    """The newest is, and then the one below."""
    first, second = made(emulator), made(emulator)

    refused = delete(emulator, first)
    answer = emulator.wait(delete(emulator, second))

    assert message_ids(refused) == ['BackupReferenced']
    assert second['Id'] in refused.text
    assert answer.status_code == 200
    assert [one['Id'] for one in listed(emulator)] == [first['Id']]
    told = events_of(emulator, 'BackupDeleted')
    assert [second['Id'], 'fake', 'Request'] in told


def test_the_next_one_does_not_stand_on_what_is_gone(emulator):
    """It is full, as what has changed since the last is not known."""
    made(emulator)
    emulator.wait(delete(emulator, made(emulator)))

    assert made(emulator)['BackupType'] == 'Full'


def test_a_backup_becomes_a_system(emulator):
    """With an identity of its own; and an event says so."""
    backup = made(emulator)

    answer = emulator.wait(act(emulator, backup, 'Restore', Name='again'))

    assert answer.status_code == 201, answer.text
    uuid = answer.headers['Location'].rpartition('/')[2]
    found = {one.uuid: one.name for one in emulator.driver.power_states()}
    assert uuid != emulator.system
    assert found[uuid] == 'again'
    told = events_of(emulator, 'BackupRestored')
    assert [backup['Id'], 'fake', 'again'] in told
    _remove(emulator, uuid)


def _remove(emulator, uuid):
    from hawkfish_plugin.emulator import internals

    internals.remove_fake_system(emulator.driver._systems(), uuid)


@pytest.mark.parametrize(
    'body, expected',
    [
        ({}, 'SystemExists'),
        ({'Name': 'a/b'}, 'SystemNameInvalid'),
        ({'Name': 'b', 'Pool': 'none'}, 'PoolNotUsable'),
    ],
)
def test_a_restore_is_refused_beforehand(emulator, body, expected):
    """Nothing is overwritten."""
    answer = act(emulator, made(emulator), 'Restore', **body)

    assert message_ids(answer) == [expected]


@pytest.fixture
def _files(emulator):
    """The disks of systems that were restored over are gone at the end."""
    yield
    emulator.wait_idle()
    emulator.driver.remove_files(list(emulator.driver.received()))


def names(emulator):
    return emulator.driver.names(emulator.system)


@pytest.mark.usefixtures('_files')
@pytest.mark.parametrize(
    'asked, state', [({}, 'Off'), ({'Start': True}, 'On')]
)
def test_a_backup_goes_over_its_system(emulator, asked, state):
    """After a safety snapshot; there is no new system, and an event tells."""
    emulator.created(Name='a')
    first, _ = made(emulator), made(emulator)
    before = set(emulator.driver.power_states())

    answer = emulator.wait(
        act(emulator, first, 'Restore', Over='fake', **asked)
    )

    assert answer.status_code == 200, answer.text
    assert set(emulator.driver.power_states()) == before
    system = emulator.driver.resolve(emulator.system)
    wait_for(
        lambda: emulator.driver.power_states()[system] == state,
        lambda: f'the power state {emulator.driver.power_states()[system]}',
    )
    assert names(emulator)[0] == 'a'
    assert names(emulator)[1].startswith('safety-')
    disk = next(f['Path'] for f in first['Files'] if f['Role'] == 'Disk')
    assert [*emulator.driver.received().values()] == [
        emulator.driver.backup_files()[disk]
    ]
    told = events_of(emulator, 'BackupRestored')
    assert [first['Id'], 'fake', 'fake'] in told


@pytest.mark.parametrize(
    'body, status, expected',
    [
        ({'Name': 'b'}, 400, 'PropertyValueConflict'),
        ({'Pool': 'default'}, 400, 'PropertyValueConflict'),
        ({'Over': 'nothing'}, 404, 'ResourceNotFound'),
        ({'Over': 1}, 400, 'ActionParameterValueTypeError'),
    ],
)
def test_a_restore_over_a_system_is_refused(emulator, body, status, expected):
    """Beforehand, and without a snapshot."""
    asked = {'Over': 'fake', **body}

    answer = act(emulator, made(emulator), 'Restore', **asked)

    assert (answer.status_code, message_ids(answer)) == (status, [expected])
    assert not names(emulator)


def test_a_damaged_backup_goes_over_no_system(emulator):
    """Its safety snapshot is all that was made."""
    backup = made(emulator)
    name = next(f['Path'] for f in backup['Files'] if f['Role'] == 'Disk')
    emulator.driver.damage_backup(name)

    answer = emulator.wait(act(emulator, backup, 'Restore', Over='fake'))

    assert message_ids(answer) == ['BackupDamaged']
    assert len(names(emulator)) == 1
    assert not emulator.driver.received()


@pytest.mark.usefixtures('_files')
def test_what_goes_over_a_system_is_not_deleted(emulator):
    """From the request on: the safety snapshot takes its time."""
    emulator.behaviour.delay = 0.3
    backup = made(emulator)
    running = act(emulator, backup, 'Restore', Over='fake')

    refused = delete(emulator, backup)

    assert message_ids(refused) == ['BackupInUse']
    assert emulator.wait(running).status_code == 200


@pytest.mark.usefixtures('_files')
def test_a_delete_is_decided_before_or_after_a_restore(emulator, monkeypatch):
    """Also of a backup of another system than the one that it goes over."""
    backup = made(emulator)
    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)
    # As who decides to delete it.
    with emulator.services._foundations.locks.deciding(emulator.system):
        refused = act(emulator, backup, 'Restore', Over='node-0')

    assert message_ids(refused) == ['SystemLocked']


def test_a_damaged_file_is_found(emulator):
    """In what the backup stands on, too; then nothing else does any more."""
    first, second = made(emulator), made(emulator)
    before = emulator.wait(act(emulator, second, 'Verify'))
    name = next(f['Path'] for f in first['Files'] if f['Role'] == 'Disk')
    emulator.driver.damage_backup(name)

    after = emulator.wait(act(emulator, second, 'Verify'))

    assert before.status_code == 200, before.text
    assert message_ids(after) == ['BackupDamaged']
    found = listed(emulator)[1]
    assert found['VerifyResult'] == 'Failed'
    assert name in found['VerifyFinding']
    assert [second['Id'], 'fake'] in events_of(emulator, 'BackupVerified')
    assert made(emulator)['BackupType'] == 'Full'
    answer = emulator.wait(act(emulator, second, 'Restore', Name='b'))
    assert message_ids(answer) == ['BackupDamaged']


def test_what_is_read_is_not_deleted(emulator):
    """Nor is what it stands on."""
    first, second = made(emulator), made(emulator)
    with emulator.slow():
        pending = act(emulator, second, 'Verify')
        refused = [delete(emulator, one) for one in (first, second)]
        emulator.cancel(pending)

    assert message_ids(refused[0]) == ['BackupReferenced']
    assert message_ids(refused[1]) == ['BackupInUse']


def test_one_backup_at_a_time(emulator):
    """A second one is refused, and says by what."""
    with emulator.slow():
        pending = begin(emulator)
        refused = begin(emulator)
        emulator.cancel(pending)

    assert message_ids(refused) == ['BackupInUse']
    assert not listed(emulator)
    assert not emulator.driver.backup_files()


def test_a_failed_backup_leaves_nothing(emulator):
    """And an event tells of it."""
    emulator.behaviour.fail_at = {
        'backup:copy': exceptions.OperationFailed('backup', 'no space left')
    }

    answer = emulator.wait(begin(emulator))

    assert message_ids(answer) == ['OperationFailed']
    assert not listed(emulator)
    assert not emulator.driver.backup_files()
    told = events_of(emulator, 'BackupFailed')[-1]
    assert told[:2] == ['fake', 'backup']
    assert 'no space left' in told[2]


def test_the_backups_of_a_system_that_is_gone(emulator):
    """They are found by its name and by its UUID, and restored under it."""
    backup = made(emulator)
    systems = emulator.driver._systems()
    kept = dict(systems._systems[emulator.system])
    _remove(emulator, emulator.system)
    try:
        for identity in (emulator.system, 'fake'):
            url = (
                f'{emulator.url}/redfish/v1/Systems/{identity}'
                '/Oem/HawkFish/Backups?$expand=.'
            )
            (found,) = requests.get(url, timeout=60).json()['Members']
            assert found['Id'] == backup['Id']
        answer = emulator.wait(act(emulator, backup, 'Restore'))
        assert answer.status_code == 201, answer.text
        _remove(emulator, answer.headers['Location'].rpartition('/')[2])
    finally:
        systems._systems[emulator.system] = kept
        systems._by_name['fake'] = emulator.system


def test_backups_of_no_system(emulator):
    """There are none."""
    url = f'{emulator.url}/redfish/v1/Systems/none/Oem/HawkFish/Backups'

    assert requests.get(url, timeout=60).status_code == 404
    for path in ('/a', '/99'):
        answer = requests.get(url_of(emulator) + path, timeout=60)
        assert answer.status_code == 404


# Retention -------------------------------------------------------------------


def stored(number, parent=None, created=0.0, deleting=False):
    token = f'{number:012}'
    below = None if parent is None else f'{parent:012}'
    made = Backup(token, 'store', below, '', 'On', 'Quiesced')
    system = System('uuid', 'name')
    return backups.StoredBackup(
        number, number, system, made, '', created, deleting, None, None
    )


def superfluous(found, now=0.0, most=0, days=0, schedules=None):
    return [
        (one.id, reason)
        for one, reason in chains.superfluous(
            found, now, most, days, schedules or {}
        )
    ]


TWO_CHAINS = [
    stored(1, created=0),
    stored(2, 1, created=1),
    stored(3, created=2),
    stored(4, 3, created=3),
]


@pytest.mark.parametrize('most, gone', [(4, []), (3, []), (2, [2, 1])])
def test_a_chain_goes_when_none_of_it_is_kept(most, gone):
    """The newest first."""
    found = superfluous(TWO_CHAINS, most=most)

    assert found == [(number, 'MaxBackups') for number in gone]


def test_the_tip_of_an_old_chain_goes_alone():
    """What a kept one stands on stays."""
    found = [*TWO_CHAINS[:2], stored(3, 1)]

    assert superfluous(found, most=1) == [(2, 'MaxBackups')]


def test_old_ones_go_but_for_the_newest():
    """However old it is."""
    now = 10 * 24 * 3600.0

    assert superfluous(TWO_CHAINS, now, days=1) == [
        (2, 'MaxBackupDays'),
        (1, 'MaxBackupDays'),
    ]


def test_no_limit_keeps_all():
    """As configured by default."""
    assert not superfluous(TWO_CHAINS, 1e12)


def test_what_is_superfluous_is_deleted_after_a_backup(emulator):
    """With the limit as the reason."""
    conf = emulator.services.conf
    conf.set_override('max_backups', 1, 'backup')
    try:
        first = made(emulator)
        made(emulator)
        assert len(listed(emulator)) == 2
        last = made(emulator, BackupType='Full')
        wait_for(lambda: len(listed(emulator)) == 1)
        emulator.wait_idle()
    finally:
        conf.clear_override('max_backups', 'backup')

    assert [one['Id'] for one in listed(emulator)] == [last['Id']]
    told = events_of(emulator, 'BackupDeleted')
    assert [first['Id'], 'fake', 'MaxBackups'] in told


# Python and the command line -----------------------------------------------


def test_python(emulator):
    """The whole life of one."""
    found = client.HawkFish(emulator.url).backups('fake')
    first = found.create(description='words').wait()
    second = found.create().wait()

    assert (first.backup_type, second.backup_type) == ('Full', 'Incremental')
    assert second.parent == first.identity
    assert found.get(first.identity).children == [second.identity]
    second.verify().wait()
    assert found.get(second.identity).verify_result == 'Passed'
    second.delete().wait()
    assert [one.identity for one in found.get_members()] == [first.identity]


def run(emulator, capsys, *words):
    status = app.main(['--url', emulator.url, *words])
    return status, capsys.readouterr().out


@pytest.mark.usefixtures('_files')
def test_command_line(emulator, capsys):
    """Each command, in the order of a life."""
    status, out = run(
        emulator, capsys, 'backup', 'create', 'fake', '-f', 'value', '-c', 'ID'
    )
    assert status == 0
    number = out.strip()
    for words, expected in (
        (('list', 'fake', '-f', 'value'), f'{number} Full Ready'),
        (('verify', 'fake', number), 'Completed'),
        (('show', 'fake', number), 'Passed'),
        (('restore', 'fake', number, '--name', 'again'), 'Completed'),
        (('restore', 'fake', number, '--over', 'fake'), 'restore-over'),
        (('delete', 'fake', number, '--wait'), 'Completed'),
    ):
        status, out = run(emulator, capsys, 'backup', *words)
        assert status == 0, words
        assert expected in out
    words = ('restore', 'fake', number, '--over', 'fake', '--name', 'b')
    assert run(emulator, capsys, 'backup', *words)[0] == 1
    (uuid,) = (
        one.uuid
        for one in emulator.driver.power_states()
        if one.name == 'again'
    )
    _remove(emulator, uuid)


@pytest.mark.parametrize(
    'words, question',
    [
        (('backup', 'delete', 'fake', '1'), 'Delete backup 1 of fake'),
        (('backup', 'restore', 'fake', '1', '--over', 'fake'), 'Put fake on'),
        (('system', 'import', 'no-file', '--over', 'fake'), 'Put fake on'),
    ],
)
def test_what_discards_data_can_ask(emulator, capsys, words, question):
    """Before anything else is done."""
    assert app.main(('--url', emulator.url, *words, '-i')) == 1
    told = capsys.readouterr().err
    assert question in told
    assert 'use --yes to confirm' in told
