# SPDX-License-Identifier: Apache-2.0
"""
Requests that their users may not make.

Owns their refusal, for the emulator's resources as well, before anything is
looked at or read.  ``redfish.privileges`` has which privileges are needed.
"""

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.accounts.roles import CONFIGURE_SELF
from hawkfish_plugin.api import asking
from hawkfish_plugin.api.access import find_number, request_uri
from hawkfish_plugin.redfish import privileges
from hawkfish_plugin.services import ForEmulator


def check(services: ForEmulator) -> None:
    """Raise InsufficientPrivilege, or for who is disabled, Unauthorized."""
    user, rule = asking.user(), flask.request.url_rule
    # What needs no password needs no role.
    if user is None:
        return
    if not asking.standing().enabled:
        raise exceptions.ResourceAtUriUnauthorized(
            request_uri(), 'The account is disabled'
        )
    # What is not there is nobody's to see.
    if rule is None:
        return
    needed = privileges.needed(rule.rule, flask.request.method)
    is_own = CONFIGURE_SELF in needed and _owner(services) == user
    if not asking.may(*needed, is_own=is_own):
        raise exceptions.InsufficientPrivilege()


def _owner(services: ForEmulator) -> str | None:
    """Whose the resource of the request is, if that is known."""
    args = flask.request.view_args or {}
    if 'name' in args:
        return str(args['name'])
    if 'session_id' in args:
        return services.sessions.owner(args['session_id'])
    try:
        number = find_number(args.get('subscription_id', ''))
        owner = services.subscriptions.get(number).owner
    except exceptions.HawkFishError:
        return None
    return owner and owner.name
