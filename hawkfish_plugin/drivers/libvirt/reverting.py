# SPDX-License-Identifier: Apache-2.0
"""
A revert that has begun: what its steps, and the way back, work with.

Owns what a revert makes of its target: which power state it leaves, which
copies of the firmware's state it puts back, over which files it puts overlays.
"""

import dataclasses
from collections.abc import Sequence

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import parsed, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import RevertJournal
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot
from hawkfish_plugin.drivers.libvirt.storage import Storage


@dataclasses.dataclass(frozen=True)
class Reverting:
    """
    A revert of *domain* to *target*, with what it has noted in its *journal*.

    *root* is the XML of the target as it was before anything was changed.
    """

    domain: Domain
    request: contract.RevertRequest
    context: contract.TaskContext
    journal: RevertJournal
    root: xml.Element
    target: ParsedSnapshot

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def external(self) -> bool:
        return self.target.record.external

    @property
    def memory(self) -> bool:
        return self.target.record.memory

    @property
    def power_state(self) -> str:
        """The one that it leaves: one of contract.ON, OFF and PAUSED."""
        return wanted_power_state(self.target, self.request)


def begun(
    domain: Domain,
    request: contract.RevertRequest,
    context: contract.TaskContext,
) -> Reverting:
    """The revert whose journal *context* has."""
    journal = context.recall(RevertJournal)
    root = xml.parse(journal.snapshot_xml)
    target = parsed.parse(root)
    return Reverting(domain, request, context, journal, root, target)


def wanted_power_state(
    target: ParsedSnapshot, request: contract.RevertRequest
) -> str:
    if request.power_state != contract.AS_CAPTURED:
        return request.power_state
    return target.record.power_state or contract.OFF


def copies_to_restore(
    target: ParsedSnapshot, request: contract.RevertRequest
) -> dict[str, str]:
    """
    The copies of the firmware's state that are put back, by their kind.

    QEMU does so itself where it lets the guest go on with its memory.
    """
    off = wanted_power_state(target, request) == contract.OFF
    return dict(target.copies) if off or not target.record.memory else {}


def bases(storage: Storage, target: ParsedSnapshot) -> Sequence[str]:
    """The files that get new overlays."""
    return [path for d in target.disks if (path := storage.path_of(d))]
