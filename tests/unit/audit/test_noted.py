# SPDX-License-Identifier: Apache-2.0
"""What the audit log notes, and what became of it."""

import http.client
import json
from urllib import parse

import pytest
import requests

from hawkfish_plugin import exceptions
from tests.served import FAKE_UUID
from tests.unit.audit.logs import (
    OF_SYSTEM,
    RESET,
    SECRET,
    SNAPSHOTS,
    SYSTEM,
    of_ours,
)
from tests.unit.conftest import NODES


def test_a_change_of_the_emulators_own(guarded):
    """Who, what, to which system, from where, with what outcome."""
    answer = guarded.post(RESET, json={'ResetType': 'On'})
    entry = guarded.newest()

    assert answer.status_code == 204
    assert entry['Username'] == 'admin'
    assert entry['OriginAddress'] == 'http://127.0.0.1'
    assert entry['OriginatorType'] == 'Client'
    assert entry['Severity'] == 'OK'
    assert entry['Message'] == f'POST {RESET} was answered with 204.'
    assert of_ours(entry)['ResetType'] == 'On'
    assert of_ours(entry)['SystemNames'] == ['fake']
    assert of_ours(entry)['SystemUUIDs'] == [FAKE_UUID]
    assert guarded.newest(OF_SYSTEM)['Id'] == entry['Id']


@pytest.mark.parametrize(
    'method, path, body',
    [
        ('PATCH', SYSTEM, {'Boot': {'BootSourceOverrideTarget': 'Cd'}}),
        ('PATCH', SYSTEM, {'Boot': 3}),
        ('POST', RESET, {'ResetType': 'Sideways'}),
        ('PUT', SYSTEM, {}),
        (
            'POST',
            f'{SYSTEM}/VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia',
            {},
        ),
        ('PATCH', f'{SYSTEM}/Oem/HawkFish/SnapshotPolicy', {}),
        ('DELETE', f'{SNAPSHOTS}/none', None),
        ('POST', '/redfish/v1/EventService/Subscriptions', {}),
    ],
)
def test_what_may_change_something(log, method, path, body):
    """All of it, on the emulator's routes and ours, refused or not."""
    answer = log.send(method, path, json=body)
    told = of_ours(log.newest())

    assert told['HttpOperation'] == method
    assert told['TargetUri'] == path
    assert told['HttpStatus'] == answer.status_code


def test_a_dry_run_is_not_noted(log):
    """It changes nothing, also where it would be refused; the rest is."""
    for method, path in (
        ('POST', f'{SNAPSHOTS}/none/Actions/HawkFishSnapshot.Revert'),
        ('POST', f'{SNAPSHOTS}/Actions/HawkFishSnapshotCollection.Repair'),
    ):
        before = len(log.entries())
        looked = log.send(method, path, json={'DryRun': True})
        assert looked.status_code in (200, 404)
        assert len(log.entries()) == before
        log.send(method, path, json={'DryRun': False})
        log.send(method, path, json={'DryRun': 'yes'})
        assert len(log.entries()) == before + 2


def test_a_preview_is_not_noted(log):
    before = len(log.entries())
    policy = f'{SYSTEM}/Oem/HawkFish/SnapshotPolicy'
    action = f'{policy}/Actions/HawkFishSnapshotPolicy.PreviewCreate'

    assert log.post(action, json={}).status_code == 200
    assert len(log.entries()) == before


