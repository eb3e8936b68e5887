# SPDX-License-Identifier: Apache-2.0
"""The job service in Redfish, and its jobs: the schedules."""

import datetime
from collections.abc import Sequence
from typing import Any

from hawkfish_plugin import bounds, messages
from hawkfish_plugin.redfish import durations, uris
from hawkfish_plugin.redfish.common import (
    Resource,
    actions,
    collection,
    link,
    timestamp,
    with_etag,
    with_most,
)
from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.schedules import table
from hawkfish_plugin.schedules.recurrence import (
    MONTHS,
    WEEKDAYS,
    Recurrence,
)
from hawkfish_plugin.schedules.rows import Schedule
from hawkfish_plugin.tasks.task import EXCEPTION, Task

SUSPENDED, CONTINUE = 'Suspended', 'Continue'


def job_service(now: float) -> Resource:
    return {
        '@odata.id': uris.JOB_SERVICE,
        '@odata.type': '#JobService.v1_1_0.JobService',
        'Id': 'JobService',
        'Name': 'Job Service',
        'DateTime': timestamp(now),
        'ServiceEnabled': True,
        'Status': {'State': 'Enabled', 'Health': 'OK'},
        'ServiceCapabilities': {
            'MaxJobs': bounds.SCHEDULES,
            'MaxSteps': 0,
            'Scheduling': True,
            'UserSpecifiedJobs': True,
            'DocumentBasedJobs': False,
        },
        'Jobs': link(uris.JOBS),
    }


def job_collection(members: Sequence[Resource], total: int) -> Resource:
    found = collection(
        uris.JOBS,
        '#JobCollection.JobCollection',
        'Job Collection',
        members,
        total,
    )
    return with_most(found, bounds.SCHEDULES)


def job(
    schedule: Schedule,
    task: Task | None,
    system: str | None,
    group: str | None,
) -> Resource:
    """
    One Job, with its ETag.

    *task* is that of its last run, as far as it is kept; *system*, a UUID,
    and *group* are what it is for, where that exists.
    """
    uri = uris.job_uri(schedule.name)
    return with_etag(
        {
            '@odata.id': uri,
            '@odata.type': '#Job.v1_3_0.Job',
            'Id': schedule.name,
            'Name': schedule.name,
            'JobType': 'UserSpecified',
            'JobState': _state(schedule, task),
            'JobStatus': _status(schedule, task),
            'CreationTime': timestamp(schedule.created),
            'HidePayload': False,
            'Payload': dict(schedule.payload),
            'Schedule': schedule_of(schedule.recurrence, schedule.created),
            'Messages': [
                messages.without_deprecated(messages.message(key, args))
                for key, args in _messages(schedule, uri)
            ],
            'Actions': actions(
                uri, [uris.SUSPEND_JOB_ACTION, uris.RESUME_JOB_ACTION]
            ),
            'Oem': {'HawkFish': _oem(schedule, task, system, group)},
        }
    )


def _messages(schedule: Schedule, uri: str) -> Sequence[tuple[str, list[str]]]:
    why = [(schedule.reason, [uri])] if schedule.reason else []
    return [*why, *schedule.messages]


def _state(schedule: Schedule, task: Task | None) -> str:
    if schedule.suspended:
        return SUSPENDED
    if task and task.active:
        return 'Running'
    return 'Completed' if schedule.due is None else 'Pending'


def _status(schedule: Schedule, task: Task | None) -> str:
    if schedule.reason or schedule.messages:
        return 'Warning'
    return 'Warning' if task and task.state == EXCEPTION else 'OK'


def schedule_of(rule: Recurrence, created: float) -> Resource:
    """The Schedule that *rule* is, of a job that was *created* then."""
    found: dict[str, Any] = {
        'InitialStartTime': _at_offset(rule.start, rule.offset)
    }
    if rule.interval is not None:
        found['RecurrenceInterval'] = durations.text(rule.interval)
    if rule.weekdays:
        found['EnabledDaysOfWeek'] = [WEEKDAYS[n] for n in rule.weekdays]
    if rule.days:
        found['EnabledDaysOfMonth'] = list(rule.days)
    if rule.months:
        found['EnabledMonthsOfYear'] = [MONTHS[n - 1] for n in rule.months]
    if rule.most is not None:
        found['MaxOccurrences'] = rule.most
    if rule.ends is not None:
        found['Lifetime'] = durations.text(rule.ends - int(created))
    return found


def _at_offset(seconds: int, offset: int) -> str:
    """*seconds* since the epoch, as is written *offset* seconds from UTC."""
    zone = datetime.timezone(datetime.timedelta(seconds=offset))
    at = datetime.datetime.fromtimestamp(seconds, zone)
    return at.isoformat().replace('+00:00', 'Z')


def _oem(
    schedule: Schedule,
    task: Task | None,
    system: str | None,
    group: str | None,
) -> Resource:
    going = schedule.due is not None and not schedule.suspended
    return {
        '@odata.type': '#HawkFishJob.v1_0_0.Job',
        'NextRunTime': timestamp(schedule.due or 0) if going else None,
        'OccurrenceCount': schedule.runs,
        'LastRun': _last_run(schedule, task),
        'Retention': retention(schedule.classes),
        'System': system and link(uris.system_uri(system)),
        'Aggregate': group and link(uris.aggregate_uri(group)),
    }


def _last_run(schedule: Schedule, task: Task | None) -> Resource | None:
    if schedule.outcome is None:
        return None
    waits = schedule.outcome == table.WAITING
    due = schedule.due if waits else schedule.last_due
    at = None if waits else schedule.last_run
    return {
        'DueTime': due and timestamp(due),
        'Time': at and timestamp(at),
        'Outcome': schedule.outcome,
        'Task': task and link(uris.task_uri(task.id)),
    }


def retention(classes: Classes) -> Resource:
    """The Retention that *classes* are."""
    return {
        'KeepLast': classes.last,
        'KeepDaily': classes.daily,
        'KeepWeekly': classes.weekly,
        'KeepMonthly': classes.monthly,
    }
