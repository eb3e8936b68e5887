# SPDX-License-Identifier: Apache-2.0
"""
Where events may be sent.

Owns what a destination must look like, which of them the configuration
allows, and which headers a subscriber may choose.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib import parse

MAX_CHARACTERS = 2048

_PORTS = {'http': 80, 'https': 443}
# A name or an address, in brackets where it has colons, and a port.
_NETLOC = re.compile(
    r'([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?', re.ASCII
)
_NUMERIC = re.compile(r'[\d.*]+', re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Those of the connection, and those that say how the body is to be read.
_RESERVED_HEADERS = frozenset(
    (
        'connection',
        'content-encoding',
        'content-length',
        'content-type',
        'expect',
        'host',
        'http2-settings',
        'keep-alive',
        'te',
        'trailer',
        'transfer-encoding',
        'upgrade',
    )
)


def is_valid(destination: str) -> bool:
    """
    Whether this is an http or https URL that says where it leads.

    One with a user in it is none, nor one with segments that some reader
    takes for the folder above: what is allowed below a path must stay below
    it.
    """
    if len(destination) > MAX_CHARACTERS or not _is_plain(destination):
        return False
    try:
        parts = parse.urlsplit(destination)
        port = parts.port
    except ValueError:
        return False
    return bool(
        parts.scheme in _PORTS
        and _NETLOC.fullmatch(parts.netloc)
        and not parts.fragment
        and port != 0
        and not _may_leave(parts.path)
    )


def _may_leave(path: str) -> bool:
    """
    Whether somebody may read *path* as one that leads upwards.

    Some unquote it twice, take a backslash for a slash, or ignore what comes
    after a semicolon, a dot or a NUL.
    """
    while (unquoted := parse.unquote(path)) != path:
        path = unquoted
    return '\\' in path or any(
        segment == '.' or segment.startswith(('..', '.;'))
        for segment in path.split('/')
    )


def is_allowed(destination: str, allowed: Iterable[str]) -> bool:
    """Whether one of *allowed* lets a valid *destination* be used."""
    patterns = list(allowed)
    return not patterns or any(
        _is_below(destination, pattern)
        if '://' in pattern
        else _is_host(destination, pattern)
        for pattern in patterns
    )


def shown(destination: str) -> str:
    """*destination* without what may be secret in it."""
    parts = parse.urlsplit(destination)
    return parse.urlunsplit((parts.scheme, parts.netloc, parts.path, '', ''))


def is_valid_header(name: str, value: str) -> bool:
    """Whether a subscriber may have this header sent with its events."""
    lowered = name.lower()
    return bool(
        _HEADER_NAME.fullmatch(name)
        and lowered not in _RESERVED_HEADERS
        and not lowered.startswith('proxy-')
        and len(name) + len(value) <= MAX_CHARACTERS
        and value == value.strip()
        and all(' ' <= char <= '~' for char in value)
    )


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and ' ' not in text


def _is_host(destination: str, pattern: str) -> bool:
    host = parse.urlsplit(destination).hostname or ''
    wanted = pattern.strip('[]').lower()
    # A name can begin with the numbers of an address, and lead anywhere.
    if _NUMERIC.fullmatch(wanted) and wanted.strip('*') and not _is_v4(host):
        return False
    if ':' in wanted and ':' not in host:
        return False
    found = '.*'.join(map(re.escape, wanted.split('*')))
    return bool(re.fullmatch(found, host))


def _is_v4(host: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(host))
    except ValueError:
        return False


def _is_below(destination: str, allowed: str) -> bool:
    found, wanted = parse.urlsplit(destination), parse.urlsplit(allowed)
    path = wanted.path.rstrip('/')
    return _place(found) == _place(wanted) and (
        found.path == path or found.path.startswith(f'{path}/') or not path
    )


def _place(parts: parse.SplitResult) -> tuple[str, str | None, int | None]:
    port = parts.port or _PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port
