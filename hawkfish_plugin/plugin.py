# SPDX-License-Identifier: Apache-2.0
"""
The way into the emulator.

Owns ``setup(app)``, in which every way in ends, the wiring of the layers
below, and what is added to the emulator's own resources and requests.  All is
lazy: the emulator applies its command line after its configuration file has
run, so nothing is built before the first request.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import pathlib
import sys
import threading
from typing import Any

import flask

from hawkfish_plugin import (
    conf, db, drivers, exceptions, locks, messages, redfish, snapshots, tasks,
)  # fmt: skip
from hawkfish_plugin.api import blueprint, snapshots as _, tasks as tasks_api

LOG = logging.getLogger(__name__)

# How long a mutating request of the emulator waits for an operation of ours
# on the same system; well below the 60 s after which sushy gives up.
LOCK_SECONDS = 15.0

_MUTATING = frozenset(('POST', 'PUT', 'PATCH', 'DELETE'))


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
    app.before_request(plugin.before_request)
    app.after_request(plugin.after_request)
    app.teardown_request(plugin.teardown_request)
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
    return emulator.main()


class Plugin:
    """What *app* keeps of us: the layers below, built when first needed."""

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self._lock = threading.RLock()
        self._started_in = 0
        self._losses = 0

    # The layers below -----------------------------------------------------

    @functools.cached_property
    def conf(self) -> Any:
        return conf.load()

    @functools.cached_property
    def driver(self) -> drivers.Driver:
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
    def snapshots(self) -> snapshots.Snapshots:
        return snapshots.Snapshots(self.driver, self.tasks, self._database)

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

    def start(self) -> None:
        """
        Build everything and start the workers, once in each process.

        What is missing (a state folder, a configuration) is logged and tried
        again at the next request: the emulator itself must go on.
        """
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            try:
                self.tasks.start(self.snapshots.operations)
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

    # The emulator's own requests ------------------------------------------

    def before_request(self) -> flask.Response | None:
        self.start()
        if flask.request.endpoint == 'simple_task_service':
            return tasks_api.show_task_service()
        if flask.request.blueprint == blueprint.name:
            return None
        self._drop_dead_handles()
        if flask.request.method in _MUTATING:
            return self._lock_system()
        return None

    def _drop_dead_handles(self) -> None:
        """
        Let the emulator look its domains up anew after a libvirtd restart.

        It keeps the handle of every domain that it has ever found, and would
        answer every request for it with an error until it is restarted too.
        """
        try:
            losses = self.driver.losses()
        except exceptions.HawkFishError as exc:
            LOG.debug('Not watched: %s', messages.text(exc))
            return
        if losses != self._losses:
            self._losses = losses
            vars(self._systems()).pop('_cache', None)

    def _lock_system(self) -> flask.Response | None:
        """
        Let the emulator change a system only while no operation of ours does.

        Its setters read the definition of a system, change it and define it
        again; crossing a snapshot that could bring back the base image.
        """
        identity = (flask.request.view_args or {}).get('identity')
        if identity is None:
            return None
        flask.g.hawkfish_lock = stack = contextlib.ExitStack()
        try:
            system = self.driver.resolve(identity)
            stack.enter_context(self.locks.system(system.uuid, LOCK_SECONDS))
        except exceptions.SystemLocked as exc:
            body = json.dumps(redfish.error(exc))
            return flask.Response(
                body, exc.status, content_type='application/json'
            )
        except exceptions.HawkFishError as exc:
            # No such system, or nothing of ours can run: not our request.
            LOG.debug('Not locked: %s', messages.text(exc))
        return None

    def teardown_request(self, _error: BaseException | None) -> None:
        stack = flask.g.pop('hawkfish_lock', None)
        if stack:
            stack.close()

    def after_request(self, response: flask.Response) -> flask.Response:
        request = flask.request
        if request.method != 'GET' or response.status_code != 200:
            return response
        if request.endpoint == 'system_resource':
            self._graft_system(response)
        elif request.endpoint == 'root_resource':
            _graft(response, 'Tasks', {'@odata.id': redfish.TASK_SERVICE})
        return response

    def _graft_system(self, response: flask.Response) -> None:
        body = json.loads(response.get_data())
        oem = dict(body.get('Oem') or {})
        oem['HawkFish'] = redfish.system_oem(body['@odata.id'])
        response.set_data(json.dumps({**body, 'Oem': oem}))


def _graft(response: flask.Response, name: str, value: object) -> None:
    body = json.loads(response.get_data())
    body.setdefault(name, value)
    response.set_data(json.dumps(body))
