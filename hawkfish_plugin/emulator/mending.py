# SPDX-License-Identifier: Apache-2.0
"""
What the emulator's own resources have against the standard, mended.

Owns what is changed in which type of resource, and what the emulator's errors
look like.  A link is left out only where nothing would answer it, so a release
of the emulator that has the resource is served as it is.  What is deprecated
stays, as sushy and Ironic read it.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api.access import missing, request_uri
from hawkfish_plugin.emulator import internals, routes
from hawkfish_plugin.redfish import errors
from hawkfish_plugin.redfish.common import Resource
from hawkfish_plugin.services import ForEmulator

# It is meant for mockups, and is an error in a service.
_COPYRIGHT = '@Redfish.Copyright'
_BIOS = re.compile(r'/BIOS(?=/|$)')
_NO_PROCESSOR = '/Processors/CPU'


def is_wanted(services: ForEmulator) -> bool:
    """Whether the configuration lets us mend anything."""
    try:
        return bool(services.conf.hawkfish.mend_emulator)
    except exceptions.ConfigurationInvalid:
        return False


def mend(response: flask.Response) -> None:
    """Mend *response*, of the emulator, where it is one of JSON."""
    if response.status_code == 204:
        # Some clients take whatever has a type for JSON.
        response.headers.pop('Content-Type', None)
        return
    if response.is_streamed or response.mimetype != 'application/json':
        return
    if response.status_code >= 400:
        _mend_error(response)
    elif response.status_code == 200:
        # A HEAD request has no body.
        body = _json(response.get_data(as_text=True))
        if body:
            response.set_data(json.dumps(_mended(body)))


def _json(text: str) -> Resource:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _mended(body: Resource) -> Resource:
    body.pop(_COPYRIGHT, None)
    odata_type = str(body.get('@odata.type', ''))
    if odata_type.startswith('##'):
        body['@odata.type'] = odata_type[1:]
    mend_type = _TYPES.get(odata_type.strip('#').partition('.')[0])
    if mend_type:
        mend_type(body)
    return body


# Errors -------------------------------------------------------------------


def _mend_error(response: flask.Response) -> None:
    """
    Let an error have messages of the Base registry.

    Its status stays, and so does the emulator's text, which says more than
    the text of a registry.
    """
    # A HEAD request has no body, and some refusals are text alone.
    text = response.get_data(as_text=True)
    if not text:
        return
    if _json(text).get('error'):
        told = internals.told_by_error(text)
        if told is None:
            # One of ours.
            return
        text = told
    body = errors.error(_ERRORS.get(response.status_code, _general)())
    body['error']['message'] = text
    if response.status_code not in _ERRORS:
        # Where sushy looks for it.
        body['error']['@Message.ExtendedInfo'][0]['Message'] = text
    response.set_data(json.dumps(body))


_general = exceptions.GeneralError
_ERRORS: dict[int, Callable[[], exceptions.HawkFishError]] = {
    404: missing,
    405: exceptions.OperationNotAllowed,
}

# Resources ----------------------------------------------------------------


def _bios(body: Resource) -> None:
    """Its URI is that of the standard; the former one is served as well."""
    _rename_bios(body)
    settings = body.get('@Redfish.Settings', {}).get('SettingsObject', {})
    _rename_bios(settings)
    for action in body.get('Actions', {}).values():
        action['target'] = _BIOS.sub('/Bios', action['target'])
    _drop_dead_actions(body)


def _rename_bios(link: Resource) -> None:
    if '@odata.id' in link:
        link['@odata.id'] = _BIOS.sub('/Bios', link['@odata.id'])


def _certificate_service(body: Resource) -> None:
    for action in body.get('Actions', {}).values():
        _drop_dead(action, '@Redfish.ActionInfo')


def _chassis(body: Resource) -> None:
    # What has the UUID that it shows.
    if body.get('@odata.type') == '#Chassis.v1_5_0.Chassis':
        body['@odata.type'] = '#Chassis.v1_7_0.Chassis'


def _processor(body: Resource) -> None:
    body['@odata.id'] = request_uri().rstrip('/')
    for name in ('TotalCores', 'TotalThreads'):
        _to_number(body, name)


def _processors(body: Resource) -> None:
    body['@odata.id'] = request_uri().rstrip('/')


def _storage(body: Resource) -> None:
    if not internals.has_volumes(flask.current_app):
        body.pop('Volumes', None)


def _system(body: Resource) -> None:
    for part in (
        body,
        body.get('ProcessorSummary', {}),
        body.get('MemorySummary', {}),
    ):
        status = part.get('Status', {})
        if 'HealthRollUp' in status:
            status['HealthRollup'] = status.pop('HealthRollUp')
    _rename_bios(body.get('Bios', {}))
    _drop_dead(body, 'Memory')
    if not internals.has_storage(flask.current_app, body.get('UUID', '')):
        body.pop('Storage', None)


def _task(body: Resource) -> None:
    _drop_dead(body, 'TaskMonitor')


def _thermal(body: Resource) -> None:
    for sensor in body.get('Temperatures', ()):
        _to_number(sensor, 'SensorNumber')
        # No driver has a processor of this name; its system is there.
        for item in sensor.get('RelatedItem', ()):
            item['@odata.id'] = item['@odata.id'].removesuffix(_NO_PROCESSOR)


def _update_service(body: Resource) -> None:
    for name in ('FirmwareInventory', 'SoftwareInventory', 'HttpPushUri'):
        _drop_dead(body, name)


def _virtual_media(body: Resource) -> None:
    if not body.get('ImageName'):
        body['ImageName'] = None


_TYPES: dict[str, Callable[[Resource], None]] = {
    'Bios': _bios,
    'CertificateService': _certificate_service,
    'Chassis': _chassis,
    'ComputerSystem': _system,
    'Processor': _processor,
    'ProcessorCollection': _processors,
    'Storage': _storage,
    'Task': _task,
    'Thermal': _thermal,
    'UpdateService': _update_service,
    'VirtualMedia': _virtual_media,
}


def _to_number(part: Resource, name: str) -> None:
    value: Any = part.get(name)
    if isinstance(value, str) and value.isdecimal():
        part[name] = int(value)


def _drop_dead(part: Resource, name: str) -> None:
    """Leave out the link *name* of *part* if no route answers it."""
    link: Any = part.get(name)
    uri = link.get('@odata.id') if isinstance(link, dict) else link
    if isinstance(uri, str) and not routes.is_served(uri):
        del part[name]


def _drop_dead_actions(body: Resource) -> None:
    actions = body.get('Actions', {})
    for name, action in [*actions.items()]:
        if not routes.is_served(action['target'], 'POST'):
            del actions[name]
