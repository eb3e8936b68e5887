# SPDX-License-Identifier: Apache-2.0
"""
Values that a table shows to people, and all other formats exactly.

Each of these takes a value as the service gives it, and lets None be None.
"""

import datetime
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cliff import columns

from hawkfish_plugin.cli import output, times

_GREEN, _YELLOW, _RED = 32, 33, 31
_COLOURS = {
    **dict.fromkeys(('Ready', 'Completed', 'OK', 'Passed'), _GREEN),
    **dict.fromkeys(
        (
            *('Creating', 'Reverting', 'Deleting', 'New', 'Running'),
            *('Cancelling', 'Cancelled', 'Mixed', 'Incomplete', 'Warning'),
        ),
        _YELLOW,
    ),
    **dict.fromkeys(
        ('Failed', 'Exception', 'Killed', 'Damaged', 'Critical'), _RED
    ),
}


class _State(columns.FormattableColumn[str]):
    def human_readable(self) -> str:
        word = output.printable(self._value)
        colour = _COLOURS.get(self._value) if _has_colours() else None
        return f'\x1b[{colour}m{word}\x1b[0m' if colour else word


class _Size(columns.FormattableColumn[int]):
    def human_readable(self) -> str:
        return output.size(self._value) or ''


class _Span(columns.FormattableColumn[int]):
    def human_readable(self) -> str:
        return times.in_units(self._value)


class Age(columns.FormattableColumn[datetime.datetime]):
    """How long ago a time was, or how far it is ahead."""

    def human_readable(self) -> str:
        return self._in('{}')

    def _in(self, past: str) -> str:
        now = time.time()
        left = times.ahead(self._value, now)
        return left or past.format(times.ago(self._value, now))


class Moment(Age):
    """A time, with its ``Age``."""

    def human_readable(self) -> str:
        return f'{times.exact(self._value)} ({self._in("{} ago")})'

    def brief(self) -> Age:
        """What is shown of it where there are several rows."""
        return Age(self._value)


class _Due(Moment):
    """A time that something is to happen at, with how far it is ahead."""

    def human_readable(self) -> str:
        return f'{times.exact(self._value)} ({self._in("due")})'

    def brief(self) -> Age:
        return _DueAge(self._value)


class _DueAge(Age):
    def human_readable(self) -> str:
        return self._in('due')


class _Shown(columns.FormattableColumn[Any]):
    def __init__(self, value: Any, lines: Sequence[str]) -> None:
        super().__init__(value)
        self._lines = lines

    def human_readable(self) -> str:
        return '\n'.join(map(output.printable, self._lines))


class _Limit(columns.FormattableColumn[Any]):
    def __init__(self, value: Any, shown: Any) -> None:
        super().__init__(value)
        self._shown = shown

    def human_readable(self) -> str:
        return str(self._shown) if self._value else 'no limit'


class System(columns.FormattableColumn[str]):
    """The UUID of a system, which a table shows by its name."""

    def human_readable(self) -> str:
        return output.printable(self._value)

    def among(self, names: Mapping[str, str]) -> str:
        """Return what it is called in *names*, or the UUID."""
        return output.printable(names.get(self._value, self._value))


def state(value: str | None) -> Any:
    """A state, in its colour."""
    return None if value is None else _State(value)


def size(value: int | None) -> Any:
    """A number of bytes."""
    return None if value is None else _Size(value)


def moment(value: datetime.datetime | None) -> Any:
    """A time."""
    return None if value is None else Moment(value)


def due(value: datetime.datetime | None) -> Any:
    """A time that something is to happen at."""
    return None if value is None else _Due(value)


def shown(value: Any, *lines: str) -> Any:
    """A value that a table says in words, in *lines*."""
    return _Shown(value, lines)


def words(name: str) -> str:
    """What a *name* of Redfish, such as WithinLimits, is in words."""
    return re.sub('(?<=[a-z])(?=[A-Z])', ' ', name).lower()


def limit(value: int | None) -> Any:
    """A number of which 0 means no limit."""
    return None if value is None else _Limit(value, value)


def size_limit(value: int | None) -> Any:
    """A number of bytes of which 0 means no limit."""
    return None if value is None else _Limit(value, _Size(value))


def span_limit(value: int | None) -> Any:
    """A number of seconds of which 0 means no limit."""
    return None if value is None else _Limit(value, _Span(value))


def system(value: str | None) -> Any:
    """The UUID of a system."""
    return None if value is None else System(value)


def _has_colours() -> bool:
    plain = os.environ.get('NO_COLOR') or os.environ.get('TERM') == 'dumb'
    return sys.stdout.isatty() and not plain


def exact(value: Any) -> Any:
    """Return what any *value* of a table stands for."""
    if isinstance(value, columns.FormattableColumn):
        value = value.machine_readable()
    if isinstance(value, datetime.datetime):
        return times.exact(value)
    return value
