# SPDX-License-Identifier: Apache-2.0
"""
The URL of the service, and the credentials for it.

Owns the global options of the commands, the environment variables and the
file ``clouds.yaml``. A source that names a service also provides the
credentials: a password is never sent to a service it was not given for.
Options override the environment and the file.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from hawkfish_plugin.cli import errors

DEFAULT_URL = 'http://127.0.0.1:8000'

OPTIONS = ('url', 'cloud', 'username', 'password', 'ca-file', 'insecure')
OTHERS_MAY = 0o007

_CLOUD_KEYS = {'auth', 'auth_type', 'cacert', 'verify'}
_AUTH_KEYS = {'endpoint', 'username', 'password'}


@dataclasses.dataclass(frozen=True)
class Connection:
    """How to connect to a service; *verify* is that of requests."""

    url: str
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    verify: bool | str = True


def add_options(parser: argparse.ArgumentParser, prefix: str = '') -> None:
    """Add the options, each with *prefix*; see ``connect``."""

    def add(group: Any, name: str, **how: Any) -> None:
        if 'action' not in how:
            how.setdefault('metavar', name.upper())
        group.add_argument(f'--{prefix}{name}', dest=_dest(name), **how)

    options = parser.add_argument_group('HawkFish service')
    where = options.add_mutually_exclusive_group()
    add(
        where,
        'url',
        type=_url_option,
        help=f'URL of the emulator (HAWKFISH_URL; {DEFAULT_URL}).',
    )
    add(
        where,
        'cloud',
        metavar='NAME',
        help='Entry of clouds.yaml to take all of this from (HAWKFISH_CLOUD).',
    )
    add(
        options,
        'username',
        help='User for HTTP Basic authentication (HAWKFISH_USERNAME).',
    )
    add(
        options,
        'password',
        help='Password of that user. Other users of this machine can see '
        'options; HAWKFISH_PASSWORD, clouds.yaml and the prompt hide it.',
    )
    add(
        options,
        'ca-file',
        metavar='FILE',
        help='File with the CA certificates for https (HAWKFISH_CACERT).',
    )
    add(
        options,
        'insecure',
        action='store_const',
        const=True,
        help='Do not verify the certificate (HAWKFISH_INSECURE).',
    )


def words(options: argparse.Namespace, prefix: str = '') -> list[str]:
    """Return *options* as they are typed, without the password."""
    typed = []
    for name in OPTIONS:
        value = getattr(options, _dest(name), None)
        if value and name != 'password':
            typed.append(f'--{prefix}{name}')
            typed += [] if value is True else [value]
    return typed


def connect(given: Mapping[str, Any], prompts: bool = True) -> Connection:
    """
    Return how to connect to the service that the options *given* select.

    Raises CommandError if the environment or the file is not valid, or if a
    password is missing and *prompts* is false.
    """
    option = {name: given.get(_dest(name)) for name in OPTIONS}
    cloud = option['cloud']
    if not cloud and not option['url']:
        cloud = os.environ.get('HAWKFISH_CLOUD')
    found = _from_file(cloud) if cloud else _from_environment()
    if option['url']:
        found = _at(found, option['url'])
    if option['username']:
        found = _as_user(found, option['username'])
    if option['password'] is not None:
        found = dataclasses.replace(found, password=option['password'])
    if option['ca-file']:
        found = dataclasses.replace(found, verify=option['ca-file'])
    if option['insecure']:
        found = dataclasses.replace(found, verify=False)
    if found.username and found.password is None:
        if not prompts:
            raise errors.CommandError(f'{found.username} has no password.')
        return _with_password(found)
    return found


def clouds_file() -> pathlib.Path:
    """Return the path of the file with the named services of this user."""
    home = os.environ.get('XDG_CONFIG_HOME') or '~/.config'
    path = pathlib.Path(home, 'hawkfish', 'clouds.yaml')
    try:
        return path.expanduser()
    except RuntimeError:
        raise errors.CommandError(
            f'{path}: this user has no home directory; set HOME or '
            'XDG_CONFIG_HOME.'
        ) from None


def _dest(name: str) -> str:
    return f'hawkfish_{name.replace("-", "_")}'


def _is_url(text: object) -> bool:
    return str(text).startswith(('http://', 'https://'))


def _url_option(text: str) -> str:
    if not _is_url(text):
        raise argparse.ArgumentTypeError(
            f'{text!r} does not start with http:// or https://'
        )
    return text


def is_true(text: str) -> bool:
    """Return whether *text*, of a variable, means yes."""
    return text.strip().lower() in ('1', 'true', 'yes', 'on')


def _from_environment() -> Connection:
    url = os.environ.get('HAWKFISH_URL') or DEFAULT_URL
    if not _is_url(url):
        raise errors.CommandError(
            f'HAWKFISH_URL: {url!r} does not start with http:// or https://'
        )
    insecure = is_true(os.environ.get('HAWKFISH_INSECURE', ''))
    return Connection(
        url,
        os.environ.get('HAWKFISH_USERNAME') or None,
        os.environ.get('HAWKFISH_PASSWORD'),
        False if insecure else os.environ.get('HAWKFISH_CACERT') or True,
    )


def _at(found: Connection, url: str) -> Connection:
    """Return *found* for *url*, without credentials for another service."""
    if url == found.url or not os.environ.get('HAWKFISH_URL'):
        return dataclasses.replace(found, url=url)
    return Connection(url, verify=found.verify)


def _as_user(found: Connection, username: str) -> Connection:
    """Return *found* for *username*, without the password of another user."""
    same = found.username in (None, username)
    password = found.password if same else None
    return dataclasses.replace(found, username=username, password=password)


def _with_password(found: Connection) -> Connection:
    """Prompt for a missing password if there is a terminal."""
    if not sys.stdin or not sys.stdin.isatty():
        return found
    import getpass

    prompt = f'Password of {found.username} at {found.url}: '
    return dataclasses.replace(found, password=getpass.getpass(prompt))


# The file -----------------------------------------------------------------


def _from_file(name: str) -> Connection:
    path = clouds_file()
    clouds = _mapping(_read(path).get('clouds'), path, 'clouds')
    if name not in clouds:
        known = ', '.join(map(str, clouds)) or 'none'
        raise errors.CommandError(
            f'{path} has no cloud {name!r}; there are: {known}.'
        )
    cloud = _mapping(clouds[name], path, name)
    auth = _mapping(cloud.get('auth'), path, f'auth of {name}')
    _check_keys(cloud, _CLOUD_KEYS, path, name)
    _check_keys(auth, _AUTH_KEYS, path, f'auth of {name}')
    if not _is_url(auth.get('endpoint')):
        raise errors.CommandError(
            f'{path}: auth of {name} has no endpoint that starts with '
            'http:// or https://.'
        )
    if 'password' in auth:
        _check_private(path)
    return Connection(
        auth['endpoint'],
        _text(auth.get('username')),
        _text(auth.get('password')),
        cloud.get('verify', True) and (cloud.get('cacert') or True),
    )


def _read(path: pathlib.Path) -> dict[str, Any]:
    import yaml

    try:
        with path.open(encoding='utf-8') as file:
            content = yaml.safe_load(file)
    except OSError as error:
        raise errors.CommandError(f'{path}: {error.strerror}.') from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The text of the error quotes the file, including passwords.
        mark = getattr(error, 'problem_mark', None)
        place = f' at line {mark.line + 1}' if mark else ''
        raise errors.CommandError(f'{path} is not YAML{place}.') from None
    return _mapping(content, path, 'the file')


def _mapping(value: object, path: pathlib.Path, what: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise errors.CommandError(f'{path}: {what} is not a mapping.')


def _check_keys(
    value: dict[str, Any], known: set[str], path: pathlib.Path, what: str
) -> None:
    # A misspelled "verify" must not go unnoticed.
    for key in value:
        if key not in known:
            raise errors.CommandError(
                f'{path}: {what} has the unknown key {key!r}; known are '
                f'{", ".join(sorted(known))}.'
            )


def _check_private(path: pathlib.Path) -> None:
    if path.stat().st_mode & OTHERS_MAY:
        raise errors.CommandError(
            f'{path} contains a password, but other users can access it.\n'
            f'Restrict it with: chmod 600 {path}'
        )


def _text(value: object) -> str | None:
    # YAML reads a password of digits as a number.
    return None if value is None else str(value)
