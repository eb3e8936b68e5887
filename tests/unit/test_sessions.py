# SPDX-License-Identifier: Apache-2.0
"""
Login sessions over the emulator's own file of users.

Long, as each way to log in, or not, has its test.
"""

import concurrent.futures
import logging
import threading

import pytest
import redfish
import requests
import sushy
from sushy import auth as sushy_auth

from hawkfish_plugin import db, sessions
from hawkfish_plugin.accounts import users as passwords
from hawkfish_plugin.emulator import internals
from tests.served import message_ids, user_entry
from tests.waiting import patience

SESSIONS = '/redfish/v1/SessionService/Sessions'


@pytest.fixture
def users(tmp_path):
    """A file with the users admin and other."""
    path = tmp_path / 'users'
    path.write_text(
        user_entry('admin', 'secret') + user_entry('other', 'hush')
    )
    return path


@pytest.fixture
def guarded(emulator, users):
    """The emulator as it is once it has been given a file of users."""
    app, before = emulator.app, emulator.app.wsgi_app
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    yield emulator
    for name in ('admin', 'other', 'nobody', '', 'admin:'):
        emulator.services.logins.forget(name)
    app.wsgi_app = before
    del app.config['SUSHY_EMULATOR_AUTH_FILE']


def login(url, name='admin', password='secret'):
    return requests.post(
        url + SESSIONS,
        json={'UserName': name, 'Password': password},
        timeout=20,
    )


def with_token(response):
    return {'X-Auth-Token': response.headers['X-Auth-Token']}


def test_a_session_from_login_to_logout(guarded):
    """The token opens every path until the session is deleted."""
    made = login(guarded.url)
    token = with_token(made)
    own = guarded.url + made.headers['Location']

    assert made.status_code == 201
    assert made.json()['UserName'] == 'admin'
    for url in (guarded.snapshots_url, f'{guarded.url}/redfish/v1/Systems'):
        assert requests.get(url).status_code == 401
        assert requests.get(url, headers=token).status_code == 200
    listed = requests.get(guarded.url + SESSIONS, headers=token).json()
    assert {'@odata.id': made.headers['Location']} in listed['Members']
    assert requests.get(own, headers=token).json() == made.json()

    assert requests.delete(own, headers=token).status_code == 204
    after = requests.get(guarded.snapshots_url, headers=token)
    assert after.status_code == 401
    assert after.headers['WWW-Authenticate']


def test_basic_authentication_stays(guarded):
    """A password is as good as before, also beside a token that is none."""
    for headers in ({}, {'X-Auth-Token': 'stale'}):
        response = requests.get(
            guarded.snapshots_url, auth=('admin', 'secret'), headers=headers
        )
        assert response.status_code == 200


@pytest.mark.parametrize(
    'name, password',
    [
        ('admin', 'wrong'),
        ('nobody', 'secret'),
        ('other', 'secret'),
        ('', ''),
        ('admin', ''),
        ('admin', 'x' * 200),
        ('admin', 'a\0b'),
        ('admin:', 'secret'),
        ('admin', '\ud800'),
    ],
)
def test_wrong_credentials(guarded, name, password):
    """A wrong name and a wrong password are told in the same words."""
    response = login(guarded.url, name, password)
    reference = login(guarded.url, 'admin', 'never')

    assert response.status_code == 401
    assert response.json() == reference.json()
    assert 'X-Auth-Token' not in response.headers
    assert response.headers['WWW-Authenticate']


def test_a_wrong_name_takes_as_long_as_a_wrong_password(users, monkeypatch):
    """A name that is unknown costs a look at a password all the same."""
    cheap, dear = user_entry('a', 'secret'), user_entry('b', 'secret', 5)
    users.write_text(cheap + dear + user_entry('c', 'secret'))
    tried = []

    def refuse(line, password):
        tried.append(internals.cost(line))
        raise internals.error.Unauthorized('no')

    monkeypatch.setattr(internals.auth_basic, 'auth_entry', refuse)

    for name, costs in (('nobody', [5]), ('b', [5]), ('a', [5, 4])):
        assert passwords.check(str(users), name, 'x') is None
        assert tried == costs
        tried.clear()


@pytest.mark.parametrize('name', ['nobody', 'admin'])
def test_basic_authentication_takes_as_long(guarded, users, name, monkeypatch):
    """Also where the emulator looks at the password itself."""
    users.write_text(user_entry('admin', 'x') + user_entry('b', 'x', 5))
    tried, check = [], internals.auth_basic.auth_entry
    monkeypatch.setattr(
        internals.auth_basic,
        'auth_entry',
        lambda *args: tried.append(internals.cost(args[0])) or check(*args),
    )

    refused = requests.get(guarded.snapshots_url, auth=(name, 'wrong'))

    assert refused.status_code == 401
    assert tried == ([5] if name == 'nobody' else [5, 4])


