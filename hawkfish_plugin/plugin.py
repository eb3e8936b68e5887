# SPDX-License-Identifier: Apache-2.0
"""
The way into the emulator.

Owns ``setup(app)``, in which every way in ends, and the wiring of the layers
below.  All is lazy: the emulator applies its command line after its
configuration file has run, so nothing is built before the first request.
"""

import functools
import hashlib
import logging
import os
import pathlib
import sys
import threading
from typing import Any

import flask

from hawkfish_plugin import (
    conf,
    db,
    drivers,
    exceptions,
    locks,
    messages,
    notes,
    policies,
    pruning,
    purging,
    sessions,
    snapshots,
    sweeping,
    tasks,
    workers,
)
from hawkfish_plugin.api import (
    blueprint,
    may_serve,
)
from hawkfish_plugin.api import (
    events as _events,
)
from hawkfish_plugin.api import (
    policy as _policy,
)
from hawkfish_plugin.api import (
    snapshots as _snapshots,
)
from hawkfish_plugin.api import (
    subscriptions as _subscriptions,
)
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.emulator import authentication, headers, requests
from hawkfish_plugin.events import Event, Events, delivery, subscriptions

LOG = logging.getLogger(__name__)


def setup(app: flask.Flask) -> None:
    """
    Add the plugin to *app*, the emulator; a second time does nothing.

    Touches no driver, no file and no thread: those wait for the first
    request, or for ``app.run``.
    """
    if 'hawkfish' in app.extensions:
        return
    app.extensions['hawkfish'] = plugin = Plugin(app)
    app.register_blueprint(blueprint)
    app.before_request(headers.before_request)
    app.before_request(plugin.before_request)
    # The last one that is named is the first one that is called.
    app.after_request(headers.after_request)
    app.after_request(plugin.neighbours.after_request)
    app.teardown_request(plugin.neighbours.teardown_request)
    authentication.stand_before(app, plugin)
    app.run = plugin.run_after(app.run)  # type: ignore[method-assign]


def app_being_configured() -> flask.Flask:
    """
    The emulator whose configuration file is running.

    It is found by its frame, as it is in no module yet when the file is named
    by SUSHY_EMULATOR_CONFIG.
    """
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        app = frame.f_locals.get('self')
        if frame.f_code.co_name == 'configure' and isinstance(
            app, flask.Flask
        ):
            return app
    raise RuntimeError(
        'hawkfish_plugin.activate() belongs in a configuration file of '
        'sushy-emulator; in a program, call '
        'hawkfish_plugin.plugin.setup(app) instead'
    )


def main() -> int:
    """``hawkfish-emulator``: ``sushy-emulator`` with the plugin loaded."""
    from sushy_tools.emulator import main as emulator

    setup(emulator.app)
    status: int = emulator.main()
    return status


