# SPDX-License-Identifier: Apache-2.0
"""Who is named in the audit log, and who may read it."""

import json

import pytest
import requests

from hawkfish_plugin import bounds
from hawkfish_plugin.audit import View
from tests.unit.audit.logs import (
    FIRST,
    RESET,
    SECOND,
    SECRET,
    SERVICE,
    SESSIONS,
    SNAPSHOTS,
    SYSTEM,
    of_ours,
)
from tests.unit.conftest import NODES


def test_who_was_not_let_in(guarded):
    """A refused login is noted; a name only where there is such a user."""
    for auth, user in (
        (('admin', 'wrong'), 'admin'),
        (('nobody', 'wrong'), None),
        ((SECRET, SECRET), None),
    ):
        assert guarded.post(RESET, auth=auth, json={}).status_code == 401
        assert guarded.newest().get('Username') == user
        body = {'UserName': auth[0], 'Password': auth[1]}
        refused = guarded.post(SESSIONS, json=body)
        assert refused.status_code == 401
        entry = guarded.newest()
        assert of_ours(entry)['HttpStatus'] == 401
        assert entry.get('Username') == user
    assert SECRET not in json.dumps(guarded.entries())


def test_why_somebody_was_not_let_in(guarded):
    """The answer and the log have the message of the standard."""
    refused = guarded.post(RESET, auth=('admin', 'wrong'), json={})

    told = refused.json()['error']
    assert told['message'] == 'Incorrect username or password'
    (info,) = told['@Message.ExtendedInfo']
    assert info['MessageId'].endswith('.ResourceAtUriUnauthorized')
    assert info['MessageArgs'] == [RESET, told['message']]
    assert refused.headers['WWW-Authenticate'].startswith('Basic')
    assert of_ours(guarded.newest())['Reason'] == info['MessageId']


def test_a_session_is_its_users(guarded, emulator):
    """From login to logout; what a client says of itself is not believed."""
    login = requests.post(
        emulator.url + SESSIONS,
        json={'UserName': 'other', 'Password': 'hush'},
        headers={'X-User': 'admin'},
        timeout=60,
    )
    assert guarded.newest()['Username'] == 'other'
    for headers in ({}, {'X-User': 'admin', 'X-User-Name': 'admin'}):
        requests.post(
            emulator.url + RESET,
            json={'ResetType': 'On'},
            headers={
                'X-Auth-Token': login.headers['X-Auth-Token'],
                'X-Forwarded-For': '192.0.2.1',
                **headers,
            },
            timeout=60,
        )
        entry = guarded.newest()
        assert entry['Username'] == 'other'
        assert entry['OriginAddress'] == 'http://127.0.0.1'
    refused = requests.post(
        emulator.url + SESSIONS,
        json={'UserName': 'nobody', 'Password': 'x'},
        headers={'X-User': 'admin'},
        timeout=60,
    )
    assert refused.status_code == 401
    assert 'Username' not in guarded.newest()


def test_no_secret_is_in_it(guarded, emulator):
    """Of passwords, tokens, headers, queries and URLs, nothing is noted."""
    token = requests.post(
        emulator.url + SESSIONS,
        json={'UserName': 'admin', 'Password': SECRET},
        timeout=60,
    ).headers['X-Auth-Token']
    with_secrets = {'Destination': f'https://u:{SECRET}@127.0.0.1:9/'}
    for path, body in (
        (f'{RESET}?password={SECRET}', {'ResetType': SECRET}),
        (RESET, {'ResetType': [SECRET], SECRET: 1}),
        (f'{SNAPSHOTS}?{SECRET}', {'Password': SECRET, 'Name': SECRET * 30}),
        (
            f'{SYSTEM}/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia',
            {'Image': f'http://u:{SECRET}@127.0.0.1:9/x', 'Password': SECRET},
        ),
        (
            '/redfish/v1/EventService/Subscriptions',
            {**with_secrets, 'HttpHeaders': [{'Authorization': SECRET}]},
        ),
        (
            '/redfish/v1/EventService/Subscriptions',
            {
                **with_secrets,
                'Protocol': 'Redfish',
                'HttpHeaders': [{'Authorization': SECRET}],
            },
        ),
        (f'//u:{SECRET}@127.0.0.1{RESET}', {}),
    ):
        guarded.post(
            path,
            json=body,
            headers={'X-Secret': SECRET, 'Prefer': f'wait={SECRET}'},
        )
        requests.post(
            emulator.url + path,
            json=body,
            headers={'X-Auth-Token': SECRET, 'Cookie': SECRET},
            timeout=60,
        )
    entries = guarded.entries()
    kept = [
        str(tuple(row))
        for table in ('audit', 'audit_systems', 'audit_cleared')
        for row in emulator.database.query(f'SELECT * FROM {table}')
    ]

    assert len(entries) >= 15
    for text in (json.dumps(entries), *kept):
        assert SECRET not in text
        assert token not in text


def test_hostile_paths_are_text(log):
    """What a client calls things is escaped, and cut."""
    log.post('/redfish/v1/Systems/%1B[31m%0Ared<b>/x', json={})
    told = of_ours(log.newest())
    assert told['TargetUri'] == '/redfish/v1/Systems/%1B%5B31m%0Ared%3Cb%3E/x'
    log.post('/redfish/v1/' + 'x' * 3000, json={})
    told = of_ours(log.newest())
    assert len(told['TargetUri']) == bounds.URI_CHARACTERS
    log.post('/elsewhere', json={})
    assert of_ours(log.newest())['TargetUri'] is None


def test_a_hidden_system_is_in_no_log_of_others(log, emulator):
    """Nor can they clear it from the log of who sees all."""
    hidden, shown = NODES['node-0'], NODES['node-1']
    for uuid in (hidden, shown):
        uri = f'/redfish/v1/Systems/{uuid}/Actions/ComputerSystem.Reset'
        log.post(uri, json={'ResetType': 'On'})
    # Of no system that is known, but it names one.
    log.post(f'/redfish/v1/Systems/{hidden}/Nothing', json={})
    everything = [e['Id'] for e in log.entries()]
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [shown]
    entries = log.entries()

    assert len(everything) == 4
    assert [of_ours(e)['SystemUUIDs'] for e in entries] == [[shown]]
    assert hidden not in json.dumps(entries)
    gone = next(i for i in everything if i != entries[0]['Id'])
    assert log.get(f'{SERVICE}/Entries/{gone}').status_code == 404
    uri = f'/redfish/v1/Systems/{hidden}/LogServices/Audit'
    assert log.get(f'{uri}/Entries').status_code == 404
    log.post(f'/redfish/v1/Systems/{hidden}/Nothing', json={})
    log.clear()
    assert len(log.entries()) == 1
    del emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES']
    assert {*everything} < {e['Id'] for e in log.entries()}


@pytest.mark.parametrize(
    'systems, writer, reader, is_shown',
    [
        ([FIRST], None, None, True),
        ([FIRST], None, ['uuid-1'], True),
        ([FIRST], None, ['one'], True),
        ([FIRST, SECOND], None, ['uuid-1'], False),
        ([FIRST, SECOND], ['uuid-1', 'uuid-2'], None, True),
        ([], None, None, True),
        ([], None, ['uuid-1'], False),
        ([], ['uuid-1'], ['uuid-1', 'uuid-2'], True),
        ([], ['uuid-1', 'uuid-2'], ['uuid-1'], False),
        ([], ['uuid-1'], [], False),
    ],
)
def test_who_sees_what(systems, writer, reader, is_shown):
    """Whoever may see all of its systems, or all that its writer may."""
    assert View(reader).shows(systems, writer) is is_shown
