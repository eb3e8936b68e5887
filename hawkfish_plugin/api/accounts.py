# SPDX-License-Identifier: Apache-2.0
"""
The account service over HTTP.

Owns the routes below ``AccountService``, and what an account may be called
and its password be.  What a user may do there, ``emulator.privileges`` has
looked at before; only which properties a user may change of himself is seen
here.
"""

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.accounts import users
from hawkfish_plugin.accounts.roles import (
    CONFIGURE_MANAGER,
    CONFIGURE_USERS,
    PRIVILEGES,
)
from hawkfish_plugin.accounts.table import Account, Changes
from hawkfish_plugin.api import asking, queries, validation
from hawkfish_plugin.api.access import (
    check_if_match,
    found_by_uri,
    missing,
    services,
)
from hawkfish_plugin.api.answers import answer
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body, pointer, read_body
from hawkfish_plugin.api.validation import Errors, RequestBody, read_nothing
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish import accounts, privileges, uris

COLLECTION = '/AccountService/Accounts'
MEMBER = f'{COLLECTION}/<path:name>'

_READING = 'GET, HEAD'
_MOST_CHARACTERS = 64


def _is_user_name(text: str) -> bool:
    # The files have it before a colon, and a comment begins with a hash; what
    # has a slash or is a dot cannot be in a path.
    return (
        text.isprintable()
        and text == text.strip()
        and text not in ('', '.', '..')
        and not text.startswith('#')
        and not {':', '/'}.intersection(text)
    )


def _is_password(text: str) -> bool:
    try:
        return users.may_be_password(text.encode())
    except UnicodeEncodeError:
        # Half of a character, which no client can repeat as a password.
        return False


validation.add_format('user-name', _is_user_name)
validation.add_format('password', _is_password)

_BOOLEAN = {'type': 'boolean'}
_ROLE = {'type': 'string', 'enum': list(PRIVILEGES)}
_PASSWORD = {'type': 'string', 'format': 'password', 'secret': True}
_CREATE = RequestBody(
    {
        'UserName': {
            'type': 'string',
            'maxLength': _MOST_CHARACTERS,
            'format': 'user-name',
        },
        'Password': _PASSWORD,
        'RoleId': _ROLE,
        'Enabled': _BOOLEAN,
        'AccountTypes': {'type': 'array', 'items': {'enum': ['Redfish']}},
    },
    required=('UserName', 'Password', 'RoleId'),
    read_only=frozenset(('Locked', 'Links')),
)
_CHANGE = RequestBody(
    {
        'Password': _PASSWORD,
        'RoleId': _ROLE,
        'Enabled': _BOOLEAN,
        # Only a lock for a while, by the service itself, can there be.
        'Locked': {**_BOOLEAN, 'enum': [False]},
    }
)


@blueprint.get('/AccountService')
def show_account_service() -> flask.Response:
    queries.check(())
    logins, conf = services().logins, services().conf.accounts
    return answer(
        accounts.account_service(
            _file() is not None,
            accounts.Rules(
                conf.min_password_length, logins.most, logins.seconds
            ),
        )
    )


@blueprint.get('/AccountService/PrivilegeMap')
def show_privilege_map() -> flask.Response:
    queries.check(())
    return answer(privileges.privilege_registry())


# Roles --------------------------------------------------------------------


@blueprint.get('/AccountService/Roles')
def list_roles() -> flask.Response:
    return answer(
        queries.listing(
            list(PRIVILEGES),
            uris.role_uri,
            accounts.role,
            accounts.role_collection,
        )
    )


@blueprint.get('/AccountService/Roles/<role>')
def show_role(role: str) -> flask.Response:
    queries.check(())
    if role not in PRIVILEGES:
        raise missing()
    return answer(accounts.role(role))


# Accounts -----------------------------------------------------------------


@blueprint.get(COLLECTION)
def list_accounts() -> flask.Response:
    """Those that the user may see."""
    found = [
        account
        for account in _all()
        if asking.may(CONFIGURE_USERS, CONFIGURE_MANAGER)
        or account.name == asking.user()
    ]
    return _allowing(
        answer(
            queries.listing(
                found,
                lambda account: uris.account_uri(account.name),
                accounts.account,
                accounts.account_collection,
            )
        )
    )


@blueprint.post(COLLECTION)
@blueprint.post(f'{COLLECTION}/Members')
def create_account() -> flask.Response:
    file = _writable()
    body = read_body()
    _CREATE.check(body, _weaknesses)
    with asking.in_turn():
        made = services().accounts.add(file, body['UserName'], _changes(body))
    return answer(
        accounts.account(made), 201, Location=uris.account_uri(made.name)
    )


@blueprint.get(MEMBER)
def show_account(name: str) -> flask.Response:
    queries.check(())
    return _allowing(answer(accounts.account(_find(name))))


@blueprint.patch(MEMBER)
def change_account(name: str) -> flask.Response:
    file, account = _writable(), _find(name)
    body = read_body()
    if not asking.may(CONFIGURE_USERS) and set(body) - {'Password'}:
        raise exceptions.InsufficientPrivilege()
    _CHANGE.check(
        body,
        lambda sound: _weaknesses({'UserName': name, **sound}),
        resource=accounts.account(account),
    )
    with found_by_uri(exceptions.AccountNotFound), asking.in_turn():
        changed = services().accounts.change(
            file, name, _changes(body), _check_if_match
        )
    if 'Locked' in body:
        services().logins.forget(name)
    if not changed.enabled:
        services().sessions.logout_all(name)
    return answer(accounts.account(changed))


@blueprint.delete(MEMBER)
def delete_account(name: str) -> flask.Response:
    file = _writable()
    read_nothing()
    with found_by_uri(exceptions.AccountNotFound):
        services().accounts.remove(file, name, _check_if_match)
    services().sessions.logout_all(name)
    services().ownership.end(name, file)
    return answer(None, 204)


def _check_if_match(account: Account) -> None:
    check_if_match(lambda: accounts.account(account))


def _file() -> str | None:
    return internals.users_file(flask.current_app)


def _all() -> list[Account]:
    file = _file()
    return [] if file is None else services().accounts.list(file)


def _find(name: str) -> Account:
    for account in _all():
        if account.name == name:
            return account
    raise missing()


def _writable() -> str:
    """The file of users; raises AccountsNotWritable where it stays."""
    file = _file()
    if file is None or not services().accounts.are_writable:
        flask.after_this_request(_only_reading)
        raise exceptions.AccountsNotWritable()
    return file


def _allowing(response: flask.Response) -> flask.Response:
    """*response*, which says that nothing can be changed, if that is so."""
    if _file() is None or not services().accounts.are_writable:
        return _only_reading(response)
    return response


def _only_reading(response: flask.Response) -> flask.Response:
    response.headers['Allow'] = _READING
    return response


# What is in a body --------------------------------------------------------


def _changes(body: Body) -> Changes:
    return Changes(
        body.get('Password'), body.get('RoleId'), body.get('Enabled')
    )


def _weaknesses(body: Body) -> Errors:
    """What is wrong with a password that could be one."""
    password = body.get('Password')
    if password is None:
        return
    least = services().conf.accounts.min_password_length
    related = [pointer('Password')]
    if len(password) < least:
        yield exceptions.StringValueTooShort('***', least, related=related)
    elif password.lower() == str(body.get('UserName', '')).lower():
        yield exceptions.PropertyValueConflict(
            'Password', 'UserName', related=related
        )
