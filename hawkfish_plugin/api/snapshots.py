# SPDX-License-Identifier: Apache-2.0
"""
Snapshots over HTTP.

Owns the parsing of what clients send about snapshots, and the routes below
``Systems/{id}/Oem/HawkFish``.  All else is in ``hawkfish_plugin.snapshots``.
"""

from typing import Any

import flask

from hawkfish_plugin import drivers, exceptions, redfish
from hawkfish_plugin.api import (
    Body, accepted, answer, blueprint, check_if_match, find_system, missing,
    pointer, queries, read_body, service, told,
)  # fmt: skip

COLLECTION = '/Systems/<identity>/Oem/HawkFish/Snapshots'
MEMBER = f'{COLLECTION}/<name>'

# The first is what Redfish wants and is advertised; the second is what the
# resource is known by.
REVERT_ACTIONS = (redfish.REVERT_ACTION, 'Oem.HawkFish.Snapshot.Revert')

MAX_DESCRIPTION_CHARACTERS = 4096

_CREATE_PROPERTIES = {
    'Name': str, 'Description': str, 'IncludeMemory': bool, 'Quiesce': str,
}  # fmt: skip
_REVERT_PARAMETERS = {
    'TargetPowerState': str, 'SafetySnapshot': bool, 'Force': bool,
}  # fmt: skip


@blueprint.get(COLLECTION)
def list_snapshots(identity: str) -> flask.Response:
    system = find_system(identity)
    return answer(queries.listing(
        service().snapshots.list(system),
        lambda view: redfish.snapshot_uri(system.uuid, view.record.name),
        lambda view: _render(system, view),
        lambda shown, total: redfish.snapshot_collection(
            system.uuid, shown, total
        ),
    ))  # fmt: skip


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_snapshot(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    _check_create(body)
    task = service().snapshots.create(
        system, body.get('Name'), body.get('Description', ''),
        body.get('IncludeMemory'), body.get('Quiesce'), _payload(body),
    )  # fmt: skip
    return accepted(task)


@blueprint.get(MEMBER)
def show_snapshot(identity: str, name: str) -> flask.Response:
    queries.check(())
    return answer(_resource(find_system(identity), name))


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
        drivers.RevertRequest(
            name, body.get('TargetPowerState', drivers.AS_CAPTURED),
            body.get('Force', False),
        ),
        body.get('SafetySnapshot'), _payload(body),
    )  # fmt: skip
    return accepted(task)


def _resource(system: drivers.System, name: str) -> Body:
    try:
        return _render(system, service().snapshots.get(system, name))
    except exceptions.SnapshotNotFound:
        raise missing() from None


def _render(system: drivers.System, view: Any) -> Body:
    return redfish.snapshot(
        system.uuid, view.record, view.state, view.quiesce, view.children
    )


def _payload(body: Body) -> Body:
    return redfish.payload(flask.request.method, flask.request.path, body)


def _check_create(body: Body) -> None:
    for name, value in body.items():
        wanted = _CREATE_PROPERTIES.get(name)
        if wanted is None:
            raise exceptions.PropertyUnknown(name, related=[pointer(name)])
        if not isinstance(value, wanted):
            raise exceptions.PropertyValueTypeError(
                told(value), name, related=[pointer(name)]
            )
    _check_description(body.get('Description', ''))
    quiesce = body.get('Quiesce', drivers.PREFERRED)
    if quiesce not in drivers.QUIESCE_MODES:
        raise exceptions.PropertyValueNotInList(
            told(quiesce), 'Quiesce', related=['#/Quiesce']
        )


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


def _check_revert(body: Body) -> None:
    action = redfish.REVERT_ACTION
    for name, value in body.items():
        wanted = _REVERT_PARAMETERS.get(name)
        if wanted is None:
            raise exceptions.ActionParameterUnknown(
                action, name, related=[pointer(name)]
            )
        if not isinstance(value, wanted):
            raise exceptions.ActionParameterValueTypeError(
                told(value), name, action, related=[pointer(name)]
            )
    value = body.get('TargetPowerState', drivers.AS_CAPTURED)
    if value not in drivers.TARGET_POWER_STATES:
        raise exceptions.ActionParameterValueNotInList(
            told(value), 'TargetPowerState', action,
            related=['#/TargetPowerState'],
        )  # fmt: skip
