# SPDX-License-Identifier: Apache-2.0
"""
The aggregation service over HTTP: groups of systems.

Owns the routes of ``AggregationService`` and its ``Aggregates``, and which
systems the bodies of their requests name.
"""

import contextlib
from collections.abc import Iterator, Sequence
from urllib import parse

import flask

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.api import noting, queries
from hawkfish_plugin.api.access import (
    check_if_match,
    found_by_uri,
    operation,
    payload,
    services,
)
from hawkfish_plugin.api.answers import accepted, answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body, unquoted
from hawkfish_plugin.api.snapshot_bodies import name_errors
from hawkfish_plugin.api.validation import RequestBody, Schema, read_nothing
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.table import Group
from hawkfish_plugin.operations.group_power import (
    GroupBootOrder,
    GroupReset,
    ResetOptions,
)
from hawkfish_plugin.redfish import aggregates, errors, uris

SERVICE = '/AggregationService'
COLLECTION = f'{SERVICE}/Aggregates'
MEMBER = f'{COLLECTION}/<group>'

_ELEMENTS: Schema = {
    'type': 'array',
    'maxItems': bounds.ELEMENTS,
    'items': {
        'type': 'object',
        'properties': {'@odata.id': {'type': 'string'}},
        'required': ['@odata.id'],
        'additionalProperties': False,
    },
}
_CREATE = RequestBody(
    {'Name': {'type': 'string'}, 'Elements': _ELEMENTS},
    required=('Elements',),
    missing=exceptions.CreateFailedMissingReqProperties,
)


def _parameters(
    action: str, required: tuple[str, ...], **of: Schema
) -> RequestBody:
    return RequestBody(
        of,
        required,
        action=action,
        missing=exceptions.ActionParameterMissing,
    )


ADD = _parameters(uris.ADD_ELEMENTS_ACTION, ('Elements',), Elements=_ELEMENTS)
REMOVE = _parameters(
    uris.REMOVE_ELEMENTS_ACTION, ('Elements',), Elements=_ELEMENTS
)
RESET = _parameters(
    uris.RESET_ACTION,
    ('ResetType',),
    ResetType={'type': 'string', 'enum': aggregates.RESET_TYPES},
    BatchSize={'type': 'integer', 'minimum': 0, 'maximum': bounds.ELEMENTS},
    DelayBetweenBatchesInSeconds={
        'type': 'integer',
        'minimum': 0,
        'maximum': bounds.BATCH_SECONDS,
    },
)
_BOOT_ORDER = _parameters(uris.BOOT_ORDER_ACTION, ())


@blueprint.get(SERVICE)
def show_aggregation_service() -> flask.Response:
    queries.check(())
    return answer(aggregates.aggregation_service())


