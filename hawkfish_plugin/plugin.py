# SPDX-License-Identifier: Apache-2.0
"""
The way into the emulator.

Owns ``setup(app)``, which every entry point calls, and the construction of the
services.  Everything is lazy: the emulator evaluates its command line after it
has executed its configuration file, so nothing is built before the first
request.
"""

import functools
import hashlib
import logging
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flask
from oslo_config import cfg

from hawkfish_plugin import (
    conf,
    drivers,
    services,
)
from hawkfish_plugin.allowed import AllowLists, permits
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.db import Database
from hawkfish_plugin.deadlines import Deadlines
from hawkfish_plugin.drivers import behaviour, contract
from hawkfish_plugin.emulator import hooks, internals
from hawkfish_plugin.events import Event, Events
from hawkfish_plugin.events.delivery import Delivery
from hawkfish_plugin.events.subscriptions import Subscription, Subscriptions
from hawkfish_plugin.group_catalogue import GroupCatalogue
from hawkfish_plugin.groups import Groups
from hawkfish_plugin.health import Health
from hawkfish_plugin.locks import Locks
from hawkfish_plugin.notes import Notes
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.group_create import GroupCreate
from hawkfish_plugin.operations.group_delete import GroupDelete
from hawkfish_plugin.operations.group_power import (
    GroupBootOrder,
    GroupReset,
)
from hawkfish_plugin.operations.group_prune import GroupPrune
from hawkfish_plugin.operations.group_revert import GroupRevert
from hawkfish_plugin.operations.prune import Prune
from hawkfish_plugin.operations.purge import Purge
from hawkfish_plugin.operations.repair import Repair
from hawkfish_plugin.operations.revert import Revert
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.rooms import Rooms
from hawkfish_plugin.sessions import Sessions
from hawkfish_plugin.supervision import Failures, Supervisor
from hawkfish_plugin.sweeping import Sweeping
from hawkfish_plugin.tasks.operation import Kinds, Operations
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.workers import Workers

LOG = logging.getLogger(__name__)

# Every operation that there is.
KINDS: Kinds = {
    kind.name: kind
    for kind in (
        *(Create, Revert, Delete, Purge, Repair),
        *(GroupCreate, GroupRevert, GroupDelete),
        *(GroupReset, GroupBootOrder),
    )
}


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
    with behaviour.with_help(sys.argv[1:]):
        status: int = sushy_emulator.main()
    return status


