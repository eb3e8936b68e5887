# SPDX-License-Identifier: Apache-2.0
"""
The SnapshotPolicy of a system over HTTP.

Owns its routes, one of which previews a create.  What the limits mean is in
``hawkfish_plugin.retention``.
"""

import flask

from hawkfish_plugin.api import noting, queries, validation
from hawkfish_plugin.api.access import (
    check_if_match,
    find_system,
    operation,
    services,
)
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body
from hawkfish_plugin.api.snapshots import PREVIEW, read_options
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.redfish import policy, uris
from hawkfish_plugin.retention import rules

POLICY = '/Systems/<identity>/Oem/HawkFish/SnapshotPolicy'

_CHANGE = validation.changes('HawkFishSnapshotPolicy')
_COLUMNS = {
    'MaxSnapshots': 'max_snapshots',
    'MaxAgeSeconds': 'max_age',
    'MaxBytes': 'max_bytes',
    'OnLimit': 'on_limit',
    'KeepNewestVerified': 'keep_verified',
}


@blueprint.get(POLICY)
def show_policy(identity: str) -> flask.Response:
    queries.check(())
    return answer(_resource(find_system(identity)))


@blueprint.patch(POLICY)
def change_policy(identity: str) -> flask.Response:
    system = find_system(identity)
    body = read_body()
    _CHANGE.check(body, resource=_resource(system))
    changes = {
        _COLUMNS[name]: value.lower() if isinstance(value, str) else value
        for name, value in body.items()
    }
    limits = services().policies.change(
        system, changes, lambda: check_if_match(lambda: _resource(system))
    )
    # Another client may have changed them again by now.
    return answer(_resource(system, limits))


@blueprint.post(f'{POLICY}/Actions/{uris.PREVIEW_ACTION}')
def preview_create(identity: str) -> flask.Response:
    system = find_system(identity)
    options = read_options(read_body(), PREVIEW)
    noting.note_look()
    found = operation(Create).preview(system, options)
    return answer(policy.preview(system.uuid, found))


def _resource(
    system: contract.System, limits: rules.Limits | None = None
) -> Body:
    catalogue = services().catalogue
    return policy.policy(
        system.uuid,
        limits or services().policies.get(system.uuid),
        catalogue.subjects(system, freshness=contract.Freshness.CACHED),
        catalogue.capabilities(system),
    )
