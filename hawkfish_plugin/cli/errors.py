# SPDX-License-Identifier: Apache-2.0
"""
What a command reports when it fails.

Turns an error of ``client`` into the message and the resolution of the
server. If there is no such message, it explains what went wrong and what to
do about it. Printing and the exit status are left to cliff.
"""

import argparse
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from hawkfish_plugin.cli import missing, output, refusals

if TYPE_CHECKING:
    from hawkfish_plugin import client

NO_PLUGIN = """\
%s: this emulator has no HawkFish plugin activated.
Add "import hawkfish_plugin; hawkfish_plugin.activate()" to the emulator's \
configuration file, or use another --url."""

NO_CREDENTIALS = """\
The emulator at %s asks for credentials.
Use --username, which prompts for the password, or HAWKFISH_USERNAME and \
HAWKFISH_PASSWORD, or --cloud."""

BAD_CREDENTIALS = """\
The emulator at %s refuses the credentials of user %s.
Check the user name and the password in the options, the environment or \
clouds.yaml."""

UNREACHABLE = """\
Cannot reach the emulator at %s: %s.
Check that it is running, and that --url or HAWKFISH_URL is correct."""

DEAD_PROXY = """\
Cannot reach the emulator at %s through the proxy %s: %s.
If this machine can reach the emulator itself, add its host to no_proxy; \
otherwise check the proxy, and --url or HAWKFISH_URL."""

BAD_TLS = """\
Cannot trust the emulator at %s: %s.
Specify its CA with --ca-file or HAWKFISH_CACERT; --insecure disables \
verification."""

NOT_REDFISH = """\
The server at %s does not speak Redfish: its response is not JSON.
Check --url or HAWKFISH_URL."""

THROUGH_PROXY = """\
The proxy %s was asked for the emulator at %s, and what came back is no \
answer of the HawkFish plugin: %s.
If this machine can reach the emulator itself, add its host to no_proxy; \
otherwise check the proxy, and --url or HAWKFISH_URL."""


class CommandError(Exception):
    """A command failed; the text tells the user why."""


def tell_in_one_line(parser: argparse.ArgumentParser) -> None:
    """Let usage errors of *parser* be a sentence, without the usage."""

    def tell(message: str) -> NoReturn:
        told = output.printable(' '.join(message.split()))
        line = f'{parser.prog}: error: {told} (see --help)\n'
        parser.exit(2, output.wrapped(line, sys.stderr))

    parser.error = tell  # type: ignore[method-assign]


def explain(error: Exception, service: 'client.HawkFish') -> CommandError:
    """Return *error* of *service* as it is reported to the user."""
    from sushy import exceptions

    if isinstance(error, CommandError):
        return error
    from hawkfish_plugin import client

    if isinstance(error, exceptions.ConnectionError) and not isinstance(
        error, client.TaskTimeout
    ):
        text = _unreachable(error, service)
    elif isinstance(error, exceptions.HTTPError):
        text = _refusal(error, service)
    elif isinstance(error, ValueError):
        text = _foreign(service, 'it is not JSON') or (
            NOT_REDFISH % service.url
        )
    else:
        text = output.printable(str(error))
    return CommandError(text)


def _unreachable(error: Exception, service: 'client.HawkFish') -> str:
    import ssl

    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    reason = output.printable(
        getattr(cause, 'strerror', None) or str(cause)
    ).rstrip('.')
    if isinstance(cause, ssl.SSLCertVerificationError):
        return BAD_TLS % (service.url, reason)
    if service.proxy:
        return DEAD_PROXY % (service.url, service.proxy, reason)
    return UNREACHABLE % (service.url, reason)


def _refusal(error: Any, service: 'client.HawkFish') -> str:
    from hawkfish_plugin import client

    url: str = service.url
    told = client.messages(error)
    reason = output.printable(error.detail or 'no reason given')
    foreign = not told and _foreign(service, f'{error.status_code}, {reason}')
    if foreign:
        return foreign
    if error.status_code == 401:
        if service.username:
            return BAD_CREDENTIALS % (url, service.username)
        return NO_CREDENTIALS % url
    if told:
        return (
            missing.words(error, service)
            or refusals.words(error)
            or '\n'.join(map(output.printable, told))
        )
    if error.status_code == 404:
        return NO_PLUGIN % url
    return f'{url} answered {error.status_code}: {reason}'


def _foreign(service: 'client.HawkFish', answer: str) -> str:
    """What to say of an *answer* that a proxy may have given; '' without."""
    proxy = service.proxy
    return THROUGH_PROXY % (proxy, service.url, answer) if proxy else ''
