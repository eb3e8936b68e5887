# SPDX-License-Identifier: Apache-2.0
"""What came of a call to a driver."""

import pytest

from hawkfish_plugin import exceptions


def outcome(call, context):
    try:
        return call(context)
    except exceptions.HawkFishError as exc:
        return exc


def refusal(call, *args) -> exceptions.HawkFishError:
    with pytest.raises(exceptions.HawkFishError) as raised:
        call(*args)
    return raised.value


def told(*errors: exceptions.HawkFishError):
    return [(p.message_id, p.args) for error in errors for p in error.parts]
