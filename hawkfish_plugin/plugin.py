# SPDX-License-Identifier: Apache-2.0
"""
The way into the emulator.

Owns ``setup(app)``, which every entry point calls, and the life of the
services: when they are built, and what of them works in the background.
Everything is lazy: the emulator evaluates its command line after it has
executed its configuration file, so nothing is built before the first request.
"""

import functools
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import flask

from hawkfish_plugin import (
    services,
)
from hawkfish_plugin.drivers import behaviour, sharing
from hawkfish_plugin.emulator import hooks, internals
from hawkfish_plugin.events.delivery import Delivery
from hawkfish_plugin.health import Health
from hawkfish_plugin.supervision import Failures
from hawkfish_plugin.sweeping import Sweeping
from hawkfish_plugin.tasks.workers import Workers
from hawkfish_plugin.wiring.work import Work

LOG = logging.getLogger(__name__)


def setup(app: flask.Flask) -> None:
    """
    Add the plugin to *app*, the emulator; a second time does nothing.

    Touches no driver, no file and no thread: those wait for the first
    request, or for ``app.run``.
    """
    if services.EXTENSION in app.extensions:
        return
    app.extensions[services.EXTENSION] = plugin = Plugin(app)
    hooks.install(app, plugin)


def main() -> int:
    """``hawkfish-emulator``: ``sushy-emulator`` with the plugin loaded."""
    from sushy_tools.emulator import main as sushy_emulator

    sys.argv[1:] = behaviour.take(sys.argv[1:], sushy_emulator.app.config)
    setup(sushy_emulator.app)
    with internals.with_help(
        sys.argv[1:],
        behaviour.PROGRAM,
        behaviour.usage(),
        behaviour.options(),
    ):
        status: int = sushy_emulator.main()
    return status


class Plugin(Work):
    """The services of *app* (see ``services.Services``), and their life."""

    def __init__(self, app: flask.Flask) -> None:
        super().__init__(app)
        self._lock = threading.RLock()
        self._started_in = 0
        self._failures = Failures(LOG)

    @functools.cached_property
    def _health(self) -> Health:
        return Health(self._database, self.events)

    def health(self) -> tuple[str, str]:
        return self._health.status(self._supervisor.failing())

    def _periodic(self) -> None:
        self._health.say(self._supervisor.failing())
        self.prune.periodic()
        self.exports.periodic()
        self.receiving.periodic()
        self.backing_up.periodic()
        self.verify.periodic()

    @functools.cached_property
    def _workers(self) -> Workers:
        return Workers(
            self.tasks,
            self.locks,
            self.operations,
            self.conf,
            self._supervisor,
        )

    @functools.cached_property
    def _delivery(self) -> Delivery:
        return Delivery(
            self.events,
            self.subscriptions,
            self.conf,
            self._may_push,
            self._supervisor,
            self.deadlines,
        )

    @property
    def started(self) -> bool:
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
                self.allowed.announce()
                self._workers.start(
                    self._delivery.start,
                    *self._sweeping(),
                    periodic=self._periodic,
                )
            except Exception as exc:
                self._failures.tell('Starting the snapshot service', exc)
            else:
                self._started_in = os.getpid()

    def _sweeping(self) -> Sequence[Callable[[threading.Event], None]]:
        if not isinstance(self.driver, sharing.LeavesFiles):
            return ()
        sweeping = Sweeping(
            self.driver,
            self.tasks,
            self._supervisor,
            self._export_table.folders,
        )
        return (sweeping.start,)


if TYPE_CHECKING:
    # What the layers above rely on is what is here.
    _: type[services.Services] = Plugin
