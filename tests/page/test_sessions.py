# SPDX-License-Identifier: Apache-2.0
"""Who may use the page: nobody else is let in, and the token stays here."""

import json
import re

import pytest
import requests
from playwright.sync_api import expect

from tests.page.parts import button, row
from tests.served import user_entry

USER = ('admin', 'secret')

READ_AGAIN = """async () => {
  const { changes } = await import("/hawkfish/context.js");
  changes.dispatchEvent(new Event("all"));
}"""


@pytest.fixture
def guarded(emulator, tmp_path):
    """The emulator with a file of users, and nobody logged in."""
    users = tmp_path / 'users'
    users.write_text(user_entry(*USER))
    app, before = emulator.app, emulator.app.wsgi_app
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    yield emulator
    app.wsgi_app = before
    del app.config['SUSHY_EMULATOR_AUTH_FILE']
    for session in emulator.services.sessions.alive():
        emulator.services.sessions.logout(session.id)


@pytest.fixture
def watched(guarded, look):
    """The page before a login, and the requests that it makes."""
    # In this order: the page is closed before the file of users goes.
    page = look(refused=[401])
    asked = []
    page.on('request', lambda request: asked.append(request))
    return page, asked


def log_in(page, user, password):
    expect(page.get_by_label('User name')).to_be_focused()
    page.keyboard.type(user)
    page.keyboard.press('Tab')
    page.keyboard.type(password)
    page.keyboard.press('Enter')


def test_a_reader_is_offered_nothing_that_he_may_not_do(
    watched, guarded, tmp_path
):
    """Who may only read sees the tree, and no button that changes it."""
    page, _ = watched
    roles = tmp_path / 'roles'
    roles.write_text('admin:ReadOnly\n')
    guarded.services.conf.set_override('roles_file', str(roles), 'accounts')
    try:
        log_in(page, 'admin', 'secret')
        page.get_by_role('option', name=re.compile('^fake,')).click()
        expect(button(page, 'Policy')).to_be_visible()
        expect(button(page, 'Create snapshot')).to_have_count(0)
    finally:
        guarded.services.conf.clear_override('roles_file', 'accounts')


def test_a_session_from_login_to_logout(watched, guarded):
    """A wrong password is told; the token is a header, and nothing else."""
    page, asked = watched
    log_in(page, 'admin', 'wrong')
    expect(page.get_by_role('alert')).to_contain_text(
        'Invalid user name or password'
    )
    expect(page.get_by_label('Password')).to_be_focused()
    page.keyboard.type('secret')
    page.keyboard.press('Enter')
    expect(page.get_by_role('option')).to_have_count(9)
    expect(page.get_by_text('Live', exact=True)).to_be_visible()

    (session,) = guarded.services.sessions.alive()
    assert session.user == 'admin'
    stored = page.evaluate('sessionStorage.getItem("hawkfish-session")')
    token = json.loads(stored)['token']
    assert page.evaluate('document.cookie') == ''
    assert page.evaluate('localStorage.length') == 0
    assert not [request.url for request in asked if token in request.url]
    for request in asked:
        assert 'authorization' not in request.headers
    assert asked[-1].headers['x-auth-token'] == token

    page.get_by_role('button', name='Log out').click()
    expect(page.get_by_label('User name')).to_be_visible()
    expect(page.get_by_role('option')).to_have_count(0)
    assert guarded.services.sessions.alive() == []
    assert page.evaluate('sessionStorage.length') == 0


def test_events_come_with_a_token(watched, guarded):
    """What somebody else does shows, to who is logged in as well."""
    page, _ = watched
    log_in(page, *USER)
    page.get_by_role('option', name=re.compile('^fake,')).click()
    expect(page.get_by_text('Live', exact=True)).to_be_visible()
    made = requests.post(
        guarded.snapshots_url, json={'Name': 'clean'}, auth=USER, timeout=60
    )
    assert made.status_code == 202

    expect(row(page, 'clean')).to_be_visible()


def test_a_session_that_has_ended_asks_again(watched, guarded):
    """The next request finds out; after a login, one is where one was."""
    page, _ = watched
    log_in(page, *USER)
    page.get_by_role('option', name=re.compile('^fake,')).click()
    expect(button(page, 'Policy')).to_be_visible()
    (session,) = guarded.services.sessions.alive()
    guarded.services.sessions.logout(session.id)
    page.evaluate(READ_AGAIN)

    log_in(page, *USER)
    expect(page.get_by_role('heading', name='fake')).to_be_visible()


def test_a_reload_keeps_the_session(watched, guarded):
    """The tab has it, and another tab has not."""
    page, _ = watched
    log_in(page, *USER)
    expect(page.get_by_role('option')).to_have_count(9)
    page.reload()
    expect(page.get_by_role('option')).to_have_count(9)

    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_label('User name')).to_be_visible()
