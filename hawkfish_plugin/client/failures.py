# SPDX-License-Identifier: Apache-2.0
"""
What an error of the SDK is, and the messages that it has.

``errors`` has a class for each of them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

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

    The text has the messages and what can be done about each. *answer* is
    what sushy's error has of the answer.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.__dict__.update(answer)
        self.messages = read(self)
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
