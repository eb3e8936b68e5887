# SPDX-License-Identifier: Apache-2.0
"""
The job service over HTTP: schedules.

Owns the routes below ``JobService``, and what the bodies of their requests may
hold, but for the requests that are scheduled: see ``job_payloads``.
"""

import contextlib
import dataclasses
import datetime
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flask

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.api import asking, job_payloads, noting, queries
from hawkfish_plugin.api.access import (
    check_if_match,
    found_by_uri,
    missing,
    services,
)
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, moment, read_body
from hawkfish_plugin.api.snapshot_bodies import name_errors
from hawkfish_plugin.api.validation import RequestBody, Schema, read_nothing
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import scheduling
from hawkfish_plugin.redfish import durations, jobs, schemas, uris
from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.schedules import recurrence
from hawkfish_plugin.schedules.recurrence import Recurrence
from hawkfish_plugin.schedules.rows import Draft, Schedule

SERVICE = '/JobService'
COLLECTION = f'{SERVICE}/Jobs'
MEMBER = f'{COLLECTION}/<name>'

# With the time of a run it is the name of a snapshot.
_MOST_CHARACTERS, _MOST_BYTES = 64, 160
_MOST_SECONDS = 100 * 365 * recurrence.DAY_SECONDS
_MOST_OCCURRENCES = 2**31
EVERY = 'Every'


# What may be in a body ----------------------------------------------------


def _nullable(schema: Schema) -> Schema:
    return {'anyOf': [schema, {'type': 'null'}]}


def _several(items: Schema, most: int) -> Schema:
    return {'type': ['array', 'null'], 'maxItems': most, 'items': items}


def _choice(*values: str) -> Schema:
    return {'type': 'string', 'enum': values}


def _object(properties: Mapping[str, Schema], *required: str) -> Schema:
    return {
        'type': 'object',
        'properties': properties,
        'required': required,
        'additionalProperties': False,
    }


_DURATION = {'type': ['string', 'null'], 'format': 'duration'}
_SCHEDULE = _object(
    {
        'InitialStartTime': {
            'type': ['string', 'null'],
            'format': 'date-time',
        },
        'RecurrenceInterval': _DURATION,
        'Lifetime': _DURATION,
        'MaxOccurrences': {
            'type': ['integer', 'null'],
            'minimum': 1,
            'maximum': _MOST_OCCURRENCES,
        },
        'EnabledDaysOfWeek': _several(_choice(*recurrence.WEEKDAYS, EVERY), 8),
        'EnabledDaysOfMonth': _several(
            {'type': 'integer', 'minimum': 0, 'maximum': 31}, 32
        ),
        'EnabledMonthsOfYear': _several(
            _choice(*recurrence.MONTHS, EVERY), 13
        ),
    }
)
_PAYLOAD = _object(
    {
        'TargetUri': {'type': 'string', 'maxLength': 1024},
        'HttpOperation': _choice('POST'),
        'HttpHeaders': {
            'type': 'array',
            'maxItems': 16,
            'items': {'type': 'string'},
        },
        'JsonBody': {'type': ['string', 'object', 'null']},
    },
    'TargetUri',
)
_KEEP = {
    name: {k: v for k, v in schema.items() if k != 'readonly'}
    for name, schema in schemas.definitions('HawkFishJob')['Retention'][
        'properties'
    ].items()
}
_OEM = _object({'HawkFish': _object({'Retention': _object(_KEEP)})})
_CREATE = RequestBody(
    {
        'Name': {'type': 'string'},
        'Schedule': _SCHEDULE,
        'Payload': _PAYLOAD,
        'Oem': _OEM,
    },
    required=('Payload',),
    missing=exceptions.CreateFailedMissingReqProperties,
)
_CHANGE = RequestBody(
    {
        'JobState': _choice(jobs.SUSPENDED, jobs.CONTINUE),
        'Schedule': _SCHEDULE,
        'Oem': _OEM,
    },
    read_only=frozenset({'Name', 'Payload'}),
)


