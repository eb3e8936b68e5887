# SPDX-License-Identifier: Apache-2.0
"""
Metrics for Prometheus.

Owns their names, labels and help.  Their cost is bounded: a few rows of the
database, and of the hypervisor only what ``survey`` has.
"""

from collections.abc import Callable, Iterator

from prometheus_client import Metric, exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector, CollectorRegistry

from hawkfish_plugin import health
from hawkfish_plugin.survey import Reading, Survey
from hawkfish_plugin.totals import Totals

# How long a scrape waits for the hypervisor.
_PATIENCE_SECONDS = 2.0


class Metrics:
    """What *totals*, *survey* and *status* tell; see the module."""

    def __init__(
        self,
        totals: Totals,
        survey: Survey,
        status: Callable[[], tuple[str, str]],
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Everything(totals, survey, status))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics in a format of *accept*, and its content type."""
        encode, content_type = exposition.choose_encoder(accept)
        return encode(self._registry), content_type


class _Everything(Collector):
    def __init__(
        self,
        totals: Totals,
        survey: Survey,
        status: Callable[[], tuple[str, str]],
    ) -> None:
        self._totals = totals
        self._survey = survey
        self._status = status

    def describe(self) -> Iterator[Metric]:
        # Nothing is asked before the first scrape.
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield self._healthy()
        yield from self._tasks()
        yield from self._deliveries()
        yield from self._hypervisor()

    def _healthy(self) -> Metric:
        healthy = self._status()[0] == health.OK
        return GaugeMetricFamily(
            'hawkfish_healthy',
            'Whether everything that runs tasks works.',
            float(healthy),
        )

    def _tasks(self) -> Iterator[Metric]:
        active = GaugeMetricFamily(
            'hawkfish_tasks_active',
            'Tasks that have not ended, by operation and state.',
            labels=['operation', 'state'],
        )
        for (operation, state), tasks in self._totals.active().items():
            active.add_metric([operation, state], tasks)
        yield active
        durations = SummaryMetricFamily(
            'hawkfish_task_duration_seconds',
            'Ended tasks, by operation and state, and how long they ran.',
            labels=['operation', 'state'],
        )
        for total in self._totals.ended():
            durations.add_metric(
                [total.operation, total.state], total.tasks, total.seconds
            )
        yield durations

    def _deliveries(self) -> Iterator[Metric]:
        pushes = CounterMetricFamily(
            'hawkfish_event_deliveries',
            'Attempts to deliver events to a subscription.',
            labels=['outcome'],
        )
        for outcome, number in self._totals.pushes().items():
            pushes.add_metric([outcome], number)
        yield pushes
        subscriptions = GaugeMetricFamily(
            'hawkfish_subscriptions',
            'Subscriptions to events, streams included.',
            labels=['state'],
        )
        for suspended, number in self._totals.subscriptions().items():
            state = 'suspended' if suspended else 'enabled'
            subscriptions.add_metric([state], number)
        yield subscriptions

    def _hypervisor(self) -> Iterator[Metric]:
        reading = self._survey.latest(_PATIENCE_SECONDS)
        works = self._survey.works()
        if works is not None:
            yield GaugeMetricFamily(
                'hawkfish_hypervisor_up',
                'Whether the hypervisor answered when it was asked last.',
                float(works),
            )
        if reading is not None:
            yield from _inventory(reading)
            yield GaugeMetricFamily(
                'hawkfish_inventory_age_seconds',
                'Age of the numbers of systems and snapshots.',
                self._survey.age(),
            )


def _inventory(reading: Reading) -> Iterator[Metric]:
    systems = GaugeMetricFamily(
        'hawkfish_systems', 'Systems.', labels=['power_state']
    )
    states = list(reading.power_states.values())
    for state in sorted(set(states)):
        systems.add_metric([state], states.count(state))
    yield systems
    snapshots = GaugeMetricFamily(
        'hawkfish_snapshots',
        'Snapshots of each system.',
        labels=['system', 'uuid'],
    )
    sizes = GaugeMetricFamily(
        'hawkfish_snapshot_bytes',
        'Bytes on disk of the external snapshots of each system.',
        labels=['system', 'uuid'],
    )
    for system, holding in reading.holdings.items():
        snapshots.add_metric([system.name, system.uuid], holding.snapshots)
        sizes.add_metric([system.name, system.uuid], holding.size)
    yield snapshots
    yield sizes
