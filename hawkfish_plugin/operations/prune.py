# SPDX-License-Identifier: Apache-2.0
"""
Prune: ordinary delete tasks for what the policy no longer allows.

Owns when the policy is applied: before, in or after a create, and periodically
to snapshots that have become too old.  ``retention.rules`` decides which ones.
A prune that fails is only logged.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence

import cachetools

from hawkfish_plugin import exceptions, messages, notes
from hawkfish_plugin.catalogue import Catalogue, check_sound
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.views import GroupView
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.group_prune import (
    GroupPrune,
    Pruned,
    Reach,
)
from hawkfish_plugin.retention import rules
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.tasks.context import SubTask

LOG = logging.getLogger(__name__)

# How often all systems are looked through for snapshots that are too old.
_AGING_SECONDS = 60.0
# How long a snapshot whose delete did not help is left alone.
_PATIENCE_SECONDS = 3600.0
_MOST_REMEMBERED = 10_000


@dataclasses.dataclass(frozen=True)
class Checked:
    """
    A snapshot that goes, and why.

    *wholes* are the group snapshots that go with it, as it is a part of them.
    """

    record: contract.Snapshot
    reason: str
    wholes: Sequence[GroupView] = ()


class Prune:
    """
    The retention of every system for which *serves* is true.

    From a decision to the submission of its deletes it decides alone for the
    system: two at once would count the same snapshot as gone.
    """

    def __init__(
        self,
        driver: contract.Driver,
        catalogue: Catalogue,
        note_table: notes.Notes,
        policies: Policies,
        delete: Delete,
        groups: GroupPrune,
        serves: Callable[[contract.System], bool],
    ) -> None:
        self._driver = driver
        self._catalogue = catalogue
        self._notes = note_table
        self._policies = policies
        self._delete = delete
        self._groups = groups
        self._serves = serves
        self._aged = float('-inf')
        self._tried: cachetools.TTLCache[tuple[str, str, int], bool] = (
            cachetools.TTLCache(_MOST_REMEMBERED, _PATIENCE_SECONDS)
        )

    def plan_with(
        self,
        system: contract.System,
        coming: rules.Subject,
        protect: str | None,
        reach: Reach = Reach.GROUP,
    ) -> rules.Plan:
        """What the policy makes of all snapshots when *coming* is there."""
        subjects = self._catalogue.subjects(system)
        plan = self._plan(system, subjects, coming, protect)
        held = self._groups.holding(system, subjects, reach, plan.pruned)
        if held == subjects:
            return plan
        return self._plan(system, held, coming, protect)

    def _plan(
        self,
        system: contract.System,
        subjects: Sequence[rules.Subject],
        coming: rules.Subject,
        protect: str | None,
    ) -> rules.Plan:
        return rules.plan(
            [
                *(
                    _not_current(subject)
                    for subject in _protected(subjects, protect)
                    if subject.name != coming.name
                ),
                coming,
            ],
            self._policies.get(system.uuid),
            time.time(),
            self._driver.referrers,
        )

    def after_create(self, system: contract.System) -> None:
        """Submit the deletes that the limits ask for, where there are any."""
        limits = self._policies.get(system.uuid)
        # What has expired goes in any case, at its time.
        if limits.snapshots or limits.age or limits.size or limits.schedules:
            self._prune(system, limits)

    def periodic(self) -> None:
        """Prune what has become too old, of every system."""
        due = self._notes.expired(time.time())
        aging: bool | set[str] = set()
        if time.monotonic() - self._aged >= _AGING_SECONDS:
            self._aged = time.monotonic()
            aging = self._policies.aging()
        if not due and not aging:
            return
        for system in self._driver.systems():
            ages = aging is True or system.uuid in (aging or ())
            if (ages or system.uuid in due) and self._serves(system):
                self._prune_old(system)

    def _prune_old(self, system: contract.System) -> None:
        limits = self._policies.get(system.uuid).of_time()
        try:
            self._prune(system, limits, patient=True)
        except exceptions.HawkFishError as exc:
            LOG.warning(
                'System %s was not pruned: %r', system.uuid, messages.text(exc)
            )

    def _prune(
        self,
        system: contract.System,
        limits: rules.Limits,
        patient: bool = False,
    ) -> None:
        """Submit the deletes that *limits* ask for, in their order."""
        with self._catalogue.deciding(system):
            # A look that asks no storage, first: sizes make a difference to
            # that limit alone, and dependents only keep more.
            if not limits.size:
                seen = self._catalogue.subjects(system, measured=False)
                if not self._going(seen, limits):
                    return
            subjects = self._catalogue.subjects(system)
            check_sound(system, [s.record for s in subjects])
            subjects = self._groups.holding(
                system, subjects, Reach.GROUP, self._going(subjects, limits)
            )
            pruned = self._going(subjects, limits)
            if not pruned:
                return
            first = next(s.record for s in subjects if s.name == pruned[0][0])
            if not patient or not self._tried_lately(system, first):
                records = [subject.record for subject in subjects]
                self.submit(system, self.check(system, records, pruned))

    def _going(
        self, subjects: Sequence[rules.Subject], limits: rules.Limits
    ) -> Pruned:
        return rules.plan(
            subjects, limits, time.time(), self._driver.referrers
        ).pruned

    def check(
        self,
        system: contract.System,
        records: Sequence[contract.Snapshot],
        pruned: Pruned,
    ) -> Sequence[Checked]:
        """
        Those of *records* that are *pruned*.

        Raises what prevents the first delete; the others may wait for it.
        """
        if pruned:
            self._delete.check(system, pruned[0][0], forced=True)
        names = {name for name, _ in pruned}
        going = {r.name: r for r in records if r.name in names}
        wholes = self._groups.wholes(system, going.values())
        return [
            Checked(going[name], reason, wholes.get(name, ()))
            for name, reason in pruned
        ]

    def submit(
        self,
        system: contract.System,
        checked: Sequence[Checked],
    ) -> None:
        """Queue the deletes of *checked*, by who decides for *system*."""
        for one in checked:
            if one.wholes:
                self._groups.submit(one.wholes, one.reason)
            else:
                self._delete.submit_pruned(system, one.record, one.reason)

    def parts(
        self,
        system: contract.System,
        checked: Sequence[Checked],
    ) -> Sequence[SubTask]:
        """
        The same as sub-tasks, which are still to be queued.

        Their parent has to have locked the systems of each.
        """
        return [
            self._groups.part(one.wholes, one.reason)
            if one.wholes
            else self._delete.pruned(system, one.record, one.reason)
            for one in checked
        ]

    def _tried_lately(
        self, system: contract.System, record: contract.Snapshot
    ) -> bool:
        key = system.uuid, record.name, record.created
        if key in self._tried:
            return True
        self._tried[key] = True
        return False


def _not_current(subject: rules.Subject) -> rules.Subject:
    record = dataclasses.replace(subject.record, current=False)
    return dataclasses.replace(subject, record=record)


def _protected(
    subjects: Sequence[rules.Subject], name: str | None
) -> Sequence[rules.Subject]:
    """*subjects*, of which the one called *name* must stay."""
    return [
        dataclasses.replace(s, keep=(*s.keep, rules.BUSY))
        if s.name == name
        else s
        for s in subjects
    ]
