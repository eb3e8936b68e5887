# SPDX-License-Identifier: Apache-2.0
"""Durations as Redfish has them: ISO 8601, without years and months."""

import datetime
import re

import isodate

_DURATION = re.compile(
    r'P(?:(\d{1,5})D)?(?:T(?:(\d{1,7})H)?(?:(\d{1,7})M)?'
    r'(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?',
    re.ASCII,
)


def is_valid(text: str) -> bool:
    """Whether *text* is a duration."""
    return bool(_DURATION.fullmatch(text)) and not text.endswith(('P', 'T'))


def seconds(text: str) -> float:
    """The seconds of a duration; raises ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'no duration: {text}')
    days, hours, minutes, rest = (float(n or 0) for n in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def text(seconds: float) -> str:
    """A number of *seconds* as a duration."""
    return str(isodate.duration_isoformat(datetime.timedelta(0, seconds)))
