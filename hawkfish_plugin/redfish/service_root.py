# SPDX-License-Identifier: Apache-2.0
"""What is added to the emulator's own resources."""

from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import Resource, link


def service_root(root: Resource) -> Resource:
    """The emulator's ServiceRoot, with the links that it lacks."""
    added = {
        'Tasks': link(uris.TASK_SERVICE),
        'EventService': link(uris.EVENT_SERVICE),
        'SessionService': link(uris.SESSION_SERVICE),
        'Registries': link(f'{uris.ROOT}/Registries'),
        'JsonSchemas': link(f'{uris.ROOT}/JsonSchemas'),
    }
    links = {'Sessions': link(uris.SESSIONS)} | root.get('Links', {})
    oem = {
        '@odata.type': '#HawkFishServiceRoot.v1_0_0.ServiceRoot',
        'SystemSummaries': link(uris.SYSTEM_SUMMARIES),
    }
    return {
        **root,
        'Links': links,
        'Oem': {**root.get('Oem', {}), 'HawkFish': oem},
        **{name: link for name, link in added.items() if name not in root},
    }


def system_oem(system: str) -> Resource:
    """What a ComputerSystem has under ``Oem.HawkFish``; *system* its URI."""
    return {
        '@odata.type': '#HawkFishComputerSystem.v1_0_0.ComputerSystem',
        'Snapshots': link(f'{system}/Oem/HawkFish/Snapshots'),
        'SnapshotPolicy': link(f'{system}/Oem/HawkFish/SnapshotPolicy'),
    }