def _name_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    yield from name_errors(body)
    name = body.get('Name', '')
    size = len(name.encode(errors='replace'))
    if len(name) > _MOST_CHARACTERS or size > _MOST_BYTES:
        yield exceptions.StringValueTooLong(
            name[:_MOST_CHARACTERS], _MOST_CHARACTERS, related=['#/Name']
        )


def _schedule_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    given = body.get('Schedule') or {}
    for name, least in (
        ('RecurrenceInterval', bounds.SCHEDULE_SECONDS),
        ('Lifetime', 1),
    ):
        text = given.get(name)
        if text is not None:
            seconds = durations.seconds(text)
            if not least <= seconds <= _MOST_SECONDS or seconds % 1:
                yield exceptions.PropertyValueOutOfRange(
                    text, name, related=[f'#/Schedule/{name}']
                )


# Routes -------------------------------------------------------------------


@blueprint.get(SERVICE)
def show_job_service() -> flask.Response:
    queries.check(())
    return answer(jobs.job_service(time.time()))


@blueprint.get(COLLECTION)
def list_jobs() -> flask.Response:
    # Where a hypervisor has to be asked, it is once for each system.
    may_show = functools.cache(_may_show_system)
    return answer(
        queries.listing(
            [
                one
                for one in services().schedules.list()
                if all(map(may_show, services().scheduling.systems(one)))
            ],
            lambda schedule: uris.job_uri(schedule.name),
            _render,
            jobs.job_collection,
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_job() -> flask.Response:
    body = read_body()
    _CREATE.check(body, _name_errors, _schedule_errors)
    (kind, systems, group, options), shown = job_payloads.read(body['Payload'])
    now = time.time()
    rule = _recurrence(body.get('Schedule') or {}, now, now)
    draft = Draft(
        kind,
        systems,
        group,
        options,
        shown,
        rule,
        _classes(body, Classes(), kind, rule),
        services().allowed.own(),
        asking.owner(),
    )
    created = services().schedules.create(body.get('Name'), draft, now)
    return answer(_render(created), 201, Location=uris.job_uri(created.name))


@blueprint.get(MEMBER)
def show_job(name: str) -> flask.Response:
    queries.check(())
    return answer(_render(_find(name)))


@blueprint.patch(MEMBER)
def change_job(name: str) -> flask.Response:
    found = _find(name)
    body = read_body()
    _CHANGE.check(body, _schedule_errors, resource=_render(found))
    now = time.time()
    rule = None
    if 'Schedule' in body:
        # What is not given stays; null is as if it had never been given.
        was = jobs.schedule_of(found.recurrence, found.created)
        rule = _recurrence(
            {**was, **body['Schedule']}, found.recurrence.start, found.created
        )
    return answer(
        _render(
            _changed(
                found,
                now,
                recurrence=rule,
                classes=_classes(
                    body, found.classes, found.kind, rule or found.recurrence
                ),
                suspended=(
                    body['JobState'] == jobs.SUSPENDED
                    if 'JobState' in body
                    else None
                ),
            )
        )
    )


@blueprint.delete(MEMBER)
def delete_job(name: str) -> flask.Response:
    found = _find(name)
    read_nothing()
    with found_by_uri(exceptions.ScheduleNotFound):
        services().schedules.delete(found.name, _check_if_match)
    return answer(None, 204)


@blueprint.post(f'{MEMBER}/Actions/{uris.SUSPEND_JOB_ACTION}')
def suspend_job(name: str) -> flask.Response:
    found = _find(name)
    read_nothing(uris.SUSPEND_JOB_ACTION)
    _changed(found, time.time(), suspended=True)
    return answer(None, 204)


@blueprint.post(f'{MEMBER}/Actions/{uris.RESUME_JOB_ACTION}')
def resume_job(name: str) -> flask.Response:
    found = _find(name)
    read_nothing(uris.RESUME_JOB_ACTION)
    _changed(found, time.time(), suspended=False)
    return answer(None, 204)


def _changed(found: Schedule, now: float, **changes: Any) -> Schedule:
    with found_by_uri(exceptions.ScheduleNotFound):
        return services().schedules.change(
            found.name, _check_if_match, now, by=asking.owner(), **changes
        )


def _check_if_match(schedule: Schedule) -> None:
    check_if_match(lambda: _render(schedule))


def _find(name: str) -> Schedule:
    """Raises ResourceMissingAtURI, also for what is hidden."""
    with found_by_uri(exceptions.ScheduleNotFound):
        found = services().schedules.get(name)
    systems = services().scheduling.systems(found)
    if not all(map(_may_show_system, systems)):
        raise missing()
    noting.note_systems(*systems)
    return found


def _may_show_system(system: contract.System) -> bool:
    """
    Whether *system* may be served.

    Only an allow list with names has the hypervisor asked, as the name may be
    another one by now: while that is away, what has no UUID there is hidden.
    """
    try:
        return services().may_tell(system)
    except exceptions.Unavailable:
        return False


def _render(schedule: Schedule) -> Body:
    """Told by the database alone, as a hypervisor may be away for long."""
    system = group = None
    if schedule.group is not None:
        with contextlib.suppress(exceptions.GroupNotFound):
            group = services().group_table.get(schedule.group).name
    elif not schedule.lacks_system:
        (known,) = schedule.systems
        system = known.uuid
    task = services().scheduling.last_task(schedule)
    return jobs.job(schedule, task, system, group)


# What is in a body --------------------------------------------------------


def _recurrence(given: Body, begins: float, created: float) -> Recurrence:
    """
    The recurrence that a Schedule is, of a job that was *created* then.

    Where it does not say when it *begins*.  Raises PropertyMissing.
    """
    start, offset = int(begins), 0
    text = given.get('InitialStartTime')
    if text is not None:
        start = int(moment(text).timestamp())
        ahead = datetime.datetime.fromisoformat(text).utcoffset()
        offset = int(ahead.total_seconds()) if ahead else 0
    interval, life = (
        None
        if given.get(name) is None
        else int(durations.seconds(given[name]))
        for name in ('RecurrenceInterval', 'Lifetime')
    )
    rule = Recurrence(
        start,
        interval,
        offset,
        _numbers(given.get('EnabledDaysOfWeek'), recurrence.WEEKDAYS),
        _days(given.get('EnabledDaysOfMonth')),
        tuple(
            number + 1
            for number in _numbers(
                given.get('EnabledMonthsOfYear'), recurrence.MONTHS
            )
        ),
        given.get('MaxOccurrences'),
        None if life is None else int(created) + life,
    )
    if interval is None and (rule.weekdays or rule.days or rule.months):
        raise exceptions.PropertyMissing(
            'RecurrenceInterval', related=['#/Schedule/RecurrenceInterval']
        )
    return rule


def _numbers(
    chosen: Sequence[str] | None, known: Sequence[str]
) -> tuple[int, ...]:
    if not chosen or EVERY in chosen:
        return ()
    return tuple(sorted({known.index(one) for one in chosen}))


def _days(chosen: Sequence[int] | None) -> tuple[int, ...]:
    # 0 stands for every day.
    return () if not chosen or 0 in chosen else tuple(sorted(set(chosen)))


def _classes(body: Body, was: Classes, kind: str, rule: Recurrence) -> Classes:
    """Raises PropertyValueConflict where nothing is made to be kept."""
    given = body.get('Oem', {}).get('HawkFish', {}).get('Retention', {})
    fields = {
        'KeepLast': 'last',
        'KeepDaily': 'daily',
        'KeepWeekly': 'weekly',
        'KeepMonthly': 'monthly',
    }
    found = dataclasses.replace(
        was,
        offset=rule.offset,
        **{fields[name]: value or 0 for name, value in given.items()},
    )
    if found and kind not in scheduling.MAKING:
        raise exceptions.PropertyValueConflict(
            'Retention', 'TargetUri', related=['#/Oem/HawkFish/Retention']
        )
    return found
