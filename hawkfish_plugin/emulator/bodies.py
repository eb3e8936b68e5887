# SPDX-License-Identifier: Apache-2.0
"""
The bodies of the emulator's own requests.

Owns the refusal of those that its views would fail on.
"""

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api.bodies import parse


def check() -> None:
    """
    Raise MalformedJSON for JSON that is nested too deeply, or no object.

    What is not JSON at all is left to the emulator, which refuses it.
    """
    request = flask.request
    if not request.is_json:
        return
    data = request.get_data()
    if data and not isinstance(parse(data), dict):
        raise exceptions.MalformedJSON()
