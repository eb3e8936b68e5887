# SPDX-License-Identifier: Apache-2.0
"""
The session service over HTTP.

Owns the routes below ``SessionService``.  Whether a token lets a request pass
is decided before the emulator is reached, in ``emulator.authentication``.
"""

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.accounts.roles import CONFIGURE_MANAGER
from hawkfish_plugin.api import asking, noting, queries
from hawkfish_plugin.api.access import (
    check_if_match,
    missing,
    request_uri,
    services,
)
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, read_body
from hawkfish_plugin.api.validation import RequestBody, read_nothing
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish import sessions, uris
from hawkfish_plugin.sessions import MAX_TIMEOUT, MIN_TIMEOUT, Session

COLLECTION = '/SessionService/Sessions'
MEMBER = f'{COLLECTION}/<session_id>'

# Either may hold the password of a user who has confused the two.
_CREDENTIAL = {'type': 'string', 'maxLength': 256, 'secret': True}
_LOGIN = RequestBody(
    {
        'UserName': {**_CREDENTIAL, 'format': 'printable'},
        'Password': _CREDENTIAL,
    },
    required=('UserName', 'Password'),
)
_CHANGE = RequestBody(
    {
        'SessionTimeout': {
            'type': 'integer',
            'minimum': MIN_TIMEOUT,
            'maximum': MAX_TIMEOUT,
        }
    }
)


@blueprint.get('/SessionService')
def show_session_service() -> flask.Response:
    queries.check(())
    return answer(_service())


@blueprint.patch('/SessionService')
def change_session_service() -> flask.Response:
    body = read_body()
    _CHANGE.check(body, resource=_service())
    services().sessions.change_timeout(
        body.get('SessionTimeout'), lambda: check_if_match(_service)
    )
    return answer(_service())


@blueprint.get(COLLECTION)
def list_sessions() -> flask.Response:
    return answer(
        queries.listing(
            [
                session
                for session in services().sessions.alive()
                if asking.may(CONFIGURE_MANAGER)
                or session.user == asking.user()
            ],
            lambda session: uris.session_uri(session.id),
            _resource,
            sessions.session_collection,
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_session() -> flask.Response:
    body = read_body()
    _LOGIN.check(body)
    noting.of_request().claimed = body['UserName']
    try:
        with asking.in_turn():
            made = _log_in(body['UserName'], body['Password'])
    except internals.TooManyFailures as exc:
        raise exceptions.TooManyFailedLogins(exc.seconds) from None
    if made is None:
        # The same words whether the name or the password is wrong.
        raise exceptions.ResourceAtUriUnauthorized(
            request_uri(), 'Invalid user name or password'
        )
    session, token = made
    internals.set_user(flask.request.environ, session.user)
    headers = {
        'Location': uris.session_uri(session.id),
        'X-Auth-Token': token,
    }
    return answer(_resource(session), 201, **headers)


def _log_in(name: str, password: str) -> tuple[Session, str] | None:
    users = internals.users_file(flask.current_app)
    if users is None:
        return services().sessions.login(None, name, password)
    address = noting.of_request().address
    with services().logins.counting(address, users, name):
        return services().sessions.login(users, name, password)


@blueprint.get(MEMBER)
def show_session(session_id: str) -> flask.Response:
    queries.check(())
    return answer(_resource(_find(session_id)))


@blueprint.delete(MEMBER)
def delete_session(session_id: str) -> flask.Response:
    read_nothing()
    if not services().sessions.logout(_find(session_id).id):
        raise missing()
    return answer(None, 204)


def _find(session_id: str) -> Session:
    for session in services().sessions.alive():
        if str(session.id) == session_id:
            return session
    raise missing()


def _resource(session: Session) -> Body:
    role = services().accounts.standing(session.user).role
    return sessions.session(session, role)


def _service() -> Body:
    return sessions.session_service(services().sessions.timeout)
