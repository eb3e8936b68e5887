# SPDX-License-Identifier: Apache-2.0
"""Libraries that speak Redfish, in the ways that they can log in."""

import logging

import pytest
import redfish
import requests
import sushy
from sushy import auth as sushy_auth
from sushy import taskmonitor

from tests.clients.conftest import PASSWORD, SNAPSHOTS, SYSTEM, USER
from tests.waiting import wait_for

SESSIONS = '/redfish/v1/SessionService/Sessions'
EVENTS = '/redfish/v1/EventService'


@pytest.fixture(autouse=True)
def own_authority(monkeypatch):
    """Neither a variable nor a file of the user says whom to trust."""
    for name in ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'SSL_CERT_FILE'):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    'kind', [sushy_auth.BasicAuth, sushy_auth.SessionAuth]
)
def test_sushy(way, kind, caplog):
    """It finds the system, resets it, and follows tasks; it has no warning."""
    caplog.set_level(logging.WARNING)
    root = sushy.Sushy(
        way.url,
        root_prefix=f'{way.prefix}/redfish/v1/',
        auth=kind(USER, PASSWORD),
        verify=way.authority,
    )
    (system,) = root.get_system_collection().get_members()
    path, connector = way.prefix + SNAPSHOTS, root._conn

    def ended(response):
        monitor = taskmonitor.TaskMonitor.from_response(
            connector, response, response.url
        )
        wait_for(lambda: not monitor.check_is_processing, response.text)
        return monitor.response.status_code

    assert system.memory_summary.health == 'OK'
    system.reset_system(sushy.RESET_ON)
    assert ended(connector.post(path, data={'Name': 'sushy'})) == 201
    assert 'sushy' in way.names()
    assert ended(connector.delete(f'{path}/sushy')) == 204
    assert 'sushy' not in way.names()
    if kind is sushy_auth.SessionAuth:
        root._auth.close()
    assert not way.get(SESSIONS).json()['Members']
    assert not [r for r in caplog.records if r.name.startswith('sushy')]


@pytest.mark.parametrize('kind', ['basic', 'session'])
def test_redfish_of_the_dmtf(way, kind):
    """It logs in, follows a task by its monitor, and logs out."""
    client = redfish.redfish_client(
        way.url,
        USER,
        PASSWORD,
        default_prefix=f'{way.prefix}/redfish/v1/',
        cafile=way.authority,
    )
    client.login(auth=kind)
    path = way.prefix + SNAPSHOTS

    def ended(response):
        assert response.status == 202, response.text
        while response.is_processing:
            response = response.monitor(client)
        return response.status

    try:
        assert ended(client.post(path, body={'Name': 'dmtf'})) == 201
        revert = f'{path}/dmtf/Actions/HawkFishSnapshot.Revert'
        assert ended(client.post(revert, body={})) == 200
        assert ended(client.delete(f'{path}/dmtf')) == 204
        assert client.get(f'{path}/dmtf').status == 404
    finally:
        client.logout()
    assert not way.get(SESSIONS).json()['Members']


@pytest.mark.parametrize('kind', ['basic', 'session'])
def test_what_gofish_sends(way, kind):
    """
    The requests of gofish, in its order and with its headers.

    It is a library for Go, so they are sent by hand.
    """
    client = requests.Session()
    client.trust_env, client.verify = False, way.authority
    client.headers.update({'User-Agent': 'gofish/1.0', 'Connection': 'close'})

    def send(method, path, **kw):
        if path.startswith('/redfish'):
            path = way.prefix + path
        return client.request(method, way.url + path, timeout=30, **kw)

    root = send('GET', '/redfish/v1/').json()
    if kind == 'session':
        link = root['Links']['Sessions']['@odata.id']
        opened = send(
            'POST', link, json={'UserName': USER, 'Password': PASSWORD}
        )
        assert opened.status_code == 201, opened.text
        client.headers['X-Auth-Token'] = opened.headers['X-Auth-Token']
    else:
        client.auth = USER, PASSWORD
    system = send('GET', way.prefix + SYSTEM).json()
    reset = system['Actions']['#ComputerSystem.Reset']['target']
    assert send('POST', reset, json={'ResetType': 'On'}).status_code == 204
    service = send('GET', root['EventService']['@odata.id']).json()
    made = send(
        'POST',
        service['Subscriptions']['@odata.id'],
        json={
            'Destination': 'https://192.0.2.1/events',
            'EventTypes': ['Alert', 'ResourceAdded'],
            'RegistryPrefixes': ['IPMI', 'TaskEvent'],
            'ResourceTypes': ['Chassis', 'ComputerSystem', 'Fan'],
            'DeliveryRetryPolicy': 'RetryForever',
            'HttpHeaders': {'X-Own': 'value'},
            'Protocol': 'Redfish',
            'Context': 'gofish',
        },
    )
    assert made.status_code == 201, made.text
    test = service['Actions']['#EventService.SubmitTestEvent']['target']
    sent = send(
        'POST',
        test,
        json={
            'EventGroupId': 'TESTING123',
            'EventId': 'TEST123',
            'EventTimestamp': '2026-05-01 10:00:00.1 +0000 UTC m=+0.1',
            'EventType': 'Alert',
            'Message': 'hello',
            'MessageArgs': None,
            'MessageId': 'test123',
            'OriginOfCondition': EVENTS,
            'Severity': 'Informational',
        },
    )
    assert sent.status_code in (200, 201, 202, 204), sent.text
    location = made.headers['Location']
    assert send('DELETE', location).status_code == 204
    if kind == 'session':
        gone = send('DELETE', opened.headers['Location'])
        assert gone.status_code in (200, 204)
