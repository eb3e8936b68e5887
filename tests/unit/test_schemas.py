# SPDX-License-Identifier: Apache-2.0
"""
The schemas and registries that are served, and what they are about.

Long, as each kind of schema is compared with what is served by it.
"""

import functools
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import jsonschema
import pytest
import referencing
import requests
import sushy
from referencing import jsonschema as dialects
from sushy.resources import base as sushy_base

import hawkfish_plugin
from hawkfish_plugin import messages
from hawkfish_plugin.redfish import schemas, tasks
from tests.unit.test_renderers import task_of

ROOT = pathlib.Path(__file__).parents[2]
DATA = pathlib.Path(hawkfish_plugin.__file__).parent / 'data'
EDM = '{http://docs.oasis-open.org/odata/ns/edm}'
EDMX = '{http://docs.oasis-open.org/odata/ns/edmx}'
BASE = 'http://redfish.example'

# What ours refer to in the files of the DMTF, which are not at hand here.
LINK = {
    'type': 'object',
    'required': ['@odata.id'],
    'additionalProperties': False,
    'properties': {'@odata.id': {'type': 'string'}},
}
STRING = {'type': 'string'}
DMTF = {
    'odata-v4.json': {
        'context': STRING,
        'count': {'type': 'integer'},
        'etag': STRING,
        'id': STRING,
        'idRef': LINK,
        'type': STRING,
    },
    'Resource.json': {
        'Health': {'enum': ['OK', 'Warning', 'Critical']},
        'Id': STRING,
        'Name': STRING,
        'Oem': {'type': 'object'},
        'PowerState': {'enum': ['On', 'Off', 'Paused']},
        'Status': {'type': 'object', 'required': ['State', 'Health']},
    },
    'Aggregate.json': {'Aggregate': LINK},
    'ComputerSystem.json': {'ComputerSystem': LINK},
    'LogService.json': {'LogService': LINK},
}


@functools.cache
def retrieve(uri):
    """A schema file by its URI: ours, or as much of a DMTF's as we need."""
    name = uri.rpartition('/')[2]
    if name in DMTF:
        content = {'definitions': DMTF[name]}
    else:
        content = json.loads(schemas.json_files()[name])
        # Relative references count from where the file was got.
        del content['$id']
    return referencing.Resource(content, dialects.DRAFT7)


def errors(body):
    """What the schema of its @odata.type has against *body*."""
    name, _, definition = body['@odata.type'].lstrip('#').rpartition('.')
    file = f'{BASE}/redfish/v1/JsonSchemas/{name}.json'
    validator = jsonschema.Draft7Validator(
        {'$id': BASE + '/check', '$ref': f'{file}#/definitions/{definition}'},
        registry=referencing.Registry(retrieve=retrieve),
    )
    return [error.message for error in validator.iter_errors(body)]


def ours(value):
    """Every object of one of our types in *value*, at any depth."""
    if isinstance(value, dict):
        if value.get('@odata.type', '').startswith('#HawkFish'):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from ours(item)


