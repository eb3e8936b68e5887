# SPDX-License-Identifier: Apache-2.0
"""When a schedule is due, and which of its snapshots its classes keep."""

import datetime
import random

import pytest

from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.schedules.recurrence import DAY_SECONDS, Recurrence

HOUR = 3600


def at(text):
    return int(datetime.datetime.fromisoformat(text).timestamp())


def told(moments):
    return [
        f'{datetime.datetime.fromtimestamp(m, datetime.UTC):%a %d %b %H:%M}'
        for m in moments
    ]


def first(rule, count, after=None):
    """The first *count* occurrences of *rule* after a moment."""
    moment, found = rule.start - 1 if after is None else after, []
    while len(found) < count:
        moment = rule.after(moment, len(found))
        if moment is None:
            break
        found.append(moment)
    return found


START = at('2026-03-27T02:30:00+00:00')  # a Friday


def test_the_first_one_is_at_the_start():
    rule = Recurrence(START, 6 * HOUR)

    assert told(first(rule, 3)) == [
        'Fri 27 Mar 02:30',
        'Fri 27 Mar 08:30',
        'Fri 27 Mar 14:30',
    ]


def test_without_an_interval_there_is_one():
    rule = Recurrence(START)

    assert first(rule, 3) == [START]
    assert rule.after(START) is None


def test_long_after_the_start_it_is_the_next_on_the_line():
    """Nothing is counted through: years of minutes cost nothing."""
    rule = Recurrence(START, 60)
    late = START + 20 * 365 * DAY_SECONDS + 1

    assert rule.after(late) == late + 59


def test_days_of_the_week():
    rule = Recurrence(START, DAY_SECONDS, weekdays=(0, 6))

    assert told(first(rule, 3)) == [
        'Sun 29 Mar 02:30',
        'Mon 30 Mar 02:30',
        'Sun 05 Apr 02:30',
    ]


def test_an_interval_goes_on_within_the_days_that_are_enabled():
    rule = Recurrence(START, 9 * HOUR, weekdays=(5,))

    # On the line from the start, not from midnight of the day.
    assert told(first(rule, 4)) == [
        'Sat 28 Mar 05:30',
        'Sat 28 Mar 14:30',
        'Sat 28 Mar 23:30',
        'Sat 04 Apr 08:30',
    ]


def test_days_and_months_hold_together():
    rule = Recurrence(START, DAY_SECONDS, days=(1, 31), months=(4, 5))

    assert told(first(rule, 4)) == [
        'Wed 01 Apr 02:30',
        'Fri 01 May 02:30',
        'Sun 31 May 02:30',
        'Thu 01 Apr 02:30',
    ]


def test_a_leap_day():
    rule = Recurrence(START, DAY_SECONDS, days=(29,), months=(2,))

    assert [
        datetime.datetime.fromtimestamp(m, datetime.UTC).year
        for m in first(rule, 2)
    ] == [2028, 2032]


@pytest.mark.parametrize(
    'rule',
    [
        Recurrence(START, DAY_SECONDS, days=(30, 31), months=(2,)),
        # From a Friday, by weeks: never a Monday.
        Recurrence(START, 7 * DAY_SECONDS, weekdays=(0,)),
        Recurrence(START, weekdays=(0,)),
    ],
    ids=['no such day', 'beside the days', 'not on its only day'],
)
def test_what_never_is(rule):
    assert rule.after(START - 1) is None


def test_days_are_those_of_the_offset():
    """Half past midnight in Berlin's winter is the evening before in UTC."""
    start = at('2026-11-30T00:30:00+01:00')  # a Monday there, a Sunday here
    rule = Recurrence(start, DAY_SECONDS, offset=HOUR, weekdays=(0,))

    assert told(first(rule, 2)) == ['Sun 29 Nov 23:30', 'Sun 06 Dec 23:30']


def test_the_most_and_the_end():
    rule = Recurrence(START, HOUR, most=2)
    assert len(first(rule, 5)) == 2
    rule = Recurrence(START, HOUR, ends=START + 3 * HOUR)
    assert len(first(rule, 9)) == 4


