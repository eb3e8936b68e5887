# SPDX-License-Identifier: Apache-2.0
"""
The task service over HTTP.

Owns the routes below ``TaskService`` and what a task monitor answers when its
operation has ended: the status and body that the operation would have had,
had it been quick.
"""

import time
from typing import Any

import flask

from hawkfish_plugin import exceptions, redfish, tasks
from hawkfish_plugin.api import (
    Body,
    accepted,
    answer,
    blueprint,
    is_allowed,
    missing,
    queries,
    read_body,
    service,
)
from hawkfish_plugin.drivers import contract

_ALLOW = 'GET, HEAD'


def show_task_service() -> flask.Response:
    """In the place of the emulator's own stub (see ``plugin``)."""
    queries.check(())
    return answer(redfish.task_service(time.time()))


@blueprint.get('/TaskService/Tasks')
def list_tasks() -> flask.Response:
    known = [
        task
        for task in service().tasks.list()
        if is_allowed(task.system, task.system_name)
    ]
    return answer(
        queries.listing(
            known,
            lambda task: redfish.task_uri(task.id),
            _render,
            redfish.task_collection,
        )
    )


@blueprint.get('/TaskService/Tasks/<task_id>')
def show_task(task_id: str) -> flask.Response:
    queries.check(())
    return answer(redfish.with_etag(_render(_find(task_id))))


@blueprint.delete('/TaskService/Tasks/<task_id>')
@blueprint.delete('/TaskService/TaskMonitors/<task_id>')
def cancel_task(task_id: str) -> flask.Response:
    read_body()
    task = service().tasks.cancel(_find(task_id).id)
    if task.state == tasks.CANCELLING:
        return accepted(task)
    return answer(None, 204)


@blueprint.get('/TaskService/TaskMonitors/<task_id>')
def watch_task(task_id: str) -> flask.Response:
    queries.check(())
    task = _find(task_id)
    if task.active:
        response = accepted(task)
        # sushy takes a monitor for cancellable where this is all it says.
        cancellable = service().tasks.cancellable(task)
        response.headers['Allow'] = 'DELETE' if cancellable else _ALLOW
        return response
    if task.error:
        return answer(
            redfish.error_of_task(task.error['messages']),
            _final_status(task),
        )
    return _result(task)


def _render(task: Any) -> Body:
    gone = redfish.has_created(task) and not _is_there(task)
    return redfish.task(task, gone)


def _is_there(task: Any) -> bool:
    """Whether the snapshot of *task* exists, as far as can be told now."""
    system = contract.System(task.system, task.system_name)
    # One task of a list has waited for the hypervisor in vain.
    if flask.g.get('hawkfish_unknown'):
        return True
    try:
        return bool(service().snapshots.exists(system, task.snapshot))
    except exceptions.NotFound:
        return False
    except exceptions.HawkFishError:
        flask.g.hawkfish_unknown = True
        return True


def _find(task_id: str) -> Any:
    if not (task_id.isascii() and task_id.isdigit() and len(task_id) < 19):
        raise missing()
    try:
        task = service().tasks.get(int(task_id))
    except exceptions.TaskNotFound:
        raise missing() from None
    if not is_allowed(task.system, task.system_name):
        raise missing()
    return task


def _final_status(task: Any) -> int:
    """A 4xx in any case; the operation is over and nothing will change."""
    # DSP0266 12.2: a monitor is gone after a cancel.
    if task.state == tasks.CANCELLED:
        return 404
    status: int = task.error['status']
    # sushy repeats a GET that gets a 5xx for half a minute, and does not
    # read what a 404 says.
    return status if 400 <= status < 500 and status != 404 else 409


def _result(task: Any) -> flask.Response:
    if task.operation == 'delete':
        return answer(None, 204)
    if task.operation in ('revert', 'purge'):
        return answer(redfish.success())
    snapshots = service().snapshots
    try:
        system = snapshots.system(task.system)
        view = snapshots.get(system, task.snapshot, measured=True)
    except exceptions.NotFound:
        view = None
    # It is gone since, or another one has its name.
    if view is None or view.record.created != task.result.get(
        'created', view.record.created
    ):
        return answer(redfish.success())
    uri = redfish.snapshot_uri(task.system, task.snapshot)
    return answer(redfish.snapshot(task.system, view), 201, Location=uri)
