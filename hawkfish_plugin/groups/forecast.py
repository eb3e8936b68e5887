# SPDX-License-Identifier: Apache-2.0
"""
What a group create or revert would do and need, of all systems together.

Pure: it is given what is forecast of each system.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract

# Two folders of which so much more or less is known to be free are on two
# file systems: what is free changes while they are looked at.
_SAME_FREE_BYTES = 64 * 2**20

Need = tuple[str, int, int]
"""Folders of one file system, and the bytes needed and available there."""


@dataclasses.dataclass(frozen=True)
class GroupForecast:
    """
    What a group create called *name* would make of each of *systems*.

    *pause* is the longest common pause in milliseconds, None where there is
    none; *limit* the longest that is allowed, None for any; *speed* the bytes
    that are taken to be written in a second.
    """

    name: str
    consistency: str
    systems: Sequence[contract.System]
    forecasts: Sequence[contract.Forecast]
    pause: float | None
    limit: float | None
    speed: float

    @property
    def memory(self) -> int:
        """The bytes of memory that are saved at the most."""
        return memory(self.forecasts)

    @property
    def needs(self) -> Sequence[Need]:
        return total_needs(self.forecasts)


@dataclasses.dataclass(frozen=True)
class MemberRevert:
    """
    What a group revert would do to *system*.

    *current* is its current snapshot.
    """

    system: contract.System
    forecast: contract.RevertForecast
    current: str | None


@dataclasses.dataclass(frozen=True)
class GroupRevertForecast:
    """
    What a group revert to *name* would do to each of *members*.

    *kept*: the snapshot of their present state stays; *safety* is what each of
    these would be.  *alone* are the systems of the group that stay as they
    are.
    """

    name: str
    members: Sequence[MemberRevert]
    kept: bool
    safety: Sequence[contract.Forecast]
    alone: Sequence[contract.System]

    @property
    def needs(self) -> Sequence[Need]:
        return total_needs(
            [*self.safety, *(one.forecast for one in self.members)]
        )


@dataclasses.dataclass(frozen=True)
class Going:
    """
    A snapshot of *system* that goes after a create, and the *reason*.

    *group* and *snapshot* name the group snapshot that goes with it.
    """

    system: contract.System
    name: str
    reason: str
    group: str | None = None
    snapshot: str = ''


@dataclasses.dataclass(frozen=True)
class GroupPlan:
    """
    What the policies of all systems make of a create.

    *kept* has the reasons of each group snapshot that stays, and *unmet* the
    limits that cannot be reached, each with the name of the system.
    """

    going: Sequence[Going]
    kept: Mapping[str, Sequence[str]]
    unmet: Sequence[str]


def memory(forecasts: Iterable[contract.Forecast]) -> int:
    """The bytes of memory that are saved at the most."""
    return sum(found.size.own for found in forecasts if found.memory)


def total_needs(
    forecasts: Iterable[contract.Forecast | contract.RevertForecast],
) -> Sequence[Need]:
    """
    What is needed on each file system together.

    A driver names folders.  Those with as much left are taken to be on one
    file system: where that errs, too much is asked for, never too little.
    """
    folders: dict[str, tuple[int, int]] = {}
    for forecast in forecasts:
        for folder, needed, available in forecast.needs:
            before, free = folders.get(folder, (0, available))
            folders[folder] = before + needed, min(free, available)
    found: list[Need] = []
    for folder, (needed, free) in folders.items():
        for position, (others, more, left) in enumerate(found):
            if abs(left - free) < _SAME_FREE_BYTES:
                joined = f'{others}, {folder}'
                found[position] = joined, more + needed, min(left, free)
                break
        else:
            found.append((folder, needed, free))
    return found


def check_space(
    forecasts: Iterable[contract.Forecast | contract.RevertForecast],
) -> None:
    """Raise InsufficientSpace where there is no room for all of them."""
    exceptions.check(
        [
            exceptions.InsufficientSpace(*need)
            for need in total_needs(forecasts)
            if need[1] > need[2]
        ]
    )
