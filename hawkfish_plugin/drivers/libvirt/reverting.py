# SPDX-License-Identifier: Apache-2.0
"""
A revert that has begun: what its steps, and the way back, work with.

Owns what a revert makes of its target: which power state it leaves, which
copies of the firmware's state it puts back, over which files it puts overlays.
"""

import dataclasses

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import parsed, snapshots, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import RevertJournal
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot


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
    def is_ours(self) -> bool:
        """Whether it puts the system on overlays, without libvirt's revert."""
        return bool(self.journal.created)

    @property
    def memory(self) -> bool:
        """Whether the guest goes on with its memory."""
        if self.is_ours:
            return self.journal.loads_memory
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


def describe_target(revert: Reverting) -> xml.Element:
    """
    The XML of the target as libvirt has it now.

    Raises SnapshotNotFound or SnapshotReplaced.
    """
    root = snapshots.describe(revert.domain, revert.name)
    if parsed.parse(root).record.created != revert.target.record.created:
        raise exceptions.SnapshotReplaced(revert.name)
    return root


def wanted_power_state(
    target: ParsedSnapshot, request: contract.RevertRequest
) -> str:
    if request.power_state != contract.AS_CAPTURED:
        return request.power_state
    return target.record.power_state or contract.OFF


def copies_to_restore(
    target: ParsedSnapshot, power_state: str, memory: bool
) -> dict[str, str]:
    """
    The copies of the firmware's state that are put back, by their kind.

    QEMU does so itself where it lets the guest go on with its *memory*.
    """
    off = power_state == contract.OFF
    return dict(target.copies) if off or not memory else {}
