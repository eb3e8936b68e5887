# SPDX-License-Identifier: Apache-2.0
"""Wrong passwords: how many, from where, and whom they lock out."""

import concurrent.futures

import pytest

from hawkfish_plugin import bounds, conf, db, exceptions
from hawkfish_plugin.accounts import addresses, throttle
from hawkfish_plugin.audit import View
from tests.served import message_ids
from tests.unit.accounts.conftest import ACCOUNTS

SYSTEMS = '/redfish/v1/Systems'


def fail(guarded, name, times, **headers):
    return [
        guarded.login(name, 'wrong', **headers).status_code
        for _ in range(times)
    ]


@pytest.fixture
def strict(guarded):
    guarded.configure(lockout_threshold=3, lockout_duration=60)
    guarded.configure(trusted_proxies='127.0.0.1')
    return guarded


def test_too_many_failures_lock(strict):
    """Also with the right password, and by both ways in; and not for ever."""
    token = strict.login('eye').headers['X-Auth-Token']
    assert fail(strict, 'eye', 3) == [401, 401, 401]

    locked, basic = strict.login('eye'), strict.ask('eye', 'GET', SYSTEMS)

    assert locked.status_code == basic.status_code == 429
    assert message_ids(locked) == ['TooManyFailedLogins']
    assert message_ids(basic) == ['TooManyFailedLogins']
    assert 0 < int(locked.headers['Retry-After']) <= 60
    assert 0 < int(basic.headers['Retry-After']) <= 60
    # Who has logged in before goes on.
    held = strict.ask(None, 'GET', SYSTEMS, headers={'X-Auth-Token': token})
    assert held.status_code == 200


def test_basic_authentication_counts_too(strict):
    for _ in range(3):
        refused = strict.ask('eye', 'GET', SYSTEMS, password='wrong')
        assert refused.status_code == 401

    assert strict.login('eye').status_code == 429


def test_a_lock_ends(strict, monkeypatch):
    """And what is refused meanwhile does not make it longer."""
    fail(strict, 'eye', 3)
    now = strict.emulator.database.steady()
    monkeypatch.setattr(db.Database, 'steady', lambda _: now + 59)
    assert strict.login('eye').status_code == 429
    monkeypatch.setattr(db.Database, 'steady', lambda _: now + 61)
    assert strict.login('eye').status_code == 201


def test_nobody_locks_others_out(strict):
    """Another account, and the same one from elsewhere, log in as before."""
    away = {'X-Forwarded-For': '192.0.2.1'}
    assert fail(strict, 'eye', 5, **away)[3:] == [429, 429]

    assert strict.login('hand', **away).status_code == 201
    assert strict.login('eye').status_code == 201
    other = {'X-Forwarded-For': '192.0.2.1, 192.0.2.2'}
    assert strict.login('eye', **other).status_code == 201


def test_a_success_forgets_the_failures(strict):
    fail(strict, 'eye', 2)
    assert strict.login('eye').status_code == 201

    assert fail(strict, 'eye', 2) == [401, 401]
    assert strict.login('eye').status_code == 201


def test_unknown_names_are_locked_alike(strict):
    """So that a lock does not tell who is a user."""
    assert fail(strict, 'nobody', 4) == [401, 401, 401, 429]


def test_an_administrator_lifts_a_lock(strict):
    fail(strict, 'eye', 4)
    strict.ask('boss', 'PATCH', f'{ACCOUNTS}/eye', json={'Locked': False})

    assert strict.login('eye').status_code == 201


def test_none_are_locked_without_a_threshold(strict):
    strict.configure(lockout_threshold=0)

    assert fail(strict, 'eye', 5) == [401] * 5


def test_who_comes_at_once_has_no_more_attempts(strict):
    """Many that wait for their turn see what the others have failed."""
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        statuses = list(
            pool.map(lambda _: strict.login('eye', 'wrong'), range(24))
        )

    found = [s.status_code for s in statuses]
    # As many as are looked at in the same moment may be more.
    assert 3 <= found.count(401) <= 3 + bounds.PASSWORD_CHECKS


def test_what_is_remembered_is_bounded(strict, monkeypatch):
    """The oldest go, and no name is kept, as it may be a password."""
    monkeypatch.setattr(bounds, 'LOGIN_FAILURES', 4)
    for number in range(6):
        fail(strict, f'secret-{number}', 1)

    rows = strict.emulator.database.query('SELECT * FROM login_failures')
    assert len(rows) == 4
    assert not any('secret' in row['name'] for row in rows)


@pytest.mark.parametrize(
    'address, told, client',
    [
        ('192.0.2.7', '198.51.100.1', '192.0.2.7'),
        ('127.0.0.1', '198.51.100.1', '198.51.100.1'),
        ('127.0.0.1', 'spoofed, 198.51.100.1', '198.51.100.1'),
        ('127.0.0.1', '', '127.0.0.1'),
        ('127.0.0.1', 'spoofed, ', '127.0.0.1'),
        ('127.0.0.1', '198.51.100.1, no address', '127.0.0.1'),
        ('', '198.51.100.1', '198.51.100.1'),
        ('::ffff:127.0.0.1', '198.51.100.1', '198.51.100.1'),
        ('2001:db8::1', '2001:db8::0:7', '2001:db8::7'),
        # Of two proxies, the first one is told by the second.
        ('10.1.2.3', 'spoofed, 198.51.100.1, 127.0.0.1', '198.51.100.1'),
        ('10.1.2.3', '127.0.0.1', '127.0.0.1'),
    ],
)
def test_only_proxies_are_believed(address, told, client):
    environ = {'REMOTE_ADDR': address, 'HTTP_X_FORWARDED_FOR': told}
    options = conf.load()
    options.set_override(
        'trusted_proxies', '127.0.0.1, 2001:db8::1, 10.0.0.0/8', 'accounts'
    )

    proxies = options.accounts.trusted_proxies
    assert addresses.client(environ, proxies) == client


def test_no_proxy_is_believed_by_default():
    """Whoever has a shell on this host could say to be anybody."""
    environ = {'REMOTE_ADDR': '127.0.0.1', 'HTTP_X_FORWARDED_FOR': '192.0.2.1'}

    proxies = conf.load().accounts.trusted_proxies
    assert addresses.client(environ, proxies) == '127.0.0.1'


@pytest.mark.parametrize('given', ['proxy', '10.0.0.0/33', '10.0.0.1/8', '*'])
def test_a_proxy_that_is_no_address(given, monkeypatch):
    """It is told when the configuration is read, with the option's name."""
    monkeypatch.setenv('OS_ACCOUNTS__TRUSTED_PROXIES', f'127.0.0.1,{given}')

    with pytest.raises(exceptions.ConfigurationInvalid) as caught:
        conf.load()
    assert 'trusted_proxies' in str(caught.value)
    assert given in str(caught.value)


def test_the_log_has_the_address_that_is_locked(strict):
    """The client's, of those of a proxy; the throttle goes by the same."""
    strict.login('eye', 'wrong', **{'X-Forwarded-For': '192.0.2.7'})
    audit = strict.emulator.services.audit
    (entry,) = audit.load(audit.ids(View(None))[:1])

    assert entry.actor.address == 'http://192.0.2.7'
    assert entry.actor.user == 'eye'


@pytest.mark.parametrize(
    'address, network',
    [
        ('192.0.2.7', '192.0.2.7'),
        ('::ffff:192.0.2.7', '192.0.2.7'),
        ('2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'),
        ('no address', 'no address'),
    ],
)
def test_what_one_client_has(address, network):
    """All addresses that one can choose of are one."""
    assert throttle._network(address) == network