class Plugin:
    """
    The services of *app* (see ``services.Services``).

    Each is built when it is first needed, from the services that it uses.
    """

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self._lock = threading.RLock()
        self._started_in = 0
        self._supervisor = Supervisor()
        self.deadlines = Deadlines(self._supervisor)
        self._failures = Failures(LOG)

    # Tables and drivers ---------------------------------------------------

    @functools.cached_property
    def conf(self) -> cfg.ConfigOpts:
        return conf.load()

    @functools.cached_property
    def driver(self) -> contract.Driver:
        return drivers.load(
            self._driver_name(),
            self.conf,
            self._app.config,
            self._systems,
        )

    def _systems(self) -> Any:
        """The emulator's own driver of systems."""
        return internals.systems(self._app)

    def _driver_name(self) -> str:
        chosen = self.conf.hawkfish.driver
        return str(chosen or internals.driver_name(self._app.config))

    @functools.cached_property
    def _folder(self) -> pathlib.Path:
        # One for each hypervisor: the tasks of one are not for another.
        target = self.driver.target
        digest = hashlib.sha256(target.encode()).hexdigest()[:8]
        parent = pathlib.Path(self.conf.hawkfish.state_dir)
        return parent / f'{self._driver_name()}-{digest}'

    @functools.cached_property
    def locks(self) -> Locks:
        return Locks(self._folder, self.rooms.locks)

    @functools.cached_property
    def rooms(self) -> Rooms:
        return Rooms(self.conf.hawkfish.web_threads)

    @functools.cached_property
    def _database(self) -> Database:
        return Database(self._folder)

    @functools.cached_property
    def tasks(self) -> Tasks:
        return Tasks(self._database, self.locks, self.conf)

    @property
    def events(self) -> Events:
        return self.tasks.events

    @functools.cached_property
    def subscriptions(self) -> Subscriptions:
        return Subscriptions(self._database, self.conf)

    @functools.cached_property
    def sessions(self) -> Sessions:
        return Sessions(self._database)

    @functools.cached_property
    def _notes(self) -> Notes:
        return Notes(self._database)

    @functools.cached_property
    def policies(self) -> Policies:
        return Policies(self._database, self.locks, self.conf)

    # What is done, and when it is refused ---------------------------------

    @functools.cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(
            self.driver,
            self.tasks,
            self.locks,
            self._notes,
            self.group_table,
            KINDS,
            self._may_tell,
        )

    @functools.cached_property
    def group_table(self) -> Groups:
        return Groups(self._database)

    @functools.cached_property
    def groups(self) -> GroupCatalogue:
        return GroupCatalogue(
            self.catalogue,
            self.group_table,
            self.tasks,
            self.locks,
            KINDS,
            self._may_tell,
        )

    @functools.cached_property
    def findings(self) -> Findings:
        return Findings(self.driver, self.events, self.tasks)

    @functools.cached_property
    def delete(self) -> Delete:
        return Delete(
            self.driver,
            self.tasks,
            self.catalogue,
            self._notes,
            self.findings,
        )

    @functools.cached_property
    def purge(self) -> Purge:
        return Purge(self.driver, self.tasks, self.catalogue, self.delete)

    @functools.cached_property
    def prune(self) -> Prune:
        return Prune(
            self.driver,
            self.catalogue,
            self._notes,
            self.policies,
            self.delete,
            self.group_prune,
            self.allowed.is_served,
        )

    @functools.cached_property
    def group_prune(self) -> GroupPrune:
        return GroupPrune(
            self.catalogue, self.groups, self.group_table, self.group_delete
        )

    @functools.cached_property
    def create(self) -> Create:
        return Create(
            self.driver,
            self.tasks,
            self.catalogue,
            self._notes,
            self.policies,
            self.prune,
            self.findings,
        )

    @functools.cached_property
    def revert(self) -> Revert:
        return Revert(
            self.driver,
            self.tasks,
            self.catalogue,
            self.create,
            self.findings,
            self.conf,
        )

    @functools.cached_property
    def group_create(self) -> GroupCreate:
        return GroupCreate(
            self.driver,
            self.tasks,
            self.groups,
            self.group_table,
            self.create,
            self.delete,
            self.prune,
            self.group_prune,
            self.conf,
        )

    @functools.cached_property
    def group_revert(self) -> GroupRevert:
        return GroupRevert(
            self.tasks,
            self.catalogue,
            self.groups,
            self.group_table,
            self.create,
            self.revert,
            self.delete,
            self.conf,
        )

    @functools.cached_property
    def group_delete(self) -> GroupDelete:
        return GroupDelete(
            self.tasks,
            self.catalogue,
            self.groups,
            self.group_table,
            self.delete,
        )

    @functools.cached_property
    def operations(self) -> Operations:
        return Operations(
            self.create,
            self.revert,
            self.delete,
            self.purge,
            Repair(self.driver, self.tasks, self.findings),
            self.group_create,
            self.group_revert,
            self.group_delete,
            *(
                kind(self.findings, self.tasks, self.groups, self._systems)
                for kind in (GroupReset, GroupBootOrder)
            ),
        )

    # Who may see what -----------------------------------------------------

    @functools.cached_property
    def allowed(self) -> AllowLists:
        return AllowLists(
            self._folder,
            lambda: internals.allowed_instances(self._app.config),
        )

    def may_serve(self, system: contract.System) -> bool:
        return permits(internals.allowed_instances(self._app.config), system)

    def _may_tell(self, system: contract.System) -> bool:
        if flask.has_request_context():
            return self.may_serve(system)
        # What a task keeps is read by the clients of all emulators.
        return self.allowed.is_served_by_all(system)

    def may_show(self, event: Event) -> bool:
        system = event.origin.system
        return system is None or self.may_serve(system)

    def _may_push(self, event: Event, subscription: Subscription) -> bool:
        system = event.origin.system
        return system is None or (
            permits(subscription.allowed, system)
            and self.allowed.is_served(system)
        )

    @functools.cached_property
    def _health(self) -> Health:
        return Health(self._database, self.events)

    def health(self) -> tuple[str, str]:
        return self._health.status(self._supervisor.failing())

    def _periodic(self) -> None:
        self._health.say(self._supervisor.failing())
        self.prune.periodic()

    # Life -----------------------------------------------------------------

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
        if not isinstance(self.driver, contract.LeavesFiles):
            return ()
        sweeping = Sweeping(self.driver, self.tasks, self._supervisor)
        return (sweeping.start,)


if TYPE_CHECKING:
    # What the layers above rely on is what is here.
    _: type[services.Services] = Plugin