def test_the_case_of_a_method_hides_nothing(log):
    """The emulator finds the route of "post" as well."""
    before = len(log.entries())
    url = parse.urlsplit(log.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.request(
        'post',
        RESET,
        json.dumps({'ResetType': 'ForceOff'}),
        {'Content-Type': 'application/json'},
    )
    status = connection.getresponse().status
    connection.close()

    assert (status, len(log.entries())) == (204, before + 1)


def test_reads_are_not_noted(log):
    """Nor is where a client has to ask again."""
    log.get(SYSTEM)
    log.send('HEAD', SYSTEM)
    log.get('/redfish/v1/Systems/none')
    log.send('GET', SNAPSHOTS, headers={'Accept': 'text/html'})
    log.post(
        '/redfish/v1/Systems/fake/Actions/ComputerSystem.Reset',
        json={'ResetType': 'On'},
        allow_redirects=False,
    )

    (cleared,) = log.entries()
    assert of_ours(cleared)['TargetUri'].endswith('LogService.ClearLog')


def test_a_refusal_says_why(log, emulator):
    """By its MessageId alone, as the text may quote what was sent."""
    emulator.created(Name='twice')
    assert emulator.create(Name='twice').status_code == 409
    entry = log.newest()

    assert entry['Severity'] == 'Warning'
    assert of_ours(entry)['Reason'] == 'Base.1.22.ResourceAlreadyExists'
    assert emulator.create(Name=[SECRET]).status_code == 400
    assert SECRET not in json.dumps(log.entries())


def test_the_entry_tells_what_became_of_the_task(log, emulator):
    """One entry for a request and its task, whichever ends first."""
    with emulator.slow():
        accepted = emulator.create(Name='base')
        entry = log.newest()
        assert of_ours(entry)['TaskState'] == 'New'
        assert of_ours(entry)['HttpStatus'] == 202
        assert 'Modified' not in entry
    emulator.wait(accepted)
    after = log.newest()

    assert after['Id'] == entry['Id']
    assert of_ours(after)['TaskState'] == 'Completed'
    assert of_ours(after)['Operation'] == 'create'
    assert of_ours(after)['Snapshot'] == 'base'
    assert of_ours(after)['Task'] == (
        f'/redfish/v1/TaskService/Tasks/{emulator.task(accepted).id}'
    )
    assert after['Modified']
    assert after['MessageId'] == 'HawkFish.1.0.RequestTaskCompleted'

    answer = emulator.create(Name='quick')
    waited = log.post(
        SNAPSHOTS, json={'Name': 'awaited'}, headers={'Prefer': 'wait=20'}
    )
    emulator.wait(answer)
    awaited, quick = log.entries(**{'$top': 2})
    assert waited.status_code == of_ours(awaited)['HttpStatus'] == 201
    assert of_ours(awaited)['TaskState'] == 'Completed'
    assert of_ours(quick)['TaskState'] == 'Completed'


def test_a_task_that_fails_or_is_cancelled(log, emulator):
    """The entry of its request says so, and why; who cancels has another."""
    emulator.behaviour.fail_at = {
        'create:capture': exceptions.OperationFailed('create', 'on purpose')
    }
    failed = emulator.wait(emulator.create(Name='never'))
    entry = log.newest()

    assert failed.status_code >= 400
    assert entry['Severity'] == 'Critical'
    assert of_ours(entry)['TaskState'] == 'Exception'
    assert of_ours(entry)['Reason']
    emulator.behaviour.fail_at = {}
    with emulator.slow():
        accepted = emulator.create(Name='stopped')
        emulator.wait_running(accepted)
        cancelled = log.send('DELETE', accepted.headers['Location'])
        emulator.watch(accepted.headers['Location'])
    by_whom, begun = log.entries(**{'$top': 2})

    assert of_ours(begun)['TaskState'] == 'Cancelled'
    assert begun['Severity'] == 'Warning'
    assert of_ours(by_whom)['HttpStatus'] == cancelled.status_code
    assert of_ours(by_whom)['Task'] is None
    assert of_ours(by_whom)['SystemNames'] == ['fake']


def test_what_the_service_does_itself(log, emulator, policy):
    """A snapshot that the policy deletes is in the log, under no user."""
    requests.patch(policy, json={'MaxSnapshots': 1}, timeout=60)
    for name in ('old', 'new'):
        emulator.created(Name=name)
        emulator.wait_second()
    emulator.wait_idle()
    entry = next(
        e
        for e in log.entries(OF_SYSTEM)
        if of_ours(e)['Operation'] == 'delete'
    )

    assert entry['OriginatorType'] == 'Internal'
    assert 'Username' not in entry
    assert of_ours(entry)['Snapshot'] == 'old'
    assert of_ours(entry)['HttpOperation'] is None


def test_a_group_is_in_the_logs_of_its_systems(log, emulator):
    """A request for several systems is one entry, which each log has."""
    links = [
        {'@odata.id': f'/redfish/v1/Systems/{NODES[name]}'}
        for name in ('node-0', 'node-1')
    ]
    made = log.post(
        '/redfish/v1/AggregationService/Aggregates',
        json={'Name': 'lab', 'Elements': links},
    )
    uri = made.headers['Location']
    emulator.wait(
        log.post(f'{uri}/Oem/HawkFish/Snapshots', json={'Name': 'both'})
    )
    logs = [
        log.entries(f'/redfish/v1/Systems/{NODES[name]}/LogServices/Audit')
        for name in ('node-0', 'node-1')
    ]

    for entries in logs:
        assert [e['Id'] for e in entries] == [e['Id'] for e in logs[0]]
        assert of_ours(entries[0])['Operation'] == 'group-create'
        assert of_ours(entries[0])['SystemNames'] == ['node-0', 'node-1']
        assert of_ours(entries[1])['HttpStatus'] == 201
