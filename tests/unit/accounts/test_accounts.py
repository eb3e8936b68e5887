# SPDX-License-Identifier: Apache-2.0
"""
Accounts over the two files: listed, added, changed, removed.

Long, as each way to change one, or not to, has its test.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import stat

import pytest
from werkzeug.middleware import proxy_fix

from hawkfish_plugin import bounds
from hawkfish_plugin.accounts import files, roles
from hawkfish_plugin.audit import View
from hawkfish_plugin.emulator import internals
from tests.served import FAKE_UUID, message_ids, user_entry
from tests.unit.accounts.conftest import (
    ACCOUNTS,
    PASSWORD,
    ROLES,
    SERVICE,
    SESSIONS,
)

NEW = {
    'UserName': 'maker',
    'Password': 'something-long-enough',
    'RoleId': 'Operator',
}


def account(name):
    return f'{ACCOUNTS}/{name}'


# Reading ------------------------------------------------------------------


def test_the_service_and_its_roles(guarded):
    """The root leads to the roles that the standard has."""
    root = guarded.ask(None, 'GET', '/redfish/v1').json()
    service = guarded.ask('eye', 'GET', SERVICE).json()
    listed = guarded.ask('eye', 'GET', f'{SERVICE}/Roles?$expand=.').json()

    assert root['AccountService'] == {'@odata.id': SERVICE}
    assert service['ServiceEnabled']
    assert service['MinPasswordLength'] == 12
    assert {
        member['RoleId']: tuple(member['AssignedPrivileges'])
        for member in listed['Members']
    } == roles.PRIVILEGES
    assert guarded.ask('eye', 'GET', f'{SERVICE}/Roles/Other').ok is False


def test_accounts_are_the_users_of_the_file(guarded):
    """All of them, for an Administrator; who is in no line is ReadOnly."""
    listed = guarded.ask('boss', 'GET', f'{ACCOUNTS}?$expand=.').json()

    assert {m['UserName']: m['RoleId'] for m in listed['Members']} == {
        **ROLES,
        'new': 'ReadOnly',
    }
    assert {m['Password'] for m in listed['Members']} == {None}
    assert not any(m['Locked'] for m in listed['Members'])


@pytest.mark.parametrize('user', ['hand', 'eye'])
def test_others_see_themselves(guarded, user):
    """Neither a link, nor an expanded member, nor a filter shows more."""
    for query in ('', '?$expand=.', "?$filter=RoleId eq 'Administrator'"):
        listed = guarded.ask(user, 'GET', ACCOUNTS + query)
        assert 'boss' not in listed.text
    own = guarded.ask(user, 'GET', account(user))
    other = guarded.ask(user, 'GET', account('boss'))

    assert own.json()['UserName'] == user
    assert other.status_code == 403
    assert guarded.ask(user, 'GET', account('nobody')).status_code == 403


def test_without_a_file_of_roles_all_are_administrators(guarded):
    """As they were; and nobody can be made less, as nothing would keep it."""
    guarded.configure(roles_file=None)
    listed = guarded.ask('eye', 'GET', f'{ACCOUNTS}?$expand=.').json()
    refused = [
        guarded.ask(
            'eye', 'PATCH', account('hand'), json={'RoleId': 'ReadOnly'}
        ),
        guarded.ask('eye', 'PATCH', account('hand'), json={'Enabled': False}),
        guarded.ask('eye', 'POST', ACCOUNTS, json=NEW),
    ]
    made = guarded.ask(
        'eye', 'POST', ACCOUNTS, json={**NEW, 'RoleId': 'Administrator'}
    )

    assert {m['RoleId'] for m in listed['Members']} == {'Administrator'}
    for response in refused:
        assert response.status_code == 409
        assert message_ids(response) == ['RolesNotKept']
    assert made.status_code == 201


def test_a_role_that_cannot_be_kept_writes_nothing(guarded):
    """Not even for a moment is there an account with all privileges."""
    guarded.configure(roles_file='')
    before = guarded.users.stat().st_mtime_ns
    refused = guarded.ask(
        'boss',
        'POST',
        ACCOUNTS,
        json={
            'UserName': 'carol',
            'Password': PASSWORD,
            'RoleId': 'ReadOnly',
        },
    )

    assert message_ids(refused) == ['RolesNotKept']
    # A file that was replaced, and put back, has another time.
    assert guarded.users.stat().st_mtime_ns == before


def test_without_users_there_are_no_accounts(emulator):
    """Where nobody is asked for a password the service says so."""
    import requests

    service = requests.get(emulator.url + SERVICE).json()
    listed = requests.get(emulator.url + ACCOUNTS)
    refused = requests.post(emulator.url + ACCOUNTS, json=NEW)

    assert service['Status']['State'] == 'Disabled'
    assert listed.json()['Members'] == []
    assert refused.status_code == 405


@pytest.mark.parametrize(
    'text',
    [
        None,
        '',
        'boss:administrator\n',
        'boss:Admin\n',
        'boss\n',
        '#boss:Administrator\n',
        'boss:ReadOnly\nboss:Administrator\n',
        b'\xffboss:Administrator\n',
    ],
)
def test_a_lost_or_broken_file_of_roles_makes_nobody_more(guarded, text):
    """Nobody is an Administrator but who is called one, letter for letter."""
    guarded.roles.unlink()
    if text is not None:
        raw = text if isinstance(text, bytes) else text.encode()
        guarded.roles.write_bytes(raw)

    shown = guarded.ask('boss', 'GET', account('boss'))
    refused = guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    assert shown.json()['RoleId'] == 'ReadOnly'
    assert refused.status_code == 403


def test_what_is_no_text_spoils_no_other_line(guarded):
    """Who is disabled stays so, and an Administrator can mend the file."""
    with guarded.roles.open('ab') as file:
        file.write(b'# \xff\n')
    text = guarded.roles.read_bytes()
    guarded.roles.write_bytes(text.replace(b'eye:ReadOnly', b'eye:ReadOnly:x'))

    assert guarded.ask('eye', 'GET', SERVICE).status_code == 401
    assert guarded.ask('boss', 'GET', ACCOUNTS).status_code == 200


def test_what_wraps_the_emulator_hides_no_user(guarded):
    """As flask's own ProxyFix does, which many put there."""
    app = guarded.emulator.app
    app.wsgi_app = proxy_fix.ProxyFix(app.wsgi_app)
    reset = f'/redfish/v1/Systems/{FAKE_UUID}/Actions/ComputerSystem.Reset'

    refused = guarded.ask('eye', 'POST', reset, json={'ResetType': 'On'})

    assert refused.status_code == 403


