# SPDX-License-Identifier: Apache-2.0
"""The emulator with a user of each role."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.served import user_entry
from tests.unit.conftest import Emulator

SERVICE = '/redfish/v1/AccountService'
ACCOUNTS = f'{SERVICE}/Accounts'
SESSIONS = '/redfish/v1/SessionService/Sessions'
ROLES = {
    'boss': 'Administrator',
    'chief': 'Administrator',
    'hand': 'Operator',
    'eye': 'ReadOnly',
}
PASSWORD = 'correct-horse-battery'

_PASSWORDS = ''.join(user_entry(name, PASSWORD) for name in (*ROLES, 'new'))


@dataclasses.dataclass
class Guarded:
    """The emulator, its two files, and how to ask as somebody."""

    emulator: Emulator
    users: pathlib.Path
    roles: pathlib.Path

    @property
    def url(self) -> str:
        return self.emulator.url

    def ask(
        self, user: str | None, method: str, path: str, **kwargs: Any
    ) -> requests.Response:
        auth = (user, kwargs.pop('password', PASSWORD)) if user else None
        return requests.request(
            method,
            path if path.startswith('http') else self.url + path,
            auth=auth,
            timeout=60,
            **kwargs,
        )

    def login(
        self, name: str, password: str = PASSWORD, **headers: str
    ) -> requests.Response:
        return requests.post(
            self.url + SESSIONS,
            json={'UserName': name, 'Password': password},
            headers=headers,
            timeout=60,
        )

    def configure(self, **options: object) -> None:
        for name, value in options.items():
            self.emulator.services.conf.set_override(name, value, 'accounts')


@contextlib.contextmanager
def guarding(emulator: Emulator, folder: pathlib.Path) -> Iterator[Guarded]:
    users, roles = folder / 'users', folder / 'roles'
    users.write_text('# comment\n' + _PASSWORDS)
    roles.write_text(''.join(f'{n}:{r}\n' for n, r in ROLES.items()))
    app, before = emulator.app, emulator.app.wsgi_app
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    guarded = Guarded(emulator, users, roles)
    guarded.configure(roles_file=str(roles), writable=True)
    try:
        yield guarded
    finally:
        emulator.services.conf.clear_override('roles_file', 'accounts')
        for name in (
            *('writable', 'lockout_threshold', 'lockout_duration'),
            'trusted_proxies',
        ):
            emulator.services.conf.clear_override(name, 'accounts')
        with emulator.database.transaction() as connection:
            connection.execute('DELETE FROM login_failures')
            connection.execute('DELETE FROM sessions')
            connection.execute('DELETE FROM subscriptions')
        app.wsgi_app = before
        del app.config['SUSHY_EMULATOR_AUTH_FILE']


@pytest.fixture
def guarded(emulator: Emulator, tmp_path: pathlib.Path) -> Iterator[Guarded]:
    with guarding(emulator, tmp_path) as found:
        yield found