def test_few_passwords_are_checked_at_once(guarded, monkeypatch):
    """Others wait for their turn, and not for ever."""
    busy, go_on = threading.Semaphore(0), threading.Event()
    monkeypatch.setattr(internals.auth_basic, 'auth_entry', original_check())
    look = internals.auth_basic.bcrypt.checkpw

    def slow(*args):
        busy.release()
        go_on.wait(patience())
        return look(*args)

    monkeypatch.setattr(internals.auth_basic.bcrypt, 'checkpw', slow)
    internals.bound_checks(2, 0.2)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        checked = [pool.submit(login, guarded.url) for _ in range(2)]
        for _ in checked:
            assert busy.acquire(timeout=patience())
        for name in ('admin', 'nobody'):
            refused = requests.get(guarded.snapshots_url, auth=(name, 'x'))
            assert refused.status_code == 503
            assert login(guarded.url, name).status_code == 503
        go_on.set()

    assert {made.result().status_code for made in checked} == {201}


def original_check():
    """The emulator's own check, without our bound."""
    found = internals.auth_basic.auth_entry
    return getattr(found, '__wrapped__', found)


def test_no_secret_in_the_log(guarded, caplog):
    """Neither passwords nor tokens are logged, right or wrong."""
    caplog.set_level(logging.DEBUG)
    token = login(guarded.url, 'admin', 'secret').headers['X-Auth-Token']
    login(guarded.url, 'admin', 'wrong-password')
    requests.post(guarded.url + SESSIONS, json={'Password': 'secret'})
    requests.get(guarded.snapshots_url, headers={'X-Auth-Token': token})

    assert 'secret' not in caplog.text
    assert 'wrong-password' not in caplog.text
    assert token not in caplog.text


def test_the_token_is_kept_as_a_digest(guarded):
    """The state database does not hold what would open the door."""
    token = login(guarded.url).headers['X-Auth-Token']
    folder = guarded.folder

    # Not the pipe, which would be read for ever.
    files = [path for path in folder.iterdir() if path.is_file()]
    assert any(path.suffix == '.sqlite' for path in files)
    for path in files:
        assert token.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    'body, keys',
    [
        ({'UserName': 'admin'}, ['PropertyMissing']),
        ({'Password': 'secret'}, ['PropertyMissing']),
        ({}, ['PropertyMissing', 'PropertyMissing']),
        ({'UserName': 5, 'Password': 'secret'}, ['PropertyValueTypeError']),
        (
            {'UserName': 'admin', 'Password': ['secret']},
            ['PropertyValueTypeError'],
        ),
        (
            {'UserName': 'admin', 'Password': 1000 * 'x'},
            ['StringValueTooLong'],
        ),
        ({'UserName': 'a\nb', 'Password': 'x'}, ['PropertyValueFormatError']),
        ({'UserName': 'a', 'Password': 'x', 'Role': 'y'}, ['PropertyUnknown']),
        (
            {'UserName': 'secret\n', 'Role': 'y'},
            ['PropertyValueFormatError', 'PropertyUnknown', 'PropertyMissing'],
        ),
    ],
)
def test_bad_login_bodies(guarded, body, keys):
    """All that is wrong is named, and no credential is told back."""
    response = requests.post(guarded.url + SESSIONS, json=body)

    assert response.status_code == 400
    assert message_ids(response) == keys
    assert 'secret' not in response.text


def test_a_session_dies_with_its_user(guarded, users):
    """Without its user, or with another password, a token is nothing."""
    token, other = login(guarded.url), login(guarded.url, 'other', 'hush')

    users.write_text(user_entry('admin', 'changed'))

    for made in (token, other):
        response = requests.get(
            guarded.snapshots_url, headers=with_token(made)
        )
        assert response.status_code == 401
    # And stays dead where the user comes back, with a password of the past.
    users.write_text(user_entry('admin', 'secret'))
    assert (
        requests.get(
            guarded.snapshots_url, headers=with_token(token)
        ).status_code
        == 401
    )


def test_sessions_time_out(guarded, monkeypatch):
    """A session that is not used ends; one that is used does not."""
    idle, used = login(guarded.url), login(guarded.url)
    service = f'{guarded.url}/redfish/v1/SessionService'
    requests.patch(
        service, json={'SessionTimeout': 60}, headers=with_token(used)
    )
    try:
        moment = guarded.services.sessions._db.steady()
        monkeypatch.setattr(db.Database, 'steady', lambda _: moment)
        for _ in range(2):
            moment += 40
            response = requests.get(service, headers=with_token(used))
            assert response.status_code == 200
        response = requests.get(service, headers=with_token(idle))
        assert response.status_code == 401
    finally:
        monkeypatch.undo()
        requests.patch(
            service, json={'SessionTimeout': 1800}, auth=('admin', 'secret')
        )


@pytest.mark.parametrize(
    'body, key',
    [
        ({'SessionTimeout': 29}, 'PropertyValueOutOfRange'),
        ({'SessionTimeout': 86401}, 'PropertyValueOutOfRange'),
        ({'SessionTimeout': True}, 'PropertyValueTypeError'),
        ({'SessionTimeout': '60'}, 'PropertyValueTypeError'),
        ({'ServiceEnabled': False}, 'PropertyNotWritable'),
        ({'Colour': 'red'}, 'PropertyUnknown'),
    ],
)
def test_bad_changes_of_the_service(emulator, body, key):
    """Only SessionTimeout can be changed, within its bounds."""
    url = f'{emulator.url}/redfish/v1/SessionService'

    response = requests.patch(url, json={'SessionTimeout': 1800, **body})

    assert response.status_code == 400
    assert message_ids(response) == [key]
    assert requests.get(url).json()['SessionTimeout'] == 1800


