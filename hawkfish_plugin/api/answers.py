# SPDX-License-Identifier: Apache-2.0
"""The responses of views."""

import json

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import noting
from hawkfish_plugin.api.access import check_if_match, services
from hawkfish_plugin.audit import Work
from hawkfish_plugin.redfish import errors, schemas, uris
from hawkfish_plugin.redfish.common import READING, Resource
from hawkfish_plugin.redfish.tasks import task_accepted
from hawkfish_plugin.tasks.task import NEW, Task


def answer(
    body: Resource | None, status: int = 200, **headers: str
) -> flask.Response:
    """A JSON response; a body with an ETag can be answered by a 304."""
    response = flask.Response(
        '' if body is None else json.dumps(body),
        status,
        headers,
        content_type='application/json',
    )
    if body is None:
        # redfishtool takes whatever has a type for JSON.
        del response.headers['Content-Type']
    if flask.request.method in READING and body and '@odata.type' in body:
        response.headers['Link'] = schemas.described_by(body['@odata.type'])
    if body and '@odata.etag' in body:
        response.set_etag(body['@odata.etag'].strip('"'))
        if flask.request.method in READING:
            check_if_match(lambda: body)
        # Of the conditions, Werkzeug answers the others as is expected.
        environ = dict(flask.request.environ)
        environ.pop('HTTP_IF_MATCH', None)
        response.make_conditional(environ)
        # The server adds it to every response.
        response.headers.pop('Date', None)
    return response


def refusal(error: exceptions.HawkFishError) -> flask.Response:
    """The response that tells *error*."""
    headers = {}
    # Not what it quotes, which a client has chosen.
    noting.of_request().reason = error.parts[0].message_id
    if error.retry_after is not None:
        headers['Retry-After'] = str(error.retry_after)
    return answer(errors.error(error), error.status, **headers)


def accepted(task: Task) -> flask.Response:
    """The 202 that names the monitor of *task*."""
    # Those who prefer to wait need it, see ``prefer``.
    flask.g.hawkfish_accepted = task
    # Whoever cancels one has not begun it.
    if task.state == NEW:
        noting.of_request().work = Work(
            task.id, task.operation, task.snapshot, task.state
        )
        noting.note_systems(*task.systems)
    # No Retry-After: sushy cannot sleep for a number of seconds.
    return answer(
        task_accepted(task, services().operations.title(task)),
        202,
        Location=uris.monitor_uri(task.id),
    )


def accepted_task() -> Task | None:
    """What this request was told to be ``accepted``."""
    task: Task | None = flask.g.get('hawkfish_accepted')
    return task
