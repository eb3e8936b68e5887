# SPDX-License-Identifier: Apache-2.0
"""Audit logs of emulators."""

import pytest

from tests.served import user_entry
from tests.unit.audit.logs import SECRET, Log


@pytest.fixture
def log(emulator):
    """The log of an emulator that asks nobody for a password."""
    found = Log(emulator)
    found.clear()
    return found


@pytest.fixture
def guarded(emulator, tmp_path):
    """The log of an emulator with the users admin and other."""
    users = tmp_path / 'users'
    users.write_text(user_entry('admin', SECRET) + user_entry('other', 'hush'))
    app, before = emulator.app, emulator.app.wsgi_app
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    found = Log(emulator, ('admin', SECRET))
    found.clear()
    yield found
    app.wsgi_app = before
    del app.config['SUSHY_EMULATOR_AUTH_FILE']
