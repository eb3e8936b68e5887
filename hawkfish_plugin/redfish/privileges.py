# SPDX-License-Identifier: Apache-2.0
"""
Who may do what: the map of privileges.

Owns which privileges an operation on a resource needs, by the type of the
resource, as the DMTF's registry has it (DSP8011, 1.8.0); for our own types, as
the type has it that they belong to.  The types of resources are told by their
URIs.  What is enforced and what is published are one table.
"""

import functools
import re
from collections.abc import Iterable, Mapping

from hawkfish_plugin.accounts.roles import (
    ADMINISTRATOR,
    CONFIGURE_COMPONENTS,
    CONFIGURE_MANAGER,
    CONFIGURE_SELF,
    CONFIGURE_USERS,
    LOGIN,
    PRIVILEGES,
)
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import READING, WRITING, Resource

REGISTRY = 'HawkFish_1.0.0_PrivilegeRegistry'

Alternatives = tuple[str, ...]
"""Privileges of which one will do."""

Operations = Mapping[str, Alternatives]


def _operations(*writing: str, **others: Alternatives) -> Operations:
    return {
        **dict.fromkeys(READING, (LOGIN,)),
        **dict.fromkeys(WRITING, writing),
        **others,
    }


_MANAGER = _operations(CONFIGURE_MANAGER)
_USERS = _operations(CONFIGURE_USERS)
_COMPONENTS = _operations(CONFIGURE_COMPONENTS)
_SECRET = dict.fromkeys((*READING, *WRITING), (CONFIGURE_MANAGER,))
_EITHER = _operations(CONFIGURE_MANAGER, CONFIGURE_COMPONENTS)
_OWN = (CONFIGURE_MANAGER, CONFIGURE_SELF)

_ENTITIES: Mapping[str, Operations] = {
    'AccountService': _USERS,
    'ActionInfo': _MANAGER,
    'Aggregate': _EITHER,
    'AggregateCollection': _EITHER,
    'AggregationService': _MANAGER,
    'AttributeRegistry': _MANAGER,
    'Bios': _COMPONENTS,
    'Certificate': _SECRET,
    'CertificateCollection': _SECRET,
    'CertificateLocations': _SECRET,
    'CertificateService': _MANAGER,
    'Chassis': _COMPONENTS,
    'ChassisCollection': _COMPONENTS,
    'ComputerSystem': _COMPONENTS,
    'ComputerSystemCollection': _COMPONENTS,
    'Drive': _COMPONENTS,
    'EthernetInterface': _COMPONENTS,
    'EthernetInterfaceCollection': _COMPONENTS,
    'EventDestination': _operations(*_OWN),
    'EventDestinationCollection': _EITHER,
    'EventService': _MANAGER,
    'HawkFishBackup': _COMPONENTS,
    'HawkFishBackupCollection': _COMPONENTS,
    'HawkFishExport': _COMPONENTS,
    'HawkFishExportCollection': _COMPONENTS,
    'HawkFishGroupSnapshot': _COMPONENTS,
    'HawkFishGroupSnapshotCollection': _COMPONENTS,
    'HawkFishSnapshot': _COMPONENTS,
    'HawkFishSnapshotCollection': _COMPONENTS,
    'HawkFishSnapshotPolicy': _COMPONENTS,
    'HawkFishSystemSummary': _COMPONENTS,
    'HawkFishSystemSummaryCollection': _COMPONENTS,
    'Job': _MANAGER,
    'JobCollection': _MANAGER,
    'JobService': _MANAGER,
    'JsonSchemaFile': _MANAGER,
    'JsonSchemaFileCollection': _MANAGER,
    'LogEntry': _MANAGER,
    'LogEntryCollection': _MANAGER,
    'LogService': _MANAGER,
    'LogServiceCollection': _MANAGER,
    'Manager': _MANAGER,
    'ManagerAccount': _operations(
        CONFIGURE_USERS,
        GET=(CONFIGURE_MANAGER, CONFIGURE_USERS, CONFIGURE_SELF),
        HEAD=(CONFIGURE_MANAGER, CONFIGURE_USERS, CONFIGURE_SELF),
    ),
    'ManagerAccountCollection': _USERS,
    'ManagerCollection': _MANAGER,
    'MessageRegistryFile': _MANAGER,
    'MessageRegistryFileCollection': _MANAGER,
    'PrivilegeRegistry': _MANAGER,
    'Processor': _COMPONENTS,
    'ProcessorCollection': _COMPONENTS,
    'Role': _MANAGER,
    'RoleCollection': _MANAGER,
    'SecureBoot': _COMPONENTS,
    'ServiceRoot': _MANAGER,
    'Session': _operations(
        CONFIGURE_MANAGER, GET=_OWN, HEAD=_OWN, DELETE=_OWN
    ),
    'SessionCollection': _operations(CONFIGURE_MANAGER, POST=(LOGIN,)),
    'SessionService': _MANAGER,
    'SimpleStorage': _COMPONENTS,
    'SimpleStorageCollection': _COMPONENTS,
    'Storage': _COMPONENTS,
    'StorageCollection': _COMPONENTS,
    'Task': _MANAGER,
    'TaskCollection': _MANAGER,
    'TaskService': _MANAGER,
    'Thermal': _MANAGER,
    'UpdateService': _COMPONENTS,
    'VirtualMedia': _MANAGER,
    'VirtualMediaCollection': _MANAGER,
    'Volume': _COMPONENTS,
    'VolumeCollection': _COMPONENTS,
}

