# SPDX-License-Identifier: Apache-2.0
"""
Times, time spans and sizes on the command line.

Owns how people type them, and how a table shows times. Spans are parsed by
pytimeparse, or isodate where they are ISO 8601, sizes by humanfriendly.
"""

import argparse
import datetime
import re
from typing import Any

_UNITS = {
    's': 1,
    'm': 60,
    'h': 3600,
    'd': 86_400,
    'w': 7 * 86_400,
}
_SHORTEST = datetime.timedelta(minutes=1)
_LONGEST = datetime.timedelta(days=100 * 365)
# Everybody who types G means what memory and disks are counted in.
_LETTER = re.compile(r'[\d.]+\s*[kmgtp]', re.ASCII | re.IGNORECASE)
# Of a limit, what is cut off would be no limit at all.
_PART_OF_A_BYTE = re.compile(
    r'\d*\.\d*\s*(b|bytes?)?', re.ASCII | re.IGNORECASE
)
_MOST_BYTES = 2**63 - 1


def add_option(parser: Any) -> None:
    """Add ``--expires`` to a parser or a group of one."""
    parser.add_argument(
        '--expires',
        type=when,
        metavar='WHEN',
        help='When the snapshot can be pruned: after a span such as 90m, 7d, '
        '"2 days" or P2D, or at a time with its zone, such as '
        '2030-01-31T12:00:00Z.',
    )


def when(text: str) -> str:
    """Return *text* as a Redfish date and time."""
    passed = _span(text)
    if passed is not None:
        _check_expiry(text, passed)
    try:
        if passed is not None:
            moment = datetime.datetime.now(datetime.UTC) + passed
        else:
            moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise argparse.ArgumentTypeError(f'{text!r} has no time zone')
        return moment.astimezone(datetime.UTC).isoformat(timespec='seconds')
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f'{text!r} is neither a span such as 7d, 2d12h, "2 days" or P2D '
            'nor a time'
        ) from None


def _check_expiry(text: str, passed: datetime.timedelta) -> None:
    if passed.microseconds:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a whole number of seconds'
        )
    if passed < _SHORTEST:
        raise argparse.ArgumentTypeError(
            f'{text!r} is too short; use at least 1m'
        )


def span(text: str) -> int:
    """Return the seconds of a span such as 2d12h, or of a bare number."""
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text)
    found = _span(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a span such as 90m, 2d12h, "2 days" or P2D'
        )
    if found.microseconds:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a whole number of seconds'
        )
    return int(found.total_seconds())


def _span(text: str) -> datetime.timedelta | None:
    """The span that *text* is; None for anything else, or if it is absurd."""
    if not text.isascii() or text.startswith(('+', '-')) or ':' in text:
        return None
    found = _of_iso(text) if text[:1] in 'Pp' else _of_words(text)
    inside = found is not None and found <= _LONGEST
    return found if inside else None


def _of_iso(text: str) -> datetime.timedelta | None:
    import isodate

    try:
        found = isodate.parse_duration(text.upper())
    except isodate.ISO8601Error:
        return None
    # Nobody knows how long a month is.
    return found if isinstance(found, datetime.timedelta) else None


def _of_words(text: str) -> datetime.timedelta | None:
    from pytimeparse import timeparse

    try:
        seconds = timeparse.timeparse(text)
        return None if seconds is None else datetime.timedelta(0, seconds)
    except OverflowError:
        return None


def size(text: str) -> int:
    """Return the bytes of a size such as 20G, 20GiB (2**30) or 20GB (1e9)."""
    import humanfriendly

    whole = f'{text}iB' if _LETTER.fullmatch(text) else text
    try:
        found = int(humanfriendly.parse_size(whole))
    except (humanfriendly.InvalidSize, ValueError):
        found = -1
    if not (text.isascii() and 0 <= found <= _MOST_BYTES):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a size such as 500M, 1.5G, 20GiB or 20GB'
        )
    cut = not found and re.search('[1-9]', text)
    if cut or _PART_OF_A_BYTE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a whole number of bytes'
        )
    return found


def exact(moment: datetime.datetime) -> str:
    """Return *moment* as Redfish writes it."""
    return f'{moment:%Y-%m-%dT%H:%M:%SZ}'


def ago(created: datetime.datetime, now: float) -> str:
    """Return how long ago *created* was, in its largest unit."""
    passed = max(0, int(now - created.timestamp()))
    return in_units(passed).partition(' ')[0]


def ahead(moment: datetime.datetime, now: float) -> str | None:
    """Return how far *moment* is ahead, as ``in 1d 3h``; None if it is not."""
    left = int(moment.timestamp() - now)
    return f'in {" ".join(in_units(left).split()[:2])}' if left > 0 else None


def in_units(seconds: int) -> str:
    """Return *seconds* in all the units that they need."""
    words = []
    for unit, size in reversed(_UNITS.items()):
        count, seconds = divmod(seconds, size)
        words += [f'{count}{unit}'] if count else []
    return ' '.join(words) or '0s'
