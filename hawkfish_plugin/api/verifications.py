# SPDX-License-Identifier: Apache-2.0
"""
The verification of a snapshot over HTTP.

Owns what the body of its request may hold, and the route of the screenshot.
"""

from collections.abc import Iterator

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.api import queries, validation
from hawkfish_plugin.api.access import find_system, missing, services
from hawkfish_plugin.api.blueprint import blueprint
from hawkfish_plugin.api.bodies import Body
from hawkfish_plugin.drivers import verifying
from hawkfish_plugin.redfish import uris

SCREENSHOT = '/Systems/<identity>/Oem/HawkFish/Snapshots/<name>/screenshot'

_BODY = validation.parameters(uris.VERIFY_ACTION)
# The checks that may have a deadline of their own.
_WITH_DEADLINE = (verifying.AGENT, verifying.CONSOLE, verifying.COMMAND)
# Characters, of a pattern and of all words of a command.
_MOST_PATTERN, _MOST_COMMAND = 256, 4096


def read(name: str, body: Body) -> verifying.VerifyRequest:
    """What *body* asks for, which has to fit its schema."""
    _BODY.check(body, _console_errors, _command_errors)
    given: int = body.get('DeadlineSeconds', verifying.DEADLINE_SECONDS)
    return verifying.VerifyRequest(
        name,
        body.get('Memory', True),
        body.get('RunSeconds', verifying.RUN_SECONDS),
        body.get('Agent', False),
        body.get('ConsolePattern'),
        body.get('Command', ()),
        body.get('Screenshot', False),
        {
            check: int(body.get(f'{check}DeadlineSeconds', given))
            for check in _WITH_DEADLINE
        },
    )


def _console_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    pattern = body.get('ConsolePattern')
    if pattern is not None and not (
        0 < len(pattern) <= _MOST_PATTERN and pattern.isprintable()
    ):
        yield _invalid(pattern, 'ConsolePattern')


def _command_errors(body: Body) -> Iterator[exceptions.HawkFishError]:
    command = body.get('Command')
    if command is None:
        return
    words = ' '.join(command)
    if (
        not command
        or not command[0]
        or '\0' in words
        or (len(words) > _MOST_COMMAND)
    ):
        yield _invalid(words, 'Command')


def _invalid(value: str, name: str) -> exceptions.HawkFishError:
    return exceptions.ActionParameterValueFormatError(
        value[:_MOST_PATTERN], name, uris.VERIFY_ACTION, related=[f'#/{name}']
    )


@blueprint.get(SCREENSHOT)
def send_screenshot(identity: str, name: str) -> flask.Response:
    queries.check(())
    system = find_system(identity)
    try:
        picture = services().catalogue.screenshot(system, name)
    except exceptions.SnapshotNotFound:
        raise missing() from None
    if picture is None:
        raise missing()
    return flask.Response(picture, content_type='image/png')
