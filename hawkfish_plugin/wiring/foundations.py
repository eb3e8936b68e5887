# SPDX-License-Identifier: Apache-2.0
"""
Tables, locks, and the driver: what everything else is built on.
"""

import functools
import hashlib
import pathlib
from typing import Any

import flask
from oslo_config import cfg

from hawkfish_plugin import conf, drivers
from hawkfish_plugin.accounts.table import Accounts
from hawkfish_plugin.accounts.throttle import Logins
from hawkfish_plugin.audit import AuditLog
from hawkfish_plugin.backups import Backups
from hawkfish_plugin.clones import Clones
from hawkfish_plugin.db import Database
from hawkfish_plugin.deadlines import Deadlines
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.events import Events
from hawkfish_plugin.events.subscriptions import Subscriptions
from hawkfish_plugin.exports import Exports
from hawkfish_plugin.far_images import FarImages
from hawkfish_plugin.groups.table import Groups
from hawkfish_plugin.locks import Locks
from hawkfish_plugin.notes import Notes
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.rooms import Rooms
from hawkfish_plugin.schedules.table import Schedules
from hawkfish_plugin.sessions import Sessions
from hawkfish_plugin.supervision import Supervisor
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.uploads import Uploads


class Foundations:
    """Those of *app*, each built when it is first needed."""

    def __init__(self, app: flask.Flask) -> None:
        self.app = app
        self.supervisor = Supervisor()
        self.deadlines = Deadlines(self.supervisor)

    @functools.cached_property
    def conf(self) -> cfg.ConfigOpts:
        return conf.load()

    @functools.cached_property
    def driver(self) -> contract.Driver:
        driver = drivers.load(
            self._driver_name(),
            self.conf,
            self.app.config,
            self.systems,
        )
        if isinstance(driver, sharing.RemembersImages):
            # The database is in a folder that the driver gives its name.
            driver.remember_images(lambda: self.far_images)
        return driver

    def systems(self) -> Any:
        """The emulator's own driver of systems."""
        return internals.systems(self.app)

    def users_file(self) -> str | None:
        """The emulator's file of users, if it has one."""
        return internals.users_file(self.app)

    def _driver_name(self) -> str:
        chosen = self.conf.hawkfish.driver
        return str(chosen or internals.driver_name(self.app.config))

    @functools.cached_property
    def folder(self) -> pathlib.Path:
        # One for each hypervisor: the tasks of one are not for another.
        target = self.driver.target
        digest = hashlib.sha256(target.encode()).hexdigest()[:8]
        parent = pathlib.Path(self.conf.hawkfish.state_dir)
        return parent / f'{self._driver_name()}-{digest}'

    @functools.cached_property
    def locks(self) -> Locks:
        return Locks(self.folder, self.rooms)

    @functools.cached_property
    def rooms(self) -> Rooms:
        return Rooms(
            self.conf.hawkfish.web_threads, self.conf.backup.max_transfers
        )

    @functools.cached_property
    def database(self) -> Database:
        return Database(self.folder)

    @functools.cached_property
    def tasks(self) -> Tasks:
        return Tasks(self.database, self.locks, self.conf)

    @property
    def events(self) -> Events:
        return self.tasks.events

    @functools.cached_property
    def subscriptions(self) -> Subscriptions:
        return Subscriptions(self.database, self.conf)

    @functools.cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.database, self.accounts)

    @functools.cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.conf)

    @functools.cached_property
    def logins(self) -> Logins:
        return Logins(self.database, self.conf)

    @functools.cached_property
    def audit(self) -> AuditLog:
        return AuditLog(self.database, self.conf)

    @functools.cached_property
    def notes(self) -> Notes:
        return Notes(self.database)

    @functools.cached_property
    def export_table(self) -> Exports:
        return Exports(self.database)

    @functools.cached_property
    def uploads(self) -> Uploads:
        return Uploads(self.database)

    @functools.cached_property
    def backup_table(self) -> Backups:
        return Backups(self.database)

    @functools.cached_property
    def clones(self) -> Clones:
        return Clones(self.database)

    @functools.cached_property
    def far_images(self) -> FarImages:
        return FarImages(self.database)

    @functools.cached_property
    def policies(self) -> Policies:
        return Policies(self.database, self.locks, self.conf, self.schedules)

    @functools.cached_property
    def schedules(self) -> Schedules:
        return Schedules(self.database)

    @functools.cached_property
    def group_table(self) -> Groups:
        return Groups(self.database)
