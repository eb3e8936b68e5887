# SPDX-License-Identifier: Apache-2.0
"""
What the hardware type ``hawkfish`` is made of.

Ironic's own ``redfish``, but for management and vendor passthru, which are
the first choice of a node that does not name another.
"""

from typing import Any

from ironic.conf import CONF
from ironic.drivers import redfish
from oslo_config import cfg

from hawkfish_plugin.ironic import management, vendor

# Ironic looks for it in the group that is called as the hardware type.
CONF.register_opt(
    cfg.StrOpt(
        'verify_ca',
        help='CA certificates for nodes that have redfish_verify_ca not set.',
    ),
    group='hawkfish',
)


class HawkFishHardware(redfish.RedfishHardware):  # type: ignore[misc]
    """Virtual machines behind an emulator with HawkFish Snapshots."""

    @property
    def supported_management_interfaces(self) -> list[Any]:
        return [
            management.HawkFishManagement,
            *super().supported_management_interfaces,
        ]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        return [
            vendor.HawkFishVendorPassthru,
            *super().supported_vendor_interfaces,
        ]