def types(value):
    """Every @odata.type in *value*, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get('@odata.type'), str):
            yield value['@odata.type']
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from types(item)


def links(value):
    if isinstance(value, dict):
        if isinstance(value.get('@odata.id'), str):
            yield value['@odata.id'].partition('#')[0]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from links(item)


@pytest.fixture(scope='module')
def resources(served_app):
    """Every resource that can be reached from the root, by its URI, once."""
    emulator = served_app
    emulator.services.start()
    emulator.wait_idle()
    emulator.clear()
    emulator.created(Name='a', Description='d')
    emulator.created(Name='b')
    emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/a/Actions/HawkFishSnapshot.Export'
        )
    )
    emulator.wait(
        requests.post(
            f'{emulator.snapshots_url}/a/Actions/HawkFishSnapshot.Verify',
            json={'Screenshot': True},
        )
    )
    system = f'/redfish/v1/Systems/{emulator.system}'
    group = f'{emulator.url}/redfish/v1/AggregationService/Aggregates'
    requests.post(
        group, json={'Name': 'g', 'Elements': [{'@odata.id': system}]}
    )
    emulator.wait(
        requests.post(f'{group}/g/Oem/HawkFish/Snapshots', json={'Name': 'c'})
    )
    found, waiting = {}, ['/redfish/v1/']
    while waiting:
        uri = waiting.pop()
        if uri in found:
            continue
        response = requests.get(emulator.url + uri, timeout=10)
        # Links of the emulator that lead nowhere are its own.
        found[uri] = response.json() if response.ok else {}
        waiting += links(found[uri])
    requests.delete(f'{group}/g').raise_for_status()
    return found


def test_json_schemas_are_made_from_the_csdl(tmp_path):
    """tools/genschemas has nothing to change in the JSON schemas."""
    subprocess.run(
        [sys.executable, ROOT / 'tools/genschemas', tmp_path / 'made'],
        check=True,
    )

    made = {p.name: p.read_text() for p in (tmp_path / 'made').iterdir()}
    assert made == schemas.json_files()


@pytest.mark.parametrize('name', schemas.json_files())
def test_json_schemas_are_schemas(name):
    """A schema file is valid, and every reference within it leads on."""
    content = json.loads(schemas.json_files()[name])
    content['$schema'] = 'http://json-schema.org/draft-07/schema#'

    jsonschema.Draft7Validator.check_schema(content)
    for target in re.findall(
        r'"\$ref": "([^"]*)"', schemas.json_files()[name]
    ):
        file, _, path = target.partition('#/definitions/')
        if file.startswith('/redfish'):
            other = file.rpartition('/')[2]
            assert (
                path in json.loads(schemas.json_files()[other])['definitions']
            )
        elif not file:
            assert path in content['definitions']


def test_every_property_served_is_in_a_schema(resources):
    """What the emulator serves of our types, their schemas describe."""
    served = [body for value in resources.values() for body in ours(value)]

    assert {body['@odata.type'] for body in served} >= {
        '#HawkFishAggregate.v1_0_0.Aggregate',
        '#HawkFishGroupSnapshot.v1_0_0.HawkFishGroupSnapshot',
        '#HawkFishGroupSnapshotCollection.HawkFishGroupSnapshotCollection',
        '#HawkFishExport.v1_0_0.HawkFishExport',
        '#HawkFishExportCollection.HawkFishExportCollection',
        '#HawkFishSnapshot.v1_0_0.HawkFishSnapshot',
        '#HawkFishSnapshotCollection.HawkFishSnapshotCollection',
        '#HawkFishComputerSystem.v1_0_0.ComputerSystem',
        '#HawkFishTask.v1_0_0.Task',
    }
    assert not [error for body in served for error in errors(body)]


def test_a_task_of_no_system_is_in_a_schema():
    """Its link to a system is null then."""
    shown = tasks.task(task_of(subjects=()), 'Title')['Oem']['HawkFish']

    assert shown['System'] is None
    assert not errors(shown)


def test_members_that_are_expanded_are_in_a_schema(emulator):
    """The list with whole members fits the collection's schema."""
    emulator.created(Name='a')

    body = requests.get(f'{emulator.snapshots_url}?$expand=.').json()

    assert not errors(body)


@pytest.mark.parametrize(
    'change',
    [
        {'Colour': 'red'},
        {'SnapshotState': 'Happy'},
        {'Current': None},
        {'Links': {'Aunt': None}},
        {'Name': None, 'Id': None, 'SizeBytes': 'x'},
    ],
)
def test_the_schema_refuses_what_it_does_not_describe(emulator, change):
    """An unknown property, a wrong word or type does not pass."""
    snapshot = emulator.created(Name='a')

    assert not errors(snapshot)
    assert errors({**snapshot, **change})


def test_metadata_refers_to_every_type_served(emulator, resources):
    """Each @odata.type is in a namespace that $metadata includes."""
    response = requests.get(f'{emulator.url}/redfish/v1/$metadata')
    root = ET.fromstring(response.content)
    included = {e.get('Namespace') for e in root.iter(f'{EDMX}Include')}

    assert response.headers['Content-Type'].startswith('application/xml')
    wanted = {
        name.lstrip('#').rpartition('.')[0]
        for body in resources.values()
        for name in types(body)
    }
    assert wanted <= included
    container = root.find(f'.//{EDM}EntityContainer')
    space, name = container.get('Extends').rsplit('.', 1)
    assert space in included and name == 'ServiceContainer'


def test_metadata_leads_to_our_csdl(emulator):
    """The local references of $metadata answer with the CSDL they name."""
    root = ET.fromstring(
        requests.get(f'{emulator.url}/redfish/v1/$metadata').content
    )
    local = {
        reference.get('Uri'): {
            include.get('Namespace') for include in reference
        }
        for reference in root.iter(f'{EDMX}Reference')
        if reference.get('Uri').startswith('/')
    }

    assert len(local) == len(list((DATA / 'csdl').iterdir()))
    for uri, spaces in local.items():
        text = requests.get(emulator.url + uri).content
        held = {
            s.get('Namespace')
            for s in ET.fromstring(text).iter(f'{EDM}Schema')
        }
        assert held == spaces


def test_local_references_of_the_csdl_are_served(emulator):
    """A CSDL file that refers to another of ours finds it."""
    for text in schemas.csdl_files().values():
        for reference in ET.fromstring(text).iter(f'{EDMX}Reference'):
            if reference.get('Uri').startswith('/'):
                url = emulator.url + reference.get('Uri')
                assert requests.get(url).status_code == 200


