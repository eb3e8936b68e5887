# SPDX-License-Identifier: Apache-2.0
"""
Summaries of all systems over HTTP.

The emulator's own collection has links only, so that a client had to ask for
each system, and for its snapshots, to show what there is.
"""

from collections.abc import Mapping, Sequence

import flask

from hawkfish_plugin.api import queries
from hawkfish_plugin.api.access import find_system, missing, services
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.redfish import summaries, uris
from hawkfish_plugin.redfish.common import Resource

COLLECTION = '/Oem/HawkFish/SystemSummaries'


@blueprint.get(COLLECTION)
def list_summaries() -> flask.Response:
    states = _power_states()
    groups = _memberships()
    return answer(
        queries.listing(
            sorted(states, key=lambda system: (system.name, system.uuid)),
            lambda system: uris.summary_uri(system.uuid),
            lambda system: _render(
                system, states[system], groups.get(system.uuid, ())
            ),
            summaries.summary_collection,
        )
    )


@blueprint.get(f'{COLLECTION}/<identity>')
def show_summary(identity: str) -> flask.Response:
    queries.check(())
    system = find_system(identity)
    state = _power_states().get(system)
    if state is None:
        raise missing()
    return answer(_render(system, state, _memberships().get(system.uuid, ())))


def _power_states() -> Mapping[contract.System, str]:
    """Those of the systems that may be served."""
    return {
        system: state
        for system, state in services().driver.power_states().items()
        if services().may_serve(system)
    }


def _memberships() -> Mapping[str, Sequence[str]]:
    """The names of the groups that each system is in, by its UUID."""
    found: dict[str, list[str]] = {}
    for group in services().groups.groups():
        for system in group.members:
            found.setdefault(system.uuid, []).append(group.name)
    return found


def _render(
    system: contract.System, power_state: str, groups: Sequence[str]
) -> Resource:
    return summaries.summary(
        system,
        power_state,
        services().catalogue.list(system),
        groups,
    )
