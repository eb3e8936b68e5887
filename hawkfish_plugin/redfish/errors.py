# SPDX-License-Identifier: Apache-2.0
"""The bodies of responses that hold messages instead of a resource."""

from collections.abc import Sequence

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.redfish.common import Resource


def error(error: exceptions.HawkFishError) -> Resource:
    """The body of an error response."""
    return _body(messages.of_error(error))


def error_of_task(stored: Sequence[tuple[str, Sequence[str]]]) -> Resource:
    """The body for the error that ended a task; see ``Task.error``."""
    return _body([messages.message(key, args) for key, args in stored])


def success(*left_out: exceptions.HawkFishError) -> Resource:
    """The body of a success that tells nothing but what it did without."""
    body = _body([messages.message(messages.SUCCESS)])
    for part in left_out:
        body['error']['@Message.ExtendedInfo'] += messages.of_error(part)
    return body


def _body(extended_info: list[Resource]) -> Resource:
    if len(extended_info) == 1:
        code = extended_info[0]['MessageId']
        text = extended_info[0]['Message']
    else:
        code = f'{exceptions.BASE}.GeneralError'
        # The general text says nothing, and some clients show only this.
        text = ' '.join(entry['Message'] for entry in extended_info)
    return {
        'error': {
            'code': code,
            'message': text,
            '@Message.ExtendedInfo': extended_info,
        }
    }
