# SPDX-License-Identifier: Apache-2.0
"""Schedules over HTTP, and in the SDK: what is said, and what is refused."""

import datetime

import pytest
import requests

from hawkfish_plugin import bounds, client
from hawkfish_plugin.client import errors

ROOT = '/redfish/v1'
JOBS = f'{ROOT}/JobService/Jobs'
FAR = '2037-01-02T02:30:00+01:00'


@pytest.fixture
def api(emulator):
    class Api:
        target = f'{ROOT}/Systems/{emulator.system}/Oem/HawkFish/Snapshots'

        def request(self, method, path, body=None, **headers):
            return requests.request(
                method,
                f'{emulator.url}{path}',
                json=body,
                headers=headers,
                timeout=60,
            )

        def create(self, name='nightly', payload=None, keep=None, **schedule):
            schedule.setdefault('InitialStartTime', FAR)
            return self.request(
                'POST',
                JOBS,
                {
                    'Name': name,
                    'Schedule': schedule,
                    'Payload': {'TargetUri': self.target, **(payload or {})},
                    'Oem': {'HawkFish': {'Retention': keep or {}}},
                },
            )

        def patch(self, body, name='nightly', **headers):
            return self.request('PATCH', f'{JOBS}/{name}', body, **headers)

        def show(self, name='nightly'):
            return self.request('GET', f'{JOBS}/{name}')

    yield Api()
    table = emulator.services.schedules
    for one in table.list():
        table.delete(one.name, lambda _: None)


def code(response):
    told = response.json()['error']['@Message.ExtendedInfo'][0]
    return (
        response.status_code,
        told['MessageId'].rpartition('.')[2],
        told.get('RelatedProperties'),
    )


def test_the_root_leads_to_the_jobs(api):
    root = api.request('GET', f'{ROOT}/').json()
    service = api.request('GET', root['JobService']['@odata.id']).json()

    assert service['Jobs']['@odata.id'] == JOBS
    assert service['ServiceCapabilities']['MaxJobs'] == bounds.SCHEDULES
    assert service['DateTime'].endswith('Z')


def test_a_job_is_shown_as_it_was_made(api):
    """With the offset of its start, which says what its days are."""
    made = api.create(
        RecurrenceInterval='P1DT12H',
        EnabledDaysOfWeek=['Sunday', 'Monday'],
        EnabledDaysOfMonth=[31, 1],
        EnabledMonthsOfYear=['Every'],
        MaxOccurrences=9,
        Lifetime='P9999D',
        keep={'KeepLast': 7, 'KeepDaily': 14, 'KeepWeekly': None},
    )

    assert made.status_code == 201, made.text
    assert made.headers['Location'] == f'{JOBS}/nightly'
    assert made.json() == api.show().json()
    assert made.json()['Schedule'] == {
        'InitialStartTime': FAR,
        'RecurrenceInterval': 'P1DT12H',
        'EnabledDaysOfWeek': ['Monday', 'Sunday'],
        'EnabledDaysOfMonth': [1, 31],
        'MaxOccurrences': 9,
        'Lifetime': 'P9999D',
    }
    assert made.json()['Oem']['HawkFish']['Retention'] == {
        'KeepLast': 7,
        'KeepDaily': 14,
        'KeepWeekly': 0,
        'KeepMonthly': 0,
    }


def test_the_name_of_a_system_is_as_good_as_its_uuid(api, emulator):
    uri = f'{ROOT}/Systems/fake/Oem/HawkFish/Snapshots'
    made = api.create(payload={'TargetUri': uri}).json()

    assert made['Payload']['TargetUri'] == api.target


def test_a_body_is_an_object_or_its_text(api):
    for name, body in (('a', {'Locked': True}), ('b', '{"Locked": true}')):
        made = api.create(name, {'JsonBody': body}).json()
        assert made['Payload']['JsonBody'] == '{"Locked": true}'


def test_names_are_chosen_and_taken(api):
    body = {'Payload': {'TargetUri': api.target}, 'Schedule': {}}
    body['Schedule'] = {'InitialStartTime': FAR}
    made = [api.request('POST', JOBS, body).json()['Id'] for _ in 'ab']
    assert made == ['schedule-1', 'schedule-2']
    assert api.create().status_code == 201
    assert code(api.create()) == (409, 'ResourceAlreadyExists', ['#/Name'])


