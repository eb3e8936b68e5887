# SPDX-License-Identifier: Apache-2.0
"""
The options of a schedule.

Owns how people type when it runs. The service decides which values are valid.
"""

import argparse
import datetime

from hawkfish_plugin.cli import base, options, times
from hawkfish_plugin.cli.group_snapshots import CONSISTENCIES

WEEKDAYS = (
    *('Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'),
    'Sunday',
)
MONTHS = (
    *('January', 'February', 'March', 'April', 'May', 'June', 'July'),
    *('August', 'September', 'October', 'November', 'December'),
)


def _start(text: str) -> str:
    """A time as it is typed, as its offset says what a day is."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return times.when(text)
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f'{text!r} has no time zone')
    return found.isoformat(timespec='seconds')


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number')
    return int(text)


def add_times(parser: argparse.ArgumentParser) -> None:
    """Add when it runs."""
    parser.add_argument(
        '--every',
        type=times.span,
        metavar='SPAN',
        help='Time from one run to the next: in seconds, or as 12h, 1d, '
        '"2 weeks" or P1D. Without it there is one run.',
    )
    parser.add_argument(
        '--start',
        type=_start,
        metavar='WHEN',
        help='Time of the first run, such as 2030-01-31T02:00:00+01:00, or a '
        'span from now; now if not given. Its offset from UTC says what a day '
        'is, all year.',
    )
    parser.add_argument(
        '--weekday',
        action='append',
        type=base.any_case(WEEKDAYS),
        choices=WEEKDAYS,
        help='Run on this day of the week only. Can be repeated.',
    )
    parser.add_argument(
        '--day',
        action='append',
        type=_count,
        metavar='N',
        help='Run on this day of the month only. Can be repeated.',
    )
    parser.add_argument(
        '--month',
        action='append',
        type=base.any_case(MONTHS),
        choices=MONTHS,
        help='Run in this month only. Can be repeated.',
    )
    parser.add_argument(
        '--most',
        type=_count,
        metavar='N',
        help='Maximum number of runs.',
    )
    parser.add_argument(
        '--lifetime',
        type=times.span,
        metavar='SPAN',
        help='Time from now on after which there are no more runs.',
    )


def add_retention(parser: argparse.ArgumentParser) -> None:
    """Add how much of what it makes is kept."""
    keep = {
        'last': 'Keep the newest N.',
        'daily': 'Keep the newest of each day, for N days.',
        'weekly': 'Keep the newest of each week, for N weeks.',
        'monthly': 'Keep the newest of each month, for N months.',
    }
    for one, text in keep.items():
        parser.add_argument(
            f'--keep-{one}', type=_count, metavar='N', help=text
        )


def add_body(parser: argparse.ArgumentParser) -> None:
    """Add what each of its requests has."""
    parser.add_argument(
        '--description', help='Description of each snapshot or backup.'
    )
    parser.add_argument(
        '--quiesce',
        type=base.any_case(options.QUIESCE_MODES),
        choices=options.QUIESCE_MODES,
        help='Whether to quiesce the file systems; see "hawkfish snapshot '
        'create".',
    )
    parser.add_argument(
        '--lock',
        action='store_true',
        default=None,
        help='Protect each snapshot from being deleted or pruned.',
    )
    parser.add_argument(
        '--no-memory',
        action='store_true',
        help='Do not save the memory of a running system.',
    )
    parser.add_argument(
        '--consistency',
        type=base.any_case(CONSISTENCIES),
        choices=CONSISTENCIES,
        help='Of the snapshots of a group; see "hawkfish group snapshot '
        'create".',
    )
    parser.add_argument(
        '--full', action='store_true', help='Store everything in each backup.'
    )
