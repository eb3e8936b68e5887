# SPDX-License-Identifier: Apache-2.0
"""
The session service over HTTP.

Owns the routes below ``SessionService``.  Who may pass by a token is decided
before the emulator is reached, in ``entrance``.
"""

from typing import Any

import flask
from sushy_tools.emulator import auth_basic

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import (
    Body,
    answer,
    blueprint,
    check_if_match,
    missing,
    pointer,
    queries,
    read_body,
    service,
    told,
)
from hawkfish_plugin.redfish import sessions as shapes
from hawkfish_plugin.sessions import MAX_TIMEOUT, MIN_TIMEOUT

COLLECTION = '/SessionService/Sessions'
MEMBER = f'{COLLECTION}/<session_id>'

_MAX_CHARACTERS = 256
_LOGIN = ('UserName', 'Password')


def users_file(app: flask.Flask) -> str | None:
    """The file of users of *app*; None where all is open."""
    wsgi: Any = app.wsgi_app
    if isinstance(wsgi, auth_basic.BasicAuthMiddleware):
        return str(wsgi.auth_file)
    return None


@blueprint.get('/SessionService')
def show_session_service() -> flask.Response:
    queries.check(())
    return answer(_service())


@blueprint.patch('/SessionService')
def change_session_service() -> flask.Response:
    body = read_body()
    resource = _service()
    check_if_match(resource)
    _check_change(body, resource)
    if 'SessionTimeout' in body:
        service().sessions.timeout = body['SessionTimeout']
    return answer(_service())


@blueprint.get(COLLECTION)
def list_sessions() -> flask.Response:
    return answer(
        queries.listing(
            service().sessions.alive(),
            lambda session: shapes.session_uri(session.id),
            shapes.session,
            shapes.session_collection,
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_session() -> flask.Response:
    name, password = _credentials(read_body())
    made = service().sessions.login(
        users_file(flask.current_app), name, password
    )
    if made is None:
        # The same words whether the name or the password is wrong.
        raise exceptions.ResourceAtUriUnauthorized(
            flask.request.path, 'Invalid user name or password'
        )
    session, token = made
    headers = {
        'Location': shapes.session_uri(session.id),
        'X-Auth-Token': token,
    }
    return answer(shapes.session(session), 201, **headers)


@blueprint.get(MEMBER)
def show_session(session_id: str) -> flask.Response:
    queries.check(())
    for session in service().sessions.alive():
        if str(session.id) == session_id:
            return answer(shapes.session(session))
    raise missing()


@blueprint.delete(MEMBER)
def delete_session(session_id: str) -> flask.Response:
    read_body()
    known = {str(s.id): s.id for s in service().sessions.alive()}
    if session_id not in known or not service().sessions.logout(
        known[session_id]
    ):
        raise missing()
    return answer(None, 204)


def _service() -> Body:
    return shapes.session_service(service().sessions.timeout)


def _check_change(body: Body, resource: Body) -> None:
    for name, value in body.items():
        related = [pointer(name)]
        if name != 'SessionTimeout':
            wrong = (
                exceptions.PropertyNotWritable
                if name in resource
                else exceptions.PropertyUnknown
            )
            raise wrong(name, related=related)
        if type(value) is not int:
            raise exceptions.PropertyValueTypeError(
                told(value), name, related=related
            )
        if not MIN_TIMEOUT <= value <= MAX_TIMEOUT:
            raise exceptions.PropertyValueOutOfRange(
                told(value), name, related=related
            )


def _credentials(body: Body) -> tuple[str, str]:
    # What is wrong is named, and never told: it may be a password.
    for name in body:
        if name not in _LOGIN:
            raise exceptions.PropertyUnknown(name, related=[pointer(name)])
    for name in _LOGIN:
        related = [pointer(name)]
        if name not in body:
            raise exceptions.PropertyMissing(name, related=related)
        if not isinstance(body[name], str):
            raise exceptions.PropertyValueTypeError(
                '***', name, related=related
            )
        if len(body[name]) > _MAX_CHARACTERS:
            raise exceptions.StringValueTooLong(
                '***', _MAX_CHARACTERS, related=related
            )
    if not body['UserName'].isprintable():
        raise exceptions.PropertyValueFormatError(
            '***', 'UserName', related=['#/UserName']
        )
    return body['UserName'], body['Password']
