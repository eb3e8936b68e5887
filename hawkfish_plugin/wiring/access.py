# SPDX-License-Identifier: Apache-2.0
"""
Who may see what.

It depends on who asks: a request goes by the list of its own emulator, a
subscription by that of the emulator that it was made with, and what a task
keeps, by all lists.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator

import flask

from hawkfish_plugin import exceptions
from hawkfish_plugin.allowed import Allowed, AllowLists, permits
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.events import Event
from hawkfish_plugin.events.subscriptions import Subscription
from hawkfish_plugin.wiring.foundations import Foundations


class _Maker(threading.local):
    """For whom the thread asks, which has no request."""

    may: Callable[[contract.System], bool] | None = None


class Access:
    """What the allow lists of *app* let be seen; see ``allowed``."""

    def __init__(self, app: flask.Flask, foundations: Foundations) -> None:
        self._app = app
        self._foundations = foundations
        self._maker = _Maker()

    @functools.cached_property
    def allowed(self) -> AllowLists:
        return AllowLists(
            self._foundations.folder,
            lambda: internals.allowed_instances(self._app.config),
        )

    def may_serve(self, system: contract.System) -> bool:
        """Whether this emulator's configuration lets *system* be served."""
        return permits(internals.allowed_instances(self._app.config), system)

    def may_tell(self, system: contract.System) -> bool:
        """
        Whether whoever asks may hear of *system*.

        Under the name that it has now: it may be one of long ago.
        """
        may: Callable[[contract.System], bool] = self.may_serve
        if not flask.has_request_context():
            # What a task keeps is read by the clients of all emulators.
            may = self._maker.may or self.allowed.is_served_by_all
        # Where the lists have UUIDs, no hypervisor has to be asked.
        return may(contract.System(system.uuid, '')) or may(self._now(system))

    @contextlib.contextmanager
    def acting_for(self, maker: Allowed) -> Iterator[None]:
        """
        This thread asks, in the block, for who could reach *maker*'s systems.

        What no emulator serves any more is out of its reach as well.
        """
        self._maker.may = lambda system: (
            permits(maker, system) and self.allowed.is_served(system)
        )
        try:
            yield
        finally:
            self._maker.may = None

    def _now(self, system: contract.System) -> contract.System:
        try:
            return self._foundations.driver.resolve(system.uuid)
        except exceptions.SystemNotFound:
            return system

    def may_show(self, event: Event) -> bool:
        """Whether every system that *event* tells of may be served."""
        return all(map(self.may_serve, event.origin.systems))

    def may_push(self, event: Event, subscription: Subscription) -> bool:
        """Whether *event* may be sent to the receiver of *subscription*."""
        return all(
            permits(subscription.allowed, system)
            and self.allowed.is_served(system)
            for system in event.origin.systems
        )
