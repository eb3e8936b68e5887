# SPDX-License-Identifier: Apache-2.0
"""
The libvirt driver: the only place that imports libvirt.

Owns the translation between the driver contract and libvirt's domains and
snapshots.  Each part of the contract is in a module of its own: ``systems``,
``listing``, ``safety``, ``changes``, ``transfers``, ``backing_up`` and
``verifications``.
"""

from typing import TYPE_CHECKING

from hawkfish_plugin.drivers import (
    backups,
    contract,
    exporting,
    importing,
    sharing,
    verifying,
)
from hawkfish_plugin.drivers.libvirt.backing_up import Backups
from hawkfish_plugin.drivers.libvirt.changes import Changes
from hawkfish_plugin.drivers.libvirt.listing import Snapshots
from hawkfish_plugin.drivers.libvirt.systems import Systems
from hawkfish_plugin.drivers.libvirt.transfers import Transfers
from hawkfish_plugin.drivers.libvirt.verifications import Verifications


class LibvirtDriver(
    Systems, Snapshots, Changes, Transfers, Backups, Verifications
):
    """See ``contract.Driver``; serves the domains of the emulator's URI."""


if TYPE_CHECKING:
    # What the layers above may take it for.
    _driver: type[contract.Driver] = LibvirtDriver
    _shares: type[sharing.SharesDefinitions] = LibvirtDriver
    _finds: type[sharing.FindsUnsafe] = LibvirtDriver
    _knows: type[sharing.KnowsVersion] = LibvirtDriver
    _remembers: type[sharing.RemembersImages] = LibvirtDriver
    _leaves: type[sharing.LeavesFiles] = LibvirtDriver
    _exports: type[exporting.Exports] = LibvirtDriver
    _imports: type[importing.Imports] = LibvirtDriver
    _backs_up: type[backups.BacksUp] = LibvirtDriver
    _verifies: type[verifying.Verifies] = LibvirtDriver
