# SPDX-License-Identifier: Apache-2.0
"""
Who asks, and what that user may do.

Owns what is known of the user of a request.  Where the emulator asks nobody
for a password, everybody may do everything.
"""

import contextlib
import logging
from collections.abc import Iterator

import flask

from hawkfish_plugin import exceptions, messages, services
from hawkfish_plugin.accounts import roles
from hawkfish_plugin.accounts.owners import Owner
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish import privileges

LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Where passwords are computed with; 503 if others do for too long."""
    try:
        yield
    except internals.TooManyChecks as exc:
        flask.abort(exc.code, str(exc))


def user() -> str | None:
    """Who has logged in; None: nobody was asked."""
    return internals.user_of(flask.request.environ)


def owner() -> Owner | None:
    """Who answers for what the request makes, where users are known."""
    return Owner.of(user(), internals.users_file(flask.current_app))


def standing() -> roles.Standing:
    """What the user is; of nobody, an Administrator."""
    name = user()
    if name is None:
        return roles.Standing(roles.ADMINISTRATOR)
    try:
        return services.of(flask.current_app).accounts.standing(name)
    except exceptions.HawkFishError as exc:
        # There may be a file of roles that nobody knows of.
        LOG.error('All are ReadOnly: %s', messages.text(exc))
        return roles.Standing()


def may(*needed: str, is_own: bool = False) -> bool:
    """Whether the user has one of the privileges *needed*."""
    return privileges.grants(standing().role, needed, is_own)
