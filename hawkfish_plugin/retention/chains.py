# SPDX-License-Identifier: Apache-2.0
"""
The retention of backups: which ones nobody wants any more.

Pure.  A backup is worth nothing without those that it stands on, so one goes
only when none of those to keep stands on it.
"""

from collections.abc import Mapping, Sequence

from hawkfish_plugin.backups import StoredBackup, chain_of
from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.retention.rules import SCHEDULE

COUNT, AGE = 'MaxBackups', 'MaxBackupDays'

_DAY_SECONDS = 24 * 3600


def superfluous(
    backups: Sequence[StoredBackup],
    now: float,
    most: int,
    days: int,
    schedules: Mapping[int, Classes],
) -> list[tuple[StoredBackup, str]]:
    """
    Those of one system that can go, in the order to delete them, and why.

    *backups* are oldest first; *most* and *days* 0 are no limit.  The newest
    one always stays.  *schedules* are the classes of those that have any, by
    their ids.
    """
    whole = [one for one in backups if not one.deleting]
    kept, reasons = set[int](), dict[int, str]()
    unwanted = _of_no_class(whole, schedules)
    for rank, one in enumerate(reversed(whole)):
        reason = ''
        if rank and most and rank >= most:
            reason = COUNT
        elif rank and days and now - one.created > days * _DAY_SECONDS:
            reason = AGE
        elif rank and one.id in unwanted:
            reason = SCHEDULE
        if reason:
            reasons[one.id] = reason
        else:
            kept |= {below.id for below in chain_of(one, whole)}
    return [
        (one, reasons[one.id])
        for one in reversed(whole)
        if one.id in reasons and one.id not in kept
    ]


def _of_no_class(
    backups: Sequence[StoredBackup], schedules: Mapping[int, Classes]
) -> set[int]:
    """
    What no class of the schedule that has made it keeps.

    One that was found to be flawed takes no place of another one.
    """
    found = set[int]()
    for schedule, classes in schedules.items():
        made = [
            one for one in backups if one.schedule == schedule and not one.flaw
        ]
        marks = classes.kept([one.created for one in made])
        found |= {
            one.id for one, mark in zip(made, marks, strict=True) if not mark
        }
    return found
