# SPDX-License-Identifier: Apache-2.0
"""What records look like in Redfish, without a service around them."""

import pytest

from hawkfish_plugin import events, exceptions, notes
from hawkfish_plugin.catalogue import View
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.events.subscriptions import Subscription
from hawkfish_plugin.redfish import (
    common,
    errors,
    service_root,
    snapshots,
    tasks,
    uris,
)
from hawkfish_plugin.redfish import events as event_resources
from hawkfish_plugin.tasks.task import (
    CANCELLED,
    COMPLETED,
    EXCEPTION,
    NEW,
    Subject,
    Task,
)

SYSTEM = contract.System('u-u-i-d', 'vm')
OTHER = contract.System('another', 'vm2')


def task_of(**changes):
    values = {
        'id': 7,
        'operation': 'report',
        'version': 1,
        'parent': None,
        'after_task': None,
        'subjects': (Subject(SYSTEM, 'a b'),),
        'arguments': {},
        'state': COMPLETED,
        'step': '',
        'percent': 100,
        'journal': {},
        'messages': [('TaskEvent.1.0.TaskStarted', ['7'])],
        'payload': {},
        'result': {},
        'error': None,
        'owner': '',
        'cancellable': False,
        'claims': 1,
        'created': 10.0,
        'started': 20.0,
        'ended': 30.9,
    }
    return Task(**values | changes)


# Tasks --------------------------------------------------------------------


def test_a_task_is_called_as_its_operation_says():
    """The renderer knows no operation: even an unknown one is shown."""
    shown = tasks.task(task_of(), 'Report on vm', ['/x', '/y'])

    assert shown['Name'] == 'Report on vm'
    assert shown['Links']['CreatedResources'] == [
        {'@odata.id': '/x'},
        {'@odata.id': '/y'},
    ]
    assert shown['Oem']['HawkFish'] == {
        '@odata.type': '#HawkFishTask.v1_0_0.Task',
        'Operation': 'report',
        'Snapshot': 'a b',
        'Aggregate': None,
        'Step': None,
        'System': {'@odata.id': '/redfish/v1/Systems/u-u-i-d'},
    }
    assert shown['Actions']['Oem'] == {
        '#HawkFishTask.Abandon': {
            'target': '/redfish/v1/TaskService/Tasks/7/Actions/Oem/'
            'HawkFishTask.Abandon'
        }
    }
    assert shown['StartTime'] == '1970-01-01T00:00:20Z'
    assert shown['EndTime'] == '1970-01-01T00:00:30Z'
    assert 'SubTasks' not in shown


@pytest.mark.parametrize(
    'subjects, snapshot, system',
    [
        ((), None, None),
        ((Subject(SYSTEM),), None, SYSTEM),
        ((Subject(SYSTEM), Subject(OTHER)), None, SYSTEM),
        ((Subject(OTHER, 'a'), Subject(SYSTEM)), 'a', OTHER),
    ],
)
def test_the_first_subject_of_a_task_is_shown(subjects, snapshot, system):
    """A task may have no system, a whole one, or several."""
    oem = tasks.task(task_of(subjects=subjects), 't')['Oem']['HawkFish']

    link = system and common.link(uris.system_uri(system.uuid))
    assert (oem['Snapshot'], oem['System']) == (snapshot, link)


def test_a_task_links_its_sub_tasks():
    """The link leads to their collection, and is there where they are."""
    shown = tasks.task(task_of(), 't', has_sub_tasks=True)
    listed = tasks.sub_task_collection(7, [common.link('/x')], 5)

    assert shown['SubTasks'] == {'@odata.id': listed['@odata.id']}
    assert listed['@odata.id'] == '/redfish/v1/TaskService/Tasks/7/SubTasks'
    assert listed['Members@odata.count'] == 5


def test_an_accepted_task_has_no_uri_of_its_own():
    """A client that polled it would take its 200 for the end."""
    shown = tasks.task_accepted(task_of(state=NEW, ended=None), 't')

    assert '@odata.id' not in shown
    assert 'EndTime' not in shown
    assert shown['TaskMonitor'] == '/redfish/v1/TaskService/TaskMonitors/7'


def test_the_payload_of_a_task_is_shown_where_it_has_one():
    """A task that the service began itself hides what it does not have."""
    payload = tasks.payload('POST', '/x', {'Name': 'a'})

    assert tasks.task(task_of(), 't')['HidePayload'] is True
    shown = tasks.task(task_of(payload=payload), 't')
    assert shown['HidePayload'] is False
    assert shown['Payload']['JsonBody'] == '{"Name": "a"}'


@pytest.mark.parametrize(
    'changes, status',
    [
        ({}, 'OK'),
        ({'state': EXCEPTION}, 'Critical'),
        ({'state': CANCELLED}, 'Warning'),
        (
            {
                'messages': [
                    ('HawkFish.1.0.SnapshotQuiesceFailed', ['a', 'why'])
                ]
            },
            'Warning',
        ),
        # Of a newer release.
        ({'messages': [('HawkFish.9.0.Unknown', ['a'])]}, 'Warning'),
    ],
)
def test_the_status_of_a_task(changes, status):
    """It is that of its end, or of the worst message so far."""
    assert tasks.task(task_of(**changes), 't')['TaskStatus'] == status


# Snapshots ----------------------------------------------------------------


def view_of(record=None, **changes):
    values = {'power_state': 'On', 'memory': False, 'external': True}
    snapshot = contract.Snapshot('a/b', '', 5, **values | (record or {}))
    return View(snapshot, 'Ready', **changes)