def test_a_lost_database_makes_nobody_more(guarded):
    """Roles are no part of it: without its tables they are what they were."""
    with guarded.emulator.database.transaction() as connection:
        connection.execute('DELETE FROM sessions')
        connection.execute('DELETE FROM login_failures')

    assert guarded.ask('eye', 'POST', ACCOUNTS, json=NEW).status_code == 403


# Writing ------------------------------------------------------------------


def test_accounts_are_bounded(guarded, monkeypatch):
    """One more than there may be is refused, and is in neither file."""
    before = guarded.users.read_text(), guarded.roles.read_text()
    monkeypatch.setattr(bounds, 'ACCOUNTS', len(ROLES) + 1)
    answer = guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    assert answer.status_code == 400
    assert message_ids(answer) == ['CreateLimitReachedForResource']
    assert (guarded.users.read_text(), guarded.roles.read_text()) == before


def test_a_password_of_half_a_character(guarded):
    """JSON has it, and no encoding has: it is refused."""
    body = {**NEW, 'Password': 'something-\ud800-long-enough'}
    for method, uri, sent in (
        ('POST', ACCOUNTS, body),
        ('PATCH', account('eye'), {'Password': body['Password']}),
    ):
        answer = guarded.ask('boss', method, uri, json=sent)
        assert answer.status_code == 400
        assert message_ids(answer) == ['PropertyValueFormatError']


