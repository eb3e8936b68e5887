# SPDX-License-Identifier: Apache-2.0
"""
What the resources have in common: links, paths, collections and errors.
"""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib import parse

from sushy import exceptions

SYSTEMS = '/redfish/v1/Systems'


def messages(error: exceptions.SushyError) -> list[str]:
    """
    Return the messages of *error* and their resolutions.

    Errors of the emulator itself have a MessageId only, so there are none.
    """
    found = getattr(error, 'extended_info', None)
    lines = []
    for info in found if isinstance(found, list) else ():
        if info.get('Message'):
            lines += [info['Message'], info.get('Resolution', '')]
    return [line for line in lines if line.rstrip('.') not in ('', 'None')]


def name_in(link: dict[str, str]) -> str:
    """Return the last segment of what *link* refers to."""
    return parse.unquote(link['@odata.id'].rpartition('/')[2])


def names_in(links: list[dict[str, str]]) -> list[str]:
    """Return ``name_in`` of each link."""
    return [name_in(link) for link in links]


def system_path(system: str) -> str:
    """Return the path of *system*, a name or UUID."""
    return below(SYSTEMS, system)


def elements(systems: Iterable[str]) -> list[dict[str, str]]:
    """Return the links to *systems*, names or UUIDs."""
    return [{'@odata.id': system_path(system)} for system in systems]


def below(path: str, name: str) -> str:
    """Return the path of the member *name* of the collection at *path*."""
    return f'{path}/{parse.quote(name, "")}'


def given(**values: Any) -> dict[str, Any]:
    """Return the *values* that are not None, for a body."""
    return {key: value for key, value in values.items() if value is not None}


def members(conn: Any, path: str) -> Iterator[Any]:
    """Yield the expanded members of a collection, one request per page."""
    page: str | None = f'{path}?$expand=.'
    while page:
        body = conn.get(page).json()
        yield from body.get('Members', ())
        page = body.get('Members@odata.nextLink')


def patch(resource: Any, changes: dict[str, Any]) -> Any:
    """
    Change *resource*, and return its new content.

    Fails if it has changed since it was read.
    """
    # If sushy is given the ETag, it retries without it.
    headers = {'If-Match': resource.json['@odata.etag']}
    response = resource._conn.patch(
        resource.path, data=changes, headers=headers
    )
    return response.json()
