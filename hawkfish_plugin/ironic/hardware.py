# SPDX-License-Identifier: Apache-2.0
"""
The hardware type ``hawkfish``.

It is Ironic's ``redfish`` hardware type with management and vendor interfaces
of its own, which are the default of nodes that do not name another.
"""

from typing import Any

from ironic.conf import CONF
from ironic.drivers import redfish
from oslo_config import cfg

from hawkfish_plugin.ironic import management, vendor

# Ironic looks for the first in the group named after the hardware type.
CONF.register_opts(
    [
        cfg.StrOpt(
            'verify_ca',
            help='CA certificates for nodes without redfish_verify_ca.',
        ),
        cfg.ListOpt(
            'revert_groups',
            default=[],
            help='Groups of systems that the step revert_group may revert, '
            'with all nodes in them: whoever may clean one of these nodes '
            'discards the state of all. None if not given.',
        ),
    ],
    group='hawkfish',
)


class HawkFishHardware(redfish.RedfishHardware):  # type: ignore[misc]
    """Virtual machines served by an emulator with HawkFish Snapshots."""

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
