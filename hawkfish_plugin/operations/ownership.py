# SPDX-License-Identifier: Apache-2.0
"""
Ownership: what acts for a user goes no further than the account does.

Owns what becomes of schedules and subscriptions whose owner has no account any
more, is disabled, or may not manage schedules.  The files of users and roles
can be changed by anybody, so the process that has the workers looks every few
seconds.  A program may be writing them at that moment: only what two looks in
a row have found is acted upon, and nothing where a file cannot be read.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping

from hawkfish_plugin import audit, events, exceptions, messages
from hawkfish_plugin.accounts.owners import Owner
from hawkfish_plugin.accounts.table import Accounts
from hawkfish_plugin.audit import AuditLog
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.events import subscriptions
from hawkfish_plugin.events.subscriptions import Subscription, Subscriptions
from hawkfish_plugin.redfish import privileges, uris
from hawkfish_plugin.schedules.rows import Schedule
from hawkfish_plugin.schedules.table import Schedules

LOG = logging.getLogger(__name__)

_MANAGING = privileges.needed(f'{uris.JOBS}/<name>', 'POST')


class Ownership:
    """
    The owners of *schedules* and of *subscription_table*.

    *users_file* gives the file of users of this emulator, if there is one.
    """

    def __init__(
        self,
        schedules: Schedules,
        subscription_table: Subscriptions,
        accounts: Accounts,
        log: AuditLog,
        event_table: events.Events,
        users_file: Callable[[], str | None],
    ) -> None:
        self._schedules = schedules
        self._subscriptions = subscription_table
        self._accounts = accounts
        self._log = log
        self._events = event_table
        self._users_file = users_file
        self._suspects: Mapping[Owner, str] = {}

    def objection(self, owner: Owner | None) -> str | None:
        """
        Why nothing is done for *owner*, a MessageId; None: it is done.

        Raises AccountsUnknown.
        """
        file = owner and owner.file_now(self._users_file())
        if owner is None or file is None:
            return None
        standing = self._accounts.known(file, owner.name)
        if standing is None:
            return messages.OWNER_REMOVED
        if not standing.enabled:
            return messages.OWNER_DISABLED
        if not privileges.grants(standing.role, _MANAGING, is_own=False):
            return messages.OWNER_NOT_PRIVILEGED
        return None

    def periodic(self) -> None:
        """Stop what acts for those who have been objected to twice."""
        found: dict[Owner, str] = {}
        for owner in {one.owner for one in self._acting() if one.owner}:
            with contextlib.suppress(exceptions.AccountsUnknown):
                reason = self.objection(owner)
                if reason is not None:
                    found[owner] = reason
        twice = found.items() & self._suspects.items()
        for one in self._acting():
            for owner, reason in twice:
                if one.owner == owner:
                    self._stop(one, reason)
        self._suspects = found

    def end(self, name: str, file: str) -> None:
        """Stop what acts for *name*, whose account was removed from *file*."""
        gone = (name, file), Owner.of(name, file)
        for one in self._acting():
            owner = one.owner
            if owner and (owner.name, owner.file_now(file)) in gone:
                self._stop(one, messages.OWNER_REMOVED)

    def _acting(self) -> Iterable[Schedule | Subscription]:
        for schedule in self._schedules.list():
            if not schedule.suspended:
                yield schedule
        yield from self._subscriptions.list()

    def _stop(self, one: Schedule | Subscription, reason: str) -> None:
        if isinstance(one, Schedule):
            if self._schedules.stop(one, reason):
                uri = uris.job_uri(one.name)
                origin = events.job_origin(one.name, one.systems)
                self._events.submit(events.NewEvent(reason, [uri], origin))
                self._note(uri, reason, one.systems)
        elif reason == messages.OWNER_REMOVED:
            self._subscriptions.delete(one.id)
            self._note(uris.subscription_uri(one.id), reason)
        elif (
            reason == messages.OWNER_DISABLED
            and one.type == subscriptions.PUSHED
            and not one.suspended
        ):
            # An account that is enabled again is not to have lost it.
            self._subscriptions.update(one.id, suspended=True, failures=0)
            self._note(uris.subscription_uri(one.id), reason)

    def _note(
        self,
        uri: str,
        reason: str,
        systems: Iterable[contract.System] = (),
    ) -> None:
        LOG.warning('%s', messages.message(reason, [uri])['Message'])
        with contextlib.suppress(exceptions.StateUnavailable):
            self._log.note(
                audit.Entry(
                    audit.Actor(),
                    '',
                    uri,
                    None,
                    systems=tuple(systems),
                    reason=reason,
                )
            )
