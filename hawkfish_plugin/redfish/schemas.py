# SPDX-License-Identifier: Apache-2.0
"""
The descriptions that the service gives of its own types and messages.

Owns the schema files of our types (``data/csdl`` and ``data/json-schemas``)
and the resources ``/redfish``, ``odata``, ``$metadata``, ``JsonSchemas`` and
``Registries``.  Those folders are the only list of our types.
"""

import functools
import importlib.resources
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

from hawkfish_plugin import messages
from hawkfish_plugin.redfish.common import Resource, collection
from hawkfish_plugin.redfish.uris import PRIVILEGE_MAP, ROOT

METADATA = f'{ROOT}/$metadata'
ODATA = f'{ROOT}/odata'
CSDL = f'{ROOT}/Schemas'
JSON_SCHEMAS = f'{ROOT}/JsonSchemas'
REGISTRIES = f'{ROOT}/Registries'
PRIVILEGE_FILE = 'PrivilegeRegistry'

_PUBLISHED = 'http://redfish.dmtf.org/schemas/v1'
_PUBLISHED_REGISTRIES = 'https://redfish.dmtf.org/registries'
_EDM = 'http://docs.oasis-open.org/odata/ns/edm'
_EDMX = 'http://docs.oasis-open.org/odata/ns/edmx'

# What the service has of the DMTF, the emulator's own resources included: a
# type and the versions of it in use.  A collection has none.
_DMTF_TYPES = {
    'AccountService': ('v1_15_0',),
    'ActionInfo': ('v1_5_0',),
    'Aggregate': ('v1_0_3',),
    'AggregateCollection': (),
    'AggregationService': ('v1_0_3',),
    'AttributeRegistry': ('v1_1_1',),
    'Bios': ('v1_0_0',),
    'Certificate': ('v1_3_0',),
    'CertificateCollection': (),
    'CertificateLocations': ('v1_0_2',),
    'CertificateService': ('v1_0_4',),
    'Chassis': ('v1_5_0', 'v1_7_0'),
    'ChassisCollection': (),
    'CollectionCapabilities': ('v1_4_0',),
    'ComputerSystem': ('v1_13_0',),
    'ComputerSystemCollection': (),
    'Drive': ('v1_4_0',),
    'DriveCollection': (),
    'EthernetInterface': ('v1_0_2',),
    'EthernetInterfaceCollection': (),
    'Event': ('v1_13_0',),
    'EventDestination': ('v1_16_0',),
    'EventDestinationCollection': (),
    'EventService': ('v1_12_0',),
    'JsonSchemaFile': ('v1_1_5',),
    'JsonSchemaFileCollection': (),
    'Job': ('v1_0_0', 'v1_3_0'),
    'JobCollection': (),
    'JobService': ('v1_0_0', 'v1_1_0'),
    'LogEntry': ('v1_21_0',),
    'LogEntryCollection': (),
    'LogService': ('v1_9_0',),
    'LogServiceCollection': (),
    'Manager': ('v1_3_1', 'v1_4_0'),
    'ManagerAccount': ('v1_13_0',),
    'ManagerAccountCollection': (),
    'ManagerCollection': (),
    'Message': ('v1_3_0',),
    'MessageRegistry': ('v1_1_1', 'v1_7_0'),
    'MessageRegistryFile': ('v1_1_0', 'v1_1_1', 'v1_1_5'),
    'MessageRegistryFileCollection': (),
    'PrivilegeRegistry': ('v1_1_4',),
    'Processor': ('v1_0_7',),
    'ProcessorCollection': (),
    'Resource': ('v1_0_0',),
    'Role': ('v1_3_0',),
    'RoleCollection': (),
    'Schedule': ('v1_0_0', 'v1_2_5'),
    'SecureBoot': ('v1_1_0',),
    'ServiceRoot': ('v1_5_0', 'v1_15_0'),
    'Session': ('v1_8_0',),
    'SessionCollection': (),
    'SessionService': ('v1_2_0',),
    'Settings': ('v1_0_0',),
    'SimpleStorage': ('v1_1_0', 'v1_2_0'),
    'SimpleStorageCollection': (),
    'Storage': ('v1_3_0', 'v1_4_0'),
    'StorageCollection': (),
    'Task': ('v1_4_3', 'v1_7_4'),
    'TaskCollection': (),
    'TaskService': ('v1_3_0',),
    'Thermal': ('v1_3_0',),
    'UpdateService': ('v1_11_0',),
    'VirtualMedia': ('v1_4_0',),
    'VirtualMediaCollection': (),
    'Volume': ('v1_0_3',),
    'VolumeCollection': (),
}
_CONTAINER = 'ServiceRoot.v1_15_0.ServiceContainer'


# Files --------------------------------------------------------------------


@functools.cache
def csdl_files() -> dict[str, str]:
    """The CSDL of our types, by the name of its file."""
    return _files('csdl')


@functools.cache
def json_files() -> dict[str, str]:
    """The JSON schemas of our types, by the name of the file."""
    return _files('json-schemas')


@functools.cache
def definitions(resource: str) -> Resource:
    """What the JSON schemas of one of our types define, by its name."""
    found: Resource = {}
    # The one without a version comes first, and has links to the others.
    for name, text in json_files().items():
        if name.split('.')[0] == resource:
            found |= json.loads(text)['definitions']
    return found


def actions_of(resource: str) -> Sequence[str]:
    """The actions that one of our types has, as its schema says."""
    found = definitions(resource)['Actions']['properties']
    return [name[1:] for name in found if name.startswith('#')]


