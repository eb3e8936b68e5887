# SPDX-License-Identifier: Apache-2.0
"""
Errors, as the service tells them.

Whatever a request of the SDK raises is an error of sushy, and of the class in
``errors`` for each message that the answer has.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from sushy import exceptions

from hawkfish_plugin.client import typed


@dataclasses.dataclass(frozen=True)
class Message:
    """One message of an error."""

    message_id: str
    """For example ``HawkFish.1.0.SnapshotLocked``"""

    text: str
    resolution: str
    """What can be done about it, or an empty text"""

    args: tuple[str, ...]
    """The arguments of the text, in the order of the registry"""


def read(error: BaseException) -> list[Message]:
    """
    Return the messages of *error*.

    Errors of the emulator itself have a MessageId only, so there are none.
    """
    found = getattr(error, 'extended_info', None)
    return [
        Message(
            info.get('MessageId', ''),
            info['Message'],
            _advice(info.get('Resolution', '')),
            tuple(info.get('MessageArgs', ())),
        )
        for info in (found if isinstance(found, list) else ())
        if info.get('Message')
    ]


def _advice(text: str) -> str:
    return '' if text.rstrip('.') == 'None' else text


class HawkFishError(typed.HTTPError):
    """
    The service has refused a request, or its operation has failed.

    The text has the messages and what can be done about each.
    """

    def __init__(self, error: typed.HTTPError) -> None:
        self.__dict__.update(error.__dict__)
        self.messages = read(error)
        """The messages, of which there is at least one"""
        Exception.__init__(self, str(self))

    def __str__(self) -> str:
        return '\n'.join(
            f'{one.text} {one.resolution}'.rstrip() for one in self.messages
        )


class NotFound(HawkFishError, KeyError):
    """What was asked for does not exist."""


class Unavailable(HawkFishError):
    """The same request can succeed later."""


class Unreachable(typed.ConnectionError):
    """There was no answer: the emulator is away, or the URL is wrong."""


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Raise errors of sushy as those that say what the service said."""
    try:
        yield
    except (HawkFishError, Unreachable):
        raise
    except exceptions.HTTPError as error:
        found = read(error)
        if not found:
            raise
        kind = _kind(type(error), [one.message_id for one in found])
        raise kind(error) from error
    except exceptions.ConnectionError as error:
        if type(error) is not exceptions.ConnectionError:
            raise
        raise Unreachable(str(error)) from error


def _kind(sushys: Any, ids: Iterable[str]) -> type[HawkFishError]:
    """The class of an error that is all of *ids*, and *sushys*."""
    from hawkfish_plugin.client import errors

    keys = [one.rpartition('.')[2] for one in ids]
    kinds = [getattr(errors, key, HawkFishError) for key in keys]
    ours = [*dict.fromkeys(kinds)]
    if len(ours) > 1 and HawkFishError in ours:
        ours.remove(HawkFishError)
    bases: Any = (*ours, sushys)
    return type(ours[0].__name__, bases, {'__module__': ours[0].__module__})


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
