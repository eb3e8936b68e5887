# SPDX-License-Identifier: Apache-2.0
"""
The blueprint that all views belong to.

Owns how an exception becomes a response.
"""

import logging

import flask
from werkzeug import exceptions as http_errors

from hawkfish_plugin import bounds, exceptions, messages
from hawkfish_plugin.api.answers import answer, refusal
from hawkfish_plugin.redfish import errors, uris

LOG = logging.getLogger(__name__)

_CHALLENGE = 'Basic realm="Redfish"'

blueprint = flask.Blueprint('hawkfish', __name__, url_prefix=uris.ROOT)


@blueprint.after_request
def _challenge(response: flask.Response) -> flask.Response:
    if response.status_code == 401:
        response.headers.setdefault('WWW-Authenticate', _CHALLENGE)
    return response


@blueprint.errorhandler(exceptions.HawkFishError)
def _refuse(error: exceptions.HawkFishError) -> flask.Response:
    # What a client asks for in vain is no fault of the service.
    if error.status >= 500 and error.status != 501:
        LOG.error(
            '%s %r: %r',
            flask.request.method,
            flask.request.path[: bounds.LOG_CHARACTERS],
            messages.text(error),
        )
    return refusal(error)


@blueprint.errorhandler(Exception)
def _crash(error: Exception) -> flask.Response:
    if isinstance(error, http_errors.HTTPException) and error.code:
        body = errors.error(exceptions.GeneralError())
        body['error']['message'] = error.description or str(error)
        return answer(body, error.code)
    path = flask.request.path[: bounds.LOG_CHARACTERS]
    LOG.exception('%s %r', flask.request.method, path)
    return refusal(exceptions.InternalError())
