# SPDX-License-Identifier: Apache-2.0
"""Access of a view to the services below, and to what its URI names."""

import contextlib
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import flask

from hawkfish_plugin import audit, exceptions
from hawkfish_plugin import services as _services
from hawkfish_plugin.api import noting
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.redfish import tasks
from hawkfish_plugin.tasks.operation import Operation

O = TypeVar('O', bound=Operation)  # noqa: E741


def services() -> _services.ForApi:
    """The services of the running application."""
    return _services.of(flask.current_app)


def operation(kind: type[O]) -> O:
    """The operation of *kind* of the running application."""
    return services().operations.get(kind)


def find_system(identity: str) -> contract.System:
    """
    The system of a URI, by UUID or name.

    Raises ResourceMissingAtURI, also for one that the emulator may not serve.
    """
    try:
        return named_system(identity)
    except exceptions.SystemNotFound:
        raise missing() from None


def named_system(identity: str) -> contract.System:
    """
    The system that a parameter names, by UUID or name.

    Raises SystemNotFound, also for one that the emulator may not serve.
    """
    system = services().catalogue.system(identity)
    if not services().may_serve(system):
        raise exceptions.SystemNotFound(identity)
    noting.note_systems(system)
    return system


def find_number(text: str) -> int:
    """The id that is the last part of a URI; raises ResourceMissingAtURI."""
    # More digits than SQLite can hold name nothing.
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise missing()
    return int(text)


@contextlib.contextmanager
def found_by_uri(
    *errors: type[exceptions.HawkFishError],
) -> Iterator[None]:
    """Raise ResourceMissingAtURI where the block raises one of *errors*."""
    try:
        yield
    except errors:
        raise missing() from None


def missing() -> exceptions.HawkFishError:
    return exceptions.ResourceMissingAtURI(request_uri())


def request_uri() -> str:
    """The path of the request, as a client has to write it."""
    return urllib.parse.quote(flask.request.path)


def payload(body: dict[str, Any]) -> dict[str, Any]:
    """What a task keeps of the request, which has asked for *body*."""
    asked = tasks.payload(flask.request.method, request_uri(), body)
    return audit.with_actor(asked, noting.actor(flask.request.environ))


def check_if_match(resource: Callable[[], Mapping[str, Any]]) -> None:
    """
    Raise PreconditionFailed where If-Match names another ETag.

    *resource* is asked only where there is one.
    """
    if 'If-Match' not in flask.request.headers:
        return
    etag = resource()['@odata.etag'].strip('"')
    if not flask.request.if_match.contains(etag):
        raise exceptions.PreconditionFailed()