def test_new_passwords_wait_for_their_turn(guarded):
    """They cost as much as checks; what is refused anyway costs nothing."""
    token = guarded.login('boss').headers['X-Auth-Token']
    body = {'Password': 'another-good-one'}

    def change(**headers):
        return guarded.ask(
            None,
            'PATCH',
            account('boss'),
            json=body,
            headers={'X-Auth-Token': token, **headers},
        )

    with contextlib.ExitStack() as all_turns:
        for _ in range(bounds.PASSWORD_CHECKS):
            all_turns.enter_context(internals.turn())
        stale = change(**{'If-Match': '"x"'})
        late = change()

    assert stale.status_code == 412
    assert late.status_code == 503
    assert change().status_code == 200


def test_an_account_from_its_beginning_to_its_end(guarded):
    """It can log in as what it is, is changed, and is gone."""
    made = guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)
    assert made.status_code == 201
    assert made.headers['Location'] == account('maker')
    assert made.json()['RoleId'] == 'Operator'

    token = guarded.login('maker', NEW['Password'])
    assert token.status_code == 201
    assert token.json()['Roles'] == ['Operator']
    changed = guarded.ask(
        'boss',
        'PATCH',
        account('maker'),
        json={'Password': 'another-good-one', 'RoleId': 'ReadOnly'},
    )
    assert changed.json()['RoleId'] == 'ReadOnly'
    assert changed.headers['ETag'] != made.headers['ETag']
    header = {'X-Auth-Token': token.headers['X-Auth-Token']}
    assert (
        guarded.ask(None, 'GET', ACCOUNTS, headers=header).status_code == 401
    )
    assert guarded.login('maker', NEW['Password']).status_code == 401
    assert guarded.login('maker', 'another-good-one').status_code == 201

    gone = guarded.ask('boss', 'DELETE', account('maker'))
    assert gone.status_code == 204
    assert guarded.login('maker', 'another-good-one').status_code == 401
    assert 'maker' not in guarded.users.read_text() + guarded.roles.read_text()


def test_htpasswd_reads_what_was_written(guarded):
    """The entry has the cost and the prefix that the tool writes."""
    guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    line = guarded.users.read_text().splitlines()[-1]
    assert line.startswith('maker:$2y$10$')


def test_other_lines_stay(guarded):
    """Comments, lines that nobody understands and the last one as well."""
    before = '# comment: x\n\n' + guarded.users.read_text().rstrip('\n')
    guarded.users.write_text(before)
    guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    assert guarded.users.read_text().startswith(before + '\nmaker:')
    guarded.ask('boss', 'DELETE', account('maker'))
    assert guarded.users.read_text() == before + '\n'


def test_no_second_line_takes_the_place_of_the_first(guarded):
    """A user who is removed does not come back by an older password."""
    with guarded.users.open('a') as file:
        file.write(user_entry('hand', 'older-password'))

    guarded.ask('boss', 'DELETE', account('hand'))

    assert guarded.login('hand', 'older-password').status_code == 401


def test_mode_and_owner_stay(guarded):
    """Also where the file is reached by a link, which stays one."""
    real = guarded.users.rename(guarded.users.with_name('real'))
    guarded.users.symlink_to(real)
    os.chmod(real, 0o640)
    os.chown(real, 12345, 23456)

    guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    found = real.stat()
    assert stat.S_IMODE(found.st_mode) == 0o640
    assert (found.st_uid, found.st_gid) == (12345, 23456)
    assert guarded.users.is_symlink()
    assert 'maker' in real.read_text()
    assert not list(real.parent.glob('.real*'))


def test_an_owner_that_cannot_be_kept(guarded, monkeypatch):
    """Then nothing is changed, and nothing is left."""

    def refuse(*_):
        raise PermissionError(1, 'Operation not permitted')

    before = guarded.users.read_text(), guarded.roles.read_text()
    monkeypatch.setattr(os, 'chown', refuse)

    refused = guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    assert refused.status_code == 500
    assert message_ids(refused) == ['AccountsNotChanged']
    assert (guarded.users.read_text(), guarded.roles.read_text()) == before
    assert {p.name for p in guarded.users.parent.iterdir()} == {
        'users',
        'roles',
    }


