# SPDX-License-Identifier: Apache-2.0
"""
What the plugin changes in resources of the emulator.

Owns which of them are replaced, and the links that are added to which.
"""

import json
from collections.abc import Callable

import flask

from hawkfish_plugin import exceptions, services
from hawkfish_plugin.api import schemas as schemas_api
from hawkfish_plugin.api import tasks as tasks_api
from hawkfish_plugin.drivers import sharing
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.redfish.common import Resource, link
from hawkfish_plugin.redfish.service_root import service_root, system_oem


def replacement() -> flask.Response | None:
    """Our response, where it takes the place of the emulator's."""
    endpoint = flask.request.endpoint
    if endpoint == internals.TASK_SERVICE:
        return tasks_api.show_task_service()
    if endpoint == internals.REGISTRIES and not internals.has_all_features(
        flask.current_app.config
    ):
        return schemas_api.list_no_registries()
    return None


def add_links(response: flask.Response) -> flask.Response:
    """Add our links to a resource of the emulator."""
    add = _LINKS.get(flask.request.endpoint or '')
    # The emulator renders nothing for some HEAD requests.
    if add and response.status_code == 200 and response.get_data():
        response.set_data(json.dumps(add(json.loads(response.get_data()))))
    return response


def _to_root(body: Resource) -> Resource:
    driver, version = _driver(), None
    if isinstance(driver, sharing.KnowsVersion):
        version = driver.known_version()
    return service_root(body, version)


def _to_system(body: Resource) -> Resource:
    oem = body.setdefault('Oem', {})
    oem['HawkFish'] = system_oem(body['@odata.id'])
    logs = link(uris.logs_uri(body['@odata.id']))
    return {'LogServices': logs, **body}


def _to_registries(body: Resource) -> Resource:
    # Ours come last: clients may know the positions of the emulator's.
    listed = [*body['Members'], *schemas_api.registry_links()]
    return {**body, 'Members': listed, 'Members@odata.count': len(listed)}


def _of_systems(body: Resource) -> Resource:
    """Without what the driver has on the hypervisor for itself."""
    driver = _driver()
    if not isinstance(driver, sharing.SharesDefinitions):
        return body
    listed = [
        member
        for member in body['Members']
        if not driver.is_own(member['@odata.id'].rpartition('/')[2])
    ]
    return {**body, 'Members': listed, 'Members@odata.count': len(listed)}


def _driver() -> object:
    try:
        return services.of(flask.current_app).driver
    except exceptions.ConfigurationInvalid:
        # There is none, and so nothing of its own.
        return None


_LINKS: dict[str, Callable[[Resource], Resource]] = {
    internals.SERVICE_ROOT: _to_root,
    internals.SYSTEMS: _of_systems,
    internals.MANAGERS: _of_systems,
    internals.SYSTEM: _to_system,
    internals.REGISTRIES: _to_registries,
}
