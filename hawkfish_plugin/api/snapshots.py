# SPDX-License-Identifier: Apache-2.0
"""
Snapshots over HTTP.

Owns the parsing of what clients send about snapshots, and the routes below
``Systems/{id}/Oem/HawkFish``.  All else is in ``hawkfish_plugin.snapshots``.
"""

import datetime
import functools
import time
from collections.abc import Mapping
from typing import Any

import flask

from hawkfish_plugin import exceptions, redfish, snapshots
from hawkfish_plugin.api import (
    Body,
    accepted,
    answer,
    blueprint,
    check_if_match,
    check_properties,
    find_system,
    missing,
    moment,
    pointer,
    queries,
    read_body,
    request_uri,
    service,
    told,
)
from hawkfish_plugin.drivers import contract

COLLECTION = '/Systems/<identity>/Oem/HawkFish/Snapshots'
MEMBER = f'{COLLECTION}/<name>'

# The first is what Redfish wants and is advertised; the second is what the
# resource is known by.
REVERT_ACTIONS = (redfish.REVERT_ACTION, 'Oem.HawkFish.Snapshot.Revert')

MAX_DESCRIPTION_CHARACTERS = 4096

CREATE_PARAMETERS = {
    'Name': str,
    'Description': str,
    'IncludeMemory': bool,
    'Quiesce': str,
    'Locked': bool,
    'ExpiresTime': str,
}
_CREATE_PROPERTIES = {
    name: (kind,) for name, kind in CREATE_PARAMETERS.items()
}
_CHANGES = {
    'Description': (str, type(None)),
    'Locked': (bool,),
    'ExpiresTime': (str, type(None)),
}
_FIELDS = {
    'Description': 'description',
    'Locked': 'locked',
    'ExpiresTime': 'expires',
}
_PURGE_PARAMETERS = {'Force': bool}
_REVERT_PARAMETERS = {
    'TargetPowerState': str,
    'SafetySnapshot': bool,
    'Force': bool,
}


