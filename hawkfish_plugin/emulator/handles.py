# SPDX-License-Identifier: Apache-2.0
"""
The emulator's handles of domains.

Owns when they are dropped.  The emulator keeps the handle of every domain
that it has ever found, each with a connection of its own.  After a restart of
libvirtd it would answer every request for them with an error until it is
restarted too; and with thousands, libvirtd minds connections more than calls.
"""

import flask

from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.emulator import internals

# How many domains the emulator may have handles of, in one process.
_MOST_HANDLES = 64


class Handles:
    """The handles that *app*, the emulator, keeps in this process."""

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self._losses = 0

    def drop_stale(self, driver: contract.Driver) -> None:
        """Drop them if they are dead, or too many."""
        if not isinstance(driver, sharing.SharesDefinitions):
            return
        losses = driver.connection_losses()
        systems = internals.systems(self._app)
        if (
            losses != self._losses
            or internals.count_handles(systems) > _MOST_HANDLES
        ):
            self._losses = losses
            internals.forget_handles(systems)
