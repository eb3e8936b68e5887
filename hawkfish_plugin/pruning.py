# SPDX-License-Identifier: Apache-2.0
"""
Prune: what the policy no longer allows is deleted, by ordinary tasks.

Owns when that happens: after each create, before one that has no room
otherwise, and from time to time for what has become too old.  What goes is
the decision of ``retention``.  A prune that fails costs nothing but a line in
the log.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hawkfish_plugin import (
    exceptions,
    messages,
    notes,
    policies,
    retention,
    snapshots,
    tasks,
)
from hawkfish_plugin.drivers import contract

LOG = logging.getLogger(__name__)

# How often all systems are looked through for snapshots that are too old.
_AGING_SECONDS = 60.0
# How long a snapshot whose delete did not help is left alone.
_PATIENCE_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class Preview:
    """
    What a create would make, and what would become of the others.

    *first* says that those that go would go before it.
    """

    record: contract.Snapshot
    forecast: contract.Forecast
    plan: retention.Plan
    first: bool


class Pruning:
    """The retention of every system that *serves* is true of."""

    def __init__(
        self,
        driver: contract.Driver,
        stories: snapshots.Snapshots,
        note_table: notes.Notes,
        policy_table: policies.Policies,
        serves: Callable[[contract.System], bool],
    ) -> None:
        self._driver = driver
        self._snapshots = stories
        self._notes = note_table
        self._policies = policy_table
        self._serves = serves
        self._lock = threading.Lock()
        self._aged = 0.0
        self._tried: dict[tuple[str, str, int], float] = {}
        self.operations = {
            'create': dataclasses.replace(
                stories.operations['create'], after=self._after_create
            ),
        }

    def create(
        self,
        system: contract.System,
        options: snapshots.CreateOptions,
        payload: Mapping[str, Any],
    ) -> tasks.Task:
        """
        Queue a create and return its task.

        Where depth or space does not allow it, what the policy would prune
        for it goes before it; in all other cases, after it.
        """
        try:
            return self._snapshots.create(system, options, payload)
        except exceptions.HawkFishError as exc:
            if not _is_too_much(exc):
                raise
        deletes: list[tasks.Task] = []
        try:
            with self._lock:
                seen = self.preview(system, options)
                self._submit(system, seen.plan.pruned, deletes)
            return self._snapshots.create(
                system, options, payload, making_way=True
            )
        except exceptions.HawkFishError:
            # Nothing goes for what does not come.
            self._snapshots.withdraw(deletes)
            raise

    def preview(
        self, system: contract.System, options: snapshots.CreateOptions
    ) -> Preview:
        """What a create would do; raises what it would raise."""
        try:
            return self._preview(system, options)
        except exceptions.HawkFishError as exc:
            if not _is_too_much(exc):
                raise
            seen = self._preview(system, options, first=True)
            if not seen.plan.pruned:
                raise
            return seen

    def _preview(
        self,
        system: contract.System,
        options: snapshots.CreateOptions,
        first: bool = False,
    ) -> Preview:
        request, forecast = self._snapshots.prepare(system, options, first)
        subjects = self._snapshots.subjects(system)
        now = time.time()
        parent = next((s.name for s in subjects if s.record.current), None)
        record = contract.Snapshot(
            request.name,
            request.description,
            int(now),
            None,
            forecast.memory,
            forecast.external,
            parent,
            current=True,
        )
        keep = (retention.LOCKED,) if options.locked else ()
        coming = retention.Subject(
            record, forecast.size, options.expires, keep
        )
        limits = self._policies.get(system.uuid)
        planned = retention.plan(
            [*map(_not_current, subjects), coming], limits, now
        )
        return Preview(record, forecast, planned, first)

    def _after_create(self, task: tasks.Task) -> None:
        system = contract.System(task.system, task.system_name)
        limits = self._policies.get(system.uuid)
        self._prune(system, limits, task.arguments.get('spare'))

    def chore(self) -> None:
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
            self._prune(system, limits, None, patient=True)
        except exceptions.HawkFishError as exc:
            LOG.warning(
                'System %s was not pruned: %r', system.uuid, messages.text(exc)
            )

    def _prune(
        self,
        system: contract.System,
        limits: retention.Limits,
        spare: str | None,
        patient: bool = False,
    ) -> None:
        """Submit the deletes that *limits* ask for, in their order."""
        # Two at once would count the same snapshot as gone.
        with self._lock:
            # A look that asks no storage, first: sizes make a difference to
            # that limit alone, and dependents only keep more.
            if not limits.size:
                seen = self._snapshots.subjects(system, measured=False)
                if not _going(seen, limits, spare):
                    return
            subjects = self._snapshots.subjects(system)
            pruned = _going(subjects, limits, spare)
            if not pruned:
                return
            first = next(s.record for s in subjects if s.name == pruned[0][0])
            if not patient or not self._tried_lately(system, first):
                self._submit(system, pruned, [])

    def _submit(
        self,
        system: contract.System,
        pruned: Sequence[tuple[str, str]],
        submitted: list[tasks.Task],
    ) -> None:
        """Append each delete to *submitted*, also where a later one fails."""
        records = {s.name: s for s in self._driver.snapshots(system.uuid)}
        # The others may have to wait for it.
        self._driver.check_delete(system.uuid, pruned[0][0])
        for name, reason in pruned:
            submitted.append(
                self._snapshots.submit_delete(
                    system, records[name], {}, pruned=reason
                )
            )

    def _tried_lately(
        self, system: contract.System, record: contract.Snapshot
    ) -> bool:
        now = time.monotonic()
        self._tried = {
            key: at
            for key, at in self._tried.items()
            if now - at < _PATIENCE_SECONDS
        }
        key = system.uuid, record.name, record.created
        return self._tried.setdefault(key, now) != now


def _is_too_much(error: exceptions.HawkFishError) -> bool:
    return all(isinstance(e, snapshots.TOO_MUCH) for e in error.parts)


def _not_current(subject: retention.Subject) -> retention.Subject:
    record = dataclasses.replace(subject.record, current=False)
    return dataclasses.replace(subject, record=record)


def _going(
    subjects: Sequence[retention.Subject],
    limits: retention.Limits,
    spare: str | None,
) -> Sequence[tuple[str, str]]:
    """What is to go, in its order, and why; never *spare*."""
    return retention.plan(
        [_spared(s) if s.name == spare else s for s in subjects],
        limits,
        time.time(),
    ).pruned


def _spared(subject: retention.Subject) -> retention.Subject:
    return dataclasses.replace(subject, keep=(*subject.keep, retention.BUSY))
