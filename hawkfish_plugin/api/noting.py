# SPDX-License-Identifier: Apache-2.0
"""
What the audit log will tell of a request, while it is being served.

Owns where that is kept, and who acts: whom a session or a password has
authenticated, at the address of the client.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any
from wsgiref.types import WSGIEnvironment

import flask

from hawkfish_plugin.audit import Actor, Work
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.emulator import internals

_KEY = 'hawkfish.noted'


@dataclasses.dataclass
class Noted:
    """
    What has become known of a request.

    *address* is that of the client, *claimed* the name that came with a
    password, right or wrong.  What *only_looks* changes nothing, whatever its
    method.
    """

    address: str = ''
    claimed: str = ''
    systems: dict[str, contract.System] = dataclasses.field(
        default_factory=dict
    )
    work: Work | None = None
    reason: str = ''
    reset: str = ''
    only_looks: bool = False


def noted(environ: WSGIEnvironment) -> Noted:
    """What is known of the request with the WSGI *environ*."""
    found: Noted = environ.setdefault(_KEY, Noted())
    return found


def of_request() -> Noted:
    """What is known of the present request."""
    return noted(flask.request.environ)


def note_systems(*systems: contract.System) -> None:
    """The request concerns *systems*, which it may be told of."""
    of_request().systems.update({system.uuid: system for system in systems})


def note_look() -> None:
    """The request changes nothing, though its method may."""
    of_request().only_looks = True


def is_dry_run(body: Mapping[str, Any]) -> bool:
    """Whether the *body*, which is valid, wants to see what would be done."""
    if not body.get('DryRun'):
        return False
    note_look()
    return True


def actor(environ: WSGIEnvironment) -> Actor:
    """Who acts; *environ* as it is behind the authentication."""
    user = internals.user_of(environ) or ''
    return Actor(user, _origin(environ, noted(environ).address))


def _origin(environ: WSGIEnvironment, address: str) -> str:
    """*address* as Redfish has it, with the scheme."""
    if ':' in address:
        address = f'[{address}]'
    return f'{environ.get("wsgi.url_scheme", "http")}://{address}'