def test_a_change_of_the_service_tells_all_that_is_wrong(emulator):
    """Each property is named, and nothing is changed."""
    url = f'{emulator.url}/redfish/v1/SessionService'

    response = requests.patch(
        url, json={'SessionTimeout': 1, 'Colour': 'red', 'Sessions': {}}
    )

    assert message_ids(response) == [
        'PropertyValueOutOfRange',
        'PropertyUnknown',
        'PropertyNotWritable',
    ]


def test_etag_of_the_service(emulator):
    """A change against an old ETag is refused, one against the new done."""
    url = f'{emulator.url}/redfish/v1/SessionService'
    body = {'SessionTimeout': 1800}
    etag = requests.get(url).headers['ETag']

    stale = requests.patch(url, json=body, headers={'If-Match': '"0"'})
    fresh = requests.patch(url, json=body, headers={'If-Match': etag})

    assert (stale.status_code, fresh.status_code) == (412, 200)


def test_the_number_of_sessions_is_bounded(emulator):
    """One more than fits ends the one that was unused for longest."""
    first = login(emulator.url)
    for _ in range(sessions.MAX_SESSIONS):
        last = login(emulator.url)

    listed = requests.get(emulator.url + SESSIONS).json()
    assert listed['Members@odata.count'] == sessions.MAX_SESSIONS
    uris = [member['@odata.id'] for member in listed['Members']]
    assert first.headers['Location'] not in uris
    assert last.headers['Location'] in uris


def test_nobody_ends_the_sessions_of_others(guarded):
    """Who logs in again and again ends sessions of his own."""
    kept = [login(guarded.url) for _ in range(3)]
    for _ in range(sessions.MAX_SESSIONS + 1):
        assert login(guarded.url, 'other', 'hush').status_code == 201

    for made in kept:
        served = requests.get(guarded.snapshots_url, headers=with_token(made))
        assert served.status_code == 200


def test_many_log_in_at_once(guarded):
    """Clients that come together get sessions of their own, all good."""
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        made = list(pool.map(login, [guarded.url] * 40))
    tokens = [with_token(response) for response in made]

    assert len({token['X-Auth-Token'] for token in tokens}) == 40
    for token in tokens:
        response = requests.get(guarded.snapshots_url, headers=token)
        assert response.status_code == 200


def test_without_users_anybody_gets_a_session(emulator, users):
    """
    Where all is open a login works, as tools that must log in need it.

    Its token opens nothing once there are users.
    """
    made = login(emulator.url, 'admin', 'whatever')
    assert made.status_code == 201
    app, before = emulator.app, emulator.app.wsgi_app
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    try:
        response = requests.get(
            emulator.snapshots_url, headers=with_token(made)
        )
    finally:
        app.wsgi_app = before
        del app.config['SUSHY_EMULATOR_AUTH_FILE']

    assert response.status_code == 401


@pytest.mark.parametrize('password', ['secret', None])
def test_sushy_logs_in_by_session(request, password):
    """sushy works unpatched with a session, where there are users or not."""
    found = request.getfixturevalue('guarded' if password else 'emulator')
    root = sushy.Sushy(
        f'{found.url}/redfish/v1',
        username='admin',
        password=password or 'any',
        verify=False,
    )

    assert isinstance(root._auth, sushy_auth.SessionOrBasicAuth)
    assert root._auth.get_session_key()
    assert root.get_system_collection().members_identities
    root._auth.close()


def test_sushy_logs_in_anew_when_its_session_has_ended(guarded):
    """sushy gets over the end of its session by itself."""
    root = sushy.Sushy(
        f'{guarded.url}/redfish/v1',
        username='admin',
        password='secret',
        verify=False,
    )
    requests.delete(
        guarded.url
        + SESSIONS
        + '/'
        + root._auth.get_session_resource_id().rpartition('/')[2],
        auth=('admin', 'secret'),
    )

    assert root.get_system_collection().members_identities


def test_sushy_hears_of_a_wrong_password(guarded):
    """A wrong password is an AccessError, by session and by Basic."""
    with pytest.raises(sushy.exceptions.AccessError):
        sushy.Sushy(
            f'{guarded.url}/redfish/v1',
            username='admin',
            password='no',
            verify=False,
        ).get_system_collection()


@pytest.mark.parametrize('password', ['secret', None])
def test_the_dmtf_library_logs_in_by_session(request, password):
    """The library under the DMTF's tools logs in, works and logs out."""
    found = request.getfixturevalue('guarded' if password else 'emulator')
    client = redfish.redfish_client(
        found.url, username='admin', password=password or 'any'
    )

    client.login(auth='session')
    assert client.get('/redfish/v1/Systems').status == 200
    client.logout()
