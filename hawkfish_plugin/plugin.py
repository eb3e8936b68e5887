# SPDX-License-Identifier: Apache-2.0
"""
The way into the emulator.

Owns ``setup(app)``, which every entry point calls, and what of the services a
request may ask.  Everything is lazy: the emulator evaluates its command line
after it has executed its configuration file, so nothing is built before the
first request.
"""

import sys
from typing import TYPE_CHECKING

import flask
from oslo_config import cfg

from hawkfish_plugin import program, services
from hawkfish_plugin.accounts.table import Accounts
from hawkfish_plugin.accounts.throttle import Logins
from hawkfish_plugin.allowed import AllowLists
from hawkfish_plugin.audit import AuditLog
from hawkfish_plugin.backup_catalogue import BackupCatalogue
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.deadlines import Deadlines
from hawkfish_plugin.drivers import behaviour, contract
from hawkfish_plugin.emulator import hooks, internals
from hawkfish_plugin.events import Events
from hawkfish_plugin.events.subscriptions import Subscriptions
from hawkfish_plugin.export_catalogue import ExportCatalogue
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Groups
from hawkfish_plugin.locks import Locks
from hawkfish_plugin.metrics import Metrics
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.ownership import Ownership
from hawkfish_plugin.operations.receiving import Receiving
from hawkfish_plugin.operations.scheduling import Scheduling
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.rooms import Rooms
from hawkfish_plugin.schedules.table import Schedules
from hawkfish_plugin.sessions import Sessions
from hawkfish_plugin.tasks.operation import Operations
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.wiring.access import Access
from hawkfish_plugin.wiring.background import Background
from hawkfish_plugin.wiring.catalogues import Catalogues
from hawkfish_plugin.wiring.foundations import Foundations
from hawkfish_plugin.wiring.work import KINDS, Work


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
    program.prepare(sushy_emulator.app, behaviour.PROGRAM)
    with (
        internals.with_own_errors(sushy_emulator, behaviour.PROGRAM),
        internals.with_help(
            sys.argv[1:],
            behaviour.PROGRAM,
            behaviour.usage(),
            behaviour.options(),
        ),
    ):
        status: int = sushy_emulator.main()
    return status


class Plugin:
    """The services of *app*, as ``services.Services`` has them."""

    def __init__(self, app: flask.Flask) -> None:
        self._foundations = Foundations(app)
        self._access = Access(app, self._foundations)
        self._catalogues = Catalogues(self._foundations, self._access, KINDS)
        self._work = Work(self._foundations, self._access, self._catalogues)
        self._background = Background(
            self._foundations, self._access, self._catalogues, self._work
        )
        self.start = self._background.start
        self.health = self._background.health
        self.may_serve = self._access.may_serve
        self.may_show = self._access.may_show
        self.may_tell = self._access.may_tell

    @property
    def conf(self) -> cfg.ConfigOpts:
        return self._foundations.conf

    @property
    def driver(self) -> contract.Driver:
        return self._foundations.driver

    @property
    def rooms(self) -> Rooms:
        return self._foundations.rooms

    @property
    def deadlines(self) -> Deadlines:
        return self._foundations.deadlines

    @property
    def locks(self) -> Locks:
        return self._foundations.locks

    @property
    def tasks(self) -> Tasks:
        return self._foundations.tasks

    @property
    def events(self) -> Events:
        return self._foundations.events

    @property
    def subscriptions(self) -> Subscriptions:
        return self._foundations.subscriptions

    @property
    def sessions(self) -> Sessions:
        return self._foundations.sessions

    @property
    def schedules(self) -> Schedules:
        return self._foundations.schedules

    @property
    def ownership(self) -> Ownership:
        return self._work.ownership

    @property
    def scheduling(self) -> Scheduling:
        return self._work.scheduling

    @property
    def accounts(self) -> Accounts:
        return self._foundations.accounts

    @property
    def logins(self) -> Logins:
        return self._foundations.logins

    @property
    def audit(self) -> AuditLog:
        return self._foundations.audit

    @property
    def policies(self) -> Policies:
        return self._foundations.policies

    @property
    def group_table(self) -> Groups:
        return self._foundations.group_table

    @property
    def allowed(self) -> AllowLists:
        return self._access.allowed

    @property
    def operations(self) -> Operations:
        return self._work.operations

    @property
    def catalogue(self) -> Catalogue:
        return self._catalogues.snapshots

    @property
    def groups(self) -> GroupCatalogue:
        return self._catalogues.groups

    @property
    def exports(self) -> ExportCatalogue:
        return self._catalogues.exports

    @property
    def backups(self) -> BackupCatalogue:
        return self._catalogues.backups

    @property
    def receiving(self) -> Receiving:
        return self._work.receiving

    @property
    def findings(self) -> Findings:
        return self._work.findings

    @property
    def metrics(self) -> Metrics:
        return self._background.metrics

    @property
    def started(self) -> bool:
        return self._background.started


if TYPE_CHECKING:
    # What the layers above rely on is what is here.
    _: type[services.Services] = Plugin