@pytest.mark.parametrize(
    'name', ['a/b', '', '.x', 'x' * 65, 'ä' * 64 + 'x', 'a\nb']
)
def test_bad_names(api, name):
    assert api.create(name).status_code == 400


@pytest.mark.parametrize(
    'schedule, key, related',
    [
        (
            {'RecurrenceInterval': 'PT59S'},
            'PropertyValueOutOfRange',
            ['#/Schedule/RecurrenceInterval'],
        ),
        (
            {'RecurrenceInterval': 'PT60.5S'},
            'PropertyValueOutOfRange',
            ['#/Schedule/RecurrenceInterval'],
        ),
        (
            {'RecurrenceInterval': 'P1M'},
            'PropertyValueFormatError',
            ['#/Schedule'],
        ),
        (
            {'EnabledDaysOfWeek': ['Monday']},
            'PropertyMissing',
            ['#/Schedule/RecurrenceInterval'],
        ),
        (
            {'RecurrenceInterval': 'P1D', 'EnabledDaysOfWeek': ['Someday']},
            'PropertyValueNotInList',
            ['#/Schedule'],
        ),
        (
            {
                'RecurrenceInterval': 'P1D',
                'EnabledDaysOfMonth': [30],
                'EnabledMonthsOfYear': ['February'],
            },
            'ScheduleNeverRuns',
            None,
        ),
        (
            {'InitialStartTime': '2001-01-01T00:00:00Z'},
            'ScheduleNeverRuns',
            None,
        ),
        (
            {'RecurrenceInterval': 'P1D', 'Lifetime': 'PT1S'},
            'ScheduleNeverRuns',
            None,
        ),
        (
            {
                'InitialStartTime': '9999-12-31T00:00:00Z',
                'RecurrenceInterval': 'PT1H',
                'EnabledDaysOfWeek': ['Monday'],
            },
            'ScheduleNeverRuns',
            None,
        ),
        (
            {
                'InitialStartTime': '9999-12-30T20:30:00-02:00',
                'RecurrenceInterval': 'PT27H',
                'EnabledDaysOfMonth': [31],
            },
            'ScheduleNeverRuns',
            None,
        ),
        ({'MaxOccurrences': 0}, 'PropertyValueOutOfRange', ['#/Schedule']),
        ({'Nonsense': 0}, 'PropertyValueTypeError', ['#/Schedule']),
    ],
)
def test_bad_schedules(api, schedule, key, related):
    assert code(api.create(**schedule)) == (400, key, related)
    assert api.show().status_code == 404


@pytest.mark.parametrize(
    'payload, key, related',
    [
        ({'TargetUri': '/x'}, 'ScheduleTargetInvalid', 'TargetUri'),
        (
            {'TargetUri': f'{ROOT}/Systems/no/Oem/HawkFish/Snapshots'},
            'ScheduleTargetInvalid',
            'TargetUri',
        ),
        (
            {'TargetUri': f'{ROOT}/Systems/fake/Actions/ComputerSystem.Reset'},
            'ScheduleTargetInvalid',
            'TargetUri',
        ),
        (
            {
                'TargetUri': f'{ROOT}/Systems/fake/Oem/HawkFish/Backups/9'
                '/Actions/HawkFishBackup.Verify'
            },
            'ScheduleTargetInvalid',
            'TargetUri',
        ),
        (
            {
                'TargetUri': f'{ROOT}/Systems/fake/Oem/HawkFish/Snapshots/no'
                '/Actions/HawkFishSnapshot.Verify'
            },
            'ScheduleTargetInvalid',
            'TargetUri',
        ),
        ({'JsonBody': '{'}, 'MalformedJSON', 'JsonBody'),
        ({'JsonBody': '[]'}, 'MalformedJSON', 'JsonBody'),
        ({'JsonBody': {'Name': 'x'}}, 'ScheduleBodyInvalid', 'JsonBody'),
        (
            {'JsonBody': {'ExpiresTime': FAR}},
            'ScheduleBodyInvalid',
            'JsonBody',
        ),
        ({'JsonBody': {'Nonsense': 1}}, 'PropertyUnknown', 'JsonBody'),
        (
            {'JsonBody': {'Quiesce': 'Maybe'}},
            'PropertyValueNotInList',
            'JsonBody',
        ),
        (
            {'JsonBody': {'Description': 'x' * 4000}},
            'StringValueTooLong',
            'JsonBody',
        ),
    ],
)
def test_bad_payloads(api, payload, key, related):
    assert code(api.create(payload=payload)) == (
        400,
        key,
        [f'#/Payload/{related}'],
    )
    assert api.show().status_code == 404


