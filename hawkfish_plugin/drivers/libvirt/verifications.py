# SPDX-License-Identifier: Apache-2.0
"""
What the driver does to prove snapshots; see ``drivers.verifying``.

A part of the driver, which has the connections and the options.
"""

from collections.abc import Mapping
from typing import Any

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import verify, verify_plan
from hawkfish_plugin.drivers.libvirt.part import Part
from hawkfish_plugin.drivers.verifying import Verified, VerifyRequest


class Verifications(Part):
    """See ``verifying.Verifies``."""

    def check_verify(self, uuid: str, request: VerifyRequest) -> None:
        with self._hypervisor.domain(uuid, contract.VERIFY) as domain:
            verify_plan.make(domain, request, self._conf)

    def verify(
        self, uuid: str, request: VerifyRequest, context: contract.TaskContext
    ) -> Verified:
        return verify.run(self._hypervisor, uuid, request, self._conf, context)

    def settle_verify(
        self, uuid: str, request: VerifyRequest, context: contract.TaskContext
    ) -> Verified:
        return verify.settle(self._hypervisor, context)

    def remove_clone(self, journal: Mapping[str, Any]) -> None:
        with self._hypervisor.host(contract.VERIFY) as host:
            verify.remove(host, journal)