def test_a_snapshot_and_what_it_is_linked_to():
    """Names are quoted in links; files that are no system's have none."""
    view = view_of(
        {'parent': 'é'},
        children=('c',),
        referrers=('c',),
        size=contract.Size(own=1, disks=2),
        dependents=(
            contract.Dependent('vm2', 'another'),
            contract.Dependent('/x.qcow2'),
        ),
    )

    shown = snapshots.snapshot('u', view)

    below = '/redfish/v1/Systems/u/Oem/HawkFish/Snapshots'
    assert shown['@odata.id'] == f'{below}/a%2Fb'
    assert shown['Links']['ParentSnapshot'] == common.link(f'{below}/%C3%A9')
    assert shown['Links']['ChildSnapshots'] == [common.link(f'{below}/c')]
    assert shown['Links']['ReferencedBy'] == [
        common.link(f'{below}/c'),
        common.link('/redfish/v1/Systems/another'),
    ]
    assert shown['ReferencedByFiles'] == ['/x.qcow2']
    assert (shown['SizeBytes'], shown['ExclusiveSizeBytes']) == (3, 1)
    assert (shown['Description'], shown['ExpiresTime']) == (None, None)
    action = shown['Actions']['#HawkFishSnapshot.Revert']
    assert action['target'].startswith(f'{below}/a%2Fb/Actions/')
    assert 'Paused' in (action['TargetPowerState@Redfish.AllowableValues'])


@pytest.mark.parametrize(
    'record, quiesce, consistency',
    [
        ({'power_state': None}, None, None),
        ({'memory': True}, None, 'Memory'),
        ({'power_state': 'Off'}, None, 'Off'),
        ({}, None, 'Crash'),
        ({}, contract.Quiesce('Failed', 'no agent'), 'Crash'),
        ({}, contract.Quiesce('Quiesced'), 'FileSystem'),
    ],
)
def test_the_consistency_of_a_snapshot(record, quiesce, consistency):
    """It is what a system that is started from the snapshot finds."""
    view = view_of(record, note=notes.Note(quiesce=quiesce))

    assert snapshots.snapshot('u', view)['Consistency'] == consistency


def test_an_etag_changes_with_the_resource():
    """And with nothing else."""
    locked = view_of(note=notes.Note(locked=True))
    tags = [
        snapshots.snapshot('u', view)['@odata.etag']
        for view in (view_of(), view_of(), locked)
    ]

    assert tags[0] == tags[1] != tags[2]


def test_the_size_of_an_internal_snapshot_is_unknown():
    """It is null, which is not 0."""
    assert snapshots.size_bytes(None) is None
    assert snapshots.exclusive_size_bytes(None) is None
    whole = contract.Size(own=1, disks=2, removable=True)
    assert snapshots.exclusive_size_bytes(whole) == 3


# Events -------------------------------------------------------------------


def test_an_event_of_what_is_gone():
    """Its origin is linked, and said to be unavailable."""
    origin = events.snapshot_origin(SYSTEM, 'a', gone=True)
    event = events.Event(
        3,
        2,
        5.0,
        'HawkFish.1.0.SnapshotDeleted',
        ['a', 'vm', 'Expired'],
        origin,
    )

    shown = event_resources.event('c', [event_resources.entry(event)])

    assert (shown['Id'], shown['Context']) == ('3', 'c')
    [entry] = shown['Events']
    assert entry['OriginOfConditionUnavailable'] is True
    assert entry['OriginOfCondition'] == common.link(origin.uri)
    assert (entry['EventId'], entry['EventGroupId']) == ('3', 2)


@pytest.mark.parametrize(
    'suspended, failures, status',
    [
        (False, 0, ('Enabled', 'OK')),
        (False, 1, ('Enabled', 'Warning')),
        (True, 0, ('Disabled', 'OK')),
        (True, 3, ('Disabled', 'Critical')),
    ],
)
def test_the_status_of_a_subscription(suspended, failures, status):
    """One that was suspended for its failures is critical."""
    record = Subscription(
        id=1,
        type='RedfishEvent',
        destination='http://h/',
        context='',
        retry_policy='RetryForever',
        verify=True,
        headers=[('X', 'secret')],
        filters={'OriginResources': ['/redfish/v1']},
        suspended=suspended,
        failures=failures,
        delivered=0,
    )

    shown = event_resources.destination(record)

    assert (shown['Status']['State'], shown['Status']['Health']) == status
    assert shown['HttpHeaders'] == []
    assert shown['OriginResources'] == [common.link('/redfish/v1')]


# Errors and the emulator's resources --------------------------------------


def test_the_code_of_an_error():
    """One fault gives its own code, several the general one and all texts."""
    one = exceptions.PropertyUnknown('x', related=['#/x'])
    both = exceptions.Refused([one, exceptions.PropertyMissing('y')])

    single, several = errors.error(one), errors.error(both)

    [entry] = single['error']['@Message.ExtendedInfo']
    assert single['error']['code'] == entry['MessageId']
    assert entry['RelatedProperties'] == ['#/x']
    assert several['error']['code'].endswith('.GeneralError')
    assert len(several['error']['@Message.ExtendedInfo']) == 2
    assert entry['Message'] in several['error']['message']


def test_the_service_root_keeps_what_the_emulator_says():
    """Only what is missing is added."""
    tasks_of_emulator = {'@odata.id': '/its/own'}

    root = service_root.service_root({'Tasks': tasks_of_emulator, 'Id': 'x'})

    assert root['Tasks'] == tasks_of_emulator
    assert root['SessionService'] == common.link(uris.SESSION_SERVICE)
    assert root['Links']['Sessions'] == common.link(uris.SESSIONS)
