# SPDX-License-Identifier: Apache-2.0
"""
What the parts of the driver share.
"""

from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from hawkfish_plugin.drivers.libvirt import (
    connections,
    ledger,
    snapshots,
)
from hawkfish_plugin.emulator import internals

DEFAULT_URI = 'qemu:///system'


class Part:
    """
    A part of a driver, which serves the domains of the emulator's URI.

    Owned by all parts is what has been seen of the hypervisor: its files, who
    stands on which, and the order of the snapshots.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        emulator: Mapping[str, Any],
        systems: Callable[[], Any],
    ) -> None:
        self.target = internals.libvirt_uri(emulator) or DEFAULT_URI
        self._conf = conf
        self._hypervisor = connections.Hypervisor(self.target)
        self._ledger = ledger.Ledger()
        self._orders = snapshots.Orders()
