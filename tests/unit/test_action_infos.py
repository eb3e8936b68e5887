# SPDX-License-Identifier: Apache-2.0
"""ActionInfo resources say what the bodies of actions may hold."""

import dataclasses

import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import action_infos
from hawkfish_plugin.redfish import schemas, uris
from tests.served import message_ids

ACTIONS = sorted(uris.ACTIONS_WITH_PARAMETERS)
OURS = [
    name.partition('.')[0]
    for name in schemas.json_files()
    if name.count('.') == 1
    and 'Actions' in schemas.definitions(name.partition('.')[0])
]
WRONG = {
    'Boolean': 'yes',
    'Number': 'many',
    'String': 7,
    'StringArray': 'one',
    'ObjectArray': 'one',
    'Object': 'one',
}
RIGHT = {'Boolean': True, 'Number': 1}


def read(emulator, action):
    answer = requests.get(
        emulator.url + uris.action_info_uri(action), timeout=60
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def faults(body, given):
    """What is wrong with *given*, but for what is missing in it."""
    try:
        dataclasses.replace(body, required=()).check(given)
    except exceptions.HawkFishError as exc:
        return [part.message_id for part in exc.parts]
    return []


def test_every_action_of_ours_with_parameters_is_listed():
    """As its schema says, whichever type it is of; and no other is."""
    found = {
        action
        for resource in OURS
        for action in schemas.actions_of(resource)
        if schemas.definitions(resource)[action.partition('.')[2]][
            'parameters'
        ]
    }
    standard = {a for a in ACTIONS if not a.startswith('HawkFish')}

    assert found | standard == {*ACTIONS} == action_infos.bodies().keys()
    assert all(action_infos.bodies()[a].properties for a in ACTIONS)


@pytest.mark.parametrize('action', ACTIONS)
def test_what_is_told_is_what_is_checked(emulator, action):
    """Each type, value and limit that is told is the one that is obeyed."""
    told, body = read(emulator, action), action_infos.bodies()[action]

    assert told['Id'] == action
    assert {p['Name'] for p in told['Parameters']} == {*body.properties}
    for one in told['Parameters']:
        name, kind = one['Name'], one['DataType']
        assert one['Required'] is (name in body.required)
        assert faults(body, {name: WRONG[kind]})
        for value in one.get('AllowableValues', ()):
            assert not faults(body, {name: value})
        if 'AllowableValues' in one:
            assert faults(body, {name: 'none of these'})
        for limit, beyond in (('MinimumValue', -1), ('MaximumValue', 1)):
            if limit in one:
                assert not faults(body, {name: one[limit]})
                assert faults(body, {name: one[limit] + beyond})
        if kind in RIGHT:
            assert not faults(body, {name: RIGHT[kind]})


def test_actions_lead_there(emulator):
    """Where there is something to know; of no parameters nothing is said."""
    emulator.created(Name='base')
    snapshot = requests.get(f'{emulator.snapshots_url}/base').json()
    collection = requests.get(emulator.snapshots_url).json()
    service = requests.get(f'{emulator.url}/redfish/v1/EventService').json()
    found = {
        **snapshot['Actions'],
        **collection['Actions'],
        **service['Actions'],
    }
    with_info = {
        name[1:]: action['@Redfish.ActionInfo']
        for name, action in found.items()
        if '@Redfish.ActionInfo' in action
    }

    assert with_info.keys() == {
        'HawkFishSnapshot.Revert',
        'HawkFishSnapshot.Export',
        'HawkFishSnapshot.Verify',
        'HawkFishSnapshotCollection.Purge',
        'HawkFishSnapshotCollection.Repair',
        'HawkFishSnapshotCollection.VerifyNewest',
        'EventService.SubmitTestEvent',
    }
    for action, uri in with_info.items():
        assert read(emulator, action)['@odata.id'] == uri
    missing = requests.get(
        emulator.url + uris.action_info_uri('Chassis.Reset'), timeout=60
    )
    assert missing.status_code == 404
    assert message_ids(missing) == ['ResourceMissingAtURI']
