# SPDX-License-Identifier: Apache-2.0
"""Who may use which path, and how much may be sent there."""

import base64
import http.client
import re
import urllib.parse

import pytest
import requests
from sushy_tools.emulator import auth_basic

from hawkfish_plugin.emulator import routes
from hawkfish_plugin.redfish import uris
from tests.served import FAKE_UUID, user_entry
from tests.unit.conftest import NODES

ROOT = '/redfish/v1'
OPEN = {
    ('GET', '/redfish'),
    ('HEAD', '/redfish'),
    ('GET', f'{ROOT}/odata'),
    ('HEAD', f'{ROOT}/odata'),
    ('GET', f'{ROOT}/$metadata'),
    ('HEAD', f'{ROOT}/$metadata'),
    ('GET', '/healthz'),
    ('HEAD', '/healthz'),
    ('GET', '/hawkfish/'),
    ('HEAD', '/hawkfish/'),
    ('POST', f'{ROOT}/SessionService/Sessions'),
    ('POST', f'{ROOT}/SessionService/Sessions/Members'),
}
METHODS = ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'FAKE')


@pytest.fixture
def guarded(emulator, tmp_path):
    """The emulator with a file of users."""
    users = tmp_path / 'users'
    users.write_text(user_entry('admin', 'secret'))
    app, before = emulator.app, emulator.app.wsgi_app
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    yield emulator
    app.wsgi_app = before
    del app.config['SUSHY_EMULATOR_AUTH_FILE']


def our_routes(app):
    """Each path of ours with its methods, arguments filled in."""
    for rule in app.url_map.iter_rules():
        if routes.is_ours(rule.endpoint):
            path = rule.rule.replace('<identity>', 'fake')
            path = path.replace('<action>', 'HawkFishSnapshot.Revert')
            yield re.sub('<[^>]*>', 'a', path), rule.methods


def test_every_path_of_ours_needs_authentication(guarded):
    """But for the open ones, nothing answers to who is not logged in."""
    paths = {path for path, _ in our_routes(guarded.app)}

    assert len(paths) > 15
    for path in paths:
        for method in METHODS:
            response = requests.request(method, guarded.url + path)
            is_open = response.status_code != 401
            if path == f'{ROOT}/SessionService/Sessions' or (
                path == f'{ROOT}/SessionService/Sessions/Members'
            ):
                # Open, but the login itself may be refused.
                assert response.status_code in (400, 401)
            elif path == '/redfish':
                # The emulator leaves it open for every method.
                assert is_open
            else:
                assert is_open == ((method, path) in OPEN), (method, path)


@pytest.mark.parametrize(
    'path',
    [
        '/redfish/v1/odata/../Systems',
        '/redfish/v1/$metadata/../Systems',
        '//redfish/v1/Systems',
        '/redfish/v1/odata/x',
        '/redfish/v1/Odata',
        '/redfish/v1/SessionService/Sessions/../../Systems',
        '/redfish/v1/%24metadata/Systems',
        '/redfish/v1/Systems?/odata',
        '/redfish/v1/odata;/Systems',
        '/./redfish/v1/Systems',
        '/hawkfish/../redfish/v1/Systems',
        '/hawkfish/%2e%2e/app.js',
        '/hawkfish/no-such-file',
    ],
)
def test_no_way_around(guarded, path):
    """No spelling of another path is taken for an open one."""
    for method in ('GET', 'POST'):
        host = urllib.parse.urlsplit(guarded.url).netloc
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.putrequest(method, path)
        connection.putheader('Content-Length', '0')
        connection.endheaders()

        assert connection.getresponse().status == 401
        connection.close()


def make_group(emulator):
    """A group ``a`` of the system, with the snapshot ``a``."""
    url = f'{emulator.url}{ROOT}/AggregationService/Aggregates'
    elements = [{'@odata.id': f'{ROOT}/Systems/{emulator.system}'}]
    requests.post(url, json={'Name': 'a', 'Elements': elements})
    adopt = 'HawkFishGroupSnapshotCollection.Adopt'
    requests.post(f'{url}/a/Oem/HawkFish/Snapshots/Actions/{adopt}')


