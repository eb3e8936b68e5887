# SPDX-License-Identifier: Apache-2.0
"""What the emulator's own resources are like with the plugin."""

import pytest
import requests

from hawkfish_plugin.emulator import routes
from tests.served import FAKE_UUID, Served

ROOT = '/redfish/v1'
SYSTEM = f'{ROOT}/Systems/{FAKE_UUID}'
CHASSIS = f'{ROOT}/Chassis/15693887-7984-9484-3272-842188918912'
LEADS = ('@odata.id', 'target', '@Redfish.ActionInfo', 'HttpPushUri')
STORAGE = f"""
_OF = {FAKE_UUID!r}
SUSHY_EMULATOR_STORAGE = {{_OF: [
    {{'Id': '1', 'Name': 'one', 'StorageControllers': [], 'Drives': ['a']}},
]}}
SUSHY_EMULATOR_DRIVES = {{(_OF, '1'): [
    {{'Id': 'a', 'Name': 'a', 'CapacityBytes': 1, 'Protocol': 'SAS'}},
]}}
"""


@pytest.fixture
def get(emulator):
    def read(path):
        response = requests.get(emulator.url + path, timeout=30)
        assert response.status_code == 200, response.text
        return response.json()

    return read


@pytest.fixture
def served(tmp_path):
    """A function that starts an emulator of its own."""
    started = []

    def serve(config='', **environment):
        emulator = Served(tmp_path, config=config, **environment)
        started.append(emulator.start())
        return emulator

    yield serve
    for emulator in started:
        emulator.stop()


def leads(value, key=''):
    """All that *value* leads to: the URI, and the method that is for it."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leads(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from leads(part, key)
    elif key in LEADS and value.startswith('/'):
        yield value.partition('#')[0], 'POST' if key == 'target' else 'GET'


def crawl(url):
    """The resources that can be reached from the root, by their URIs."""
    found, ahead = {}, [f'{ROOT}/']
    while ahead:
        uri = ahead.pop()
        if uri in found or '/Oem/' in uri:
            continue
        response = requests.get(url + uri, timeout=30)
        assert response.status_code == 200, (uri, response.text)
        found[uri] = response.json()
        ahead += [link for link, how in leads(found[uri]) if how == 'GET']
    return found


@pytest.mark.parametrize('config', ['', STORAGE])
def test_all_links_lead_to_something(served, config):
    """Every link of the service is answered, whatever is configured."""
    emulator = served(config)

    found = crawl(emulator.url)
    actions = [
        uri
        for body in found.values()
        for uri, how in leads(body)
        if how == 'POST'
    ]

    assert (f'{SYSTEM}/Storage/1/Drives/a' in found) == bool(config)
    assert f'{ROOT}/CertificateService/CertificateLocations' in found
    assert len(found) > 20 and len(actions) > 5
    for uri in actions:
        response = requests.get(emulator.url + uri, timeout=30)
        assert response.status_code == 405, uri
    assert not [u for u, b in found.items() if '@Redfish.Copyright' in b]
    assert not [u for u, b in found.items() if '##' in b['@odata.type']]


def test_nothing_is_mended_if_it_is_not_wanted(served):
    """With the option off, the emulator's resources are as it renders them."""
    emulator = served(OS_HAWKFISH__MEND_EMULATOR='false')

    system = requests.get(emulator.url + SYSTEM, timeout=30).json()
    refused = requests.patch(emulator.url + SYSTEM, json={'A': 1}, timeout=30)

    assert '@Redfish.Copyright' in system
    assert system['Memory'] and system['Status']['HealthRollUp'] == 'OK'
    # What is added is added nevertheless.
    assert system['Oem']['HawkFish']
    assert refused.status_code == 400
    assert (
        refused.text == 'PATCH only works for Boot and IndicatorLED elements'
    )


def test_health_is_spelled_as_the_standard_has_it(get):
    """It is where sushy reads it."""
    system = get(SYSTEM)

    for part in (system, system['ProcessorSummary'], system['MemorySummary']):
        assert part['Status']['HealthRollup'] == 'OK'
        assert 'HealthRollUp' not in part['Status']


def test_chassis_has_a_type_with_a_uuid(get):
    """Its UUID stays; its type is the one that defines it."""
    chassis = get(CHASSIS)

    assert chassis['UUID'] == CHASSIS.rpartition('/')[2]
    assert chassis['@odata.type'] == '#Chassis.v1_7_0.Chassis'


def test_sensors(get):
    """Their numbers are numbers, and what they belong to is there."""
    sensors = get(f'{CHASSIS}/Thermal')['Temperatures']

    assert [s['SensorNumber'] for s in sensors] == [*range(len(sensors))]
    assert sensors[0]['RelatedItem'][0]['@odata.id'].startswith(
        f'{ROOT}/Systems/'
    )
    assert not [
        item
        for sensor in sensors
        for item in sensor['RelatedItem']
        if item['@odata.id'].endswith('/CPU')
    ]


