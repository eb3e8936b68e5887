# SPDX-License-Identifier: Apache-2.0
"""What is added to the emulator's own resources."""

import functools
import importlib.metadata
import re

from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import Resource, link

# The first one that knows all of the links.
_TYPE = '#ServiceRoot.v1_15_0.ServiceRoot'
_VERSION = re.compile(r'v(\d+)_(\d+)_(\d+)')


@functools.cache
def plugin_version() -> str:
    return importlib.metadata.version('hawkfish-snapshots')


def service_root(
    root: Resource, libvirt_version: str | None = None
) -> Resource:
    """The emulator's ServiceRoot, with the links that it lacks."""
    added = {
        'Tasks': link(uris.TASK_SERVICE),
        'AccountService': link(uris.ACCOUNT_SERVICE),
        'AggregationService': link(uris.AGGREGATION_SERVICE),
        'JobService': link(uris.JOB_SERVICE),
        'EventService': link(uris.EVENT_SERVICE),
        'SessionService': link(uris.SESSION_SERVICE),
        'Registries': link(f'{uris.ROOT}/Registries'),
        'JsonSchemas': link(f'{uris.ROOT}/JsonSchemas'),
    }
    links = {
        'Sessions': link(uris.SESSIONS),
        'ManagerProvidingService': link(uris.MANAGER),
    } | root.get('Links', {})
    oem = {
        '@odata.type': '#HawkFishServiceRoot.v1_0_0.ServiceRoot',
        'SystemSummaries': link(uris.SYSTEM_SUMMARIES),
        'AuditLog': link(uris.audit_uri(uris.MANAGER)),
        'ImportURI': uris.IMPORT,
        'Version': plugin_version(),
        'LibvirtVersion': libvirt_version,
    }
    return {
        **root,
        '@odata.type': _newer(root.get('@odata.type', '')),
        'Links': links,
        'Oem': {**root.get('Oem', {}), 'HawkFish': oem},
        **{name: link for name, link in added.items() if name not in root},
    }


def _newer(odata_type: str) -> str:
    """*odata_type* of the emulator's root, where ours is not newer."""
    return max(odata_type, _TYPE, key=_version)


def _version(odata_type: str) -> tuple[int, ...]:
    found = _VERSION.search(odata_type)
    return tuple(map(int, found.groups())) if found else ()


def system_oem(system: str) -> Resource:
    """What a ComputerSystem has under ``Oem.HawkFish``; *system* its URI."""
    return {
        '@odata.type': '#HawkFishComputerSystem.v1_0_0.ComputerSystem',
        'Snapshots': link(f'{system}/Oem/HawkFish/Snapshots'),
        'SnapshotPolicy': link(f'{system}/Oem/HawkFish/SnapshotPolicy'),
        'Exports': link(f'{system}/Oem/HawkFish/Exports'),
        'Backups': link(f'{system}/Oem/HawkFish/Backups'),
    }
