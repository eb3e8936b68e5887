# SPDX-License-Identifier: Apache-2.0
"""
Whether a group create is admitted, and what it would make.

Owns what a client may ask of one, how long its systems may be paused, and the
look at all of them before the first is touched: at the request, and in its
turn where room was made.
"""

import dataclasses
import time
from collections.abc import Sequence

from oslo_config import cfg

from hawkfish_plugin import exceptions, names
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups import forecast, views
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.forecast import GroupForecast, GroupPlan
from hawkfish_plugin.groups.table import Group, Groups
from hawkfish_plugin.operations import group_room, grouped
from hawkfish_plugin.operations.admission import (
    Admission,
    CreateArguments,
    CreateOptions,
    Seen,
)
from hawkfish_plugin.operations.group_prune import GroupPrune, Reach
from hawkfish_plugin.operations.options import SnapshotOptions
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.records import Record
from hawkfish_plugin.retention import rules

# Where nothing was measured yet, of a slow disk.
_BYTES_PER_SECOND = 100 * 2**20
# A pause without memory: the new files of the disks.
_LEAST_PAUSE_MS = 500.0


@dataclasses.dataclass(frozen=True)
class GroupOptions(SnapshotOptions):
    """
    What a client asks of a group create.

    *consistency* is one of ``contract.CONSISTENCIES``; the others are as in
    ``CreateOptions``.
    """

    name: str | None = None
    _: dataclasses.KW_ONLY
    consistency: str = contract.CONSISTENT

    def of_member(self, name: str) -> CreateOptions:
        """What it asks of each system."""
        return CreateOptions(
            name,
            memory=self.consistency != contract.DISKS_ONLY,
            consistency=self.consistency,
            **self.common,
        )


@dataclasses.dataclass(frozen=True)
class GroupCreateArguments(SnapshotOptions, Record):
    """
    What a task keeps of GroupOptions, with the name that was chosen.

    *is_crowded* has room made in its turn, where it is still needed.
    """

    group: str
    snapshot: str
    _: dataclasses.KW_ONLY
    consistency: str = contract.CONSISTENT
    is_crowded: bool = False

    @property
    def of_member(self) -> CreateArguments:
        """What the task of each system keeps."""
        options = GroupOptions(consistency=self.consistency, **self.common)
        return options.of_member(self.snapshot).arguments(self.snapshot)


