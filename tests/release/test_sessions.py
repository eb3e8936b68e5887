# SPDX-License-Identifier: Apache-2.0
"""Login sessions with every way to serve the emulator."""

import pytest
import requests

from tests.served import OWN_WSGI, STOCK_WSGI, Served, user_entry


def by_option(emulator):
    """The stock script with --config: as it stands."""


def by_option_and_variable(emulator):
    """The file is run twice."""
    emulator.name_config()


def by_own_script(emulator):
    """The script and the file both activate the plugin."""
    emulator.command[0] = 'hawkfish-emulator'


def by_stock_wsgi(emulator):
    """The stock application; the file activates the plugin."""
    emulator.use_gunicorn(STOCK_WSGI, '--workers', '3')


def by_own_wsgi(emulator):
    """Our application, which has the plugin anyway."""
    emulator.use_gunicorn(OWN_WSGI, '--workers', '3')


@pytest.fixture
def process(tmp_path):
    """An emulator with users as a process, to be started by a test."""
    users = tmp_path / 'users'
    users.write_text(user_entry('admin', 'secret'))
    made = Served(
        tmp_path, config=f'SUSHY_EMULATOR_AUTH_FILE = {str(users)!r}\n'
    )
    yield made
    made.stop()


def login(url, password='secret'):
    return requests.post(
        f'{url}/redfish/v1/SessionService/Sessions',
        json={'UserName': 'admin', 'Password': password},
        timeout=20,
    )


def with_token(response):
    return {'X-Auth-Token': response.headers['X-Auth-Token']}


@pytest.mark.parametrize(
    'way',
    [
        by_option,
        by_option_and_variable,
        by_own_script,
        by_own_wsgi,
        by_stock_wsgi,
    ],
    ids=lambda way: way.__name__,
)
def test_sessions_by_every_way_in(process, way):
    """Whichever process answers, tokens, passwords and open paths do."""
    way(process)
    url = process.start().url

    assert login(url, password='wrong').status_code == 401
    made = login(url)
    for _ in range(9):
        for path in ('Systems', 'TaskService/Tasks'):
            target = f'{url}/redfish/v1/{path}'
            by_token = requests.get(target, headers=with_token(made))
            by_password = requests.get(target, auth=('admin', 'secret'))
            assert by_token.status_code == by_password.status_code == 200
            assert requests.get(target).status_code == 401
        for path in ('odata', '$metadata', ''):
            open_ = requests.get(f'{url}/redfish/v1/{path}')
            assert open_.status_code == 200
    requests.delete(url + made.headers['Location'], headers=with_token(made))
    for _ in range(9):
        ended = requests.get(
            f'{url}/redfish/v1/Systems', headers=with_token(made)
        )
        assert ended.status_code == 401