def plain(rule, moment):
    """The next occurrence, found by looking at each."""
    found = rule.start
    for _ in range(100_000):
        if found > moment:
            day = datetime.datetime.fromtimestamp(
                found + rule.offset, datetime.UTC
            )
            if (
                (not rule.weekdays or day.weekday() in rule.weekdays)
                and (not rule.days or day.day in rule.days)
                and (not rule.months or day.month in rule.months)
            ):
                return found
        found += rule.interval
    raise AssertionError(rule)


def test_it_is_what_one_finds_by_counting():
    chance = random.Random(4)
    for _ in range(300):
        rule = Recurrence(
            START + chance.randrange(10**6),
            chance.choice([3600, 7 * 3600, 86_400, 90_061, 3 * 86_400]),
            chance.choice([0, 3600, -5 * 3600, 19_800]),
            tuple(chance.sample(range(7), chance.choice([0, 2, 5]))),
            tuple(chance.sample(range(1, 29), chance.choice([0, 9]))),
            tuple(chance.sample(range(1, 13), chance.choice([0, 6]))),
        )
        moment = rule.start + chance.randrange(-(10**5), 10**8)

        assert rule.after(moment) == plain(rule, moment), rule


# Classes


def days(*numbers, hour=2):
    return [START + n * DAY_SECONDS + (hour - 2) * HOUR for n in numbers]


def test_no_class_keeps_nothing():
    assert not Classes()
    assert Classes().kept(days(0, 1)) == [None, None]


def test_the_last_ones():
    assert Classes(last=2).kept(days(0, 1, 2)) == [
        None,
        'KeepLast',
        'KeepLast',
    ]


def test_the_newest_of_each_day():
    morning, evening = days(0, 1), days(0, 1, hour=20)
    moments = sorted(morning + evening)

    assert Classes(daily=7).kept(moments) == [
        None,
        'KeepDaily',
        None,
        'KeepDaily',
    ]


def test_a_day_of_which_one_is_kept_is_no_concern_of_the_next_class():
    """As in Proxmox's prune: a class looks at what is older."""
    moments = days(0, 1, 2, 3, 4, 5)

    assert Classes(last=2, daily=2).kept(moments) == [
        None,
        None,
        'KeepDaily',
        'KeepDaily',
        'KeepLast',
        'KeepLast',
    ]


def test_a_week_begins_on_monday():
    # Friday 27 March to Tuesday 7 April.
    moments = days(*range(12))
    kept = Classes(weekly=3).kept(moments)

    assert [
        name
        for name, reason in zip(told(moments), kept, strict=True)
        if reason
    ] == ['Sun 29 Mar 02:30', 'Sun 05 Apr 02:30', 'Tue 07 Apr 02:30']


def test_the_end_of_a_year():
    """A week that lies in two years is one week."""
    start = at('2026-12-30T02:00:00+00:00')
    moments = [start + n * DAY_SECONDS for n in range(8)]

    assert [bool(r) for r in Classes(weekly=9).kept(moments)] == [
        *(False,) * 4,
        True,
        *(False,) * 2,
        True,
    ]
    assert sum(map(bool, Classes(monthly=9).kept(moments))) == 2


def test_the_offset_says_which_day_it_is():
    evening = at('2026-03-27T23:30:00+00:00')
    moments = [evening, evening + HOUR]

    assert Classes(daily=9).kept(moments) == ['KeepDaily'] * 2
    assert Classes(daily=9, offset=HOUR).kept(moments) == [None, 'KeepDaily']


def test_the_order_does_not_matter():
    moments = days(3, 0, 2, 1)

    assert Classes(last=1).kept(moments) == ['KeepLast', None, None, None]


def test_what_stays_stays_when_the_others_have_gone():
    """What goes changes nothing of what stays."""
    classes = Classes(last=3, daily=5, weekly=4, monthly=3)
    left = []
    for moment in days(*range(200)):
        left.append(moment)
        left = [m for m, r in zip(left, classes.kept(left), strict=True) if r]
        assert None not in classes.kept(left)

    # From below: three months, four weeks, five days, and the last three.
    assert told(left[:7]) == [
        *('Sun 28 Jun 02:30', 'Sun 26 Jul 02:30', 'Sun 30 Aug 02:30'),
        *('Sun 13 Sep 02:30', 'Sun 20 Sep 02:30', 'Sun 27 Sep 02:30'),
        'Sun 04 Oct 02:30',
    ]
    assert left[7:] == days(*range(192, 200))