class GroupAdmission:
    """What stands in the way of a create of all systems of a group."""

    def __init__(
        self,
        groups: GroupCatalogue,
        group_table: Groups,
        admission: Admission,
        prune: Prune,
        group_prune: GroupPrune,
        conf: cfg.ConfigOpts,
    ) -> None:
        self._groups = groups
        self._table = group_table
        self._admission = admission
        self._prune = prune
        self._group_prune = group_prune
        self._conf = conf.groups

    # At the request -------------------------------------------------------

    def look(
        self, group: Group, options: GroupOptions
    ) -> tuple[GroupForecast, bool]:
        """
        What a create would make, and whether others are in its way.

        Raises everything that is known beforehand to stand in the way of any
        system, and GroupPauseTooLong.
        """
        if options.name is not None:
            names.check(options.name)
        systems = self._groups.present(group)
        if options.name is not None:
            self._check_free(group, systems, options.name)
        name = options.name or names.of_now(
            'snapshot', self._groups.taken(systems)
        )
        looks = self._look(systems, options.of_member(name))
        seen = self._together(
            group.name,
            name,
            options.consistency,
            systems,
            [one.forecast for one in looks],
        )
        if any(one.lacking for one in looks):
            by_system = dict(zip(systems, looks, strict=True))
            going = self.plan(group, options, seen).going
            group_room.check(group.name, by_system, going)
        return seen, any(one.lacking or one.is_changing for one in looks)

    def _check_free(
        self, group: Group, systems: Sequence[contract.System], name: str
    ) -> None:
        """Raise where *name* is taken, once for all systems."""
        if self._groups.is_coming(group, name) or self._is_there(group, name):
            raise exceptions.GroupSnapshotExists(group.name, name)
        having = [s for s in systems if name in self._groups.taken([s])]
        if having:
            raise exceptions.GroupSnapshotNameTaken(
                name, views.names_of(having)
            )

    def _is_there(self, group: Group, name: str) -> bool:
        """Whether *group* has a snapshot *name*, whatever its parts' names."""
        noted = {s.name for s in self._table.snapshots(group.name)}
        if name not in noted:
            return False
        return name in {whole.name for whole in self._groups.list(group)}

    def _look(
        self, systems: Sequence[contract.System], options: CreateOptions
    ) -> Sequence[Seen]:
        try:
            return grouped.ask_all(
                systems, lambda system: self._admission.look(system, options)
            )
        except exceptions.Refused:
            # With what is lacking in others, all at once.
            return grouped.ask_all(
                systems, lambda system: self._admission.check(system, options)
            )

    def plan(
        self, group: Group, options: GroupOptions, seen: GroupForecast
    ) -> GroupPlan:
        """What would become of the others."""
        return self._group_prune.plan(
            group,
            {
                system: self._plan(system, options, seen.name, planned)
                for system, planned in zip(
                    seen.systems, seen.forecasts, strict=True
                )
            },
        )

    def _plan(
        self,
        system: contract.System,
        options: GroupOptions,
        name: str,
        planned: contract.Forecast,
    ) -> rules.Plan:
        coming = contract.Snapshot(
            name,
            '',
            int(time.time()),
            None,
            planned.memory,
            planned.external,
            self._groups.current(system),
            current=True,
        )
        keep = (rules.LOCKED,) if options.locked else ()
        return self._prune.plan_with(
            system,
            rules.Subject(
                coming,
                planned.size,
                options.expires,
                keep,
                scheduled=options.scheduled,
            ),
            None,
            Reach.NEWER,
        )

    # In its turn ----------------------------------------------------------

    def check_again(
        self,
        systems: Sequence[contract.System],
        arguments: GroupCreateArguments,
    ) -> None:
        """Raise what could not be known before room was made."""
        member = arguments.of_member
        looks = grouped.ask_all(
            systems, lambda system: self._again(system, member)
        )
        self._together(
            arguments.group,
            arguments.snapshot,
            arguments.consistency,
            systems,
            looks,
        )

    def _again(
        self, system: contract.System, arguments: CreateArguments
    ) -> contract.Forecast:
        seen = self._admission.look_again(system, arguments)
        if seen.lacking:
            raise seen.lacking
        return seen.forecast

    # All together ---------------------------------------------------------

    def _together(
        self,
        group: str,
        name: str,
        consistency: str,
        systems: Sequence[contract.System],
        forecasts: Sequence[contract.Forecast],
    ) -> GroupForecast:
        """The forecast of all; raises what they are too much of together."""
        forecast.check_space(forecasts)
        memory = forecast.memory(forecasts)
        speed = self._speed(group, forecasts, memory)
        pause = None
        if consistency != contract.LIVE:
            pause = _LEAST_PAUSE_MS + 1000 * memory / speed
        limit = 1000.0 * self._conf.max_pause or None
        if pause and limit and pause > limit:
            raise exceptions.GroupPauseTooLong(
                group, round(pause), round(limit)
            )
        return GroupForecast(
            name, consistency, systems, forecasts, pause, limit, speed
        )

    def _speed(
        self,
        group: str,
        forecasts: Sequence[contract.Forecast],
        memory: int,
    ) -> float:
        """How many bytes of memory are taken to be written in a second."""
        measured = self._table.written_per_second(group)
        if measured:
            return measured
        # What the driver says of each, as if one came after the other.
        seconds = sum(f.pause or 0.0 for f in forecasts if f.memory)
        return memory / seconds if seconds else _BYTES_PER_SECOND
