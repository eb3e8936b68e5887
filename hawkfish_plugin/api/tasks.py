# SPDX-License-Identifier: Apache-2.0
"""
The task service over HTTP.

Owns the routes below ``TaskService``, and the final answer of a task monitor:
the status and body that the operation would have had, had it been quick.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence

import flask

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.api import noting, queries
from hawkfish_plugin.api.access import (
    find_number,
    found_by_uri,
    missing,
    services,
)
from hawkfish_plugin.api.answers import accepted, answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.validation import read_nothing
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish import errors, uris
from hawkfish_plugin.redfish import tasks as renderers
from hawkfish_plugin.redfish.common import Resource, with_etag
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.task import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    Head,
    Task,
)

TASK = '/TaskService/Tasks/<task_id>'
MONITOR = '/TaskService/TaskMonitors/<task_id>'

# sushy takes a monitor for cancellable where this is all that is allowed.
_CANCELLABLE, _NOT_CANCELLABLE = 'DELETE', 'GET, HEAD'


def show_task_service() -> flask.Response:
    """In the place of the emulator's own stub (see ``emulator``)."""
    queries.check(())
    return answer(renderers.task_service(time.time(), *_health()))


def _health() -> tuple[str, str]:
    try:
        return services().health()
    except exceptions.StateUnavailable as exc:
        return 'Critical', messages.text(exc)


@blueprint.get('/TaskService/Tasks')
def list_tasks() -> flask.Response:
    return _list(services().tasks.heads(), renderers.task_collection)


@blueprint.get(f'{TASK}/SubTasks')
def list_sub_tasks(task_id: str) -> flask.Response:
    task = _find(task_id)
    return _list(
        services().tasks.heads(task.id),
        functools.partial(renderers.sub_task_collection, task.id),
    )


def _list(
    heads: Sequence[Head], collection: queries.Collection
) -> flask.Response:
    def load(shown: Sequence[Head]) -> Iterator[tuple[Head, Resource]]:
        with_sub_tasks = services().tasks.has_sub_tasks()
        by_id = {head.id: head for head in shown}
        tasks = services().tasks.load(shown)
        created = _created(tasks)
        for task in tasks:
            yield (
                by_id[task.id],
                _render(task, created, task.id in with_sub_tasks),
            )

    return answer(
        queries.listing_of(
            [head for head in heads if _may_show(head)],
            lambda head: uris.task_uri(head.id),
            load,
            collection,
        )
    )


@blueprint.get(TASK)
def show_task(task_id: str) -> flask.Response:
    queries.check(())
    task = _find(task_id)
    with_sub_tasks = services().tasks.has_sub_tasks()
    return answer(
        with_etag(_render(task, _created([task]), task.id in with_sub_tasks))
    )


@blueprint.delete(TASK)
def delete_task(task_id: str) -> flask.Response:
    if task_id == internals.TASK_ID:
        raise exceptions.OperationNotAllowed()
    return cancel_task(task_id)


@blueprint.delete(MONITOR)
def cancel_task(task_id: str) -> flask.Response:
    read_nothing()
    task = services().tasks.cancel(_find(task_id).id)
    if task.state == CANCELLING:
        return accepted(task)
    return answer(None, 204)


@blueprint.post(f'{TASK}/Actions/Oem/{uris.ABANDON_ACTION}')
def abandon_task(task_id: str) -> flask.Response:
    task = _find(task_id)
    read_nothing(uris.ABANDON_ACTION)
    services().tasks.abandon(task.id, services().operations)
    return answer(None, 204)


@blueprint.get(MONITOR)
def watch_task(task_id: str) -> flask.Response:
    queries.check(())
    task = _find(task_id)
    if task.active:
        response = accepted(_with_progress(task))
        response.headers['Allow'] = (
            _CANCELLABLE if task.may_cancel else _NOT_CANCELLABLE
        )
        return response
    return final(task)


def final(task: Task) -> flask.Response:
    """What the monitor of *task*, which has ended, answers."""
    if task.error:
        return answer(
            errors.error_of_task(task.error['messages']), _final_status(task)
        )
    return _success(task)


def _render(
    task: Task, created: Mapping[int, str], has_sub_tasks: bool
) -> Resource:
    return renderers.task(
        _with_progress(task) if has_sub_tasks else task,
        services().operations.title(task),
        [created[task.id]] if task.id in created else (),
        has_sub_tasks,
    )


def _with_progress(task: Task) -> Task:
    """*task* as far as its sub-tasks are, while it is active."""
    parts = services().tasks.sub_tasks(task.id) if task.active else ()
    if not parts:
        return task
    operation = services().operations.of(task)
    return dataclasses.replace(task, percent=operation.percent(task, parts))


def _created(tasks: Sequence[Task]) -> Mapping[int, str]:
    """
    The URIs of what *tasks* have created, by their ids.

    But for those that are known to be gone.
    """
    found, by_kind = {}, dict[Operation, list[Task]]()
    for task in tasks:
        operation = services().operations.of(task)
        uri = operation.created(task) if task.state == COMPLETED else None
        if uri is not None:
            found[task.id] = uri
            by_kind.setdefault(operation, []).append(task)
    for operation, made in by_kind.items():
        # Nobody waits for a hypervisor that does not answer.
        with contextlib.suppress(exceptions.HawkFishError):
            there = operation.there(made)
            for task in made:
                if task.id not in there:
                    del found[task.id]
    return found


def _find(task_id: str) -> Task:
    with found_by_uri(exceptions.TaskNotFound):
        task = services().tasks.get(find_number(task_id))
    if not _may_show(task):
        raise missing()
    noting.note_systems(*task.systems)
    return task


def _may_show(task: Task | Head) -> bool:
    """Whether every system that *task* tells of may be served."""
    return all(map(services().may_serve, task.systems))


def _final_status(task: Task) -> int:
    """A 4xx in any case; the operation is over and nothing will change."""
    # DSP0266 12.2: a monitor is gone after a cancel.
    if task.state == CANCELLED:
        return 404
    status = int(task.error['status']) if task.error else 500
    # sushy repeats a GET that gets a 5xx for half a minute, and does not
    # read what a 404 says.
    return status if 400 <= status < 500 and status != 404 else 409


def _success(task: Task) -> flask.Response:
    found = services().operations.of(task).answer(task)
    if found.status == 204:
        return answer(None, 204)
    headers = {'Location': found.location} if found.location else {}
    return answer(found.body or errors.success(), found.status, **headers)