def test_half_a_change_is_undone(guarded, monkeypatch):
    """Where the second file cannot be written, the first is as it was."""
    before = guarded.users.read_text(), guarded.roles.read_text()
    replace, full = os.replace, []

    def fill(source, target):
        if pathlib.Path(target).name == 'users' and not full:
            full.append(True)
            raise OSError(28, 'No space left on device')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', fill)
    refused = guarded.ask(
        'boss',
        'PATCH',
        account('hand'),
        json={'RoleId': 'Administrator', 'Password': 'something-else-new'},
    )

    assert refused.status_code == 500
    assert (guarded.users.read_text(), guarded.roles.read_text()) == before


def test_what_another_program_writes_meanwhile_is_kept(tmp_path):
    """It is seen before the file is replaced."""
    path = tmp_path / 'users'
    path.write_text('a:1\nb:2\n')

    with pytest.raises(files.exceptions.AccountsNotChanged):
        files.replace(str(path), 'a:1\n', 'a:3\n')
    assert path.read_text() == 'a:1\nb:2\n'


def test_what_a_killed_process_has_left_is_removed(guarded):
    """A half written file is nobody's, and does not stay."""
    left = guarded.users.with_name('.users.hawkfish-left')
    left.write_text('half')

    guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    assert not left.exists()


def test_a_change_does_not_wait_for_ever(guarded, monkeypatch):
    """Another process that holds the file is told of."""
    monkeypatch.setattr(bounds, 'ACCOUNTS_SECONDS', 0.1)
    with files.locked(str(guarded.users)):
        refused = guarded.ask('boss', 'POST', ACCOUNTS, json=NEW)

    assert message_ids(refused) == ['AccountsNotChanged']


def test_many_accounts_at_once(guarded):
    """No change is lost to another one."""
    names = [f'maker-{n}' for n in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda name: guarded.ask(
                    'boss', 'POST', ACCOUNTS, json={**NEW, 'UserName': name}
                ),
                names,
            )
        )

    # Where the machine is busy, some may have waited for too long.
    assert {m.status_code for m in made} <= {201, 500, 503}
    for refused in [m for m in made if m.status_code == 500]:
        assert 'another process has locked it' in refused.text
    kept = guarded.users.read_text() + guarded.roles.read_text()
    for name, response in zip(names, made, strict=True):
        assert kept.count(f'{name}:') == 2 * (response.status_code == 201)


@pytest.mark.parametrize('method', ['POST', 'PATCH', 'DELETE'])
def test_a_huge_body(guarded, method):
    """It is refused, and nothing is changed."""
    before = guarded.users.read_text()
    path = ACCOUNTS if method == 'POST' else account('hand')

    refused = guarded.ask(
        'boss', method, path, json={'Password': 70_000 * 'x'}
    )

    assert refused.status_code == 413
    assert guarded.users.read_text() == before


@pytest.mark.parametrize('method', ['POST', 'PATCH', 'DELETE'])
def test_accounts_that_are_not_writable(guarded, method):
    """By default nothing can be changed, and the headers say so."""
    guarded.configure(writable=False)
    before = guarded.users.read_text()
    path = ACCOUNTS if method == 'POST' else account('hand')

    refused = guarded.ask('boss', method, path, json=NEW)
    shown = guarded.ask('boss', 'GET', path)

    assert refused.status_code == 405
    assert refused.headers['Allow'] == 'GET, HEAD'
    assert message_ids(refused) == ['AccountsNotWritable']
    assert shown.headers['Allow'] == 'GET, HEAD'
    assert guarded.users.read_text() == before


