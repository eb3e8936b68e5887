# SPDX-License-Identifier: Apache-2.0
"""
What programs that watch the service ask for: its health and its metrics.

Neither is a Redfish resource.  The health is open to everybody, as a probe has
no password; it tells no more than whether tasks are run.
"""

import flask

from hawkfish_plugin import exceptions, health
from hawkfish_plugin.api.access import missing, services

HEALTH = '/healthz'
METRICS = '/metrics'

blueprint = flask.Blueprint('hawkfish-monitoring', __name__)


@blueprint.get(HEALTH)
def show_health() -> flask.Response:
    try:
        if not services().conf.monitoring.healthz:
            raise missing()
        status, _ = services().health()
    except (
        exceptions.ConfigurationInvalid,
        exceptions.StateTooNew,
        exceptions.StateUnavailable,
    ):
        status = health.CRITICAL
    response = flask.jsonify(status=status)
    # Behind a warning everything goes on: a restart would only disturb it.
    response.status_code = 503 if status == health.CRITICAL else 200
    return response


@blueprint.get(METRICS)
def show_metrics() -> flask.Response:
    if not services().conf.monitoring.metrics:
        raise missing()
    body, content_type = services().metrics.render(
        flask.request.headers.get('Accept', '')
    )
    return flask.Response(body, content_type=content_type)