def _files(folder: str) -> dict[str, str]:
    place = importlib.resources.files('hawkfish_plugin') / 'data' / folder
    return {
        path.name: path.read_text()
        for path in sorted(place.iterdir(), key=lambda path: path.name)
    }


# The roots ----------------------------------------------------------------


def versions() -> Resource:
    return {'v1': f'{ROOT}/'}


def service_document(root: Resource) -> Resource:
    """The OData service document; *root* is the ServiceRoot."""
    links = [
        {'name': name, 'kind': 'Singleton', 'url': value['@odata.id']}
        for name, value in root.items()
        if isinstance(value, dict) and '@odata.id' in value
    ]
    service = {'name': 'Service', 'kind': 'Singleton', 'url': f'{ROOT}/'}
    return {'@odata.context': METADATA, 'value': [service, *links]}


@functools.cache
def metadata() -> bytes:
    """The ``$metadata`` document: where the schema of each type is."""
    ET.register_namespace('edmx', _EDMX)
    root = ET.Element(f'{{{_EDMX}}}Edmx', Version='4.0')
    _refer(
        root,
        f'{_PUBLISHED}/RedfishExtensions_v1.xml',
        {'RedfishExtensions.v1_0_0': 'Redfish'},
    )
    for name, in_use in _DMTF_TYPES.items():
        spaces = [name, *(f'{name}.{version}' for version in in_use)]
        _refer(root, f'{_PUBLISHED}/{name}_v1.xml', dict.fromkeys(spaces))
    for name, text in csdl_files().items():
        _refer(root, f'{CSDL}/{name}', dict.fromkeys(_namespaces(text)))
    services = ET.SubElement(root, f'{{{_EDMX}}}DataServices')
    schema = ET.SubElement(services, 'Schema', xmlns=_EDM, Namespace='Service')
    ET.SubElement(
        schema, 'EntityContainer', Name='Service', Extends=_CONTAINER
    )
    made: bytes = ET.tostring(root, encoding='UTF-8', xml_declaration=True)
    return made


def _refer(
    root: ET.Element, uri: str, spaces: dict[str, str] | dict[str, None]
) -> None:
    reference = ET.SubElement(root, f'{{{_EDMX}}}Reference', Uri=uri)
    for space, alias in spaces.items():
        names = {'Namespace': space} | ({'Alias': alias} if alias else {})
        ET.SubElement(reference, f'{{{_EDMX}}}Include', names)


def _namespaces(csdl: str) -> Iterable[str]:
    # Our own files, out of the package.
    root = ET.fromstring(csdl)  # noqa: S314
    for schema in root.iter(f'{{{_EDM}}}Schema'):
        yield schema.attrib['Namespace']


def described_by(odata_type: str) -> str:
    """The ``Link`` header that says where the JSON schema of a type is."""
    name = odata_type.lstrip('#').rpartition('.')[0]
    # A collection has the same word on both sides of its only dot.
    file = f'{name}.json'
    home = JSON_SCHEMAS if file in json_files() else _PUBLISHED
    return f'<{home}/{file}>; rel=describedby'


# JSON schemas -------------------------------------------------------------


def json_schema_ids() -> list[str]:
    return [name.removesuffix('.json') for name in json_files()]


def json_schema_uri(schema_id: str) -> str:
    return f'{JSON_SCHEMAS}/{schema_id}'


def json_schema_collection(
    members: Sequence[Resource], total: int
) -> Resource:
    return collection(
        JSON_SCHEMAS,
        '#JsonSchemaFileCollection.JsonSchemaFileCollection',
        'Schema Collection',
        members,
        total,
    )


def json_schema_file(schema_id: str) -> Resource:
    return {
        '@odata.id': json_schema_uri(schema_id),
        '@odata.type': '#JsonSchemaFile.v1_1_5.JsonSchemaFile',
        'Id': schema_id,
        'Name': f'{schema_id} Schema File',
        'Schema': json.loads(json_files()[f'{schema_id}.json'])['title'],
        'Languages': ['en'],
        'Location': [
            {'Language': 'en', 'Uri': f'{json_schema_uri(schema_id)}.json'}
        ],
    }


# Registries ---------------------------------------------------------------


def registry_uri(name: str) -> str:
    return f'{REGISTRIES}/{name}'


def registry_collection(members: Sequence[Resource]) -> Resource:
    return collection(
        REGISTRIES,
        '#MessageRegistryFileCollection.MessageRegistryFileCollection',
        'Registry File Collection',
        members,
        len(members),
    )


def privilege_file() -> Resource:
    """Where the map of privileges can be got."""
    return _registry_file(
        PRIVILEGE_FILE,
        'Privilege Registry File',
        'Redfish.1.8.0',
        {'Language': 'en', 'Uri': PRIVILEGE_MAP},
    )


def registry_file(name: str) -> Resource:
    """Where the registry *name*, as MessageIds begin with it, can be got."""
    content = messages.published()[name]
    location = {
        'Language': 'en',
        'Uri': f'{registry_uri(content["Id"])}.json',
    }
    if content['OwningEntity'] == 'DMTF':
        location['PublicationUri'] = (
            f'{_PUBLISHED_REGISTRIES}/{content["Id"]}.json'
        )
    return _registry_file(name, f'{content["Name"]} File', name, location)


def _registry_file(
    name: str, title: str, registry: str, location: Resource
) -> Resource:
    return {
        '@odata.id': registry_uri(name),
        '@odata.type': '#MessageRegistryFile.v1_1_5.MessageRegistryFile',
        'Id': name,
        'Name': title,
        'Registry': registry,
        'Languages': ['en'],
        'Location': [location],
    }
