# SPDX-License-Identifier: Apache-2.0
"""
The verification of a snapshot, or of a backup, over HTTP.

Owns what the body of its request may hold, and the routes of the screenshots.
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

_SNAPSHOT = validation.parameters(uris.VERIFY_ACTION)
_BACKUP = validation.parameters(uris.VERIFY_BACKUP_ACTION)
_BOOT = 'Boot'
# What each asks for a clone.
_ASKING = ('RunSeconds', 'Agent', 'ConsolePattern', 'Command', 'Screenshot')
# The checks that may have a deadline of their own.
_WITH_DEADLINE = (verifying.AGENT, verifying.CONSOLE, verifying.COMMAND)
# Characters, of a pattern and of all words of a command.
_MOST_PATTERN, _MOST_COMMAND = 256, 4096


def read(name: str, body: Body) -> verifying.VerifyRequest:
    """What *body* asks for, which has to fit its schema."""
    _check(_SNAPSHOT, body, uris.VERIFY_ACTION)
    return _request(name, body)


def read_of_backup(
    backup_id: int, body: Body
) -> verifying.VerifyRequest | None:
    """What *body* asks for of a clone of a backup; None: for no clone."""
    _check(_BACKUP, body, uris.VERIFY_BACKUP_ACTION)
    asking = [name for name in _ASKING if body.get(name)]
    if not body.get(_BOOT, bool(asking)):
        exceptions.check(
            [exceptions.PropertyValueConflict(name, _BOOT) for name in asking]
        )
        return None
    return _request(str(backup_id), body)


def _check(schema: validation.RequestBody, body: Body, action: str) -> None:
    def errors(body: Body) -> Iterator[exceptions.HawkFishError]:
        for name, value in (*_bad_console(body), *_bad_command(body)):
            yield exceptions.ActionParameterValueFormatError(
                value[:_MOST_PATTERN], name, action, related=[f'#/{name}']
            )

    schema.check(body, errors)


def _request(name: str, body: Body) -> verifying.VerifyRequest:
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


def _bad_console(body: Body) -> Iterator[tuple[str, str]]:
    """The parameter that cannot be, by name, and its value."""
    pattern = body.get('ConsolePattern')
    if pattern is not None and not (
        0 < len(pattern) <= _MOST_PATTERN and pattern.isprintable()
    ):
        yield 'ConsolePattern', pattern


def _bad_command(body: Body) -> Iterator[tuple[str, str]]:
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
        yield 'Command', words


@blueprint.get(SCREENSHOT)
def send_screenshot(identity: str, name: str) -> flask.Response:
    queries.check(())
    system = find_system(identity)
    try:
        picture = services().catalogue.screenshot(system, name)
    except exceptions.SnapshotNotFound:
        raise missing() from None
    return png(picture)


def png(picture: bytes | None) -> flask.Response:
    """The answer with *picture*; raises ResourceMissingAtURI without one."""
    if picture is None:
        raise missing()
    return flask.Response(picture, content_type='image/png')
