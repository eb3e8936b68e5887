# SPDX-License-Identifier: Apache-2.0
"""
The journals of the operations.

Owns what each operation notes of itself before it goes on, as the state
database keeps it.  A task that an older release has begun is settled with the
journal that it has written: a field that is added needs a default, and one
that is renamed its former name.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.records import Record

# By the target of a disk, or by a kind of state of the firmware.
ByName = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class FreezeNote(Record):
    """*frozen*: the guest's file systems may be frozen from now on."""

    frozen: bool = False


@dataclasses.dataclass(frozen=True)
class CaptureNote(FreezeNote):
    """*quiesce* are the fields of how it went; see contract.Quiesce."""

    quiesce: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def quiesced(self) -> contract.Quiesce:
        """How it went with the file systems."""
        return contract.Quiesce(**self.quiesce)


@dataclasses.dataclass(frozen=True)
class CreateJournal(CaptureNote):
    """
    What a create notes.

    *files* are all files to come, and *firmware* those of them that copy the
    firmware's state, by kind; *volumes* the paths of the disks that the
    domain names as pool volumes, by target; *power_state* the system's.
    """

    files: Sequence[str] = ()
    volumes: ByName = dataclasses.field(default_factory=dict)
    firmware: ByName = dataclasses.field(default_factory=dict)
    power_state: str = contract.OFF


@dataclasses.dataclass(frozen=True)
class RevertJournal(Record):
    """
    What a revert notes: all that it takes to undo or to end it.

    *snapshot_xml* is the snapshot, *domain_xml* the definition for the next
    start and *live_xml* the one in use; *domain_id* the domain's number while
    it runs; *current* the current snapshot; *media* the drives to fill again,
    by target; *bases* the files that get new overlays, and *overlays* those
    that they have of earlier reverts; *firmware* the copies of the state of
    the firmware before, by kind.
    """

    snapshot_xml: str
    domain_xml: str
    live_xml: str
    power_state: str
    domain_id: int
    current: str | None
    media: ByName = dataclasses.field(default_factory=dict)
    bases: Sequence[str] = ()
    overlays: Sequence[str] = ()
    firmware: ByName = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DeleteJournal(contract.DeleteJournal):
    """
    What a delete notes.

    *files* are those beside the overlays, *overlays* those of the disks that
    the domain has.
    """

    files: Sequence[str] = ()
    overlays: Sequence[str] = ()