_LOGS = ('LogServiceCollection', 'LogService', 'LogEntryCollection')
_OF_SYSTEM: Mapping[str, tuple[str, ...]] = {
    'LogServiceCollection': (),
    'LogService': _LOGS[:1],
    'LogEntryCollection': _LOGS[:2],
    'LogEntry': _LOGS,
}
"""What differs below a ComputerSystem, with what is in between."""

_PROPERTIES: Mapping[str, Mapping[str, Operations]] = {
    'ManagerAccount': {
        'Password': {'PATCH': (CONFIGURE_USERS, CONFIGURE_SELF)}
    }
}

# Whoever may begin an operation may cancel it.
_CANCEL: Operations = {'DELETE': (CONFIGURE_MANAGER, CONFIGURE_COMPONENTS)}
# What is in a bundle are the disks and the memory of guests.
_FETCH: Operations = dict.fromkeys(READING, (CONFIGURE_COMPONENTS,))
_BY_URI: Mapping[str, Mapping[str, Operations]] = {
    'HawkFishExport': {
        f'{of}/Oem/HawkFish/Exports/{{ExportId}}/bundle': _FETCH
        for of in (
            f'{uris.ROOT}/Systems/{{ComputerSystemId}}',
            f'{uris.AGGREGATES}/{{AggregateId}}',
        )
    },
    'Task': {
        f'{uris.TASKS}/{{TaskId}}': _CANCEL,
        f'{uris.TASK_MONITORS}/{{TaskId}}': _CANCEL,
    },
}

_SYSTEM = f'{uris.ROOT}/Systems/{{}}'
_GROUP = f'{uris.AGGREGATES}/{{}}'
_MANAGED = f'{uris.ROOT}/Managers/{{}}'
_LOG_URIS = {
    'LogServices': 'LogServiceCollection',
    'LogServices/{}': 'LogService',
    'LogServices/{}/Entries': 'LogEntryCollection',
    'LogServices/{}/Entries/{}': 'LogEntry',
}
_MEDIA_URIS = {
    'VirtualMedia': 'VirtualMediaCollection',
    'VirtualMedia/{}': 'VirtualMedia',
    'VirtualMedia/{}/Certificates': 'CertificateCollection',
    'VirtualMedia/{}/Certificates/{}': 'Certificate',
}
_SYSTEM_URIS = {
    'BIOS': 'Bios',
    'EthernetInterfaces': 'EthernetInterfaceCollection',
    'EthernetInterfaces/{}': 'EthernetInterface',
    'Processors': 'ProcessorCollection',
    'Processors/{}': 'Processor',
    'SecureBoot': 'SecureBoot',
    'SimpleStorage': 'SimpleStorageCollection',
    'SimpleStorage/{}': 'SimpleStorage',
    'Storage': 'StorageCollection',
    'Storage/{}': 'Storage',
    'Storage/{}/Drives/{}': 'Drive',
    'Storage/{}/Volumes': 'VolumeCollection',
    'Storage/{}/Volumes/{}': 'Volume',
    'Oem/HawkFish/Backups': 'HawkFishBackupCollection',
    'Oem/HawkFish/Backups/{}': 'HawkFishBackup',
    'Oem/HawkFish/Exports': 'HawkFishExportCollection',
    'Oem/HawkFish/Exports/{}': 'HawkFishExport',
    'Oem/HawkFish/SnapshotPolicy': 'HawkFishSnapshotPolicy',
    'Oem/HawkFish/Snapshots': 'HawkFishSnapshotCollection',
    'Oem/HawkFish/Snapshots/{}': 'HawkFishSnapshot',
    **_LOG_URIS,
    **_MEDIA_URIS,
}
_GROUP_URIS = {
    'Oem/HawkFish/Exports': 'HawkFishExportCollection',
    'Oem/HawkFish/Exports/{}': 'HawkFishExport',
    'Oem/HawkFish/Snapshots': 'HawkFishGroupSnapshotCollection',
    'Oem/HawkFish/Snapshots/{}': 'HawkFishGroupSnapshot',
}

