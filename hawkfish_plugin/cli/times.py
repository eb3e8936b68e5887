# SPDX-License-Identifier: Apache-2.0
"""
Times and time spans on the command line.

Owns ``--expires WHEN``: a time with its zone, or a time span from now.
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
_SPAN = re.compile(r'(\d{1,9})([smhdw])', re.ASCII)


def add_option(parser: Any) -> None:
    """Add ``--expires`` to a parser or a group of one."""
    parser.add_argument(
        '--expires',
        type=when,
        metavar='WHEN',
        help='When the snapshot can be pruned: after a span such as 90m, 12h, '
        '7d or 4w, or at a time with its zone, such as '
        '2030-01-31T12:00:00Z.',
    )


def when(text: str) -> str:
    """Return *text* as a Redfish date and time."""
    found = _SPAN.fullmatch(text)
    try:
        if found:
            moment = datetime.datetime.now(datetime.UTC)
            moment += datetime.timedelta(seconds=span(text))
        else:
            moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise argparse.ArgumentTypeError(f'{text!r} has no time zone')
        return moment.astimezone(datetime.UTC).isoformat(timespec='seconds')
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f'{text!r} is neither a span such as 7d nor a time'
        ) from None


def span(text: str) -> int:
    """Return the seconds of a span such as 7d, or of a bare number."""
    if text.isascii() and text.isdigit():
        return int(text)
    found = _SPAN.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a span such as 90m, 12h, 7d or 4w'
        )
    return int(found[1]) * _UNITS[found[2]]


def exact(moment: datetime.datetime) -> str:
    """Return *moment* as Redfish writes it."""
    return f'{moment:%Y-%m-%dT%H:%M:%SZ}'


def ago(created: datetime.datetime, now: float) -> str:
    """Return how long ago *created* was, in its largest unit."""
    passed = max(0, int(now - created.timestamp()))
    for unit in ('w', 'd', 'h', 'm'):
        if passed >= _UNITS[unit]:
            return f'{passed // _UNITS[unit]}{unit}'
    return f'{passed}s'
