# SPDX-License-Identifier: Apache-2.0
"""
Errors, as the service tells them.

Whatever a request of the SDK raises is an error of sushy, and of the class in
``errors`` for each message that the answer has.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any
from urllib import parse

from sushy import exceptions

from hawkfish_plugin.client.failures import (
    HawkFishError,
    Unreachable,
    read,
)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Raise errors of sushy as those that say what the service said."""
    try:
        yield
    except (HawkFishError, Unreachable):
        raise
    except exceptions.HTTPError as error:
        ids = tuple(one.message_id for one in read(error))
        if not ids:
            raise
        raise _made(type(error), ids, error.__dict__) from error
    except exceptions.ConnectionError as error:
        if type(error) is not exceptions.ConnectionError:
            raise
        raise Unreachable(_reason(error)) from error


def _reason(error: exceptions.ConnectionError) -> str:
    """What *error* says, but for what each layer below repeats of it."""
    cause: BaseException = error
    url = ''
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
        request = getattr(cause, 'request', None)
        url = getattr(request, 'url', None) or url
    if not url:
        return str(error)
    # Nor does a URL tell its password.
    found = parse.urlsplit(url)
    host = found.netloc.rpartition('@')[2]
    plain = found._replace(netloc=host, query='')
    reason = getattr(cause, 'strerror', None) or str(cause)
    return f'Cannot reach {plain.geturl()}: {reason}'


def _made(
    sushys: Any, ids: tuple[str, ...], answer: Mapping[str, Any]
) -> HawkFishError:
    """The error that is all of *ids* and *sushys*, with its *answer*."""
    return _kind(sushys, ids)(answer)


def _named(errors: Any, key: str) -> type[HawkFishError]:
    """The class in *errors* for a message; *key* is what a service sends."""
    found = vars(errors).get(key)
    # Other names of the module are no messages.
    if isinstance(found, type) and found.__module__ == errors.__name__:
        return found
    return HawkFishError


@functools.lru_cache(256)
def _kind(sushys: Any, ids: tuple[str, ...]) -> type[HawkFishError]:
    """The class of an error that is all of *ids*, and *sushys*."""
    # When there is one: so many classes take their time.
    from hawkfish_plugin.client import errors

    def reduce(error: HawkFishError) -> tuple[Any, ...]:
        # The class has no place where pickle could find it.
        return _made, (sushys, ids, error.__dict__)

    keys = [one.rpartition('.')[2] for one in ids]
    kinds = [_named(errors, key) for key in keys]
    ours = [*dict.fromkeys(kinds)]
    if len(ours) > 1 and HawkFishError in ours:
        ours.remove(HawkFishError)
    bases: Any = (*ours, sushys)
    body = {'__module__': ours[0].__module__, '__reduce__': reduce}
    return type(ours[0].__name__, bases, body)


class Connection:
    """A connector of sushy, whose errors say what the service said."""

    def __init__(self, connector: Any) -> None:
        self._connector = connector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """See sushy's Connector."""
        with told():
            return self._connector.get(*args, **kwargs)

    def post(self, *args: Any, **kwargs: Any) -> Any:
        """See sushy's Connector."""
        with told():
            return self._connector.post(*args, **kwargs)

    def patch(self, *args: Any, **kwargs: Any) -> Any:
        """See sushy's Connector."""
        with told():
            return self._connector.patch(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """See sushy's Connector."""
        with told():
            return self._connector.delete(*args, **kwargs)