def test_an_empty_drive_has_no_image(get):
    """The name of no image is null, and no empty string."""
    assert get(f'{SYSTEM}/VirtualMedia/Cd')['ImageName'] is None


def test_processors(emulator, monkeypatch, get):
    """They are where they say that they are, and counts are numbers."""
    # As the libvirt driver has them; the fake one has none.
    processor = {
        'id': 'CPU0',
        'socket': 'CPU 0',
        'model': 'N/A',
        'vendor': 'N/A',
        'cores': '2',
        'threads': '4',
    }
    monkeypatch.setattr(
        emulator.app.systems, 'get_processors', lambda identity: [processor]
    )
    uri = get(SYSTEM)['Processors']['@odata.id']
    (member,) = get(uri)['Members']
    found = get(member['@odata.id'])

    assert get(uri + '/')['@odata.id'] == uri == f'{SYSTEM}/Processors'
    assert found['@odata.id'] == member['@odata.id'] == f'{uri}/CPU0'
    assert (found['TotalCores'], found['TotalThreads']) == (2, 4)


def test_links_are_as_a_client_has_to_write_them(emulator, monkeypatch, get):
    """Of a system with an odd name as well, and of what is not there."""
    monkeypatch.setattr(
        type(emulator.app.systems), 'uuid', lambda *_: FAKE_UUID
    )
    monkeypatch.setattr(
        emulator.app.systems, 'get_processors', lambda identity: []
    )
    odd = f'{ROOT}/Systems/a%20%C3%BC'
    assert get(f'{odd}/Processors')['@odata.id'] == f'{odd}/Processors'

    missing = requests.get(f'{emulator.url}{odd}/No%20thing', timeout=30)
    (message,) = missing.json()['error']['@Message.ExtendedInfo']
    assert message['MessageArgs'] == [f'{odd}/No%20thing']
    with emulator.app.app_context():
        assert routes.is_served(f'{odd}/Processors')
        assert not routes.is_served(f'{ROOT}/Systems/a%2Fb')


def test_bios(emulator, monkeypatch, get):
    """It is where the standard has it, and still where it was."""
    systems, values = emulator.app.systems, {'NumCores': '4'}
    monkeypatch.setattr(systems, 'get_bios', lambda identity: values)
    monkeypatch.setattr(
        systems, 'set_bios', lambda identity, new: values.update(new)
    )
    monkeypatch.setattr(systems, 'reset_bios', lambda identity: values.clear())

    uri = get(SYSTEM)['Bios']['@odata.id']
    bios = get(uri)
    pending = bios['@Redfish.Settings']['SettingsObject']['@odata.id']
    changed = requests.patch(
        emulator.url + pending,
        json={'Attributes': {'NumCores': '8'}},
        timeout=30,
    )

    assert uri == bios['@odata.id'] == f'{SYSTEM}/Bios'
    assert pending == get(pending)['@odata.id'] == f'{SYSTEM}/Bios/Settings'
    assert changed.status_code == 204
    assert 'Content-Type' not in changed.headers
    assert get(uri)['Attributes'] == {'NumCores': '8'}
    assert get(f'{SYSTEM}/BIOS') == get(uri)
    # Nobody can change the password of what has none.
    assert [*bios['Actions']] == ['#Bios.ResetBios']
    target = bios['Actions']['#Bios.ResetBios']['target']
    assert requests.post(emulator.url + target, timeout=30).status_code == 204
    assert get(uri)['Attributes'] == {}


@pytest.mark.parametrize(
    'method, path, status, key, text',
    [
        ('GET', f'{ROOT}/Nothing', 404, 'ResourceMissingAtURI', '404 Not'),
        ('GET', f'{SYSTEM}/Nothing', 404, 'ResourceMissingAtURI', '404 Not'),
        ('PATCH', f'{ROOT}/Systems', 405, 'OperationNotAllowed', '405 Meth'),
        ('PATCH', f'{ROOT}/TaskService', 405, 'OperationNotAllowed', ''),
        # Text alone, that calls itself JSON.
        ('PATCH', SYSTEM, 400, 'GeneralError', 'PATCH only works for Boot'),
        ('GET', f'{SYSTEM}/Processors', 501, 'GeneralError', 'Not impl'),
        ('GET', f'{SYSTEM}/Storage', 500, 'GeneralError', 'Error finding'),
    ],
)
def test_errors_of_the_emulator(emulator, method, path, status, key, text):
    """They have a message of a registry, and still tell what they told."""
    response = requests.request(
        method, emulator.url + path, json={'Foo': 1}, timeout=30
    )
    error = response.json()['error']
    (message,) = error['@Message.ExtendedInfo']

    assert response.status_code == status, response.text
    assert error['code'] == message['MessageId'] == f'Base.1.22.{key}'
    assert text in error['message']
    assert message['MessageSeverity'] == message['Severity'] == 'Critical'
    if key == 'GeneralError':
        # sushy shows this text.
        assert message['Message'] == error['message']