@pytest.mark.parametrize(
    'changed, keys',
    [
        ({'UserName': 'boss'}, ['ResourceAlreadyExists']),
        ({'UserName': 'a:b'}, ['PropertyValueFormatError']),
        ({'UserName': ' a'}, ['PropertyValueFormatError']),
        ({'UserName': '#a'}, ['PropertyValueFormatError']),
        ({'UserName': 'a\nb'}, ['PropertyValueFormatError']),
        ({'UserName': 'a/b'}, ['PropertyValueFormatError']),
        ({'UserName': '..'}, ['PropertyValueFormatError']),
        ({'UserName': ''}, ['PropertyValueFormatError']),
        ({'UserName': 'x' * 65}, ['StringValueTooLong']),
        ({'Password': 'short'}, ['StringValueTooShort']),
        ({'Password': 'x' * 73}, ['PropertyValueFormatError']),
        ({'Password': '\u20ac' * 25}, ['PropertyValueFormatError']),
        ({'Password': 'with-a-nul-\0-inside'}, ['PropertyValueFormatError']),
        ({'Password': None}, ['PropertyValueTypeError']),
        ({'RoleId': 'Root'}, ['PropertyValueNotInList']),
        ({'Locked': True}, ['PropertyNotWritable']),
        ({'Colour': 'red'}, ['PropertyUnknown']),
        (
            {'UserName': 'a-long-username', 'Password': 'A-Long-UserName'},
            ['PropertyValueConflict'],
        ),
    ],
)
def test_bad_accounts(guarded, changed, keys):
    """All that is wrong is named, nothing is made, no password told back."""
    before = guarded.users.read_text()

    refused = guarded.ask('boss', 'POST', ACCOUNTS, json={**NEW, **changed})

    assert message_ids(refused) == keys
    assert guarded.users.read_text() == before
    if isinstance(changed.get('Password'), str):
        assert changed['Password'] not in refused.text


@pytest.mark.parametrize(
    'body', [{'RoleId': 'ReadOnly'}, {'Enabled': False}, None]
)
def test_the_last_administrator_stays(guarded, body):
    """Somebody has to be able to manage the others."""
    method = 'DELETE' if body is None else 'PATCH'
    assert guarded.ask('boss', 'DELETE', account('chief')).status_code == 204

    refused = guarded.ask('boss', method, account('boss'), json=body)

    assert refused.status_code == 409
    assert message_ids(refused) == ['LastAdministrator']
    assert guarded.ask('boss', 'GET', ACCOUNTS).status_code == 200


def test_who_is_disabled_is_kept_out(guarded):
    """By password, by session and by login; and has his session no more."""
    token = guarded.login('hand').headers['X-Auth-Token']
    system = '/redfish/v1/Systems'

    shown = guarded.ask(
        'boss', 'PATCH', account('hand'), json={'Enabled': False}
    )

    assert shown.json()['Enabled'] is False
    assert guarded.ask('hand', 'GET', system).status_code == 401
    assert guarded.login('hand').status_code == 401
    header = {'X-Auth-Token': token}
    assert guarded.ask(None, 'GET', system, headers=header).status_code == 401
    guarded.ask('boss', 'PATCH', account('hand'), json={'Enabled': True})
    assert guarded.ask('hand', 'GET', system).status_code == 200
    assert guarded.ask(None, 'GET', system, headers=header).status_code == 401


def test_what_is_misspelt_keeps_out(guarded):
    """What was to disable somebody does so."""
    guarded.roles.write_text('hand:Operator:Disable\n')

    assert guarded.login('hand').status_code == 401


def test_an_etag_that_is_old(guarded):
    """Another password is another ETag; against the old one is refused."""
    etag = guarded.ask('boss', 'GET', account('hand')).headers['ETag']
    body = {'Password': 'something-else-new'}
    guarded.ask('boss', 'PATCH', account('hand'), json=body)

    refused = guarded.ask(
        'boss',
        'DELETE',
        account('hand'),
        headers={'If-Match': etag},
    )

    assert refused.status_code == 412
    assert guarded.login('hand', body['Password']).status_code == 201


# Oneself ------------------------------------------------------------------


@pytest.mark.parametrize('user', ['hand', 'eye'])
def test_everybody_changes_his_own_password(guarded, user):
    """But no other's, and nothing else of himself."""
    body = {'Password': 'something-else-new'}
    refused = [
        guarded.ask(user, 'PATCH', account('boss'), json=body),
        guarded.ask(
            user, 'PATCH', account(user), json={'RoleId': 'Administrator'}
        ),
        guarded.ask(
            user, 'PATCH', account(user), json={**body, 'Enabled': True}
        ),
        guarded.ask(user, 'DELETE', account(user)),
    ]
    for response in refused:
        assert response.status_code == 403
        assert message_ids(response) == ['InsufficientPrivilege']

    changed = guarded.ask(user, 'PATCH', account(user), json=body)

    assert changed.status_code == 200
    assert changed.json()['RoleId'] == ROLES[user]
    assert guarded.login(user).status_code == 401
    assert guarded.login(user, body['Password']).status_code == 201


