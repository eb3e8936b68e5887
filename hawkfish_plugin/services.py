# SPDX-License-Identifier: Apache-2.0
"""
What the layers above may ask of those below: the typed seam.

``wiring`` builds them, each when it is first needed; ``plugin``, an extension
of the application, has them.  Whoever serves a request gets them by ``of``, so
that the type checker follows a call from HTTP down to a table or a driver.
"""

from typing import Protocol

import flask
from oslo_config import cfg

from hawkfish_plugin import locks, sessions
from hawkfish_plugin.accounts.table import Accounts
from hawkfish_plugin.accounts.throttle import Logins
from hawkfish_plugin.allowed import AllowLists
from hawkfish_plugin.audit import AuditLog
from hawkfish_plugin.backup_catalogue import BackupCatalogue
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.deadlines import Deadlines
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.events import Event, Events
from hawkfish_plugin.events.subscriptions import Subscriptions
from hawkfish_plugin.export_catalogue import ExportCatalogue
from hawkfish_plugin.groups.catalogue import GroupCatalogue
from hawkfish_plugin.groups.table import Groups
from hawkfish_plugin.metrics import Metrics
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.ownership import Ownership
from hawkfish_plugin.operations.receiving import Receiving
from hawkfish_plugin.operations.scheduling import Scheduling
from hawkfish_plugin.retention.policies import Policies
from hawkfish_plugin.rooms import Rooms
from hawkfish_plugin.schedules.table import Schedules
from hawkfish_plugin.tasks.operation import Operations
from hawkfish_plugin.tasks.table import Tasks

EXTENSION = 'hawkfish'


class Shared(Protocol):
    """What all requests need."""

    @property
    def conf(self) -> cfg.ConfigOpts: ...

    @property
    def rooms(self) -> Rooms: ...

    @property
    def driver(self) -> contract.Driver: ...

    @property
    def tasks(self) -> Tasks: ...

    @property
    def sessions(self) -> sessions.Sessions: ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def logins(self) -> Logins: ...

    @property
    def subscriptions(self) -> Subscriptions: ...

    @property
    def audit(self) -> AuditLog: ...

    def start(self) -> None:
        """Start what works in the background; a second time does nothing."""

    def may_serve(self, system: contract.System) -> bool:
        """Whether the emulator's configuration lets *system* be served."""


class ForEmulator(Shared, Protocol):
    """What the emulator's own requests need."""

    @property
    def locks(self) -> locks.Locks: ...

    @property
    def findings(self) -> Findings: ...

    @property
    def deadlines(self) -> Deadlines: ...

    @property
    def started(self) -> bool:
        """Whether this process has started; a fork of it has not."""


class ForApi(Shared, Protocol):
    """What the requests for our own resources need."""

    @property
    def operations(self) -> Operations: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def groups(self) -> GroupCatalogue: ...

    @property
    def group_table(self) -> Groups: ...

    @property
    def exports(self) -> ExportCatalogue: ...

    @property
    def receiving(self) -> Receiving: ...

    @property
    def backups(self) -> BackupCatalogue: ...

    @property
    def schedules(self) -> Schedules: ...

    @property
    def scheduling(self) -> Scheduling: ...

    @property
    def ownership(self) -> Ownership: ...

    @property
    def policies(self) -> Policies: ...

    @property
    def events(self) -> Events: ...

    @property
    def allowed(self) -> AllowLists: ...

    @property
    def metrics(self) -> Metrics: ...

    def health(self) -> tuple[str, str]:
        """OK, Warning or Critical, and why, of what runs the tasks."""

    def may_tell(self, system: contract.System) -> bool:
        """
        Whether whoever asks may hear of *system*, which may be one of before.

        Raises Unavailable where only the hypervisor could say.
        """

    def may_show(self, event: Event) -> bool:
        """Whether every system that *event* tells of may be served."""


class Services(ForEmulator, ForApi, Protocol):
    """The layers below HTTP."""


def of(app: flask.Flask) -> Services:
    """The services of *app*, which has the plugin."""
    services: Services = app.extensions[EXTENSION]
    return services