def test_only_post(api):
    answer = api.create(payload={'HttpOperation': 'DELETE'})
    assert code(answer) == (400, 'PropertyValueNotInList', ['#/Payload'])


def test_classes_are_for_what_is_made(api, emulator):
    verify = 'Actions/HawkFishSnapshotCollection.VerifyNewest'
    answer = api.create(
        payload={'TargetUri': f'{api.target}/{verify}'}, keep={'KeepLast': 1}
    )
    assert code(answer)[1] == 'PropertyValueConflict'


def test_there_are_so_many(api, monkeypatch):
    monkeypatch.setattr(bounds, 'SCHEDULES', 1)
    assert api.create('a').status_code == 201
    assert code(api.create('b'))[:2] == (400, 'CreateLimitReachedForResource')


def test_a_part_of_a_schedule_is_changed(api):
    """What is not given stays; null is as if it had never been given."""
    api.create(
        RecurrenceInterval='P1D',
        MaxOccurrences=3,
        EnabledDaysOfWeek=['Friday'],
        keep={'KeepLast': 3},
    )
    changed = api.patch(
        {
            'Schedule': {'RecurrenceInterval': 'PT6H', 'MaxOccurrences': None},
            'Oem': {'HawkFish': {'Retention': {'KeepDaily': 2}}},
        }
    ).json()

    assert changed['Schedule'] == {
        'InitialStartTime': FAR,
        'RecurrenceInterval': 'PT6H',
        'EnabledDaysOfWeek': ['Friday'],
    }
    kept = changed['Oem']['HawkFish']['Retention']
    assert (kept['KeepLast'], kept['KeepDaily']) == (3, 2)


def test_a_change_of_what_has_changed_is_refused(api):
    etag = api.create(RecurrenceInterval='P1D').json()['@odata.etag']
    body = {'JobState': 'Suspended'}

    assert api.patch(body, **{'If-Match': etag}).status_code == 200
    for answer in (
        api.patch({'JobState': 'Continue'}, **{'If-Match': etag}),
        api.request('DELETE', f'{JOBS}/nightly', **{'If-Match': etag}),
        api.request(
            'POST',
            f'{JOBS}/nightly/Actions/Job.Resume',
            {},
            **{'If-Match': etag},
        ),
    ):
        assert answer.status_code == 412
    assert api.show().json()['JobState'] == 'Suspended'


def test_what_cannot_be_changed(api):
    api.create()
    for body, key in (
        ({'Payload': {}}, 'PropertyNotWritable'),
        ({'Name': 'x'}, 'PropertyNotWritable'),
        ({'JobStatus': 'OK'}, 'PropertyNotWritable'),
        ({'Nonsense': 1}, 'PropertyUnknown'),
        ({'JobState': 'Running'}, 'PropertyValueNotInList'),
        (
            {'Schedule': {'InitialStartTime': '2001-01-01T00:00:00Z'}},
            'ScheduleNeverRuns',
        ),
    ):
        assert code(api.patch(body))[:2] == (400, key), body


# The SDK ------------------------------------------------------------------


def test_the_sdk(api, emulator):
    service = client.HawkFish(emulator.url)
    day = datetime.timedelta(days=1)
    start = datetime.datetime.fromisoformat(FAR)
    made = service.schedules().create(
        service.snapshots('fake'),
        {'Locked': True},
        'nightly',
        start=start,
        every=day,
        weekdays=['Monday'],
        keep_last=3,
    )

    assert repr(made) == "<Schedule 'nightly': Pending>"
    assert made.interval == day
    assert made.start_time == start
    assert made.start_time.utcoffset() == datetime.timedelta(hours=1)
    assert made.next_run_time > start
    assert made.retention['KeepLast'] == 3
    assert made.last_run is None
    assert made.suspend().state == 'Suspended'
    again = service.schedules()['nightly'].resume()
    assert again.state == 'Pending'
    changed = again.update(every=2 * day, keep_last=None, keep_daily=5)
    assert changed.interval == 2 * day
    assert changed.retention['KeepDaily'] == 5
    assert changed.retention['KeepLast'] == 0
    with pytest.raises(errors.ScheduleNeverRuns):
        changed.update(start='2001-01-01T00:00:00Z', every=None, weekdays=None)
    assert 'nightly' in service.schedules()
    changed.delete()
    with pytest.raises(client.NotFound):
        service.schedules()['nightly']
