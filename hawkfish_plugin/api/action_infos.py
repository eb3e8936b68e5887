# SPDX-License-Identifier: Apache-2.0
"""
What parameters actions have, over HTTP.

Owns which body is that of which action: the one that its request is checked
against.
"""

import functools
from collections.abc import Mapping

import flask

from hawkfish_plugin.api import (
    aggregates,
    events,
    queries,
    subscriptions,
    validation,
)
from hawkfish_plugin.api.access import missing
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.validation import RequestBody
from hawkfish_plugin.redfish import action_infos, uris

# Those of the DMTF's types; ours are in their schemas.
_STANDARD = (
    *(aggregates.ADD, aggregates.REMOVE, aggregates.RESET),
    *(events.SUBMIT_TEST, subscriptions.RESUME),
)


@functools.cache
def bodies() -> Mapping[str, RequestBody]:
    """The bodies of all actions that have parameters, by their names."""
    found = {str(body.action): body for body in _STANDARD}
    ours = uris.ACTIONS_WITH_PARAMETERS - found.keys()
    return found | {name: validation.parameters(name) for name in ours}


@blueprint.get(f'{uris.ACTION_INFOS.removeprefix(uris.ROOT)}/<action>')
def show_action_info(action: str) -> flask.Response:
    queries.check(())
    body = bodies().get(action)
    if body is None:
        raise missing()
    return answer(
        action_infos.action_info(
            action, body.properties, body.required, body.definitions
        )
    )
