# SPDX-License-Identifier: Apache-2.0
"""
What the resources have in common: links, paths, times and collections.
"""

import datetime
import inspect
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar
from urllib import parse

from hawkfish_plugin.client import failures, typed

SYSTEMS = '/redfish/v1/Systems'

Seconds = float | datetime.timedelta
"""A time span: seconds, or a timedelta"""

When = datetime.datetime | datetime.timedelta | str
"""
A moment: a datetime with its time zone, a time span from now, or the text of
Redfish, such as ``2030-01-31T12:00:00Z``
"""


def messages(error: BaseException) -> list[str]:
    """
    Return the messages of *error* and their resolutions.

    Errors of the emulator itself have a MessageId only, so there are none.
    """
    return [
        line
        for one in failures.read(error)
        for line in (one.text, one.resolution)
        if line
    ]


def name_in(link: dict[str, str]) -> str:
    """Return the last segment of what *link* refers to."""
    return parse.unquote(link['@odata.id'].rpartition('/')[2])


def names_in(links: list[dict[str, str]]) -> list[str]:
    """Return ``name_in`` of each link."""
    return [name_in(link) for link in links]


def group_snapshots_in(links: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Return of each link to a group snapshot the group, and its name."""
    found = []
    for link in links:
        group, _, _ = link['@odata.id'].partition('/Oem/')
        found.append((name_in({'@odata.id': group}), name_in(link)))
    return found


def moment(text: str) -> datetime.datetime:
    """Return the moment that *text* of Redfish is."""
    return datetime.datetime.fromisoformat(text)


def span(seconds: float) -> datetime.timedelta:
    """Return a number of seconds as a timedelta."""
    return datetime.timedelta(seconds=seconds)


def seconds(given: Seconds) -> float:
    """Return the seconds of a time span."""
    if isinstance(given, datetime.timedelta):
        return given.total_seconds()
    return given


def whole_seconds(given: Seconds | None) -> int | None:
    """Return the seconds of a time span for the service; None stays None."""
    return None if given is None else round(seconds(given))


def stamp(when: When | None) -> str | None:
    """
    Return *when* as the text of Redfish; None stays None.

    Raises ValueError if it is a datetime without a time zone.
    """
    if when is None or isinstance(when, str):
        return when
    if isinstance(when, datetime.timedelta):
        when = datetime.datetime.now(datetime.UTC) + when
    if when.tzinfo is None:
        raise ValueError(f'{when} has no time zone')
    return f'{when.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}'


def system_path(system: str) -> str:
    """Return the path of *system*, a name or UUID."""
    return below(SYSTEMS, system)


def of_system(system: str, what: str) -> str:
    """Return the path of *what* the plugin has of *system*."""
    return f'{system_path(system)}/Oem/HawkFish/{what}'


def elements(systems: Iterable[str]) -> list[dict[str, str]]:
    """Return the links to *systems*, names or UUIDs."""
    return [{'@odata.id': system_path(system)} for system in systems]


def below(path: str, name: str) -> str:
    """Return the path of the member *name* of the collection at *path*."""
    return f'{path}/{parse.quote(name, "")}'


def given(**values: Any) -> dict[str, Any]:
    """Return the *values* that are not None, for a body."""
    return {key: value for key, value in values.items() if value is not None}


def as_given(value: Any) -> Any:
    """Return *value*, of a property that is as in Redfish."""
    return value


Properties = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""Of each keyword its property, and how a value becomes that of Redfish"""


def body_of(known: Properties, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of *changes*; raises TypeError for an unknown one."""
    for name in changes:
        if name not in known:
            raise TypeError(
                f'there is no {name!r} to change, but: {", ".join(known)}'
            )
    return {
        known[name][0]: known[name][1](value)
        for name, value in changes.items()
    }


def members(conn: Any, path: str) -> Iterator[Any]:
    """Yield the expanded members of a collection, one request per page."""
    page: str | None = f'{path}?$expand=.'
    while page:
        body = conn.get(page).json()
        yield from body.get('Members', ())
        page = body.get('Members@odata.nextLink')


def patch(resource: typed.Resource, changes: dict[str, Any]) -> dict[str, Any]:
    """
    Change *resource*, and return its new content.

    Fails if it has changed since it was read.
    """
    # If sushy is given the ETag, it retries without it.
    headers = {'If-Match': resource.json['@odata.etag']}
    response = resource._conn.patch(
        resource.path, data=changes, headers=headers
    )
    content: dict[str, Any] = response.json()
    return content


R = TypeVar('R', bound=typed.Resource)


def read_all(kind: type[R], conn: Any, path: str) -> list[R]:
    """Return the members of the collection at *path*, with one request."""
    return [
        kind(conn, member['@odata.id'], json_doc=member)
        for member in members(conn, path)
    ]


def _is_new(iterator: Generator[Any, None, None]) -> bool:
    return inspect.getgeneratorstate(iterator) == inspect.GEN_CREATED


class Collection(Generic[R]):
    """
    A collection of resources; nothing is read before it is needed.

    It can be iterated, its members have names (``collection['clean']``, and
    ``'clean' in collection``), and it has a length. Each of these takes one
    request.
    """

    _kind: type[R]

    def __init__(self, conn: Any, path: str) -> None:
        self._conn = conn
        self.path = path
        self._begun: tuple[weakref.ref[Generator[R, None, None]], int] | None
        self._begun = None

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {parse.unquote(self.path)}>'

    def __iter__(self) -> Iterator[R]:
        found = self.get_members()
        iterator = (one for one in found)
        self._begun = weakref.ref(iterator), len(found)
        return iterator

    def __len__(self) -> int:
        # list() begins to iterate, asks for the length, and goes on.
        begun, self._begun = self._begun, None
        if begun:
            iterator = begun[0]()
            if iterator and _is_new(iterator):
                return begun[1]
        count: int = self._conn.get(self.path).json()['Members@odata.count']
        return count

    def __getitem__(self, name: str) -> R:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return any(name == name_in({'@odata.id': one.path}) for one in self)

    def get_members(self) -> list[R]:
        """Return all members, oldest first, with one request."""
        return read_all(self._kind, self._conn, self.path)

    def get(self, name: str) -> R:
        """Return the member *name*; raises NotFound if there is none."""
        return self._kind(self._conn, below(self.path, name))