@pytest.mark.parametrize('method', ['POST', 'PATCH', 'DELETE'])
def test_bodies_are_bounded(emulator, method):
    """Whatever takes a request with a body refuses a huge one, but one."""
    emulator.created(Name='a')
    make_group(emulator)
    tasks = requests.get(f'{emulator.url}{ROOT}/TaskService/Tasks').json()
    task = tasks['Members'][0]['@odata.id'].rpartition('/')[2]
    answers = {}
    for path, methods in our_routes(emulator.app):
        if method in methods:
            if path == uris.IMPORT:
                # It takes what it needs of any body, and no JSON.
                continue
            if path.startswith(uris.ACCOUNTS):
                # Without users there is nothing to change.
                continue
            if '/TaskService/' in path:
                path = path.replace('/a', f'/{task}')
            if '/Aggregates/' in path:
                path = path.replace(
                    '/a/Actions/HawkFishSnapshot',
                    '/a/Actions/HawkFishGroupSnapshot',
                )
            if path.endswith('EventService/Actions/HawkFishSnapshot.Revert'):
                path = path.replace(
                    'HawkFishSnapshot.Revert', 'EventService.SubmitTestEvent'
                )
            answers[path] = requests.request(
                method,
                emulator.url + path,
                data=b' ' * 100_000,
                headers={'Content-Type': 'application/json'},
            ).status_code

    # Where there is nothing, nothing is read.
    assert set(answers.values()) <= {404, 413}
    assert not {
        path
        for path, status in answers.items()
        if status == 404
        and 'Sessions/a' not in path
        and 'Subscriptions/a' not in path
        and 'Exports/a' not in path
        and 'Jobs/a' not in path
    }


@pytest.mark.parametrize(
    'value',
    [
        'Basic',
        'Basic !!!',
        'Basic YWJj',
        'Bearer abc',
        '',
        'Basic ' + base64.b64encode(b'admin:a\0b').decode(),
        'Basic ' + base64.b64encode(b'admin:' + b'x' * 5000).decode(),
        'Basic ' + base64.b64encode(b'\xff\xfe:secret').decode(),
    ],
)
def test_credentials_that_are_none(guarded, value):
    """They are refused as any others; the emulator alone fails on them."""
    refused = requests.get(
        f'{guarded.url}{ROOT}/Systems', headers={'Authorization': value}
    )

    assert refused.status_code == 401
    assert 'Basic' in refused.headers['WWW-Authenticate']


def test_who_is_a_user_is_not_told_by_the_time(guarded, monkeypatch):
    """A password is compared whether there is such a user or not."""
    compared = []
    monkeypatch.setattr(
        auth_basic.bcrypt,
        'checkpw',
        lambda *given: compared.append(given) or False,
    )
    for name in ('admin', 'nobody'):
        refused = requests.get(
            f'{guarded.url}{ROOT}/Systems', auth=(name, 'wrong')
        )

        assert refused.status_code == 401
    assert len(compared) == 2


def test_a_subscription_to_a_hidden_system_is_hidden(emulator):
    """Of others; what a client has named itself tells it nothing."""
    uri = '/redfish/v1/EventService/Subscriptions'
    config, (node, *_) = emulator.app.config, NODES

    def subscribe(identity):
        origin = {'@odata.id': f'/redfish/v1/Systems/{identity}'}
        made = requests.post(
            emulator.url + uri,
            json={
                'Destination': 'http://127.0.0.1:9/',
                'Protocol': 'Redfish',
                'OriginResources': [origin],
            },
            timeout=60,
        )
        assert made.status_code == 201
        return made.headers['Location']

    def listed():
        found = requests.get(emulator.url + uri, timeout=60).json()
        return {member['@odata.id'] for member in found['Members']}

    shown, hidden = subscribe(node), subscribe(FAKE_UUID)
    config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [node]
    own = subscribe(FAKE_UUID)
    try:
        assert listed() == {shown, own}
        for method in ('GET', 'PATCH', 'DELETE'):
            answer = requests.request(
                method, emulator.url + hidden, json={}, timeout=60
            )
            assert answer.status_code == 404
    finally:
        config.pop('SUSHY_EMULATOR_ALLOWED_INSTANCES')
        for one in (shown, hidden, own):
            requests.delete(emulator.url + one, timeout=60)