class Plugin:
    """What *app* keeps of us: the layers below, built when first needed."""

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self._lock = threading.RLock()
        self._started_in = 0
        self.neighbours = requests.Neighbours(self, self._systems)

    # The layers below -----------------------------------------------------

    @functools.cached_property
    def conf(self) -> Any:
        return conf.load()

    @functools.cached_property
    def driver(self) -> contract.Driver:
        return drivers.load(
            self._driver_name(), self.conf, self._app.config, self._systems
        )

    @functools.cached_property
    def _folder(self) -> pathlib.Path:
        # One for each hypervisor: the tasks of one are not for another.
        target = self.driver.target
        digest = hashlib.sha256(target.encode()).hexdigest()[:8]
        parent = pathlib.Path(self.conf.hawkfish.state_dir)
        return parent / f'{self._driver_name()}-{digest}'

    @functools.cached_property
    def locks(self) -> locks.Locks:
        return locks.Locks(self._folder)

    @functools.cached_property
    def _database(self) -> db.Database:
        return db.Database(self._folder)

    @functools.cached_property
    def tasks(self) -> tasks.Tasks:
        return tasks.Tasks(self._database, self.locks, self.conf)

    @functools.cached_property
    def _workers(self) -> workers.Workers:
        operations = {
            **self.snapshots.operations,
            **self.purging.operations,
            **self.pruning.operations,
        }
        return workers.Workers(self.tasks, self.locks, operations, self.conf)

    @functools.cached_property
    def sessions(self) -> sessions.Sessions:
        return sessions.Sessions(self._database)

    @functools.cached_property
    def snapshots(self) -> snapshots.Snapshots:
        return snapshots.Snapshots(
            self.driver,
            self.tasks,
            self.locks,
            self._notes,
            self.policies,
            self.conf,
        )

    @functools.cached_property
    def _notes(self) -> notes.Notes:
        return notes.Notes(self._database)

    @functools.cached_property
    def policies(self) -> policies.Policies:
        return policies.Policies(self._database, self.conf)

    @functools.cached_property
    def purging(self) -> purging.Purging:
        return purging.Purging(self.driver, self.tasks, self.snapshots)

    @functools.cached_property
    def pruning(self) -> pruning.Pruning:
        return pruning.Pruning(
            self.driver,
            self.snapshots,
            self._notes,
            self.policies,
            lambda system: may_serve(self._app, system),
        )

    @functools.cached_property
    def _sweeping(self) -> sweeping.Sweeping:
        return sweeping.Sweeping(self.driver, self.tasks)

    @property
    def events(self) -> Events:
        return self.tasks.events

    @functools.cached_property
    def subscriptions(self) -> subscriptions.Subscriptions:
        return subscriptions.Subscriptions(self._database, self.conf)

    @functools.cached_property
    def _delivery(self) -> delivery.Delivery:
        return delivery.Delivery(
            self.events, self.subscriptions, self.conf, self.may_show
        )

    def may_show(self, event: Event) -> bool:
        """Whether *event* is of no system, or of one that may be served."""
        system = event.origin.system
        return system is None or may_serve(self._app, system)

    def _driver_name(self) -> str:
        config = self._app.config
        if self.conf.hawkfish.driver:
            return str(self.conf.hawkfish.driver)
        if config.get('SUSHY_EMULATOR_FAKE_DRIVER'):
            return 'fake'
        if config.get('SUSHY_EMULATOR_OS_CLOUD'):
            return 'nova'
        if config.get('SUSHY_EMULATOR_IRONIC_CLOUD'):
            return 'ironic'
        return 'libvirt'

    def _systems(self) -> Any:
        # The emulator memoizes this, but its first requests race.
        with self._lock:
            return self._app.systems  # type: ignore[attr-defined]

    # Life -----------------------------------------------------------------

    @property
    def started(self) -> bool:
        """Whether this process has started; a fork of it has not."""
        return self._started_in == os.getpid()

    def before_request(self) -> flask.Response | None:
        self.start()
        if flask.request.blueprint == blueprint.name:
            return None
        return self.neighbours.before_request()

    def start(self) -> None:
        """
        Build everything and start the workers, once in each process.

        What is missing (a state folder, a configuration) is logged and tried
        again at the next request: the emulator itself must go on.
        """
        if self.started:
            return
        with self._lock:
            if self.started:
                return
            try:
                self._workers.start(
                    self._delivery.start,
                    self._sweeping.start,
                    chore=self.pruning.chore,
                )
            except exceptions.HawkFishError as exc:
                LOG.error('No snapshots yet: %s', messages.text(exc))
            else:
                self._started_in = os.getpid()

    def run_after(self, run: Any) -> Any:
        """*run*, preceded by our start; see ``flask.Flask.run``."""

        @functools.wraps(run)
        def start_and_run(*args: Any, **kwargs: Any) -> Any:
            # Under --debug the outer of the two processes only watches files.
            if not self._app.debug or os.environ.get('WERKZEUG_RUN_MAIN'):
                self.start()
            return run(*args, **kwargs)

        return start_and_run
