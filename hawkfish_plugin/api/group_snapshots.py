# SPDX-License-Identifier: Apache-2.0
"""
Group snapshots over HTTP.

Owns the routes below ``Aggregates/{id}/Oem/HawkFish/Snapshots``, and what the
bodies of their requests may hold.
"""

import dataclasses
import functools

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import noting, queries, validation
from hawkfish_plugin.api import snapshot_bodies as bodies
from hawkfish_plugin.api.access import (
    check_if_match,
    found_by_uri,
    missing,
    operation,
    payload,
    services,
)
from hawkfish_plugin.api.aggregates import MEMBER as AGGREGATE
from hawkfish_plugin.api.aggregates import find_group
from hawkfish_plugin.api.answers import accepted, answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.table import Group
from hawkfish_plugin.groups.views import REFUSE, GroupView
from hawkfish_plugin.operations.group_admission import GroupOptions
from hawkfish_plugin.operations.group_create import GroupCreate
from hawkfish_plugin.operations.group_delete import GroupDelete
from hawkfish_plugin.operations.group_export import GroupExport
from hawkfish_plugin.operations.group_revert import (
    GroupRevert,
    GroupRevertOptions,
)
from hawkfish_plugin.redfish import group_snapshots, uris

COLLECTION = f'{AGGREGATE}/Oem/HawkFish/Snapshots'
MEMBER = f'{COLLECTION}/<name>'

# As of a single snapshot.
REVERT_ACTIONS = (
    uris.GROUP_REVERT_ACTION,
    'Oem.HawkFish.GroupSnapshot.Revert',
)

_PREVIEW = bodies.of_create(uris.GROUP_PREVIEW_ACTION)
CREATE = dataclasses.replace(_PREVIEW, action=None)
_CHANGE = bodies.of_change('HawkFishGroupSnapshot')
_REVERT = validation.parameters(uris.GROUP_REVERT_ACTION)
_EXPORT = validation.parameters(uris.GROUP_EXPORT_ACTION)
_ADOPT = validation.parameters(uris.ADOPT_ACTION)


@blueprint.get(COLLECTION)
def list_group_snapshots(group: str) -> flask.Response:
    found = find_group(group)
    return answer(
        queries.listing(
            services().groups.list(found, measured=not queries.wants_links()),
            lambda whole: uris.group_snapshot_uri(found.name, whole.name),
            group_snapshots.group_snapshot,
            functools.partial(
                group_snapshots.group_snapshot_collection, found.name
            ),
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_group_snapshot(group: str) -> flask.Response:
    found = find_group(group)
    body = read_body()
    options = read_options(body, CREATE)
    return accepted(
        operation(GroupCreate).submit(found, options, payload(body))
    )


@blueprint.post(f'{COLLECTION}/Actions/{uris.GROUP_PREVIEW_ACTION}')
def preview_group_create(group: str) -> flask.Response:
    found = find_group(group)
    options = read_options(read_body(), _PREVIEW)
    noting.note_look()
    seen, plan = operation(GroupCreate).preview(found, options)
    return answer(group_snapshots.preview(seen, plan))


@blueprint.post(f'{COLLECTION}/Actions/{uris.ADOPT_ACTION}')
def adopt_group_snapshots(group: str) -> flask.Response:
    found = find_group(group)
    body = read_body()
    _ADOPT.check(body)
    groups = services().groups
    call = groups.adoptable if noting.is_dry_run(body) else groups.adopt
    return answer(group_snapshots.adoption(call(found, body.get('Name'))))


@blueprint.get(MEMBER)
def show_group_snapshot(group: str, name: str) -> flask.Response:
    queries.check(())
    return answer(_resource(find_group(group), name))


@blueprint.patch(MEMBER)
def change_group_snapshot(group: str, name: str) -> flask.Response:
    found = find_group(group)
    body = read_body()
    whole = _find(found, name)
    _CHANGE.check(
        body,
        bodies.expiry_errors,
        resource=group_snapshots.group_snapshot(whole),
    )
    # Of several changes of one version, the first is made.
    with services().groups.held(found.name) as now:
        whole = _find(now, name)
        check_if_match(lambda: group_snapshots.group_snapshot(whole))
        services().groups.update(whole, bodies.changes_of(body))
        return answer(_resource(now, name))


@blueprint.delete(MEMBER)
def delete_group_snapshot(group: str, name: str) -> flask.Response:
    found = find_group(group)
    validation.read_nothing()
    _find(found, name)
    task = operation(GroupDelete).submit(
        found,
        name,
        payload({}),
        lambda: check_if_match(lambda: _resource(find_group(group), name)),
    )
    return accepted(task)


@blueprint.post(f'{MEMBER}/Actions/<action>')
def act_on_group_snapshot(
    group: str, name: str, action: str
) -> flask.Response:
    found = find_group(group)
    if action == uris.GROUP_EXPORT_ACTION:
        return _export(found, name)
    if action not in REVERT_ACTIONS:
        raise missing()
    body = read_body()
    _REVERT.check(body)
    is_dry_run = noting.is_dry_run(body)
    _find(found, name)
    options = GroupRevertOptions(
        name,
        body.get('TargetPowerState', contract.AS_CAPTURED),
        body.get('Force', False),
        body.get('SafetySnapshot'),
        body.get('AddedSystems', REFUSE),
        body.get('Partial', False),
    )
    if is_dry_run:
        check_if_match(lambda: _resource(found, name))
        preview = operation(GroupRevert).preview(found, options)
        return answer(group_snapshots.revert_preview(preview))
    task = operation(GroupRevert).submit(
        found,
        options,
        payload(body),
        lambda: check_if_match(lambda: _resource(find_group(group), name)),
    )
    return accepted(task)


def _export(group: Group, name: str) -> flask.Response:
    body = read_body()
    _EXPORT.check(body)
    check_if_match(lambda: _resource(group, name))
    memory = body.get('Memory', False)
    task = operation(GroupExport).submit(group, name, memory, payload(body))
    return accepted(task)


def _find(group: Group, name: str) -> GroupView:
    with found_by_uri(exceptions.SnapshotNotFound):
        return services().groups.get(group, name, measured=True)


def _resource(group: Group, name: str) -> Body:
    return group_snapshots.group_snapshot(_find(group, name))


def read_options(body: Body, schema: validation.RequestBody) -> GroupOptions:
    """The options of a create in *body*, which has to fit *schema*."""
    schema.check(body, bodies.name_errors, bodies.expiry_errors)
    return GroupOptions(
        body.get('Name'),
        consistency=body.get('Consistency', contract.CONSISTENT),
        **bodies.common_options(body),
    )