def test_every_json_schema_is_listed_and_served(emulator):
    """JsonSchemas leads to a resource for each file, and that to the file."""
    listed = requests.get(f'{emulator.url}/redfish/v1/JsonSchemas').json()
    names = set()
    for member in listed['Members']:
        body = requests.get(emulator.url + member['@odata.id']).json()
        file = body['Location'][0]['Uri']
        content = requests.get(emulator.url + file).json()
        names.add(file.rpartition('/')[2])
        assert content['$id'] == file
        assert content['title'] == body['Schema']

    assert names == {p.name for p in (DATA / 'json-schemas').iterdir()}


@pytest.mark.parametrize(
    'path',
    [
        'Schemas/nothing.xml',
        'Schemas/..%2fregistries%2fstandard.json',
        'JsonSchemas/nothing',
        'JsonSchemas/__init__.json',
        'Registries/x',
        'Registries/standard.json',
    ],
)
def test_no_other_file_is_served(emulator, path):
    """A name that is not in the list is a 404."""
    response = requests.get(f'{emulator.url}/redfish/v1/{path}')

    assert response.status_code == 404


def test_registries_are_published(emulator):
    """Each registry that messages are sent from is listed and can be got."""
    listed = requests.get(f'{emulator.url}/redfish/v1/Registries').json()
    members = [member['@odata.id'] for member in listed['Members']]
    known = {}
    for uri in members:
        body = requests.get(emulator.url + uri).json()
        content = requests.get(emulator.url + body['Location'][0]['Uri'])
        known[body['Registry']] = content.json().get('Messages')

    # The emulator's own keep their places.
    assert members[0] == '/redfish/v1/Registries/Messages'
    assert listed['Members@odata.count'] == len(members)
    for message_id in messages.registry():
        name, _, key = message_id.rpartition('.')
        assert key in known[name]


def test_sushy_reads_our_registries(emulator, monkeypatch):
    """sushy finds each registry here, and does not ask the Internet."""
    asked = []
    monkeypatch.setattr(
        sushy_base.JsonPublicFileReader,
        'get_data',
        lambda reader: asked.append(reader),
    )

    known = sushy.Sushy(f'{emulator.url}/redfish/v1', verify=False).registries

    for name in messages.published():
        assert known[name].messages
    assert known['HawkFish.1.0'].messages['SnapshotBusy'].message
    assert not asked


def test_sushy_knows_how_severe_a_message_is(emulator, caplog):
    """The deprecated property, which is required, is what sushy reads."""
    service = sushy.Sushy(f'{emulator.url}/redfish/v1', verify=False)

    known = {name: service.registries[name] for name in messages.published()}

    assert not [r for r in caplog.records if 'Severity' in r.getMessage()]
    completed = known['TaskEvent.1.0'].messages['TaskCompletedOK']
    assert completed.severity is sushy.SEVERITY_OK
    for message_id, message in messages.registry().items():
        name, _, key = message_id.rpartition('.')
        read = known[name].messages[key].severity
        assert read.value == message['MessageSeverity']


@pytest.mark.parametrize('features', ['vmedia', 'minimum'])
def test_registries_are_there_in_every_feature_set(emulator, features):
    """Where the emulator has no registries, ours are listed alone."""
    emulator.app.config['SUSHY_EMULATOR_FEATURE_SET'] = features
    try:
        root = requests.get(f'{emulator.url}/redfish/v1/').json()
        listed = requests.get(
            emulator.url + root['Registries']['@odata.id']
        ).json()
    finally:
        del emulator.app.config['SUSHY_EMULATOR_FEATURE_SET']

    assert listed['Members'][0]['@odata.id'].endswith('/Base.1.22')
    # And the map of privileges.
    assert len(listed['Members']) == len(messages.published()) + 1


def test_the_roots(emulator):
    """/redfish names the version, odata each link of the service root."""
    url = emulator.url
    root = requests.get(f'{url}/redfish/v1/').json()
    document = requests.get(f'{url}/redfish/v1/odata').json()

    assert requests.get(f'{url}/redfish').json() == {'v1': '/redfish/v1/'}
    assert document['@odata.context'] == '/redfish/v1/$metadata'
    assert {(v['name'], v['url']) for v in document['value']} == {
        (name, value['@odata.id'])
        for name, value in root.items()
        if isinstance(value, dict) and '@odata.id' in value
    } | {('Service', '/redfish/v1/')}
    for name in ('Tasks', 'JsonSchemas', 'Registries', 'SessionService'):
        found = requests.get(url + root[name]['@odata.id'])
        assert found.status_code == 200
    assert root['Links']['Sessions']['@odata.id'].endswith('/Sessions')