@blueprint.get(COLLECTION)
def list_aggregates() -> flask.Response:
    return answer(
        queries.listing_of(
            services().groups.groups(),
            lambda group: uris.aggregate_uri(group.name),
            _load,
            aggregates.aggregate_collection,
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_aggregate() -> flask.Response:
    body = read_body()
    _CREATE.check(body, _name_errors, _element_errors)
    group = services().group_table.create(
        body.get('Name'), _systems(body['Elements'])
    )
    return answer(_render(group), 201, Location=uris.aggregate_uri(group.name))


@blueprint.get(MEMBER)
def show_aggregate(group: str) -> flask.Response:
    queries.check(())
    return answer(_render(find_group(group)))


@blueprint.delete(MEMBER)
def delete_aggregate(group: str) -> flask.Response:
    find_group(group)
    read_nothing()
    with _changing(group) as found:
        services().group_table.delete(found.name)
    return answer(None, 204)


@blueprint.post(f'{MEMBER}/Actions/{uris.ADD_ELEMENTS_ACTION}')
def add_elements(group: str) -> flask.Response:
    find_group(group)
    body = read_body()
    ADD.check(body, _element_errors)
    systems = _systems(body['Elements'])
    with _changing(group) as found:
        services().group_table.add(found.name, systems)
    return answer(errors.success())


@blueprint.post(f'{MEMBER}/Actions/{uris.REMOVE_ELEMENTS_ACTION}')
def remove_elements(group: str) -> flask.Response:
    # One that does not exist any more has the name that it had.
    gone = {
        identity: member
        for member in find_group(group).members
        for identity in (member.name, member.uuid)
    }
    body = read_body()
    REMOVE.check(body, lambda sound: _element_errors(sound, gone))
    systems = [_find(e['@odata.id'], gone) for e in body['Elements']]
    removed = [system for system in systems if system]
    with _changing(group) as found:
        services().group_table.remove(found.name, removed)
    return answer(errors.success())


@blueprint.post(f'{MEMBER}/Actions/{uris.RESET_ACTION}')
def reset_aggregate(group: str) -> flask.Response:
    found = find_group(group)
    body = read_body()
    RESET.check(body)
    noting.of_request().reset = body['ResetType']
    options = ResetOptions(
        body['ResetType'],
        body.get('BatchSize', 0),
        body.get('DelayBetweenBatchesInSeconds', 0),
    )
    return accepted(
        operation(GroupReset).submit(
            found, options, payload(body), check_group
        )
    )


@blueprint.post(f'{MEMBER}/Actions/{uris.BOOT_ORDER_ACTION}')
def set_default_boot_order(group: str) -> flask.Response:
    found = find_group(group)
    body = read_body()
    _BOOT_ORDER.check(body)
    return accepted(
        operation(GroupBootOrder).submit(found, payload(body), check_group)
    )


def find_group(name: str) -> Group:
    """The group of a URI; raises ResourceMissingAtURI."""
    with found_by_uri(exceptions.GroupNotFound):
        group = services().groups.group(name)
    noting.note_systems(*group.members)
    return group


@contextlib.contextmanager
def _changing(name: str) -> Iterator[Group]:
    """Change a group, on which nobody works; raises GroupBusy as well."""
    with services().groups.held(name) as group:
        check_group(group)
        services().groups.check_idle(group)
        yield group


def check_group(group: Group) -> None:
    """Raise PreconditionFailed where If-Match is of another *group*."""
    check_if_match(lambda: _render(group))


def _render(group: Group) -> Body:
    return aggregates.aggregate(group.name, services().groups.members(group))


def _load(groups: Sequence[Group]) -> Iterator[tuple[Group, Body]]:
    found = services().groups.members_of(groups)
    for group, members in zip(groups, found, strict=True):
        yield group, aggregates.aggregate(group.name, members)


# What is in a body --------------------------------------------------------

_Known = dict[str, contract.System]


def _name_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    for error in name_errors(body):
        if isinstance(error, exceptions.SnapshotNameInvalid):
            error = exceptions.GroupNameInvalid(
                *error.args, related=error.related
            )
        yield error


def _element_errors(
    body: Body, known: _Known | None = None
) -> Iterator[exceptions.HawkFishError]:
    """*known* are systems that may be gone, by both of their identities."""
    if body.get('Elements') == []:
        yield exceptions.GroupEmpty(related=['#/Elements'])
    seen: set[str] = set()
    for position, element in enumerate(body.get('Elements', ())):
        related = [f'#/Elements/{position}']
        system = _find(element['@odata.id'], known or {})
        if system is None:
            yield exceptions.GroupMemberUnknown(
                unquoted(element['@odata.id']), related=related
            )
        elif system.uuid in seen:
            yield exceptions.GroupMemberDuplicate(system.name, related=related)
        else:
            seen.add(system.uuid)


def _systems(elements: Sequence[Body]) -> Sequence[contract.System]:
    found = [_find(element['@odata.id'], {}) for element in elements]
    return [system for system in found if system]


def _find(uri: str, known: _Known) -> contract.System | None:
    """The system at *uri*, by UUID or name, if it may be served."""
    folder, _, last = uri.rstrip('/').rpartition('/')
    if folder != f'{uris.ROOT}/Systems' or not last:
        return None
    identity = parse.unquote(last)
    try:
        system = services().catalogue.system(identity)
    except exceptions.SystemNotFound:
        return known.get(identity)
    if not services().may_serve(system):
        return None
    noting.note_systems(system)
    return system
