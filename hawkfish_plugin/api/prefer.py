# SPDX-License-Identifier: Apache-2.0
"""
``Prefer: wait=N`` (RFC 7240): the final answer instead of a 202.

Owns which requests wait for their task, and for how long.
"""

import logging
import time

import flask
from werkzeug import http

from hawkfish_plugin import bounds
from hawkfish_plugin.api.access import services
from hawkfish_plugin.api.answers import accepted_task
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.tasks import final
from hawkfish_plugin.redfish.common import READING
from hawkfish_plugin.tasks.task import CANCELLING, Task

LOG = logging.getLogger(__name__)


@blueprint.after_request
def _wait(response: flask.Response) -> flask.Response:
    task, seconds = accepted_task(), _preferred()
    if task is None or not seconds or response.status_code != 202:
        return response
    # What watches a task, or cancels one, has its answer.
    if flask.request.method in READING or task.state == CANCELLING:
        return response
    try:
        ended = _ended(task, min(seconds, bounds.PREFER_SECONDS))
        if ended is None:
            return response
        answered = final(ended)
    except Exception:
        # It is accepted; what cannot be told now, its monitor tells later.
        LOG.exception('The end of task %d', task.id)
        return response
    if answered.status_code == 404:
        # A monitor of what was cancelled is gone; the resource is not.
        answered.status_code = 409
    answered.headers['Preference-Applied'] = f'wait={seconds}'
    return answered


def _preferred() -> int:
    """The seconds that the client prefers to wait; 0 without any."""
    header = flask.request.headers.get('Prefer', '')
    for preference in http.parse_list_header(header):
        name, _, value = preference.partition(';')[0].partition('=')
        if name.strip().lower() == 'wait':
            # The first one counts; RFC 7240 has what is invalid ignored.
            text = value.strip().strip('"')
            valid = text.isascii() and text.isdigit() and len(text) < 10
            return int(text) if valid else 0
    return 0


def _ended(task: Task, seconds: float) -> Task | None:
    """*task*, if it ends within *seconds* and there is room to wait."""
    room = services().rooms.answers
    if not room.enter():
        return None
    try:
        found = services().tasks.await_end(task.id, time.monotonic() + seconds)
    finally:
        room.leave()
    return None if found.active else found
