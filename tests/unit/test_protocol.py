# SPDX-License-Identifier: Apache-2.0
"""What the protocol asks of every answer."""

import json

import pytest
import requests

from tests.served import message_ids

STOCK = ['', 'Systems', 'Systems/{system}', 'Chassis', 'Registries']
OURS = [
    'Systems/{system}/Oem/HawkFish/Snapshots',
    'Systems/{system}/Oem/HawkFish/Snapshots/a',
    'TaskService',
    'TaskService/Tasks',
    'SessionService',
    'SessionService/Sessions',
    'JsonSchemas',
    'JsonSchemas/HawkFishSnapshot',
    'Registries/HawkFish.1.0',
]


@pytest.fixture
def url(emulator):
    """A function from a path to a URL; there is a snapshot called a."""
    emulator.created(Name='a')
    return lambda path: (
        f'{emulator.url}/redfish/v1/{path.format(system=emulator.system)}'
    )


@pytest.mark.parametrize('path', STOCK + OURS)
def test_headers_of_a_read(url, path):
    """A read says its OData version, methods and schema; none is cached."""
    for method in ('GET', 'HEAD'):
        response = requests.request(method, url(path))
        headers = response.headers

        assert response.status_code == 200
        assert headers['OData-Version'] == '4.0'
        assert headers['Cache-Control'] == 'no-store'
        assert 'GET' in headers['Allow'] and 'HEAD' in headers['Allow']
        if method == 'GET':
            assert headers['Content-Type'].startswith('application/json')
    # The emulator renders nothing for a HEAD of some of its resources.
    name = (
        response.json()['@odata.type']
        if response.content
        else (requests.get(url(path)).json()['@odata.type'])
    )
    file = name.lstrip('#').rpartition('.')[0] + '.json'
    link = requests.get(url(path)).links['describedby']['url']
    assert link.rpartition('/')[2] == file


@pytest.mark.parametrize('path', OURS)
def test_head_is_get_without_its_body(url, path):
    """HEAD of what is ours has the headers of a GET, and no body."""
    get, head = requests.get(url(path)), requests.head(url(path))

    for volatile in ('Date', 'Content-Length'):
        get.headers.pop(volatile), head.headers.pop(volatile)
    assert head.headers == get.headers
    assert head.content == b''


@pytest.mark.parametrize('path', STOCK + OURS)
def test_a_method_that_is_not_served(url, path):
    """A method without a route is a 405 that says which ones have one."""
    response = requests.put(url(path), json={})

    assert response.status_code == 405
    assert 'GET' in response.headers['Allow']
    assert response.json()['error']['@Message.ExtendedInfo']
    if path in OURS and path != 'TaskService':
        assert message_ids(response) == ['OperationNotAllowed']


def test_methods_do_not_depend_on_who_asked_first(url):
    """A request for another protocol changes nothing for those after it."""
    path = url('TaskService/TaskMonitors/none')
    upgrade = {'Connection': 'Upgrade', 'Upgrade': 'websocket'}
    requests.put(path, headers=upgrade)

    response = requests.put(path)

    assert response.status_code == 405
    assert 'GET' in response.headers['Allow']


def test_allow_has_the_methods_of_every_route(url):
    """Allow of a collection has POST, that of a snapshot DELETE."""

    def allow(path):
        return requests.get(url(path)).headers['Allow']

    assert allow(OURS[0]) == 'GET, HEAD, POST'
    assert allow(OURS[1]) == 'DELETE, GET, HEAD, PATCH'
    assert allow('SessionService') == 'GET, HEAD, PATCH'
    assert allow('') == 'GET, HEAD'


@pytest.mark.parametrize('path', STOCK + OURS)
def test_another_version_of_odata_is_refused(url, path):
    """A request of OData 4.1 gets a 412; one of 4.0 is served."""
    refused = requests.get(url(path), headers={'OData-Version': '4.1'})
    served = requests.get(url(path), headers={'OData-Version': '4.0'})

    assert refused.status_code == 412
    assert message_ids(refused) == ['HeaderInvalid']
    assert refused.headers['OData-Version'] == '4.0'
    assert served.status_code == 200


def test_another_version_of_odata_changes_nothing(emulator):
    """What is refused for its version is not done."""
    response = requests.post(
        emulator.snapshots_url, json={}, headers={'OData-Version': '3.0'}
    )

    assert response.status_code == 412
    listed = requests.get(emulator.snapshots_url).json()
    assert listed['Members'] == []


@pytest.mark.parametrize(
    'accept, status',
    [
        ('application/json', 200),
        ('*/*', 200),
        ('application/*', 200),
        ('application/json;charset=utf-8', 200),
        ('', 200),
        ('application/json;odata.metadata=minimal', 200),
        ('text/html, application/json;q=0.5', 200),
        ('text/html', 406),
        ('application/json;q=0', 406),
    ],
)
def test_what_the_client_accepts(url, accept, status):
    """A client that takes no JSON is told so; parameters do not matter."""
    response = requests.get(url(OURS[0]), headers={'Accept': accept})

    assert response.status_code == status
    if status == 406:
        assert message_ids(response) == ['NotAcceptable']


def test_metadata_is_accepted_as_xml(url):
    """$metadata is served to clients that take XML."""
    found = requests.get(
        url('$metadata'), headers={'Accept': 'application/xml'}
    )

    assert found.status_code == 200


def test_errors_are_not_cached_either(url):
    """An error has the headers that hold for every answer."""
    response = requests.get(url('nothing'))

    assert response.status_code == 404
    assert response.headers['OData-Version'] == '4.0'
    assert response.headers['Cache-Control'] == 'no-store'
    assert 'Allow' not in response.headers


def test_nothing_is_claimed_for_the_whole_service(url):
    """The root claims no query that the emulator's resources do not serve."""
    root = requests.get(url('')).json()

    claimed = json.dumps(root.get('ProtocolFeaturesSupported', {}))
    assert 'true' not in claimed


@pytest.mark.parametrize('method', ['GET', 'HEAD'])
def test_the_emulators_own_task_is_not_ours_to_delete(emulator, method):
    """Allow has what the emulator's task 42 obeys, and no more."""
    uri = f'{emulator.url}/redfish/v1/TaskService/Tasks/42'

    shown = requests.request(method, uri, timeout=60)
    deleted = requests.delete(uri, timeout=60)

    assert shown.status_code == 200
    assert shown.headers['Allow'] == 'GET, HEAD'
    assert deleted.status_code == 405
    assert deleted.headers['Allow'] == 'GET, HEAD'
    assert message_ids(deleted) == ['OperationNotAllowed']


def test_a_monitor_that_there_is_not(emulator):
    """The emulator's task has no monitor, so there is none to delete."""
    uri = f'{emulator.url}/redfish/v1/TaskService/TaskMonitors/42'

    assert requests.get(uri, timeout=60).status_code == 404
    assert requests.delete(uri, timeout=60).status_code == 404


@pytest.mark.parametrize('path', [OURS[1], 'SessionService'])
@pytest.mark.parametrize('method', ['GET', 'HEAD'])
def test_a_read_of_one_version(url, path, method):
    """If-Match of a read is obeyed, and a refusal is an error like others."""

    def read(etag):
        return requests.request(
            method, url(path), headers={'If-Match': etag}, timeout=60
        )

    etag = requests.get(url(path), timeout=60).json()['@odata.etag']
    stale = read('"0"')

    assert read(etag).status_code == read('*').status_code == 200
    assert stale.status_code == 412
    if method == 'GET':
        assert message_ids(stale) == ['PreconditionFailed']