@blueprint.get(COLLECTION)
def list_snapshots(identity: str) -> flask.Response:
    system = find_system(identity)
    collection = functools.partial(redfish.snapshot_collection, system.uuid)
    if queries.wants_links():
        return answer(
            queries.links(
                [
                    redfish.snapshot_uri(system.uuid, name)
                    for name in service().snapshots.names(system)
                ],
                collection,
            )
        )
    return answer(
        queries.listing(
            service().snapshots.list(system, measured=True),
            lambda view: redfish.snapshot_uri(system.uuid, view.record.name),
            lambda view: _render(system, view),
            collection,
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_snapshot(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    task = service().pruning.create(system, read_options(body), _payload(body))
    return accepted(task)


@blueprint.post(f'{COLLECTION}/Actions/{redfish.PURGE_ACTION}')
def purge_snapshots(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    check_parameters(body, redfish.PURGE_ACTION, _PURGE_PARAMETERS)
    task = service().purging.submit(
        system, body.get('Force', False), _payload(body)
    )
    return accepted(task)


@blueprint.get(MEMBER)
def show_snapshot(identity: str, name: str) -> flask.Response:
    queries.check(())
    return answer(_resource(find_system(identity), name))


@blueprint.patch(MEMBER)
def change_snapshot(identity: str, name: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    current = _resource(system, name)
    fixed = {*current, *CREATE_PARAMETERS} - set(_CHANGES)
    check_properties(body, _CHANGES, fixed)
    if 'Description' in body:
        body['Description'] = body['Description'] or ''
        _check_description(body['Description'])
    changes = {_FIELDS[key]: value for key, value in body.items()}
    if body.get('ExpiresTime') is not None:
        changes['expires'] = read_expiry(body['ExpiresTime'])
    try:
        view = service().snapshots.update(
            system,
            name,
            changes,
            lambda view: check_if_match(_render(system, view)),
        )
    except exceptions.SnapshotNotFound:
        raise missing() from None
    return answer(_render(system, view))


@blueprint.delete(MEMBER)
def delete_snapshot(identity: str, name: str) -> flask.Response:
    system = find_system(identity)
    read_body()
    check_if_match(_resource(system, name))
    task = service().snapshots.delete(system, name, _payload({}))
    return accepted(task)


@blueprint.post(f'{MEMBER}/Actions/<action>')
def act_on_snapshot(identity: str, name: str, action: str) -> flask.Response:
    system = find_system(identity)
    if action not in REVERT_ACTIONS:
        raise missing()
    body = read_body()
    _check_revert(body)
    check_if_match(_resource(system, name))
    task = service().snapshots.revert(
        system,
        contract.RevertRequest(
            name,
            body.get('TargetPowerState', contract.AS_CAPTURED),
            body.get('Force', False),
        ),
        body.get('SafetySnapshot'),
        _payload(body),
    )
    return accepted(task)


def _resource(system: contract.System, name: str) -> Body:
    try:
        return _render(
            system, service().snapshots.get(system, name, measured=True)
        )
    except exceptions.SnapshotNotFound:
        raise missing() from None


def _render(system: contract.System, view: Any) -> Body:
    return redfish.snapshot(system.uuid, view)


def _payload(body: Body) -> Body:
    return redfish.payload(flask.request.method, request_uri(), body)


def read_options(body: Body) -> snapshots.CreateOptions:
    """What the body of a create asks for."""
    check_properties(body, _CREATE_PROPERTIES)
    _check_description(body.get('Description', ''))
    quiesce = body.get('Quiesce', contract.PREFERRED)
    if quiesce not in contract.QUIESCE_MODES:
        raise exceptions.PropertyValueNotInList(
            told(quiesce), 'Quiesce', related=['#/Quiesce']
        )
    expires = body.get('ExpiresTime')
    return snapshots.CreateOptions(
        body.get('Name'),
        body.get('Description', ''),
        body.get('IncludeMemory'),
        body.get('Quiesce'),
        body.get('Locked', False),
        None if expires is None else read_expiry(expires),
    )


def read_expiry(text: str) -> int:
    """The seconds since the epoch of an ExpiresTime that is to come."""
    related = ['#/ExpiresTime']
    try:
        # At the ends of the calendar a zone can lead beyond it.
        seconds = int(moment(text).astimezone(datetime.UTC).timestamp())
    except (ValueError, OverflowError):
        raise exceptions.PropertyValueFormatError(
            told(text), 'ExpiresTime', related=related
        ) from None
    if seconds <= time.time():
        raise exceptions.ExpiryInPast(text, related=related)
    return seconds


def _check_description(text: str) -> None:
    related = ['#/Description']
    if len(text) > MAX_DESCRIPTION_CHARACTERS:
        raise exceptions.StringValueTooLong(
            told(text), MAX_DESCRIPTION_CHARACTERS, related=related
        )
    # XML cannot hold them, and a terminal would obey them.
    if not all(c.isprintable() or c in '\n\t' for c in text):
        raise exceptions.PropertyValueFormatError(
            told(text), 'Description', related=related
        )


def check_parameters(
    body: Body, action: str, known: Mapping[str, type]
) -> None:
    """Raise the first parameter of *action* that is not as in *known*."""
    for name, value in body.items():
        wanted = known.get(name)
        if wanted is None:
            raise exceptions.ActionParameterUnknown(
                action, name, related=[pointer(name)]
            )
        if not isinstance(value, wanted):
            raise exceptions.ActionParameterValueTypeError(
                told(value), name, action, related=[pointer(name)]
            )


def _check_revert(body: Body) -> None:
    action = redfish.REVERT_ACTION
    check_parameters(body, action, _REVERT_PARAMETERS)
    value = body.get('TargetPowerState', contract.AS_CAPTURED)
    if value not in contract.TARGET_POWER_STATES:
        raise exceptions.ActionParameterValueNotInList(
            told(value),
            'TargetPowerState',
            action,
            related=['#/TargetPowerState'],
        )