def test_a_password_is_not_a_slash_away(guarded):
    """A name that only looks like one's own is another's."""
    for name in ('EYE', 'eye%2f', 'eye%20', 'boss%2f..%2feye', 'eye%00'):
        answer = guarded.ask(
            'eye', 'PATCH', account(name), json={'Password': 'x' * 20}
        )
        assert answer.status_code in (403, 404, 308), name
    assert guarded.login('eye').status_code == 201
    assert guarded.login('boss', PASSWORD).status_code == 201


# Sessions, events ---------------------------------------------------------


def test_whose_sessions_one_may_end(guarded):
    """One's own; an Administrator any. Nobody else sees them."""
    own, other = guarded.login('eye'), guarded.login('hand')
    listed = guarded.ask('eye', 'GET', f'{SESSIONS}?$expand=.').json()

    assert {m['UserName'] for m in listed['Members']} == {'eye'}
    for method in ('GET', 'DELETE'):
        refused = guarded.ask('eye', method, other.headers['Location'])
        assert refused.status_code == 403
    assert guarded.ask('eye', 'DELETE', own.headers['Location']).ok
    assert guarded.ask('boss', 'DELETE', other.headers['Location']).ok


def test_whose_subscriptions_one_may_end(guarded):
    """An Operator his own, and a reader none."""
    body = {'Destination': 'http://127.0.0.1:9/', 'Protocol': 'Redfish'}
    uri = '/redfish/v1/EventService/Subscriptions'
    own = guarded.ask('hand', 'POST', uri, json=body)
    other = guarded.ask('boss', 'POST', uri, json=body)

    assert guarded.ask('eye', 'POST', uri, json=body).status_code == 403
    for user, made, status in (
        ('hand', other, 403),
        ('eye', own, 403),
        ('hand', own, 204),
        ('boss', other, 204),
    ):
        answer = guarded.ask(user, 'DELETE', made.headers['Location'])
        assert answer.status_code == status


@pytest.mark.parametrize(
    'method,body',
    [
        ('DELETE', None),
        ('PATCH', {'Enabled': False}),
        ('PATCH', {'Password': 'nobody-knows-it-yet'}),
    ],
)
def test_a_stream_ends_with_its_account(guarded, method, body):
    """Who has no account any more, or its old password, hears no more."""
    stream = guarded.ask(
        'eye', 'GET', '/redfish/v1/EventService/SSE', stream=True
    )
    assert stream.status_code == 200
    assert guarded.ask('boss', method, account('eye'), json=body).ok
    guarded.ask(
        'boss',
        'POST',
        '/redfish/v1/EventService/Actions/EventService.SubmitTestEvent',
        json={'MessageId': 'ResourceEvent.1.4.TestMessage'},
    )

    assert 'TestMessage' not in stream.text


def test_who_only_reads_displaces_nothing_in_the_log(guarded):
    """Whatever he may still send is kept with what strangers have sent."""
    log = guarded.emulator.services.audit
    for user, strange in (('eye', True), ('hand', False), ('boss', False)):
        guarded.ask(user, 'PATCH', account(user), json={'Password': 'short'})
        (entry,) = log.load(log.ids(View(None))[:1])
        assert (entry.actor.user, entry.status) == (user, 400)
        assert entry.is_strange == strange


def test_a_user_is_not_a_header(guarded):
    """Nobody is who he says he is."""
    for path in ('/redfish/v1', SESSIONS):
        answer = guarded.ask(
            'eye',
            'GET',
            path,
            headers={'X-User': 'boss', 'X-User-Name': 'boss'},
        )
        assert answer.status_code == 200
    refused = guarded.ask(
        'eye', 'POST', ACCOUNTS, json=NEW, headers={'X-User': 'boss'}
    )
    assert refused.status_code == 403