# Actions and whatever else is below a resource belong to it.
_URIS: Mapping[str, str] = {
    uris.ROOT: 'ServiceRoot',
    uris.ACCOUNT_SERVICE: 'AccountService',
    uris.ACCOUNTS: 'ManagerAccountCollection',
    f'{uris.ACCOUNTS}/{{}}': 'ManagerAccount',
    uris.ROLES: 'RoleCollection',
    f'{uris.ROLES}/{{}}': 'Role',
    uris.PRIVILEGE_MAP: 'PrivilegeRegistry',
    uris.AGGREGATION_SERVICE: 'AggregationService',
    uris.AGGREGATES: 'AggregateCollection',
    _GROUP: 'Aggregate',
    **{f'{_GROUP}/{below}': name for below, name in _GROUP_URIS.items()},
    f'{uris.ROOT}/CertificateService': 'CertificateService',
    f'{uris.ROOT}/CertificateService/CertificateLocations': (
        'CertificateLocations'
    ),
    f'{uris.ROOT}/Chassis': 'ChassisCollection',
    f'{uris.ROOT}/Chassis/{{}}': 'Chassis',
    f'{uris.ROOT}/Chassis/{{}}/Thermal': 'Thermal',
    uris.EVENT_SERVICE: 'EventService',
    uris.SUBSCRIPTIONS: 'EventDestinationCollection',
    # Where others are told to create one.
    f'{uris.SUBSCRIPTIONS}/Members': 'EventDestinationCollection',
    f'{uris.SUBSCRIPTIONS}/{{}}': 'EventDestination',
    f'{uris.ROOT}/JobService': 'JobService',
    f'{uris.ROOT}/JobService/Jobs': 'JobCollection',
    f'{uris.ROOT}/JobService/Jobs/{{}}': 'Job',
    f'{uris.ROOT}/JobService/Log': 'LogService',
    f'{uris.ROOT}/JobService/Log/Entries': 'LogEntryCollection',
    f'{uris.ROOT}/JobService/Log/Entries/{{}}': 'LogEntry',
    f'{uris.ROOT}/JsonSchemas': 'JsonSchemaFileCollection',
    f'{uris.ROOT}/JsonSchemas/{{}}': 'JsonSchemaFile',
    f'{uris.ROOT}/Managers': 'ManagerCollection',
    _MANAGED: 'Manager',
    **{f'{_MANAGED}/{below}': name for below, name in _LOG_URIS.items()},
    **{f'{_MANAGED}/{below}': name for below, name in _MEDIA_URIS.items()},
    f'{uris.ROOT}/Oem/HawkFish/Import': 'ComputerSystemCollection',
    f'{uris.ACTION_INFOS}/{{}}': 'ActionInfo',
    uris.SYSTEM_SUMMARIES: 'HawkFishSystemSummaryCollection',
    f'{uris.SYSTEM_SUMMARIES}/{{}}': 'HawkFishSystemSummary',
    f'{uris.ROOT}/Registries': 'MessageRegistryFileCollection',
    f'{uris.ROOT}/Registries/{{}}': 'MessageRegistryFile',
    f'{uris.ROOT}/Registries/BiosAttributeRegistry.v1_0_0': (
        'AttributeRegistry'
    ),
    uris.SESSION_SERVICE: 'SessionService',
    uris.SESSIONS: 'SessionCollection',
    f'{uris.SESSIONS}/Members': 'SessionCollection',
    f'{uris.SESSIONS}/{{}}': 'Session',
    f'{uris.ROOT}/Systems': 'ComputerSystemCollection',
    f'{uris.ROOT}/Systems/Bios/BiosRegistry': 'AttributeRegistry',
    _SYSTEM: 'ComputerSystem',
    **{f'{_SYSTEM}/{below}': name for below, name in _SYSTEM_URIS.items()},
    uris.TASK_SERVICE: 'TaskService',
    uris.TASKS: 'TaskCollection',
    f'{uris.TASKS}/{{}}': 'Task',
    f'{uris.TASK_MONITORS}/{{}}': 'Task',
    f'{uris.ROOT}/UpdateService': 'UpdateService',
}


