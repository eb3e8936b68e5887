# SPDX-License-Identifier: Apache-2.0
"""
Snapshots over HTTP.

Owns the routes below ``Systems/{id}/Oem/HawkFish/Snapshots``, and what the
bodies of their requests may hold.
"""

import contextlib
import dataclasses
import functools

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import noting, queries, validation, verifications
from hawkfish_plugin.api import snapshot_bodies as bodies
from hawkfish_plugin.api.access import (
    check_if_match,
    find_system,
    found_by_uri,
    missing,
    operation,
    payload,
    services,
)
from hawkfish_plugin.api.answers import accepted, answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body
from hawkfish_plugin.catalogue import View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.admission import CreateOptions
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.export import Export
from hawkfish_plugin.operations.purge import Purge
from hawkfish_plugin.operations.repair import Repair
from hawkfish_plugin.operations.revert import Revert
from hawkfish_plugin.operations.verify import Verify
from hawkfish_plugin.redfish import snapshots, uris

COLLECTION = '/Systems/<identity>/Oem/HawkFish/Snapshots'
MEMBER = f'{COLLECTION}/<name>'

# The first is the advertised name that Redfish asks for; clients of vendor
# extensions try the second.
REVERT_ACTIONS = (uris.REVERT_ACTION, 'Oem.HawkFish.Snapshot.Revert')

PREVIEW = bodies.of_create(uris.PREVIEW_ACTION)
"""The parameters of a preview are the properties of a create."""

CREATE = dataclasses.replace(PREVIEW, action=None)
_CHANGE = bodies.of_change('HawkFishSnapshot')
_REVERT = validation.parameters(uris.REVERT_ACTION)
_EXPORT = validation.parameters(uris.EXPORT_ACTION)
_PURGE = validation.parameters(uris.PURGE_ACTION)
_REPAIR = validation.parameters(uris.REPAIR_ACTION)


@blueprint.get(COLLECTION)
def list_snapshots(identity: str) -> flask.Response:
    system = find_system(identity)
    collection = functools.partial(snapshots.snapshot_collection, system.uuid)
    if queries.wants_links():
        return answer(
            queries.links(
                [
                    uris.snapshot_uri(system.uuid, name)
                    for name in services().catalogue.names(system)
                ],
                collection,
            )
        )
    return answer(
        queries.listing(
            services().catalogue.list(system, measured=True),
            lambda view: uris.snapshot_uri(system.uuid, view.record.name),
            lambda view: snapshots.snapshot(system.uuid, view),
            collection,
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_snapshot(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    options = read_options(body, CREATE)
    return accepted(operation(Create).submit(system, options, payload(body)))


@blueprint.post(f'{COLLECTION}/Actions/{uris.PURGE_ACTION}')
def purge_snapshots(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    _PURGE.check(body)
    task = operation(Purge).submit(
        system, body.get('Force', False), payload(body)
    )
    return accepted(task)


@blueprint.post(f'{COLLECTION}/Actions/{uris.REPAIR_ACTION}')
def repair_system(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    _REPAIR.check(body)
    repair = operation(Repair)
    if noting.is_dry_run(body):
        return answer(snapshots.repairs(repair.plan(system)))
    return accepted(repair.submit(system, payload(body)))


@blueprint.post(f'{COLLECTION}/Actions/{uris.VERIFY_NEWEST_ACTION}')
def verify_newest(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    request = verifications.read('', body)
    name = operation(Verify).newest(system)
    request = dataclasses.replace(request, name=name)
    task = operation(Verify).submit(system, request, payload(body))
    return accepted(task)


@blueprint.get(MEMBER)
def show_snapshot(identity: str, name: str) -> flask.Response:
    queries.check(())
    return answer(_resource(find_system(identity), name))


@blueprint.patch(MEMBER)
def change_snapshot(identity: str, name: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    _CHANGE.check(body, bodies.expiry_errors, resource=_resource(system, name))
    with _found():
        view = services().catalogue.update(
            system,
            name,
            bodies.changes_of(body),
            lambda view: check_if_match(lambda: _render(system, view)),
        )
    return answer(_render(system, view))


@blueprint.delete(MEMBER)
def delete_snapshot(identity: str, name: str) -> flask.Response:
    system = find_system(identity)
    validation.read_nothing()
    with _found():
        task = operation(Delete).submit(
            system,
            name,
            payload({}),
            lambda: check_if_match(lambda: _resource(system, name)),
        )
    return accepted(task)


@blueprint.post(f'{MEMBER}/Actions/<action>')
def act_on_snapshot(identity: str, name: str, action: str) -> flask.Response:
    system = find_system(identity)
    if action == uris.EXPORT_ACTION:
        return _export(system, name)
    if action == uris.VERIFY_ACTION:
        return _verify(system, name)
    if action not in REVERT_ACTIONS:
        raise missing()
    body = read_body()
    _REVERT.check(body)
    request = contract.RevertRequest(
        name,
        body.get('TargetPowerState', contract.AS_CAPTURED),
        body.get('Force', False),
    )
    safety = body.get('SafetySnapshot')
    if noting.is_dry_run(body):
        check_if_match(lambda: _resource(system, name))
        with _found():
            preview = operation(Revert).preview(system, request, safety)
        return answer(snapshots.revert_preview(name, preview))
    with _found():
        task = operation(Revert).submit(
            system,
            request,
            safety,
            payload(body),
            lambda: check_if_match(lambda: _resource(system, name)),
        )
    return accepted(task)


def _export(system: contract.System, name: str) -> flask.Response:
    body = read_body()
    _EXPORT.check(body)
    check_if_match(lambda: _resource(system, name))
    memory = body.get('Memory', False)
    with _found():
        task = operation(Export).submit(system, name, memory, payload(body))
    return accepted(task)


def _verify(system: contract.System, name: str) -> flask.Response:
    body = read_body()
    request = verifications.read(name, body)
    check_if_match(lambda: _resource(system, name))
    with _found():
        task = operation(Verify).submit(system, request, payload(body))
    return accepted(task)


def _resource(system: contract.System, name: str) -> Body:
    with _found():
        view = services().catalogue.get(system, name, measured=True)
    return _render(system, view)


def _found() -> contextlib.AbstractContextManager[None]:
    return found_by_uri(exceptions.SnapshotNotFound)


def _render(system: contract.System, view: View) -> Body:
    return snapshots.snapshot(system.uuid, view)


def read_options(body: Body, schema: validation.RequestBody) -> CreateOptions:
    """The options of a create in *body*, which has to fit *schema*."""
    schema.check(body, bodies.name_errors, bodies.expiry_errors)
    return CreateOptions(
        body.get('Name'),
        memory=body.get('IncludeMemory'),
        **bodies.common_options(body),
    )
