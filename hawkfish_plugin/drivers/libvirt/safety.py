# SPDX-License-Identifier: Apache-2.0
"""
Whether a system is safe, and what makes it so.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.drivers.libvirt import backup_jobs, unsafe
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.part import Part

_LISTED = contract.Freshness.LISTED


class Safety(Part):
    """See ``sharing.FindsUnsafe``."""

    def violations(self, uuid: str) -> Sequence[exceptions.Unsafe]:
        with (
            self._hypervisor.moments.within(),
            self._hypervisor.domain(uuid, 'look-up') as domain,
        ):
            return unsafe.violations(domain, self._ledger, _LISTED)

    def check_start(self, uuid: str) -> None:
        with (
            self._hypervisor.moments.within(),
            self._hypervisor.domain(uuid, 'start') as domain,
        ):
            unsafe.check_start(domain, self._ledger, _LISTED)

    def plan_repair(self, uuid: str) -> Sequence[sharing.Repair]:
        with self._hypervisor.domain(uuid, contract.REPAIR) as domain:
            return unsafe.plan(domain, self._ledger)

    def repair(self, uuid: str) -> None:
        with self._hypervisor.domain(uuid, contract.REPAIR) as domain:
            unsafe.repair(domain, self._ledger)

    def _check_safe(self, domain: Domain) -> None:
        """
        Raise what makes *domain* unsafe.

        What stands on its disk is kept by a create, and looked for by a delete
        before it merges.
        """
        exceptions.check(
            [
                violation
                for violation in unsafe.violations(
                    domain, self._ledger, _LISTED
                )
                if not isinstance(violation, exceptions.DiskIsBackingFile)
            ]
        )

    def _check_revertible(self, domain: Domain) -> None:
        """
        Raise what a revert does not mend.

        It puts the system on new overlays, and so mends a definition of a
        system that is off.
        """
        backup_jobs.check_free(domain)
        found = unsafe.violations(domain, self._ledger, _LISTED)
        exceptions.check(
            [
                violation
                for violation in found
                if domain.is_active
                or isinstance(violation, exceptions.DiskOfTwoSystems)
            ]
        )


if TYPE_CHECKING:
    _: type[sharing.FindsUnsafe] = Safety
