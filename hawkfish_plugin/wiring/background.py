# SPDX-License-Identifier: Apache-2.0
"""
What works in the background: the tasks, the delivery of events, the sweeping.

Owns when it is started, and what is told of its health.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Sequence

from hawkfish_plugin import json_logs, survey
from hawkfish_plugin.drivers import sharing
from hawkfish_plugin.events.delivery import Delivery
from hawkfish_plugin.health import Health
from hawkfish_plugin.metrics import Metrics
from hawkfish_plugin.supervision import Failures
from hawkfish_plugin.survey import Survey
from hawkfish_plugin.sweeping import Sweeping
from hawkfish_plugin.tasks.workers import Workers
from hawkfish_plugin.totals import Totals
from hawkfish_plugin.wiring.access import Access
from hawkfish_plugin.wiring.catalogues import Catalogues
from hawkfish_plugin.wiring.foundations import Foundations
from hawkfish_plugin.wiring.work import Work

LOG = logging.getLogger(__name__)


class Background:
    """The threads that carry out *work*, once they have been started."""

    def __init__(
        self,
        foundations: Foundations,
        access: Access,
        catalogues: Catalogues,
        work: Work,
    ) -> None:
        self._foundations = foundations
        self._access = access
        self._catalogues = catalogues
        self._work = work
        self._lock = threading.RLock()
        self._started_in = 0
        self._failures = Failures(LOG)

    @property
    def started(self) -> bool:
        """Whether this process has started; a fork of it has not."""
        return self._started_in == os.getpid()

    def start(self) -> None:
        """
        Build everything and start the workers, once in each process.

        A missing state folder or an invalid configuration is logged, and the
        next request tries again: the emulator itself must keep working.
        """
        if self.started:
            return
        with self._lock:
            if self.started:
                return
            try:
                if self._foundations.conf.monitoring.json_logs:
                    json_logs.install(self._foundations.app)
                self._access.allowed.announce()
                self._workers.start(
                    self._delivery.start,
                    *self._sweeping(),
                    periodic=self._periodic,
                )
            except Exception as exc:
                self._failures.tell('Starting the snapshot service', exc)
            else:
                self._started_in = os.getpid()

    def health(self) -> tuple[str, str]:
        """OK, Warning or Critical, and why, of what runs the tasks."""
        return self._health.status(self._foundations.supervisor.failing())

    @functools.cached_property
    def metrics(self) -> Metrics:
        """What Prometheus is told."""
        return Metrics(
            Totals(self._foundations.database),
            Survey(
                lambda: survey.read(
                    self._foundations.driver, self._access.may_serve
                ),
                self._foundations.supervisor,
            ),
            self.health,
        )

    @functools.cached_property
    def _health(self) -> Health:
        return Health(self._foundations.database, self._foundations.events)

    @functools.cached_property
    def _workers(self) -> Workers:
        return Workers(
            self._foundations.tasks,
            self._foundations.locks,
            self._work.operations,
            self._foundations.conf,
            self._foundations.supervisor,
        )

    @functools.cached_property
    def _delivery(self) -> Delivery:
        return Delivery(
            self._foundations.events,
            self._foundations.subscriptions,
            self._foundations.conf,
            self._access.may_push,
            self._foundations.supervisor,
            self._foundations.deadlines,
        )

    def _sweeping(self) -> Sequence[Callable[[threading.Event], None]]:
        driver = self._foundations.driver
        if not isinstance(driver, sharing.LeavesFiles):
            return ()
        sweeping = Sweeping(
            driver,
            self._foundations.tasks,
            self._foundations.supervisor,
            self._foundations.export_table.folders,
        )
        return (sweeping.start,)

    def _periodic(self) -> None:
        self._health.say(self._foundations.supervisor.failing())
        self._work.ownership.periodic()
        self._work.scheduling.periodic()
        self._work.prune.periodic()
        self._catalogues.exports.periodic()
        self._work.receiving.periodic()
        self._work.adoption.periodic()
        self._work.backing_up.periodic()
        self._work.verify.periodic()