def grants(role: str, privileges: Iterable[str], is_own: bool) -> bool:
    """
    Whether a user of *role* has one of *privileges*.

    ConfigureSelf counts for what *is_own* of the user.
    """
    having = set(PRIVILEGES[role])
    if not is_own:
        having.discard(CONFIGURE_SELF)
    return not having.isdisjoint(privileges)


@functools.cache
def needed(route: str, method: str) -> Alternatives:
    """
    Privileges of which *method* needs one, of what *route* leads to.

    *route* is a path with its arguments in angle brackets.  Where a property
    needs less than the others, that will do here.
    """
    method = 'HEAD' if method == 'OPTIONS' else method
    parts = ['{}' if part[:1] == '<' else part for part in route.split('/')]
    entity = entity_of(parts)
    if entity is None:
        # Nothing of Redfish: a file, or what nobody has thought of.
        return _MANAGER.get(method, (CONFIGURE_MANAGER,))
    found = _ENTITIES[entity].get(method, (CONFIGURE_MANAGER,))
    if entity in _OF_SYSTEM and parts[3] == 'Systems':
        found = _COMPONENTS.get(method, found)
    for uri, override in _BY_URI.get(entity, {}).items():
        if re.sub(r'\{\w+\}', '{}', uri).split('/') == parts:
            found = override.get(method, found)
    for override in _PROPERTIES.get(entity, {}).values():
        found = (*found, *override.get(method, ()))
    return found


def entity_of(parts: list[str]) -> str | None:
    """The type of what is at a path of *parts*, each argument ``{}``."""
    while parts:
        for pattern, entity in _URIS.items():
            if pattern.split('/') == parts:
                return entity
        parts = parts[:-1]
    return None


# The registry -------------------------------------------------------------


def privilege_registry() -> Resource:
    """The map as a resource."""
    return {
        '@odata.id': uris.PRIVILEGE_MAP,
        '@odata.type': '#PrivilegeRegistry.v1_1_4.PrivilegeRegistry',
        'Id': REGISTRY,
        'Name': 'Privilege Registry',
        'PrivilegesUsed': list(PRIVILEGES[ADMINISTRATOR]),
        'OEMPrivilegesUsed': [],
        'Mappings': [
            _mapping(entity, operations)
            for entity, operations in _ENTITIES.items()
        ],
    }


def _mapping(entity: str, operations: Operations) -> Resource:
    found: Resource = {'Entity': entity, 'OperationMap': _map(operations)}
    if entity == 'ServiceRoot':
        for method in READING:
            found['OperationMap'][method].append({'Privilege': ['NoAuth']})
    if entity in _OF_SYSTEM:
        found['SubordinateOverrides'] = [
            {
                'Targets': ['ComputerSystem', *_OF_SYSTEM[entity]],
                'OperationMap': _map(_COMPONENTS),
            }
        ]
    for kind, overrides in (
        ('PropertyOverrides', _PROPERTIES.get(entity)),
        ('ResourceURIOverrides', _BY_URI.get(entity)),
    ):
        if overrides:
            found[kind] = [
                {'Targets': [target], 'OperationMap': _map(changed)}
                for target, changed in overrides.items()
            ]
    return found


def _map(operations: Operations) -> Resource:
    return {
        method: [{'Privilege': [name]} for name in names]
        for method, names in operations.items()
    }
