# SPDX-License-Identifier: Apache-2.0
"""
What the audit log will tell of a request, while it is being served.

Owns where that is kept, and who acts: whom a session or a password has
authenticated, at the address that the server knows the client by.
"""

import dataclasses
from collections.abc import MutableMapping
from typing import Any

import flask

from hawkfish_plugin.audit import Actor, Work
from hawkfish_plugin.drivers import contract

_KEY = 'hawkfish.noted'


@dataclasses.dataclass
class Noted:
    """
    What has become known of a request.

    *user* is whom a token or a login has authenticated, *claimed* the name
    that came with a password, right or wrong.
    """

    user: str = ''
    claimed: str = ''
    systems: dict[str, contract.System] = dataclasses.field(
        default_factory=dict
    )
    work: Work | None = None
    reason: str = ''
    reset: str = ''


def noted(environ: MutableMapping[str, Any]) -> Noted:
    """What is known of the request with the WSGI *environ*."""
    found: Noted = environ.setdefault(_KEY, Noted())
    return found


def of_request() -> Noted:
    """What is known of the present request."""
    return noted(flask.request.environ)


def note_systems(*systems: contract.System) -> None:
    """The request concerns *systems*, which it may be told of."""
    of_request().systems.update({system.uuid: system for system in systems})


def actor(environ: MutableMapping[str, Any]) -> Actor:
    """Who acts; *environ* as it is behind the authentication."""
    # The authentication leaves there whose password it has checked.
    user = noted(environ).user or environ.get('HTTP_X_USER', '')
    return Actor(user, _address(environ))


def _address(environ: MutableMapping[str, Any]) -> str:
    """As Redfish has it, with the scheme; empty where none is known."""
    address = environ.get('REMOTE_ADDR') or ''
    if not address:
        return ''
    if ':' in address:
        address = f'[{address}]'
    return f'{environ.get("wsgi.url_scheme", "http")}://{address}'
