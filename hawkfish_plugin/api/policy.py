# SPDX-License-Identifier: Apache-2.0
"""
The SnapshotPolicy of a system over HTTP.

Owns the parsing of limits, and the question what a create would do.  What
the limits mean is in ``hawkfish_plugin.retention``.
"""

import flask

from hawkfish_plugin import conf, exceptions, retention
from hawkfish_plugin.api import (
    Body,
    answer,
    blueprint,
    check_if_match,
    check_properties,
    find_system,
    pointer,
    queries,
    read_body,
    service,
    told,
)
from hawkfish_plugin.api.snapshots import (
    CREATE_PARAMETERS,
    check_parameters,
    read_options,
)
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.redfish import policy as shapes

POLICY = '/Systems/<identity>/Oem/HawkFish/SnapshotPolicy'

_NUMBER = (int, type(None))
_CHANGES = {
    'MaxSnapshots': _NUMBER,
    'MaxAgeSeconds': _NUMBER,
    'MaxBytes': _NUMBER,
    'OnLimit': (str, type(None)),
}
_COLUMNS = {
    'MaxSnapshots': 'max_snapshots',
    'MaxAgeSeconds': 'max_age',
    'MaxBytes': 'max_bytes',
    'OnLimit': 'on_limit',
}


@blueprint.get(POLICY)
def show_policy(identity: str) -> flask.Response:
    queries.check(())
    return answer(_resource(find_system(identity)))


@blueprint.patch(POLICY)
def change_policy(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    current = _resource(system)
    check_properties(body, _CHANGES, set(current) - set(_CHANGES))
    _check_values(body)
    changes = {
        _COLUMNS[name]: value.lower() if isinstance(value, str) else value
        for name, value in body.items()
    }
    # Two changes with one ETag: the second one finds another.
    with service().locks.policy(system.uuid):
        check_if_match(_resource(system))
        service().policies.update(system.uuid, changes)
        return answer(_resource(system))


@blueprint.post(f'{POLICY}/Actions/{shapes.PREVIEW_ACTION}')
def preview_create(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    check_parameters(body, shapes.PREVIEW_ACTION, CREATE_PARAMETERS)
    seen = service().pruning.preview(system, read_options(body))
    return answer(shapes.preview(system.uuid, seen))


def _resource(system: contract.System) -> Body:
    limits = service().policies.get(system.uuid)
    subjects = service().snapshots.subjects(
        system, freshness=contract.Freshness.CACHED
    )
    can = service().driver.capabilities(system.uuid)
    return shapes.policy(system.uuid, limits, subjects, can)


def _check_values(body: Body) -> None:
    for name, value in body.items():
        largest = conf.LARGEST_LIMITS.get(_COLUMNS[name], 0)
        if isinstance(value, int) and not 0 <= value <= largest:
            raise exceptions.PropertyValueOutOfRange(
                told(value), name, related=[pointer(name)]
            )
    on_limit = body.get('OnLimit')
    if on_limit is not None and on_limit not in retention.ON_LIMIT:
        raise exceptions.PropertyValueNotInList(
            told(on_limit), 'OnLimit', related=['#/OnLimit']
        )
